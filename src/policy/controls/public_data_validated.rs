//! `public-data-validated`: public training data is validated by digest before it leaves quarantine, and
//! its sources are watched.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "public-data-validated",
    title: "public training data is validated by digest before it leaves quarantine, and its sources are \
        watched",
    room: Room::SupplyChain,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Warn),
    provisions: &["CoP-7.3.1", "CoP-7.3.2", "CoP-3.1.2-n1", "ETSI-2"],
    why: "anyone on the internet can write what you will train on tomorrow",
    remedy: "validate the data and record PublicDataValidation for its digest; until then mount it only in \
        quarantine",
    gaps: &[
        "validation evidence is not tied to the digest of public datasets",
        "sources are not observed for change",
    ],
    check: Check::NotImplemented,
};
