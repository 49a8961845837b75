//! What `audit-trail-kept` finds, and what it lets pass.

use serde_json::json;

use super::CONTROL;
use crate::policy::facts::{Asset, Requester, Subject};
use crate::policy::testing::{Bench, assert_lines, lines};

#[test]
fn a_digest_has_a_version() {
    let of = |spec: serde_json::Value| {
        let bench = Bench::new("production", "internal").dataset("d", &spec);
        bench.judge(&CONTROL, Subject::Dataset(&bench.namespace.datasets["d"]))
    };
    assert_lines(&of(json!({"digest": "sha256:1", "version": "1"})), &[]);
    assert_lines(&of(json!({})), &[]);
    assert_lines(
        &of(json!({"digest": "sha256:1"})),
        &[
            "AIDataset chat-prod/d spec.version: is missing, so the next change of the digest could not be told from this state",
        ],
    );
}

#[test]
fn who_changed_something_at_night_does_not_review_it() {
    let asked = |user: &'static str, reviewed: &str| {
        let mut bench = Bench::new("production", "internal")
            .model("m", &json!({"digest": "sha256:1", "version": "1", "lastReviewedAt": reviewed}));
        bench.requester = Some(Requester { user, groups: &[], former: None });
        let mut model = bench.namespace.models["m"].as_ref().clone();
        let change = json!({"at": "2025-12-27T23:00:00Z", "by": "ada", "hours": "Mon-Fri 08:00-18:00"});
        model.status = Some(serde_json::from_value(json!({"unusualChange": change})).unwrap());
        lines(&bench.judge(&CONTROL, Subject::Model(&model)))
    };
    assert_eq!(
        asked("ada", "2025-12-28"),
        [
            "AIModel chat-prod/m spec.lastReviewedAt \"2025-12-28\": is no review of what \"ada\" changed outside office hours \
          at 2025-12-27T23:00:00Z: somebody else looks at that"
        ]
    );
    assert!(asked("ada", "2025-12-20").is_empty(), "what was reviewed before");
    assert!(asked("bob", "2025-12-28").is_empty());
}

#[test]
fn nobody_reviews_a_change_at_night_before_it_is_made() {
    let asked = |reviewed: &str, hours: &str| {
        let mut bench = Bench::new("production", "internal")
            .model("m", &json!({"digest": "sha256:1", "version": "1", "lastReviewedAt": reviewed}));
        bench.settings.parameters.insert("officeHours".to_owned(), vec![hours.to_owned()]);
        bench.requester = Some(Requester { user: "ada", groups: &[], former: None });
        lines(&bench.judge(&CONTROL, Subject::Model(&bench.namespace.models["m"])))
    };
    let found = asked("2026-01-02", "Mon-Fri 08:00-18:00");
    assert!(found.len() == 1 && found[0].contains("nobody reviews a change before it is made"), "{found:?}");
    assert!(asked("2026-01-02", "Mon-Fri 00:00-18:00").is_empty(), "within office hours");
    assert!(asked("2025-12-31", "Mon-Fri 08:00-18:00").is_empty());
}

#[test]
fn what_is_still_declared_does_not_go() {
    let mut bench = Bench::new("production", "internal")
        .workload(&json!({"models": [{"name": "m"}]}))
        .model("m", &json!({"digest": "sha256:1"}))
        .model("n", &json!({"digest": "sha256:1"}));
    let gone = |bench: &Bench, name: &str| {
        bench.judge(&CONTROL, Subject::Deletion(Asset::Model(&bench.namespace.models[name])))
    };
    assert_lines(&gone(&bench, "n"), &[]);
    assert_lines(&gone(&bench, "m"), &["AIModel chat-prod/m: is still declared by AIWorkload chat"]);
    bench.namespace.terminating = true;
    assert_lines(&gone(&bench, "m"), &[]);
}
