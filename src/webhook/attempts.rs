//! What becomes of a refusal after its answer: an Event where the user looks, and a line in the ring that the leader
//! collects. Both bounded; nothing here can hold up or change an answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::events::{Event, EventType, Reporter};
use kube::{Api, Client};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::ring::Ring;
use crate::api::compliance::Tombstone;
use crate::api::outcome::HistoryKind;
use crate::api::outcome::UnusualChange;
use crate::gather::objects::Owner;
use crate::gather::world::World;
use crate::policy::ALL;
use crate::render::words::cut;
use crate::telemetry::events::Recorder;

/// Refusals that wait for their Events; more are only counted.
const QUEUE: usize = 256;
/// The same Event is not repeated sooner.
const QUIET: Duration = Duration::from_secs(20);
/// Longest note of an Event, in bytes (events.k8s.io allows 1 KiB).
const NOTE: usize = 1000;
/// Longest action of an Event, which the API server takes up to 128 characters of.
const ACTION: usize = 120;

/// Hears of refused requests: Events, counters, the ring of attempts. Never called for dry runs.
pub trait RefusalSink: Send + Sync {
    /// A request was refused.
    fn refused(&self, refusal: Refusal);

    /// A request was let in that somebody will want to know of: an Event tells of it, and nothing counts it.
    fn recorded(&self, access: Refusal);

    /// Something was changed that a history tells of.
    fn changed(&self, change: Change);
}

/// A refused request.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// When.
    pub at: Timestamp,
    /// Namespace.
    pub namespace: String,
    /// The AIWorkload that matches, if one does.
    pub workload: Option<String>,
    /// Kind of the refused object.
    pub kind: String,
    /// Its name, or the prefix of the name it would get.
    pub name: String,
    /// The object that owns it, as the request claims: API version, kind, name and UID.
    pub owner: Option<Owner>,
    /// What was found: control id, its reason word, and the line a person reads.
    pub findings: Vec<(&'static str, String)>,
}

/// What is to become an Event.
#[derive(Debug)]
pub enum Told {
    /// A request was refused.
    Refused(Refusal),
    /// Somebody entered a pod.
    Entered(Refusal),
}

/// One refused request, as the leader collects it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Counts up in one replica's life.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Namespace.
    pub namespace: String,
    /// The AIWorkload that matched, if one did.
    pub workload: Option<String>,
    /// Kind and name of the refused object.
    pub object: String,
    /// The first control that refused.
    pub control: String,
    /// The line a person reads; empty where a history has nothing to tell of it.
    pub message: String,
    /// What it is in a history, where the request was let in; nothing where it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted: Option<HistoryKind>,
    /// The digest of an asset afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What is left of an asset that was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tombstone: Option<Tombstone>,
    /// That an asset was changed outside office hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusual: Option<UnusualChange>,
    /// Who wrote the specification of an asset or of a workload, and what it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<Edit>,
    /// Users who wrote assets of the namespace, of which nothing else is remembered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
}

/// Who wrote the specification of an asset or of a workload, and what it became if the request was carried out.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Edit {
    /// The whole name of the user; none where it is no name that a status could hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// UID of the object.
    pub uid: String,
    /// Its generation afterwards.
    pub generation: i64,
    /// Its version afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its digest afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What the object was before; none where it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Former>,
}

/// What an asset was before somebody wrote it: the API server had stored that.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Former {
    /// Its generation.
    pub generation: i64,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// A request that was let in and belongs into a history: an asset was written or deleted, or the life of a workload turned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// Namespace of the object.
    pub namespace: String,
    /// The AIWorkload whose history tells of it; where there is none, that of the namespace does.
    pub workload: Option<String>,
    /// What it is in that history.
    pub kind: HistoryKind,
    /// Kind and name of the object.
    pub object: String,
    /// Who did what, in words; empty where the history has nothing to tell of it.
    pub message: String,
    /// Its digest afterwards.
    pub digest: Option<String>,
    /// What is left of it, where it was deleted.
    pub tombstone: Option<Tombstone>,
    /// That it was changed outside office hours.
    pub unusual: Option<UnusualChange>,
    /// Who wrote its specification, where it is an asset or a workload.
    pub edit: Option<Edit>,
}

/// What one replica remembers.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Attempts {
    /// Names this life of the replica: after a restart sequences begin anew.
    pub replica: String,
    /// The newest attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

/// Keeps the ring and hands refusals to the teller of Events.
#[derive(Debug)]
pub struct Sink {
    replica: String,
    ring: Mutex<Ring>,
    events: mpsc::Sender<Told>,
}

impl Sink {
    /// A sink of the replica `replica`, and the refusals that wait for [`tell`].
    #[must_use]
    pub fn new(replica: String) -> (Arc<Self>, mpsc::Receiver<Told>) {
        let (events, waiting) = mpsc::channel(QUEUE);
        (Arc::new(Self { replica, ring: Mutex::default(), events }), waiting)
    }

    /// What is remembered, as JSON of [`Attempts`], for the leader: what it has been given counts as told.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let attempts = self.ring.lock().unwrap_or_else(PoisonError::into_inner).ask();
        let attempts = Attempts { replica: self.replica.clone(), attempts };
        serde_json::to_vec(&attempts).unwrap_or_else(|_| b"{}".to_vec())
    }

    /// Remembers the first thing that was found.
    fn found(&self, refusal: &Refusal, noted: Option<HistoryKind>) {
        let Some((control, message)) = refusal.findings.first() else { return };
        self.remember(Attempt {
            sequence: 0,
            at: refusal.at,
            namespace: refusal.namespace.clone(),
            workload: refusal.workload.clone(),
            object: format!("{}/{}", refusal.kind, refusal.name),
            control: (*control).to_owned(),
            message: cut(message.clone(), 300),
            noted,
            digest: None,
            tombstone: None,
            unusual: None,
            edit: None,
            lost: Vec::new(),
        });
    }

    fn remember(&self, attempt: Attempt) {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).push(attempt);
    }
}

impl RefusalSink for Sink {
    fn recorded(&self, access: Refusal) {
        self.found(&access, Some(HistoryKind::BreakGlass));
        let _ = self.events.try_send(Told::Entered(access));
    }

    fn changed(&self, change: Change) {
        self.remember(Attempt {
            sequence: 0,
            at: change.at,
            namespace: change.namespace,
            workload: change.workload,
            object: change.object,
            control: "audit-trail-kept".to_owned(),
            message: cut(change.message, 300),
            noted: Some(change.kind),
            digest: change.digest,
            tombstone: change.tombstone,
            unusual: change.unusual,
            edit: change.edit,
            lost: Vec::new(),
        });
    }

    fn refused(&self, refusal: Refusal) {
        self.found(&refusal, None);
        // A full queue means that Events are behind already: more of them would not help anybody.
        let _ = self.events.try_send(Told::Refused(refusal));
    }
}

/// Writes Events for refusals until the sink is gone.
///
/// On the pod's owner that the user wrote (the Deployment behind the ReplicaSet), found by UID, and on the AIWorkload:
/// one per refusing control. A forged owner gets none. The same Event is not repeated within 20 seconds.
pub async fn tell(
    client: Client,
    world: Arc<RwLock<World>>,
    instance: String,
    mut waiting: mpsc::Receiver<Told>,
) {
    let reporter = Reporter { controller: "portcullis".to_owned(), instance: Some(instance) };
    let recorder = Recorder::new(client.clone(), reporter);
    let mut recent: HashMap<(String, &'static str), Instant> = HashMap::new();
    while let Some(told) = waiting.recv().await {
        let refusal = match told {
            Told::Refused(refusal) => refusal,
            Told::Entered(access) => {
                entered(&recorder, &world, &access).await;
                continue;
            }
        };
        let mut regarding: Vec<ObjectReference> = Vec::with_capacity(2);
        regarding.extend(workload_reference(&world, &refusal));
        if let Some(owner) = &refusal.owner {
            match owner_written_by_user(&client, &refusal.namespace, owner).await {
                Ok(found) => regarding.extend(found),
                Err(error) => tracing::debug!(%error, "the owner of a refused pod was not found"),
            }
        }
        recent.retain(|_, told| told.elapsed() < QUIET);
        for reference in regarding {
            for (control, line) in one_per_control(&refusal) {
                let key = (reference.uid.clone().unwrap_or_default(), control);
                if recent.contains_key(&key) || recent.len() > 4 * QUEUE {
                    continue;
                }
                recent.insert(key, Instant::now());
                let event = Event {
                    type_: EventType::Warning,
                    reason: ALL
                        .iter()
                        .find(|c| c.id == control)
                        .map_or_else(|| control.to_owned(), |c| c.reason()),
                    note: Some(cut(format!("refused {} {}: {line}", refusal.kind, refusal.name), NOTE)),
                    action: "Refuse".to_owned(),
                    secondary: None,
                };
                if let Err(error) = recorder.publish(&event, &reference).await {
                    tracing::warn!(%error, "an Event could not be written");
                }
            }
        }
    }
}

/// Each access is told, however soon after another: who broke the glass must not be hidden behind who tried.
async fn entered(recorder: &Recorder, world: &RwLock<World>, access: &Refusal) {
    let (Some(reference), Some((_, line))) = (workload_reference(world, access), access.findings.first())
    else {
        return;
    };
    let event = Event {
        type_: EventType::Warning,
        reason: "BreakGlass".to_owned(),
        note: Some(cut(line.clone(), NOTE)),
        // Events of one action are counted under the note of the first, so the action tells users and pods apart.
        action: cut(line.clone(), ACTION),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, &reference).await {
        tracing::warn!(%error, "an Event could not be written");
    }
}

fn one_per_control(refusal: &Refusal) -> Vec<(&'static str, &str)> {
    let mut out: Vec<(&'static str, &str)> = Vec::new();
    for (control, line) in &refusal.findings {
        if !out.iter().any(|(known, _)| known == control) {
            out.push((control, line));
        }
    }
    out
}

fn workload_reference(world: &RwLock<World>, refusal: &Refusal) -> Option<ObjectReference> {
    let name = refusal.workload.as_deref()?;
    let world = world.read().unwrap_or_else(PoisonError::into_inner);
    let workload = world.namespace(&refusal.namespace).workloads.get(name)?;
    Some(ObjectReference {
        api_version: Some("portcullis.dev/v1alpha1".to_owned()),
        kind: Some("AIWorkload".to_owned()),
        name: Some(name.to_owned()),
        namespace: Some(refusal.namespace.clone()),
        uid: workload.metadata.uid.clone(),
        ..ObjectReference::default()
    })
}

/// Follows controllers upwards, as long as each exists in this namespace with the UID that is claimed for it.
async fn owner_written_by_user(
    client: &Client,
    namespace: &str,
    claimed: &Owner,
) -> Result<Option<ObjectReference>, kube::Error> {
    let mut found = None;
    let mut next = Some(claimed.clone());
    for _ in 0..4 {
        let Some(owner) = next.take() else { break };
        let Some(resource) = resource_of(&owner) else { break };
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let Some(object) = api.get_metadata_opt(&owner.name).await? else { break };
        if object.metadata.uid.as_deref() != Some(owner.uid.as_str()) {
            break;
        }
        next =
            object.metadata.owner_references.iter().flatten().find(|o| o.controller == Some(true)).map(|o| {
                Owner {
                    api_version: o.api_version.clone(),
                    kind: o.kind.clone(),
                    name: o.name.clone(),
                    uid: o.uid.clone(),
                    controller: o.controller,
                }
            });
        found = Some(ObjectReference {
            api_version: Some(owner.api_version),
            kind: Some(owner.kind),
            name: Some(owner.name),
            namespace: Some(namespace.to_owned()),
            uid: Some(owner.uid),
            ..ObjectReference::default()
        });
    }
    Ok(found)
}

/// Owners whose metadata the webhook may read; Events for others go to the AIWorkload alone.
fn resource_of(owner: &Owner) -> Option<ApiResource> {
    let (group, version) = owner.api_version.split_once('/').unwrap_or(("", &owner.api_version));
    let known = matches!(
        (group, owner.kind.as_str()),
        ("apps", "ReplicaSet" | "Deployment" | "StatefulSet" | "DaemonSet") | ("batch", "Job" | "CronJob")
    );
    known.then(|| ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &owner.kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(n: usize) -> Refusal {
        Refusal {
            at: Timestamp::UNIX_EPOCH,
            namespace: "chat".into(),
            workload: Some("chat".into()),
            kind: "Pod".into(),
            name: format!("chat-{n}"),
            owner: None,
            findings: vec![
                ("pod-hardened", "a".into()),
                ("pod-hardened", "b".into()),
                ("resource-bounds", "c".into()),
            ],
        }
    }

    #[tokio::test]
    async fn the_ring_and_the_queue_are_bounded() {
        let (sink, waiting) = Sink::new("r".into());
        for n in 0..2000 {
            sink.refused(refusal(n));
        }
        let kept: Attempts = serde_json::from_slice(&sink.to_json()).unwrap();
        assert_eq!(kept.attempts.len(), 512);
        assert_eq!(kept.attempts.last().unwrap().sequence, 2000);
        assert_eq!(waiting.len(), QUEUE);
        assert_eq!(one_per_control(&refusal(0)), [("pod-hardened", "a"), ("resource-bounds", "c")]);
    }
}
