//! `maintenance-plan-current`: plans for audits, updates, providers, debt and decommissioning exist and
//! are kept.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "maintenance-plan-current",
    title: "plans for audits, updates, providers, debt and decommissioning exist and are kept",
    room: Room::Lifecycle,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-8.1", "CoP-11.1", "NCSC-V4.1", "NCSC-V4.2"],
    why: "software that nobody plans to maintain is already insecure, only not yet known to be",
    remedy: "record MaintenancePlan and SecurityAudit evidence and plan the retirement under spec.lifecycle",
    gaps: &["plans, audits and debt registers are not asked for", "overdue dates in them are not found"],
    check: Check::NotImplemented,
};
