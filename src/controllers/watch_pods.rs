//! The watch of pods that feeds the audit; only the controller has it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};

use super::dirty::Dirty;
use super::pods::Pods;
use crate::gather::follow::{Keeps, Key, follow, paged};
use crate::gather::world::Touched;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::probes::Condition;

/// Feeds `pods` and marks namespaces whose pods change, until the runtime ends; meets `synced` after the first list.
pub async fn watch_pods(
    client: Client,
    pods: Arc<Mutex<Pods>>,
    dirty: Arc<Dirty>,
    metrics: Arc<Metrics>,
    synced: Condition,
) {
    let events = watcher(Api::<Pod>::all(client), paged())
        .modify(|pod| pod.managed_fields_mut().clear())
        .default_backoff();
    follow(events, &mut Fed { pods, dirty, metrics, synced }).await;
}

struct Fed {
    pods: Arc<Mutex<Pods>>,
    dirty: Arc<Dirty>,
    metrics: Arc<Metrics>,
    synced: Condition,
}

impl Fed {
    fn pods(&self) -> MutexGuard<'_, Pods> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeps<Pod> for Fed {
    fn apply(&mut self, pod: Pod, listing: bool) {
        let namespace = pod.namespace().unwrap_or_default();
        // At the end of a list everything is looked at anyway.
        if self.pods().apply(pod) && !listing {
            self.dirty.add(Touched::namespace(&namespace));
        }
    }

    fn remove(&mut self, (namespace, name): &Key) {
        let namespace = namespace.as_deref().unwrap_or_default();
        if self.pods().remove(namespace, name) {
            self.dirty.add(Touched::namespace(namespace));
        }
    }

    fn listed(&mut self, all: HashSet<Key>) {
        self.pods().retain(|namespace, name| all.contains(&(Some(namespace.to_owned()), name.to_owned())));
        self.synced.set(true);
        self.dirty.add(Touched::everything());
    }

    fn failed(&mut self, error: &watcher::Error) {
        self.metrics.watch_failed("pods");
        tracing::warn!(%error, "the watch of pods failed and starts again");
    }
}
