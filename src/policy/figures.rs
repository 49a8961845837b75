//! Where the figures of a workload are read, and whom that lets in.

use serde_json::json;

use super::control::Report;
use super::facts::{Facts, Place, PodFacts, ServicePort};
use super::fix::Fix;
use crate::api;
use crate::api::workload::Manage;

/// The generated policy lets everybody read figures whom nobody is named for; on the port of an exposure that lets them call
/// it too.
pub(super) fn figures(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    pod: &PodFacts<'_>,
    report: &mut Report<'_>,
) {
    let metrics = workload.spec.monitoring.as_ref().and_then(|monitoring| monitoring.metrics.as_ref());
    let open = metrics.filter(|metrics| metrics.from.is_empty() && workload.spec.manage == Manage::Generate);
    let Some(metrics) = open else { return };
    let named = |port: &i32| {
        let mut ports = pod.containers.iter().flat_map(|container| container.ports);
        ports.any(|p| p.name.as_deref() == Some(metrics.port.as_str()) && p.container_port == *port)
    };
    for (index, exposure) in workload.spec.exposure.iter().enumerate() {
        if exposure.from.is_empty() || !named(&exposure.port.into()) {
            continue;
        }
        let what = format!(
            "holds nobody off port {}: figures are read there too (spec.monitoring.metrics.port {:?}), and whoever is in \
             the cluster may read them",
            exposure.port, metrics.port
        );
        let peer = json!([{"namespace": "NAMESPACE", "podLabels": {"LABEL": "VALUE"}}]);
        report
            .violated(Place::field(Facts::name_of(workload), format!("spec.exposure[{index}].from")), what)
            .under(&["CoP-6.1"])
            .fix(
                Fix::set_at(
                    &Place::field(Facts::name_of(workload), "spec.monitoring.metrics.from"),
                    "",
                    peer,
                )
                .after("serve figures on a port of their own, or name the pods that read them"),
            )
            .in_declaration(facts);
    }
}

/// Figures are read from inside the cluster, which the declaration says in another place.
pub(super) fn is_metrics(
    workload: &api::AIWorkload,
    port: &ServicePort,
    target: i32,
    pod: Option<&PodFacts<'_>>,
) -> bool {
    let Some(metrics) = workload.spec.monitoring.as_ref().and_then(|monitoring| monitoring.metrics.as_ref())
    else {
        return false;
    };
    let mut ports = pod.into_iter().flat_map(|pod| &pod.containers).flat_map(|container| container.ports);
    port.target.as_deref() == Some(metrics.port.as_str())
        || ports
            .any(|port| port.name.as_deref() == Some(metrics.port.as_str()) && port.container_port == target)
}
