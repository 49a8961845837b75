//! Until when the owners of a declaration count as named, and whom a declaration and its organisation know.

use jiff::{SignedDuration, Timestamp};

use super::dates;
use super::facts::{Facts, Settings};
use crate::api::AIWorkload;
use crate::api::common::Party;

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

/// Whether `user` is somebody who can bear a risk of what `owners` own in `workload`: one of them, who answers for the
/// workload or for AI in the organisation, or one of the organisation's people. Where a group answers for the workload
/// and the organisation lists no people, nobody can tell, and anybody will do.
#[must_use]
pub fn may_bear(facts: &Facts<'_>, workload: &AIWorkload, owners: Vec<&Party>, user: &str) -> bool {
    let all = &workload.spec.owners;
    let parties = owners.into_iter().chain([&all.accountable]).chain(&all.data_controllers);
    of_parties(facts, workload, parties, user)
}

/// Whether `user` is named among the owners of `workload`, answers for AI in its organisation, or is one of the
/// organisation's people; with the same leniency.
#[must_use]
pub fn knows(facts: &Facts<'_>, workload: &AIWorkload, user: &str) -> bool {
    let all = &workload.spec.owners;
    let others = [&all.developer, &all.system_operator, &all.security, &all.incident].into_iter().flatten();
    of_parties(facts, workload, others.chain([&all.accountable]).chain(&all.data_controllers), user)
}

/// Whether a user is the identity of a program.
#[must_use]
pub fn is_account(user: &str) -> bool {
    user.starts_with("system:serviceaccount:")
}

/// Why such a one is no second person.
pub const NO_PERSON: &str = "is a service account: whoever may edit its namespace acts as it";

/// Whether a name may mean the same person as `user`, where two are to be different people: many providers of identities let
/// one person sign in as `Ada` and as `ada`.
#[must_use]
pub fn may_be(name: Option<&str>, user: &str) -> bool {
    name.is_some_and(|name| name.eq_ignore_ascii_case(user))
}

fn of_parties<'p>(
    facts: &Facts<'_>,
    workload: &AIWorkload,
    mut parties: impl Iterator<Item = &'p Party>,
    user: &str,
) -> bool {
    let organisation = facts.governance(workload);
    let listed =
        organisation.and_then(|one| one.spec.people.as_ref()).map_or(&[][..], |people| &people.users);
    let leads =
        organisation.and_then(|one| one.spec.accountable.as_ref()).is_some_and(|one| one.user == user);
    leads
        || listed.iter().any(|known| known == user)
        || parties.any(|party| party.user.as_deref() == Some(user))
        || (listed.is_empty() && workload.spec.owners.accountable.user.is_none())
}
