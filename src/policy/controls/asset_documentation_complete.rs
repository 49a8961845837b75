//! `asset-documentation-complete`: cards of models, datasets and prompts are complete and reviewed on
//! time.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "asset-documentation-complete",
    title: "cards of models, datasets and prompts are complete and reviewed on time",
    room: Room::Documentation,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Audit, Mode::Audit),
    provisions: &[
        "CoP-2.2",
        "CoP-7.2",
        "CoP-8.1",
        "CoP-8.1.1",
        "CoP-8.1.2",
        "CoP-2.1-n4",
        "CoP-2.1-n6",
        "CoP-5.1-n1",
        "NCSC-D4.1",
        "NCSC-V3.3",
    ],
    why: "whoever inherits the model needs to know what it was made of and where it breaks",
    remedy: "fill the card of the asset, its limits, retention and failure modes among it, and set \
        lastReviewedAt",
    gaps: &["completeness of cards is not counted", "review dates are not compared with reviewEvery"],
    check: Check::NotImplemented,
};
