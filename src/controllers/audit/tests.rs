//! What the audit says of namespaces, their workloads and what hangs on them.

use super::*;
use crate::gather::world::{Kind, Object};
use serde_json::{Value, json};

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A governed namespace with one workload, whose specification has `fields` besides what it needs.
fn world(fields: &Value) -> World {
    let mut spec = json!({"selector": {"matchLabels": {"app": "chat"}}, "type": "inference",
        "owners": {"accountable": {"user": "j"}}});
    json_patch::merge(&mut spec, fields);
    let mut world = World::default();
    world.apply(Object::Namespace(read(json!({"metadata": {"name": "chat", "labels": {
        "portcullis.dev/environment": "production", "portcullis.dev/sensitivity": "internal"}}}))));
    world.apply(Object::Workload(read(json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload",
        "metadata": {"name": "chat", "namespace": "chat"}, "spec": spec}))));
    world
}

#[test]
fn a_widened_role_fails_a_workload_without_pods() {
    let mut world = world(&json!({"type": "supporting"}));
    world.apply(Object::RoleBinding(read(json!({
        "metadata": {"name": "tools", "namespace": "chat"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tools"},
        "subjects": [{"kind": "ServiceAccount", "name": "chat", "namespace": "chat"}]}))));
    let role = |resource: &str| {
        Object::Role(read(json!({"metadata": {"name": "tools", "namespace": "chat"},
            "rules": [{"apiGroups": [""], "resources": [resource], "verbs": ["list"]}]})))
    };
    let state = |world: &World| {
        let (pods, known, waiting) = (Pods::default(), Signatures::new(), Waiting::new());
        let now = Timestamp::UNIX_EPOCH;
        let audited = audit_namespace(world, &pods, &known, "chat", now, &waiting, now);
        let states = &audited.workloads["chat"].states;
        let message = states.rows().into_iter().find(|row| row.control == "least-privilege-rbac");
        (states.by_control["least-privilege-rbac"], message.and_then(|row| row.message).unwrap_or_default())
    };
    assert_eq!(state(&world).0, State::Pass, "a role that does not exist grants nothing");
    let touched = world.apply(role("secrets"));
    assert!(touched.namespaces.contains("chat"));
    let (state, message) = state(&world);
    assert_eq!(state, State::Fail);
    assert!(message.contains("may list secrets"), "{message}");
}

#[test]
fn a_critical_workload_that_is_scaled_to_one_pod_is_told_of() {
    let world = world(&json!({"criticality": "critical"}));
    let mut pods = Pods::default();
    let pod = |name: &str, restart: &str| {
        read(json!({"metadata": {"name": name, "namespace": "chat", "labels": {"app": "chat"}},
            "spec": {"restartPolicy": restart, "containers": [{"name": "c", "image": "i"}]}}))
    };
    let told = |pods: &Pods| {
        let now = Timestamp::UNIX_EPOCH;
        let audited = audit_namespace(&world, pods, &Signatures::new(), "chat", now, &Waiting::new(), now);
        let worst = audited.workloads["chat"].states.worst.get("failover-ready");
        worst.is_some_and(|(_, finding)| finding.detail.starts_with("has one pod"))
    };
    assert!(!told(&pods), "what has no pods is not scaled to one");
    pods.apply(pod("job", "Never"));
    assert!(!told(&pods), "a Job ends");
    pods.apply(pod("a", "Always"));
    assert!(told(&pods));
    pods.apply(pod("b", "Always"));
    assert!(!told(&pods));
}

#[test]
fn a_prompt_whose_text_was_deleted_is_named_on_the_workload_and_on_the_row() {
    let digest = "sha256:959c5805d5c257bf3270f6fddfaaf04a72e02b5871d950154c42148369ee5378";
    let text = || {
        Object::ConfigMap(read(
            json!({"metadata": {"name": "texts", "namespace": "chat", "labels": {"portcullis.dev/prompt": "true"}},
            "immutable": true, "data": {"system.txt": "be kind"}}),
        ))
    };
    let mut world = world(&json!({"prompts": [{"name": "system"}]}));
    world.apply(Object::Prompt(read(json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIPrompt", "metadata": {"name": "system", "namespace": "chat"},
        "spec": {"digest": digest, "version": "1", "source": {"kind": "configMap", "name": "texts", "key": "system.txt"}}}))));
    world.apply(text());
    let mut pods = Pods::default();
    pods.apply(read(json!({"metadata": {"name": "chat-1", "namespace": "chat", "labels": {"app": "chat"}},
        "spec": {"containers": [{"name": "c", "image": "i"}],
                 "volumes": [{"name": "p", "configMap": {"name": "texts", "items": [{"key": "system.txt", "path": "s"}]}}]}})));
    // What is said on the workload, and on the row of the namespace.
    let said = |world: &World| {
        let now = Timestamp::UNIX_EPOCH;
        let audited = audit_namespace(world, &pods, &Signatures::new(), "chat", now, &Waiting::new(), now);
        let rows = audited.workloads["chat"].states.rows();
        let own = rows.into_iter().find(|row| row.control == "prompt-integrity").and_then(|row| row.message);
        let of_prompt = |(object, _, finding): &(String, State, Finding)| {
            let about = object == "chat/AIPrompt/system" && finding.control.id == "prompt-integrity";
            about.then(|| crate::render::words::sentence(finding))
        };
        (own.unwrap_or_default(), audited.findings.iter().find_map(of_prompt).unwrap_or_default())
    };
    assert_eq!(said(&world), (String::new(), String::new()));
    let touched = world.remove(Kind::ConfigMap, Some("chat"), "texts");
    assert!(touched.namespaces.contains("chat"), "the deletion is looked at with the next round");
    let (own, row) = said(&world);
    for message in [&own, &row] {
        assert!(message.contains("AIPrompt chat/system spec.source.name \"texts\""), "{message}");
        assert!(message.ends_with("it is gone or lost the label"), "{message}");
    }
    world.apply(text());
    assert_eq!(said(&world), (String::new(), String::new()), "restored, it is said no more");
}

#[test]
fn what_is_kept_of_a_blocked_workload_is_what_its_verdict_comes_from() {
    let mut states = States::judged();
    let all = states.by_control.len();
    states.by_control.insert("pod-hardened", State::Fail);
    states.by_control.insert("metrics-exposed", State::Warn);
    let kept = states.clone().gravest();
    assert_eq!(kept.by_control.into_iter().collect::<Vec<_>>(), [("pod-hardened", State::Fail)]);
    assert_eq!(States::judged().gravest().by_control.len(), all);
}

#[test]
fn a_verdict_outlives_the_last_pods_until_their_successors_were_looked_at() {
    let failing = || {
        let mut states = States::judged();
        states.by_control.insert("pod-hardened", State::Fail);
        AuditedWorkload { pods: 1, blocked: true, ..AuditedWorkload::of(states) }
    };
    let empty = || {
        let passing = AuditedWorkload { states: States::judged(), pods: 0, blocked: false, ..failing() };
        AuditedNamespace { workloads: BTreeMap::from([("chat".to_owned(), passing)]), ..Default::default() }
    };
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let mut first = empty();
    assert!(first.hold(&BTreeMap::from([("chat".to_owned(), failing())]), at(100)));
    assert_eq!(first.workloads["chat"].states.by_control["pod-hardened"], State::Fail);
    let mut later = empty();
    assert!(later.hold(&first.workloads, at(111)), "still held");
    let mut over = empty();
    assert!(!over.hold(&later.workloads, at(112)), "nothing was refused: it passes");
    assert_eq!(over.workloads["chat"].states.by_control["pod-hardened"], State::Pass);
    let mut back = empty();
    back.workloads.get_mut("chat").unwrap().pods = 1;
    assert!(!back.hold(&first.workloads, at(101)), "pods speak for themselves");
}
