//! Judging pods, and whatever carries them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::attempts::Refusal;
use super::judge::{Judge, concluded, unreadable};
use super::wire::{Answer, Request};
use crate::gather::model_jobs::is_verifier;
use crate::gather::objects::{self, Meta, Owner, PodObject};
use crate::gather::serving::Serving;
use crate::gather::signatures::{ImageQuestion, questions};
use crate::gather::world::{self, World};
use crate::policy::facts::{Labels, Matched, Namespace, Settings, Signature, Stage, Subject};
use crate::policy::{Decision, Enforcement, Mode, decide, evaluate, evaluate_where};
use crate::render::words;

/// What decides whether an update of a pod changes anything that is judged.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Skeleton<'a> {
    metadata: SkeletonMeta,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SkeletonMeta {
    name: String,
    labels: Labels,
}

/// Left of a request's time after its look-ups, to judge and answer in.
const TO_JUDGE: Duration = Duration::from_millis(200);

impl Judge {
    pub(super) async fn pod(&self, request: &Request<'_>, deadline: Instant) -> Answer {
        let Some(raw) = request.object else { return Answer::allow() };
        if let Some(answer) = oversized(request) {
            return answer;
        }
        let stage = if request.operation == "CREATE" { Stage::Entering } else { Stage::Changing };
        if stage == Stage::Changing && self.unchanged(request) {
            return Answer::allow();
        }
        let (meta, object) = match objects::pod_from_json(raw.get()) {
            Ok(read) => read,
            Err(error) => return unreadable(request, &error),
        };
        if self.are_verifiers(request, std::slice::from_ref(&object)) {
            return Answer::allow();
        }
        // Who resizes a pod or looks into it does not answer for what was wrong with it before; the audit tells of that.
        let entered = matches!(request.sub_resource.as_ref(), "resize" | "ephemeralcontainers");
        let before = request.old_object.filter(|_| entered);
        let before = before.and_then(|raw| objects::pod_from_json(raw.get()).ok()).map(|(_, object)| object);
        let both = std::iter::once(&object).chain(&before);
        let signatures = self.look_up(&request.namespace, both, deadline).await;
        self.until_governed(request, deadline).await;
        let former =
            request.old_object.and_then(|raw| labels_of(raw).ok()).filter(|_| stage == Stage::Changing);
        let judge = |object: &PodObject| {
            let of = (std::slice::from_ref(object), former.as_ref());
            self.judge_pods(request, "Pod", &meta, of, &signatures, stage)
        };
        let mut judged = judge(&object);
        if let Some(before) = before.filter(|_| !judged.decision.allowed()) {
            let known = judge(&before).decision;
            judged.decision.forgive(&known);
        }
        self.conclude(request, &meta, judged)
    }

    pub(super) async fn carrier(&self, request: &Request<'_>, deadline: Instant) -> Answer {
        let (Some(raw), Some(carrier)) =
            (request.object, objects::carrier(&request.resource.group, &request.kind.kind))
        else {
            return Answer::allow();
        };
        if let Some(answer) = oversized(request) {
            return answer;
        }
        if request.operation == "UPDATE" && request.old_object.is_some_and(|old| same_spec(old, raw)) {
            return Answer::allow();
        }
        let value: serde_json::Value = match serde_json::from_str(raw.get()) {
            Ok(value) => value,
            Err(error) => return unreadable(request, &error),
        };
        let templates = match objects::templates(carrier, &value) {
            Ok(templates) => templates,
            Err(error) => {
                return Answer::deny(format!("{} {:?} cannot be read: {error}", carrier.kind, request.name));
            }
        };
        let serving = Serving::read(carrier, &value);
        // Replicas, pauses and histories may change on what was admitted earlier; the pods are judged in any case.
        if let Some(old) = request.old_object.filter(|_| request.operation == "UPDATE") {
            let before: Option<serde_json::Value> = serde_json::from_str(old.get()).ok();
            let same_served =
                before.as_ref().is_some_and(|before| Serving::read(carrier, before).same(&serving));
            let before = before.and_then(|before| objects::templates(carrier, &before).ok());
            if same_served && before.is_some_and(|before| same_templates(&before, &templates)) {
                return Answer::allow();
            }
        }
        if self.are_verifiers(request, &templates) {
            return Answer::allow();
        }
        let pods = templates.iter().chain(serving.pods());
        let signatures = self.look_up(&request.namespace, pods, deadline).await;
        self.until_governed(request, deadline).await;
        let meta = objects::meta_of(&value);
        let mut judged =
            self.judge_pods(request, carrier.kind, &meta, (&templates, None), &signatures, Stage::Carried);
        if !serving.is_empty() {
            let world = self.world();
            let namespace = world.namespace(&request.namespace);
            let asked = (carrier.kind, request.name.as_ref());
            judged.merge(decide_served(&world, namespace, (self.clock)(), asked, &serving, &signatures));
        }
        self.conclude(request, &meta, judged)
    }

    /// Whether these are pods of our own Jobs, which are nobody's workload.
    fn are_verifiers(&self, request: &Request<'_>, pods: &[PodObject]) -> bool {
        let world = self.world();
        !pods.is_empty() && pods.iter().all(|pod| is_verifier(&world, &request.namespace, &pod.spec))
    }

    /// A request for a governed namespace can overtake the watch that tells of its labels.
    async fn until_governed(&self, request: &Request<'_>, deadline: Instant) {
        self.arrivals.until(deadline, || self.world().namespace(&request.namespace).governed()).await;
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
        // What a registry did not say in time has to be said in time.
        let deadline = deadline.checked_sub(TO_JUDGE).unwrap_or(deadline);
        self.signatures.signatures(namespace, wanted, deadline).await
    }

    fn judge_pods(
        &self,
        request: &Request<'_>,
        kind: &str,
        meta: &Meta,
        (pods, former): (&[PodObject], Option<&Labels>),
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
            let asked = Asked {
                object,
                kind,
                name: if request.name.is_empty() { &meta.generate_name } else { &request.name },
                stage,
                former,
                signatures,
            };
            let (of_pod, declared) = decide_pod(&world, namespace, &settings, now, &asked);
            decision.merge(of_pod);
            workload = workload.or_else(|| declared.map(str::to_owned));
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
        if !same_spec(new, old) {
            return false;
        }
        let (Ok(new), Ok(old)) = (labels_of(new), labels_of(old)) else { return false };
        if new == old {
            return true;
        }
        let world = self.world();
        let namespace = world.namespace(&request.namespace);
        let name = |labels: &Labels| match world::matched(namespace, labels) {
            Matched::One(workload) => workload.metadata.name.clone(),
            Matched::Many(_) | Matched::None => None,
        };
        name(&new).is_some() && name(&new) == name(&old)
    }
}

/// A pod that is to be decided on.
pub(super) struct Asked<'a> {
    pub(super) object: &'a PodObject,
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
    pub(super) stage: Stage,
    /// The labels before an update.
    pub(super) former: Option<&'a Labels>,
    pub(super) signatures: &'a BTreeMap<String, Signature>,
}

/// Decides on one pod, and names the declaration that it meets.
pub(super) fn decide_pod<'a>(
    world: &'a World,
    namespace: &'a Namespace,
    settings: &'a Settings,
    now: Timestamp,
    asked: &Asked<'a>,
) -> (Decision, Option<&'a str>) {
    let mut pod = world.pod_facts(namespace, asked.object, asked.stage);
    pod.kind = asked.kind;
    pod.name = asked.name;
    pod.signatures = asked.signatures.iter().map(|(image, known)| (image.as_str(), known.clone())).collect();
    pod.former_labels = asked.former;
    let declared = match &pod.matched {
        Matched::One(workload) => Some(*workload),
        _ => None,
    };
    let facts = world.facts(now, Subject::Pod(pod), namespace, settings);
    let enforcement = Enforcement::of(namespace, &world.cluster, declared.map(AsRef::as_ref), now);
    let findings = evaluate_where(&facts, |control| enforcement.mode(control) > Mode::Audit);
    let name = declared.and_then(|w| w.metadata.name.as_deref());
    (decide(findings, &enforcement, name, asked.stage == Stage::Carried), name)
}

/// Decides on what a serving object names to be loaded.
fn decide_served(
    world: &World,
    namespace: &Namespace,
    now: Timestamp,
    (kind, name): (&str, &str),
    serving: &Serving,
    signatures: &BTreeMap<String, Signature>,
) -> Judged {
    if !namespace.governed() {
        return Judged { decision: Decision::default(), workload: None };
    }
    let settings = world.settings(namespace);
    let served = world.served_facts(namespace, &serving.labels, &serving.models);
    let workload = served.workload;
    let facts = world.facts(now, Subject::Served(served), namespace, &settings);
    let enforcement = Enforcement::of(namespace, &world.cluster, workload.map(AsRef::as_ref), now);
    let workload = workload.and_then(|workload| workload.metadata.name.as_deref());
    let mut decision = decide(evaluate(&facts), &enforcement, workload, true);
    for part in &serving.parts {
        let asked = Asked { object: &part.pod, kind, name, stage: Stage::Carried, former: None, signatures };
        decision.merge(part.told(decide_pod(world, namespace, &settings, now, &asked).0));
    }
    Judged { decision, workload: workload.map(str::to_owned) }
}

/// The object a user would look at: the controller that a pod claims, or the carrier itself once it exists.
fn owner_of(request: &Request<'_>, meta: &Meta) -> Option<Owner> {
    if request.kind.kind == "Pod" || meta.uid.is_empty() {
        return meta.owners.iter().find(|o| o.controller == Some(true)).cloned();
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

struct Judged {
    decision: Decision,
    workload: Option<String>,
}

impl Judged {
    fn merge(&mut self, other: Self) {
        self.decision.merge(other.decision);
        self.workload = self.workload.take().or(other.workload);
    }
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

fn labels_of(raw: &RawValue) -> Result<Labels, serde_json::Error> {
    serde_json::from_str::<Skeleton<'_>>(raw.get()).map(|skeleton| skeleton.metadata.labels)
}

/// Whether both objects have a `spec` of the same text: then it says the same. What cannot be read is not the same.
pub(super) fn same_spec(one: &RawValue, other: &RawValue) -> bool {
    spec_of(one).is_some_and(|spec| spec_of(other) == Some(spec))
}

fn spec_of(raw: &RawValue) -> Option<&str> {
    let skeleton: Skeleton<'_> = serde_json::from_str(raw.get()).ok()?;
    skeleton.spec.map(RawValue::get)
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
pub(super) fn binding(request: &Request<'_>) -> Answer {
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
