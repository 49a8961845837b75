//! Who logs, where to, and why not everything.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::{Service, ServicePort};
use crate::policy::testing::{Bench, assert_lines, merged, namespace};

fn decided() -> Value {
    json!({"decision": "notLogged", "reason": "they reveal no attack that outputs do not", "decidedAt": "2025-10-01"})
}

/// A workload that logs as `log` says, with `patch` laid over its declaration.
fn bench(log: &Value, patch: &Value) -> Bench {
    let declared = json!({"monitoring": {"ioLog": log, "internalStates": decided()}});
    Bench::new("production", "internal").workload(&merged(declared, patch))
}

fn pod() -> Value {
    json!({"containers": [{"name": "chat"}]})
}

#[test]
fn a_container_that_logs_to_its_output_passes() {
    let bench = bench(&json!({"mode": "full", "container": "chat", "sink": {"kind": "stdout"}}), &json!({}));
    assert_lines(&bench.of_workload(&CONTROL), &[]);
    assert_lines(&bench.of_pod(&CONTROL, &pod()), &[]);
}

#[test]
fn what_answers_declares_how_it_logs() {
    let line = "AIWorkload chat-prod/chat spec.monitoring.ioLog: is missing, so nobody can see what was asked and answered";
    for (kind, demanded) in [("inference", true), ("agent", true), ("training", false), ("supporting", false)]
    {
        let declared = json!({"type": kind, "monitoring": {"internalStates": decided()}});
        let bench = Bench::new("production", "internal").workload(&declared);
        let expected = if demanded { vec![line] } else { vec![] };
        assert_lines(&bench.of_workload(&CONTROL), &expected);
    }
    let bench =
        Bench::new("production", "internal").workload(&json!({"monitoring": {"internalStates": decided()}}));
    assert_lines(&bench.of_pod(&CONTROL, &pod()), &[&format!("{line} [may arrive]")]);
}

#[test]
fn the_declared_logger_is_a_lasting_container_of_the_pod() {
    let bench = bench(&json!({"mode": "full", "container": "iolog", "sink": {"kind": "stdout"}}), &json!({}));
    let line = r#"spec.containers: has no container "iolog", which spec.monitoring.ioLog.container says logs inputs and outputs"#;
    for (pod, expected) in [
        (json!({"containers": [{"name": "c"}, {"name": "iolog"}]}), &[][..]),
        (
            json!({"containers": [{"name": "c"}], "initContainers": [{"name": "iolog", "restartPolicy": "Always"}]}),
            &[],
        ),
        (json!({"containers": [{"name": "c"}]}), &[line]),
        (json!({"containers": [{"name": "c"}], "initContainers": [{"name": "iolog"}]}), &[line]),
        (json!({"containers": [{"name": "c"}], "ephemeralContainers": [{"name": "iolog"}]}), &[line]),
    ] {
        assert_lines(&bench.of_pod(&CONTROL, &pod), expected);
    }
}

#[test]
fn a_gateway_may_log_instead() {
    let log = json!({"mode": "full", "sink": {"kind": "stdout"}});
    assert_lines(
        &bench(&log, &json!({})).of_workload(&CONTROL),
        &[
            "AIWorkload chat-prod/chat spec.monitoring.ioLog.container: is missing, and no exposure names a gateway in configuredBy that could log instead",
        ],
    );
    let gateway = json!({"exposure": [{"name": "api", "port": 80, "configuredBy": "HTTPRoute/chat"}]});
    assert_lines(&bench(&log, &gateway).of_workload(&CONTROL), &[]);
}

#[test]
fn less_than_everything_needs_a_reason_and_a_data_controller() {
    let at = "AIWorkload chat-prod/chat spec.monitoring.ioLog";
    let owners = json!({"owners": {"dataControllers": [{"user": "a.smith"}]}});
    let redacted = |extra: Value| {
        merged(json!({"mode": "redacted", "container": "chat", "sink": {"kind": "stdout"}}), &extra)
    };
    assert_lines(&bench(&redacted(json!({"lawfulBasis": "consent"})), &json!({})).of_workload(&CONTROL), &[]);
    assert_lines(
        &bench(&redacted(json!({})), &json!({})).of_workload(&CONTROL),
        &[&format!("{at}.reason: is missing, and mode \"redacted\" needs one")],
    );
    let none = |extra: Value| merged(json!({"mode": "none"}), &extra);
    let reason = json!({"reason": "health data", "decidedBy": "a.smith"});
    assert_lines(&bench(&none(reason.clone()), &owners).of_workload(&CONTROL), &[]);
    assert_lines(
        &bench(&none(json!({})), &owners).of_workload(&CONTROL),
        &[
            &format!("{at}.reason: is missing, and mode \"none\" needs one"),
            &format!(
                "{at}.decidedBy \"\": names no data controller of this workload, who alone may do without the content"
            ),
        ],
    );
    assert_lines(
        &bench(&none(reason), &json!({"owners": {"dataControllers": [{"user": "b.jones"}]}}))
            .of_workload(&CONTROL),
        &[&format!(
            "{at}.decidedBy \"a.smith\": names no data controller of this workload, who alone may do without the content"
        )],
    );
}

#[test]
fn a_service_that_receives_the_log_exists_and_is_reachable() {
    let log = json!({"mode": "full", "container": "chat", "sink": {"kind": "service", "ref": "logging/store", "port": 9000}});
    let way = json!({"services": [{"name": "log", "namespace": "logging", "podLabels": {"app": "store"}, "ports": [9000]}]});
    let at = "AIWorkload chat-prod/chat spec.monitoring.ioLog.sink";
    assert_lines(
        &bench(&log, &way).of_workload(&CONTROL),
        &[&format!(
            "{at}.ref \"logging/store\": no Service \"store\" exists in namespace \"logging\" [may arrive]"
        )],
    );
    let world = |port: i32, patch: &Value| {
        let mut other = namespace("logging", "production", "internal");
        other.services.insert(
            "store".to_owned(),
            Service { ports: vec![ServicePort { port, ..ServicePort::default() }], ..Service::default() },
        );
        bench(&log, patch).beside(other)
    };
    assert_lines(&world(9000, &way).of_workload(&CONTROL), &[]);
    assert_lines(
        &world(80, &way).of_workload(&CONTROL),
        &[&format!("{at}.port \"9000\": is no port of Service logging/store [may arrive]")],
    );
    assert_lines(
        &world(9000, &json!({})).of_workload(&CONTROL),
        &[&format!(
            "{at}.ref \"logging/store\": no entry of spec.services opens the way to namespace \"logging\", so nothing would arrive there"
        )],
    );
    assert_lines(&world(9000, &json!({"manage": "Observe"})).of_workload(&CONTROL), &[]);
}

#[test]
fn other_sinks_are_declared_or_mounted() {
    let at = "AIWorkload chat-prod/chat spec.monitoring.ioLog.sink";
    let api = json!({"mode": "full", "container": "chat", "sink": {"kind": "externalApi", "ref": "siem"}});
    assert_lines(
        &bench(&api, &json!({})).of_workload(&CONTROL),
        &[&format!("{at}.ref \"siem\": is no entry of spec.externalApis")],
    );
    let declared = json!({"externalApis": [{"name": "siem", "host": "siem.example"}]});
    assert_lines(&bench(&api, &declared).of_workload(&CONTROL), &[]);
    let claim = json!({"mode": "full", "container": "chat", "sink": {"kind": "pvc", "ref": "logs"}});
    let volumes = json!([{"name": "l", "persistentVolumeClaim": {"claimName": "logs"}}]);
    let mounted = |read_only: bool| json!({"containers": [{"name": "chat", "volumeMounts": [{"name": "l", "mountPath": "/l", "readOnly": read_only}]}], "volumes": volumes});
    assert_lines(&bench(&claim, &json!({})).of_pod(&CONTROL, &mounted(false)), &[]);
    let line = format!(
        "{at}.ref \"logs\": is a claim that the logging container does not mount for writing [may arrive]"
    );
    assert_lines(&bench(&claim, &json!({})).of_pod(&CONTROL, &mounted(true)), &[&line]);
    assert_lines(&bench(&claim, &json!({})).of_pod(&CONTROL, &pod()), &[&line]);
    assert_lines(
        &bench(&json!({"mode": "full", "container": "chat"}), &json!({})).of_workload(&CONTROL),
        &[&format!("{at}: is missing, so the log goes nowhere")],
    );
}

#[test]
fn the_decision_on_internal_states_is_recorded_and_recent() {
    let at = "AIWorkload chat-prod/chat spec.monitoring.internalStates";
    let log = json!({"mode": "full", "container": "chat", "sink": {"kind": "stdout"}});
    for (states, line) in [
        (json!(null), ": is missing: nobody decided whether to log internal states of the model"),
        (json!({"reason": " "}), ".reason: is empty"),
        (
            json!({"decidedAt": null}),
            ".decidedAt \"\": is no date, so nobody knows whether the decision still holds",
        ),
        (json!({"decidedAt": "2024-12-01"}), ".decidedAt \"2024-12-01\": is more than 365 days ago"),
    ] {
        let bench = bench(&log, &json!({"monitoring": {"internalStates": states}}));
        let found = bench.of_workload(&CONTROL);
        assert_lines(&found, &[&format!("{at}{line}")]);
        assert_eq!(found[0].provisions, ["CoP-12.2"]);
    }
}

#[test]
fn customers_get_the_log_of_their_requests() {
    let log = json!({"mode": "full", "container": "chat", "sink": {"kind": "stdout"}});
    let at = "AIWorkload chat-prod/chat spec.exposure[0].auditLog";
    let offered = |audience: &str, offer: Value| {
        bench(
            &log,
            &json!({"exposure": [{"name": "api", "port": 80, "audience": audience, "auditLog": offer}]}),
        )
    };
    assert_lines(&offered("internal", json!({})).of_workload(&CONTROL), &[]);
    assert_lines(
        &offered("public", json!({"available": true, "pricing": "included"})).of_workload(&CONTROL),
        &[],
    );
    let found = offered("public", json!({"available": false})).of_workload(&CONTROL);
    assert_lines(
        &found,
        &[&format!(
            "{at}.available: is not true, so those who use the service cannot see what was done in their name"
        )],
    );
    assert_eq!(found[0].provisions, ["NCSC-P3.5"]);
    assert_lines(
        &offered("partner", json!({"available": true, "pricing": "extra"})).of_workload(&CONTROL),
        &[&format!("{at}.pricing: asks for a surcharge on what users need to respond to incidents")],
    );
}
