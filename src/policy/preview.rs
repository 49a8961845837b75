//! Whether others could try a state of a workload before it reached production.

use super::facts::{Cluster, Facts, Namespace, Settings};
use crate::api::common::Audience;
use crate::api::workload::{Exposure, Lineage};
use crate::api::{AIWorkload, Environment};

/// Days for which the same parts have to have run in staging, where no profile says otherwise.
const DAYS: i64 = 3;

/// The ways in of a workload of production that people outside use.
pub fn outside(workload: &AIWorkload) -> impl Iterator<Item = &Exposure> {
    workload.spec.exposure.iter().filter(|exposure| exposure.audience >= Some(Audience::Partner))
}

/// What the operator remembers of the composition of a workload.
#[must_use]
pub fn lineage(workload: &AIWorkload) -> Option<&Lineage> {
    workload.status.as_ref()?.lineage.as_ref()
}

/// Whether the present composition took the place of another one.
#[must_use]
pub fn changed(facts: &Facts<'_>, workload: &AIWorkload) -> bool {
    lineage(workload)
        .is_some_and(|known| known.former_digest.is_some() || known.composition_digest != facts.composition())
}

/// The models and prompts of a workload with their digests, as a status names what was good.
#[must_use]
pub fn parts(workload: &AIWorkload, namespace: &Namespace) -> Vec<String> {
    let digest = |digest: Option<&String>| digest.map_or("undigested", String::as_str).to_owned();
    let models = workload.spec.models.iter().map(|used| {
        let known = namespace.models.get(&used.name).and_then(|model| model.spec.digest.as_ref());
        format!("AIModel/{}@{}", used.name, digest(known))
    });
    let prompts = workload.spec.prompts.iter().map(|used| {
        let known = namespace.prompts.get(&used.name).and_then(|prompt| prompt.spec.digest.as_ref());
        format!("AIPrompt/{}@{}", used.name, digest(known))
    });
    models.chain(prompts).collect()
}

/// Whether a workload of the same name in staging has run these models and prompts, and kept what is enforced there, for
/// long enough. Looks at each namespace: for changes, not for each pod.
#[must_use]
pub fn ran(
    workload: &AIWorkload,
    namespace: &Namespace,
    cluster: &Cluster,
    settings: &Settings,
    now: jiff::Timestamp,
) -> bool {
    let (wanted, days) = (parts(workload, namespace), settings.days("previewPeriod", DAYS));
    let name = workload.metadata.name.as_deref().unwrap_or_default();
    let same = |staged: &AIWorkload| {
        let Some(good) = staged.status.as_ref().and_then(|status| status.known_good.as_ref()) else {
            return false;
        };
        let assets =
            good.parts.iter().filter(|part| part.starts_with("AIModel/") || part.starts_with("AIPrompt/"));
        let long = super::dates::from(&good.since)
            .is_some_and(|since| now.duration_since(since).as_hours() >= days * 24);
        long && wanted.iter().eq(assets)
    };
    let staging = cluster.namespaces.values().filter(|home| home.environment() == Some(Environment::Staging));
    staging.filter_map(|home| home.workloads.get(name)).any(|staged| same(staged))
}
