//! What one replica remembers until the leader collects it. A flood of refusals leaves what was let in alone, and of what was
//! let in and found no room it is remembered how much that was.

use std::collections::{BTreeMap, VecDeque};

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
#[derive(Clone, Copy, Debug)]
struct Missed {
    count: u64,
    last: u64,
    at: Timestamp,
}

impl Ring {
    /// Remembers `attempt` under the next number; the oldest of its sort makes room.
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
        let oldest = if ring.len() < most { None } else { ring.pop_front() };
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
        let known = self.missed.entry(note.namespace).or_insert(Missed { count: 0, last: 0, at: note.at });
        // What the leader has asked for already is told.
        let before = if known.last > self.asked { known.count } else { 0 };
        *known = Missed { count: before + 1, last: note.sequence, at: note.at };
    }

    /// All that is remembered, in the order of its numbers. What finds no room from now on is told of already.
    pub(super) fn ask(&mut self) -> Vec<Attempt> {
        self.asked = self.sequence;
        let missed = self.missed.iter().map(|(namespace, missed)| missed.told(namespace));
        let mut all: Vec<Attempt> =
            missed.chain(self.refused.iter().cloned()).chain(self.noted.iter().cloned()).collect();
        all.sort_unstable_by_key(|attempt| attempt.sequence);
        all
    }
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
    fn what_makes_room_before_anybody_asked_is_counted_by_namespace() {
        let mut ring = Ring::default();
        (0..2).for_each(|_| ring.push(note("chat")));
        ring.push(note("vision"));
        (0..NOTED).for_each(|_| ring.push(note("vision")));
        let told = |all: Vec<Attempt>| -> Vec<(u64, String, String)> {
            let counts = all.into_iter().filter(|attempt| attempt.object.is_empty());
            counts.map(|one| (one.sequence, one.namespace, one.message)).collect()
        };
        let words = |changes| {
            format!(
                "{changes} up to here not told one by one: more were made at once than the webhook remembers"
            )
        };
        let first = ring.ask();
        assert_eq!(first.len(), NOTED + 2);
        assert_eq!(
            told(first),
            [(2, "chat".into(), words("2 changes")), (3, "vision".into(), words("1 change"))]
        );
        // Everything that is remembered now has been asked for: what makes room next is no loss.
        (0..NOTED).for_each(|_| ring.push(note("vision")));
        assert_eq!(told(ring.ask()).len(), 2, "as before, for a leader who comes later");
        (0..=NOTED).for_each(|_| ring.push(note("chat")));
        let last = ring.ask();
        let number = 3 + 2 * NOTED as u64 + 1;
        assert_eq!(
            told(last),
            [(3, "vision".into(), words("1 change")), (number, "chat".into(), words("1 change"))]
        );
    }

    #[test]
    fn it_is_bounded_however_many_namespaces_change() {
        let mut ring = Ring::default();
        (0..3 * NOTED).for_each(|n| ring.push(note(&format!("n{n}"))));
        assert_eq!(ring.missed.len(), MISSED);
        assert_eq!(ring.ask().len(), NOTED + MISSED);
    }
}
