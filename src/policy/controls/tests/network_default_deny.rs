//! Wide policies in every way they can be written, and narrow ones that pass.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::{Closing, Network, Subject};
use crate::policy::fix::Fix;
use crate::policy::testing::{Bench, assert_lines, lines, namespace, read};

fn bench() -> Bench {
    Bench::new("production", "confidential")
}

#[track_caller]
fn of_policy(bench: &Bench, spec: Value) -> Vec<String> {
    let spec = read(spec);
    lines(&bench.judge(&CONTROL, Subject::NetworkPolicy { name: "mine", spec: &spec, generated: false }))
}

#[test]
fn the_namespace_is_closed_by_its_default_policy() {
    let closed = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
    assert_lines(
        &bench().policy("portcullis-default-deny", true, closed).judge(&CONTROL, Subject::Namespace),
        &[],
    );
    assert_lines(
        &bench().judge(&CONTROL, Subject::Namespace),
        &[
            "NetworkPolicy chat-prod/portcullis-default-deny: is missing, so pods that no other policy selects reach everything [namespace]",
        ],
    );
    let half =
        json!({"podSelector": {"matchLabels": {"a": "b"}}, "policyTypes": ["Ingress"], "ingress": [{}]});
    assert_lines(
        &bench().policy("portcullis-default-deny", true, half).judge(&CONTROL, Subject::Namespace),
        &[
            "NetworkPolicy chat-prod/portcullis-default-deny spec.podSelector: does not select every pod of the namespace [namespace]",
            "NetworkPolicy chat-prod/portcullis-default-deny spec.policyTypes: does not close direction Egress [namespace]",
            "NetworkPolicy chat-prod/portcullis-default-deny spec.ingress[0].from: names no peer, so it opens ingress for everybody and everything [namespace]",
        ],
    );
}

#[test]
fn a_wide_policy_is_refused_however_it_is_written() {
    let everybody = "names no peer, so it opens egress for everybody and everything";
    let addresses = "opens egress for more than one in 64 of all addresses";
    for (to, path, what) in [
        (json!(null), "to", everybody),
        (json!([]), "to", everybody),
        (
            json!([{"podSelector": {}}]),
            "to[0].podSelector",
            "opens egress for every pod of the namespace, whatever it will be",
        ),
        (
            json!([{"namespaceSelector": {}}]),
            "to[0].namespaceSelector",
            "opens egress for pods of any namespace",
        ),
        (
            json!([{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}]),
            "to[0].namespaceSelector",
            "opens egress for pods of any namespace",
        ),
        (
            json!([{"namespaceSelector": {"matchExpressions": [{"key": "x", "operator": "NotIn", "values": ["y"]}]}}]),
            "to[0].namespaceSelector",
            "opens egress for pods of any namespace",
        ),
        (
            json!([{"namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "Exists"}]}}]),
            "to[0].namespaceSelector",
            "opens egress for pods of any namespace",
        ),
        (json!([{"ipBlock": {"cidr": "0.0.0.0/0"}}]), "to[0].ipBlock.cidr \"0.0.0.0/0\"", addresses),
        (json!([{"ipBlock": {"cidr": "::/0"}}]), "to[0].ipBlock.cidr \"::/0\"", addresses),
        (json!([{"ipBlock": {"cidr": "128.0.0.0/1"}}]), "to[0].ipBlock.cidr \"128.0.0.0/1\"", addresses),
        (
            json!([{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]),
            "to[0].ipBlock.cidr \"0.0.0.0/0\"",
            addresses,
        ),
        (json!([{"ipBlock": {"cidr": "all"}}]), "to[0].ipBlock.cidr \"all\"", "is no range of addresses"),
    ] {
        let rule = if to.is_null() { json!({"ports": [{"port": 443}]}) } else { json!({"to": to}) };
        let found =
            of_policy(&bench(), json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [rule]}));
        assert_eq!(found, [format!("NetworkPolicy chat-prod/mine spec.egress[0].{path}: {what}")]);
    }
    let found = of_policy(&bench(), json!({"podSelector": {}, "ingress": [{}]}));
    assert_eq!(
        found,
        [
            "NetworkPolicy chat-prod/mine spec.ingress[0].from: names no peer, so it opens ingress for everybody and everything"
        ]
    );
}

#[test]
fn halves_and_quarters_add_up() {
    let quarters: Vec<Value> =
        (0..16).map(|i| json!({"to": [{"ipBlock": {"cidr": format!("{}.0.0.0/8", i * 16)}}]})).collect();
    let found =
        of_policy(&bench(), json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": quarters}));
    assert_eq!(
        found,
        [
            "NetworkPolicy chat-prod/mine spec.egress[15]: together with the other ranges opens egress for more than one in 64 of all addresses"
        ]
    );
}

#[test]
fn a_narrow_policy_passes() {
    let spec = json!({"podSelector": {"matchLabels": {"app": "chat"}}, "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateway"}}}]}],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}, {"ipBlock": {"cidr": "fd00::/8"}},
                           {"podSelector": {"matchLabels": {"app": "db"}}}]}]});
    assert_eq!(of_policy(&bench(), spec), [""; 0]);
    // What the policy does not close it does not open either.
    let inactive = json!({"podSelector": {}, "policyTypes": ["Ingress"], "egress": [{}]});
    assert_eq!(of_policy(&bench(), inactive), [""; 0]);
}

#[test]
fn a_selector_may_not_cross_a_boundary() {
    let bench = bench()
        .beside(namespace("lab", "research", "confidential"))
        .beside(namespace("open", "production", "public"))
        .beside(namespace("peer", "production", "confidential"));
    let to = |name: &str| {
        json!({"podSelector": {}, "policyTypes": ["Egress"],
               "egress": [{"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}]}]})
    };
    assert_eq!(of_policy(&bench, to("peer")), [""; 0]);
    assert_eq!(
        of_policy(&bench, to("lab")),
        [
            "NetworkPolicy chat-prod/mine spec.egress[0].to[0].namespaceSelector: opens egress between production and namespace \"lab\" of environment research"
        ]
    );
    assert_eq!(
        of_policy(&bench, to("open")),
        [
            "NetworkPolicy chat-prod/mine spec.egress[0].to[0].namespaceSelector: opens egress to namespace \"open\", which is for less sensitive data; declare it in spec.services"
        ]
    );
}

#[test]
fn abuse_040_the_union_of_policies_counts_for_a_pod() {
    let wide = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]});
    let pod = json!({"containers": []});
    let bench = bench().policy("allow-all", false, wide.clone());
    let found = bench.of_pod(&CONTROL, &pod);
    assert_lines(
        &found,
        &[
            "NetworkPolicy chat-prod/allow-all spec.egress[0].to: names no peer, so it opens egress for everybody and everything, and the policy selects this pod [may arrive]",
        ],
    );
    assert_eq!(
        found[0].fix,
        Some(Fix::Command("kubectl delete networkpolicy allow-all -n chat-prod".into()))
    );
    // What the operator generated, and what selects other pods, does not count.
    let elsewhere =
        json!({"podSelector": {"matchLabels": {"app": "other"}}, "policyTypes": ["Egress"], "egress": [{}]});
    let bench =
        Bench::new("production", "internal").policy("chat", true, wide).policy("other", false, elsewhere);
    assert_lines(&bench.of_pod(&CONTROL, &pod), &[]);
}

#[test]
fn many_narrow_policies_add_up_for_a_pod() {
    let mut bench = Bench::new("production", "internal");
    for i in 0..4 {
        let spec = json!({"podSelector": {}, "policyTypes": ["Egress"],
                          "egress": [{"to": [{"ipBlock": {"cidr": format!("{}.0.0.0/8", 20 + i)}}]}]});
        bench = bench.policy(&format!("p{i}"), false, spec);
    }
    assert_lines(
        &bench.of_pod(&CONTROL, &json!({"containers": []})),
        &[
            "NetworkPolicies chat-prod/{p0, p1, p2, p3}: together open egress of this pod to more than one in 64 of all addresses [may arrive]",
        ],
    );
}

#[test]
fn the_removal_of_each_wide_rule_mends_the_policy() {
    let mut object = json!({"spec": {"podSelector": {}, "policyTypes": ["Egress"],
        "egress": [{}, {"to": [{"podSelector": {"matchLabels": {"a": "b"}}}]}, {"to": []}]}});
    let bench = bench();
    let spec = read(object["spec"].clone());
    for finding in
        bench.judge(&CONTROL, Subject::NetworkPolicy { name: "mine", spec: &spec, generated: false })
    {
        assert!(finding.fix.unwrap().apply(&mut object));
    }
    assert_eq!(of_policy(&bench, object["spec"].clone()), [""; 0]);
}

#[test]
fn policies_that_nothing_keeps_are_told() {
    let closed = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
    let mut bench = bench().policy("portcullis-default-deny", true, closed);
    let mut judged = |ingress: Closing, egress: Closing| {
        bench.cluster.network = Some(Network { ingress, egress });
        lines(&bench.judge(&CONTROL, Subject::Namespace))
    };
    assert_eq!(judged(Closing::Closed, Closing::Closed), [""; 0]);
    assert_eq!(
        judged(Closing::Open, Closing::Open),
        [
            "Namespace chat-prod: the network plugin of this cluster does not keep network policies: ingress and egress that a policy \
          closes was open [namespace]"
        ]
    );
    assert_eq!(
        judged(Closing::Closed, Closing::Unknown("it was not tried yet")),
        [
            "Namespace chat-prod: whether network policies are kept here cannot be told: it was not tried yet [unknown] [namespace]"
        ]
    );
}

#[test]
fn a_policy_that_opens_a_way_for_pods_in_quarantine_undoes_it() {
    let quarantine = json!({"lifecycle": {"state": "Quarantined"}});
    let narrow = |pods: Value| {
        let peers = json!([{"podSelector": {"matchLabels": {"app": "db"}}}]);
        json!({"podSelector": pods, "policyTypes": ["Egress", "Ingress"], "egress": [{"to": peers}]})
    };
    let chat = json!({"matchLabels": {"app": "chat"}});
    let said = "opens egress for pods of AIWorkload \"chat\", which is in quarantine";
    let quarantined = bench().workload(&quarantine);
    for (pods, told) in [
        (chat.clone(), true),
        (json!({}), true),
        (json!({"matchLabels": {"tier": "web"}}), true),
        (json!({"matchLabels": {"app": "search"}}), false),
    ] {
        let spec = read(narrow(pods.clone()));
        let found = quarantined
            .judge(&CONTROL, Subject::NetworkPolicy { name: "mine", spec: &spec, generated: false });
        assert_eq!(found.len(), usize::from(told), "{pods}: {:?}", lines(&found));
        let Some(finding) = found.first() else { continue };
        assert!(lines(&found)[0].contains("which is in quarantine"), "{:?}", lines(&found));
        // The printed way out leaves the pods alone.
        let mut policy = json!({"spec": narrow(pods)});
        assert!(finding.fix.as_ref().unwrap().apply(&mut policy));
        assert_eq!(of_policy(&quarantined, policy["spec"].clone()), [""; 0]);
    }
    assert_eq!(of_policy(&bench().workload(&json!({})), narrow(chat.clone())), [""; 0]);
    let closed = json!({"podSelector": chat, "policyTypes": ["Egress", "Ingress"]});
    assert_eq!(of_policy(&quarantined, closed), [""; 0]);
    // What was there before the quarantine is told of by the audit.
    let all = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
    let audited = bench().workload(&quarantine).policy("portcullis-default-deny", true, all).policy(
        "before",
        false,
        narrow(json!({})),
    );
    assert_lines(
        &audited.judge(&CONTROL, Subject::Namespace),
        &[&format!("NetworkPolicy chat-prod/before spec.podSelector: {said}")],
    );
}
