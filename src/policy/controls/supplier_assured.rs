//! `supplier-assured`: every outside component comes from an assessed supplier or has a justification
//! that expires.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "supplier-assured",
    title: "every outside component comes from an assessed supplier or has a justification that expires",
    room: Room::SupplyChain,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Warn, Mode::Audit),
    provisions: &[
        "CoP-2.6",
        "CoP-2.7",
        "CoP-3.4",
        "CoP-7.1",
        "CoP-7.2",
        "CoP-7.2.1",
        "CoP-7.2.1-n1",
        "NCSC-V1.2",
        "CfV-VENDOR",
    ],
    why: "a model is as trustworthy as whoever made it, and somebody must have looked",
    remedy: "name an AISupplier under supplierRef whose due diligence is current and whose spec.sources \
        hold the address",
    gaps: &[
        "suppliers of models, images and APIs are not resolved",
        "age and result of due diligence are not looked at",
        "suspended suppliers are not refused",
        "hardware suppliers of devices are not asked for",
    ],
    check: Check::NotImplemented,
};
