//! `disclosure-policy-published`: people who find a weakness know where to report it and may do so
//! safely.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "disclosure-policy-published",
    title: "people who find a weakness know where to report it and may do so safely",
    room: Room::Governance,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-6.3", "CoP-11.2.1", "CoP-11.2.1-n1", "NCSC-O4.1", "NCSC-O4.2"],
    why: "somebody will find the hole, and a published address decides who hears first",
    remedy: "publish a policy with contact and safe harbour, and record DisclosurePolicy evidence on the \
        AIGovernance",
    gaps: &[
        "DisclosurePolicy evidence is not asked for",
        "published pages are not fetched or compared",
        "escalation channels, bulletins and communities are not looked at",
    ],
    check: Check::NotImplemented,
};
