//! `action-scope-declared`: an agent declares each action with target, verb and fail-safe, and can do no
//! more.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "action-scope-declared",
    title: "an agent declares each action with target, verb and fail-safe, and can do no more",
    room: Room::Identity,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-2.5", "CoP-2.5-n2", "ETSI-3"],
    why: "an agent does whatever its inputs talk it into, as far as its rights reach",
    remedy: "list each action under spec.actions with a fail-safe, and take away rights and destinations \
        beyond them",
    gaps: &[
        "rights and egress of agents are not compared with spec.actions",
        "the fail-safe that an action names is not looked for",
    ],
    check: Check::NotImplemented,
};
