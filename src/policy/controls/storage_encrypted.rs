//! `storage-encrypted`: volumes with confidential or restricted assets use storage that encrypts.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "storage-encrypted",
    title: "volumes with confidential or restricted assets use storage that encrypts",
    room: Room::Segregation,
    wave: 3,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-5.4", "CoP-6.1-n1"],
    why: "a copied disk gives away everything that was stored on it in the clear",
    remedy: "move the claim to a storage class that the AIProfile lists as encrypted",
    gaps: &[
        "storage classes of claims are not compared with the profile's list",
        "scratch space of such pods is not looked at",
    ],
    check: Check::NotImplemented,
};
