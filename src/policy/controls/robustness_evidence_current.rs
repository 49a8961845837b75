//! `robustness-evidence-current`: red-team tests and benchmarks cover the running composition, by
//! qualified and independent people.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "robustness-evidence-current",
    title: "red-team tests and benchmarks cover the running composition, by qualified and independent people",
    room: Room::Evaluation,
    wave: 3,
    modes: Modes::new(Mode::Warn, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-8.2", "CoP-9.2.2", "CoP-9.2.3", "CoP-9.3"],
    why: "attackers test the whole system, so somebody friendly should do it first",
    remedy: "record RedTeam evidence of scope system and a Benchmark for the model version",
    gaps: &[
        "red-team evidence is not tied to the composition",
        "benchmarks are not compared with earlier versions",
        "independence of evaluators is not judged",
    ],
    check: Check::NotImplemented,
};
