//! What `log-protection` finds, and what it lets pass.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::testing::{Bench, assert_lines};

fn sink(sensitivity: &str, sink: &Value) -> Vec<crate::policy::Finding> {
    Bench::new("production", sensitivity)
        .workload(&json!({"monitoring": {"ioLog": {"mode": "full", "retention": "P30D", "sink": sink}}}))
        .of_workload(&CONTROL)
}

#[test]
fn a_sink_is_as_sensitive_as_what_it_holds() {
    let good = json!({"kind": "service", "ref": "logging/store", "tls": true, "sensitivity": "restricted", "readers": ["audit"]});
    assert_lines(&sink("restricted", &good.clone()), &[]);
    assert_lines(&sink("internal", &json!({"kind": "stdout"})), &[]);
    assert_lines(
        &sink("confidential", &json!({"kind": "stdout"})),
        &[
            "AIWorkload chat-prod/chat spec.monitoring.ioLog.sink.kind \"stdout\": lies on the node and is open to whoever reads \
           pod logs, though it holds confidential data",
        ],
    );
    let mut low = good.clone();
    low["sensitivity"] = json!("internal");
    assert_lines(
        &sink("confidential", &low),
        &[
            "AIWorkload chat-prod/chat spec.monitoring.ioLog.sink.sensitivity \"internal\": is less than the confidential data \
           that is logged there",
        ],
    );
    let mut open = good;
    open["readers"] = json!([]);
    open["tls"] = json!(false);
    assert_eq!(sink("confidential", &open).len(), 2);
}

#[test]
fn figures_alone_are_not_what_users_said() {
    let log = json!({"monitoring": {"ioLog": {"mode": "metadata", "sink": {"kind": "stdout"}}}});
    assert_lines(&Bench::new("production", "restricted").workload(&log).of_workload(&CONTROL), &[]);
    assert_lines(&Bench::new("production", "restricted").workload(&json!({})).of_workload(&CONTROL), &[]);
}
