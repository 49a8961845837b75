//! What a container is told to load and to be able to, and all that is wrong with it.

use super::declared::{Declared, compare};
use super::mend::Mend;
use super::{Ability, Form, Load, Seen, Switch, What, read};
use crate::api;
use crate::policy::containers::ContainerView;
use crate::policy::facts::{Facts, PodFacts};
use crate::policy::fix::Fix;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Something other than a declared model is loaded.
    Undeclared,
    /// Something is fetched that is not declared and pinned.
    Fetched,
    /// A switch is on.
    Switched(Switch),
    /// It cannot be read.
    Unreadable,
}

/// One fault of a container.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What is wrong.
    pub wrong: Wrong,
    /// Path of the field inside the container.
    pub field: String,
    /// The value there.
    pub value: Option<String>,
    /// What is wrong, as a clause.
    pub detail: String,
    /// Whether the change of the container mends it.
    pub mended: bool,
    /// What mends it besides.
    pub fix: Option<Fix>,
}

/// Everything wrong with what a container loads, and the change that mends all of it that a change can mend.
#[derive(Debug, Default)]
pub struct Faults {
    /// The faults, in the order of the words.
    pub all: Vec<Fault>,
    /// How to change the container.
    pub mend: Mend,
}

/// What a container is told to load and to be able to, as far as controls ask.
#[derive(Debug)]
pub struct Loaded {
    /// What of it is not as declared.
    pub faults: Faults,
    /// What its server can do besides.
    pub abilities: Vec<(Ability, Seen<'static>)>,
    /// Whether it loads adapters.
    pub adapters: bool,
    /// Whether it is a known server, or mounts or loads a model.
    pub serves: bool,
}

impl Loaded {
    /// Reads `container` and compares it with what `workload` declares.
    pub(in crate::policy) fn of(
        facts: &Facts<'_>,
        pod: &PodFacts<'_>,
        container: &ContainerView<'_>,
        workload: &api::AIWorkload,
    ) -> Self {
        let reading = read(container);
        let world = Declared::of(facts, pod, container, workload);
        let faults = compare(facts, &world, &reading);
        let model = |load: &Load<'_>| load.what == What::Model && load.form != Form::Name && !load.download;
        let serves = reading.server.is_some() || world.mounts_a_model() || reading.loads.iter().any(model);
        let adapters = reading.loads.iter().any(|load| load.what == What::Adapter);
        let abilities =
            reading.abilities.into_iter().map(|(ability, seen)| (ability, seen.into_owned())).collect();
        Self { faults, abilities, adapters, serves }
    }
}
