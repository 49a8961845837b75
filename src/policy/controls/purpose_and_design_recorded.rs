//! `purpose-and-design-recorded`: need, intended use, alternatives and design choices are on record.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "purpose-and-design-recorded",
    title: "need, intended use, alternatives and design choices are on record",
    room: Room::Documentation,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &[
        "CoP-2.1",
        "CoP-2.1-n1",
        "CoP-2.1-n2",
        "CoP-2.1-n3",
        "CoP-2.1-n5",
        "NCSC-G7",
        "NCSC-D3.1",
        "NCSC-D3.2",
        "NCSC-D3.3",
        "NCSC-D4.1",
        "NCSC-P2.5",
        "CfV-COMPANION",
    ],
    why: "a system whose purpose nobody wrote down cannot be judged, limited or ended",
    remedy: "fill spec.purpose and add BusinessCase and DesignRationale evidence",
    gaps: &[
        "purpose and its date are not judged",
        "BusinessCase, DesignRationale and CompanionCodes evidence is not asked for",
        "choices of model and data are not compared with the rationale",
    ],
    check: Check::NotImplemented,
};
