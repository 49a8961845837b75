//! What is known of a pod: its containers, what matches it, what it may do, and at what stage it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::api::rbac::v1::PolicyRule;

use super::{Attested, Labels, Place, ServiceAccount, Signature};
use crate::api;
use crate::policy::containers::{ContainerView, ImageUse, containers, images};

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
    /// The labels that the pod had before an update.
    pub former_labels: Option<&'a Labels>,
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
            former_labels: None,
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
