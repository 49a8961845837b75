//! The mark of an asset that was changed outside office hours, until somebody has reviewed it. Pure.

use jiff::{SignedDuration, Timestamp};
use kube::runtime::events::{Event, EventType};

use crate::api::common::AssetStatus;
use crate::api::outcome::UnusualChange;
use crate::controllers::conditions::{Said, UNUSUAL_CHANGE, conditions};
use crate::policy::dates;
use crate::render::words;

/// Puts the mark of the last such change into `status`: the one that the webhook has `told` of, or the one of before.
///
/// Guarantees: the mark outlives whoever told of it, and goes with a review that begins after the change and has begun by
/// `now`. A review that names a day begins with that day, so that one of the day of the change does not confirm it.
pub fn mark(
    status: &mut AssetStatus,
    told: Option<&UnusualChange>,
    former: &AssetStatus,
    last_reviewed_at: Option<&str>,
    now: Timestamp,
) {
    let newest = told.into_iter().chain(&former.unusual_change).max_by(|a, b| a.at.cmp(&b.at));
    // Not the leniency of other dates: a day that has come elsewhere only is no review of what was done here.
    let reviewed = last_reviewed_at.and_then(dates::from).filter(|at| at.duration_since(now) <= dates::SKEW);
    let confirmed = |change: &UnusualChange| {
        change.at.parse::<Timestamp>().is_ok_and(|at| reviewed.is_some_and(|reviewed| reviewed > at))
    };
    let Some(change) = newest.filter(|change| !confirmed(change)) else { return };
    let said = Said::new(UNUSUAL_CHANGE, true, "OutsideOfficeHours", words_of(change));
    status.conditions.extend(conditions([said], &former.conditions, status.observed_generation, now));
    status.unusual_change = Some(change.clone());
}

fn words_of(change: &UnusualChange) -> String {
    let UnusualChange { at, by, hours } = change;
    format!(
        "{by:?} changed it at {at}, outside office hours ({hours}): look at what changed, and set spec.lastReviewedAt to the \
         time of that look, such as {}, or revoke the right to change it",
        later(at)
    )
}

/// A time after a change, as an example of how to write one.
fn later(at: &str) -> String {
    let later =
        at.parse::<Timestamp>().ok().and_then(|at| at.checked_add(SignedDuration::from_hours(1)).ok());
    later.map_or_else(|| at.to_owned(), |later| later.to_string())
}

/// The warning of a change that was not told of before.
#[must_use]
pub fn event(what: &str, status: &AssetStatus, former: &AssetStatus) -> Option<Event> {
    let change = status.unusual_change.as_ref().filter(|_| status.unusual_change != former.unusual_change)?;
    Some(Event {
        type_: EventType::Warning,
        reason: UNUSUAL_CHANGE.to_owned(),
        note: Some(words::cut(format!("{what}: {}", words_of(change)), 1000)),
        action: "Change".to_owned(),
        secondary: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(at: &str) -> UnusualChange {
        UnusualChange { at: at.to_owned(), by: "ada".to_owned(), hours: "Mon-Fri 08:00-18:00".to_owned() }
    }

    fn marked(told: Option<&UnusualChange>, former: &AssetStatus, reviewed: Option<&str>) -> AssetStatus {
        let mut status = AssetStatus { observed_generation: Some(2), ..AssetStatus::default() };
        mark(&mut status, told, former, reviewed, "2026-06-02T08:00:00Z".parse().unwrap());
        status
    }

    #[test]
    fn a_change_on_a_sunday_is_marked_told_once_and_stays_until_a_later_review() {
        let none = AssetStatus::default();
        let sunday = change("2026-05-31T12:00:00Z");
        let seen = marked(Some(&sunday), &none, Some("2026-05-30"));
        assert_eq!(seen.unusual_change.as_ref(), Some(&sunday));
        let said: Vec<_> = seen
            .conditions
            .iter()
            .map(|c| (c.type_.as_str(), c.status.as_str(), c.message.as_str()))
            .collect();
        assert_eq!(
            said,
            [(
                "UnusualChange",
                "True",
                "\"ada\" changed it at 2026-05-31T12:00:00Z, outside office hours (Mon-Fri 08:00-18:00): look at what \
                 changed, and set spec.lastReviewedAt to the time of that look, such as 2026-05-31T13:00:00Z, or revoke the \
                 right to change it"
            )]
        );
        let told = event("AIDataset manual", &seen, &none).unwrap();
        assert!(
            told.note.unwrap().starts_with("AIDataset manual: \"ada\" changed it at 2026-05-31T12:00:00Z")
        );
        // A new leader knows it from the status, and tells nobody again.
        let again = marked(None, &seen, Some("2026-05-31"));
        assert_eq!(again, seen, "the day of the change began before it");
        assert!(event("AIDataset manual", &again, &seen).is_none());
        assert_eq!(marked(Some(&sunday), &seen, Some("2026-06-01")).unusual_change, None);
        assert_eq!(marked(None, &seen, Some("2026-05-31T12:30:00Z")).conditions, []);
        assert_eq!(
            marked(None, &seen, Some("2036-01-01")).unusual_change.as_ref(),
            Some(&sunday),
            "it lies ahead"
        );
        let late = marked(Some(&change("2026-06-02T07:00:00Z")), &none, Some("2026-06-03"));
        assert!(late.unusual_change.is_some(), "tomorrow is no later review, wherever it has begun");
        // The newest one counts, in whatever order they come.
        let night = change("2026-06-02T03:00:00Z");
        let later = marked(Some(&night), &seen, Some("2026-06-01"));
        assert_eq!(later.unusual_change.as_ref(), Some(&night));
        assert_eq!(marked(Some(&sunday), &later, None).unusual_change.as_ref(), Some(&night));
    }
}
