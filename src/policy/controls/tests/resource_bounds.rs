//! Limits of every kind of container, of the pod, of devices, and of the namespace.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::{Matched, PodFacts, Stage, Subject};
use crate::policy::testing::{Bench, assert_fixed, assert_lines, lines, merged, read};

fn bounded() -> Value {
    json!({"cpu": "1", "memory": "64Mi", "ephemeral-storage": "1Gi"})
}

fn bench() -> Bench {
    Bench::new("production", "internal").workload(&json!({}))
}

#[test]
fn bounded_containers_pass() {
    let container = json!({"name": "c", "resources": {"limits": bounded()}});
    let pod = json!({"initContainers": [container], "containers": [container], "ephemeralContainers": [{"name": "e"}]});
    assert_lines(&bench().of_pod(&CONTROL, &pod), &[]);
}

#[test]
fn every_container_but_a_debugging_one_needs_every_limit() {
    let some = json!({"name": "s", "restartPolicy": "Always", "resources": {"limits": {"cpu": "1", "memory": "0"}, "requests": {"ephemeral-storage": "2Gi"}}});
    let pod = json!({"initContainers": [{"name": "i"}, some], "containers": [{"name": "c", "resources": {"limits": bounded()}}],
                     "ephemeralContainers": [{"name": "e"}]});
    let unset = "is not set, so the container may take all that the node has";
    assert_lines(
        &bench().of_pod(&CONTROL, &pod),
        &[
            &format!("spec.initContainers[0].resources.limits.cpu: {unset}"),
            &format!("spec.initContainers[0].resources.limits.memory: {unset}"),
            &format!("spec.initContainers[0].resources.limits[\"ephemeral-storage\"]: {unset}"),
            "spec.initContainers[1].resources.limits.memory \"0\": is no limit, because zero means none",
            &format!("spec.initContainers[1].resources.limits[\"ephemeral-storage\"]: {unset}"),
        ],
    );
    assert_fixed(&bench(), &CONTROL, &pod, &json!({}));
}

#[test]
fn the_suggested_limit_is_at_least_what_is_requested() {
    let pod = json!({"containers": [{"name": "c", "resources": {"requests": {"memory": "40Gi"}, "limits": {"cpu": "1", "ephemeral-storage": "1Gi"}}}]});
    let found = bench().of_pod(&CONTROL, &pod);
    assert_eq!(
        found[0].fix.as_ref().unwrap().to_string(),
        r#"set spec.containers[0].resources.limits.memory: "40Gi""#
    );
}

#[test]
fn a_limit_of_the_pod_bounds_its_containers() {
    let pod = json!({"resources": {"limits": {"cpu": "2", "memory": "1Gi"}},
                     "containers": [{"name": "c", "resources": {"limits": {"ephemeral-storage": "1Gi"}}}]});
    assert_lines(&bench().of_pod(&CONTROL, &pod), &[]);
}

#[test]
fn devices_are_limited_to_what_is_requested() {
    let mut limits = bounded();
    limits["nvidia.com/gpu"] = json!("1");
    let pod = |requested: &str| json!({"containers": [{"name": "c", "resources": {"limits": limits, "requests": {"nvidia.com/gpu": requested}}}]});
    assert_lines(&bench().of_pod(&CONTROL, &pod("1")), &[]);
    assert_lines(
        &bench().of_pod(&CONTROL, &pod("2")),
        &[r#"spec.containers[0].resources.limits["nvidia.com/gpu"] "1": does not equal the request, "2""#],
    );
    assert_fixed(&bench(), &CONTROL, &pod("2"), &json!({}));
}

#[test]
fn templates_wait_for_the_defaults_of_the_namespace() {
    let pod = json!({"containers": [{"name": "c", "resources": {"limits": {"memory": "1Gi", "ephemeral-storage": "1Gi"}}}]});
    let line = "spec.containers[0].resources.limits.cpu: is not set, so the container may take all that the node has";
    let mut bench = bench();
    bench.stage = Stage::Carried;
    assert_lines(&bench.of_pod(&CONTROL, &pod), &[line]);
    bench.namespace.limit_ranges.insert("defaults".to_owned());
    assert_lines(&bench.of_pod(&CONTROL, &pod), &[&format!("{line} [may arrive]")]);
    bench.stage = Stage::Entering;
    assert_lines(&bench.of_pod(&CONTROL, &pod), &[line]);
}

#[test]
fn the_namespace_has_a_quota_and_defaults() {
    let mut bench = bench();
    assert_lines(
        &bench.judge(&CONTROL, Subject::Namespace),
        &[
            "Namespace chat-prod: has no ResourceQuota, so it may fill the cluster [namespace]",
            "Namespace chat-prod: has no LimitRange, so containers get no limits by default [namespace]",
        ],
    );
    bench.namespace.resource_quotas.insert("q".to_owned());
    bench.namespace.limit_ranges.insert("l".to_owned());
    assert_lines(&bench.judge(&CONTROL, Subject::Namespace), &[]);
}

#[test]
fn work_that_ends_has_a_time_limit() {
    let bench = Bench::new("training", "internal").workload(&json!({"type": "training"}));
    let pod = json!({"containers": [{"name": "c", "resources": {"limits": bounded()}}]});
    let found = |spec: &Value, kind: &'static str, limit: Option<i64>| {
        let (spec, labels, none) = (read(spec.clone()), read(json!({"app": "chat"})), read(json!({})));
        let mut pod = PodFacts::new(&spec, &labels, &none);
        (pod.kind, pod.around.deadline) = (kind, limit);
        pod.matched = Matched::One(&bench.namespace.workloads["chat"]);
        lines(&bench.judge(&CONTROL, Subject::Pod(pod)))
    };
    let missing =
        "spec.activeDeadlineSeconds: is not set, nor a time limit of the Job, so the work may go on for ever";
    assert_eq!(found(&pod, "Job", None), [missing]);
    assert_eq!(found(&pod, "Job", Some(0)), [missing]);
    assert!(found(&pod, "Job", Some(60)).is_empty() && found(&pod, "Deployment", None).is_empty());
    let limited = merged(pod, &json!({"activeDeadlineSeconds": 60}));
    assert!(found(&limited, "CronJob", None).is_empty());
}
