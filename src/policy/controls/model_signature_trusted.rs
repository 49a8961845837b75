//! `model-signature-trusted`: every model manifest is signed by an authority that the trust policy names.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "model-signature-trusted",
    title: "every model manifest is signed by an authority that the trust policy names",
    room: Room::SupplyChain,
    wave: 1,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-5.2", "NCSC-P2.3", "NCSC-O3.2"],
    why: "a signature made right after training is what tells your model from one that was swapped on the \
        way",
    remedy: "sign the model manifest with a key of the AITrustPolicy and set spec.signature of the AIModel",
    gaps: &[
        "signatures of model manifests are not verified",
        "the time between training and signing is not measured",
        "a return to a superseded version is not refused",
    ],
    check: Check::NotImplemented,
};
