//! What a network policy that somebody wrote lets in to a workload is no more than the workload declares.

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::egress_declared::{NAMESPACE_NAME, meant, shown, whom};
use super::super::network_default_deny::wide_peer_of_ingress;
use crate::api;
use crate::api::common::Audience;
use crate::api::workload::{Metrics, Peer};
use crate::policy::control::Report;
use crate::policy::facts::{Facts, Labels, Place, PodFacts};
use crate::policy::fix::Fix;
use crate::policy::selector;

/// As many ports of one range are looked at.
const MOST: usize = 64;

/// A policy that somebody writes.
pub(super) fn written(facts: &Facts<'_>, name: &str, spec: &NetworkPolicySpec, report: &mut Report<'_>) {
    for workload in whom(facts.namespace, spec.pod_selector.as_ref()) {
        opened(&Asked { facts, workload, pod: None }, name, spec, report);
    }
}

/// The policies that select a pod.
pub(super) fn of_pod(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    pod: &PodFacts<'_>,
    report: &mut Report<'_>,
) {
    for (name, policy) in facts.namespace.network_policies.iter().filter(|(_, policy)| !policy.generated) {
        let spec = &policy.spec;
        if spec.pod_selector.as_ref().is_none_or(|wanted| selector::matches(wanted, pod.labels)) {
            opened(&Asked { facts, workload, pod: Some(pod) }, name, spec, report);
        }
    }
}

fn opened(asked: &Asked<'_, '_>, name: &str, spec: &NetworkPolicySpec, report: &mut Report<'_>) {
    let types = spec.policy_types.as_deref().unwrap_or_default();
    if !types.is_empty() && !types.iter().any(|direction| direction == "Ingress") {
        return;
    }
    let owner = Facts::name_of(asked.workload);
    let home = asked.facts.namespace;
    for (index, rule) in spec.ingress.iter().flatten().enumerate() {
        let ports = rule.ports.as_deref().unwrap_or_default();
        // What names no peer or too many is said by network-default-deny.
        for (number, peer) in rule.from.iter().flatten().enumerate() {
            if wide_peer_of_ingress(peer, home) {
                continue;
            }
            let undeclared = || ports.iter().filter(|port| !asked.covers(peer, port));
            let which = match (ports, undeclared().next()) {
                ([], _) => "every port".to_owned(),
                (_, None) => continue,
                (_, Some(first)) => match undeclared().count() - 1 {
                    0 => port_shown(first),
                    more => format!("{} and {more} more", port_shown(first)),
                },
            };
            let object = format!("NetworkPolicy {}/{name}", home.name);
            let place =
                Place::field(&object, format!("spec.ingress[{index}].from[{number}]")).value(shown(peer));
            let finding = report.violated(
                place,
                format!(
                    "lets in on {which}, which {owner} does not declare in spec.exposure for such callers"
                ),
            );
            finding.under(&["CoP-6.1"]);
            if asked.pod.is_some() {
                finding
                    .may_arrive()
                    .fix(Fix::Command(format!("kubectl delete networkpolicy {name} -n {}", home.name)));
                continue;
            }
            let figures = match asked.metrics() {
                Some(metrics) => format!(" (figures: port {:?}, by its name)", metrics.port),
                None => String::new(),
            };
            finding.fix(Fix::Text(format!(
                "{}declare port and callers in spec.exposure of {owner}, which opens the way, or name only what it \
                 declares{figures}",
                meant(spec, asked.workload)
            )));
        }
    }
}

fn port_shown(port: &NetworkPolicyPort) -> String {
    match (&port.port, port.end_port) {
        (None, _) => "every port".to_owned(),
        (Some(IntOrString::Int(from)), Some(to)) => format!("ports {from} to {to}"),
        (Some(IntOrString::Int(port)), None) => format!("port {port}"),
        (Some(IntOrString::String(name)), _) => format!("port {name:?}"),
    }
}

/// A declaration that a policy is held against, with the pod where there is one.
struct Asked<'f, 'a> {
    facts: &'f Facts<'a>,
    workload: &'f api::AIWorkload,
    pod: Option<&'f PodFacts<'a>>,
}

impl Asked<'_, '_> {
    fn metrics(&self) -> Option<&Metrics> {
        self.workload.spec.monitoring.as_ref()?.metrics.as_ref()
    }

    /// The numbers that the pod has for the name of a port.
    fn numbers<'n>(&'n self, name: &'n str) -> impl Iterator<Item = i32> + 'n {
        let containers = self.pod.into_iter().flat_map(|pod| &pod.containers);
        let ports = containers.flat_map(|container| container.ports);
        ports.filter(move |port| port.name.as_deref() == Some(name)).map(|port| port.container_port)
    }

    /// Whether the declaration lets in `peer` on `port`.
    fn covers(&self, peer: &NetworkPolicyPeer, port: &NetworkPolicyPort) -> bool {
        match (&port.port, port.end_port) {
            (Some(IntOrString::Int(from)), end) => {
                let to = end.unwrap_or(*from);
                let few = usize::try_from(to.saturating_sub(*from)).is_ok_and(|more| more < MOST);
                few && (*from..=to).all(|number| self.covers_number(peer, number))
            }
            (Some(IntOrString::String(name)), _) => {
                self.metrics().is_some_and(|metrics| metrics.port == *name && self.reads(metrics, peer))
                    || match self.pod {
                        Some(_) => self.numbers(name).all(|number| self.covers_number(peer, number)),
                        // Which number it is only pods know; whoever may come to no port at all is not let in.
                        None => self.exposed(peer, None),
                    }
            }
            (None, _) => false,
        }
    }

    fn covers_number(&self, peer: &NetworkPolicyPeer, number: i32) -> bool {
        let read = |metrics: &Metrics| match self.pod {
            Some(_) => self.numbers(&metrics.port).any(|known| known == number) && self.reads(metrics, peer),
            // Without the pod, those who are named for figures alone may mean these.
            None => !metrics.from.is_empty() && self.among(&metrics.from, peer),
        };
        self.exposed(peer, Some(number)) || self.metrics().is_some_and(read)
    }

    fn exposed(&self, peer: &NetworkPolicyPeer, number: Option<i32>) -> bool {
        self.workload.spec.exposure.iter().any(|exposure| {
            let beyond = matches!(exposure.audience, Some(Audience::Partner | Audience::Public));
            number.is_none_or(|number| i32::from(exposure.port) == number)
                && if exposure.from.is_empty() {
                    beyond || within_reach(peer)
                } else {
                    self.among(&exposure.from, peer)
                }
        })
    }

    /// Whether `peer` may read figures: whoever is named, or anybody in the cluster.
    fn reads(&self, metrics: &Metrics, peer: &NetworkPolicyPeer) -> bool {
        if metrics.from.is_empty() { within_reach(peer) } else { self.among(&metrics.from, peer) }
    }

    /// Whether every pod that `peer` selects is one of those declared.
    fn among(&self, declared: &[Peer], peer: &NetworkPolicyPeer) -> bool {
        if peer.ip_block.is_some() {
            return false;
        }
        let home = self.facts.namespace.name.as_str();
        let namespaces = match &peer.namespace_selector {
            None => vec![home],
            Some(wanted) => self.selected(wanted),
        };
        let pods = peer.pod_selector.as_ref().map_or_else(Vec::new, selector::choices);
        let known = |namespace: &str, labels: &Labels| {
            declared.iter().any(|one| {
                one.namespace.as_deref().unwrap_or(home) == namespace
                    && selector::contains(&one.pod_labels, labels)
            })
        };
        !namespaces.is_empty()
            && !pods.is_empty()
            && namespaces.iter().all(|namespace| pods.iter().all(|labels| known(namespace, labels)))
    }

    /// The namespaces that are meant: by name, or those of other labels that are there.
    fn selected<'n>(&'n self, wanted: &'n LabelSelector) -> Vec<&'n str> {
        if let Some(name) = wanted.match_labels.as_ref().and_then(|labels| labels.get(NAMESPACE_NAME)) {
            return vec![name];
        }
        let mut terms = wanted.match_expressions.iter().flatten();
        if let Some(term) = terms.find(|term| term.key == NAMESPACE_NAME && term.operator == "In") {
            return term.values.iter().flatten().map(String::as_str).collect();
        }
        let all = self.facts.cluster.namespaces.values().chain([self.facts.namespace]);
        all.filter(|one| selector::matches(wanted, &one.labels)).map(|one| one.name.as_str()).collect()
    }
}

/// Whether a peer is in the cluster, or among addresses that no network outside routes to.
fn within_reach(peer: &NetworkPolicyPeer) -> bool {
    let Some(block) = &peer.ip_block else { return true };
    let inside = ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
    let Ok(net) = block.cidr.parse::<IpNet>() else { return false };
    inside.iter().filter_map(|range| range.parse::<IpNet>().ok()).any(|range| range.contains(&net))
}

#[cfg(test)]
#[path = "inlets_tests.rs"]
mod tests;
