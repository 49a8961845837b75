//! The warnings before the owners of a workload have to be confirmed again. Pure.

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::events::{Event, EventType};

use crate::api::AIWorkload;
use crate::controllers::statuses::expiry;
use crate::policy::facts::Settings;
use crate::policy::owners;
use crate::render::words;

/// The nearest mark on the way to that day, 30, 7, 1 or 0 days before it. It begins anew once the day is moved.
#[must_use]
pub fn warned(workload: &AIWorkload, settings: &Settings, former: Option<u8>, now: Timestamp) -> Option<u8> {
    let confirmed = owners::confirmed(workload, settings, now)?;
    let mark = expiry::mark(confirmed.until, now)?;
    Some(former.map_or(mark, |warned| warned.min(mark)))
}

/// The warning that comes with a mark that is news.
#[must_use]
pub fn event(
    workload: &AIWorkload,
    settings: &Settings,
    marks: (Option<u8>, Option<u8>),
    now: Timestamp,
) -> Option<Event> {
    let (mark, former) = marks;
    if !expiry::is_news(mark, former) {
        return None;
    }
    let confirmed = owners::confirmed(workload, settings, now)?;
    let note = format!(
        "the time for which the owners of AIWorkload {} count as named {}: ask them whether they still answer for it, and set \
         spec.owners.confirmedAt; after it no new pod comes in where owners-accountable is enforced",
        workload.name_any(),
        expiry::left(confirmed.until, now)
    );
    Some(Event {
        type_: EventType::Warning,
        reason: if mark == Some(0) { "OwnersUnconfirmed" } else { "OwnersDue" }.to_owned(),
        note: Some(words::cut(note, 1000)),
        action: "Expire".to_owned(),
        secondary: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn owners_are_asked_for_30_7_and_1_days_before_the_year_ends_each_time_once() {
        let mut workload: AIWorkload = serde_json::from_value(json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload",
            "metadata": {"name": "chat", "creationTimestamp": "2025-01-10T00:00:00Z"},
            "spec": {"selector": {"matchLabels": {"app": "chat"}}, "type": "inference",
                     "owners": {"accountable": {"user": "j"}}}}))
        .unwrap();
        let settings = Settings::default();
        let mut known = None;
        let mut told = Vec::new();
        let mut look = |workload: &AIWorkload, day: &str| {
            let now: Timestamp = format!("{day}T12:00:00Z").parse().unwrap();
            let mark = warned(workload, &settings, known, now);
            let event = event(workload, &settings, (mark, known), now);
            told.extend(event.and_then(|event| Some(format!("{}: {}", event.reason, event.note?))));
            known = mark;
        };
        for day in ["2025-12-01", "2025-12-20", "2025-12-21", "2026-01-05", "2026-01-09", "2026-01-11"] {
            look(&workload, day);
        }
        // Confirmed, and due again a year later.
        workload.spec.owners.confirmed_at = Some("2026-01-11".to_owned());
        look(&workload, "2026-01-12");
        look(&workload, "2027-01-08");
        let due = |reason: &str, left: &str| {
            format!(
                "{reason}: the time for which the owners of AIWorkload chat count as named {left}: ask them whether they \
                 still answer for it, and set spec.owners.confirmedAt; after it no new pod comes in where \
                 owners-accountable is enforced"
            )
        };
        assert_eq!(
            told,
            [
                due("OwnersDue", "ends in 20 days"),
                due("OwnersDue", "ends in 4 days"),
                due("OwnersDue", "ends within a day"),
                due("OwnersUnconfirmed", "is over"),
                due("OwnersDue", "ends in 2 days"),
            ]
        );
    }
}
