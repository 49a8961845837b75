//! Until when the owners of a declaration count as named.

use jiff::{SignedDuration, Timestamp};

use super::dates;
use super::facts::Settings;
use crate::api::AIWorkload;

/// For how many days the naming of owners counts, where no profile sets less in `owners.reconfirm`.
const DAYS: i64 = 365;

/// When owners were named or confirmed last, and for how long that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// When it was.
    pub last: Timestamp,
    /// For how many days it counts.
    pub days: i64,
    /// Until when it counts.
    pub until: Timestamp,
}

/// What is known of it; nothing of a declaration that was not created yet.
///
/// That they were named with the declaration counts as the first time. A day that lies ahead confirms nothing.
#[must_use]
pub fn confirmed(workload: &AIWorkload, settings: &Settings, now: Timestamp) -> Option<Confirmed> {
    let created = workload.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let stated = workload.spec.owners.confirmed_at.as_deref().and_then(dates::from);
    let last = stated.filter(|at| *at <= now).max(created)?;
    let days = settings.days("owners.reconfirm", DAYS).min(DAYS);
    let until = last.checked_add(SignedDuration::from_hours(days * 24)).ok()?;
    Some(Confirmed { last, days, until })
}
