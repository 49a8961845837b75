//! `egress-declared`: traffic leaves only for declared APIs, data services and sinks, with data that may
//! go there.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "egress-declared",
    title: "traffic leaves only for declared APIs, data services and sinks, with data that may go there",
    room: Room::Segregation,
    wave: 1,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-2.3", "CoP-2.5", "NCSC-V2.6"],
    why: "an undeclared way out is how prompts, weights and personal data leave unseen",
    remedy: "declare the destination under spec.externalApis with its supplier, data classes and consent, \
        or remove the address from the pod",
    gaps: &[
        "addresses in environment variables and arguments are not compared with declared hosts",
        "data classes are not compared with what the supplier's assessment permits",
        "policies that open more than was declared are not traced to the workload",
    ],
    check: Check::NotImplemented,
};
