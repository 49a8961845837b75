//! `failover-ready`: a critical workload has a tested and independent alternative.

use serde_json::json;

use crate::api::AIWorkload;
use crate::api::common::{Criticality, OverallVerdict};
use crate::api::workload::FailoverKind;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::evidence::{About, Question, Shortfall};
use crate::policy::facts::{Autoscaler, Facts, Place, PodFacts};
use crate::policy::fix::Fix;

/// What is critical has something tried that takes over.
pub(super) const CONTROL: Control = Control {
    id: "failover-ready",
    title: "a critical workload has a tested and independent alternative",
    room: Room::Lifecycle,
    wave: 3,
    modes: Modes::new(Mode::Warn, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-7.3"],
    why: "the day a supplier is suspended is too late to look for another",
    remedy: "declare spec.recovery.failover with a target of other lineage and record FailoverTest; run two pods on \
        different nodes, by spec.replicas or by a HorizontalPodAutoscaler with minReplicas of 2 or more",
    gaps: &[],
    limits: &["what takes over by hand or without AI is not in the cluster, and is taken from its test"],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    if workload.spec.criticality != Criticality::Critical {
        return;
    }
    if facts.lasting_pods == Some(1) {
        report
            .violated(
                Place::object(Facts::name_of(workload)),
                "has one pod, so nothing is left of a critical workload while it is away",
            )
            .fix(Fix::Text("scale what carries it to two or more, on different nodes".to_owned()));
    }
    let mut short = Shortfall::new(facts);
    let failover = workload.spec.recovery.as_ref().and_then(|recovery| recovery.failover.as_ref());
    match failover {
        None => {
            short.require(false, || "spec.recovery.failover names nothing that takes over".to_owned());
            short.fix("decide who or what takes over, and when");
            short.set(
                Facts::name_of(workload),
                "spec.recovery.failover",
                json!({"kind": "manual", "ref": "WHO-OR-WHAT", "trigger": "manual"}),
            );
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
                    short.require(!fails(other), || {
                        format!(
                            "AIWorkload {name:?}, which takes over, does not keep what is enforced itself"
                        )
                    });
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
    if let Some(pod) = facts.governed_pod() {
        spread(facts, pod, report);
    }
}

/// Whether the audit found that a workload breaks something enforced.
fn fails(workload: &AIWorkload) -> bool {
    workload.status.as_ref().is_some_and(|status| status.verdict == Some(OverallVerdict::Fail))
}

/// One node that fails takes not all of what is critical with it.
fn spread(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    let Some(replicas) = pod.around.replicas.filter(|_| matches!(pod.kind, "Deployment" | "StatefulSet"))
    else {
        return;
    };
    // How many there are is up to what scales the workload, wherever there is such.
    let scaler = scaler(facts, pod);
    let (least, place) = match scaler {
        Some((name, scaler)) => {
            let object = format!("HorizontalPodAutoscaler {}/{name}", facts.namespace.name);
            (scaler.least, Place::field(object, "spec.minReplicas"))
        }
        None => (replicas, Place { path: Some("spec.replicas".to_owned()), ..Place::default() }),
    };
    if least == 1 {
        let fix = Fix::set_at(&place, "", 2);
        report
            .violated(
                place.value("1"),
                "leaves nothing while the one pod of a critical workload is away; a HorizontalPodAutoscaler \
                    created before with minReplicas of 2 or more counts as well",
            )
            .fix(fix);
    }
    let apart = pod.spec.affinity.as_ref().is_some_and(|affinity| affinity.pod_anti_affinity.is_some());
    let constraints = pod.spec.topology_spread_constraints.as_deref().unwrap_or_default();
    if least > 1 && !apart && constraints.is_empty() {
        report
            .violated(
                pod.at("spec.topologySpreadConstraints"),
                "is not set, so all pods of a critical workload may stand on one node",
            )
            .fix(Fix::set(
                format!("{}spec.topologySpreadConstraints", pod.prefix),
                json!([{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
                        "labelSelector": {"matchLabels": pod.labels}}]),
            ));
    }
}

/// What decides how many pods the object around `pod` has.
fn scaler<'a>(facts: &Facts<'a>, pod: &PodFacts<'_>) -> Option<(&'a String, &'a Autoscaler)> {
    let mut all = facts.namespace.autoscalers.iter();
    all.find(|(_, scaler)| scaler.kind == pod.kind && scaler.name == pod.name && !pod.name.is_empty())
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
