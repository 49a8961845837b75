//! The continuous audit as a function: what is known of a namespace in, the states of its workloads out.

pub mod states;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use self::states::{States, sorted};
use super::pods::{PodText, Pods, RunningPod};
use super::wake::Waiting;
use crate::api::common::State;
use crate::gather::objects::PodObject;
use crate::gather::signatures::{ImageQuestion, questions};
use crate::gather::world::{World, matched};
use crate::policy::facts::{
    BindingFacts, EvidenceFacts, ExemptionFacts, Facts, Matched, Namespace, Signature, Stage, Subject,
};
use crate::policy::{Decision, Enforcement, Finding, decide, evaluate, texts};

/// What is known of the signatures of images, by reference.
pub type Signatures = BTreeMap<String, Signature>;

/// One audited workload.
#[derive(Clone, Debug)]
pub struct AuditedWorkload {
    /// The states of its declaration and its running pods.
    pub states: States,
    /// How many pods run.
    pub pods: u32,
    /// How many of them are older than the governing of their namespace.
    pub never_verified: u32,
    /// Whether a new pod would be refused as far as the running ones tell.
    pub blocked: bool,
    /// Since when its verdict is the one that its last pods left behind.
    pub held: Option<Timestamp>,
    /// The images of its pods.
    pub images: BTreeSet<String>,
}

impl AuditedWorkload {
    /// One without pods.
    #[must_use]
    pub fn of(states: States) -> Self {
        Self { states, pods: 0, never_verified: 0, blocked: false, held: None, images: BTreeSet::new() }
    }

    /// Takes in what was decided on `count` pods that are alike.
    fn takes(&mut self, count: u32, object: &PodObject, decision: Decision) {
        self.pods += count;
        self.blocked |= !decision.allowed();
        self.states.take(decision);
        let containers = crate::policy::containers::containers(&object.spec);
        let images = crate::policy::containers::images(&containers, &object.spec);
        self.images.extend(images.map(|image| image.reference.to_owned()));
    }

    /// Whether its pods run and keep all that is enforced: a composition to go back to. That there is none yet, which is
    /// for recovery to say, must not keep the first one from counting.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let broken = |(id, state): (&&str, &State)| *state == State::Fail && *id != "known-good-recovery";
        self.pods > 0 && self.held.is_none() && !self.states.by_control.iter().any(broken)
    }
}

/// How long the verdict that the last pods left behind is kept: until their successors were refused, that was collected,
/// and the templates were looked at.
const HOLD: SignedDuration = SignedDuration::from_secs(12);

/// One audited namespace.
#[derive(Clone, Debug, Default)]
pub struct AuditedNamespace {
    /// Its workloads by name.
    pub workloads: BTreeMap<String, AuditedWorkload>,
    /// The namespace itself, its undeclared pods, its models and exemptions.
    pub own: Option<States>,
    /// Findings that are not a workload's, as object and finding.
    pub findings: Vec<(String, State, Finding)>,
    /// Pods that belong to no workload, or to several.
    pub undeclared_pods: u32,
}

impl AuditedNamespace {
    /// Keeps, for a while, the verdict on workloads whose last pods have just gone and would be refused if they came
    /// again: what has no pods breaks nothing, and the verdict would pass only to fail a moment later.
    ///
    /// `former` holds the workloads that were blocked at the last look. Returns whether any verdict is kept.
    pub fn hold(&mut self, former: &BTreeMap<String, AuditedWorkload>, now: Timestamp) -> bool {
        let mut any = false;
        for (name, workload) in &mut self.workloads {
            let Some(former) = former.get(name).filter(|_| workload.pods == 0 && !workload.blocked) else {
                continue;
            };
            let since = former.held.unwrap_or(now);
            if now.duration_since(since) < HOLD {
                workload.states.merge(&former.states);
                workload.blocked = true;
                workload.held = Some(since);
                any = true;
            }
        }
        any
    }

    /// The workloads whose running pods would be refused if they were new, with what their verdict comes from: all that
    /// the audit found of them would be the largest thing in the memory of the controller.
    #[must_use]
    pub fn into_blocked(self) -> BTreeMap<String, AuditedWorkload> {
        let blocked =
            self.workloads.into_iter().filter(|(_, w)| w.blocked && (w.pods > 0 || w.held.is_some()));
        blocked
            .map(|(name, w)| {
                (name, AuditedWorkload { states: w.states.gravest(), images: BTreeSet::new(), ..w })
            })
            .collect()
    }
}

/// Audits one governed namespace.
///
/// In: the world, the running pods, what is known of signatures, since when the namespace is governed, the decisions on
/// templates whose pods wait outside, and the clock.
/// Out: states; the same facts give the same states as the webhook and the command line.
#[must_use]
pub fn audit_namespace(
    world: &World,
    pods: &Pods,
    signatures: &Signatures,
    name: &str,
    governed_since: Timestamp,
    waiting: &Waiting,
    now: Timestamp,
) -> AuditedNamespace {
    let namespace = world.namespace(name);
    let settings = world.settings(namespace);
    let alike = groups(pods, name);
    let lasting = lasting(&alike, namespace);
    let judge = |subject: Subject<'_>, workload: Option<&crate::api::AIWorkload>| -> Decision {
        let counted = matches!(subject, Subject::Workload(_));
        let mut facts: Facts<'_> = world.facts(now, subject, namespace, &settings);
        facts.lasting_pods = workload
            .filter(|_| counted)
            .and_then(|workload| lasting.get(workload.metadata.name.as_deref()?).copied());
        let enforcement = Enforcement::of(namespace, &world.cluster, workload, now);
        let name = workload.and_then(|w| w.metadata.name.as_deref());
        decide(evaluate(&facts), &enforcement, name, false)
    };

    let mut out = AuditedNamespace::default();
    for (workload_name, workload) in &namespace.workloads {
        let mut states = States::judged();
        states.take(judge(Subject::Workload(workload), Some(workload)));
        out.workloads.insert(workload_name.clone(), AuditedWorkload::of(states));
    }

    // The namespace's own controls: those on which something of its own was found.
    let mut own = States::default();
    let decision = judge(Subject::Namespace, None);
    note_all(&mut own, &mut out.findings, decision, &format!("Namespace/{name}"));
    for (model_name, model) in &namespace.models {
        let decision = judge(Subject::Model(model), None);
        note_all(&mut own, &mut out.findings, decision, &format!("{name}/AIModel/{model_name}"));
    }
    for (dataset_name, dataset) in &namespace.datasets {
        let decision = judge(Subject::Dataset(dataset), None);
        note_all(&mut own, &mut out.findings, decision, &format!("{name}/AIDataset/{dataset_name}"));
    }
    for (prompt_name, prompt) in &namespace.prompts {
        let decision = judge(Subject::Prompt(prompt), None);
        note_all(&mut own, &mut out.findings, decision, &format!("{name}/AIPrompt/{prompt_name}"));
    }
    for (evidence_name, evidence) in &namespace.evidence {
        let decision = judge(Subject::Evidence(EvidenceFacts::recorded(evidence)), None);
        note_all(&mut own, &mut out.findings, decision, &format!("{name}/AIEvidence/{evidence_name}"));
    }
    for (exemption_name, exemption) in &namespace.exemptions {
        let facts = ExemptionFacts { exemption, former: None, user: None, may_approve: None };
        let decision = judge(Subject::Exemption(facts), None);
        note_all(&mut own, &mut out.findings, decision, &format!("{name}/AIExemption/{exemption_name}"));
    }

    for (pod_names, sample) in &alike {
        let object = sample.made_of.read();
        let mut facts = world.pod_facts(namespace, &object, Stage::Running);
        facts.name = pod_names.first().map_or("", |n| n.0);
        facts.signatures = known_signatures(&object, signatures);
        let matched = match &facts.matched {
            Matched::One(workload) => Some(Arc::clone(workload)),
            _ => None,
        };
        let contested = match &facts.matched {
            Matched::Many(names) => names.clone(),
            _ => Vec::new(),
        };
        let total = u32::try_from(pod_names.len()).unwrap_or(u32::MAX);
        let old = pod_names.iter().filter(|(_, pod)| pod.created < governed_since).count();
        let decision = judge(Subject::Pod(facts), matched.as_deref());
        if let Some(audited) =
            matched.as_ref().and_then(|w| w.metadata.name.as_ref()).and_then(|n| out.workloads.get_mut(n))
        {
            audited.never_verified += u32::try_from(old).unwrap_or(u32::MAX);
            audited.takes(total, &object, decision);
        } else {
            out.undeclared_pods += total;
            // Each of those that claim the pod answers for it: a second declaration must not hide what runs.
            for name in &contested {
                if let Some(audited) = out.workloads.get_mut(name) {
                    audited.blocked = true;
                    audited.states.take(decision.clone());
                }
            }
            let object = format!("{name}/Pod/{}", pod_names.first().map_or("", |n| n.0));
            note_all(&mut own, &mut out.findings, decision, &object);
        }
    }
    for (workload, audited) in &mut out.workloads {
        // Rights reach an identity whether or not a pod runs under it at the moment.
        if let Some(declared) = namespace.workloads.get(workload).filter(|_| audited.pods == 0) {
            for grant in world.rbac.grants(name, workload) {
                let facts = BindingFacts {
                    via: grant.via,
                    binding: grant.binding,
                    role: grant.role,
                    rules: grant.rules,
                    workloads: vec![declared],
                    written: false,
                };
                audited.states.take(judge(Subject::Binding(facts), Some(declared)));
            }
        }
        for decision in waiting.get(&(name.to_owned(), workload.clone())).into_iter().flatten() {
            audited.blocked = true;
            audited.states.take(decision.clone());
        }
    }
    out.own = Some(own);
    out
}

/// What is known of the images of one pod.
fn known_signatures<'a>(object: &'a PodObject, known: &Signatures) -> BTreeMap<&'a str, Signature> {
    let containers = crate::policy::containers::containers(&object.spec);
    crate::policy::containers::images(&containers, &object.spec)
        .filter_map(|image| Some((image.reference, known.get(image.reference)?.clone())))
        .collect()
}

type Alike<'a> = (Vec<(&'a str, &'a RunningPod)>, &'a RunningPod);

/// The pods of a namespace, those that are alike together.
fn groups<'a>(pods: &'a Pods, namespace: &str) -> Vec<Alike<'a>> {
    let mut by_object: BTreeMap<*const PodText, Alike<'a>> = BTreeMap::new();
    for (name, pod) in pods.of(namespace) {
        by_object
            .entry(Arc::as_ptr(&pod.made_of))
            .or_insert_with(|| (Vec::new(), pod))
            .0
            .push((name.as_str(), pod));
    }
    let mut out: Vec<_> = by_object.into_values().collect();
    out.sort_by_key(|(names, _)| names.first().map(|n| n.0));
    out
}

/// How many pods each workload has that are started again whenever they end; those of Jobs are not.
fn lasting(alike: &[Alike<'_>], namespace: &Namespace) -> BTreeMap<String, u32> {
    let mut out = BTreeMap::new();
    for (names, sample) in alike {
        if let Matched::One(workload) = matched(namespace, &sample.made_of.labels)
            && !sample.made_of.ends
        {
            let name = workload.metadata.name.clone().unwrap_or_default();
            *out.entry(name).or_default() += u32::try_from(names.len()).unwrap_or(u32::MAX);
        }
    }
    out
}

/// Takes in what was decided on an object that is no workload's.
fn note_all(
    own: &mut States,
    findings: &mut Vec<(String, State, Finding)>,
    decision: Decision,
    object: &str,
) {
    for (state, finding) in sorted(decision) {
        own.note(state, finding.clone());
        findings.push((object.to_owned(), state, finding));
    }
}

/// What the running pods of a namespace refer to.
#[derive(Debug, Default)]
pub struct Referred {
    /// Their images.
    pub images: BTreeSet<ImageQuestion>,
    /// `ConfigMap`s that they read.
    pub maps: BTreeSet<String>,
}

/// What the running pods of the namespace `name` refer to.
#[must_use]
pub fn referred(pods: &Pods, name: &str) -> Referred {
    let mut out = Referred::default();
    for (_, sample) in groups(pods, name) {
        let spec = sample.made_of.read().spec;
        out.images.extend(questions(&spec));
        let maps = texts::referred(&crate::policy::containers::containers(&spec), &spec);
        out.maps.extend(maps.into_iter().map(|(_, map)| map.to_owned()));
    }
    out
}

#[cfg(test)]
mod tests;
