//! `security-assessment-current`: exactly the digests that run have passed a security assessment by
//! someone else than their author.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "security-assessment-current",
    title: "exactly the digests that run have passed a security assessment by someone else than their author",
    room: Room::Evaluation,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-4.6", "CoP-9.1", "CoP-11.3", "ETSI-3"],
    why: "a test of yesterday's bytes says nothing about today's",
    remedy: "have the composition assessed and record SecurityAssessment evidence for its digests",
    gaps: &[
        "assessments are not compared with the digests of a pod",
        "the author of the asset is not kept from attesting it",
    ],
    check: Check::NotImplemented,
};
