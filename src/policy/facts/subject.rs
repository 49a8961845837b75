//! What can be judged, and what is known of each that is no pod.

use std::sync::Arc;

use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use k8s_openapi::api::rbac::v1::PolicyRule;

use super::{Asset, BindingRef, Ingress, PodFacts, Route, Service, Via};
use crate::api;
use crate::api::evidence::StatementRead;
use crate::policy::texts::Found;

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
    /// The groups of that user.
    pub groups: &'a [String],
    /// What its signed statement is worth; `None` where it has none, or nobody looked.
    pub statement: Option<&'a StatementRead>,
}

impl<'a> EvidenceFacts<'a> {
    /// A proof that is recorded already, with what is known of it.
    #[must_use]
    pub fn recorded(evidence: &'a api::AIEvidence) -> Self {
        let statement = evidence.status.as_ref().and_then(|status| status.statement.as_ref());
        Self { evidence, user: None, groups: &[], statement }
    }
}
