//! What hides a dataset from the program that is to read it.

use super::Mounted;
use crate::policy::control::Report;
use crate::policy::facts::PodFacts;
use crate::policy::fix::Fix;
use crate::policy::maps;

impl Mounted<'_> {
    /// Mounts over a dataset or inside it, so that the program finds other files there than those that are declared.
    pub fn hidden(&self, pod: &PodFacts<'_>, report: &mut Report<'_>) {
        let Some(volume) = self.volume else { return };
        for container in &pod.containers {
            for shown in container.mounts.iter().filter(|mount| mount.name == volume) {
                let top = maps::walked(&shown.mount_path);
                for (index, other) in maps::over(container.mounts, volume, &top) {
                    let place = pod.at(container.path(&format!("volumeMounts[{index}].mountPath")));
                    report
                        .violated(
                            place.value(&other.mount_path),
                            format!("hides what {} has there", self.data.object()),
                        )
                        .under(&["CoP-5.1"])
                        .fix(Fix::Text(format!("mount it at a path that does not lie in {top}")));
                }
            }
        }
    }
}
