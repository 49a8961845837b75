//! Who may lift a quarantine.

use serde_json::{Value, json};

use super::CONTROL;
use crate::api::AIWorkload;
use crate::policy::facts::{Requester, Subject};
use crate::policy::testing::{Bench, DIGEST, NAMESPACE, lines, merged, read};

/// What is said where a quarantined workload comes into `state` and its user names himself as the one who acts.
fn turned(state: &str, user: &'static str, groups: &[&str], incident: &Value) -> Vec<String> {
    let declared = |state: &str| {
        json!({"selector": {"matchLabels": {"app": "chat"}}, "type": "inference", "lifecycle": {"state": state},
               "owners": {"accountable": {"user": "j.doe"}, "incident": incident}})
    };
    let object = |spec: Value| -> AIWorkload {
        read(json!({"metadata": {"name": "chat", "namespace": NAMESPACE}, "spec": spec}))
    };
    let mut bench = Bench::new("production", "internal");
    bench.requester = Some(Requester {
        user,
        groups: Vec::leak(groups.iter().map(|group| (*group).to_owned()).collect()),
        former: Some(Box::leak(Box::new(object(declared("Quarantined"))))),
    });
    let himself = json!({"owners": {"incident": {"user": user, "contact": "tel:1"}}});
    let found = bench.judge(&CONTROL, Subject::Workload(&object(merged(declared(state), &himself))));
    lines(&found).into_iter().filter(|line| line.contains("quarantine")).collect()
}

/// Whoever lifts it names himself as the one who acts: that does not count.
fn lifted(user: &'static str, groups: &[&str], incident: &Value) -> Vec<String> {
    turned("Active", user, groups, incident)
}

#[test]
fn a_quarantine_is_lifted_by_those_who_act_in_incidents() {
    let group = json!({"group": "responders", "contact": "tel:1"});
    assert!(lifted("k.lee", &["responders"], &group).is_empty());
    assert_eq!(
        lifted("dev", &["team"], &group),
        [
            "AIWorkload chat-prod/chat spec.lifecycle.state: the quarantine is lifted by \"dev\", and \"responders\" acts in incidents"
        ]
    );
    assert_eq!(
        turned("Disposed", "dev", &["team"], &group),
        [
            "AIWorkload chat-prod/chat spec.lifecycle.state: what is in quarantine is set to Disposed by \"dev\", and \"responders\" acts in incidents"
        ]
    );
    assert!(lifted("k.lee", &[], &json!({"user": "k.lee", "contact": "tel:1"})).is_empty());
    assert!(lifted("dev", &[], &json!({"contact": "tel:1"})).is_empty(), "nobody is named");
}

#[test]
fn while_it_lasts_nobody_else_says_who_acts() {
    let group = json!({"group": "responders", "contact": "tel:1"});
    assert_eq!(
        turned("Quarantined", "dev", &["team"], &group),
        [
            "AIWorkload chat-prod/chat spec.owners.incident: \"dev\" names another who acts in incidents, and \"responders\" does while the quarantine lasts"
        ]
    );
    assert!(turned("Quarantined", "k.lee", &["responders"], &group).is_empty());
    let alone = json!({"user": "dev", "contact": "tel:1"});
    assert!(turned("Quarantined", "dev", &["team"], &alone).is_empty(), "the same as before");
    assert!(turned("Quarantined", "dev", &[], &json!({"contact": "tel:1"})).is_empty(), "nobody is named");
}

#[test]
fn the_exercise_to_record_shows_that_the_switch_is_tried() {
    let plan = json!({"type": "IncidentPlan", "subject": {"kind": "AIWorkload", "name": "chat"}, "digest": DIGEST,
        "ref": "https://documents.example/plan", "issuedAt": "2025-12-01", "facts": {"scenarios": ["model-theft"]}});
    let fixes = |oversight: Value| -> String {
        let bench = Bench::new("production", "internal").workload(&oversight).evidence("plan", &plan);
        let found = bench.of_workload(&CONTROL);
        found.iter().filter_map(|finding| finding.fix.as_ref()).map(ToString::to_string).collect()
    };
    let plain = fixes(json!({}));
    assert!(plain.contains("type: IncidentExercise\n") && !plain.contains("exercised"), "{plain}");
    let switch = fixes(json!({"oversight": {"mode": "monitor", "killSwitch": "quarantine"}}));
    assert!(switch.contains("    exercised: [quarantine]"), "{switch}");
}
