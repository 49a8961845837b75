//! `data-controller-approval`: whoever controls the data took part, approved the use and had the privacy
//! impact assessed.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "data-controller-approval",
    title: "whoever controls the data took part, approved the use and had the privacy impact assessed",
    room: Room::Governance,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Warn, Mode::Audit),
    provisions: &["CoP-2.1.1", "CoP-2.3", "CoP-2.4", "CoP-3.2", "CoP-4.2", "CfV-LAW"],
    why: "the people the data is about have one advocate in the project, and it is the controller",
    remedy: "have a controller of each dataset record DataControllerReview, and a DPIA where personal data \
        is used",
    gaps: &[
        "reviews by data controllers are not asked for",
        "impact assessments and lawful basis are not judged",
        "controls that a data controller requires are not compared with those in force",
    ],
    check: Check::NotImplemented,
};
