//! What files hold to be judged, and what they leave open.

use k8s_openapi::api::networking::v1::NetworkPolicy;

use super::documents::Origin;
use crate::api::{self, Environment, Sensitivity};
use crate::gather::objects::PodObject;
use crate::gather::rbac::AnyBinding;
use crate::gather::serving::Serving;
use crate::policy::texts;

/// What the files leave open.
#[derive(Clone, Debug, Default)]
pub struct Assumptions {
    /// The namespace of objects that name none; `default` unless stated.
    pub namespace: Option<String>,
    /// Its environment, where the files do not hold the namespace.
    pub environment: Option<Environment>,
    /// Its sensitivity, likewise.
    pub sensitivity: Option<Sensitivity>,
    /// A profile that applies everywhere, beside those in the files.
    pub profile: Option<api::profile::BaseProfile>,
    /// True where the documents were read from a cluster: then their status is the operator's own word.
    pub live: bool,
}

/// One object to judge.
#[derive(Debug)]
pub struct Subject {
    /// Where it was read.
    pub origin: Origin,
    /// Kind.
    pub kind: String,
    /// Namespace; absent for cluster-wide objects.
    pub namespace: Option<String>,
    /// Name, or the prefix of the name it would get.
    pub name: String,
    /// What it says.
    pub content: Content,
}

impl Subject {
    /// The pods that it is or carries.
    #[must_use]
    pub fn pods(&self) -> &[PodObject] {
        match &self.content {
            Content::Pod(pod) => std::slice::from_ref(pod.as_ref()),
            Content::Templates(templates) => templates,
            _ => &[],
        }
    }
}

impl Subject {
    /// What a serving object says of its pods, as far as it does.
    pub fn parts(&self) -> impl Iterator<Item = &PodObject> {
        let serving = match &self.content {
            Content::Served(serving) => Some(serving),
            _ => None,
        };
        serving.into_iter().flat_map(Serving::pods)
    }
}

/// What an object to judge says.
#[derive(Debug)]
pub enum Content {
    /// A pod.
    Pod(Box<PodObject>),
    /// The pod templates of a carrier.
    Templates(Vec<PodObject>),
    /// What a serving object says of its pods.
    Served(Serving),
    /// A namespace.
    Namespace,
    /// A declaration.
    Workload(Box<api::AIWorkload>),
    /// A model.
    Model(Box<api::AIModel>),
    /// A dataset.
    Dataset(Box<api::AIDataset>),
    /// A prompt.
    Prompt(Box<api::AIPrompt>),
    /// A proof.
    Evidence(Box<api::AIEvidence>),
    /// A supplier.
    Supplier(Box<api::AISupplier>),
    /// An organisation.
    Governance(Box<api::AIGovernance>),
    /// A trust policy.
    TrustPolicy(Box<api::AITrustPolicy>),
    /// A profile.
    Profile(Box<api::AIProfile>),
    /// An exemption.
    Exemption(Box<api::AIExemption>),
    /// A `ConfigMap` with credentials, by key.
    ConfigMap(Vec<texts::Found>),
    /// A network policy.
    NetworkPolicy(Box<NetworkPolicy>),
    /// A role binding of a namespace or of the cluster.
    Binding(Box<AnyBinding>),
}
