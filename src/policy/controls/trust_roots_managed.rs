//! `trust-roots-managed`: keys and identities of the trust policy have an owner, strength and an end, and
//! revocation bites.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "trust-roots-managed",
    title: "keys and identities of the trust policy have an owner, strength and an end, and revocation bites",
    room: Room::SupplyChain,
    wave: 1,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-5.2", "NCSC-V1.2", "NCSC-P2.4"],
    why: "whoever holds an old or weak key can sign anything in your name",
    remedy: "give each authority of the AITrustPolicy an owner, an accepted algorithm and notAfter, and \
        rotate before that date",
    gaps: &[
        "strength, owner and expiry of keys are not judged",
        "revoked digests and suppliers do not stop pods yet",
        "who changes a trust policy is not compared with the authors of assets",
    ],
    check: Check::NotImplemented,
};
