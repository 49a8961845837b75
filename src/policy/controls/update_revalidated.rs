//! `update-revalidated`: a changed model, prompt, guardrail or dataset is a new version and is evaluated
//! afresh.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "update-revalidated",
    title: "a changed model, prompt, guardrail or dataset is a new version and is evaluated afresh",
    room: Room::Evaluation,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &["CoP-5.4.1", "CoP-9.2.1", "CoP-11.3", "CoP-11.4"],
    why: "small changes of data or prompt can turn behaviour round",
    remedy: "raise the version, evaluate the new digests and record the evidence before the rollout",
    gaps: &[
        "major changes are not told from minor ones",
        "evidence for former digests is not set aside",
        "previews before a major change are not asked for",
    ],
    check: Check::NotImplemented,
};
