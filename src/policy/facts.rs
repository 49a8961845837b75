//! All that a control may look at: the subject, its namespace, and what is known of the cluster, time included.

mod asset;
mod known;
mod place;
mod pod;
mod signed;
mod subject;
mod ways;

use std::cell::OnceCell;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::containers::ContainerView;
use super::rights::Holder;
use super::servers::Loaded;
use crate::api;

pub use asset::Asset;
pub use known::{
    Autoscaler, Claim, Closing, Cluster, ConfigMap, DeviceClaim, DeviceRequest, EnforcementFault, Gateway,
    Listener, Namespace, Network, NetworkPolicy, NodeVolume, Overdue, Parent, PodMonitor, Route, RouteGrant,
    ServiceAccount, Settings, Text, TrafficPolicy,
};
pub use place::Place;
pub use pod::{Around, BindingRef, Grant, Identity, Matched, PodFacts, Stage, Via};
pub use signed::{Attested, Signature, Statement, Vouched};
pub use subject::{
    BindingFacts, EntryFacts, EvidenceFacts, ExemptionFacts, ServedFacts, ServedModel, Subject, Way, Writer,
};
pub use ways::{Ingress, Service, ServicePort};

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
    /// What each container of the pod loads, read when first asked for: start with an empty cell.
    pub loaded: OnceCell<Vec<Loaded>>,
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

    /// What each container of the pod loads, held against its declaration: read once for all controls that ask. Both as
    /// [`Self::ai_pod`] says them; without a declaration there is none.
    pub fn loaded(&self) -> impl Iterator<Item = (&ContainerView<'a>, &Loaded)> {
        let pod = self.ai_pod();
        let loaded = self.loaded.get_or_init(|| {
            let read = |(pod, workload): (&PodFacts<'a>, _)| {
                pod.containers.iter().map(|container| Loaded::of(self, pod, container, workload)).collect()
            };
            pod.map_or_else(Vec::new, read)
        });
        pod.into_iter().flat_map(|(pod, _)| &pod.containers).zip(loaded)
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
