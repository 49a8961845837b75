//! `untrusted-artifact-sandboxed`: what nobody has scanned is tried where it can do no harm.

use crate::api;
use crate::api::Environment;
use crate::api::model::{ModelSourceKind, Origin};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Question, Shortfall};
use crate::policy::facts::{Facts, Place, PodFacts};
use crate::policy::fix::Fix;

/// Outside models run elsewhere only once a scan of their bytes was clean.
pub(super) const CONTROL: Control = Control {
    id: "untrusted-artifact-sandboxed",
    title: "unscanned outside artifacts run only in quarantine, sandboxed, without network or token",
    room: Room::RuntimeHardening,
    wave: 3,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-2.6-n1", "CoP-6.2-n1"],
    why: "the first load of a foreign model is the moment it attacks",
    remedy: "set the namespace's environment to quarantine and a sandbox runtimeClassName, and add \
        ArtifactScan evidence once the scan is clean",
    gaps: &[],
    limits: &[
        "that a runtime class is a sandbox is taken from its name or from the profile, not from the node",
    ],
    check: Check::Rule(check),
};

/// Names of runtime classes that are sandboxes, unless a profile names others.
const SANDBOXES: &[&str] = &["gvisor", "runsc", "kata", "firecracker", "confidential"];

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some((pod, workload)) = facts.ai_pod() else { return };
    for model in workload.spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name)) {
        let outside = matches!(model.spec.origin, Some(Origin::External | Origin::OpenSource));
        let here = model.spec.source.as_ref().is_some_and(|source| source.kind != ModelSourceKind::Api);
        if outside && here {
            judge(facts, pod, workload, model, report);
        }
    }
}

fn judge(
    facts: &Facts<'_>,
    pod: &PodFacts<'_>,
    workload: &api::AIWorkload,
    model: &api::AIModel,
    report: &mut Report<'_>,
) {
    let mut short = Shortfall::new(facts);
    if short.ask(Question::of("ArtifactScan", About::Model(model)).bound().passed()).is_some() {
        return;
    }
    let name = model.metadata.name.as_deref().unwrap_or_default();
    let object = format!("AIModel {}/{name}", facts.namespace.name);
    if facts.namespace.environment() != Some(Environment::Quarantine) {
        short.fix("until then run it in a quarantine namespace under a sandbox runtime class");
        short.tell(report, Place::object(object), &["CoP-2.6-n1"]);
        return;
    }
    // In quarantine no scan is needed, but walls are.
    sandboxed(facts, pod, name, report);
    let open =
        [("externalApis", workload.spec.external_apis.len()), ("services", workload.spec.services.len())];
    for (field, _) in open.into_iter().filter(|(_, count)| *count > 0) {
        report
            .violated(
                Place::field(Facts::name_of(workload), format!("spec.{field}")),
                format!("opens the network for {object}, which nobody has scanned"),
            )
            .under(&["CoP-2.6-n1"])
            .fix(Fix::Text(format!("remove spec.{field} until the scan is clean")))
            .in_declaration(facts);
    }
    if pod.spec.automount_service_account_token != Some(false) {
        let path = "spec.automountServiceAccountToken";
        report
            .violated(
                pod.at(path),
                format!("hands a token to what {object} may run, which nobody has scanned"),
            )
            .under(&["CoP-2.6-n1"])
            .fix(Fix::set(format!("{}{path}", pod.prefix), false));
    }
}

fn sandboxed(facts: &Facts<'_>, pod: &PodFacts<'_>, model: &str, report: &mut Report<'_>) {
    let class = pod.spec.runtime_class_name.as_deref().unwrap_or_default();
    let stated: Vec<&str> = facts.settings.words("sandbox.runtimeClasses").collect();
    let fits = if stated.is_empty() {
        SANDBOXES
            .iter()
            .any(|known| class == *known || class.strip_prefix(known).is_some_and(|r| r.starts_with('-')))
    } else {
        stated.contains(&class)
    };
    if fits {
        return;
    }
    let wanted = stated.first().copied().unwrap_or(SANDBOXES[0]);
    let path = "spec.runtimeClassName";
    report
        .violated(
            pod.at(path).value(class),
            format!("is no sandbox, and AIModel {model:?} comes from outside and nobody has scanned it"),
        )
        .under(&["CoP-2.6-n1", "CoP-6.2-n1"])
        .fix(Fix::set(format!("{}{path}", pod.prefix), wanted));
}

#[cfg(test)]
#[path = "tests/untrusted_artifact_sandboxed.rs"]
mod tests;
