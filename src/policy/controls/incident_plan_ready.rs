//! `incident-plan-ready`: an exercised incident plan with contact, scenarios and support for users
//! exists.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "incident-plan-ready",
    title: "an exercised incident plan with contact, scenarios and support for users exists",
    room: Room::Governance,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-6.4", "CoP-10.2", "NCSC-P3.2", "NCSC-P3.4", "FC-10"],
    why: "the first hour of an incident is no time to look for a phone number",
    remedy: "record IncidentPlan and IncidentExercise evidence and name owners.incident with a contact",
    gaps: &[
        "plans, exercises and support terms are not asked for",
        "the quarantine state does not isolate a workload yet",
    ],
    check: Check::NotImplemented,
};
