//! What the operator brings about for a declaration: identity, permissions, network policies, monitor.
//!
//! `build` is pure and cannot fail; `apply` writes only what differs, and never touches an object that is not ours.

mod apply;
mod limits;
mod network;
mod present;
mod surplus;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::api::common::{DEFAULT_DENY, LABEL_MANAGED_BY, LABEL_WORKLOAD, MANAGER};
use crate::api::workload::{AIWorkload, LifecycleState, Manage, MetricsScheme, WorkloadType};
use crate::policy::facts::{Cluster, Namespace};

pub use apply::apply;
pub use present::present;
pub use surplus::{Fate, Surplus, settle, surplus};

/// One object that should exist.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Its kind.
    pub resource: Resource,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The whole object as it is applied.
    pub object: Value,
    /// UID of the AIWorkload that owns it; `None` for the namespace's own.
    pub owner: Option<String>,
}

/// The kinds that are generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// ServiceAccount.
    ServiceAccount,
    /// Role.
    Role,
    /// RoleBinding.
    RoleBinding,
    /// NetworkPolicy.
    NetworkPolicy,
    /// PodMonitor.
    PodMonitor,
    /// `PrometheusRule`.
    AlertRule,
    /// `BackendTrafficPolicy` of Envoy Gateway.
    TrafficPolicy,
}

/// The kinds of the Prometheus operator and of Envoy Gateway that a cluster has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// PodMonitor.
    pub pod_monitors: bool,
    /// `PrometheusRule`.
    pub alert_rules: bool,
    /// `BackendTrafficPolicy`.
    pub traffic_policies: bool,
}

impl Kinds {
    /// Those of `cluster`.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Self {
        Self {
            pod_monitors: cluster.has_pod_monitors,
            alert_rules: cluster.has_alert_rules,
            traffic_policies: cluster.has_traffic_policies,
        }
    }
}

impl Resource {
    /// Kind as messages write it.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::Role => "Role",
            Self::RoleBinding => "RoleBinding",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::PodMonitor => "PodMonitor",
            Self::AlertRule => "PrometheusRule",
            Self::TrafficPolicy => "BackendTrafficPolicy",
        }
    }

    fn group(self) -> &'static str {
        match self {
            Self::ServiceAccount => "",
            Self::Role | Self::RoleBinding => "rbac.authorization.k8s.io",
            Self::NetworkPolicy => "networking.k8s.io",
            Self::PodMonitor | Self::AlertRule => "monitoring.coreos.com",
            Self::TrafficPolicy => "gateway.envoyproxy.io",
        }
    }

    fn version(self) -> &'static str {
        if self == Self::TrafficPolicy { "v1alpha1" } else { "v1" }
    }

    fn api_version(self) -> String {
        let version = self.version();
        if self.group().is_empty() { version.to_owned() } else { format!("{}/{version}", self.group()) }
    }

    fn api_resource(self) -> ApiResource {
        let kind = GroupVersionKind::gvk(self.group(), self.version(), self.kind());
        // The usual plural of the kind is not the one that it has.
        match self {
            Self::TrafficPolicy => ApiResource::from_gvk_with_plural(&kind, "backendtrafficpolicies"),
            _ => ApiResource::from_gvk(&kind),
        }
    }
}

/// Why an object could not be brought about.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// An object of that name exists and is not ours.
    #[error(
        "{kind} {name:?} exists and is not what was generated for this AIWorkload: delete it, or set spec.manage: Observe"
    )]
    NameTaken {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The policy that closes the namespace exists and is not ours.
    #[error(
        "NetworkPolicy {name:?} exists and is not the operator's, which closes the network by its own: \
         `kubectl delete networkpolicy {name} -n {namespace}`"
    )]
    NotClosed {
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
    },
    /// The API server did not take it.
    #[error("{kind} {name:?} could not be applied")]
    Apply {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// The API server did not let go of what is asked for no more.
    #[error("{kind} {name:?} is asked for no more, and could not be taken away")]
    Remove {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
}

impl GenerateError {
    /// The variant, for metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NameTaken { .. } | Self::NotClosed { .. } => "NameTaken",
            Self::Apply { .. } => "Apply",
            Self::Remove { .. } => "Remove",
        }
    }
}

/// What should exist in a governed namespace beside what its workloads bring: the closed network.
#[must_use]
pub fn build_namespace(namespace: &Namespace) -> Desired {
    Desired {
        resource: Resource::NetworkPolicy,
        namespace: namespace.name.clone(),
        name: DEFAULT_DENY.to_owned(),
        owner: None,
        object: object(
            Resource::NetworkPolicy,
            &namespace.name,
            DEFAULT_DENY,
            None,
            json!({"spec": {"podSelector": {}, "policyTypes": ["Egress", "Ingress"]}}),
        ),
    }
}

/// What should exist for one workload.
#[must_use]
pub fn build(workload: &AIWorkload, home: &Namespace, kinds: Kinds) -> Vec<Desired> {
    let spec = &workload.spec;
    let (Some(name), Some(namespace)) = (&workload.metadata.name, &workload.metadata.namespace) else {
        return Vec::new();
    };
    if spec.manage != Manage::Generate {
        return Vec::new();
    }
    let mut out = Vec::new();
    let mut add = |resource: Resource, body: Value| {
        out.push(Desired {
            resource,
            namespace: namespace.clone(),
            name: name.clone(),
            owner: workload.metadata.uid.clone(),
            object: object(resource, namespace, name, Some(workload), body),
        });
    };
    let mut account = json!({"automountServiceAccountToken": false});
    let annotations = cloud(workload);
    if !annotations.is_empty() {
        account["metadata"] = json!({"annotations": annotations});
    }
    add(Resource::ServiceAccount, account);
    let permissions = spec.identity.as_ref().map_or(&[][..], |identity| &identity.permissions);
    if !permissions.is_empty() {
        let rules: Vec<Value> = permissions
            .iter()
            .map(|p| {
                let mut rule = json!({"apiGroups": p.api_groups, "resources": p.resources, "verbs": p.verbs});
                if !p.resource_names.is_empty() {
                    rule["resourceNames"] = json!(p.resource_names);
                }
                rule
            })
            .collect();
        add(Resource::Role, json!({"rules": rules}));
        add(
            Resource::RoleBinding,
            json!({
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
            }),
        );
    }
    add(Resource::NetworkPolicy, json!({"spec": network::policy(workload, home)}));
    if kinds.traffic_policies
        && let Some(limits) = limits::build(workload, home)
    {
        add(Resource::TrafficPolicy, json!({"spec": limits}));
    }
    let metrics = spec.monitoring.as_ref().and_then(|m| m.metrics.as_ref());
    if let Some(metrics) = metrics.filter(|_| kinds.pod_monitors && spec.type_ != WorkloadType::Supporting) {
        let path = metrics.path.as_deref().unwrap_or("/metrics");
        let mut endpoint = json!({"port": metrics.port, "path": path});
        if metrics.scheme == Some(MetricsScheme::Https) {
            endpoint["scheme"] = json!("https");
            endpoint["tlsConfig"] = json!({"insecureSkipVerify": true});
        }
        add(
            Resource::PodMonitor,
            json!({"spec": {
                "selector": {"matchLabels": spec.selector.match_labels},
                "podMetricsEndpoints": [endpoint],
            }}),
        );
        if kinds.alert_rules && workload.state() == LifecycleState::Active {
            add(
                Resource::AlertRule,
                json!({"spec": {"groups": [alerts(namespace, name, &metrics.required)]}}),
            );
        }
    }
    out
}

/// Who brings about what the declaration asks for.
///
/// Errors: what of it cannot be made here, as a sentence.
pub fn complete(workload: &AIWorkload, home: &Namespace, kinds: Kinds) -> Result<Manage, String> {
    match limits::missing(workload, home, kinds) {
        Some(why) if workload.spec.manage == Manage::Generate => Err(why),
        _ => Ok(workload.spec.manage),
    }
}

/// The annotations by which the identity takes what is declared at cloud providers; of two of one provider the first.
fn cloud(workload: &AIWorkload) -> BTreeMap<&'static str, &str> {
    let mut out = BTreeMap::new();
    for identity in workload.spec.identity.iter().flat_map(|identity| &identity.cloud_identities) {
        if let Some(annotation) = identity.annotation() {
            out.entry(annotation).or_insert(identity.principal.as_str());
        }
    }
    out
}

/// Required figures that an alert stands for each.
const ALERTS: usize = 16;

/// Alerts on what every declared workload has: its figures. The job is named as the Prometheus operator names that of a
/// PodMonitor.
fn alerts(namespace: &str, name: &str, required: &[String]) -> Value {
    let job = format!("{namespace}/{name}");
    let alert = |alert: &str, expr: String, summary: String| {
        json!({"alert": alert, "expr": expr, "for": "10m", "labels": {"severity": "warning", "workload": name},
               "annotations": {"summary": summary, "runbook": "portcullis explain metrics-exposed"}})
    };
    let mut rules = vec![alert(
        "AIWorkloadWithoutMetrics",
        format!("absent(up{{job={job:?}}} == 1)"),
        format!("no pod of AIWorkload {job} serves its figures"),
    )];
    let names =
        |figure: &&String| figure.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
    for figure in required.iter().filter(names).take(ALERTS) {
        rules.push(alert(
            "AIWorkloadFigureMissing",
            format!(
                "absent({{__name__=~{:?},job={job:?}}})",
                format!("{figure}(_total|_count|_sum|_bucket)?")
            ),
            format!("AIWorkload {job} does not serve {figure}, which it declares as required"),
        ));
    }
    json!({"name": format!("portcullis.{namespace}.{name}"), "rules": rules})
}

fn object(
    resource: Resource,
    namespace: &str,
    name: &str,
    workload: Option<&AIWorkload>,
    body: Value,
) -> Value {
    let mut labels = json!({LABEL_MANAGED_BY: MANAGER});
    let mut metadata = json!({"name": name, "namespace": namespace});
    if let Some(workload) = workload {
        labels[LABEL_WORKLOAD] = json!(name);
        let owner = OwnerReference {
            api_version: "portcullis.dev/v1alpha1".to_owned(),
            kind: "AIWorkload".to_owned(),
            name: name.to_owned(),
            uid: workload.metadata.uid.clone().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: None,
        };
        metadata["ownerReferences"] = json!([owner]);
    }
    metadata["labels"] = labels;
    let mut out =
        json!({"apiVersion": resource.api_version(), "kind": resource.kind(), "metadata": metadata});
    if let Value::Object(mut body) = body {
        if let Some(annotations) = body.remove("metadata").map(|mut metadata| metadata["annotations"].take())
        {
            out["metadata"]["annotations"] = annotations;
        }
        if let Some(out) = out.as_object_mut() {
            out.extend(body);
        }
    }
    out
}
