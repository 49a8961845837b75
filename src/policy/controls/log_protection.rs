//! `log-protection`: log sinks fit the sensitivity, use TLS, keep for the agreed time and are read by
//! few.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "log-protection",
    title: "log sinks fit the sensitivity, use TLS, keep for the agreed time and are read by few",
    room: Room::Monitoring,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Warn, Mode::Audit),
    provisions: &["CoP-12.1", "NCSC-V2.2"],
    why: "logs of prompts and answers are as sensitive as the conversation itself",
    remedy: "send logs to a sink with TLS, sensitivity and readers declared under monitoring.ioLog, and \
        restrict pods/log",
    gaps: &[
        "sensitivity, TLS and retention of the sink are not compared with the workload",
        "who can read pods/log is not audited",
    ],
    check: Check::NotImplemented,
};
