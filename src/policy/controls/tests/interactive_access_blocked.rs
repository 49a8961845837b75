//! What `interactive-access-blocked` finds, and what it lets pass.

use serde_json::json;

use super::CONTROL;
use crate::policy::control::Mode;
use crate::policy::decide::Enforcement;
use crate::policy::facts::{EntryFacts, Subject};
use crate::policy::testing::{Bench, assert_fixed, assert_lines, lines};

fn entered(may: Option<bool>, reason: Option<&str>) -> Vec<crate::policy::Finding> {
    let bench = Bench::new("production", "internal");
    let entry = EntryFacts { way: "exec", pod: "chat-0", user: "eve", may, reason, workload: None };
    bench.judge(&CONTROL, Subject::Entry(entry))
}

#[test]
fn who_may_break_the_glass_says_why() {
    assert_lines(&entered(Some(true), Some("INC-4711: answers stop")), &[]);
    assert_lines(
        &entered(Some(true), Some("   ")),
        &["Pod chat-prod/chat-0: user \"eve\" may run a command in it, and has not said why"],
    );
    assert_lines(
        &entered(Some(true), None),
        &["Pod chat-prod/chat-0: user \"eve\" may run a command in it, and has not said why"],
    );
    assert_lines(
        &entered(Some(false), Some("INC-4711: answers stop")),
        &["Pod chat-prod/chat-0: user \"eve\" may not run a command in it"],
    );
    assert_lines(
        &entered(None, None),
        &[
            "Pod chat-prod/chat-0: it could not be asked whether user \"eve\" may run a command in it [unknown]",
        ],
    );
}

#[test]
fn research_is_only_recorded_unless_its_data_is_confidential() {
    let mode = |environment: &str, sensitivity: &str| {
        let mut bench = Bench::new(environment, sensitivity);
        let profile = json!({"metadata": {"name": "all"}, "spec": {"base": "code"}});
        bench
            .cluster
            .profiles
            .insert("all".to_owned(), std::sync::Arc::new(crate::policy::testing::read(profile)));
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        Enforcement::of(&bench.namespace, &bench.cluster, None, now).mode(&CONTROL)
    };
    assert_eq!(mode("production", "internal"), Mode::Enforce);
    assert_eq!(mode("research", "internal"), Mode::Audit);
    assert_eq!(mode("research", "confidential"), Mode::Enforce);
}

#[test]
fn a_terminal_that_waits_is_closed() {
    let bench = Bench::new("production", "internal").workload(&json!({}));
    let pod =
        json!({"containers": [{"name": "a", "stdin": true}], "initContainers": [{"name": "b", "tty": true}]});
    assert_eq!(bench.of_pod(&CONTROL, &pod).len(), 2);
    assert_fixed(&bench, &CONTROL, &pod, &json!({}));
    let notebook = Bench::new("research", "internal").workload(&json!({"type": "notebook"}));
    assert_lines(&notebook.of_pod(&CONTROL, &pod), &[]);
}

#[test]
fn outside_office_hours_an_entry_is_told_apart() {
    let mut bench = Bench::new("production", "internal");
    let judged = |bench: &Bench| {
        let entry = EntryFacts {
            way: "exec",
            pod: "chat-1",
            user: "ada",
            may: Some(true),
            reason: Some("INC-7 is being looked into"),
            workload: None,
        };
        lines(&bench.judge(&CONTROL, Subject::Entry(entry)))
    };
    assert_eq!(judged(&bench), [""; 0]);
    // The clock of these tests stands on a Thursday at midnight.
    bench.settings.parameters.insert("officeHours".to_owned(), vec!["Mon-Fri 08:00-18:00 +01:00".to_owned()]);
    assert_eq!(
        judged(&bench),
        [
            "Pod chat-prod/chat-1: user \"ada\" comes outside office hours, which are Mon-Fri 08:00-18:00 +01:00"
        ]
    );
    bench.settings.parameters.insert("officeHours".to_owned(), vec!["Mon-Fri 00:00-18:00".to_owned()]);
    assert_eq!(judged(&bench), [""; 0]);
}
