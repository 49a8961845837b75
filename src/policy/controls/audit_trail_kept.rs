//! `audit-trail-kept`: the history of assets is written by the system, chained and out of users' hands.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "audit-trail-kept",
    title: "the history of assets is written by the system, chained and out of users' hands",
    room: Room::Documentation,
    wave: 2,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-2.2", "CoP-8.1", "CoP-6.1-n3", "LTR-1"],
    why: "a trail that its subjects can edit proves nothing",
    remedy: "keep one digest per version: publish a new version instead of changing an old one",
    gaps: &[
        "no history of assets is written",
        "changes of a digest under the same version are not refused",
        "the trail is not exported",
    ],
    check: Check::NotImplemented,
};
