//! What one replica remembers until the leader collects it. A flood of refusals leaves what was let in alone, and of what was
//! let in and found no room it is remembered how much that was.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::attempts::Attempt;
use crate::api::outcome::HistoryKind;

/// Refusals that one replica remembers.
const REFUSED: usize = 512;
/// Things that were let in and belong into a history, beside them.
const NOTED: usize = 1024;
/// Within this time the same change of the same object, asked for by the same user, is one: the API server asks again where
/// somebody else has written the object meanwhile. Of entries into pods it asks once.
const AGAIN: SignedDuration = SignedDuration::from_secs(1);
/// Namespaces of which is remembered how much found no room.
const MISSED: usize = 128;
/// Users of one namespace who are remembered where their notes found no room.
const NAMES: usize = 8;

/// The newest refusals and the newest notes, numbered together.
#[derive(Debug, Default)]
pub(super) struct Ring {
    sequence: u64,
    /// How far the leader has asked.
    asked: u64,
    refused: VecDeque<Attempt>,
    noted: VecDeque<Attempt>,
    missed: BTreeMap<String, Missed>,
}

/// What made room in one namespace before the leader had asked for it.
#[derive(Clone, Debug)]
struct Missed {
    count: u64,
    last: u64,
    at: Timestamp,
    /// Who wrote assets.
    names: BTreeSet<String>,
}

impl Ring {
    /// Remembers `attempt` under the next number. The oldest of its sort makes room; where the leader has not asked for that
    /// yet, the oldest of the namespace with most notes, so that no namespace pushes out the notes of another.
    pub(super) fn push(&mut self, attempt: Attempt) {
        if attempt.noted.is_some_and(|kind| kind != HistoryKind::BreakGlass) && self.repeats(&attempt) {
            return;
        }
        self.sequence += 1;
        let attempt = Attempt { sequence: self.sequence, ..attempt };
        let (ring, most) = match attempt.noted {
            None => (&mut self.refused, REFUSED),
            Some(_) => (&mut self.noted, NOTED),
        };
        let told = ring.front().is_some_and(|one| one.noted.is_none() || one.sequence <= self.asked);
        let oldest = match ring.len() {
            few if few < most => None,
            _ if told => ring.pop_front(),
            _ => ring.remove(of_most(ring)),
        };
        ring.push_back(attempt);
        if let Some(oldest) = oldest.filter(|one| one.noted.is_some() && one.sequence > self.asked) {
            self.miss(oldest);
        }
    }

    /// Whether the last that is remembered of the object is the same, of a moment ago. Over what somebody else has changed
    /// meanwhile it is another one, of a later generation.
    fn repeats(&self, note: &Attempt) -> bool {
        let near = self.noted.iter().rev().take_while(|one| note.at.duration_since(one.at) < AGAIN);
        let mut of_object = near.filter(|one| one.namespace == note.namespace && one.object == note.object);
        let what = |one: &Attempt| (one.message.clone(), one.digest.clone(), one.edit.clone());
        of_object.next().is_some_and(|one| what(one) == what(note))
    }

    fn miss(&mut self, note: Attempt) {
        if !self.missed.contains_key(&note.namespace) && self.missed.len() >= MISSED {
            tracing::error!(
                namespace = note.namespace,
                object = note.object,
                "a change will stand in no history: more came than is remembered until the leader asks"
            );
            return;
        }
        let new = Missed { count: 0, last: 0, at: note.at, names: BTreeSet::new() };
        let known = self.missed.entry(note.namespace).or_insert(new);
        if known.last <= self.asked {
            // The leader has asked for all of it.
            known.count = 0;
            known.names.clear();
        }
        known.count += 1;
        (known.last, known.at) = (note.sequence, note.at);
        if let Some(user) = note.edit.and_then(|edit| edit.user) {
            if known.names.len() < NAMES || known.names.contains(&user) {
                known.names.insert(user);
            } else {
                tracing::error!(user, object = note.object, "who changed this will not stand in its history");
            }
        }
    }

    /// All that is remembered, in the order of its numbers. What finds no room from now on is told of already.
    pub(super) fn ask(&mut self) -> Vec<Attempt> {
        self.asked = self.sequence;
        let missed = self.missed.iter().map(|(namespace, missed)| missed.clone().told(namespace));
        let mut all: Vec<Attempt> =
            missed.chain(self.refused.iter().cloned()).chain(self.noted.iter().cloned()).collect();
        all.sort_unstable_by_key(|attempt| attempt.sequence);
        all
    }
}

/// The place of the oldest note of the namespace that has most.
fn of_most(notes: &VecDeque<Attempt>) -> usize {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for note in notes {
        *counts.entry(&note.namespace).or_default() += 1;
    }
    let most = counts.values().max().copied();
    notes.iter().position(|one| counts.get(one.namespace.as_str()).copied() == most).unwrap_or_default()
}

impl Missed {
    fn told(self, namespace: &str) -> Attempt {
        let changes = if self.count == 1 { "1 change".to_owned() } else { format!("{} changes", self.count) };
        Attempt {
            sequence: self.last,
            at: self.at,
            namespace: namespace.to_owned(),
            workload: None,
            object: String::new(),
            control: "audit-trail-kept".to_owned(),
            message: format!(
                "{changes} up to here not told one by one: more were made at once than the webhook remembers"
            ),
            noted: Some(HistoryKind::Asset),
            digest: None,
            tombstone: None,
            unusual: None,
            edit: None,
            lost: self.names.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::super::attempts::Edit;
    use super::*;

    fn attempt(namespace: &str, noted: Option<HistoryKind>) -> Attempt {
        Attempt {
            sequence: 0,
            at: Timestamp::UNIX_EPOCH,
            namespace: namespace.to_owned(),
            workload: None,
            object: "AIModel/m".to_owned(),
            control: "audit-trail-kept".to_owned(),
            message: "written".to_owned(),
            noted,
            digest: None,
            tombstone: None,
            unusual: None,
            edit: None,
            lost: Vec::new(),
        }
    }

    /// A change, each an hour after the one before.
    fn note(namespace: &str) -> Attempt {
        static HOUR: AtomicI64 = AtomicI64::new(0);
        let at = Timestamp::from_second(3600 * HOUR.fetch_add(1, Ordering::Relaxed)).unwrap();
        Attempt { at, ..attempt(namespace, Some(HistoryKind::Asset)) }
    }

    #[test]
    fn the_same_change_that_is_asked_for_again_is_told_once() {
        let mut ring = Ring::default();
        let at = |millis: i64, object: &str, message: &str| Attempt {
            at: Timestamp::from_millisecond(millis).unwrap(),
            object: object.to_owned(),
            message: message.to_owned(),
            ..note("chat")
        };
        for (millis, object, message) in [
            (0, "AIModel/m", "ada changed 1 -> 2"),
            (5, "AIModel/n", "ada changed 1 -> 2"),
            (20, "AIModel/m", "ada changed 1 -> 2"),
            (30, "AIModel/m", "ada changed 2 -> 1"),
            (40, "AIModel/m", "ada changed 1 -> 2"),
            (1_500, "AIModel/m", "ada changed 1 -> 2"),
        ] {
            ring.push(at(millis, object, message));
        }
        let edit = |generation| Some(Edit { generation, ..Edit::default() });
        for (millis, generation) in [(3_000, 5), (3_010, 5), (3_020, 6)] {
            ring.push(Attempt { edit: edit(generation), ..at(millis, "AIModel/m", "ada changed 1 -> 2") });
        }
        let told: Vec<i64> = ring.ask().iter().map(|one| one.at.as_millisecond()).collect();
        assert_eq!(told, [0, 5, 30, 40, 1_500, 3_000, 3_020]);
        let mut ring = Ring::default();
        let entry = |millis| Attempt {
            noted: Some(HistoryKind::BreakGlass),
            ..at(millis, "Pod/chat-1", "ada entered by exec")
        };
        (0..2).for_each(|millis| ring.push(entry(millis)));
        assert_eq!(ring.ask().len(), 2, "two entries are two");
    }

    #[test]
    fn a_flood_of_refusals_pushes_no_change_out() {
        let mut ring = Ring::default();
        ring.push(note("chat"));
        (0..5000).for_each(|_| ring.push(attempt("chat", None)));
        let all = ring.ask();
        assert_eq!(all.len(), REFUSED + 1);
        assert_eq!((all[0].sequence, all[0].message.as_str()), (1, "written"));
        assert!(all.is_sorted_by_key(|attempt| attempt.sequence));
    }

    #[test]
    fn what_makes_room_before_anybody_asked_is_counted_where_most_is_changed() {
        let mut ring = Ring::default();
        (0..2).for_each(|_| ring.push(note("chat")));
        let edit = Edit { user: Some("mallory".to_owned()), ..Edit::default() };
        ring.push(Attempt { edit: Some(edit), ..note("vision") });
        (0..NOTED).for_each(|_| ring.push(note("vision")));
        let told = |all: Vec<Attempt>| -> Vec<(u64, String, String, Vec<String>)> {
            let counts = all.into_iter().filter(|attempt| attempt.object.is_empty());
            counts.map(|one| (one.sequence, one.namespace, one.message, one.lost)).collect()
        };
        let words = |changes| {
            format!(
                "{changes} up to here not told one by one: more were made at once than the webhook remembers"
            )
        };
        let first = ring.ask();
        assert_eq!(first.len(), NOTED + 1);
        assert_eq!(
            first.iter().filter(|one| one.namespace == "chat").count(),
            2,
            "nobody pushes out another's"
        );
        let lost = (5, "vision".to_owned(), words("3 changes"), vec!["mallory".to_owned()]);
        assert_eq!(told(first), std::slice::from_ref(&lost), "and who wrote what is lost is not");
        // Everything that is remembered now has been asked for: what makes room next is no loss.
        (0..NOTED).for_each(|_| ring.push(note("vision")));
        assert_eq!(told(ring.ask()).len(), 1, "as before, for a leader who comes later");
        (0..=NOTED).for_each(|_| ring.push(note("chat")));
        let number = 3 + 2 * NOTED as u64 + 1;
        assert_eq!(told(ring.ask()), [lost, (number, "chat".into(), words("1 change"), vec![])]);
    }

    #[test]
    fn it_is_bounded_however_many_namespaces_change() {
        let mut ring = Ring::default();
        (0..3 * NOTED).for_each(|n| ring.push(note(&format!("n{n}"))));
        assert_eq!(ring.missed.len(), MISSED);
        assert_eq!(ring.ask().len(), NOTED + MISSED);
    }
}
