//! What was written last of one kind, so that nothing is written twice, and the one way to write it.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::core::ObjectMeta;
use kube::core::object::HasStatus;
use kube::runtime::events::Event;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Due;
use crate::api::common::AssetStatus;
use crate::controllers::status::{list_all, put_status};
use crate::telemetry::events::Recorder;
use crate::telemetry::metrics::Metrics;

/// Writes to the API server at the same time.
const WRITES: usize = 8;
/// Tries to write an Event that must not be lost, because it is given only once.
const TRIES: usize = 3;

/// What is needed to write.
pub(super) struct Writer<'a> {
    pub(super) client: &'a Client,
    pub(super) recorder: &'a Recorder,
    pub(super) metrics: &'a Arc<Metrics>,
}

/// A status of which other controllers may own a part.
pub(super) trait Ours: Default + Clone + PartialEq + Serialize + DeserializeOwned + Send {
    /// Leaves only what this controller writes.
    fn ours(&mut self) {}

    /// Whether it says something of an object of this name that counts when the object is gone.
    fn outlives(&self) -> bool {
        false
    }
}

impl Ours for crate::api::exemption::AIExemptionStatus {}
impl Ours for crate::api::trust::AITrustPolicyStatus {}
impl Ours for crate::api::profile::AIProfileStatus {}
impl Ours for crate::api::outcome::RecordStatus {}

impl Ours for crate::api::evidence::AIEvidenceStatus {
    /// Documents and statements are written by whoever looks at them, in another name.
    fn ours(&mut self) {
        self.document = None;
        self.statement = None;
    }
}

impl Ours for AssetStatus {
    /// Verification is written by whoever verifies, in another name.
    fn ours(&mut self) {
        self.verification = None;
        self.conditions.retain(|condition| super::asset::CONDITIONS.contains(&condition.type_.as_str()));
    }

    fn outlives(&self) -> bool {
        !self.history.is_empty()
    }
}

/// Objects that are gone, of which a kind remembers what outlives them.
const GONE: usize = 512;

/// Namespace and name.
type Key = (Option<String>, Option<String>);

fn key(metadata: &ObjectMeta) -> Key {
    (metadata.namespace.clone(), metadata.name.clone())
}

/// What was written last, with the UID of the object: one that was made anew has no status yet.
pub(super) struct Ledger<K: HasStatus> {
    written: HashMap<Key, (Option<String>, K::Status)>,
}

impl<K: HasStatus> Default for Ledger<K> {
    fn default() -> Self {
        Self { written: HashMap::new() }
    }
}

impl<K> Ledger<K>
where
    K: Resource<DynamicType = ()> + HasStatus<Status: Ours> + Clone + DeserializeOwned + Debug,
{
    /// What was written of an object last.
    pub(super) fn former(&self, metadata: &ObjectMeta) -> K::Status {
        let known = self.written.get(&key(metadata)).filter(|(uid, _)| *uid == metadata.uid);
        known.map(|(_, status)| status.clone()).unwrap_or_default()
    }

    /// What was written last of an object of this name that is gone.
    pub(super) fn past(&self, metadata: &ObjectMeta) -> Option<&K::Status> {
        let known = self.written.get(&key(metadata)).filter(|(uid, _)| *uid != metadata.uid);
        known.map(|(_, status)| status)
    }

    /// Reads what is stored, and forgets all else but what outlives its object.
    pub(super) async fn read(&mut self, client: &Client) -> Result<(), kube::Error> {
        let mut seen = HashMap::new();
        let each = |object: K| {
            if let Some(status) = object.status() {
                let mut status = status.clone();
                status.ours();
                seen.insert(key(object.meta()), (object.meta().uid.clone(), status));
            }
        };
        list_all(client, each).await?;
        self.replace(seen);
        Ok(())
    }

    fn replace(&mut self, mut seen: HashMap<Key, (Option<String>, K::Status)>) {
        let gone: Vec<_> = std::mem::take(&mut self.written)
            .into_iter()
            .filter(|(key, (uid, status))| {
                let again = |(other, anew): &(Option<String>, K::Status)| other != uid && !anew.outlives();
                status.outlives() && seen.get(key).is_none_or(again)
            })
            .take(GONE)
            .collect();
        seen.extend(gone);
        self.written = seen;
    }

    /// Writes what differs, and tells of it afterwards. Returns whether anything could not be written.
    pub(super) async fn settle(&mut self, writer: &Writer<'_>, dues: Vec<Due<K>>) -> bool {
        let different: Vec<Due<K>> = dues
            .into_iter()
            .filter(|due| {
                let known = self.written.get(&key(&due.metadata));
                known.is_none_or(|(uid, status)| *uid != due.metadata.uid || *status != due.status)
            })
            .collect();
        let mut results = stream::iter(different)
            .map(|due| async move {
                let name = due.metadata.name.clone().unwrap_or_default();
                let namespace = due.metadata.namespace.as_deref();
                let result = put_status::<K>(writer.client, namespace, &name, &due.status).await;
                (due, result)
            })
            .buffer_unordered(WRITES);
        let mut failed = false;
        while let Some((due, result)) = results.next().await {
            let kind = K::kind(&());
            let name = due.metadata.name.as_deref().unwrap_or_default();
            match result {
                Ok(true) => {
                    // The status says what was told: it is written first, and the Event given once.
                    let own = reference::<K>(&due.metadata);
                    for mut event in due.events {
                        writer.tell(&event, &own).await;
                        if let Some(about) = &due.about {
                            // Warnings of several objects about one stay apart.
                            event.secondary = Some(own.clone());
                            writer.tell(&event, about).await;
                        }
                    }
                    self.written.insert(key(&due.metadata), (due.metadata.uid, due.status));
                }
                Ok(false) => {}
                Err(error) => {
                    failed = true;
                    writer.metrics.reconcile_failed("ObjectStatus");
                    tracing::warn!(%kind, name, %error, "a status could not be written");
                }
            }
        }
        failed
    }
}

impl Writer<'_> {
    async fn tell(&self, event: &Event, object: &ObjectReference) {
        for _ in 0..TRIES {
            match self.recorder.publish(event, object).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "an Event could not be written"),
            }
        }
    }
}

fn reference<K: Resource<DynamicType = ()>>(metadata: &ObjectMeta) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        ..ObjectReference::default()
    }
}
