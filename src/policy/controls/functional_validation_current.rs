//! `functional-validation-current`: validation shows that each model does what is intended, before and
//! after deployment.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "functional-validation-current",
    title: "validation shows that each model does what is intended, before and after deployment",
    room: Room::Evaluation,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-9.2", "CoP-9.2.1"],
    why: "a model that fails its task fails its users, and often its safeguards too",
    remedy: "record FunctionalValidation for the model's digest and intended use, and PostDeploymentTest \
        after each rollout",
    gaps: &[
        "validation metrics are not compared with their thresholds",
        "overdue tests after deployment are not found",
    ],
    check: Check::NotImplemented,
};
