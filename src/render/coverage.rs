//! How far each provision is decided by the controls that exist: the honest answer behind docs/coverage.md.

use crate::policy::code::{Class, Provision};
use crate::policy::control::Control;

/// How far a provision is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Every control that holds it runs and has no gap under it.
    Decided,
    /// At least one control that holds it runs, and something is missing.
    Partly,
    /// No control that holds it runs.
    NotYet,
    /// Nobody can decide it on a cluster.
    OutOfReach,
}

impl State {
    /// Every state, from best to beyond reach.
    pub const ALL: [Self; 4] = [Self::Decided, Self::Partly, Self::NotYet, Self::OutOfReach];

    /// The state in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::Partly => "partly",
            Self::NotYet => "not yet",
            Self::OutOfReach => "out of reach",
        }
    }
}

/// One thing that is missing before a provision is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The control of this id has no check.
    Control(&'static str),
    /// The control of this id runs, but not this part of it.
    Part(&'static str, &'static str),
}

/// The answer for one provision.
#[derive(Clone, Debug)]
pub struct Coverage {
    /// What it is about.
    pub provision: &'static Provision,
    /// How far it is decided.
    pub state: State,
    /// What is missing, in the order of the provision's controls.
    pub missing: Vec<Missing>,
}

/// Compares one provision with the `controls` that exist. A control that is named and not among them counts as one
/// without a check.
#[must_use]
pub fn coverage(provision: &'static Provision, controls: &[&'static Control]) -> Coverage {
    let mut missing = Vec::new();
    let mut running = 0_usize;
    for id in provision.controls {
        match controls.iter().find(|control| control.id == *id) {
            Some(control) if control.implemented() => {
                running += 1;
                missing.extend(
                    control.gaps_under(provision.id).map(|gap| Missing::Part(control.id, gap.missing)),
                );
            }
            _ => missing.push(Missing::Control(id)),
        }
    }
    let state = if provision.class == Class::OutOfReach {
        State::OutOfReach
    } else if running == 0 {
        State::NotYet
    } else if missing.is_empty() {
        State::Decided
    } else {
        State::Partly
    };
    Coverage { provision, state, missing }
}

/// Numbers of provisions by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    by_state: [usize; State::ALL.len()],
}

impl Tally {
    /// Counts the answers.
    pub fn of<'c>(answers: impl IntoIterator<Item = &'c Coverage>) -> Self {
        let mut tally = Self::default();
        for answer in answers {
            for (count, state) in tally.by_state.iter_mut().zip(State::ALL) {
                *count += usize::from(state == answer.state);
            }
        }
        tally
    }

    /// How many are in each state, in the order of `State::ALL`.
    #[must_use]
    pub const fn counts(&self) -> [usize; State::ALL.len()] {
        self.by_state
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.by_state.iter().sum()
    }
}
