//! `dataset-integrity`: datasets are sealed by digest and signature, and only declared preparation writes
//! to them.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "dataset-integrity",
    title: "datasets are sealed by digest and signature, and only declared preparation writes to them",
    room: Room::SupplyChain,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-5.2", "CoP-5.4.1", "NCSC-P2.3", "ETSI-2"],
    why: "whoever can change one training sample unnoticed can teach the model something",
    remedy: "seal the dataset by spec.digest with a signature, mount it read-only, and write to it from \
        dataPreparation workloads alone",
    gaps: &[
        "digests and signatures of datasets are not verified",
        "writable mounts of sealed datasets are not refused",
        "sanitisation evidence is not tied to the digest",
    ],
    check: Check::NotImplemented,
};
