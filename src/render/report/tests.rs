//! The report: what is unknown stays unknown, every provision is counted, what tenants wrote is text.

use serde_json::json;

use super::*;

fn rows() -> Vec<AICompliance> {
    let of = |name: &str, scope: &str, status: serde_json::Value| {
        serde_json::from_value(json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AICompliance",
            "metadata": {"name": name}, "spec": {"scope": scope}, "status": status}))
        .unwrap()
    };
    vec![
        of(
            "cluster",
            "Cluster",
            json!({
            "lastAuditTime": "2026-06-01T12:00:00Z", "verdict": "fail",
            "summary": {"workloads": 1, "fail": 1, "pass": 1},
            "provisions": [
                {"id": "CoP-5.2", "state": "fail", "controls": ["image-digest-pinned"], "workloads": ["chat-prod/chat"]},
                {"id": "CoP-6.2", "state": "pass"}]}),
        ),
        of(
            "chat-prod",
            "Namespace",
            json!({
            "environment": "production", "verdict": "fail", "blocked": {"last24h": 3, "total": 3},
            "findings": [{"control": "image-digest-pinned", "state": "fail", "provisions": ["CoP-5.2"],
                          "object": "chat-prod/Deployment/chat", "message": "<script>alert(1)</script>"}]}),
        ),
    ]
}

fn report() -> Report {
    let workload = serde_json::from_value(json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload",
        "metadata": {"name": "chat", "namespace": "chat-prod"},
        "spec": {"selector": {"matchLabels": {"app": "chat"}}, "type": "inference", "owners": {"accountable": {"user": "j"}}},
        "status": {"verdict": "fail", "rows": [
            {"control": "image-digest-pinned", "state": "fail", "message": "names a tag"}]}}));
    Report::of(&rows(), &[workload.unwrap()], "2026-06-01T12:01:00Z".to_owned())
}

#[test]
fn what_the_audit_does_not_tell_of_is_unknown() {
    let report = report();
    let state = |id: &str| report.provisions.iter().find(|kept| kept.id == id).map(|kept| kept.state);
    assert_eq!(report.provisions.len(), 152);
    assert_eq!(state("CoP-5.2"), Some(State::Fail));
    assert_eq!(state("CoP-6.2"), Some(State::Pass));
    assert_eq!(state("CoP-1.1"), Some(State::Unknown));
    assert_eq!(
        report.notes,
        [
            "150 of 152 provisions are unknown: they could not be judged, or only in part (docs/coverage.md says \
             what is missing), and nothing here says that they are kept"
        ]
    );
}

#[test]
fn what_is_in_quarantine_is_said_first() {
    let held = serde_json::from_value(json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload",
        "metadata": {"name": "chat", "namespace": "chat-prod"},
        "spec": {"selector": {"matchLabels": {"app": "chat"}}, "type": "inference",
            "owners": {"accountable": {"user": "j"}}, "lifecycle": {"state": "Quarantined"}}}));
    let report = Report::of(&rows(), &[held.unwrap()], "2026-06-01T12:01:00Z".to_owned());
    assert_eq!(report.notes[0], "in quarantine, without network and new pods: chat-prod/chat");
    assert!(report.table().contains("in quarantine") && report.html().contains("in quarantine"));
}

#[test]
fn without_the_row_of_the_cluster_nothing_is_kept() {
    let report = Report::of(&[], &[], String::new());
    assert!(report.provisions.iter().all(|kept| kept.state == State::Unknown));
    assert!(report.notes[0].starts_with("the row of the cluster is missing"), "{:?}", report.notes);
}

#[test]
fn every_provision_stands_in_its_groups() {
    let report = report();
    let total = |grouping: &Grouping| {
        grouping
            .groups
            .iter()
            .map(|(_, c)| c.pass + c.fail + c.warn + c.exempt + c.unknown + c.not_applicable)
            .sum::<u32>()
    };
    let drafts = PROVISIONS.iter().filter(|p| p.draft_principle.is_some()).count();
    assert_eq!(total(&report.groups[0]) as usize, drafts);
    assert_eq!(report.groups[0].groups.len(), 12);
    assert_eq!(report.groups[1].groups.len(), 13);
    assert_eq!(report.groups[3].groups.len(), 5);
    let names: Vec<&str> = report.groups[2].groups.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"D2 design") && names.contains(&"P5 deployment"), "{names:?}");
}

#[test]
fn what_tenants_wrote_is_text_on_the_page() {
    let page = report().html();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!page.contains("<script"));
    assert!(!page.contains("http://") && !page.contains("https://"), "the page needs nothing from elsewhere");
}

#[test]
fn the_table_names_what_is_not_kept() {
    let table = report().table();
    let line = table.lines().find(|line| line.starts_with("CoP-5.2")).unwrap();
    assert_eq!(
        line.split_whitespace().collect::<Vec<_>>(),
        ["CoP-5.2", "fail", "shall", "image-digest-pinned", "chat-prod/chat"]
    );
    assert!(table.starts_with("NAME"));
}

#[test]
fn a_report_on_one_namespace_tells_of_no_other() {
    let mut all = rows();
    let other = json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AICompliance", "metadata": {"name": "other"},
        "spec": {"scope": "Namespace"},
        "status": {"verdict": "warn", "lastAuditTime": "2026-06-01T11:59:00Z",
            "summary": {"pass": 150, "warn": 1, "notApplicable": 1},
            "provisions": [{"id": "CoP-6.2", "state": "warn", "controls": ["pod-hardened"], "workloads": ["other/a"]},
                           {"id": "CoP-9.2", "state": "notApplicable"}],
            "findings": [{"control": "pod-hardened", "state": "warn", "provisions": ["CoP-6.2"], "object": "other/Pod/a"}]}});
    all.push(serde_json::from_value(other).unwrap());
    let of = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        Report::of_namespaces(&names, &all, &[], "2026-06-01T12:01:00Z".to_owned())
    };
    let report = of(&["other"]).unwrap();
    let names: Vec<_> = report.namespaces.iter().map(|row| row.name.as_str()).collect();
    assert_eq!((names, report.cluster.is_none()), (vec!["other"], true));
    assert_eq!(report.audited_at.as_deref(), Some("2026-06-01T11:59:00Z"));
    let state = |report: &Report, id: &str| {
        report.provisions.iter().find(|kept| kept.id == id).map(|kept| kept.state)
    };
    assert_eq!(state(&report, "CoP-6.2"), Some(State::Warn));
    assert_eq!(state(&report, "CoP-5.2"), Some(State::Pass), "broken elsewhere, and not told of here");
    assert_eq!(state(&report, "CoP-9.2"), Some(State::NotApplicable));
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.notes[0], "this report is about namespace other alone");
    let both = of(&["other", "chat-prod"]).unwrap();
    assert_eq!((both.namespaces.len(), both.findings.len()), (2, 2));
    assert_eq!(
        of(&["nowhere"]).unwrap_err(),
        "namespace \"nowhere\" has no AICompliance: it is not governed, or nobody has audited it yet"
    );
    assert!(of(&["cluster"]).is_err(), "no namespace");
}
