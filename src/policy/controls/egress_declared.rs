//! `egress-declared`: traffic leaves only for declared APIs, data services and sinks, with data that may go there.

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::{
    NetworkPolicyEgressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::network_default_deny::{kept, wide_peer_of_egress};
use serde_json::json;

use crate::api;
use crate::api::common::Sensitivity;
use crate::api::workload::{ExternalApi, ServiceUse, SinkKind, WorkloadType};
use crate::policy::addresses::{self, Whereabouts};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::data::Data;
use crate::policy::facts::{Facts, Namespace, Place, PodFacts, Subject};
use crate::policy::fix::Fix;
use crate::policy::selector;

/// What a pod calls is declared, and so is what a network policy opens for it.
pub(super) const CONTROL: Control = Control {
    id: "egress-declared",
    title: "traffic leaves only for declared APIs, data services and sinks, with data that may go there",
    room: Room::Segregation,
    wave: 1,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-2.3", "CoP-2.5", "NCSC-V2.6"],
    why: "an undeclared way out is how prompts, weights and personal data leave unseen",
    remedy: "declare the destination under spec.externalApis with its supplier, data classes and consent, \
        or remove the address from the pod",
    gaps: &[],
    limits: &["addresses that an image has built in are not seen, only the network policy stops these"],
    check: Check::Rule(check),
};

/// The label by which a namespace is named in a selector.
pub(super) const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::Pod(_) => {
            let Some((pod, workload)) = facts.ai_pod() else { return };
            calls(facts, pod, workload, report);
            resolved(facts, pod, workload, report);
            for (name, policy) in facts.namespace.network_policies.iter().filter(|(_, p)| !p.generated) {
                let selects =
                    policy.spec.pod_selector.as_ref().is_none_or(|s| selector::matches(s, pod.labels));
                if selects {
                    opened(facts, name, &policy.spec, workload, report);
                }
            }
            apis(facts, workload, report);
        }
        Subject::Namespace if facts.namespace.governed() => {
            if let Some(network) = &facts.cluster.network {
                kept(facts, &[("egress", &network.egress)], report);
            }
        }
        Subject::Workload(workload) if workload.spec.type_ != WorkloadType::Supporting => {
            apis(facts, workload, report);
        }
        Subject::NetworkPolicy { name, spec, generated: false } if facts.namespace.governed() => {
            for workload in whom(facts.namespace, spec.pod_selector.as_ref()) {
                opened(facts, name, spec, workload, report);
            }
        }
        _ => {}
    }
}

/// Every address in variables and command lines.
fn calls(facts: &Facts<'_>, pod: &PodFacts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    for container in &pod.containers {
        for given in addresses::given(container) {
            called(facts, pod, workload, &|| container.path(&given.field), given.host, report);
        }
    }
}

/// Whoever answers for names, and the addresses that the pod takes for names without asking.
fn resolved(facts: &Facts<'_>, pod: &PodFacts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let servers = pod.spec.dns_config.iter().flat_map(|config| config.nameservers.iter().flatten());
    for (index, address) in servers.enumerate() {
        let path = || format!("spec.dnsConfig.nameservers[{index}]");
        called(facts, pod, workload, &path, address, report);
    }
    for (index, alias) in pod.spec.host_aliases.iter().flatten().enumerate() {
        let path = || format!("spec.hostAliases[{index}].ip");
        called(facts, pod, workload, &path, &alias.ip, report);
    }
}

fn called(
    facts: &Facts<'_>,
    pod: &PodFacts<'_>,
    workload: &api::AIWorkload,
    path: &dyn Fn() -> String,
    host: &str,
    report: &mut Report<'_>,
) {
    // A Service may stand for a host outside, which is then what is called.
    let host = stands_for(facts, host).unwrap_or(host);
    if addresses::whereabouts(host) != Whereabouts::Outside || of_cluster(facts, host) {
        return;
    }
    let address = host.parse::<std::net::IpAddr>().ok();
    let declared = workload.spec.external_apis.iter().any(|api| {
        api.host.eq_ignore_ascii_case(host)
            || address.is_some_and(|address| {
                api.cidrs.iter().any(|cidr| cidr.parse::<IpNet>().is_ok_and(|net| net.contains(&address)))
            })
    });
    if declared {
        return;
    }
    report
        .violated(
            pod.at(path()).value(host),
            format!("is no host among spec.externalApis of {}", Facts::name_of(workload)),
        )
        .under(&["CoP-2.3"])
        .fix(
            Fix::set_at(
                &Place::field(
                    Facts::name_of(workload),
                    "spec.externalApis[+]",
                ),
                "",
                json!({"name": "NAME", "host": host, "port": 443, "supplierRef": "SUPPLIER", "dataClasses": ["SENSITIVITY"]}),
            )
            .after("remove the address, or declare who answers there and which data it gets"),
        )
        .may_arrive();
}

/// The outside host that a Service of this cluster stands for.
fn stands_for<'a>(facts: &Facts<'a>, host: &str) -> Option<&'a str> {
    let mut words = host.split('.');
    let service = words.next()?;
    let namespace = facts.namespace_named(words.next())?;
    namespace.services.get(service)?.external_name.as_deref()
}

/// Whether a host of two words is a Service of a namespace of this cluster, as its resolver would find it.
fn of_cluster(facts: &Facts<'_>, host: &str) -> bool {
    let mut words = host.split('.');
    let (Some(service), Some(namespace), None) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    facts.namespace_named(Some(namespace)).is_some_and(|known| known.services.contains_key(service))
}

/// What a policy that somebody wrote opens for a workload is no more than the workload declares.
fn opened(
    facts: &Facts<'_>,
    name: &str,
    spec: &NetworkPolicySpec,
    workload: &api::AIWorkload,
    report: &mut Report<'_>,
) {
    for (index, rule) in spec.egress.iter().flatten().enumerate() {
        // A rule without peers opens everything, as network-default-deny says.
        for (number, peer) in rule.to.iter().flatten().enumerate() {
            if wide_peer_of_egress(peer, facts.namespace) || covered(facts, workload, rule, peer) {
                continue;
            }
            let path = format!("spec.egress[{index}].to[{number}]");
            let object = format!("NetworkPolicy {}/{name}", facts.namespace.name);
            let finding = report.violated(
                Place::field(&object, &path).value(shown(peer)),
                format!(
                    "opens a way out that {} does not declare in spec.services or spec.externalApis, or with more ports",
                    Facts::name_of(workload)
                ),
            );
            finding.under(&["CoP-2.5", "NCSC-V2.6"]);
            if facts.pod().is_some() {
                finding.may_arrive().fix(Fix::Command(format!(
                    "kubectl delete networkpolicy {name} -n {}",
                    facts.namespace.name
                )));
            } else {
                let means = meant(spec, workload);
                finding.fix(Fix::Text(format!(
                    "{means}declare the destination in {}, which opens the way, and leave it out here",
                    Facts::name_of(workload)
                )));
            }
        }
    }
}

/// The declarations for AI whose pods are selected, or may be; without a selector all are.
pub(super) fn whom<'a>(home: &'a Namespace, wanted: Option<&LabelSelector>) -> Vec<&'a api::AIWorkload> {
    let all = home.workloads.values().map(AsRef::as_ref);
    let mut meant = match wanted {
        None => all.collect(),
        Some(wanted) => {
            let declared = |workload: &'a api::AIWorkload| (workload, &workload.spec.selector.match_labels);
            selector::meant(wanted, all.map(declared))
        }
    };
    meant.retain(|workload| workload.spec.type_ != WorkloadType::Supporting);
    meant
}

/// What helps first where it is not certain that a policy means the pods of `workload`: it selects all pods, or some by labels
/// that the declaration does not name.
pub(super) fn meant(spec: &NetworkPolicySpec, workload: &api::AIWorkload) -> &'static str {
    let labels = &workload.spec.selector.match_labels;
    let certain = |s: &LabelSelector| {
        let wanted = s.match_labels.iter().flatten().count() + s.match_expressions.iter().flatten().count();
        let named = s.match_labels.as_ref().is_some_and(|wanted| selector::contains(labels, wanted));
        named || (wanted > 0 && !selector::asks_for_more(s, labels))
    };
    let unclear = !spec.pod_selector.as_ref().is_some_and(certain);
    if unclear { "if other pods are meant, name their own labels in spec.podSelector too; or " } else { "" }
}

/// A peer, as a message shows it.
pub(super) fn shown(peer: &NetworkPolicyPeer) -> String {
    if let Some(block) = &peer.ip_block {
        return block.cidr.clone();
    }
    let labels = |selector: &LabelSelector| {
        let labels = selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
        let terms = selector.match_expressions.iter().flatten().map(|term| {
            let values = term.values.as_deref().unwrap_or_default().join("|");
            format!("{} {} {values}", term.key, term.operator).trim_end().to_owned()
        });
        labels.chain(terms).collect::<Vec<_>>().join(",")
    };
    let namespaces = peer.namespace_selector.as_ref().map(|s| format!("namespaces {} ", labels(s)));
    let pods = peer.pod_selector.as_ref().map(|s| format!("pods {}", labels(s)));
    format!("{}{}", namespaces.unwrap_or_default(), pods.unwrap_or_default()).trim_end().to_owned()
}

fn covered(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    rule: &NetworkPolicyEgressRule,
    peer: &NetworkPolicyPeer,
) -> bool {
    let ports = rule.ports.as_deref().unwrap_or_default();
    if let Some(block) = &peer.ip_block {
        let Ok(net) = block.cidr.parse::<IpNet>() else { return true };
        return workload.spec.external_apis.iter().any(|api| {
            within(ports, &[api.port])
                && api.cidrs.iter().any(|cidr| cidr.parse::<IpNet>().is_ok_and(|wide| wide.contains(&net)))
        });
    }
    let namespace = match peer.namespace_selector.as_ref() {
        None => Some(facts.namespace.name.as_str()),
        Some(selector) => {
            selector.match_labels.as_ref().and_then(|labels| labels.get(NAMESPACE_NAME)).map(String::as_str)
        }
    };
    // Names have to be resolved before anything can be called.
    if namespace == Some("kube-system") && within(ports, &[53]) {
        return true;
    }
    let sink =
        workload.spec.monitoring.as_ref().and_then(|m| m.io_log.as_ref()).and_then(|log| log.sink.as_ref());
    let to_sink = sink.filter(|sink| sink.kind == SinkKind::Service).and_then(|sink| sink.ref_.as_deref());
    if namespace.is_some() && to_sink.map(|name| name.split('/').next().unwrap_or_default()) == namespace {
        return true;
    }
    workload.spec.services.iter().any(|service| {
        within(ports, &service.ports)
            && namespace == Some(service.namespace.as_deref().unwrap_or(&facts.namespace.name))
            && narrower(peer, service)
    })
}

/// Whether every pod that the peer selects is one of the service.
fn narrower(peer: &NetworkPolicyPeer, service: &ServiceUse) -> bool {
    let Some(labels) = peer.pod_selector.as_ref().and_then(|selector| selector.match_labels.as_ref()) else {
        return false;
    };
    selector::contains(&service.pod_labels, labels)
}

/// Whether a rule opens no other ports than these; one without ports opens all.
fn within(ports: &[NetworkPolicyPort], declared: &[u16]) -> bool {
    let inside = |port: &NetworkPolicyPort| match (&port.port, port.end_port) {
        (Some(IntOrString::Int(from)), None) => declared.iter().any(|port| i32::from(*port) == *from),
        (Some(IntOrString::Int(from)), Some(to)) => {
            to.saturating_sub(*from) < 64
                && (*from..=to).all(|port| declared.iter().any(|d| i32::from(*d) == port))
        }
        _ => false,
    };
    !ports.is_empty() && ports.iter().all(inside)
}

/// What a declaration says of the programs outside.
fn apis(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    if workload.spec.external_apis.is_empty() {
        return;
    }
    let at = |path: String| Place::field(Facts::name_of(workload), path);
    let read = workload.spec.datasets.iter();
    let read = read.filter_map(|used| {
        let data = Data::named(facts, used.namespace.as_deref(), &used.name)?;
        Some((data.sensitivity()?, data))
    });
    let reachable = read.max_by_key(|(sensitivity, _)| *sensitivity);
    for (index, api) in workload.spec.external_apis.iter().enumerate() {
        for (number, cidr) in api.cidrs.iter().enumerate() {
            let path = format!("spec.externalApis[{index}].cidrs[{number}]");
            let Ok(net) = cidr.parse::<IpNet>() else {
                report
                    .violated(
                        at(path.clone()).value(cidr),
                        "is no range of addresses, so nothing is opened for it",
                    )
                    .under(&["CoP-2.3"])
                    .fix(
                        Fix::set_at(&at(path), "", "ADDRESS-RANGE")
                            .after("write an address and a prefix, such as 192.0.2.0/24"),
                    )
                    .in_declaration(facts);
                continue;
            };
            if wide(&net) {
                report
                    .violated(at(path.clone()).value(cidr), "opens more than one in 64 of all addresses")
                    .under(&["CoP-2.3"])
                    .fix(
                        Fix::set_at(&at(path), "", "ADDRESS-RANGE")
                            .after(format!("name only the ranges that {} answers from", api.host)),
                    )
                    .in_declaration(facts);
            }
        }
        let stated = api.data_classes.iter().max().copied();
        let cause = match (stated, &reachable) {
            (Some(class), _) if class >= Sensitivity::Confidential => format!("{class} data goes there"),
            (_, Some((class, data))) if *class >= Sensitivity::Confidential => {
                format!("{}, which is {class}, is within reach", data.object())
            }
            (None, _) => match facts.namespace.sensitivity() {
                Some(class) if class >= Sensitivity::Confidential => {
                    format!(
                        "spec.externalApis[{index}].dataClasses is not set, and the namespace holds {class} data"
                    )
                }
                _ => continue,
            },
            _ => continue,
        };
        agreed(facts, workload, (index, api), &cause, report);
    }
}

/// Whether a range is wider than any one program needs.
fn wide(net: &IpNet) -> bool {
    net.prefix_len() < 6
}

/// Sensitive data leaves only after somebody signed in and said yes.
fn agreed(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    (index, api): (usize, &ExternalApi),
    cause: &str,
    report: &mut Report<'_>,
) {
    let consent = api.consent.as_ref();
    if consent.is_some_and(|consent| consent.by.is_some()) {
        return;
    }
    let login = consent.and_then(|consent| consent.login_required) == Some(true);
    let confirm = consent.and_then(|consent| consent.confirm_required) == Some(true);
    for (field, _) in
        [("loginRequired", login), ("confirmRequired", confirm)].into_iter().filter(|(_, on)| !on)
    {
        let path = format!("spec.externalApis[{index}].consent.{field}");
        let finding = report
            .violated(Place::field(Facts::name_of(workload), &path), format!("is not true, though {cause}"));
        finding.under(&["CoP-2.3"]).in_declaration(facts);
        if facts.pod().is_some() {
            finding.fix(Fix::Text(format!(
                "set {path} of {} to true once users do so, or name in consent.by what confirms instead",
                Facts::name_of(workload)
            )));
        } else {
            finding.fix(Fix::set(path, true));
        }
    }
}

#[cfg(test)]
#[path = "tests/egress_declared.rs"]
mod tests;
