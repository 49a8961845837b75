//! Rows of the audit that somebody deleted: noticed at once, and written again with all that stood in them.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};

use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use tokio::task::JoinSet;

use super::lock;
use crate::api::AICompliance;
use crate::controllers::dirty::Dirty;
use crate::gather::follow::{Keeps, Key, follow, paged};
use crate::gather::world::Touched;
use crate::telemetry::metrics::Metrics;

/// Names of rows that went and were not written again yet.
pub(super) type Gone = Arc<Mutex<BTreeSet<String>>>;

struct Rows {
    known: HashSet<Key>,
    gone: Gone,
    dirty: Arc<Dirty>,
    metrics: Arc<Metrics>,
}

/// Follows the rows until what is returned is dropped; each that goes is put into `gone`, and looked at again.
pub(super) fn watch(client: Client, gone: Gone, dirty: Arc<Dirty>, metrics: Arc<Metrics>) -> JoinSet<()> {
    let api: Api<PartialObjectMeta<AICompliance>> = Api::all(client);
    let events = watcher(api, paged()).default_backoff();
    let mut rows = Rows { known: HashSet::new(), gone, dirty, metrics };
    let mut task = JoinSet::new();
    task.spawn(async move { follow(events, &mut rows).await });
    task
}

impl Keeps<PartialObjectMeta<AICompliance>> for Rows {
    fn apply(&mut self, object: PartialObjectMeta<AICompliance>, listing: bool) {
        if let Some(name) = object.metadata.name.filter(|_| !listing) {
            self.known.insert((None, name));
        }
    }

    fn remove(&mut self, key: &Key) {
        self.known.remove(key);
        lock(&self.gone).insert(key.1.clone());
        self.dirty.add(Touched::namespace(&key.1));
    }

    fn listed(&mut self, all: HashSet<Key>) {
        let gone: Vec<Key> = self.known.difference(&all).cloned().collect();
        for key in gone {
            self.remove(&key);
        }
        self.known = all;
    }

    fn failed(&mut self, error: &watcher::Error) {
        self.metrics.watch_failed("aicompliances");
        tracing::warn!(%error, "the watch of the rows of the audit failed and starts again");
    }
}
