//! `rate-limit-set`: exposures limit rate, size, tokens and time of requests.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "rate-limit-set",
    title: "exposures limit rate, size, tokens and time of requests",
    room: Room::RuntimeHardening,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Warn, Mode::Audit),
    provisions: &["CoP-4.3", "CoP-4.6", "NCSC-P2.2"],
    why: "unlimited queries pay for theft of the model, denial of service and your bill",
    remedy: "set rateLimit, maxRequestBytes, maxTokens and timeoutSeconds on the exposure and the same in \
        the gateway object it names",
    gaps: &[
        "limits declared on an exposure are not compared with the gateway's configuration",
        "exposures to partners and the public without limits are not refused",
    ],
    check: Check::NotImplemented,
};
