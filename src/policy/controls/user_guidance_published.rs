//! `user-guidance-published`: guidance on use, forbidden uses, limits and failures is published and
//! current.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "user-guidance-published",
    title: "guidance on use, forbidden uses, limits and failures is published and current",
    room: Room::Documentation,
    wave: 3,
    modes: Modes::new(Mode::Warn, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-4.4", "CoP-4.5", "CoP-10.3", "CoP-10.3.1", "NCSC-D3.17"],
    why: "people misuse and over-trust what nobody explained to them",
    remedy: "publish the guidance and record UserGuidance evidence with its digest and sections",
    gaps: &[
        "UserGuidance evidence and its sections are not asked for",
        "the age of guidance is not compared with the newest model",
    ],
    check: Check::NotImplemented,
};
