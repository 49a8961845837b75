//! `network-default-deny`: nothing speaks in a governed namespace unless a declaration opens the way.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::json;

use super::environment_boundary::along_the_path;
use crate::api;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::facts::{Closing, Cluster, Facts, Namespace, Place, PodFacts, Subject};
use crate::policy::fix::Fix;
use crate::policy::selector;

/// The namespace denies by default, and no policy beside the generated ones opens it wide.
pub(super) const CONTROL: Control = Control {
    id: "network-default-deny",
    title: "each governed namespace denies traffic by default, and no other network policy opens it wide again",
    room: Room::Segregation,
    wave: 1,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-6.2", "CoP-6.1", "CoP-5.4", "NCSC-V2.6"],
    why: "network policies add up: a single wide one undoes all the others",
    remedy: "let the operator generate the policies from spec.exposure, spec.services and spec.externalApis, and name \
        peers narrowly in any other",
    gaps: &[],
    limits: &[
        "policies of kinds that only some network plugins know are not read",
        "whether policies are kept is tried between pods of the operator, not on every node",
    ],
    check: Check::Rule(check),
};

/// One part in 64 of all addresses: what one direction may open at most.
const WIDEST_V4: u64 = 1 << 26;
const WIDEST_V6: u128 = 1 << 122;

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    if !facts.namespace.governed() {
        return;
    }
    match &facts.subject {
        Subject::Namespace => {
            default_deny(facts, report);
            if let Some(network) = &facts.cluster.network {
                kept(facts, &[("ingress", &network.ingress), ("egress", &network.egress)], report);
            }
            for (name, policy) in facts.namespace.network_policies.iter().filter(|(_, p)| !p.generated) {
                written(facts, name, &policy.spec, Some(facts.cluster), report);
                into_quarantine(facts, name, &policy.spec, report);
            }
        }
        Subject::NetworkPolicy { name, spec, generated: false } => {
            written(facts, name, spec, Some(facts.cluster), report);
            into_quarantine(facts, name, spec, report);
        }
        Subject::Pod(pod) => union(facts, pod, report),
        _ => {}
    }
}

/// Policies are words until the network plugin keeps them: what was tried on ports that policies close, by direction.
pub(super) fn kept(facts: &Facts<'_>, tried: &[(&str, &Closing)], report: &mut Report<'_>) {
    let among = |wanted: fn(&Closing) -> bool| -> Vec<&str> {
        tried.iter().filter(|(_, closing)| wanted(closing)).map(|(name, _)| *name).collect()
    };
    let place = || Place::object(format!("Namespace {}", facts.namespace.name));
    let open = among(|closing| *closing == Closing::Open);
    if !open.is_empty() {
        report
            .violated(
                place(),
                format!(
                    "the network plugin of this cluster does not keep network policies: {} that a policy closes was open",
                    open.join(" and ")
                ),
            )
            .fix(Fix::Text("ask those who keep the cluster for a network plugin that keeps network policies".to_owned()))
            .of_namespace();
        return;
    }
    let unknown = tried.iter().find_map(|(_, closing)| match closing {
        Closing::Unknown(why) => Some(why),
        _ => None,
    });
    if let Some(why) = unknown {
        report
            .unknown(place(), format!("whether network policies are kept here cannot be told: {why}"))
            .fix(Fix::Text(
                "see whether the pods of the operator run, and whether networkPolicy.enabled of the chart is on".to_owned(),
            ))
            .of_namespace();
    }
}

/// The policy that closes the namespace is there and closes it.
fn default_deny(facts: &Facts<'_>, report: &mut Report<'_>) {
    let object = format!("NetworkPolicy {}/{}", facts.namespace.name, api::common::DEFAULT_DENY);
    let Some(policy) = facts.namespace.network_policies.get(api::common::DEFAULT_DENY) else {
        report
            .violated(
                Place::object(object),
                "is missing, so pods that no other policy selects reach everything",
            )
            .fix(Fix::Text(
                "the operator generates it; see whether its pods run and may write network policies"
                    .to_owned(),
            ))
            .of_namespace();
        return;
    };
    let spec = &policy.spec;
    if spec.pod_selector.as_ref().is_some_and(|selector| *selector != LabelSelector::default()) {
        report
            .violated(Place::field(&object, "spec.podSelector"), "does not select every pod of the namespace")
            .of_namespace();
    }
    let [ingress, egress] = directions(spec);
    for (on, name) in [(ingress.on, "Ingress"), (egress.on, "Egress")] {
        if !on {
            report
                .violated(
                    Place::field(&object, "spec.policyTypes"),
                    format!("does not close direction {name}"),
                )
                .of_namespace();
        }
    }
    for opening in openings(spec, facts.namespace, None) {
        report.violated(Place::field(&object, opening.path), opening.what).of_namespace();
    }
}

/// A policy that somebody wrote.
fn written(
    facts: &Facts<'_>,
    name: &str,
    spec: &NetworkPolicySpec,
    cluster: Option<&Cluster>,
    report: &mut Report<'_>,
) {
    // From the last rule to the first, so that the removal of one leaves the places of the others.
    for opening in openings(spec, facts.namespace, cluster).into_iter().rev() {
        let place = Place::field(format!("NetworkPolicy {}/{name}", facts.namespace.name), &opening.path);
        let place = match &opening.value {
            Some(value) => place.value(value),
            None => place,
        };
        let finding = report.violated(place, opening.what);
        if matches!(facts.subject, Subject::NetworkPolicy { .. }) {
            finding.fix(Fix::remove(opening.rule));
        } else {
            finding.fix(delete(facts, name));
        }
    }
}

/// Policies add up, so one that opens anything for pods in quarantine undoes the quarantine.
fn into_quarantine(facts: &Facts<'_>, name: &str, spec: &NetworkPolicySpec, report: &mut Report<'_>) {
    let quarantined = facts.namespace.workloads.iter().filter(|(_, workload)| workload.is_quarantined());
    for (workload, declared) in quarantined {
        let labels = &declared.spec.selector.match_labels;
        if spec.pod_selector.as_ref().is_some_and(|selector| !selector::may_match(selector, labels)) {
            continue;
        }
        let opened =
            directions(spec).into_iter().filter(|direction| direction.on && !direction.rules.is_empty());
        let opened: Vec<&str> = opened.map(|direction| direction.name).collect();
        if opened.is_empty() {
            continue;
        }
        let place =
            Place::field(format!("NetworkPolicy {}/{name}", facts.namespace.name), "spec.podSelector");
        let what = format!(
            "opens {} for pods of AIWorkload {workload:?}, which is in quarantine",
            opened.join(" and ")
        );
        let finding = report.violated(place, what);
        finding.fix(match labels.first_key_value() {
            Some((key, value)) if matches!(facts.subject, Subject::NetworkPolicy { .. }) => {
                let apart = json!({"key": key, "operator": "NotIn", "values": [value]});
                Fix::set("spec.podSelector.matchExpressions[+]", apart)
            }
            _ => delete(facts, name),
        });
    }
}

fn delete(facts: &Facts<'_>, name: &str) -> Fix {
    Fix::Command(format!("kubectl delete networkpolicy {name} -n {}", facts.namespace.name))
}

/// Policies add up: what counts for a pod is the union of all that select it.
fn union(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    let mut sums = [Nets::default(), Nets::default()];
    let mut names = Vec::new();
    for (name, policy) in facts.namespace.network_policies.iter().filter(|(_, p)| !p.generated) {
        if policy.spec.pod_selector.as_ref().is_some_and(|s| !selector::matches(s, pod.labels)) {
            continue;
        }
        let wide = openings(&policy.spec, facts.namespace, None);
        for opening in &wide {
            let place = Place::field(format!("NetworkPolicy {}/{name}", facts.namespace.name), &opening.path);
            let place = match &opening.value {
                Some(value) => place.value(value),
                None => place,
            };
            report
                .violated(place, format!("{}, and the policy selects this pod", opening.what))
                .fix(delete(facts, name))
                .may_arrive();
        }
        if wide.is_empty() {
            names.push(name.as_str());
            for (sum, direction) in sums.iter_mut().zip(directions(&policy.spec)) {
                for peers in direction.rules.iter().flatten() {
                    peers.iter().filter_map(block).for_each(|net| sum.add(net));
                }
            }
        }
    }
    for (sum, direction) in sums.into_iter().zip(["ingress", "egress"]) {
        if sum.wide() {
            report
                .violated(
                    Place::object(format!(
                        "NetworkPolicies {}/{{{}}}",
                        facts.namespace.name,
                        names.join(", ")
                    )),
                    format!("together open {direction} of this pod to more than one in 64 of all addresses"),
                )
                .fix(Fix::Text("name only the address ranges that the workload needs".to_owned()))
                .may_arrive();
        }
    }
}

/// One direction of a policy: whether it is closed by default, and the peers of each rule.
struct Direction<'a> {
    name: &'static str,
    peers: &'static str,
    on: bool,
    rules: Vec<Option<&'a [NetworkPolicyPeer]>>,
}

/// Ingress and egress, with the API's defaults.
fn directions(spec: &NetworkPolicySpec) -> [Direction<'_>; 2] {
    let types = spec.policy_types.as_deref().unwrap_or_default();
    let named = |name: &str| types.iter().any(|t| t == name);
    let ingress = spec.ingress.iter().flatten().map(|rule| rule.from.as_deref()).collect();
    let egress = spec.egress.iter().flatten().map(|rule| rule.to.as_deref()).collect();
    [
        Direction {
            name: "ingress",
            peers: "from",
            on: types.is_empty() || named("Ingress"),
            rules: ingress,
        },
        Direction {
            name: "egress",
            peers: "to",
            on: named("Egress") || (types.is_empty() && spec.egress.is_some()),
            rules: egress,
        },
    ]
}

/// A rule that opens more than it should.
struct Opening {
    /// The rule.
    rule: String,
    /// The very field.
    path: String,
    value: Option<String>,
    what: String,
}

/// What is too wide in `spec`. With `cluster`, namespaces that a selector reaches across a boundary are found too.
fn openings(spec: &NetworkPolicySpec, own: &Namespace, cluster: Option<&Cluster>) -> Vec<Opening> {
    let mut out = Vec::new();
    for direction in directions(spec) {
        let mut sum = Nets::default();
        let mut last = String::new();
        for (index, peers) in direction.rules.iter().enumerate().filter(|_| direction.on) {
            let rule = format!("spec.{}[{index}]", direction.name);
            let path = format!("{rule}.{}", direction.peers);
            let peers = peers.unwrap_or_default();
            if peers.is_empty() {
                let what =
                    format!("names no peer, so it opens {} for everybody and everything", direction.name);
                out.push(Opening { rule, path, value: None, what });
                continue;
            }
            for (number, peer) in peers.iter().enumerate() {
                let path = format!("{path}[{number}]");
                if let Some((field, value, what)) = wide_peer(peer, &direction, own, cluster) {
                    out.push(Opening { rule: rule.clone(), path: format!("{path}.{field}"), value, what });
                } else if let Some(net) = block(peer) {
                    sum.add(net);
                    last.clone_from(&rule);
                }
            }
        }
        if sum.wide() {
            let what = format!(
                "together with the other ranges opens {} for more than one in 64 of all addresses",
                direction.name
            );
            out.push(Opening { path: last.clone(), rule: last, value: None, what });
        }
    }
    out
}

/// What is too wide about a peer: the field, its value, and the fault.
fn wide_peer(
    peer: &NetworkPolicyPeer,
    direction: &Direction<'_>,
    own: &Namespace,
    cluster: Option<&Cluster>,
) -> Option<(&'static str, Option<String>, String)> {
    if let Some(ip) = &peer.ip_block {
        let Ok(net) = ip.cidr.parse::<IpNet>() else {
            return Some(("ipBlock.cidr", Some(ip.cidr.clone()), "is no range of addresses".to_owned()));
        };
        let mut alone = Nets::default();
        alone.add(net);
        let what = || format!("opens {} for more than one in 64 of all addresses", direction.name);
        return alone.wide().then(|| ("ipBlock.cidr", Some(ip.cidr.clone()), what()));
    }
    let Some(namespaces) = &peer.namespace_selector else {
        let all = peer.pod_selector.as_ref().is_none_or(unlimited);
        let what = || format!("opens {} for every pod of the namespace, whatever it will be", direction.name);
        return all.then(|| ("podSelector", None, what()));
    };
    if unlimited(namespaces) {
        let what = format!("opens {} for pods of any namespace", direction.name);
        return Some(("namespaceSelector", None, what));
    }
    let mine = own.environment()?;
    for other in cluster?.namespaces.values().filter(|n| n.name != own.name) {
        let Some(theirs) = other.environment().filter(|_| selector::matches(namespaces, &other.labels))
        else {
            continue;
        };
        let inward = direction.name == "ingress";
        let (from, to) = if inward { (mine, theirs) } else { (theirs, mine) };
        if !along_the_path(from, to) {
            let what = format!(
                "opens {} between {mine} and namespace {:?} of environment {theirs}",
                direction.name, other.name
            );
            return Some(("namespaceSelector", None, what));
        }
        if !inward && other.sensitivity() < own.sensitivity() {
            let what = format!(
                "opens egress to namespace {:?}, which is for less sensitive data; declare it in spec.services",
                other.name
            );
            return Some(("namespaceSelector", None, what));
        }
    }
    None
}

/// Whether an egress peer is too wide by itself, which this control says already.
pub(super) fn wide_peer_of_egress(peer: &NetworkPolicyPeer, own: &Namespace) -> bool {
    let egress = Direction { name: "egress", peers: "to", on: true, rules: Vec::new() };
    wide_peer(peer, &egress, own, None).is_some()
}

/// The same of an ingress peer.
pub(super) fn wide_peer_of_ingress(peer: &NetworkPolicyPeer, own: &Namespace) -> bool {
    let ingress = Direction { name: "ingress", peers: "from", on: true, rules: Vec::new() };
    wide_peer(peer, &ingress, own, None).is_some()
}

/// Whether a selector says nothing of what it selects: it is empty, or only excludes, or asks for a label that all have.
fn unlimited(selector: &LabelSelector) -> bool {
    let by_label = selector.match_labels.as_ref().is_some_and(|labels| !labels.is_empty());
    let by_term = selector.match_expressions.iter().flatten().any(|term| match term.operator.as_str() {
        "In" => true,
        "Exists" => term.key != "kubernetes.io/metadata.name",
        _ => false,
    });
    !by_label && !by_term
}

fn block(peer: &NetworkPolicyPeer) -> Option<IpNet> {
    peer.ip_block.as_ref()?.cidr.parse().ok()
}

/// Ranges of addresses, added up; exceptions do not count, because what is left of everything is still wide.
#[derive(Default)]
struct Nets {
    v4: Vec<Ipv4Net>,
    v6: Vec<Ipv6Net>,
}

impl Nets {
    fn add(&mut self, net: IpNet) {
        match net.trunc() {
            IpNet::V4(net) => self.v4.push(net),
            IpNet::V6(net) => self.v6.push(net),
        }
    }

    fn wide(&self) -> bool {
        let v4: u64 = Ipv4Net::aggregate(&self.v4).iter().map(|net| 1 << (32 - net.prefix_len())).sum();
        let v6 = Ipv6Net::aggregate(&self.v6)
            .iter()
            .map(|net| 1_u128.checked_shl(u32::from(128 - net.prefix_len())).unwrap_or(u128::MAX))
            .fold(0, u128::saturating_add);
        v4 >= WIDEST_V4 || v6 >= WIDEST_V6
    }
}

#[cfg(test)]
#[path = "tests/network_default_deny.rs"]
mod tests;
