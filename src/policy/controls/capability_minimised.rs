//! `capability-minimised`: capabilities that the system does not use are switched off or accepted as a
//! risk.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "capability-minimised",
    title: "capabilities that the system does not use are switched off or accepted as a risk",
    room: Room::RuntimeHardening,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-3.1.3", "CoP-10.3.2", "NCSC-D3.16"],
    why: "an input or tool that nobody needs is still there for the attacker",
    remedy: "switch each unused capability off and name the means under capabilitiesDisabledBy, or record a \
        RiskAcceptance for the model's digest",
    gaps: &[
        "capabilities of models are not compared with those declared as used",
        "the switch that disables a capability is not looked for in the pod",
        "risky capabilities are not asked for opt-in",
    ],
    check: Check::NotImplemented,
};
