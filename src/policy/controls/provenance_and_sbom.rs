//! `provenance-and-sbom`: images and models carry signed provenance and a bill of materials for the
//! digest that runs.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "provenance-and-sbom",
    title: "images and models carry signed provenance and a bill of materials for the digest that runs",
    room: Room::SupplyChain,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Warn, Mode::Warn, Mode::Audit),
    provisions: &[
        "CoP-2.7",
        "CoP-7.1",
        "CoP-7.2",
        "CoP-8.1.2",
        "CoP-2.1-n6",
        "CoP-7.3-n1",
        "NCSC-D3.9",
        "NCSC-V3.3",
    ],
    why: "without a record of what is inside and who built it, no advisory can be matched to what runs",
    remedy: "attach a CycloneDX and an SLSA provenance attestation to the digest in the build that makes it",
    gaps: &[
        "attestations are not fetched or verified",
        "reviewed versions of loader libraries are not compared with the bill of materials",
        "lineage of models is not resolved",
    ],
    check: Check::NotImplemented,
};
