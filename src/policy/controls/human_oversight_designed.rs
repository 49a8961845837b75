//! `human-oversight-designed`: a trained human group can judge, approve and stop the system.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "human-oversight-designed",
    title: "a trained human group can judge, approve and stop the system",
    room: Room::Governance,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-2.1-n3", "CoP-2.5-n2", "CoP-4.1-n1", "FC-4"],
    why: "when nobody can stop it, nobody is responsible for it",
    remedy: "set spec.oversight with a mode, a group and a switch, and record OversightTraining",
    gaps: &[
        "oversight modes are not compared with what an agent may do",
        "the right of the group to use the switch is not verified",
    ],
    check: Check::NotImplemented,
};
