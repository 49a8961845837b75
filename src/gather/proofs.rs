//! What is known of evidence beyond what it says: whether its document is still the same, and what its signature is worth.
//! Looked at before a pod asks, so that a review finds the answer in the status.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::registry::{CompiledTrust, ImageRef};
use super::signatures::Signatures;
use super::trust;
use super::world::{World, digests};
use crate::api::AIEvidence;
use crate::api::evidence::{
    AIEvidenceSpec, AIEvidenceStatus, DocumentRead, DocumentState, StatementRead, StatementState,
};
use crate::policy::evidence::{Reference, reference};

/// Looked at in one round; the others wait for the next.
const AT_ONCE: usize = 32;
/// Looked at side by side.
const BESIDE: usize = 8;
/// Proofs that are looked after, in the order of their namespaces and names.
const MOST: usize = 20_000;
/// Until a `ConfigMap` is read again.
const CONFIG_MAP: Duration = Duration::from_mins(2);
/// Until an artifact is looked up again, or a signature verified.
const REGISTRY: Duration = Duration::from_mins(10);
/// Until what nobody reads is looked at again.
const NEVER: Duration = Duration::from_hours(24);
/// Until a place is asked again that did not answer.
const UNANSWERED: Duration = Duration::from_secs(30);
/// The longest time for one `ConfigMap`.
const PATIENCE: Duration = Duration::from_secs(5);
/// For how long a document counts as read while its place cannot be asked.
const REMEMBERED: i64 = 24;
/// Before the time since when a place did not answer.
const SILENT: &str = "not heard of since ";
/// Said of what nobody reads.
const ELSEWHERE: &str =
    "the operator reads ConfigMaps and registries only: the digest is taken as it is written";

/// Fields of evidence that its signed statement does not repeat.
const UNSIGNED: [&str; 4] = ["subject", "attestation", "owner", "visibility"];

/// Reads a `ConfigMap` of a namespace: the digests of its keys, `None` where there is none, or why that cannot be told.
pub trait Maps: Send + Sync {
    /// The digest of each key.
    fn digests<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<BTreeMap<String, String>>, String>>;
}

/// The `ConfigMaps` of the cluster.
pub struct ClusterMaps(pub Client);

impl Maps for ClusterMaps {
    fn digests<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<BTreeMap<String, String>>, String>> {
        Box::pin(async move {
            let maps: Api<ConfigMap> = Api::namespaced(self.0.clone(), namespace);
            match timeout(PATIENCE, maps.get_opt(name)).await {
                Ok(Ok(map)) => Ok(map.as_ref().map(digests)),
                Ok(Err(error)) => Err(format!("ConfigMap {name:?} could not be read: {error}")),
                Err(_) => Err(format!("ConfigMap {name:?} could not be read in time")),
            }
        })
    }
}

/// What the signed statement in evidence is worth; `None` where there is none in it.
#[must_use]
pub fn statement(trust: &CompiledTrust, spec: &AIEvidenceSpec, now: Timestamp) -> Option<StatementRead> {
    let bundle = spec.attestation.as_ref()?.bundle.as_ref()?;
    Some(verified(trust, spec, &[bundle.as_bytes().to_vec()], now))
}

/// What the best of some bundles is worth for evidence.
fn verified(
    trust: &CompiledTrust,
    spec: &AIEvidenceSpec,
    bundles: &[Vec<u8>],
    now: Timestamp,
) -> StatementRead {
    let person = spec.attested_by.as_deref().filter(|person| !person.is_empty());
    let digest = spec.subject.digest.as_deref().or(spec.digest.as_deref());
    let verified = person
        .ok_or_else(|| "spec.attestedBy names nobody who could have signed".to_owned())
        .and_then(|person| {
            let digest = digest.ok_or("neither spec.subject.digest nor spec.digest says what was signed")?;
            let one = |bundle: &Vec<u8>| {
                let attested = trust.verify_evidence(bundle, digest, person, now)?;
                match differing(spec, &attested.predicate) {
                    None => Ok(attested.authority),
                    Some(field) => Err(format!("what was signed differs in {field}")),
                }
            };
            let mut last = Err("no bundle refers to it".to_owned());
            for bundle in bundles {
                last = one(bundle);
                if last.is_ok() {
                    break;
                }
            }
            last
        });
    let since = seconds(now);
    match verified {
        Ok(authority) => StatementRead {
            state: StatementState::Verified,
            authority: Some(authority),
            message: None,
            since,
        },
        Err(why) => StatementRead {
            state: StatementState::Failed,
            authority: None,
            message: Some(why.chars().take(500).collect()),
            since,
        },
    }
}

/// What the statement that lies in a registry is worth; the former word where the registry cannot be asked.
async fn referred(
    evidence: &AIEvidence,
    reference: &str,
    namespace: &str,
    signatures: &Signatures,
    now: Timestamp,
) -> Option<StatementRead> {
    let failed = |why: String| StatementRead {
        state: StatementState::Failed,
        authority: None,
        message: Some(why.chars().take(500).collect()),
        since: seconds(now),
    };
    let image = match ImageRef::parse(reference) {
        Ok(image) if image.digest().is_some() => image,
        _ => return Some(failed("spec.attestation.reference names no artifact by digest".to_owned())),
    };
    let trust = signatures.trust();
    let former = evidence.status.as_ref().and_then(|status| status.statement.as_ref());
    let unheard = |why: &str| former.map(|former| unheard(former, &evidence.spec, &trust, why, now));
    match signatures.bundles(namespace, &image).await {
        Ok(bundles) => {
            let read = verified(&trust, &evidence.spec, &bundles.found, now);
            match bundles.unseen {
                Some(why) if read.state == StatementState::Failed => {
                    let said = read.message.as_deref().unwrap_or_default();
                    let all = format!("{said}; not everything that refers to it was looked at: {why}");
                    unheard(&why).or_else(|| Some(failed(all)))
                }
                _ => Some(read),
            }
        }
        Err(why) => {
            tracing::debug!(namespace, reference, why, "a statement could not be looked up");
            unheard(&why)
        }
    }
}

/// The former word about a statement that cannot be read now: it lasts for a day, and not beyond the authority that signed.
fn unheard(
    former: &StatementRead,
    spec: &AIEvidenceSpec,
    trust: &CompiledTrust,
    why: &str,
    now: Timestamp,
) -> StatementRead {
    let failed = |word: String| StatementRead {
        state: StatementState::Failed,
        authority: None,
        message: Some(format!("{word}: {why}").chars().take(500).collect()),
        since: seconds(now),
    };
    if former.state != StatementState::Verified {
        return former.clone();
    }
    let (authority, person) = (former.authority.as_deref(), spec.attested_by.as_deref());
    let (authority, person) = (authority.unwrap_or_default(), person.unwrap_or_default());
    if !trust.speaks(authority, person, now) {
        return failed(format!(
            "authority {authority:?} signs for {person:?} no more, and the statement cannot be read"
        ));
    }
    let Some(since) = former.message.as_deref().and_then(|text| text.strip_prefix(SILENT)) else {
        return StatementRead { message: Some(format!("{SILENT}{}", seconds(now))), ..former.clone() };
    };
    let short = since.parse::<Timestamp>().is_ok_and(|at| now.duration_since(at).as_hours() < REMEMBERED);
    if short { former.clone() } else { failed(format!("{SILENT}{since}")) }
}

/// The first field in which a statement says something else than the object.
fn differing(spec: &AIEvidenceSpec, signed: &Value) -> Option<String> {
    let (Ok(Value::Object(mut own)), Value::Object(signed)) = (serde_json::to_value(spec), signed) else {
        return Some("its form".to_owned());
    };
    let mut signed = signed.clone();
    for field in UNSIGNED {
        own.remove(field);
        signed.remove(field);
    }
    let keys = own.keys().chain(signed.keys());
    keys.filter(|key| own.get(*key) != signed.get(*key)).map(|key| key.chars().take(64).collect()).next()
}

/// Verifies the statements of all evidence in a world that is made of files.
pub fn attest(world: &mut World, now: Timestamp) {
    let any = |evidence: &Arc<AIEvidence>| evidence.spec.attestation.is_some();
    if !world.cluster.namespaces.values().flat_map(|place| place.evidence.values()).any(any) {
        return;
    }
    let trust = compiled(world);
    for evidence in world.cluster.namespaces.values_mut().flat_map(|place| place.evidence.values_mut()) {
        if let Some(read) = statement(&trust, &evidence.spec, now) {
            let status = Arc::make_mut(evidence).status.get_or_insert_default();
            status.statement = Some(read);
        }
    }
}

/// The trust policies of a world, compiled.
#[must_use]
pub fn compiled(world: &World) -> CompiledTrust {
    let policies = world.cluster.trust_policies.values();
    let specs: Vec<_> = policies.map(|policy| trust::spec(policy, &world.trust_roots)).collect();
    CompiledTrust::compile(&specs)
}

/// One proof with what its status should say.
#[derive(Clone, Debug)]
pub struct Found {
    /// The proof.
    pub evidence: Arc<AIEvidence>,
    /// What was found of its document.
    pub document: Option<DocumentRead>,
    /// What its statement is worth.
    pub statement: Option<StatementRead>,
}

impl Found {
    /// Whether the status says so already.
    #[must_use]
    pub fn is_told(&self) -> bool {
        let told = self.evidence.status.as_ref();
        told.and_then(|told| told.document.as_ref()) == self.document.as_ref()
            && told.and_then(|told| told.statement.as_ref()) == self.statement.as_ref()
    }
}

/// Namespace, name and UID.
type Key = (String, String, Option<String>);

/// When which proof is looked at again.
#[derive(Debug, Default)]
pub struct Agenda {
    /// Of the trust policies that the times below hold for.
    generation: u64,
    due: HashMap<Key, Instant>,
}

impl Agenda {
    /// One round: what was found of the proofs whose time has come, those that waited longest first.
    pub async fn round(
        &mut self,
        world: &RwLock<World>,
        signatures: &Signatures,
        maps: &dyn Maps,
        now: Timestamp,
    ) -> Vec<Found> {
        let all = asked(&world.read().unwrap_or_else(PoisonError::into_inner));
        let trust = signatures.trust();
        if self.generation != trust.generation() {
            self.generation = trust.generation();
            self.due.clear();
        }
        let start = Instant::now();
        let there: HashSet<&Key> = all.iter().map(|(key, _)| key).collect();
        self.due.retain(|key, _| there.contains(key));
        let mut open: Vec<_> = all
            .into_iter()
            .map(|(key, evidence)| (self.due.get(&key).copied(), key, evidence))
            .filter(|(due, ..)| due.is_none_or(|due| due <= start))
            .collect();
        open.sort_by_key(|(due, ..)| *due);
        open.truncate(AT_ONCE);
        let trust = &trust;
        let looked = stream::iter(open).map(|(_, key, evidence)| async move {
            let (document, pause) = document(&evidence, &key.0, signatures, maps, now).await;
            let status = evidence.status.as_ref();
            let attestation = evidence.spec.attestation.as_ref();
            let statement = match attestation.and_then(|attestation| attestation.reference.as_deref()) {
                Some(reference) => referred(&evidence, reference, &key.0, signatures, now).await,
                None => statement(trust, &evidence.spec, now),
            };
            let statement = statement.map(|read| kept_statement(read, status));
            (key, pause, Found { evidence, document, statement })
        });
        let looked: Vec<_> = looked.buffer_unordered(BESIDE).collect().await;
        looked
            .into_iter()
            .map(|(key, pause, found)| {
                self.due.insert(key, Instant::now() + pause);
                found
            })
            .collect()
    }
}

/// The proofs of which more can be known than they say.
fn asked(world: &World) -> Vec<(Key, Arc<AIEvidence>)> {
    let places = world.cluster.namespaces.values().filter(|place| !place.terminating);
    let all = places.flat_map(|place| place.evidence.iter().map(move |(name, one)| (place, name, one)));
    all.filter(|(_, _, one)| one.spec.attestation.is_some() || one.spec.ref_.is_some())
        .map(|(place, name, one)| {
            ((place.name.clone(), name.clone(), one.metadata.uid.clone()), Arc::clone(one))
        })
        .take(MOST)
        .collect()
}

/// What is found of a document, and when to look again.
async fn document(
    evidence: &AIEvidence,
    namespace: &str,
    signatures: &Signatures,
    maps: &dyn Maps,
    now: Timestamp,
) -> (Option<DocumentRead>, Duration) {
    let spec = &evidence.spec;
    let (Some(at), Some(digest)) = (spec.ref_.as_deref(), spec.digest.as_deref()) else {
        return (None, REGISTRY);
    };
    let read = |state, found: Option<String>, message: Option<String>| DocumentRead {
        state,
        found: found.filter(|found| found.len() == 71),
        message: message.map(|why| why.chars().take(500).collect()),
        since: seconds(now),
    };
    let compared = |found: &str| {
        if found == digest {
            read(DocumentState::Same, None, None)
        } else {
            read(DocumentState::Altered, Some(found.to_owned()), None)
        }
    };
    let unreachable = |why: String| read(DocumentState::Unreachable, None, Some(why));
    let (read, pause) = match reference(at) {
        Err(why) => (read(DocumentState::Missing, None, Some(format!("spec.ref {why}"))), REGISTRY),
        Ok(Reference::Elsewhere) => {
            let pause = if spec.attestation.is_some() { REGISTRY } else { NEVER };
            (read(DocumentState::OutOfReach, None, Some(ELSEWHERE.to_owned())), pause)
        }
        Ok(Reference::ConfigMap(name, key)) => {
            let absent = |what: String| read(DocumentState::Missing, None, Some(what));
            match maps.digests(namespace, name).await {
                Ok(None) => (absent(format!("ConfigMap {name:?} does not exist")), CONFIG_MAP),
                Ok(Some(digests)) => {
                    let found = digests.get(key).map(|found| compared(found));
                    let none = || absent(format!("ConfigMap {name:?} has no key {key:?}"));
                    (found.unwrap_or_else(none), CONFIG_MAP)
                }
                Err(why) => (unreachable(why), UNANSWERED),
            }
        }
        Ok(Reference::Oci(image)) => match in_registry(signatures, namespace, &image).await {
            Ok(None) => {
                let what = format!("registry {:?} has no such artifact", image.registry());
                (read(DocumentState::Missing, None, Some(what)), UNANSWERED)
            }
            Ok(Some(found)) => {
                let layer = image.digest().is_none() && found.layers.iter().any(|layer| layer == digest);
                (compared(if layer { digest } else { &found.digest }), REGISTRY)
            }
            Err(why) => (unreachable(why), UNANSWERED),
        },
    };
    (Some(kept_document(read, evidence.status.as_ref(), now)), pause)
}

async fn in_registry(
    signatures: &Signatures,
    namespace: &str,
    image: &ImageRef,
) -> Result<Option<super::registry::Document>, String> {
    signatures.document(namespace, image).await
}

/// The former word where the new one says the same, and where nothing was heard since but a day has not passed.
fn kept_document(read: DocumentRead, status: Option<&AIEvidenceStatus>, now: Timestamp) -> DocumentRead {
    let Some(former) = status.and_then(|status| status.document.as_ref()) else { return read };
    if former.state == read.state && former.found == read.found && former.message == read.message {
        return former.clone();
    }
    if former.state == DocumentState::Same && read.state == DocumentState::Unreachable {
        // It was the same; the time of the silence stands in the message.
        let silent = DocumentRead { message: Some(format!("{SILENT}{}", read.since)), ..former.clone() };
        let since = former.message.as_deref().and_then(|text| text.strip_prefix(SILENT));
        let Some(since) = since.and_then(|text| text.parse::<Timestamp>().ok()) else { return silent };
        if now.duration_since(since).as_hours() < REMEMBERED {
            return former.clone();
        }
    }
    read
}

fn kept_statement(read: StatementRead, status: Option<&AIEvidenceStatus>) -> StatementRead {
    let Some(former) = status.and_then(|status| status.statement.as_ref()) else { return read };
    let same = former.state == read.state && former.authority == read.authority;
    // A silence that ended is no news.
    if same && (former.message == read.message || read.state == StatementState::Verified) {
        return StatementRead { since: former.since.clone(), ..read };
    }
    read
}

/// The instant without its fraction.
fn seconds(at: Timestamp) -> String {
    crate::policy::dates::second(at).to_string()
}

#[cfg(test)]
#[path = "proofs_tests.rs"]
mod tests;
