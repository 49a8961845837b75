//! `awareness-and-training-current`: awareness, bulletins and training of all roles are current, and
//! trained people make the changes.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "awareness-and-training-current",
    title: "awareness, bulletins and training of all roles are current, and trained people make the changes",
    room: Room::Governance,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &[
        "CoP-1.1",
        "CoP-1.1.1",
        "CoP-1.1.2",
        "CoP-1.2",
        "CoP-1.2.1",
        "CoP-1.3",
        "CoP-1.3.1",
        "CoP-1.4",
        "NCSC-D1.1",
        "NCSC-P3.4",
        "FC-1",
    ],
    why: "most ways into a system lead through somebody who did not know better",
    remedy: "record the programme, the bulletin or the training as AIEvidence and refer to it from the \
        AIGovernance",
    gaps: &[
        "AwarenessProgramme and its half-yearly review are not judged",
        "ThreatBulletin age and channels are not judged",
        "the person who changes an asset is not looked up on the training roster",
        "leadership and responder training is not asked for",
    ],
    check: Check::NotImplemented,
};
