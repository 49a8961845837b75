//! `retention-enforced`: assets past their retention time are not mounted.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "retention-enforced",
    title: "assets past their retention time are not mounted",
    room: Room::Lifecycle,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-8.1.1", "FC-13"],
    why: "data that should be gone can still be stolen and still be sued over",
    remedy: "dispose of the asset and record it, or have its controller extend spec.retention with a reason",
    gaps: &["retention dates are not compared with mounts", "overdue disposal is not found"],
    check: Check::NotImplemented,
};
