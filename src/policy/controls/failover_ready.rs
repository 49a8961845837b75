//! `failover-ready`: a critical workload has a tested and independent alternative.

use crate::api::AIWorkload;
use crate::api::common::Criticality;
use crate::api::workload::FailoverKind;
use crate::policy::control::{Check, Control, Gap, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Question, Shortfall};
use crate::policy::facts::{Facts, Place};

/// What is critical has something tried that takes over.
pub(super) const CONTROL: Control = Control {
    id: "failover-ready",
    title: "a critical workload has a tested and independent alternative",
    room: Room::Lifecycle,
    wave: 3,
    modes: Modes::new(Mode::Warn, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-7.3"],
    why: "the day a supplier is suspended is too late to look for another",
    remedy: "declare spec.recovery.failover with a target of other lineage and record FailoverTest",
    gaps: &[Gap {
        provisions: &["CoP-7.3"],
        missing: "spread and replicas of the workload are not looked at",
    }],
    limits: &["whether the alternative keeps all controls is seen on its own row, not here"],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    if workload.spec.criticality != Criticality::Critical {
        return;
    }
    let mut short = Shortfall::new(facts);
    let failover = workload.spec.recovery.as_ref().and_then(|recovery| recovery.failover.as_ref());
    match failover {
        None => {
            short.require(false, || "spec.recovery.failover names nothing that takes over".to_owned());
            short.fix("set spec.recovery.failover with a kind, a ref and a trigger");
        }
        Some(failover) if failover.kind == FailoverKind::AlternateWorkload => {
            let name = failover.ref_.as_deref().unwrap_or_default();
            let name = name.strip_prefix("AIWorkload/").unwrap_or(name);
            match facts.namespace.workloads.get(name) {
                None => {
                    short.require(false, || {
                        format!("spec.recovery.failover names AIWorkload {name:?}, which does not exist")
                    });
                }
                Some(_) if workload.metadata.name.as_deref() == Some(name) => {
                    short.require(false, || "spec.recovery.failover names the workload itself".to_owned());
                }
                Some(other) => {
                    for shared in shared(facts, workload, other) {
                        short.require(false, || {
                            format!(
                                "AIWorkload {name:?}, which takes over, falls with it: both rest on {shared}"
                            )
                        });
                    }
                }
            }
            short.fix("name an AIWorkload of another model and supplier in spec.recovery.failover.ref");
        }
        Some(_) => {}
    }
    if failover.is_some() {
        short.ask(Question::of("FailoverTest", About::Workload(workload)).passed());
    }
    short.tell(report, Place::object(Facts::name_of(workload)), &["CoP-7.3"]);
}

/// What two workloads have in common: models by digest, and suppliers.
fn shared(facts: &Facts<'_>, one: &AIWorkload, other: &AIWorkload) -> Vec<String> {
    let models = |workload: &AIWorkload| -> Vec<_> {
        workload.spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name)).collect()
    };
    let mut out = Vec::new();
    for a in models(one) {
        for b in models(other) {
            if a.spec.digest.is_some() && a.spec.digest == b.spec.digest {
                out.push(format!("{}", About::Model(a)));
            } else if let Some(supplier) =
                a.spec.supplier_ref.as_deref().filter(|s| b.spec.supplier_ref.as_deref() == Some(*s))
            {
                out.push(format!("AISupplier {supplier:?}"));
            }
        }
    }
    out.sort_unstable();
    out.dedup();
    out
}
