//! From manifests to verdicts: the webhook's evaluate and decide, on facts that come from files.

use jiff::Timestamp;

use super::signatures::Signatures;
use crate::gather::files::{Content, Manifests, Subject};
use crate::gather::objects::PodObject;
use crate::gather::rbac::{AnyBinding, Reach, reaches};
use crate::gather::trust;
use crate::gather::world::matched;
use crate::policy::containers::images;
use crate::policy::facts::{
    self, BindingFacts, BindingRef, EvidenceFacts, ExemptionFacts, Matched, Namespace, Stage,
};
use crate::policy::{Decision, Enforcement, Verdict, decide, evaluate, selector};
use crate::render::words::{self, Title};

/// How one object came out, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Nothing to say.
    Pass,
    /// Admitted with warnings.
    Warn,
    /// It would be refused because something could not be found out.
    Unknown,
    /// It would be refused.
    Refused,
}

/// The verdict on one object.
#[derive(Debug)]
pub struct Judgement<'m> {
    /// The object.
    pub subject: &'m Subject,
    /// As the first line of a refusal names it.
    pub title: Title,
    /// How it came out.
    pub outcome: Outcome,
    /// The text of the refusal, word for word as the webhook answers.
    pub denial: Option<String>,
    /// The findings, sorted by what happens on them.
    pub decision: Decision,
    /// What is worth knowing although no control asks for it.
    pub notes: Vec<String>,
}

/// Judges everything in `manifests`. Objects of namespaces that are not governed and hold no AI are left out.
///
/// The files are the world: nothing arrives later, so that a carrier is refused for what its pods would be refused for.
#[must_use]
pub fn judge<'m>(manifests: &'m Manifests, signatures: &Signatures, now: Timestamp) -> Vec<Judgement<'m>> {
    let judge = Judge { manifests, signatures, now };
    manifests.subjects.iter().filter_map(|subject| judge.subject(subject)).collect()
}

struct Judge<'m, 's> {
    manifests: &'m Manifests,
    signatures: &'s Signatures,
    now: Timestamp,
}

impl<'m> Judge<'m, '_> {
    #[expect(clippy::too_many_lines, reason = "one list, read from top to bottom")]
    fn subject(&self, subject: &'m Subject) -> Option<Judgement<'m>> {
        let world = &self.manifests.world;
        let name = match &subject.content {
            Content::Namespace => Some(subject.name.as_str()),
            _ => subject.namespace.as_deref(),
        };
        let namespace = world.namespace(name.unwrap_or_default());
        let ai = !namespace.workloads.is_empty() || !namespace.models.is_empty();
        if let Some(name) = name.filter(|name| !self.manifests.states_namespace(name)) {
            let judged = ai || !subject.pods().is_empty();
            return judged.then(|| unstated(subject, name));
        }
        let decision = match &subject.content {
            Content::Pod(_) | Content::Templates(_) if !namespace.governed() && !ai => return None,
            Content::Namespace | Content::NetworkPolicy(_) | Content::ConfigMap(_)
                if !namespace.governed() =>
            {
                return None;
            }
            // One that runs is judged as it would be when it is asked for again.
            Content::Pod(_) => return Some(self.pods(subject, namespace, Stage::Entering)),
            Content::Templates(_) => return Some(self.pods(subject, namespace, Stage::Carried)),
            Content::Served(serving) => {
                if !namespace.governed() {
                    return None;
                }
                let served = world.served_facts(namespace, &serving.labels, &serving.models);
                let workload = served.workload.and_then(|workload| workload.metadata.name.as_deref());
                let mut decision = self.decide(namespace, facts::Subject::Served(served), workload);
                for part in &serving.parts {
                    decision.merge(part.told(self.pod(subject, namespace, &part.pod, Stage::Carried).0));
                }
                return Some(concluded(subject, workload, decision));
            }
            Content::Binding(binding) => return self.binding(subject, binding),
            Content::Profile(profile) => match crate::webhook::kinds::built_in(&subject.name) {
                Some(denial) => {
                    let decision = Decision::default();
                    return Some(Judgement {
                        subject,
                        title: title(subject, None),
                        outcome: Outcome::Refused,
                        denial: Some(denial),
                        decision,
                        notes: Vec::new(),
                    });
                }
                None => self.decide(namespace, facts::Subject::Profile(profile), None),
            },
            Content::Namespace => self.decide(namespace, facts::Subject::Namespace, None),
            Content::Workload(workload) => {
                self.decide(namespace, facts::Subject::Workload(workload), Some(subject.name.as_str()))
            }
            Content::Model(model) => self.decide(namespace, facts::Subject::Model(model), None),
            Content::Dataset(dataset) => self.decide(namespace, facts::Subject::Dataset(dataset), None),
            Content::Prompt(prompt) => self.decide(namespace, facts::Subject::Prompt(prompt), None),
            Content::Evidence(evidence) => {
                // As the world has it: with what its signed statement is worth.
                let known = namespace.evidence.get(&subject.name).map_or(evidence.as_ref(), AsRef::as_ref);
                self.decide(namespace, facts::Subject::Evidence(EvidenceFacts::recorded(known)), None)
            }
            Content::Supplier(supplier) => self.decide(namespace, facts::Subject::Supplier(supplier), None),
            Content::Governance(organisation) => {
                self.decide(namespace, facts::Subject::Governance(organisation), None)
            }
            Content::TrustPolicy(policy) => self.decide(
                namespace,
                facts::Subject::TrustPolicy(policy, &trust::problems(policy), None),
                None,
            ),
            Content::Exemption(exemption) => {
                let exemption = ExemptionFacts { exemption, former: None, user: None, may_approve: None };
                self.decide(namespace, facts::Subject::Exemption(exemption), None)
            }
            Content::ConfigMap(found) => {
                let written = facts::Subject::ConfigMap { name: &subject.name, found };
                self.decide(namespace, written, None)
            }
            Content::NetworkPolicy(policy) => {
                let none = k8s_openapi::api::networking::v1::NetworkPolicySpec::default();
                let spec = policy.spec.as_ref().unwrap_or(&none);
                let written = facts::Subject::NetworkPolicy { name: &subject.name, spec, generated: false };
                self.decide(namespace, written, None)
            }
        };
        let mut judgement = concluded(subject, None, decision);
        if let Content::Workload(workload) = &subject.content
            && !self.selects(subject, &workload.spec.selector.match_labels)
        {
            judgement.notes.push(format!(
                "AIWorkload {}/{}: spec.selector.matchLabels select no pod in these files",
                namespace.name, subject.name
            ));
        }
        if let Content::Workload(workload) = &subject.content {
            let labels = &workload.spec.selector.match_labels;
            let others = namespace.workloads.iter().filter(|(name, other)| {
                let together = selector::overlap(labels, &other.spec.selector.match_labels);
                **name != subject.name && together == selector::Overlap::Some
            });
            let shared: Vec<String> = others.map(|(name, _)| name.clone()).collect();
            if !shared.is_empty() {
                let owner = format!("AIWorkload {}/{}", namespace.name, subject.name);
                judgement.notes.push(words::shared(&owner, &shared));
            }
        }
        Some(judgement)
    }

    /// Whether any pod in the files carries `wanted`, in the namespace of `workload`.
    fn selects(&self, workload: &Subject, wanted: &facts::Labels) -> bool {
        let neighbours = self.manifests.subjects.iter().filter(|s| s.namespace == workload.namespace);
        neighbours.flat_map(Subject::pods).any(|pod| selector::contains(wanted, &pod.labels))
    }

    fn decide(&self, namespace: &Namespace, subject: facts::Subject<'_>, workload: Option<&str>) -> Decision {
        let world = &self.manifests.world;
        let settings = world.settings(namespace);
        let facts = world.facts(self.now, subject, namespace, &settings);
        let enforcement = Enforcement::of(namespace, &world.cluster, facts.declaration(), self.now);
        decide(evaluate(&facts), &enforcement, workload, false)
    }

    fn pods(&self, subject: &'m Subject, namespace: &Namespace, stage: Stage) -> Judgement<'m> {
        let mut decision = Decision::default();
        let mut owner = None;
        for object in subject.pods() {
            let (of_pod, name) = self.pod(subject, namespace, object, stage);
            decision.merge(of_pod);
            owner = owner.or_else(|| name.map(str::to_owned));
        }
        concluded(subject, owner.as_deref(), decision)
    }

    /// The decision on one pod, and the declaration that it meets.
    fn pod<'n>(
        &self,
        subject: &Subject,
        namespace: &'n Namespace,
        object: &PodObject,
        stage: Stage,
    ) -> (Decision, Option<&'n str>)
    where
        'm: 'n,
    {
        let world = &self.manifests.world;
        let settings = world.settings(namespace);
        let mut pod = world.pod_facts(namespace, object, stage);
        pod.kind = &subject.kind;
        pod.name = &subject.name;
        pod.signatures = images(&pod.containers, pod.spec)
            .map(|image| (image.reference, self.signatures.of(&namespace.name, image.reference)))
            .collect();
        let declared = match matched(namespace, &object.labels) {
            Matched::One(workload) => Some(workload),
            _ => None,
        };
        let facts = world.facts(self.now, facts::Subject::Pod(pod), namespace, &settings);
        let enforcement = Enforcement::of(namespace, &world.cluster, declared.map(AsRef::as_ref), self.now);
        let name = declared.and_then(|w| w.metadata.name.as_deref());
        let mut findings = evaluate(&facts);
        findings.retain(|finding| !self.signatures.answer(&namespace.name, finding));
        (decide(findings, &enforcement, name, false), name)
    }

    /// A binding that names the identity of a declaration; others concern nobody here.
    fn binding(&self, subject: &'m Subject, binding: &AnyBinding) -> Option<Judgement<'m>> {
        let world = &self.manifests.world;
        let namespace = subject.namespace.as_deref();
        let direct: Vec<Reach> = reaches(namespace, binding.subjects.as_deref().unwrap_or_default())
            .into_iter()
            .filter(|reach| matches!(reach, Reach::Account(..)))
            .collect();
        let workloads: Vec<_> = direct.iter().flat_map(|reach| world.workloads_reached(reach)).collect();
        let first = *workloads.first()?;
        let home = world.namespace(first.metadata.namespace.as_deref().unwrap_or_default());
        let role = format!("{}/{}", binding.role_ref.kind, binding.role_ref.name);
        let settings = world.settings(home);
        let enforcement = Enforcement::of(home, &world.cluster, Some(first.as_ref()), self.now);
        let facts = facts::Subject::Binding(BindingFacts {
            binding: BindingRef { namespace, name: &subject.name },
            role: &role,
            rules: world.rbac.rules(namespace, &binding.role_ref),
            workloads,
            via: facts::Via::Account,
            written: true,
        });
        let facts = world.facts(self.now, facts, home, &settings);
        let decision = decide(evaluate(&facts), &enforcement, first.metadata.name.as_deref(), false);
        Some(concluded(subject, None, decision))
    }
}

/// A namespace that neither the files nor the flags describe: nothing can be said of what lives there.
fn unstated<'m>(subject: &'m Subject, namespace: &str) -> Judgement<'m> {
    let title = title(subject, None);
    let denial = format!(
        "{}: cannot tell: namespace {namespace:?} is not in the files, so its environment and sensitivity are not known\n  \
         fix: add the Namespace to the files, or state it with --namespace {namespace} --environment ENVIRONMENT \
         --sensitivity SENSITIVITY",
        title.owner
    );
    Judgement {
        subject,
        title,
        outcome: Outcome::Unknown,
        denial: Some(denial),
        decision: Decision::default(),
        notes: Vec::new(),
    }
}

fn title(subject: &Subject, workload: Option<&str>) -> Title {
    let kind = &subject.kind;
    let owner = match (&subject.content, workload, &subject.namespace) {
        // As the webhook names a binding, which is judged for the identities it reaches and not for its namespace.
        (Content::Binding(_), _, _) | (_, _, None) => format!("{kind} {}", subject.name),
        (_, Some(workload), Some(namespace)) => format!("AIWorkload {namespace}/{workload}"),
        (_, None, Some(namespace)) => format!("{kind} {namespace}/{}", subject.name),
    };
    Title { owner, what: if kind == "Pod" { "pod".to_owned() } else { kind.clone() } }
}

fn concluded<'m>(subject: &'m Subject, workload: Option<&str>, decision: Decision) -> Judgement<'m> {
    let outcome = if decision.refused.iter().any(|f| f.verdict == Verdict::Violated) {
        Outcome::Refused
    } else if !decision.allowed() {
        Outcome::Unknown
    } else if decision.warned.is_empty() {
        Outcome::Pass
    } else {
        Outcome::Warn
    };
    let title = title(subject, workload);
    let denial =
        (!decision.allowed()).then(|| words::denial(&title, &decision, crate::policy::evaluate::judged()));
    Judgement { subject, title, outcome, denial, decision, notes: Vec::new() }
}

/// The worst of some outcomes.
#[must_use]
pub fn worst(judgements: &[Judgement<'_>]) -> Outcome {
    judgements.iter().map(|judgement| judgement.outcome).max().unwrap_or(Outcome::Pass)
}
