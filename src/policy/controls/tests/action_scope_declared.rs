//! What `action-scope-declared` finds, and what it lets pass.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::testing::{Bench, assert_lines};

fn bench(patch: &Value) -> Bench {
    Bench::new("production", "internal").workload(patch)
}

#[test]
fn an_agent_says_what_it_does() {
    let agent = |actions: Value| {
        bench(&json!({"type": "agent", "actions": actions,
                      "services": [{"name": "crm", "podLabels": {"app": "crm"}, "ports": [443]}],
                      "identity": {"permissions": [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "create"]}]}}))
        .of_workload(&CONTROL)
    };
    let safe = json!({"kind": "reversible"});
    assert_lines(
        &agent(
            json!([{"target": "crm", "verb": "read"}, {"target": "jobs", "verb": "create", "failSafe": safe}]),
        ),
        &[],
    );
    assert_lines(
        &agent(json!([])),
        &[
            "AIWorkload chat-prod/chat spec.services[0].name \"crm\": is within reach of the agent, and no entry of spec.actions \
             says for what",
            "AIWorkload chat-prod/chat spec.identity.permissions[0].verbs \"create\": lets the agent create jobs, and no entry of \
             spec.actions says so",
        ],
    );
    assert_lines(
        &agent(json!([{"target": "crm", "verb": "read"}, {"target": "jobs", "verb": "create"}])),
        &[
            "AIWorkload chat-prod/chat spec.actions[1].failSafe: is missing, so nothing but the model bounds \"create\" on \"jobs\"",
        ],
    );
}

#[test]
fn who_is_no_agent_has_no_actions_to_declare() {
    assert_lines(
        &bench(&json!({"services": [{"name": "crm", "podLabels": {"app": "crm"}, "ports": [443]}]}))
            .of_workload(&CONTROL),
        &[],
    );
}

#[test]
fn the_object_behind_a_fail_safe_exists() {
    let mut bench = bench(&json!({"type": "agent", "actions": [{"target": "crm", "verb": "update",
        "failSafe": {"kind": "humanApproval", "ref": "Service/approve"}}],
        "services": [{"name": "crm", "podLabels": {"app": "crm"}, "ports": [443]}]}));
    assert_lines(
        &bench.of_workload(&CONTROL),
        &[
            "AIWorkload chat-prod/chat spec.actions[0].failSafe.ref \"Service/approve\": no Service \"approve\" is in namespace \
           \"chat-prod\" [may arrive]",
        ],
    );
    bench.namespace.services.insert("approve".to_owned(), crate::policy::facts::Service::default());
    assert_lines(&bench.of_workload(&CONTROL), &[]);
}
