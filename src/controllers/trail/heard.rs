//! How far a history tells what the replicas of the webhook remember, so that a new leader, who hears all of it once more,
//! tells nothing twice and passes nothing over.

use crate::policy::trail::short_digest;

/// Replicas that a history remembers: those whose notes it told last.
const REPLICAS: usize = 8;

/// Where something that was noted stands in the memory of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The first digits of a digest of the name of this life of the replica.
    pub replica: String,
    /// Its number there.
    pub sequence: u64,
}

impl Source {
    /// The place `sequence` in the memory of `replica`.
    #[must_use]
    pub fn new(replica: &str, sequence: u64) -> Self {
        Self { replica: short_digest(replica), sequence }
    }
}

/// The last number of each replica that is told. Notes of one replica are told in their order.
#[derive(Debug, Default)]
pub(super) struct Heard(Vec<Source>);

impl Heard {
    pub(super) fn read(text: Option<&str>) -> Self {
        let marks = text.into_iter().flat_map(str::split_whitespace);
        let read = |mark: &str| {
            let (replica, sequence) = mark.split_once(':')?;
            Some(Source { replica: replica.to_owned(), sequence: sequence.parse().ok()? })
        };
        Self(marks.filter_map(read).collect())
    }

    pub(super) fn knows(&self, source: &Source) -> bool {
        self.0.iter().any(|known| known.replica == source.replica && known.sequence >= source.sequence)
    }

    /// Remembers that `source` is told; of too many replicas the one that was silent longest is forgotten.
    pub(super) fn note(&mut self, source: &Source) {
        if self.knows(source) {
            return;
        }
        self.0.retain(|known| known.replica != source.replica);
        self.0.push(source.clone());
        self.0.drain(..self.0.len().saturating_sub(REPLICAS));
    }

    pub(super) fn written(&self) -> Option<String> {
        let marks = self.0.iter().map(|mark| format!("{}:{}", mark.replica, mark.sequence));
        (!self.0.is_empty()).then(|| marks.collect::<Vec<_>>().join(" "))
    }
}
