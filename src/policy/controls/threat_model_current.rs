//! `threat-model-current`: a threat model fits the present shape and sensitivity of the workload.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "threat-model-current",
    title: "a threat model fits the present shape and sensitivity of the workload",
    room: Room::Governance,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &[
        "CoP-3.1",
        "CoP-3.1.2",
        "CoP-3.3",
        "CoP-3.1-n1",
        "CoP-3.1-n2",
        "CoP-3.1.2-n1",
        "NCSC-D2.3",
        "NCSC-D2.4",
        "FC-3",
    ],
    why: "defences built against the wrong attack cost as much and stop nothing",
    remedy: "update the threat model and record ThreatModel evidence for the present composition",
    gaps: &[
        "age and content of threat models are not judged",
        "a new exposure, action, API or data class does not make the model stale yet",
        "open threats are not compared with notices to those downstream",
    ],
    check: Check::NotImplemented,
};
