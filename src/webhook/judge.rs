//! From review to answer: which facts a request needs, and who gathers them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use futures::future::BoxFuture;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::wire::{Answer, Request, Review, UserInfo};
use crate::api;
use crate::gather::objects::{self, PodObject};
use crate::gather::world::World;
use crate::policy::containers::{containers, images};
use crate::policy::facts::{Labels, Matched, Signature, Stage, Subject};
use crate::policy::{Decision, Enforcement, Finding, decide, evaluate};
use crate::render::words::{self, Title};

/// Answers what is known of the signatures of images.
pub trait SignatureSource: Send + Sync {
    /// What is known of each image of `images` that a pod of `namespace` would pull, by the reference as written.
    ///
    /// Guarantees: returns by `deadline`; an answer that did not come in time is [`Signature::Unknown`] with the reason.
    /// What was verified before is answered without any packet.
    fn signatures<'a>(
        &'a self,
        namespace: &'a str,
        images: Vec<ImageQuestion>,
        deadline: Instant,
    ) -> BoxFuture<'a, BTreeMap<String, Signature>>;
}

/// An image whose signature is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageQuestion {
    /// The reference as written.
    pub reference: String,
    /// True for an image volume, which holds a model or data and is judged by rules about these.
    pub volume: bool,
}

/// The images that a pod would pull, as questions.
#[must_use]
pub fn questions(spec: &k8s_openapi::api::core::v1::PodSpec) -> Vec<ImageQuestion> {
    images(&containers(spec), spec)
        .map(|image| ImageQuestion { reference: image.reference.to_owned(), volume: image.is_volume() })
        .collect()
}

/// Asks the cluster whether a user may do something; for rare requests only.
pub trait Authorizer: Send + Sync {
    /// Whether `user` may do `verb` on `resource`. Errors: the question could not be asked.
    fn may<'a>(&'a self, user: &'a UserInfo, access: Access<'a>) -> BoxFuture<'a, Result<bool, String>>;
}

/// A right that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// Verb.
    pub verb: &'a str,
    /// API group.
    pub group: &'a str,
    /// Resource; with a slash and the subresource where there is one.
    pub resource: &'a str,
    /// Namespace; empty for all.
    pub namespace: &'a str,
    /// Name; empty for all.
    pub name: &'a str,
}

/// Hears of refused requests: Events, counters, the ring of attempts. Never called for dry runs.
pub trait RefusalSink: Send + Sync {
    /// A request was refused.
    fn refused(&self, refusal: Refusal);
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

/// A claimed owner.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// API version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Whether it is the controller.
    #[serde(default)]
    pub controller: Option<bool>,
}

/// Judges reviews.
#[derive(Clone)]
pub struct Judge {
    /// What is known of the cluster.
    pub world: Arc<RwLock<World>>,
    /// Signatures.
    pub signatures: Arc<dyn SignatureSource>,
    /// Rights of users.
    pub authorizer: Arc<dyn Authorizer>,
    /// Where refusals go.
    pub sink: Arc<dyn RefusalSink>,
    /// User name of the operator's own controller, whose writes of generated objects are not judged.
    pub operator: String,
    /// The clock.
    pub clock: fn() -> Timestamp,
}

/// The metadata a review needs beside the specification.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    #[serde(default)]
    name: String,
    #[serde(default)]
    generate_name: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    owner_references: Vec<Owner>,
}

#[derive(Debug, Default, Deserialize)]
struct Skeleton<'a> {
    #[serde(default)]
    metadata: Meta,
    #[serde(borrow, default)]
    spec: Option<&'a RawValue>,
}

impl Judge {
    /// Answers one review.
    ///
    /// Guarantees: always an `AdmissionReview` with the request's uid where one could be read; an error while deciding is a
    /// denial that says so. Returns by `deadline` as far as waiting goes.
    pub async fn review(&self, body: &[u8], deadline: Instant) -> (Answer, Vec<u8>) {
        match serde_json::from_slice::<Review<'_>>(body) {
            Ok(review) => {
                let answer = self.answer(&review.request, deadline).await;
                let json = answer.to_json(&review.request.uid);
                (answer, json)
            }
            Err(error) => {
                let answer = Answer::deny(format!("this is no AdmissionReview: {error}"));
                let json = answer.to_json("");
                (answer, json)
            }
        }
    }

    /// Answers one request.
    pub async fn answer(&self, request: &Request<'_>, deadline: Instant) -> Answer {
        let group = request.resource.group.as_ref();
        match (group, request.resource.resource.as_ref(), request.sub_resource.as_ref()) {
            ("", "pods", "" | "ephemeralcontainers" | "resize") => self.pod(request, deadline).await,
            ("", "pods", "binding") => binding(request),
            ("", "namespaces", _) => self.namespace_labels(request).await,
            ("networking.k8s.io", "networkpolicies", "") => self.network_policy(request),
            ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings", "") => {
                self.role_binding(request)
            }
            // Access to running pods is recorded by the audit log, and no control decides on it yet; roles and what is
            // mounted are judged where they meet a pod.
            ("", "pods", "exec" | "attach" | "portforward" | "proxy")
            | ("rbac.authorization.k8s.io", _, "")
            | ("", "serviceaccounts" | "persistentvolumeclaims" | "configmaps", "") => Answer::allow(),
            (api::common::GROUP, _, "") => self.own_kind(request).await,
            (_, _, "") if objects::carrier(group, &request.kind.kind).is_some() => {
                self.carrier(request, deadline).await
            }
            (_, resource, subresource) => Answer::deny(format!(
                "portcullis was asked about {resource} {subresource:?} of group {group:?}, for which it has no rule; the \
                 webhook configuration and the installed version do not fit together, upgrade portcullis"
            )),
        }
    }

    /// The picture of the cluster, for the length of one evaluation.
    pub(super) fn world(&self) -> RwLockReadGuard<'_, World> {
        // A panic while writing leaves at worst one object out of date; refusing everything would be the outage.
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pod(&self, request: &Request<'_>, deadline: Instant) -> Answer {
        let Some(raw) = request.object else { return Answer::allow() };
        if let Some(answer) = oversized(request) {
            return answer;
        }
        let stage = if request.operation == "CREATE" { Stage::Entering } else { Stage::Changing };
        if stage == Stage::Changing && self.unchanged(request) {
            return Answer::allow();
        }
        let object = match objects::pod_from_json(raw.get()) {
            Ok(object) => object,
            Err(error) => return unreadable(request, &error),
        };
        let signatures = self.look_up(&request.namespace, std::iter::once(&object), deadline).await;
        self.until_governed(&request.namespace, deadline).await;
        let meta = serde_json::from_str::<Skeleton<'_>>(raw.get()).unwrap_or_default().metadata;
        let judged =
            self.judge_pods(request, "Pod", &meta, std::slice::from_ref(&object), &signatures, stage);
        self.conclude(request, &meta, judged)
    }

    async fn carrier(&self, request: &Request<'_>, deadline: Instant) -> Answer {
        let (Some(raw), Some(carrier)) =
            (request.object, objects::carrier(&request.resource.group, &request.kind.kind))
        else {
            return Answer::allow();
        };
        if let Some(answer) = oversized(request) {
            return answer;
        }
        let same_spec = |old: &&RawValue| spec_of(old) == spec_of(raw);
        if request.operation == "UPDATE" && request.old_object.as_ref().is_some_and(same_spec) {
            return Answer::allow();
        }
        let value = match serde_json::from_str(raw.get()) {
            Ok(value) => value,
            Err(error) => return unreadable(request, &error),
        };
        let templates = match objects::templates(carrier, &value) {
            Ok(templates) => templates,
            Err(error) => {
                return Answer::deny(format!("{} {:?} cannot be read: {error}", carrier.kind, request.name));
            }
        };
        // Replicas, pauses and histories may change on what was admitted earlier; the pods are judged in any case.
        if let Some(old) = request.old_object.filter(|_| request.operation == "UPDATE") {
            let before =
                serde_json::from_str(old.get()).ok().and_then(|v| objects::templates(carrier, &v).ok());
            if before.is_some_and(|before| same_templates(&before, &templates)) {
                return Answer::allow();
            }
        }
        let signatures = self.look_up(&request.namespace, templates.iter(), deadline).await;
        self.until_governed(&request.namespace, deadline).await;
        let meta = serde_json::from_str::<Skeleton<'_>>(raw.get()).unwrap_or_default().metadata;
        let judged = self.judge_pods(request, carrier.kind, &meta, &templates, &signatures, Stage::Carried);
        self.conclude(request, &meta, judged)
    }

    /// A request for a governed namespace can overtake the watch that tells of its labels: wait for it, but not long.
    async fn until_governed(&self, namespace: &str, deadline: Instant) {
        let patience = (Instant::now() + std::time::Duration::from_millis(500)).min(deadline);
        while !self.world().namespace(namespace).governed() && Instant::now() < patience {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    async fn look_up<'o>(
        &self,
        namespace: &str,
        pods: impl Iterator<Item = &'o PodObject>,
        deadline: Instant,
    ) -> BTreeMap<String, Signature> {
        let mut wanted: Vec<ImageQuestion> = pods.flat_map(|pod| questions(&pod.spec)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        self.signatures.signatures(namespace, wanted, deadline).await
    }

    fn judge_pods(
        &self,
        request: &Request<'_>,
        kind: &str,
        meta: &Meta,
        pods: &[PodObject],
        signatures: &BTreeMap<String, Signature>,
        stage: Stage,
    ) -> Judged {
        let world = self.world();
        let now = (self.clock)();
        let namespace = world.namespace(&request.namespace);
        let settings = world.settings(namespace);
        let mut decision = Decision::default();
        let mut workload = None;
        for object in pods {
            let mut pod = world.pod_facts(namespace, object, stage);
            pod.kind = kind;
            pod.name = if request.name.is_empty() { &meta.generate_name } else { &request.name };
            pod.signatures =
                signatures.iter().map(|(image, known)| (image.as_str(), known.clone())).collect();
            let declared = match &pod.matched {
                Matched::One(workload) => Some(*workload),
                _ => None,
            };
            let facts = world.facts(now, Subject::Pod(pod), namespace, &settings);
            let findings = evaluate(&facts);
            let enforcement = Enforcement::of(namespace, &world.cluster, declared.map(AsRef::as_ref), now);
            let name = declared.and_then(|w| w.metadata.name.as_deref());
            merge(&mut decision, decide(findings, &enforcement, name, stage == Stage::Carried));
            workload = workload.or_else(|| name.map(str::to_owned));
        }
        Judged { decision, workload }
    }

    /// Turns a judgement into the answer, and tells the sink of a refusal.
    fn conclude(&self, request: &Request<'_>, meta: &Meta, judged: Judged) -> Answer {
        let Judged { decision, workload } = judged;
        let kind = request.kind.kind.as_ref();
        let name = if request.name.is_empty() { meta.generate_name.as_str() } else { request.name.as_ref() };
        let owner = match &workload {
            Some(workload) => format!("AIWorkload {}/{workload}", request.namespace),
            None if request.namespace.is_empty() => format!("{kind} {name}"),
            None => format!("{kind} {}/{name}", request.namespace),
        };
        let answer = concluded(&owner, kind, &decision);
        if !decision.allowed() && request.real() {
            self.sink.refused(Refusal {
                at: (self.clock)(),
                namespace: request.namespace.to_string(),
                workload,
                kind: kind.to_owned(),
                name: name.to_owned(),
                owner: owner_of(request, meta),
                findings: decision.refused.iter().map(|f| (f.control.id, words::one_line(f))).collect(),
            });
        }
        answer
    }

    /// Whether an update of a pod changes nothing that is judged: its specification, and which declaration selects it.
    fn unchanged(&self, request: &Request<'_>) -> bool {
        let (Some(new), Some(old)) = (request.object, request.old_object) else { return false };
        if spec_of(new) != spec_of(old) {
            return false;
        }
        let labels =
            |raw: &RawValue| serde_json::from_str::<Skeleton<'_>>(raw.get()).map(|s| s.metadata.labels);
        let (Ok(new), Ok(old)) = (labels(new), labels(old)) else { return false };
        if new == old {
            return true;
        }
        let world = self.world();
        let namespace = world.namespace(&request.namespace);
        let name = |labels: &Labels| match crate::gather::world::matched(namespace, labels) {
            Matched::One(workload) => workload.metadata.name.clone(),
            Matched::Many(_) | Matched::None => None,
        };
        name(&new).is_some() && name(&new) == name(&old)
    }
}

/// The object a user would look at: the controller that a pod claims, or the carrier itself once it exists.
fn owner_of(request: &Request<'_>, meta: &Meta) -> Option<Owner> {
    if request.kind.kind == "Pod" || meta.uid.is_empty() {
        return meta.owner_references.iter().find(|o| o.controller == Some(true)).cloned();
    }
    let group = &request.kind.group;
    let version = &request.kind.version;
    Some(Owner {
        api_version: if group.is_empty() { version.to_string() } else { format!("{group}/{version}") },
        kind: request.kind.kind.to_string(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        controller: None,
    })
}

pub(super) struct Judged {
    pub(super) decision: Decision,
    pub(super) workload: Option<String>,
}

/// The answer to a decision: everything in one message.
pub(super) fn concluded(owner: &str, kind: &str, decision: &Decision) -> Answer {
    let title = Title {
        owner: owner.to_owned(),
        what: if kind == "Pod" { "pod".to_owned() } else { kind.to_owned() },
    };
    let warnings = decision.warned.iter().take(8).map(|f| words::cut(words::one_line(f), 250)).collect();
    let denial =
        (!decision.allowed()).then(|| words::denial(&title, decision, crate::policy::evaluate::judged()));
    Answer { denial, warnings, controls: words::control_ids(&decision.refused) }
}

pub(crate) fn merge(into: &mut Decision, from: Decision) {
    // Templates of one object repeat what concerns their declaration; a person needs to read it once.
    let known = |list: &[Finding], f: &Finding| {
        list.iter().any(|k| k.control.id == f.control.id && k.place == f.place && k.detail == f.detail)
    };
    for finding in from.refused {
        if !known(&into.refused, &finding) {
            into.refused.push(finding);
        }
    }
    for finding in from.warned {
        if !known(&into.warned, &finding) {
            into.warned.push(finding);
        }
    }
    into.audited.extend(from.audited);
    into.exempted.extend(from.exempted);
}

fn same_templates(before: &[PodObject], after: &[PodObject]) -> bool {
    before.len() == after.len()
        && before.iter().zip(after).all(|(a, b)| {
            a.spec == b.spec
                && a.labels == b.labels
                && a.annotations == b.annotations
                && a.unknown_fields == b.unknown_fields
        })
}

/// The text of `spec`; two equal texts say the same.
fn spec_of(raw: &RawValue) -> Option<String> {
    let skeleton: Skeleton<'_> = serde_json::from_str(raw.get()).ok()?;
    skeleton.spec.map(|spec| spec.get().to_owned())
}

pub(super) fn unreadable(request: &Request<'_>, error: &serde_json::Error) -> Answer {
    Answer::deny(format!(
        "{} {:?} cannot be read by this version of portcullis: {error}; correct the object, or upgrade portcullis",
        request.kind.kind, request.name
    ))
}

/// Largest object that may be created, in bytes of the review: its later updates carry it twice, and must still fit.
const LARGEST_CREATED: usize = 3 * 1024 * 1024;

fn oversized(request: &Request<'_>) -> Option<Answer> {
    let length = request.object.map_or(0, |raw| raw.get().len());
    (request.operation == "CREATE" && length > LARGEST_CREATED).then(|| {
        Answer::deny(format!(
            "{} {:?}: {length} bytes are more than the {LARGEST_CREATED} that can be judged again at its next update; make \
             the object smaller",
            request.kind.kind, request.name
        ))
    })
}

/// A binding overwrites labels and annotations of its pod: only what a scheduler has to say about places may come so.
fn binding(request: &Request<'_>) -> Answer {
    let Some(raw) = request.object else { return Answer::allow() };
    let meta = match serde_json::from_str::<Skeleton<'_>>(raw.get()) {
        Ok(skeleton) => skeleton.metadata,
        Err(error) => return unreadable(request, &error),
    };
    let topology = |key: &str| key.starts_with("topology.kubernetes.io/") || key == "kubernetes.io/hostname";
    match meta.labels.keys().find(|key| !topology(key)) {
        None => Answer::allow(),
        Some(key) => Answer::deny(format!(
            "Binding of pod {:?}: metadata.labels[{key:?}] would overwrite a label of the pod, by which its AIWorkload \
             selects it; bind without labels",
            if meta.name.is_empty() { request.name.as_ref() } else { &meta.name }
        )),
    }
}
