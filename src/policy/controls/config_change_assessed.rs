//! `config-change-assessed`: the settings in force are covered by a risk assessment.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "config-change-assessed",
    title: "the settings in force are covered by a risk assessment",
    room: Room::RuntimeHardening,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-3.1.1", "CoP-8.1.2", "NCSC-P5.2"],
    why: "one changed flag can undo every other safeguard, and nobody looks twice at a flag",
    remedy: "assess the new settings, record ConfigChangeAssessment for their digest, or go back to the \
        secure default",
    gaps: &[
        "no digest of arguments, environment and mounted settings is computed",
        "departures from declared secure defaults are not found",
    ],
    check: Check::NotImplemented,
};
