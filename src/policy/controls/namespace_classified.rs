//! `namespace-classified`: every governed namespace says what it is for and how sensitive it is.

use crate::api::{self, Environment, Sensitivity};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::facts::{Facts, Place, Subject};
use crate::policy::fix::Fix;

/// AI lives only in namespaces with both labels.
pub(super) const CONTROL: Control = Control {
    id: "namespace-classified",
    title: "AI workloads and assets live only in namespaces labelled with environment and sensitivity",
    room: Room::Segregation,
    wave: 1,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-6.2", "NCSC-G4"],
    why: "boundaries between environments and sensitivities are drawn by namespace",
    remedy: "label the namespace with portcullis.dev/environment and portcullis.dev/sensitivity",
    gaps: &[],
    limits: &[],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    if !matches!(
        facts.subject,
        Subject::Pod(_) | Subject::Workload(_) | Subject::Model(_) | Subject::Namespace
    ) {
        return;
    }
    let namespace = facts.namespace;
    let known = |values: &[&str]| values.join("|");
    let environments: Vec<&str> = Environment::ALL.iter().map(|e| e.as_str()).collect();
    let sensitivities: Vec<&str> = Sensitivity::ALL.iter().map(|s| s.as_str()).collect();
    for (label, valid, values) in [
        (api::common::LABEL_ENVIRONMENT, namespace.environment().is_some(), known(&environments)),
        (api::common::LABEL_SENSITIVITY, namespace.sensitivity().is_some(), known(&sensitivities)),
    ] {
        if valid {
            continue;
        }
        let place =
            Place::field(format!("Namespace {}", namespace.name), format!("metadata.labels[{label:?}]"));
        let fix = Fix::Command(format!("kubectl label namespace {} {label}={values}", namespace.name));
        match namespace.labels.get(label) {
            Some(value) => report.violated(place.value(value), "is none of the known values").fix(fix),
            None => report.violated(place, "is missing").fix(fix),
        };
    }
    if namespace.name == "cluster" && namespace.governed() {
        report.violated(
            Place::object("Namespace cluster"),
            "cannot be governed: its row in the audit would be taken for the whole cluster's",
        );
    }
    pod_security(facts, report);
}

/// The namespace asks the API server's own Pod Security admission for the same as pod-hardened does.
fn pod_security(facts: &Facts<'_>, report: &mut Report<'_>) {
    const LABEL: &str = "pod-security.kubernetes.io/enforce";
    if !matches!(facts.subject, Subject::Namespace) {
        return;
    }
    let level = facts.namespace.labels.get(LABEL).map(String::as_str);
    if level != Some("restricted") {
        let place = Place::field(
            format!("Namespace {}", facts.namespace.name),
            format!("metadata.labels[{LABEL:?}]"),
        );
        let place = match level {
            Some(level) => place.value(level),
            None => place,
        };
        report
            .violated(place, "does not ask for Pod Security level restricted")
            .fix(Fix::Command(format!(
                "kubectl label namespace {} {LABEL}=restricted --overwrite",
                facts.namespace.name
            )))
            .of_namespace();
    }
}
