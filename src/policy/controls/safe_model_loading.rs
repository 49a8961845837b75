//! `safe-model-loading`: models come in formats that cannot run code, and no switch turns remote code on.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "safe-model-loading",
    title: "models come in formats that cannot run code, and no switch turns remote code on",
    room: Room::SupplyChain,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-2.7", "CoP-2.6-n1", "CoP-2.7-n1"],
    why: "some model formats are programs, and loading one hands it the pod",
    remedy: "convert the model to safetensors or gguf, drop switches such as --trust-remote-code, and set \
        the hub client to offline",
    gaps: &[
        "formats of declared models are not compared with the safe ones",
        "switches for remote code are not searched in arguments and environment variables",
        "downloads from hubs at start are not detected",
        "file contents are not compared with their extension",
    ],
    check: Check::NotImplemented,
};
