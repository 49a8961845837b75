//! What has to be looked at again: gathered while the audit works, taken all at once when it is free.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::gather::world::Touched;

/// How long changes are gathered before they are acted on.
const GATHER: Duration = Duration::from_millis(100);

/// The gathered changes.
#[derive(Debug, Default)]
pub struct Dirty {
    touched: Mutex<Touched>,
    changed: Notify,
}

impl Dirty {
    /// Adds a change.
    pub fn add(&self, more: Touched) {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        touched.all |= more.all;
        touched.namespaces.extend(more.namespaces);
        drop(touched);
        self.changed.notify_one();
    }

    /// Waits for a change, gathers what comes with it, and takes it all; after `patience` without any, nothing.
    pub async fn take(&self, patience: Duration) -> Touched {
        if tokio::time::timeout(patience, self.changed.notified()).await.is_ok() {
            tokio::time::sleep(GATHER).await;
        }
        std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn changes_are_gathered_and_taken_once() {
        let dirty = Dirty::default();
        dirty.add(Touched::namespace("a"));
        dirty.add(Touched::namespace("b"));
        let taken = dirty.take(Duration::from_secs(5)).await;
        assert_eq!(taken.namespaces.into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(dirty.take(Duration::from_millis(1)).await.is_empty());
    }
}
