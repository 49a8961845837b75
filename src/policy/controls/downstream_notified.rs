//! `downstream-notified`: open threats, findings and changes reach operators and users in time.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "downstream-notified",
    title: "open threats, findings and changes reach operators and users in time",
    room: Room::Lifecycle,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-3.3", "CoP-9.4", "CoP-11.2", "CoP-11.4", "NCSC-G1", "FC-10"],
    why: "people downstream can only guard against what they were told",
    remedy: "record UpdateNotice, ResidualThreatNotice or FindingsShared with the audience that is affected",
    gaps: &[
        "consumers of an asset are not computed",
        "notices and their dates are not asked for",
        "previews and versions of exposed APIs are not looked at",
    ],
    check: Check::NotImplemented,
};
