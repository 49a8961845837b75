//! `failover-ready`: a critical workload has a tested and independent alternative.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "failover-ready",
    title: "a critical workload has a tested and independent alternative",
    room: Room::Lifecycle,
    wave: 3,
    modes: Modes::new(Mode::Warn, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-7.3"],
    why: "the day a supplier is suspended is too late to look for another",
    remedy: "declare spec.recovery.failover with a target of other lineage and record FailoverTest",
    gaps: &[
        "failover targets and their lineage are not looked at",
        "the age of failover tests is not judged",
    ],
    check: Check::NotImplemented,
};
