//! `prompt-integrity`: prompts, templates and guardrail settings are AIPrompt assets of known digest.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "prompt-integrity",
    title: "prompts, templates and guardrail settings are AIPrompt assets of known digest",
    room: Room::SupplyChain,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Warn, Mode::Audit),
    provisions: &["CoP-2.2", "CoP-5.2", "CoP-8.1.1", "CoP-11.3", "NCSC-O3.2"],
    why: "a system prompt is code in another language, and whoever edits it changes what the system does",
    remedy: "register the text as an AIPrompt with its digest and make the ConfigMap immutable",
    gaps: &[
        "ConfigMaps of prompts are not compared with the digests of AIPrompts",
        "prompts in arguments and environment variables are not detected",
    ],
    check: Check::NotImplemented,
};
