//! The watch of pods that feeds the audit; only the controller has it.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, ResourceExt};

use super::dirty::Dirty;
use super::pods::Pods;
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
    let mut events = pin!(
        watch(Api::<Pod>::all(client), watcher::Config::default())
            .modify(|pod| pod.managed_fields_mut().clear())
            .default_backoff()
    );
    let mut known: HashSet<(String, String)> = HashSet::new();
    let mut listed: HashSet<(String, String)> = HashSet::new();
    let lock = || pods.lock().unwrap_or_else(PoisonError::into_inner);
    let key = |pod: &Pod| (pod.namespace().unwrap_or_default(), pod.name_any());
    loop {
        match events.try_next().await {
            Ok(Some(Event::Init)) => listed.clear(),
            Ok(Some(Event::InitApply(pod))) => {
                listed.insert(key(&pod));
                lock().apply(pod);
            }
            Ok(Some(Event::InitDone)) => {
                for (namespace, name) in known.difference(&listed) {
                    lock().remove(namespace, name);
                }
                known = std::mem::take(&mut listed);
                synced.set(true);
                dirty.add(Touched::everything());
            }
            Ok(Some(Event::Apply(pod))) => {
                let key = key(&pod);
                if lock().apply(pod) {
                    dirty.add(Touched::namespace(&key.0));
                }
                known.insert(key);
            }
            Ok(Some(Event::Delete(pod))) => {
                let key = key(&pod);
                if lock().remove(&key.0, &key.1) {
                    dirty.add(Touched::namespace(&key.0));
                }
                known.remove(&key);
            }
            Ok(None) => return,
            Err(error) => {
                metrics.watch_failed("pods");
                tracing::warn!(%error, "the watch of pods failed and starts again");
            }
        }
    }
}
