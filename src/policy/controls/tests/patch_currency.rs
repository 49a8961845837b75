//! What `patch-currency` finds, and what it lets pass.

use serde_json::{Value, json};

use super::{CONTROL, Mode};
use crate::policy::testing::{Bench, DIGEST, assert_lines};

fn lifecycle(lifecycle: &Value) -> Vec<crate::policy::Finding> {
    Bench::new("production", "internal").workload(&json!({"lifecycle": lifecycle})).of_workload(&CONTROL)
}

#[test]
fn support_ends_with_its_last_day() {
    assert_lines(&lifecycle(&json!({"supportEnds": "2026-01-01"})), &[]);
    assert_lines(
        &lifecycle(&json!({"supportEnds": "2025-12-31"})),
        &[
            "AIWorkload chat-prod/chat spec.lifecycle.supportEnds \"2025-12-31\": has passed, so nobody closes holes any more",
        ],
    );
    assert_lines(
        &lifecycle(&json!({"supportEnds": "2026-02-31"})),
        &["AIWorkload chat-prod/chat spec.lifecycle.supportEnds \"2026-02-31\": is no date [unknown]"],
    );
}

#[test]
fn updates_by_hand_have_a_reason() {
    assert_lines(&lifecycle(&json!({"updates": {"mode": "proposed"}})), &[]);
    assert_lines(&lifecycle(&json!({"updates": {"mode": "manual", "reason": "air gap"}})), &[]);
    assert_eq!(lifecycle(&json!({"updates": {"mode": "manual", "reason": " "}})).len(), 1);
}

#[test]
fn holes_are_closed_within_their_window() {
    let image = format!("registry.example/chat@{DIGEST}");
    let pod = json!({"containers": [{"name": "chat", "image": image}]});
    let found = |issued: &str, result: &str, findings: Value| {
        Bench::new("production", "internal")
            .workload(&json!({}))
            .evidence(
                "scan",
                &json!({"type": "VulnerabilityReport", "issuedAt": issued, "result": result,
                    "subject": {"kind": "Image", "name": "chat", "digest": DIGEST}, "facts": {"findings": findings}}),
            )
            .of_pod(&CONTROL, &pod)
    };
    let hole = |severity: &str, since: &str| json!([{"id": "CVE-1", "severity": severity, "fixedVersion": "1.2", "fixedSince": since}]);
    assert_lines(&found("2025-12-30", "pass", json!([])), &[]);
    assert_lines(&found("2025-12-30", "fail", hole("critical", "2025-12-20")), &[]);
    assert_lines(&found("2025-12-30", "fail", hole("low", "2025-01-01")), &[]);
    for (severity, since, days, window) in
        [("Critical", "2025-12-12", 20, 14), ("high", "2025-11-22", 40, 30)]
    {
        assert_lines(
            &found("2025-12-30", "fail", hole(severity, since)),
            &[&format!(
                "AIWorkload chat-prod/chat: runs {image}, in which CVE-1 ({}) is fixed in 1.2 since {days} days, and \
                 {window} are allowed [may arrive]",
                severity.to_lowercase()
            )],
        );
    }
    let old = found("2025-12-01", "pass", json!([]));
    assert_eq!(old.len(), 1);
    assert!(old[0].detail.contains("VulnerabilityReport"), "{}", old[0].detail);
}

#[test]
fn what_cannot_be_judged_is_no_clean_report() {
    let image = format!("registry.example/chat@{DIGEST}");
    let pod = json!({"containers": [{"name": "chat", "image": image}]});
    let found = |result: Value, facts: Value| {
        let scan = json!({"type": "VulnerabilityReport", "issuedAt": "2025-12-30", "result": result,
            "subject": {"kind": "Image", "name": "chat", "digest": DIGEST}, "facts": facts});
        Bench::new("production", "internal")
            .workload(&json!({}))
            .evidence("scan", &scan)
            .of_pod(&CONTROL, &pod)
    };
    let one = |hole: Value| json!({"findings": [{"id": "CVE-0", "severity": "medium"}, hole]});
    // What is honest stays good: nothing found, lesser holes, and a hole without a fix that is new.
    for facts in [
        json!({}),
        json!({"findings": []}),
        one(json!({"id": "CVE-1", "severity": "NEGLIGIBLE"})),
        one(json!({"id": "CVE-1", "severity": "high", "firstSeen": "2025-12-20"})),
        one(
            json!({"id": "CVE-1", "severity": "critical", "fixedSince": null, "firstSeen": "2025-12-28T10:00:00Z"}),
        ),
    ] {
        assert_lines(&found(json!("pass"), facts), &[]);
    }
    assert_lines(&found(Value::Null, json!({"findings": []})), &[]);
    for (result, facts, why) in [
        (json!("fail"), json!({}), "its result is \"fail\", and facts.findings lists no hole"),
        (json!("fail"), json!({"findings": []}), "its result is \"fail\", and facts.findings lists no hole"),
        (Value::Null, json!({}), "it has neither a result nor facts.findings"),
        (json!("pass"), json!({"findings": "none"}), "facts.findings is no list"),
        (
            json!("pass"),
            json!({"findings": ["CVE-1"]}),
            "facts.findings[0] is no {id, severity, fixedSince, firstSeen}",
        ),
        (
            json!("fail"),
            one(json!({"id": "CVE-1", "severity": "urgent"})),
            "facts.findings[1] (CVE-1).severity \"urgent\" is none of critical, high, medium, low, none and unknown",
        ),
        (
            json!("fail"),
            one(json!({"id": "CVE-1"})),
            "facts.findings[1] (CVE-1).severity \"\" is none of critical, high, medium, low, none and unknown",
        ),
        (json!("fail"), one(json!({"severity": "UNKNOWN"})), "facts.findings[1] is not rated and has no id"),
        (
            json!("fail"),
            one(json!({"id": "CVE-1", "severity": "critical", "fixedSince": "soon"})),
            "facts.findings[1] (CVE-1).fixedSince \"soon\" is no day that has come",
        ),
        (
            json!("fail"),
            one(json!({"id": "CVE-1", "severity": "critical", "firstSeen": "2026-02-01"})),
            "facts.findings[1] (CVE-1).firstSeen \"2026-02-01\" is no day that has come",
        ),
        (json!("fail"), one(json!({"severity": "important"})), "facts.findings[1] is high and has no id"),
        (
            json!("fail"),
            one(json!({"id": "CVE-1", "severity": "high", "fixedVersion": "1.2", "firstSeen": "2025-12-20"})),
            "facts.findings[1] (CVE-1) names fixedVersion \"1.2\" and no fixedSince",
        ),
        (
            json!("pass"),
            one(json!({"id": "CVE-1", "severity": "high"})),
            "facts.findings[1] (CVE-1) is high, and says neither since when there is a fix (fixedSince) nor, where there is \
             none, since when it is known (firstSeen)",
        ),
    ] {
        assert_lines(
            &found(result, facts),
            &[&format!(
                "AIWorkload chat-prod/chat: VulnerabilityReport \"scan\" of {image}: {why} [may arrive]"
            )],
        );
    }
    // A hole that is overdue is told rather than one that cannot be judged.
    let both = json!({"findings": [{"id": "CVE-1"}, {"id": "CVE-2", "severity": "high", "fixedSince": "2025-11-01"}]});
    let found = found(json!("fail"), both);
    assert!(found.len() == 1 && found[0].detail.contains("CVE-2 (high) is fixed since"), "{found:?}");
}

#[test]
fn holes_that_nobody_has_rated_are_warned_of_by_name_and_hide_nothing() {
    let image = format!("registry.example/chat@{DIGEST}");
    let pod = json!({"containers": [{"name": "chat", "image": image}]});
    let found = |result: &str, findings: Value| {
        let scan = json!({"type": "VulnerabilityReport", "issuedAt": "2025-12-30", "result": result,
            "subject": {"kind": "Image", "name": "chat", "digest": DIGEST}, "facts": {"findings": findings}});
        Bench::new("production", "internal")
            .workload(&json!({}))
            .evidence("scan", &scan)
            .of_pod(&CONTROL, &pod)
    };
    let unrated =
        |n: u32, word: &str| json!({"id": format!("CVE-{n}"), "severity": word, "fixedVersion": "1.2"});
    let said = |count: &str, list: &str| {
        format!(
            "AIWorkload chat-prod/chat: VulnerabilityReport \"scan\" of {image} lists {count} that nobody has rated: {list} \
             [may arrive]"
        )
    };
    let few = found("fail", json!([unrated(1, "UNKNOWN")]));
    assert_lines(&few, &[&said("1 hole", "CVE-1")]);
    assert_eq!((few[0].at_most, few[0].provisions), (Mode::Warn, &["CoP-7.2"][..]));
    let words = few[0].fix.as_ref().unwrap().to_string();
    assert!(
        words.contains("or rate them by what they mean here") && words.contains("SEVERITY-OF-IT"),
        "{words}"
    );
    // However many there are, all are counted; the words of other scanners count as well.
    let many: Vec<Value> =
        (1..=7).map(|n| unrated(n, if n % 2 == 0 { "Unknown" } else { "UNSPECIFIED" })).collect();
    assert_lines(
        &found("pass", json!(many)),
        &[&said("7 holes", "CVE-1, CVE-2, CVE-3, CVE-4, CVE-5 and 2 more")],
    );
    // What is overdue is refused beside them, and what cannot be read too.
    for other in [
        json!({"id": "CVE-9", "severity": "high", "fixedSince": "2025-11-01"}),
        json!({"id": "CVE-9", "severity": "urgent"}),
    ] {
        let both = found("fail", json!([unrated(1, "UNKNOWN"), other]));
        let most: Vec<Mode> = both.iter().map(|finding| finding.at_most).collect();
        assert_eq!(most, [Mode::Warn, Mode::Enforce], "{both:?}");
        assert!(both[1].detail.contains("CVE-9"), "{both:?}");
    }
}

#[test]
fn the_report_to_fill_in_shows_how_holes_are_written() {
    let pod = json!({"containers": [{"name": "chat", "image": format!("registry.example/chat@{DIGEST}")}]});
    let found = Bench::new("production", "internal").workload(&json!({})).of_pod(&CONTROL, &pod);
    let fix = found[0].fix.as_ref().unwrap().to_string();
    for line in
        ["  result: PASS-OR-FAIL\n", "    findings: [{id: CVE-ID, severity: SEVERITY-OF-IT, fixedVersion: "]
    {
        assert!(fix.contains(line), "{fix}");
    }
}
