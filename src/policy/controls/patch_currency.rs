//! `patch-currency`: vulnerability reports are fresh, fixes land in time and unsupported digests leave.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "patch-currency",
    title: "vulnerability reports are fresh, fixes land in time and unsupported digests leave",
    room: Room::Lifecycle,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-7.2", "CoP-11.2", "CoP-11.2.1", "NCSC-O3.1", "NCSC-O4.4"],
    why: "most break-ins use holes for which a fix was out",
    remedy: "roll out the fixed digest, and have the update tool propose the next one",
    gaps: &[
        "vulnerability reports are not read",
        "time since a fix is not measured against the profile's windows",
        "running past the end of support is not refused",
    ],
    check: Check::NotImplemented,
};
