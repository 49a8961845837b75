//! `audit-trail-kept`: the history of assets is written by the system, chained and out of users' hands.

use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::facts::{Asset, Facts, Place, Subject};
use crate::policy::fix::Fix;
use crate::policy::hours;

/// The history of assets is written by the system, chained and out of users' hands.
pub(super) const CONTROL: Control = Control {
    id: "audit-trail-kept",
    title: "the history of assets is written by the system, chained and out of users' hands",
    room: Room::Documentation,
    wave: 2,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-2.2", "CoP-8.1", "CoP-6.1-n3", "LTR-1"],
    why: "a trail that its subjects can edit proves nothing",
    remedy: "keep one digest per version: publish a new version instead of changing an old one",
    gaps: &[],
    limits: &[
        "a change outside office hours is marked on the asset and told, and refuses nothing by itself",
        "a review in the seconds until that mark stands in the status is not compared with who made the change",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let (asset, digest, version) = match &facts.subject {
        Subject::Model(model) => (Asset::Model(model), &model.spec.digest, &model.spec.version),
        Subject::Dataset(dataset) => (Asset::Dataset(dataset), &dataset.spec.digest, &dataset.spec.version),
        Subject::Prompt(prompt) => (Asset::Prompt(prompt), &prompt.spec.digest, &prompt.spec.version),
        Subject::Cluster => {
            if facts.cluster.trail_exported == Some(false) {
                report
                    .violated(
                        Place::object("audit trail"),
                        "is exported nowhere: statuses keep its newest entries only",
                    )
                    .under(&["CoP-2.2"])
                    .fix(Fix::Text(
                        "set controller.auditExport of the chart to stdout or to a file".to_owned(),
                    ));
            }
            return;
        }
        Subject::Deletion(asset) => {
            in_use(facts, *asset, report);
            return;
        }
        _ => return,
    };
    own_review(facts, asset, report);
    // That a digest stays with its version is a rule of the definition, which the API server asks.
    if digest.is_some() && version.as_deref().is_none_or(|version| version.trim().is_empty()) {
        let (kind, name) = asset.named();
        report
            .violated(
                Place::field(format!("{kind} {}/{name}", facts.namespace.name), "spec.version"),
                "is missing, so the next change of the digest could not be told from this state",
            )
            .under(&["CoP-2.2"])
            .fix(Fix::set("spec.version", "1"));
    }
}

/// Who changed an asset outside office hours does not review that change.
fn own_review(facts: &Facts<'_>, asset: Asset<'_>, report: &mut Report<'_>) {
    let Some(requester) = &facts.requester else { return };
    let (status, reviewed) = match asset {
        Asset::Model(o) => (o.status.as_ref(), o.spec.last_reviewed_at.as_deref()),
        Asset::Dataset(o) => (o.status.as_ref(), o.spec.last_reviewed_at.as_deref()),
        Asset::Prompt(o) => (o.status.as_ref(), o.spec.last_reviewed_at.as_deref()),
    };
    let Some(reviewed) = reviewed else { return };
    let at = dates::from(reviewed);
    // While the mark stands, only a review that is written now can be later than the change.
    let change = status.and_then(|status| status.unusual_change.as_ref());
    let own = change.filter(|change| change.by == requester.user && at > dates::from(&change.at));
    let what = match own {
        Some(change) => format!(
            "is no review of what {:?} changed outside office hours at {}: somebody else looks at that",
            requester.user, change.at
        ),
        // It would vouch for what is changed now, as soon as that time has come.
        None if at > Some(facts.now) && hours::outside(facts.settings, facts.now).is_some() => {
            "lies ahead, and it is outside office hours: nobody reviews a change before it is made".to_owned()
        }
        None => return,
    };
    let (kind, name) = asset.named();
    let place = Place::field(format!("{kind} {}/{name}", facts.namespace.name), "spec.lastReviewedAt");
    report.violated(place.value(reviewed), what).under(&["CoP-2.2"]).fix(Fix::Text(
        "leave spec.lastReviewedAt as it was, and let another person review the change and set it to the time of that".to_owned(),
    ));
}

/// What a declaration still names leaves no gap in the trail.
fn in_use(facts: &Facts<'_>, asset: Asset<'_>, report: &mut Report<'_>) {
    if facts.namespace.terminating {
        return;
    }
    let (kind, name) = asset.named();
    let users: Vec<&str> = facts
        .namespace
        .workloads
        .iter()
        .filter(|(_, workload)| {
            let spec = &workload.spec;
            match asset {
                Asset::Model(_) => spec.models.iter().any(|used| used.name == name),
                Asset::Dataset(_) => {
                    spec.datasets.iter().any(|used| used.name == name && used.namespace.is_none())
                }
                Asset::Prompt(_) => spec.prompts.iter().any(|used| used.name == name),
            }
        })
        .map(|(name, _)| name.as_str())
        .take(5)
        .collect();
    if users.is_empty() {
        return;
    }
    report
        .violated(
            Place::object(format!("{kind} {}/{name}", facts.namespace.name)),
            format!("is still declared by AIWorkload {}", users.join(", ")),
        )
        .under(&["CoP-2.2"])
        .fix(Fix::Text("take it out of these declarations first".to_owned()));
}

#[cfg(test)]
#[path = "tests/audit_trail_kept.rs"]
mod tests;
