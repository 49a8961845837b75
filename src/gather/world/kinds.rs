//! The kinds of which the world keeps something, and whose verdict a change of one may alter.

use std::collections::BTreeSet;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{
    ConfigMap, LimitRange, Namespace as CoreNamespace, PersistentVolume, PersistentVolumeClaim,
    ResourceQuota, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::core::DynamicObject;

use crate::api;
use crate::gather::rbac::Reach;

/// An object the world keeps something of.
#[derive(Clone, Debug)]
pub enum Object {
    /// A namespace.
    Namespace(Box<CoreNamespace>),
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
    /// What an organisation does for all its workloads.
    Governance(Box<api::AIGovernance>),
    /// An exemption.
    Exemption(Box<api::AIExemption>),
    /// A trust policy.
    TrustPolicy(Box<api::AITrustPolicy>),
    /// A profile.
    Profile(Box<api::AIProfile>),
    /// A ServiceAccount.
    ServiceAccount(Box<ServiceAccount>),
    /// A NetworkPolicy.
    NetworkPolicy(Box<NetworkPolicy>),
    /// A PodMonitor of the Prometheus operator.
    PodMonitor(Box<DynamicObject>),
    /// A `ServiceMonitor` of the Prometheus operator.
    ServiceMonitor(Box<DynamicObject>),
    /// A `PrometheusRule` of the Prometheus operator.
    AlertRule(Box<DynamicObject>),
    /// A Service.
    Service(Box<Service>),
    /// An Ingress.
    Ingress(Box<Ingress>),
    /// An `HTTPRoute` of the Gateway API.
    HttpRoute(Box<DynamicObject>),
    /// A `GRPCRoute` of the Gateway API.
    GrpcRoute(Box<DynamicObject>),
    /// A `TLSRoute` of the Gateway API.
    TlsRoute(Box<DynamicObject>),
    /// A `TCPRoute` of the Gateway API.
    TcpRoute(Box<DynamicObject>),
    /// A `UDPRoute` of the Gateway API.
    UdpRoute(Box<DynamicObject>),
    /// A Gateway of the Gateway API.
    Gateway(Box<DynamicObject>),
    /// A `ReferenceGrant` of the Gateway API.
    RouteGrant(Box<DynamicObject>),
    /// A `BackendTrafficPolicy` of Envoy Gateway.
    TrafficPolicy(Box<DynamicObject>),
    /// A `ResourceClaim` of devices.
    DeviceClaim(Box<DynamicObject>),
    /// A `ResourceClaimTemplate`.
    DeviceTemplate(Box<DynamicObject>),
    /// A claim of a volume.
    Claim(Box<PersistentVolumeClaim>),
    /// A volume.
    Volume(Box<PersistentVolume>),
    /// A `ConfigMap` with prompts.
    ConfigMap(Box<ConfigMap>),
    /// A `ConfigMap` with settings.
    SettingsMap(Box<ConfigMap>),
    /// A `ResourceQuota`.
    ResourceQuota(Box<ResourceQuota>),
    /// A `LimitRange`.
    LimitRange(Box<LimitRange>),
    /// A `HorizontalPodAutoscaler`.
    Autoscaler(Box<HorizontalPodAutoscaler>),
    /// A Role.
    Role(Box<Role>),
    /// A ClusterRole.
    ClusterRole(Box<ClusterRole>),
    /// A RoleBinding.
    RoleBinding(Box<RoleBinding>),
    /// A ClusterRoleBinding.
    ClusterRoleBinding(Box<ClusterRoleBinding>),
}

/// The kind of an object the world keeps something of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Namespace.
    Namespace,
    /// `AIWorkload`.
    Workload,
    /// `AIModel`.
    Model,
    /// `AIDataset`.
    Dataset,
    /// `AIPrompt`.
    Prompt,
    /// `AIEvidence`.
    Evidence,
    /// `AISupplier`.
    Supplier,
    /// `AIGovernance`.
    Governance,
    /// `AIExemption`.
    Exemption,
    /// `AITrustPolicy`.
    TrustPolicy,
    /// `AIProfile`.
    Profile,
    /// `ServiceAccount`.
    ServiceAccount,
    /// `NetworkPolicy`.
    NetworkPolicy,
    /// `PodMonitor`.
    PodMonitor,
    /// `ServiceMonitor`.
    ServiceMonitor,
    /// `PrometheusRule`.
    AlertRule,
    /// Service.
    Service,
    /// Ingress.
    Ingress,
    /// `HTTPRoute`.
    HttpRoute,
    /// `GRPCRoute`.
    GrpcRoute,
    /// `TLSRoute`.
    TlsRoute,
    /// `TCPRoute`.
    TcpRoute,
    /// `UDPRoute`.
    UdpRoute,
    /// Gateway.
    Gateway,
    /// `ReferenceGrant`.
    RouteGrant,
    /// `BackendTrafficPolicy`.
    TrafficPolicy,
    /// `ResourceClaim`.
    DeviceClaim,
    /// `ResourceClaimTemplate`.
    DeviceTemplate,
    /// `PersistentVolumeClaim`.
    Claim,
    /// `PersistentVolume`.
    Volume,
    /// `ConfigMap` with prompts.
    ConfigMap,
    /// `ConfigMap` with settings.
    SettingsMap,
    /// `ResourceQuota`.
    ResourceQuota,
    /// `LimitRange`.
    LimitRange,
    /// `HorizontalPodAutoscaler`.
    Autoscaler,
    /// Role.
    Role,
    /// `ClusterRole`.
    ClusterRole,
    /// `RoleBinding`.
    RoleBinding,
    /// `ClusterRoleBinding`.
    ClusterRoleBinding,
}

/// Whose verdict a change may alter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Everything.
    pub all: bool,
    /// These namespaces.
    pub namespaces: BTreeSet<String>,
}

impl Touched {
    /// Nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Everything.
    #[must_use]
    pub fn everything() -> Self {
        Self { all: true, namespaces: BTreeSet::new() }
    }

    /// One namespace.
    #[must_use]
    pub fn namespace(name: &str) -> Self {
        Self { all: false, namespaces: BTreeSet::from([name.to_owned()]) }
    }

    pub(super) fn reached(reaches: BTreeSet<Reach>) -> Self {
        let mut out = Self::nothing();
        for reach in reaches {
            match reach {
                Reach::Account(namespace, _)
                | Reach::Namespace(namespace)
                | Reach::Holders(Some(namespace))
                | Reach::Group(Some(namespace), _) => {
                    out.namespaces.insert(namespace);
                }
                Reach::AllAccounts | Reach::Authenticated | Reach::Holders(None) | Reach::Group(None, _) => {
                    out.all = true;
                }
            }
        }
        out
    }

    /// This and `other`.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.all |= other.all;
        self.namespaces.extend(other.namespaces);
        self
    }

    /// Monitors, rules and Gateways of one namespace speak for pods of others.
    pub(super) fn widened(self) -> Self {
        if self.is_empty() { self } else { Self::everything() }
    }

    /// Whether nothing is touched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all && self.namespaces.is_empty()
    }
}
