//! `behaviour-monitored`: alerts for drift, sudden change, intrusion and extraction exist, and logs are
//! analysed regularly.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "behaviour-monitored",
    title: "alerts for drift, sudden change, intrusion and extraction exist, and logs are analysed regularly",
    room: Room::Monitoring,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-12.3", "CoP-12.4", "CoP-12.3-n1", "NCSC-P2.2", "NCSC-O1.2"],
    why: "a poisoned or drifting model keeps answering, and only measurement tells",
    remedy: "declare the alerts under monitoring.behaviour, create the PrometheusRule that holds them, and \
        record LogReview on schedule",
    gaps: &[
        "declared alerts are not looked for in PrometheusRules",
        "behaviour baselines are not tied to the model's digest",
        "gaps between log reviews are not measured",
    ],
    check: Check::NotImplemented,
};
