//! `interactive-access-blocked`: nobody enters a running pod without break-glass.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "interactive-access-blocked",
    title: "nobody enters a running pod without break-glass",
    room: Room::Identity,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Audit),
    provisions: &["CoP-5.4", "CoP-6.1", "CoP-6.1-n2", "CoP-6.1-n3", "NCSC-O1.2"],
    why: "a shell in the pod reads weights, prompts and data past every other control",
    remedy: "read logs and metrics instead, or ask for an AIExemption that names this control and the pod",
    gaps: &[
        "attach, exec, port-forward and debug containers are not judged against an exemption",
        "access that was let through is not recorded as unusual outside office hours",
        "subjects that could enter AI namespaces are not listed",
    ],
    check: Check::NotImplemented,
};
