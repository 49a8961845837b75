//! The continuous audit as a function: what is known of a namespace in, the states of its workloads out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::pods::{Pods, RunningPod};
use super::wake::Waiting;
use crate::api::common::{OverallVerdict, State};
use crate::api::outcome::Counters;
use crate::api::workload::Row;
use crate::gather::objects::PodObject;
use crate::gather::signatures::{ImageQuestion, questions};
use crate::gather::world::World;
use crate::policy::facts::{
    BindingFacts, EvidenceFacts, ExemptionFacts, Facts, Matched, Namespace, Signature, Stage, Subject,
};
use crate::policy::{ALL, Control, Decision, Enforcement, Finding, Scope, Verdict, decide, evaluate};
use crate::render::words;

/// What is known of the signatures of images, by reference.
pub type Signatures = BTreeMap<String, Signature>;

/// The states of every control for one subject or a group of them.
#[derive(Clone, Debug, Default)]
pub struct States {
    /// State by control id; controls that do not concern the subject are absent.
    pub by_control: BTreeMap<&'static str, State>,
    /// The gravest finding of each control that is not kept.
    pub worst: BTreeMap<&'static str, (State, Finding)>,
}

impl States {
    /// Every control that has a rule passes, until a finding says otherwise; those without are unknown.
    fn judged() -> Self {
        let by_control =
            ALL.iter().map(|c| (c.id, if c.implemented() { State::Pass } else { State::Unknown })).collect();
        Self { by_control, worst: BTreeMap::new() }
    }

    /// Takes in a decision on something that is no workload.
    pub fn note_all(&mut self, decision: Decision) {
        self.take(decision);
    }

    fn take(&mut self, decision: Decision) {
        for finding in decision.refused {
            let state = if finding.verdict == Verdict::Unknown { State::Unknown } else { State::Fail };
            self.note(state, finding);
        }
        for finding in decision.warned.into_iter().chain(decision.audited) {
            let state = if finding.verdict == Verdict::Unknown { State::Unknown } else { State::Warn };
            self.note(state, finding);
        }
        for (finding, _) in decision.exempted {
            self.note(State::Exempt, finding);
        }
    }

    fn note(&mut self, state: State, finding: Finding) {
        let id = finding.control.id;
        let worse = self.worst.get(id).is_none_or(|(known, _)| gravity(state) > gravity(*known));
        if worse {
            self.by_control.insert(id, state);
            self.worst.insert(id, (state, finding));
        }
    }

    /// Takes in the states of another subject: of each control the graver one counts.
    pub fn merge(&mut self, other: &Self) {
        for (id, state) in &other.by_control {
            let known = self.by_control.get(id).copied();
            if known.is_none_or(|known| gravity(*state) > gravity(known)) {
                self.by_control.insert(id, *state);
                if let Some(worst) = other.worst.get(id) {
                    self.worst.insert(id, worst.clone());
                }
            }
        }
    }

    /// How many controls are in each state.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut out = count(self.by_control.values().copied());
        let absent = ALL.len().saturating_sub(self.by_control.len());
        out.not_applicable += u32::try_from(absent).unwrap_or(u32::MAX);
        out
    }

    /// The verdict over the controls that have a rule: a control without one is unknown in its row, and is no reason to
    /// call a workload undecided that keeps all that can be judged.
    #[must_use]
    pub fn verdict(&self) -> OverallVerdict {
        let judged = |id: &str| ALL.iter().any(|c| c.id == id && c.implemented());
        let states: Vec<State> =
            self.by_control.iter().filter(|(id, _)| judged(id)).map(|(_, state)| *state).collect();
        let has = |state| states.contains(&state);
        if has(State::Fail) {
            OverallVerdict::Fail
        } else if has(State::Unknown) {
            OverallVerdict::Unknown
        } else if has(State::Warn) {
            OverallVerdict::Warn
        } else {
            OverallVerdict::Pass
        }
    }

    /// The control that matters most among those not kept.
    #[must_use]
    pub fn top_reason(&self) -> Option<String> {
        let mut worst: Vec<_> = self.worst.iter().filter(|(_, (state, _))| *state != State::Exempt).collect();
        worst.sort_by_key(|(id, (state, _))| (std::cmp::Reverse(gravity(*state)), position(id)));
        worst.first().map(|(id, _)| (**id).to_owned())
    }

    /// A row for each control that is not kept, the gravest first.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let mut worst: Vec<_> = self.worst.iter().collect();
        worst.sort_by_key(|(id, (state, _))| (std::cmp::Reverse(gravity(*state)), position(id)));
        worst
            .into_iter()
            .map(|(id, (state, finding))| Row {
                control: (*id).to_owned(),
                state: *state,
                provisions: finding.provisions.iter().take(4).map(|p| (*p).to_owned()).collect(),
                message: Some(words::cut(words::sentence(finding), 180)),
                object: None,
            })
            .collect()
    }
}

/// Counts states.
pub fn count(states: impl Iterator<Item = State>) -> Counters {
    let mut out = Counters::default();
    for state in states {
        match state {
            State::Pass => out.pass += 1,
            State::Fail => out.fail += 1,
            State::Warn => out.warn += 1,
            State::Exempt => out.exempt += 1,
            State::Unknown => out.unknown += 1,
            State::NotApplicable => out.not_applicable += 1,
        }
    }
    out
}

/// How grave a state is; a higher one wins when several meet.
#[must_use]
pub fn gravity(state: State) -> u8 {
    match state {
        State::NotApplicable => 0,
        State::Pass => 1,
        State::Exempt => 2,
        State::Warn => 3,
        State::Unknown => 4,
        State::Fail => 5,
    }
}

fn position(id: &str) -> usize {
    ALL.iter().position(|c| c.id == id).unwrap_or(usize::MAX)
}

/// The control of an id.
#[must_use]
pub fn control(id: &str) -> Option<&'static Control> {
    ALL.iter().copied().find(|c| c.id == id)
}

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
}

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
    let judge = |subject: Subject<'_>, workload: Option<&crate::api::AIWorkload>| -> Decision {
        let facts: Facts<'_> = world.facts(now, subject, namespace, &settings);
        let enforcement = Enforcement::of(namespace, &world.cluster, workload, now);
        let name = workload.and_then(|w| w.metadata.name.as_deref());
        decide(evaluate(&facts), &enforcement, name, false)
    };

    let mut out = AuditedNamespace::default();
    for (workload_name, workload) in &namespace.workloads {
        let mut states = States::judged();
        states.take(judge(Subject::Workload(workload), Some(workload)));
        let audited = AuditedWorkload { states, pods: 0, never_verified: 0, blocked: false };
        out.workloads.insert(workload_name.clone(), audited);
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
        let decision = judge(Subject::Evidence(EvidenceFacts { evidence, user: None }), None);
        note_all(&mut own, &mut out.findings, decision, &format!("{name}/AIEvidence/{evidence_name}"));
    }
    for (exemption_name, exemption) in &namespace.exemptions {
        let facts = ExemptionFacts { exemption, former: None, user: None, may_approve: None };
        let decision = judge(Subject::Exemption(facts), None);
        note_all(&mut own, &mut out.findings, decision, &format!("{name}/AIExemption/{exemption_name}"));
    }

    for group in groups(pods, name) {
        let (pod_names, sample) = group;
        let mut facts = world.pod_facts(namespace, &sample.object, Stage::Running);
        facts.name = pod_names.first().map_or("", |n| n.0);
        facts.signatures = known_signatures(&sample.object, signatures);
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
            audited.pods += total;
            audited.never_verified += u32::try_from(old).unwrap_or(u32::MAX);
            audited.blocked |= !decision.allowed();
            audited.states.take(decision);
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
                    binding: grant.binding,
                    role: grant.role,
                    rules: grant.rules,
                    workloads: vec![declared],
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
    let mut by_object: BTreeMap<*const PodObject, Alike<'a>> = BTreeMap::new();
    for (name, pod) in pods.of(namespace) {
        by_object
            .entry(Arc::as_ptr(&pod.object))
            .or_insert_with(|| (Vec::new(), pod))
            .0
            .push((name.as_str(), pod));
    }
    let mut out: Vec<_> = by_object.into_values().collect();
    out.sort_by_key(|(names, _)| names.first().map(|n| n.0));
    out
}

fn note_all(
    own: &mut States,
    findings: &mut Vec<(String, State, Finding)>,
    decision: Decision,
    object: &str,
) {
    let mut add = |state: State, finding: Finding| {
        own.note(state, finding.clone());
        findings.push((object.to_owned(), state, finding));
    };
    for finding in decision.refused {
        let state = if finding.verdict == Verdict::Unknown { State::Unknown } else { State::Fail };
        add(state, finding);
    }
    for finding in decision.warned.into_iter().chain(decision.audited) {
        let unknown = finding.verdict == Verdict::Unknown && finding.scope == Scope::Subject;
        add(if unknown { State::Unknown } else { State::Warn }, finding);
    }
    for (finding, _) in decision.exempted {
        add(State::Exempt, finding);
    }
}

/// Every image that the pods and declarations of a namespace name.
#[must_use]
pub fn images_of(pods: &Pods, namespace: &Namespace) -> BTreeSet<ImageQuestion> {
    let mut out = BTreeSet::new();
    for (_, pod) in pods.of(&namespace.name) {
        out.extend(questions(&pod.object.spec));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gather::world::Object;
    use serde_json::{Value, json};

    fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_widened_role_fails_a_workload_without_pods() {
        let mut world = World::default();
        world.apply(Object::Namespace(read(json!({"metadata": {"name": "chat", "labels": {
            "portcullis.dev/environment": "production", "portcullis.dev/sensitivity": "internal"}}}))));
        world.apply(Object::Workload(read(json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload",
            "metadata": {"name": "chat", "namespace": "chat"},
            "spec": {"selector": {"matchLabels": {"app": "chat"}}, "type": "supporting",
                     "owners": {"accountable": {"user": "j"}}}}))));
        world.apply(Object::RoleBinding(read(json!({
            "metadata": {"name": "tools", "namespace": "chat"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tools"},
            "subjects": [{"kind": "ServiceAccount", "name": "chat", "namespace": "chat"}]}))));
        let role = |resource: &str| {
            Object::Role(read(json!({"metadata": {"name": "tools", "namespace": "chat"},
                "rules": [{"apiGroups": [""], "resources": [resource], "verbs": ["list"]}]})))
        };
        let state = |world: &World| {
            let (pods, known, waiting) = (Pods::default(), Signatures::new(), Waiting::new());
            let now = Timestamp::UNIX_EPOCH;
            let audited = audit_namespace(world, &pods, &known, "chat", now, &waiting, now);
            let states = &audited.workloads["chat"].states;
            let message = states.rows().into_iter().find(|row| row.control == "least-privilege-rbac");
            (
                states.by_control["least-privilege-rbac"],
                message.and_then(|row| row.message).unwrap_or_default(),
            )
        };
        assert_eq!(state(&world).0, State::Pass, "a role that does not exist grants nothing");
        let touched = world.apply(role("secrets"));
        assert!(touched.namespaces.contains("chat"));
        let (state, message) = state(&world);
        assert_eq!(state, State::Fail);
        assert!(message.contains("may list secrets"), "{message}");
    }
}
