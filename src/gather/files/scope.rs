//! Which kinds are read from files, and where their objects live.

use super::definitions::definition;
use crate::api;
use crate::gather::objects;

pub(super) fn is_pod(group: &str, kind: &str) -> bool {
    (group.is_empty() && kind == "Pod") || objects::carrier(group, kind).is_some()
}

/// Where objects live.
pub(super) enum Scope {
    Cluster,
    Namespaced,
}

/// Where the objects of a kind live; nothing for kinds that nobody reads.
pub(super) fn scope(group: &str, kind: &str) -> Option<Scope> {
    match (group, kind) {
        ("", "Namespace" | "PersistentVolume")
        | ("rbac.authorization.k8s.io", "ClusterRole" | "ClusterRoleBinding")
        | ("apiextensions.k8s.io", "CustomResourceDefinition") => Some(Scope::Cluster),
        (
            "",
            "ServiceAccount"
            | "Service"
            | "ResourceQuota"
            | "LimitRange"
            | "PersistentVolumeClaim"
            | "ConfigMap",
        )
        | ("networking.k8s.io", "NetworkPolicy" | "Ingress")
        | ("autoscaling", "HorizontalPodAutoscaler")
        | (
            "gateway.networking.k8s.io",
            "HTTPRoute" | "GRPCRoute" | "TLSRoute" | "TCPRoute" | "UDPRoute" | "Gateway" | "ReferenceGrant",
        )
        | ("gateway.envoyproxy.io", "BackendTrafficPolicy")
        | ("resource.k8s.io", "ResourceClaim" | "ResourceClaimTemplate")
        | ("rbac.authorization.k8s.io", "Role" | "RoleBinding")
        | ("monitoring.coreos.com", "PodMonitor" | "ServiceMonitor" | "PrometheusRule") => {
            Some(Scope::Namespaced)
        }
        (api::common::GROUP, kind) => {
            definition(kind).map(|d| if d.namespaced { Scope::Namespaced } else { Scope::Cluster })
        }
        (group, kind) => is_pod(group, kind).then_some(Scope::Namespaced),
    }
}
