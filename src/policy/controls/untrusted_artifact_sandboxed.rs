//! `untrusted-artifact-sandboxed`: unscanned outside artifacts run only in quarantine, sandboxed, without
//! network or token.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "untrusted-artifact-sandboxed",
    title: "unscanned outside artifacts run only in quarantine, sandboxed, without network or token",
    room: Room::RuntimeHardening,
    wave: 3,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-2.6-n1", "CoP-6.2-n1"],
    why: "the first load of a foreign model is the moment it attacks",
    remedy: "set the namespace's environment to quarantine and a sandbox runtimeClassName, and add \
        ArtifactScan evidence once the scan is clean",
    gaps: &[
        "models in the state untrusted are not kept to quarantine",
        "runtime classes and isolation by sensitivity are not looked at",
    ],
    check: Check::NotImplemented,
};
