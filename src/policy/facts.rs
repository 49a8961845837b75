//! All that a control may look at: the subject, its namespace, and what is known of the cluster, time included.

mod asset;
mod known;
mod signed;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use k8s_openapi::api::rbac::v1::PolicyRule;

use super::containers::{ContainerView, ImageUse, containers, images};
use super::rights::Holder;
use super::texts::Found;
use crate::api;
use crate::api::evidence::StatementRead;

pub use asset::Asset;
pub use known::{
    Autoscaler, Claim, Closing, Cluster, ConfigMap, DeviceClaim, DeviceRequest, EnforcementFault, Gateway,
    Ingress, Listener, Namespace, Network, NetworkPolicy, NodeVolume, Overdue, Parent, PodMonitor, Route,
    RouteGrant, Service, ServiceAccount, ServicePort, Settings, Text, TrafficPolicy,
};
pub use signed::{Attested, Signature, Statement, Vouched};

/// Labels as Kubernetes keeps them.
pub type Labels = BTreeMap<String, String>;

/// One subject and everything known that bears on it.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The operator's clock.
    pub now: Timestamp,
    /// What is judged.
    pub subject: Subject<'a>,
    /// The namespace it lives in; for cluster-wide subjects an empty, ungoverned one.
    pub namespace: &'a Namespace,
    /// Cluster-wide knowledge.
    pub cluster: &'a Cluster,
    /// Settings of the profiles that apply here, merged.
    pub settings: &'a Settings,
    /// The composition of the declaration, computed when first asked for: start with an empty cell.
    pub composition: OnceCell<String>,
    /// Who holds rights in the namespace that few should; only where the namespace itself is judged.
    pub holders: Vec<Holder<'a>>,
    /// Who asks for what is judged; `None` in the audit and in files.
    pub requester: Option<Requester<'a>>,
    /// How many pods that are to last stand under the declaration; `None` where nobody counted.
    pub lasting_pods: Option<u32>,
    /// The rights that are known; `None` where none are.
    pub rights: Option<&'a dyn KnownRights>,
}

/// The rights of people, for the few controls that ask.
pub trait KnownRights: std::fmt::Debug {
    /// Whether a group may change the AIWorkload `name` of `namespace`, and so stop it; `None` where that is not known.
    fn group_may(&self, group: &str, namespace: &str, name: &str) -> Option<bool>;
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Requester<'a> {
    /// Name of the user.
    pub user: &'a str,
    /// The groups of the user.
    pub groups: &'a [String],
    /// The declaration as it was, where one is changed.
    pub former: Option<&'a api::AIWorkload>,
}

impl Requester<'_> {
    /// Whether this user is meant, by name or as a member of the group.
    #[must_use]
    pub fn is(&self, party: &api::common::Party) -> bool {
        party.user.as_deref() == Some(self.user)
            || party.group.as_ref().is_some_and(|group| self.groups.contains(group))
    }
}

/// A way to pods: a Service, or what leads to one from outside; each with its name, a route with `Kind/name`.
#[derive(Clone, Copy, Debug)]
pub enum Way<'a> {
    /// A Service.
    Service(&'a str, &'a Service),
    /// An Ingress.
    Ingress(&'a str, &'a Ingress),
    /// A route of the Gateway API.
    Route(&'a str, &'a Route),
}

/// What is judged.
#[derive(Debug)]
pub enum Subject<'a> {
    /// A pod, or the pod template inside a carrier (Deployment, Job, ...).
    Pod(PodFacts<'a>),
    /// What a serving object of KServe names to be loaded, before it has pods.
    Served(ServedFacts<'a>),
    /// A declaration by itself.
    Workload(&'a api::AIWorkload),
    /// A model by itself.
    Model(&'a api::AIModel),
    /// A dataset by itself.
    Dataset(&'a api::AIDataset),
    /// A prompt by itself.
    Prompt(&'a api::AIPrompt),
    /// A proof by itself, and who brings it.
    Evidence(EvidenceFacts<'a>),
    /// A supplier by itself.
    Supplier(&'a api::AISupplier),
    /// What an organisation does for all its workloads.
    Governance(&'a api::AIGovernance),
    /// A trust policy by itself, with what its compilation said, and who writes it; `None` in the audit and in files.
    TrustPolicy(&'a api::AITrustPolicy, &'a [String], Option<Writer<'a>>),
    /// A profile by itself.
    Profile(&'a api::AIProfile),
    /// An exemption, its former state, and who asks.
    Exemption(ExemptionFacts<'a>),
    /// A namespace: its labels, its own demands.
    Namespace,
    /// A role binding whose subjects include an identity of an AI workload.
    Binding(BindingFacts<'a>),
    /// A network policy that somebody writes.
    NetworkPolicy {
        /// Name of the policy.
        name: &'a str,
        /// What it says.
        spec: &'a NetworkPolicySpec,
        /// True when the operator generated it.
        generated: bool,
    },
    /// A `ConfigMap` that somebody writes, and what was found of credentials in it.
    ConfigMap {
        /// Its name.
        name: &'a str,
        /// The keys that hold credentials.
        found: &'a [Found],
    },
    /// A way to pods that somebody opens.
    Way(Way<'a>),
    /// Somebody who wants to enter a running pod.
    Entry(EntryFacts<'a>),
    /// An asset that is to be deleted.
    Deletion(Asset<'a>),
    /// A proof that is to be deleted.
    RecordDeletion(&'a api::AIEvidence),
    /// A declaration that is to be deleted.
    DeclarationDeletion(&'a api::AIWorkload),
    /// A claim of a volume that is to be deleted, by its name.
    ClaimDeletion(&'a str),
    /// The cluster as a whole.
    Cluster,
}

/// What a serving object names to be loaded.
#[derive(Debug)]
pub struct ServedFacts<'a> {
    /// The declaration whose selector its pods will match, as far as its labels tell.
    pub workload: Option<&'a Arc<api::AIWorkload>>,
    /// The models.
    pub models: &'a [ServedModel],
}

/// One model that a serving object names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServedModel {
    /// Where it lies: the field and the address.
    pub address: Option<(String, String)>,
    /// Its format: the field and the name.
    pub format: Option<(String, String)>,
}

/// Who writes an object.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// User name.
    pub user: &'a str,
    /// Groups.
    pub groups: &'a [String],
}

/// Somebody who wants to enter a running pod.
#[derive(Debug)]
pub struct EntryFacts<'a> {
    /// In which way: `exec`, `attach`, `portforward`, `proxy` or `ephemeralcontainers`.
    pub way: &'a str,
    /// The pod.
    pub pod: &'a str,
    /// The user.
    pub user: &'a str,
    /// Whether that user holds the verb `breakglass` on the pod; `None` where it could not be asked.
    pub may: Option<bool>,
    /// Why, as the pod's annotation says.
    pub reason: Option<&'a str>,
    /// The declaration of the pod, where it is known.
    pub workload: Option<&'a Arc<api::AIWorkload>>,
}

/// A pod, or a template for one.
#[derive(Debug)]
pub struct PodFacts<'a> {
    /// Kind of the object that carries it: `Pod`, `Deployment`, ...
    pub kind: &'a str,
    /// Name of that object; may be empty where the server generates it later.
    pub name: &'a str,
    /// Path of the pod inside that object: empty for a pod, `spec.template.` for a Deployment.
    pub prefix: &'a str,
    /// Labels of the pod.
    pub labels: &'a Labels,
    /// Annotations of the pod.
    pub annotations: &'a Labels,
    /// Its specification.
    pub spec: &'a PodSpec,
    /// Fields that this version does not know, by path inside the pod.
    pub unknown_fields: &'a [String],
    /// What its carrier says of it.
    pub around: Around,
    /// Every container of every kind, in one list.
    pub containers: Vec<ContainerView<'a>>,
    /// The declarations whose selector matches the pod.
    pub matched: Matched<'a>,
    /// What the pod may do in the cluster.
    pub identity: Identity<'a>,
    /// What is known of the signature of each image that the pod names, by the reference as written.
    pub signatures: BTreeMap<&'a str, Signature>,
    /// Whether it is to be created, only carried, or runs already.
    pub stage: Stage,
}

impl<'a> PodFacts<'a> {
    /// Collects the containers of `spec`; all other facts start empty.
    #[must_use]
    pub fn new(spec: &'a PodSpec, labels: &'a Labels, annotations: &'a Labels) -> Self {
        Self {
            kind: "Pod",
            name: "",
            prefix: "",
            labels,
            annotations,
            spec,
            unknown_fields: &[],
            around: Around::default(),
            containers: containers(spec),
            matched: Matched::None,
            identity: Identity::default(),
            signatures: BTreeMap::new(),
            stage: Stage::Entering,
        }
    }

    /// Every image the pod would pull: containers of all kinds and image volumes.
    pub fn images(&self) -> impl Iterator<Item = ImageUse<'a>> + '_ {
        images(&self.containers, self.spec)
    }

    /// The verified statements about an image, by the reference as written; none where nothing was verified.
    #[must_use]
    pub fn attestations(&self, reference: &str) -> &[Attested] {
        match self.signatures.get(reference) {
            Some(Signature::Trusted(vouched)) => &vouched.attestations,
            _ => &[],
        }
    }

    /// The place of a field, by its path inside the pod.
    #[must_use]
    pub fn at(&self, path: impl AsRef<str>) -> Place {
        Place { object: None, path: Some(format!("{}{}", self.prefix, path.as_ref())), value: None }
    }
}

/// What the carrier of a pod says of it, where it says so; nothing of a pod by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// How many former revisions are kept.
    pub revisions: Option<i64>,
    /// How many pods there are to be.
    pub replicas: Option<i64>,
    /// After how many seconds the work is ended.
    pub deadline: Option<i64>,
}

/// The state of the pod under judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A pod asks to be admitted.
    Entering,
    /// An admitted pod is to be changed.
    Changing,
    /// A template inside a carrier: what may still arrive is no reason to refuse it.
    Carried,
    /// A pod that runs: the continuous audit.
    Running,
}

/// The declarations that match a pod.
#[derive(Clone, Debug)]
pub enum Matched<'a> {
    /// No AIWorkload's selector matches.
    None,
    /// Exactly one.
    One(&'a Arc<api::AIWorkload>),
    /// More than one; their names, sorted.
    Many(Vec<String>),
}

/// The identity a pod runs under.
#[derive(Debug, Default)]
pub struct Identity<'a> {
    /// Name of the ServiceAccount, the default filled in.
    pub account_name: &'a str,
    /// What is known of it; `None` when it does not exist.
    pub account: Option<&'a ServiceAccount>,
    /// Every grant that reaches it, by which binding.
    pub grants: Vec<Grant<'a>>,
    /// Names of other AIWorkloads of the namespace whose identity has the same name.
    pub shared_with: Vec<&'a str>,
}

/// One binding that reaches an identity, and the rules it grants.
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    /// The binding.
    pub binding: BindingRef<'a>,
    /// The role it refers to, as `Role/name` or `ClusterRole/name`.
    pub role: &'a str,
    /// The rules; `None` when the role does not exist.
    pub rules: Option<&'a [PolicyRule]>,
    /// The subject through which the identity is reached: itself, or a group.
    pub via: Via,
}

/// A binding's kind, namespace and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BindingRef<'a> {
    /// Namespace of a RoleBinding; `None` for a ClusterRoleBinding.
    pub namespace: Option<&'a str>,
    /// Its name.
    pub name: &'a str,
}

impl std::fmt::Display for BindingRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.namespace {
            Some(_) => write!(f, "RoleBinding \"{}\"", self.name),
            None => write!(f, "ClusterRoleBinding \"{}\"", self.name),
        }
    }
}

/// How a binding reaches an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// It names the ServiceAccount.
    Account,
    /// `system:serviceaccounts:NAMESPACE`.
    NamespaceGroup,
    /// `system:serviceaccounts`.
    AllAccounts,
    /// `system:authenticated`, or a user name that stands for the account.
    Authenticated,
}

/// A binding under admission, resolved.
#[derive(Debug)]
pub struct BindingFacts<'a> {
    /// The binding.
    pub binding: BindingRef<'a>,
    /// The role it refers to.
    pub role: &'a str,
    /// Its rules; `None` when the role does not exist.
    pub rules: Option<&'a [PolicyRule]>,
    /// The AI workloads whose identities it names, with their namespaces.
    pub workloads: Vec<&'a Arc<api::AIWorkload>>,
    /// How it reaches them.
    pub via: Via,
    /// True while it is being written; false where it exists.
    pub written: bool,
}

/// An exemption under admission.
#[derive(Debug)]
pub struct ExemptionFacts<'a> {
    /// The exemption as it would become.
    pub exemption: &'a api::AIExemption,
    /// As it was; `None` on creation and in the audit.
    pub former: Option<&'a api::AIExemption>,
    /// Who asks; `None` in the audit.
    pub user: Option<&'a str>,
    /// Whether that user holds the verb `approve`; `None` when it was not asked.
    pub may_approve: Option<bool>,
}

/// A proof under admission or audit.
#[derive(Debug)]
pub struct EvidenceFacts<'a> {
    /// The proof.
    pub evidence: &'a api::AIEvidence,
    /// Who creates it; `None` in the audit and in files.
    pub user: Option<&'a str>,
    /// What its signed statement is worth; `None` where it has none, or nobody looked.
    pub statement: Option<&'a StatementRead>,
}

impl<'a> EvidenceFacts<'a> {
    /// A proof that is recorded already, with what is known of it.
    #[must_use]
    pub fn recorded(evidence: &'a api::AIEvidence) -> Self {
        let statement = evidence.status.as_ref().and_then(|status| status.statement.as_ref());
        Self { evidence, user: None, statement }
    }
}

/// Where a finding stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Another object than the one judged, e.g. `AIWorkload chat-prod/chat`.
    pub object: Option<String>,
    /// Path of the field from that object's root.
    pub path: Option<String>,
    /// The offending value as text.
    pub value: Option<String>,
}

impl Place {
    /// A whole object.
    #[must_use]
    pub fn object(object: impl Into<String>) -> Self {
        Self { object: Some(object.into()), path: None, value: None }
    }

    /// A field of an object other than the one judged.
    #[must_use]
    pub fn field(object: impl Into<String>, path: impl Into<String>) -> Self {
        Self { object: Some(object.into()), path: Some(path.into()), value: None }
    }

    /// Adds the offending value, cut to a readable length.
    #[must_use]
    pub fn value(mut self, value: impl AsRef<str>) -> Self {
        let value = value.as_ref();
        self.value = Some(match value.char_indices().nth(200) {
            Some((end, _)) => format!("{}...", &value[..end]),
            None => value.to_owned(),
        });
        self
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut gap = "";
        if let Some(object) = &self.object {
            f.write_str(object)?;
            gap = " ";
        }
        if let Some(path) = &self.path {
            write!(f, "{gap}{path}")?;
            gap = " ";
        }
        if let Some(value) = &self.value {
            write!(f, "{gap}{value:?}")?;
        }
        Ok(())
    }
}

impl<'a> Facts<'a> {
    /// The pod under judgement, if the subject is one.
    #[must_use]
    pub fn pod(&self) -> Option<&PodFacts<'a>> {
        match &self.subject {
            Subject::Pod(pod) => Some(pod),
            _ => None,
        }
    }

    /// The pod under judgement, unless it is a platform agent that the profile lets run undeclared.
    #[must_use]
    pub fn governed_pod(&self) -> Option<&PodFacts<'a>> {
        self.pod().filter(|pod| !self.is_platform_agent(pod))
    }

    /// The declaration in question: the subject itself, or the one that matches the pod.
    #[must_use]
    pub fn declaration(&self) -> Option<&'a api::AIWorkload> {
        match &self.subject {
            Subject::Pod(pod) => match &pod.matched {
                Matched::One(workload) => Some(workload),
                _ => None,
            },
            Subject::Workload(workload) => Some(workload),
            Subject::Served(served) => served.workload.map(AsRef::as_ref),
            Subject::Entry(entry) => entry.workload.map(AsRef::as_ref),
            _ => None,
        }
    }

    /// What the declaration is made of, as a digest that evidence and exemptions name; empty without a declaration.
    #[must_use]
    pub fn composition(&self) -> &str {
        self.composition.get_or_init(|| {
            self.declaration().map_or_else(String::new, |workload| {
                super::composition::digest(workload, self.namespace, self.cluster)
            })
        })
    }

    /// The declaration in question where it is for AI, whether a pod or the declaration itself is judged.
    #[must_use]
    pub fn ai_workload(&self) -> Option<&'a api::AIWorkload> {
        match &self.subject {
            Subject::Pod(_) => self.ai_pod().map(|(_, workload)| workload),
            Subject::Workload(workload) => Some(*workload)
                .filter(|workload| workload.spec.type_ != api::workload::WorkloadType::Supporting),
            _ => None,
        }
    }

    /// The pod with its declaration, where both are known and the declaration is for AI (not `supporting`).
    #[must_use]
    pub fn ai_pod(&self) -> Option<(&PodFacts<'a>, &'a api::AIWorkload)> {
        let pod = self.governed_pod()?;
        let workload = self.declaration()?;
        (workload.spec.type_ != api::workload::WorkloadType::Supporting).then_some((pod, workload))
    }

    /// Whether every image of the pod is on the profile's list of platform agents (by digest; names prove nothing).
    #[must_use]
    pub fn is_platform_agent(&self, pod: &PodFacts<'_>) -> bool {
        let agents = &self.settings.platform_agents;
        if agents.is_empty() || !matches!(pod.matched, Matched::None) {
            return false;
        }
        let mut any = false;
        for image in pod.images() {
            any = true;
            let Some(digest) = image.reference.rsplit_once('@').map(|(_, digest)| digest) else {
                return false;
            };
            if !agents.contains(digest) {
                return false;
            }
        }
        any
    }

    /// What the organisation of `workload` does for all its workloads: the one it names, else the only one there is.
    #[must_use]
    pub fn governance(&self, workload: &api::AIWorkload) -> Option<&'a api::AIGovernance> {
        let all = &self.cluster.governances;
        match &workload.spec.organisation {
            Some(name) => all.get(name),
            None if all.len() == 1 => all.values().next(),
            None => None,
        }
        .map(AsRef::as_ref)
    }

    /// A namespace of the cluster, the own one included, which need not be among the others.
    #[must_use]
    pub fn namespace_named(&self, name: Option<&str>) -> Option<&'a Namespace> {
        match name {
            None => Some(self.namespace),
            Some(name) if name == self.namespace.name => Some(self.namespace),
            Some(name) => self.cluster.namespaces.get(name),
        }
    }

    /// `AIWorkload namespace/name`, as messages write it.
    #[must_use]
    pub fn name_of(workload: &api::AIWorkload) -> String {
        format!(
            "AIWorkload {}/{}",
            workload.metadata.namespace.as_deref().unwrap_or_default(),
            workload.metadata.name.as_deref().unwrap_or_default()
        )
    }
}
