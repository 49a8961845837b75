//! A small world for the tests of controls: one namespace, its objects written as JSON, and a fixed clock.

use std::cell::OnceCell;
use std::fmt::Write;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::control::{Check, Control, Finding, Report};
use super::facts::{
    Cluster, Facts, Labels, Matched, Namespace, NetworkPolicy, PodFacts, Requester, Settings, Stage, Subject,
};
use super::rights::Holder;
use super::selector;
use super::verified::bound;
use crate::api::common::{AssetStatus, Verification};

/// The namespace in which tests happen.
pub(crate) const NAMESPACE: &str = "chat-prod";
/// A digest.
pub(crate) const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// The world of a test.
pub(crate) struct Bench {
    pub(crate) namespace: Namespace,
    pub(crate) cluster: Cluster,
    pub(crate) settings: Settings,
    pub(crate) stage: Stage,
    pub(crate) holders: Vec<Holder<'static>>,
    pub(crate) requester: Option<Requester<'static>>,
}

/// Reads a value that a test wrote.
#[track_caller]
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> T {
    let text = value.to_string();
    match serde_json::from_value(value) {
        Ok(read) => read,
        Err(error) => panic!("{error} in {text}"),
    }
}

/// `patch` laid over `base`, as a JSON merge patch.
pub(crate) fn merged(mut base: Value, patch: &Value) -> Value {
    json_patch::merge(&mut base, patch);
    base
}

impl Bench {
    /// A namespace of this environment and sensitivity.
    pub(crate) fn new(environment: &str, sensitivity: &str) -> Self {
        Self {
            namespace: namespace(NAMESPACE, environment, sensitivity),
            cluster: Cluster::default(),
            settings: Settings::default(),
            stage: Stage::Entering,
            holders: Vec::new(),
            requester: None,
        }
    }

    /// Adds the AIWorkload `chat`, which selects `app: chat`: a plain inference workload with `patch` laid over its
    /// specification.
    #[track_caller]
    pub(crate) fn workload(mut self, patch: &Value) -> Self {
        let spec = merged(
            json!({"selector": {"matchLabels": {"app": "chat"}}, "type": "inference",
                   "owners": {"accountable": {"user": "j.doe"}}}),
            patch,
        );
        let object = json!({"metadata": {"name": "chat", "namespace": NAMESPACE}, "spec": spec});
        self.namespace.workloads.insert("chat".to_owned(), Arc::new(read(object)));
        self
    }

    /// Adds an AIModel.
    #[track_caller]
    pub(crate) fn model(mut self, name: &str, spec: &Value) -> Self {
        let object = json!({"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec});
        self.namespace.models.insert(name.to_owned(), Arc::new(read(object)));
        self
    }

    /// What the operator found out about the model `name`, of what is there now.
    #[track_caller]
    pub(crate) fn found_of_model(&mut self, name: &str, verification: Value) {
        let model = Arc::make_mut(self.namespace.models.get_mut(name).unwrap());
        let mut known: Verification = read(verification);
        known.basis = bound(&*model, None, &self.cluster).basis;
        model.status = Some(AssetStatus { verification: Some(known), ..AssetStatus::default() });
    }

    /// The same about the dataset `name`.
    #[track_caller]
    pub(crate) fn found_of_dataset(&mut self, name: &str, verification: Value) {
        let dataset = Arc::make_mut(self.namespace.datasets.get_mut(name).unwrap());
        let mut known: Verification = read(verification);
        known.basis = bound(&*dataset, None, &self.cluster).basis;
        dataset.status = Some(AssetStatus { verification: Some(known), ..AssetStatus::default() });
    }

    /// Adds an AIPrompt.
    #[track_caller]
    pub(crate) fn prompt(mut self, name: &str, spec: &Value) -> Self {
        let object = json!({"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec});
        self.namespace.prompts.insert(name.to_owned(), Arc::new(read(object)));
        self
    }

    /// Adds an AIDataset.
    #[track_caller]
    pub(crate) fn dataset(mut self, name: &str, spec: &Value) -> Self {
        let object = json!({"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec});
        self.namespace.datasets.insert(name.to_owned(), Arc::new(read(object)));
        self
    }

    /// Adds an AIEvidence.
    #[track_caller]
    pub(crate) fn evidence(mut self, name: &str, spec: &Value) -> Self {
        let object = json!({"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec});
        self.namespace.evidence.insert(name.to_owned(), Arc::new(read(object)));
        self
    }

    /// Adds an AIGovernance.
    #[track_caller]
    pub(crate) fn governance(mut self, name: &str, spec: &Value) -> Self {
        let object = json!({"metadata": {"name": name}, "spec": spec});
        self.cluster.governances.insert(name.to_owned(), Arc::new(read(object)));
        self
    }

    /// Adds another namespace.
    pub(crate) fn beside(mut self, other: Namespace) -> Self {
        self.cluster.namespaces.insert(other.name.clone(), other);
        self
    }

    /// Adds a network policy that somebody other than the operator wrote.
    #[track_caller]
    pub(crate) fn policy(mut self, name: &str, generated: bool, spec: Value) -> Self {
        let policy = NetworkPolicy { generated, spec: Arc::new(read(spec)) };
        self.namespace.network_policies.insert(name.to_owned(), policy);
        self
    }

    /// What `ask` makes of the facts about a subject.
    pub(crate) fn with_facts<'s, T>(&'s self, subject: Subject<'s>, ask: impl FnOnce(&Facts<'s>) -> T) -> T {
        ask(&Facts {
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            subject,
            namespace: &self.namespace,
            cluster: &self.cluster,
            settings: &self.settings,
            composition: OnceCell::new(),
            loaded: OnceCell::new(),
            holders: self.holders.clone(),
            requester: self.requester,
            lasting_pods: None,
            rights: None,
        })
    }

    /// What `control` finds of a subject.
    pub(crate) fn judge<'s>(&'s self, control: &'static Control, subject: Subject<'s>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let Check::Rule(rule) = control.check else { panic!("{} has no rule", control.id) };
        self.with_facts(subject, |facts| rule(facts, &mut Report::new(control, &mut findings)));
        findings
    }

    /// What `control` finds of the AIWorkload `chat` by itself.
    pub(crate) fn of_workload(&self, control: &'static Control) -> Vec<Finding> {
        self.judge(control, Subject::Workload(&self.namespace.workloads["chat"]))
    }

    /// What `control` finds of a pod labelled `app: chat` with this specification.
    #[track_caller]
    pub(crate) fn of_pod(&self, control: &'static Control, spec: &Value) -> Vec<Finding> {
        self.of_annotated_pod(control, spec, &json!({}))
    }

    /// The same with annotations.
    #[track_caller]
    pub(crate) fn of_annotated_pod(
        &self,
        control: &'static Control,
        spec: &Value,
        annotations: &Value,
    ) -> Vec<Finding> {
        let spec = read(spec.clone());
        let labels: Labels = read(json!({"app": "chat"}));
        let annotations: Labels = read(annotations.clone());
        let mut pod = PodFacts::new(&spec, &labels, &annotations);
        pod.stage = self.stage;
        if let Some(workload) = self
            .namespace
            .workloads
            .values()
            .find(|w| selector::contains(&w.spec.selector.match_labels, &labels))
        {
            pod.matched = Matched::One(workload);
        }
        self.judge(control, Subject::Pod(pod))
    }
}

/// A governed namespace.
pub(crate) fn namespace(name: &str, environment: &str, sensitivity: &str) -> Namespace {
    Namespace {
        name: name.to_owned(),
        labels: read(
            json!({"portcullis.dev/environment": environment, "portcullis.dev/sensitivity": sensitivity,
                            "kubernetes.io/metadata.name": name}),
        ),
        ..Namespace::default()
    }
}

/// Findings as lines: where, what, and the marks that matter.
pub(crate) fn lines(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|f| {
            let mut line = format!("{}: {}", f.place, f.detail);
            if f.verdict == super::control::Verdict::Unknown {
                line.push_str(" [unknown]");
            }
            if f.may_arrive {
                line.push_str(" [may arrive]");
            }
            if f.scope == super::control::Scope::Namespace {
                line.push_str(" [namespace]");
            }
            line
        })
        .collect()
}

/// Asserts that the lines of `findings` are exactly these.
#[track_caller]
pub(crate) fn assert_lines(findings: &[Finding], expected: &[&str]) {
    let found = lines(findings);
    let mut text = String::new();
    for line in &found {
        let _ = writeln!(text, "  {line}");
    }
    assert_eq!(found, expected, "found:\n{text}");
}

/// Asserts that each fix that is a change, applied to the pod, leaves `control` without a finding.
#[track_caller]
pub(crate) fn assert_fixed(bench: &Bench, control: &'static Control, spec: &Value, annotations: &Value) {
    let mut object = json!({"metadata": {"annotations": annotations}, "spec": spec});
    for round in 0.. {
        let findings = bench.of_annotated_pod(control, &object["spec"], &object["metadata"]["annotations"]);
        let Some(finding) = findings.first() else { return };
        let fix = finding.fix.as_ref().unwrap_or_else(|| panic!("no fix: {}", lines(&findings)[0]));
        assert!(fix.apply(&mut object), "{fix} does not apply");
        assert!(round < 32, "the fixes do not end: {}", lines(&findings).join("\n"));
    }
}
