//! `known-good-recovery`: a last known good composition can be fetched, was restored in a test and, where
//! critical, lies offline.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "known-good-recovery",
    title: "a last known good composition can be fetched, was restored in a test and, where critical, lies \
        offline",
    room: Room::Lifecycle,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-5.3", "NCSC-P3.3"],
    why: "without a way back every compromise is an outage or a blackmail",
    remedy: "keep revisionHistoryLimit at 2 or more, declare spec.recovery and record BackupRestoreTest",
    gaps: &[
        "no known good composition is recorded",
        "retrievability of its digests is not probed",
        "backups and restore tests are not judged",
    ],
    check: Check::NotImplemented,
};
