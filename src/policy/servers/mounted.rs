//! Where in a claim a mount begins, held against where its declared models lie.

use k8s_openapi::api::core::v1::VolumeMount;
use serde_json::json;

use super::declared::{Declared, below};
use super::shell::{self, Env};
use super::{Fault, Faults, Reading, What, Wrong};
use crate::api::model::ModelSource;
use crate::api::workload::{SinkKind, WorkloadType};
use crate::policy::data;
use crate::policy::facts::{Facts, Place};
use crate::policy::fix::{Edit, Fix};
use crate::policy::maps;

/// A path inside a claim without what says nothing: `/late` for `./late/`.
pub(super) fn plain(path: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
    parts.fold(String::new(), |all, part| all + "/" + part)
}

/// Where in its claim a model lies.
pub(super) fn folder(source: &ModelSource) -> String {
    plain(source.path.as_deref().unwrap_or_default())
}

impl Declared<'_, '_, '_> {
    /// The folder of its volume at which a mount begins; the error says why nobody can tell.
    pub(super) fn begins(&self, mount: &VolumeMount) -> Result<String, String> {
        let Some(expression) = &mount.sub_path_expr else {
            return Ok(plain(mount.sub_path.as_deref().unwrap_or_default()));
        };
        let env = Env { variables: self.container.env, sources: self.container.env_from };
        let (text, open) = shell::expand(expression, &env);
        match open {
            Some(why) => Err(why),
            None if text.contains("$(") => Err("one of its variables is not set in the pod".to_owned()),
            None if text.split('/').any(|part| part == "..") => Err("it leads out of its volume".to_owned()),
            None => Ok(plain(&text)),
        }
    }

    /// The path in the container of the one declared model that a mount shows.
    pub(super) fn shown_at(&self, mount: &VolumeMount) -> Option<String> {
        let top = mount.mount_path.trim_end_matches('/');
        let Some(claim) = self.claim(&mount.name) else { return Some(top.to_owned()) };
        let mut folders = self.on_claim(claim).map(folder);
        let (folder, None) = (folders.next()?, folders.next()) else { return None };
        let begin = self.begins(mount).ok()?;
        if below(&begin, &folder) {
            return Some(top.to_owned());
        }
        below(&folder, &begin).then(|| format!("{top}{}", &folder[begin.len()..]))
    }

    /// Whether mounts of a claim have to be those of declared models: nothing else that is declared lies on it.
    pub(super) fn only_models_on(&self, facts: &Facts<'_>, claim: &str) -> bool {
        let spec = &self.workload.spec;
        let sink = spec.monitoring.as_ref().and_then(|m| m.io_log.as_ref()?.sink.as_ref());
        self.complete
            && spec.type_ != WorkloadType::Import
            && data::on_claim(facts, claim).is_empty()
            && !sink.is_some_and(|s| s.kind == SinkKind::Volume && s.ref_.as_deref() == Some(claim))
            && !spec.outputs.iter().any(|output| output.destination.strip_prefix("sink/") == Some(claim))
    }

    /// Judges the mounts of what holds models: a server may load what is there without a word in the pod.
    pub(super) fn mounts(&self, facts: &Facts<'_>, reading: &Reading<'_>, prefix: &str, out: &mut Faults) {
        self.hidden(out);
        for (index, mount) in self.container.mounts.iter().enumerate() {
            let Some(claim) = self.claim(&mount.name).filter(|claim| self.only_models_on(facts, claim))
            else {
                continue;
            };
            let fault = self
                .foreign(facts, claim, index)
                .or_else(|| self.astray(reading, mount, claim, index, prefix));
            out.all.extend(fault);
        }
    }

    /// Mounts over a declared model or inside it: the program finds other files there than those that were reviewed.
    fn hidden(&self, out: &mut Faults) {
        let mounts = self.container.mounts;
        for model in mounts.iter().filter(|mount| self.volume_holds_a_model(&mount.name)) {
            let Some(shown) = self.shown_at(model).map(|path| maps::walked(&path)) else { continue };
            for (index, other) in maps::over(mounts, &model.name, &shown) {
                out.all.push(Fault {
                    wrong: Wrong::Undeclared,
                    field: format!("volumeMounts[{index}].mountPath"),
                    value: Some(other.mount_path.clone()),
                    detail: format!("hides what the declared model in volume {:?} has there", model.name),
                    mended: false,
                    fix: Some(Fix::Text(format!("mount it at a path that does not lie in {shown}"))),
                });
            }
        }
    }

    /// A claim that holds a model of the namespace that the workload does not declare.
    fn foreign(&self, facts: &Facts<'_>, claim: &str, index: usize) -> Option<Fault> {
        if self.on_claim(claim).next().is_some() {
            return None;
        }
        let holds = |source: &ModelSource| source.claim() == Some(claim);
        let (name, _) =
            facts.namespace.models.iter().find(|(_, model)| model.spec.source.as_ref().is_some_and(holds))?;
        let workload = Facts::name_of(self.workload);
        Some(Fault {
            wrong: Wrong::Undeclared,
            field: format!("volumeMounts[{index}]"),
            value: Some(self.container.mounts[index].mount_path.clone()),
            detail: format!(
                "mounts claim {claim:?}, which holds AIModel {name:?}, and {workload} does not declare it"
            ),
            mended: false,
            fix: Some(Fix::set_at(&Place::field(workload, "spec.models[+]"), "", json!({"name": name}))),
        })
    }

    /// A mount that shows another folder than that of a declared model.
    fn astray(
        &self,
        reading: &Reading<'_>,
        mount: &VolumeMount,
        claim: &str,
        index: usize,
        prefix: &str,
    ) -> Option<Fault> {
        let folders: Vec<String> = self.on_claim(claim).map(folder).collect();
        if folders.is_empty() || folders.iter().any(String::is_empty) {
            return None;
        }
        let path = |field: &str| {
            format!("{prefix}{}", self.container.path(&format!("volumeMounts[{index}].{field}")))
        };
        let fix = || match &folders[..] {
            [folder] => {
                let expression = mount.sub_path_expr.as_ref().map(|_| Edit::remove(path("subPathExpr")));
                let set = Edit::set(path("subPath"), folder.trim_start_matches('/'));
                Fix::Change(expression.into_iter().chain([set]).collect())
            }
            _ => Fix::Text("set subPath of the mount to the folder of the model that is meant".to_owned()),
        };
        let begin = match self.begins(mount) {
            Ok(begin) => begin,
            Err(why) => {
                return Some(Fault {
                    wrong: Wrong::Unreadable,
                    field: format!("volumeMounts[{index}].subPathExpr"),
                    value: mount.sub_path_expr.clone(),
                    detail: format!(
                        "cannot be read: {why}, so any folder of claim {claim:?} may be what is mounted"
                    ),
                    mended: false,
                    fix: Some(fix()),
                });
            }
        };
        let shows = |folder: &String| below(&begin, folder);
        let above: Vec<&String> = folders.iter().filter(|folder| below(folder, &begin)).collect();
        if folders.iter().any(shows) || self.is_named(reading, mount, &begin, &above) {
            return None;
        }
        let field = if mount.sub_path_expr.is_some() { "subPathExpr" } else { "subPath" };
        let shown = if begin.is_empty() { "all".to_owned() } else { format!("{:?}", &begin[1..]) };
        let names: Vec<String> = folders.iter().map(|folder| format!("{:?}", &folder[1..])).collect();
        Some(Fault {
            wrong: Wrong::Undeclared,
            field: format!("volumeMounts[{index}].{field}"),
            value: mount.sub_path_expr.clone().or_else(|| mount.sub_path.clone()),
            detail: format!(
                "mounts {shown} of claim {claim:?}, and what {} declares lies at {}",
                Facts::name_of(self.workload),
                names.join(", ")
            ),
            mended: false,
            fix: Some(fix()),
        })
    }

    /// Whether a mount of a folder above the model is that of a container which says what it takes from there; whether
    /// it may, is judged where it says so.
    fn is_named(&self, reading: &Reading<'_>, mount: &VolumeMount, begin: &str, above: &[&String]) -> bool {
        if above.is_empty() {
            return false;
        }
        let top = mount.mount_path.trim_end_matches('/');
        let loaded = reading.loads.iter().filter(|load| load.what != What::Part).map(|load| &*load.value);
        if loaded.chain(reading.cache.as_deref()).any(|path| below(path, top)) {
            return true;
        }
        let container = self.container;
        let texts = container.command.iter().chain(container.args);
        let mut texts = texts.chain(container.env.iter().filter_map(|variable| variable.value.as_ref()));
        texts
            .any(|text| above.iter().any(|folder| text.contains(&format!("{top}{}", &folder[begin.len()..]))))
    }
}
