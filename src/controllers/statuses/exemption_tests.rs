//! What people read of an exemption on its way from request to end.

use serde_json::{Value, json};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn namespace() -> Namespace {
    let workload = serde_json::from_value(json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload", "metadata": {"name": "chat", "namespace": "a"},
        "spec": {"selector": {"matchLabels": {"app": "chat"}}, "type": "inference",
                 "owners": {"accountable": {"user": "j"}}}}))
    .unwrap();
    let mut namespace = Namespace { name: "a".to_owned(), ..Namespace::default() };
    namespace.workloads.insert("chat".to_owned(), std::sync::Arc::new(workload));
    namespace
}

fn exemption(change: impl FnOnce(&mut Value)) -> AIExemption {
    let digest = composition::digest(&namespace().workloads["chat"], &namespace(), &Cluster::default());
    let mut object = json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIExemption",
        "metadata": {"name": "x", "namespace": "a", "generation": 2, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"controls": ["pod-hardened"], "reason": "r", "requestedBy": "dev", "approvedBy": "boss",
                 "expiresAt": "2026-03-01", "subject": {"kind": "AIWorkload", "name": "chat", "digest": digest}}});
    change(&mut object);
    serde_json::from_value(object).unwrap()
}

fn look(
    exemption: &AIExemption,
    former: &AIExemptionStatus,
    now: &str,
) -> (AIExemptionStatus, Option<String>) {
    let now = at(now);
    let status = status(exemption, &namespace(), &Cluster::default(), &Decision::default(), former, now);
    let event = event(exemption, &status, former, now);
    (status, event.and_then(|event| event.note))
}

fn stands(exemption: &AIExemption) -> (ExemptionState, String, String) {
    let (status, _) = look(exemption, &AIExemptionStatus::default(), "2026-01-10T00:00:00Z");
    let condition = &status.conditions[0];
    assert_eq!(condition.status == "True", status.state == Some(ExemptionState::Active));
    (status.state.unwrap(), condition.reason.clone(), condition.message.clone())
}

#[test]
fn every_state_says_why() {
    let (state, reason, message) = stands(&exemption(|_| {}));
    assert_eq!((state, reason.as_str()), (ExemptionState::Active, "Approved"));
    assert_eq!(message, "waives pod-hardened for AIWorkload chat until 2026-03-01, approved by \"boss\"");

    let open = exemption(|e| e["spec"]["approvedBy"] = Value::Null);
    let (state, reason, message) = stands(&open);
    assert_eq!((state, reason.as_str()), (ExemptionState::Requested, "AwaitsApproval"));
    assert!(message.contains("kubectl patch aiexemption x"), "{message}");

    let (state, reason, message) = stands(&exemption(|e| e["spec"]["expiresAt"] = json!("2026-01-09")));
    assert_eq!((state, reason.as_str()), (ExemptionState::Expired, "Expired"));
    assert!(message.contains("it expired at 2026-01-09"), "{message}");

    let (state, reason, message) = stands(&exemption(|e| e["spec"]["approvedBy"] = json!("dev")));
    assert_eq!((state, reason.as_str()), (ExemptionState::Invalid, "Unsound"));
    assert!(message.contains("both asked for it and approved it"), "{message}");

    let (state, reason, message) = stands(&exemption(|e| e["spec"]["subject"]["name"] = json!("other")));
    assert_eq!((state, reason.as_str()), (ExemptionState::Invalid, "SubjectMissing"));
    assert!(message.contains("AIWorkload \"other\" does not exist"), "{message}");

    let (state, reason, message) =
        stands(&exemption(|e| e["spec"]["subject"]["digest"] = json!(format!("sha256:{}", "0".repeat(64)))));
    assert_eq!((state, reason.as_str()), (ExemptionState::Invalid, "SubjectChanged"));
    assert!(message.contains("ask for another one"), "{message}");

    let (state, reason, _) = stands(&exemption(|e| e["spec"]["controls"] = json!(["image-digest-pinned"])));
    assert_eq!((state, reason.as_str()), (ExemptionState::Invalid, "NotCovered"));
}

#[test]
fn an_end_is_announced_at_each_mark_once_and_never_again_after_a_restart() {
    let exemption = exemption(|_| {});
    let mut stored = AIExemptionStatus::default();
    let mut told = Vec::new();
    for day in
        ["2026-01-10", "2026-02-01", "2026-02-02", "2026-02-25", "2026-03-01", "2026-03-02", "2026-03-03"]
    {
        let (status, note) = look(&exemption, &stored, &format!("{day}T00:00:00Z"));
        // Whoever starts again begins with what is stored, and has nothing to tell.
        assert_eq!(look(&exemption, &status, &format!("{day}T00:00:10Z")).1, None);
        told.extend(note.map(|note| (day, note)));
        stored = status;
    }
    let days: Vec<_> = told.iter().map(|(day, _)| *day).collect();
    assert_eq!(days, ["2026-02-01", "2026-02-25", "2026-03-01", "2026-03-02"]);
    assert!(
        told[0].1.contains("AIExemption x of pod-hardened for AIWorkload chat ends in 28 days"),
        "{told:?}"
    );
    assert!(told[3].1.contains("is over since"), "{told:?}");
    assert_eq!(stored.state, Some(ExemptionState::Expired));
}

#[test]
fn what_never_counted_ends_in_silence() {
    let open = exemption(|e| e["spec"]["approvedBy"] = Value::Null);
    let (status, note) = look(&open, &AIExemptionStatus::default(), "2026-02-28T00:00:00Z");
    assert_eq!((status.warned_days, note), (None, None));
    let (status, note) = look(&open, &status, "2026-03-02T00:00:00Z");
    assert_eq!((status.state, status.warned_days, note), (Some(ExemptionState::Expired), None, None));
}
