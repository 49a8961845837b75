//! What the audit says of every control, for one subject or for many together.

use std::collections::BTreeMap;

use crate::api::common::{OverallVerdict, State};
use crate::api::outcome::Counters;
use crate::api::workload::Row;
use crate::policy::{ALL, Control, Decision, Finding, Verdict};
use crate::render::words;

/// The states of every control for one subject or a group of them.
#[derive(Clone, Debug, Default)]
pub struct States {
    /// State by control id; controls that do not concern the subject are absent.
    pub by_control: BTreeMap<&'static str, State>,
    /// The gravest finding of each control that is not kept.
    pub worst: BTreeMap<&'static str, (State, Finding)>,
}

impl States {
    /// Every control that has a rule passes, until a finding says otherwise; those without are unknown.
    #[must_use]
    pub fn judged() -> Self {
        let by_control =
            ALL.iter().map(|c| (c.id, if c.implemented() { State::Pass } else { State::Unknown })).collect();
        Self { by_control, worst: BTreeMap::new() }
    }

    /// Takes in what was decided on one subject.
    pub fn take(&mut self, decision: Decision) {
        for (state, finding) in sorted(decision) {
            self.note(state, finding);
        }
    }

    /// Takes in one finding in the state that it leaves its control in, without its way out: no row shows that, and a manifest
    /// to fill in is longer than all else that is kept.
    pub fn note(&mut self, state: State, mut finding: Finding) {
        let id = finding.control.id;
        let worse = self.worst.get(id).is_none_or(|(known, _)| gravity(state) > gravity(*known));
        if worse {
            finding.fix = None;
            self.by_control.insert(id, state);
            self.worst.insert(id, (state, finding));
        }
    }

    /// Takes in the states of another subject: of each control the graver one counts.
    pub fn merge(&mut self, other: &Self) {
        for (id, state) in &other.by_control {
            let known = self.by_control.get(id).copied();
            if known.is_none_or(|known| gravity(*state) > gravity(known)) {
                self.by_control.insert(id, *state);
                if let Some(worst) = other.worst.get(id) {
                    self.worst.insert(id, worst.clone());
                }
            }
        }
    }

    /// What is left when everything goes that is less grave than its verdict.
    #[must_use]
    pub fn gravest(mut self) -> Self {
        let gravest = self.by_control.values().map(|state| gravity(*state)).max();
        self.by_control.retain(|_, state| Some(gravity(*state)) == gravest);
        self.worst.retain(|id, _| self.by_control.contains_key(id));
        self
    }

    /// How many controls are in each state.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut out = count(self.by_control.values().copied());
        let absent = ALL.len().saturating_sub(self.by_control.len());
        out.not_applicable += u32::try_from(absent).unwrap_or(u32::MAX);
        out
    }

    /// The verdict over the controls that have a rule: a control without one is unknown in its row, and is no reason to
    /// call a workload undecided that keeps all that can be judged.
    #[must_use]
    pub fn verdict(&self) -> OverallVerdict {
        let judged = |id: &str| ALL.iter().any(|c| c.id == id && c.implemented());
        let states: Vec<State> =
            self.by_control.iter().filter(|(id, _)| judged(id)).map(|(_, state)| *state).collect();
        let has = |state| states.contains(&state);
        if has(State::Fail) {
            OverallVerdict::Fail
        } else if has(State::Unknown) {
            OverallVerdict::Unknown
        } else if has(State::Warn) {
            OverallVerdict::Warn
        } else {
            OverallVerdict::Pass
        }
    }

    /// The control that matters most among those not kept.
    #[must_use]
    pub fn top_reason(&self) -> Option<String> {
        let mut worst: Vec<_> = self.worst.iter().filter(|(_, (state, _))| *state != State::Exempt).collect();
        worst.sort_by_key(|(id, (state, _))| (std::cmp::Reverse(gravity(*state)), position(id)));
        worst.first().map(|(id, _)| (**id).to_owned())
    }

    /// A row for each control that is not kept, the gravest first.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let mut worst: Vec<_> = self.worst.iter().collect();
        worst.sort_by_key(|(id, (state, _))| (std::cmp::Reverse(gravity(*state)), position(id)));
        worst
            .into_iter()
            .map(|(id, (state, finding))| Row {
                control: (*id).to_owned(),
                state: *state,
                provisions: finding.provisions.iter().take(4).map(|p| (*p).to_owned()).collect(),
                message: Some(words::shorten(words::sentence(finding), 300)),
                object: None,
            })
            .collect()
    }
}

/// Counts states.
#[must_use]
pub fn count(states: impl Iterator<Item = State>) -> Counters {
    let mut out = Counters::default();
    for state in states {
        match state {
            State::Pass => out.pass += 1,
            State::Fail => out.fail += 1,
            State::Warn => out.warn += 1,
            State::Exempt => out.exempt += 1,
            State::Unknown => out.unknown += 1,
            State::NotApplicable => out.not_applicable += 1,
        }
    }
    out
}

/// How grave a state is; a higher one wins when several meet.
#[must_use]
pub fn gravity(state: State) -> u8 {
    match state {
        State::NotApplicable => 0,
        State::Pass => 1,
        State::Exempt => 2,
        State::Warn => 3,
        State::Unknown => 4,
        State::Fail => 5,
    }
}

fn position(id: &str) -> usize {
    ALL.iter().position(|c| c.id == id).unwrap_or(usize::MAX)
}

/// The control of an id.
#[must_use]
pub fn control(id: &str) -> Option<&'static Control> {
    ALL.iter().copied().find(|c| c.id == id)
}

/// What was decided, finding by finding, with the state that each leaves its control in.
pub fn sorted(decision: Decision) -> impl Iterator<Item = (State, Finding)> {
    let state = |known: State| {
        move |finding: Finding| {
            let unknown = finding.verdict == Verdict::Unknown;
            (if unknown { State::Unknown } else { known }, finding)
        }
    };
    let refused = decision.refused.into_iter().map(state(State::Fail));
    let open = decision.warned.into_iter().chain(decision.audited).map(state(State::Warn));
    refused.chain(open).chain(decision.exempted.into_iter().map(|(finding, _)| (State::Exempt, finding)))
}
