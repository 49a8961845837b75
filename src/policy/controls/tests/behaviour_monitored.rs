//! What `behaviour-monitored` finds, and what it lets pass.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::testing::{Bench, assert_lines};

fn alerts(kinds: &[&str], audience: &str) -> Vec<crate::policy::Finding> {
    let alerts: Vec<Value> = kinds.iter().map(|kind| json!({"name": kind, "kind": kind})).collect();
    Bench::new("production", "internal")
        .workload(&json!({"monitoring": {"behaviour": {"alerts": alerts}},
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
