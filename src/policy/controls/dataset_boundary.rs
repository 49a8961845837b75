//! `dataset-boundary`: datasets are mounted only by listed consumers, in environments and sensitivities
//! that fit them.

use crate::policy::control::{Check, Control, Mode, Modes, Room};

/// The control; no rule of it runs yet.
pub(super) const CONTROL: Control = Control {
    id: "dataset-boundary",
    title: "datasets are mounted only by listed consumers, in environments and sensitivities that fit them",
    room: Room::Segregation,
    wave: 1,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-2.4", "CoP-5.4", "CoP-6.2.1", "NCSC-V2.6", "NCSC-V2.7", "NCSC-P5.3"],
    why: "data that learns or tests a model is worth most to a thief and easiest to spoil where anybody can \
        mount it",
    remedy: "list the workload under spec.consumers of the AIDataset, and run it in a namespace whose \
        environment and sensitivity fit the dataset",
    gaps: &[
        "volumes and Secrets of a dataset are not compared with its consumers",
        "training, test and feedback data mounted in production is not seen",
        "outputs do not inherit the sensitivity of what went in",
        "sensitivity along the lineage of a model is not computed",
    ],
    check: Check::NotImplemented,
};
