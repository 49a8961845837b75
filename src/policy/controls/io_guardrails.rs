//! `io-guardrails`: a safeguard that is not AI stands in the only path to the model, with an input guard
//! for outside input.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "io-guardrails",
    title: "a safeguard that is not AI stands in the only path to the model, with an input guard for \
        outside input",
    room: Room::RuntimeHardening,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Audit, Mode::Audit),
    provisions: &[
        "CoP-4.1",
        "CoP-4.6",
        "CoP-5.4.1",
        "CoP-8.2",
        "CoP-12.3-n1",
        "NCSC-P2.2",
        "NCSC-P5.3",
        "ETSI-3",
    ],
    why: "a model can be talked round, a plain filter in its path cannot",
    remedy: "put a guard container or gateway in front of the model, declare it under spec.guardrails and \
        point the Service at its port",
    gaps: &[
        "the declared guard is not looked for in the pod or behind the Service",
        "a Service that targets the model's own port is not refused",
        "server switches that add metadata to outputs are not detected",
    ],
    check: Check::NotImplemented,
};
