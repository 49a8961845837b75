//! What was noted of one and waits to stand in its history: the oldest one by one, and of what finds no room how much it was.

use std::collections::VecDeque;

use crate::controllers::trail::Noted;

/// Things that are told one by one.
const NOTED: usize = 64;
/// Deletions are told one by one beyond that: what is left of an asset is a finding.
const DELETED: usize = 128;
/// Things beyond all that, counted by the replica that remembers them.
const COUNTED: usize = 16;

/// What waits, oldest first.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    notes: VecDeque<One>,
}

/// One thing, and how many that found no room came directly before it and stand in the same words.
#[derive(Debug)]
struct One {
    note: Noted,
    before: u64,
    counts: bool,
}

impl Waiting {
    /// Takes in one more.
    pub(super) fn push(&mut self, note: Noted) {
        let room = if note.tombstone.is_some() { DELETED } else { NOTED };
        if self.notes.len() < room {
            self.notes.push_back(One { note, before: 0, counts: false });
            return;
        }
        let full = self.notes.len() >= DELETED + COUNTED;
        let last = self.notes.back_mut().filter(|last| last.counts);
        match last.filter(|last| full || last.note.source.replica == note.source.replica) {
            Some(last) => {
                // Of several deletions beyond all room one is what is left.
                let tombstone = note.tombstone.clone().or_else(|| last.note.tombstone.take());
                last.note = Noted { tombstone, ..note };
                last.before += 1;
            }
            None => self.notes.push_back(One { note, before: 0, counts: true }),
        }
    }

    /// The first `count` of them, as a history tells them.
    pub(super) fn first(&self, count: usize) -> Vec<Noted> {
        self.notes.iter().take(count).map(One::told).collect()
    }

    pub(super) fn drop_first(&mut self, count: usize) {
        self.notes.drain(..count.min(self.notes.len()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    pub(super) fn into_notes(self) -> impl Iterator<Item = Noted> {
        self.notes.into_iter().map(|one| one.note)
    }
}

impl One {
    fn told(&self) -> Noted {
        let mut note = self.note.clone();
        if self.before > 0 {
            note.change = format!("{} more not told one by one, then: {}", self.before, note.change);
        }
        note
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::outcome::HistoryKind;
    use crate::controllers::trail::Source;

    fn note(replica: &str, sequence: u64) -> Noted {
        Noted {
            source: Source::new(replica, sequence),
            at: jiff::Timestamp::UNIX_EPOCH,
            kind: HistoryKind::Asset,
            change: format!("{replica} {sequence}"),
            digest: None,
            tombstone: None,
        }
    }

    fn told(waiting: &Waiting) -> Vec<String> {
        waiting.first(usize::MAX).into_iter().map(|note| note.change).collect()
    }

    #[test]
    fn what_finds_no_room_is_counted_in_its_place() {
        let mut waiting = Waiting::default();
        (1..=70).for_each(|n| waiting.push(note("a", n)));
        (1..=3).for_each(|n| waiting.push(note("b", n)));
        let said = told(&waiting);
        assert_eq!(said.len(), 66);
        assert_eq!(
            &said[63..],
            ["a 64", "5 more not told one by one, then: a 70", "2 more not told one by one, then: b 3"]
        );
        // What comes once there is room stands behind it.
        waiting.drop_first(8);
        waiting.push(note("a", 71));
        assert_eq!(told(&waiting).last().unwrap(), "a 71");
        waiting.drop_first(usize::MAX);
        assert!(waiting.is_empty());
    }

    #[test]
    fn it_is_bounded_whoever_remembers_it_and_deletions_come_first() {
        let mut waiting = Waiting::default();
        (1..=NOTED as u64).for_each(|n| waiting.push(note("a", n)));
        let tombstone = Some(crate::api::compliance::Tombstone::default());
        waiting.push(Noted { tombstone, ..note("a", 65) });
        assert_eq!(told(&waiting).last().unwrap(), "a 65");
        (1..=900).for_each(|n| waiting.push(note(if n % 2 == 0 { "a" } else { "b" }, 100 + n)));
        assert_eq!(waiting.notes.len(), DELETED + COUNTED);
        let counted: u64 = waiting.notes.iter().map(|one| one.before + 1).sum();
        assert_eq!(counted, 965);
    }
}
