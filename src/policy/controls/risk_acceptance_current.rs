//! `risk-acceptance-current`: every risk is treated by a control in force or accepted by its owner until
//! a date.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "risk-acceptance-current",
    title: "every risk is treated by a control in force or accepted by its owner until a date",
    room: Room::Governance,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-3.4", "CoP-3.5", "CoP-3.6", "CoP-5.1", "NCSC-G4", "NCSC-V2.1", "FC-3"],
    why: "a risk that nobody signed for is carried by whoever is hit",
    remedy: "treat the risk with a control that passes, or record RiskAcceptance by owners.accountable with \
        an end date",
    gaps: &[
        "risk registers are not read",
        "acceptances and their dates are not judged",
        "criticality is not derived from impact and sensitivity",
    ],
    check: Check::NotImplemented,
};
