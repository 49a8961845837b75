//! What was written last of one kind, so that nothing is written twice, and the one way to write it.

use std::collections::{HashMap, HashSet};
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
/// Those of one namespace among them.
const GONE_OF_ONE: usize = 64;

/// Namespace and name.
type Key = (Option<String>, Option<String>);

fn key(metadata: &ObjectMeta) -> Key {
    (metadata.namespace.clone(), metadata.name.clone())
}

/// What was written last, with the UID of the object: one that was made anew has no status yet.
pub(super) struct Ledger<K: HasStatus> {
    written: HashMap<Key, (Option<String>, K::Status)>,
    /// What of it is gone, the newest first.
    gone: Vec<Key>,
}

impl<K: HasStatus> Default for Ledger<K> {
    fn default() -> Self {
        Self { written: HashMap::new(), gone: Vec::new() }
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

    /// Of what is gone the newest of every namespace stay longest.
    fn replace(&mut self, mut seen: HashMap<Key, (Option<String>, K::Status)>) {
        let mut written = std::mem::take(&mut self.written);
        let known = std::mem::take(&mut self.gone);
        let old: HashSet<&Key> = known.iter().collect();
        let mut all: Vec<Key> = written.keys().filter(|key| !old.contains(key)).cloned().collect();
        all.extend(known);
        let mut ranks: HashMap<Option<String>, usize> = HashMap::new();
        let mut gone = Vec::new();
        for key in all {
            let Some((uid, status)) = written.remove(&key) else { continue };
            let again = |(other, anew): &(Option<String>, K::Status)| *other != uid && !anew.outlives();
            if status.outlives() && seen.get(&key).is_none_or(again) {
                let rank = ranks.entry(key.0.clone()).or_default();
                gone.push((*rank, key, (uid, status)));
                *rank += 1;
            }
        }
        gone.retain(|(rank, ..)| *rank < GONE_OF_ONE);
        gone.sort_by_key(|(rank, ..)| *rank);
        gone.truncate(GONE);
        for (_, key, one) in gone {
            self.gone.push(key.clone());
            seen.insert(key, one);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::AIModel;
    use crate::api::common::HistoryEntry;

    fn written(namespace: &str, names: std::ops::Range<usize>) -> Vec<(Key, (Option<String>, AssetStatus))> {
        let status = AssetStatus { history: vec![HistoryEntry::default()], ..AssetStatus::default() };
        names
            .map(|n| {
                let key = (Some(namespace.to_owned()), Some(format!("m{n}")));
                (key, (Some(n.to_string()), status.clone()))
            })
            .collect()
    }

    #[test]
    fn of_what_is_gone_the_newest_of_every_namespace_stay() {
        let mut ledger = Ledger::<AIModel>::default();
        let past = |ledger: &Ledger<AIModel>, namespace: &str, n: usize| {
            let (namespace, name) = (Some(namespace.to_owned()), Some(format!("m{n}")));
            ledger.past(&ObjectMeta { namespace, name, ..ObjectMeta::default() }).is_some()
        };
        ledger.replace(written("chat", 0..2).into_iter().collect());
        ledger.replace(HashMap::new());
        for n in 0..20 {
            ledger.replace(written(&format!("n{n}"), 0..100).into_iter().collect());
            ledger.replace(HashMap::new());
        }
        assert_eq!(ledger.written.len(), GONE);
        assert!(past(&ledger, "chat", 0) && past(&ledger, "chat", 1), "nobody pushes out another's");
        ledger.replace(written("n0", 100..104).into_iter().collect());
        ledger.replace(HashMap::new());
        assert!((100..104).all(|n| past(&ledger, "n0", n)), "the newest stay");
        let mut own = Ledger::<AIModel>::default();
        own.replace(written("chat", 0..100).into_iter().collect());
        own.replace(written("chat", 0..1).into_iter().collect());
        assert_eq!(own.written.len(), GONE_OF_ONE + 1, "what is here is not counted");
        assert!(!own.gone.contains(&written("chat", 0..1)[0].0));
        // One that is made anew and has no history yet keeps what was; then it has its own.
        let (key, (_, status)) = written("chat", 0..1).remove(0);
        let anew = |status| HashMap::from([(key.clone(), (Some("anew".to_owned()), status))]);
        own.replace(anew(AssetStatus::default()));
        assert!(own.gone.contains(&key));
        own.replace(anew(status));
        assert!(!own.gone.contains(&key));
    }
}
