//! What `behaviour-monitored` finds, and what it lets pass.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::testing::{Bench, assert_lines};

fn alerts(kinds: &[&str], audience: &str) -> Vec<crate::policy::Finding> {
    let alerts: Vec<Value> = kinds.iter().map(|kind| json!({"name": kind, "kind": kind})).collect();
    Bench::new("production", "internal")
        .workload(&json!({"monitoring": {"behaviour": {"alerts": alerts}, "noAnomalyReason": "inputs are all alike"},
                          "exposure": [{"name": "api", "port": 1, "audience": audience}]}))
        .of_workload(&CONTROL)
}

#[test]
fn somebody_is_told_of_each_kind_of_change() {
    assert_lines(&alerts(&["drift", "sudden", "intrusion"], "internal"), &[]);
    assert_lines(&alerts(&["drift", "sudden", "intrusion", "abuse"], "public"), &[]);
    let found = alerts(&["drift"], "public");
    assert_lines(
        &found,
        &[
            "AIWorkload chat-prod/chat spec.monitoring.behaviour.alerts: names no alert of kind sudden, so nobody would be told",
            "AIWorkload chat-prod/chat spec.monitoring.behaviour.alerts: names no alert of kind intrusion, so nobody would be told",
            "AIWorkload chat-prod/chat spec.monitoring.behaviour.alerts: names no alert of kind extraction, so nobody would be told",
        ],
    );
    assert_eq!(found[1].provisions, ["NCSC-O1.2"]);
    assert_eq!(found[2].provisions, ["NCSC-P2.2"]);
}

#[test]
fn odd_inputs_are_looked_for_where_anybody_may_send_them_or_it_is_said_why_not() {
    let found = |audience: &str, criticality: &str, extra: &Value| {
        let mut monitoring = json!({"behaviour": {"alerts": [
            {"name": "a", "kind": "drift"}, {"name": "b", "kind": "sudden"}, {"name": "c", "kind": "intrusion"},
            {"name": "d", "kind": "abuse"}]}});
        json_patch::merge(&mut monitoring, extra);
        Bench::new("production", "internal")
            .workload(&json!({"monitoring": monitoring, "criticality": criticality,
                              "exposure": [{"name": "api", "port": 1, "audience": audience}]}))
            .of_workload(&CONTROL)
    };
    let none = json!({});
    let public = found("public", "standard", &none);
    assert_eq!(public[0].provisions, ["CoP-12.3-n1"]);
    assert_lines(
        &public,
        &[
            "AIWorkload chat-prod/chat spec.monitoring.anomaly: is missing, so nothing looks for odd inputs, which everybody may send",
        ],
    );
    assert_lines(
        &found("internal", "critical", &json!({"noAnomalyReason": " "})),
        &[
            "AIWorkload chat-prod/chat spec.monitoring.anomaly: is missing, so nothing looks for odd inputs, on which something \
           critical rests",
        ],
    );
    assert_lines(&found("internal", "standard", &none), &[]);
    assert_lines(&found("public", "critical", &json!({"anomaly": {"method": "outliers"}})), &[]);
    assert_lines(&found("public", "critical", &json!({"noAnomalyReason": "inputs are all alike"})), &[]);
}

#[test]
fn logs_are_analysed_once_there_are_some() {
    let aged = |days: i64, every: &str| {
        let mut bench = Bench::new("production", "internal").workload(&json!({"monitoring": {
            "behaviour": {"alerts": [{"name": "a", "kind": "drift"}, {"name": "b", "kind": "sudden"},
                                     {"name": "c", "kind": "intrusion"}]},
            "logReview": {"every": every}}}));
        let now: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let workload = std::sync::Arc::make_mut(bench.namespace.workloads.get_mut("chat").unwrap());
        let created = now - jiff::SignedDuration::from_hours(days * 24);
        workload.metadata.creation_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(created));
        bench
    };
    assert_lines(&aged(6, "P7D").of_workload(&CONTROL), &[]);
    let found = aged(8, "P7D").of_workload(&CONTROL);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].provisions, ["CoP-12.4"]);
    assert!(
        found[0].detail.contains("no LogReview of AIWorkload \"chat\" is recorded"),
        "{}",
        found[0].detail
    );
}

#[test]
fn declared_alerts_stand_in_a_rule() {
    let declared = json!({"monitoring": {"behaviour": {"alerts": [{"name": "Drifts", "kind": "drift"},
        {"name": "Jumps", "kind": "sudden"}, {"name": "Enters", "kind": "intrusion"}]}}});
    let mut bench = Bench::new("production", "internal").workload(&declared);
    assert_lines(&bench.of_workload(&CONTROL), &[]);
    bench.cluster.has_alert_rules = true;
    let rule = ["Drifts", "Jumps"].map(str::to_owned).into();
    bench.namespace.alert_rules.insert("chat".to_owned(), rule);
    assert_lines(
        &bench.of_workload(&CONTROL),
        &[
            "AIWorkload chat-prod/chat spec.monitoring.behaviour.alerts \"Enters\": is an alert that no PrometheusRule of this cluster holds [may arrive]",
        ],
    );
}
