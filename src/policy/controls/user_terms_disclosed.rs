//! `user-terms-disclosed`: users are told what happens to their data, who answers for what, and which
//! functions they can decline.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "user-terms-disclosed",
    title: "users are told what happens to their data, who answers for what, and which functions they can \
        decline",
    room: Room::Documentation,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-10.1", "CoP-10.3.2", "NCSC-D3.16", "NCSC-P3.5"],
    why: "consent to something else than what the system does is no consent",
    remedy: "fill spec.userData and record UserTerms evidence that agrees with it",
    gaps: &[
        "spec.userData is not compared with datasets, external APIs and log retention",
        "new capabilities are not compared with the published terms",
    ],
    check: Check::NotImplemented,
};
