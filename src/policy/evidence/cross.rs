//! What documents say against what the cluster knows: controls that are kept, people who were trained, users there are.

use serde_json::json;

use super::{About, Shortfall, kind};
use crate::api::common::Audience;
use crate::api::{AIGovernance, AIWorkload};
use crate::policy::control::{Check, Report, Verdict};
use crate::policy::controls::ALL;
use crate::policy::dates;
use crate::policy::facts::Facts;

/// Controls that judge others, and so cannot be what another relies on: the question would have no end.
const JUDGES: [&str; 2] = ["risk-acceptance-current", "data-controller-approval"];

/// Whether the control `id` is broken for the subject of `facts`: `None` where there is no such control, else the reason why
/// it is not kept, if it is not. A control without a check is not kept, because nobody can tell.
#[must_use]
pub fn fails(facts: &Facts<'_>, id: &str) -> Option<Option<String>> {
    let control = ALL.iter().copied().find(|control| control.id == id)?;
    if JUDGES.contains(&id) {
        return Some(Some("it judges documents by other controls and mends nothing".to_owned()));
    }
    let Check::Rule(rule) = control.check else {
        return Some(Some("it has no check yet".to_owned()));
    };
    let mut findings = Vec::new();
    rule(facts, &mut Report::new(control, &mut findings));
    Some(findings.into_iter().next().map(|finding| {
        let cannot = if finding.verdict == Verdict::Unknown { "cannot tell: " } else { "" };
        let text = format!("{cannot}{} {}", finding.place, finding.detail);
        text.chars().take(160).collect()
    }))
}

/// Whether the roster of an organisation holds a course that counts today, by this user or this group.
#[must_use]
pub fn trained(
    facts: &Facts<'_>,
    organisation: &AIGovernance,
    course: &str,
    user: Option<&str>,
    group: Option<&str>,
) -> bool {
    let same = |a: Option<&str>, b: Option<&str>| a.is_some() && a == b;
    let limit = kind(course).and_then(|kind| kind.limit(facts.settings)).unwrap_or(365);
    let roster = organisation.spec.training.as_ref().map(|training| training.roster.as_slice());
    roster.unwrap_or_default().iter().any(|entry| {
        let who = same(entry.subject.user.as_deref(), user) || same(entry.subject.group.as_deref(), group);
        let done = dates::from(&entry.completed_at);
        let young =
            done.is_some_and(|at| at <= facts.now && facts.now.duration_since(at).as_hours() <= limit * 24);
        let open = entry
            .expires_at
            .as_deref()
            .is_none_or(|end| dates::until(end).is_some_and(|end| end >= facts.now));
        entry.course == course && who && young && open
    })
}

/// Names as a way out of `short` that somebody takes a course and is entered in the roster.
pub fn enrol(
    short: &mut Shortfall<'_, '_>,
    organisation: &AIGovernance,
    course: &str,
    user: Option<&str>,
    group: Option<&str>,
) {
    let roster = organisation.spec.training.as_ref().map_or(0, |training| training.roster.len());
    let who = user.or(group).unwrap_or_default();
    short.fix(format!("let {who} complete the {course}, then write when"));
    let subject = if user.is_some() { json!({"user": who}) } else { json!({"group": who}) };
    short.set(
        About::Organisation(organisation).object(),
        format!("spec.training.roster[{roster}]"),
        json!({"subject": subject, "course": course, "completedAt": "YYYY-MM-DD"}),
    );
}

/// Who uses a workload: as its purpose says, else as far as its exposures reach.
#[must_use]
pub fn end_users(workload: &AIWorkload) -> Audience {
    let stated = workload.spec.purpose.as_ref().and_then(|purpose| purpose.end_users);
    let reached = workload.spec.exposure.iter().filter_map(|exposure| exposure.audience).max();
    stated.or(reached).unwrap_or(Audience::Nobody)
}
