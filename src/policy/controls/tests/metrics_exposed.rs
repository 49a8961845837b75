//! The port, the monitor and the annotations, each there and each missing.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::PodMonitor;
use crate::policy::testing::{Bench, assert_fixed, assert_lines, namespace, read};

fn bench() -> Bench {
    Bench::new("production", "internal").workload(&json!({"monitoring": {"metrics": {"port": "metrics"}}}))
}

fn pod() -> Value {
    json!({"containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 80}, {"name": "metrics", "containerPort": 9100}]}]})
}

fn scraped() -> Value {
    json!({"prometheus.io/scrape": "true", "prometheus.io/port": "9100"})
}

fn monitor(selector: Value, namespaces: Option<&[&str]>, ports: &[&str]) -> PodMonitor {
    PodMonitor {
        selector: read(selector),
        namespaces: namespaces.map(|names| names.iter().map(|&n| n.to_owned()).collect()),
        ports: ports.iter().map(|&p| p.to_owned()).collect(),
    }
}

#[test]
fn what_runs_a_model_declares_metrics() {
    let line = "AIWorkload chat-prod/chat spec.monitoring.metrics: is missing, so nobody can see how the model behaves";
    for (kind, demanded) in [
        ("inference", true),
        ("agent", true),
        ("batch", true),
        ("training", true),
        ("import", false),
        ("supporting", false),
    ] {
        let bench = Bench::new("production", "internal").workload(&json!({"type": kind}));
        let expected = if demanded { vec![line] } else { vec![] };
        assert_lines(&bench.of_workload(&CONTROL), &expected);
        let waiting = format!("{line} [may arrive]");
        let expected = if demanded { vec![waiting.as_str()] } else { vec![] };
        assert_lines(&bench.of_pod(&CONTROL, &pod()), &expected);
    }
}

#[test]
fn without_pod_monitors_annotations_are_asked_for() {
    let bench = bench();
    assert_lines(&bench.of_annotated_pod(&CONTROL, &pod(), &scraped()), &[]);
    let line = "metadata.annotations: do not ask for port 9100 and /metrics to be scraped, and this cluster has no PodMonitors";
    for wrong in [
        json!({}),
        json!({"prometheus.io/scrape": "false", "prometheus.io/port": "9100"}),
        json!({"prometheus.io/scrape": "true", "prometheus.io/port": "80"}),
        json!({"prometheus.io/scrape": "true", "prometheus.io/port": "9100", "prometheus.io/path": "/other"}),
    ] {
        assert_lines(&bench.of_annotated_pod(&CONTROL, &pod(), &wrong), &[line]);
        assert_fixed(&bench, &CONTROL, &pod(), &wrong);
    }
}

#[test]
fn the_declared_port_is_a_port_of_a_lasting_container() {
    let bench = bench();
    let line =
        r#"spec.containers: no container has the port "metrics" that spec.monitoring.metrics.port declares"#;
    let named = json!([{"name": "metrics", "containerPort": 9100}]);
    for (pod, expected) in [
        (json!({"containers": [{"name": "c"}]}), &[line][..]),
        (json!({"containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 9090}]}]}), &[line]),
        (json!({"initContainers": [{"name": "i", "ports": named}], "containers": [{"name": "c"}]}), &[line]),
        (
            json!({"initContainers": [{"name": "s", "restartPolicy": "Always", "ports": named}], "containers": [{"name": "c"}]}),
            &[],
        ),
    ] {
        assert_lines(&bench.of_annotated_pod(&CONTROL, &pod, &scraped()), expected);
        assert_fixed(&bench, &CONTROL, &pod, &scraped());
    }
}

#[test]
fn abuse_062_a_monitor_counts_only_if_it_selects_the_pod_and_the_port() {
    let chat = || json!({"matchLabels": {"app": "chat"}});
    let missing = r#"PodMonitor chat-prod/chat: is not generated yet, and no PodMonitor selects this pod and its port "metrics" [may arrive]"#;
    for (found, expected) in [
        (None, &[missing][..]),
        (Some(monitor(chat(), None, &["metrics"])), &[]),
        (Some(monitor(chat(), None, &["9100"])), &[]),
        (Some(monitor(json!({}), Some(&["chat-prod"]), &["metrics"])), &[]),
        (Some(monitor(json!({"matchLabels": {"app": "other"}}), None, &["metrics"])), &[missing]),
        (Some(monitor(chat(), None, &["http"])), &[missing]),
        (Some(monitor(chat(), Some(&["elsewhere"]), &["metrics"])), &[missing]),
    ] {
        let mut bench = bench();
        bench.cluster.has_pod_monitors = true;
        bench.namespace.pod_monitors.extend(found.map(|monitor| ("m".to_owned(), monitor)));
        assert_lines(&bench.of_pod(&CONTROL, &pod()), expected);
    }
}

#[test]
fn a_monitor_of_another_namespace_counts_if_it_looks_here() {
    for (namespaces, passes) in
        [(None, false), (Some(&["chat-prod"][..]), true), (Some(&["*"][..]), true), (Some(&["x"][..]), false)]
    {
        let mut other = namespace("monitoring", "production", "internal");
        other.pod_monitors.insert("all".to_owned(), monitor(json!({}), namespaces, &["metrics"]));
        let mut bench = bench().beside(other);
        bench.cluster.has_pod_monitors = true;
        assert_eq!(bench.of_pod(&CONTROL, &pod()).is_empty(), passes, "{namespaces:?}");
    }
}

#[test]
fn who_only_observes_applies_the_monitor_himself() {
    let declared = json!({"manage": "Observe", "monitoring": {"metrics": {"port": "metrics"}}});
    let mut bench = Bench::new("production", "internal").workload(&declared);
    bench.cluster.has_pod_monitors = true;
    assert_lines(
        &bench.of_pod(&CONTROL, &pod()),
        &[r#"PodMonitor chat-prod/chat: no PodMonitor selects this pod and its port "metrics" [may arrive]"#],
    );
}
