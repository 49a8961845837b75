//! `exposure-declared`: every Service, Ingress and route to the workload matches a declared exposure.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "exposure-declared",
    title: "every Service, Ingress and route to the workload matches a declared exposure",
    room: Room::Segregation,
    wave: 2,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-4.6", "CoP-6.1", "NCSC-V2.7"],
    why: "a way in that nobody declared has no audience, no sign-in and no limit",
    remedy: "declare the Service under spec.exposure with audience, authentication, TLS and version, or \
        delete the object that opens it",
    gaps: &[
        "Services, Ingresses and Gateway API routes are not compared with spec.exposure",
        "the minimum of TLS and the kinds of authentication are not looked at",
    ],
    check: Check::NotImplemented,
};
