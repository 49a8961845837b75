//! What the audit hands to the export again: what an earlier term may have left undone, and what found no room.

use std::collections::HashSet;

use jiff::Timestamp;

use super::{Auditor, Pulse, Written};
use crate::api::outcome::History;
use crate::policy::trail as chains;

/// Chains between two writes to the sink.
const AT_ONCE: usize = 500;

impl Auditor {
    /// Exports all entries again that statuses keep: an earlier term may have ended between a status and its export, or
    /// while the export failed. Whoever checks a chain takes an entry that stands there twice for one.
    pub(super) async fn repeat(&self, written: &Written, pulse: &Pulse) {
        let now = Timestamp::now();
        self.each_history(written, |chain, history| {
            let Some(oldest) = history.entries.first().map(|entry| entry.sequence) else { return };
            self.trail.repeat(chain, oldest);
            if let Some(from) = history.unexported.filter(|from| *from < oldest) {
                self.trail.lose(chain, (from, oldest - 1), now);
            }
        });
        self.refill(written, now, pulse).await;
    }

    /// Exports entries that found no room before and stand in statuses, once there is room.
    pub(super) async fn refill(&self, written: &Written, now: Timestamp, pulse: &Pulse) {
        if !self.trail.has_room() {
            return;
        }
        let mut waiting = Vec::new();
        self.each_history(written, |chain, _| {
            if self.trail.is_shed(chain) {
                waiting.push(chain.to_owned());
            }
        });
        for some in waiting.chunks(AT_ONCE) {
            let some: HashSet<&str> = some.iter().map(String::as_str).collect();
            self.each_history(written, |chain, history| {
                if some.contains(chain) {
                    self.trail.refill(chain, &history.entries, now);
                }
            });
            self.trail.flush().await;
            pulse.beat();
            if !self.trail.has_room() {
                return;
            }
        }
        // What is left found no room once more, or went with its status.
        let mut known = HashSet::new();
        self.each_history(written, |chain, _| {
            if self.trail.is_shed(chain) {
                known.insert(chain.to_owned());
            }
        });
        self.trail.abandon(|chain| !known.contains(chain), now);
    }

    fn each_history(&self, written: &Written, mut each: impl FnMut(&str, &History)) {
        for ((namespace, name), stored) in &written.workloads {
            let chain = chains::of_workload(namespace, name, stored.uid.as_deref().unwrap_or_default());
            stored.rest().history.iter().for_each(|history| each(&chain, history));
        }
        let world = self.world();
        for (name, kept) in &written.namespaces {
            let chain = chains::of_namespace(name, world.namespace(name).uid.as_deref().unwrap_or_default());
            kept.row.whole().history.iter().for_each(|history| each(&chain, history));
        }
    }
}
