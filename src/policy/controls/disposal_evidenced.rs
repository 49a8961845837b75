//! `disposal-evidenced`: assets and workloads are disposed of or handed over with evidence for every
//! copy.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "disposal-evidenced",
    title: "assets and workloads are disposed of or handed over with evidence for every copy",
    room: Room::Lifecycle,
    wave: 3,
    modes: Modes::all(Mode::Enforce),
    provisions: &["NCSC-V4.2", "CfV-SCOPE", "FC-13", "ETSI-5"],
    why: "what a retired system leaves behind is guarded by nobody",
    remedy: "record DisposalRecord or TransferRecord for every copy, then delete the asset",
    gaps: &[
        "deletion of assets without a record is not refused",
        "leftovers of retired workloads are not listed",
        "the order of lifecycle states is not held",
    ],
    check: Check::NotImplemented,
};
