//! What the operator brings about for a declaration: identity, permissions, network policies, monitor.
//!
//! `build` is pure and cannot fail; `apply` writes only what differs, and never touches an object that is not ours.

mod limits;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference};
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::api::common::{DEFAULT_DENY, LABEL_MANAGED_BY, LABEL_WORKLOAD, MANAGER};
use crate::api::workload::{AIWorkload, LifecycleState, Manage, MetricsScheme, WorkloadType};
use crate::gather::world::World;
use crate::policy::facts::{Cluster, Namespace};

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
        "{kind} {name:?} exists and was not generated for this AIWorkload: delete it, or set spec.manage: Observe"
    )]
    NameTaken {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
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
}

impl GenerateError {
    /// The variant, for metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NameTaken { .. } => "NameTaken",
            Self::Apply { .. } => "Apply",
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
    add(Resource::NetworkPolicy, json!({"spec": network(workload)}));
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
        let active = spec.lifecycle.as_ref().is_none_or(|l| l.state == LifecycleState::Active);
        if kinds.alert_rules && active {
            add(
                Resource::AlertRule,
                json!({"spec": {"groups": [alerts(namespace, name, &metrics.required)]}}),
            );
        }
    }
    out
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

/// The declared allowances; everything else stays closed by the namespace's default. Who is in quarantine, or gone, has none.
fn network(workload: &AIWorkload) -> Value {
    let spec = &workload.spec;
    let state = spec.lifecycle.as_ref().map(|lifecycle| lifecycle.state);
    if matches!(state, Some(LifecycleState::Quarantined | LifecycleState::Disposed)) {
        return json!({
            "podSelector": {"matchLabels": spec.selector.match_labels},
            "policyTypes": ["Egress", "Ingress"],
        });
    }
    let port = |port: u16| json!({"port": port, "protocol": "TCP"});
    let peer = |namespace: Option<&str>, labels: &std::collections::BTreeMap<String, String>| {
        let mut peer = json!({"podSelector": {"matchLabels": labels}});
        if let Some(namespace) = namespace {
            peer["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
        }
        peer
    };
    let mut egress = Vec::new();
    if !spec.services.is_empty() || !spec.external_apis.is_empty() {
        // Names have to be resolved before anything can be called.
        egress.push(json!({
            "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
            "to": [{
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            }],
        }));
    }
    for service in &spec.services {
        egress.push(json!({
            "ports": service.ports.iter().map(|p| port(*p)).collect::<Vec<_>>(),
            "to": [peer(service.namespace.as_deref(), &service.pod_labels)],
        }));
    }
    for api in spec.external_apis.iter().filter(|api| !api.cidrs.is_empty()) {
        let to: Vec<Value> = api.cidrs.iter().map(|cidr| json!({"ipBlock": {"cidr": cidr}})).collect();
        egress.push(json!({"ports": [port(api.port)], "to": to}));
    }
    let mut ingress = Vec::new();
    for exposure in spec.exposure.iter().filter(|exposure| !exposure.from.is_empty()) {
        let from: Vec<Value> =
            exposure.from.iter().map(|p| peer(p.namespace.as_deref(), &p.pod_labels)).collect();
        ingress.push(json!({"from": from, "ports": [port(exposure.port)]}));
    }
    if let Some(metrics) = spec.monitoring.as_ref().and_then(|m| m.metrics.as_ref()) {
        // Whoever scrapes lives in another namespace, which the declaration does not name: the port alone is open.
        ingress.push(json!({
            "from": [{"namespaceSelector": {}}],
            "ports": [{"port": metrics.port, "protocol": "TCP"}],
        }));
    }
    let mut out = json!({
        "podSelector": {"matchLabels": spec.selector.match_labels},
        "policyTypes": ["Egress", "Ingress"],
    });
    if !egress.is_empty() {
        out["egress"] = Value::Array(egress);
    }
    if !ingress.is_empty() {
        out["ingress"] = Value::Array(ingress);
    }
    out
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

/// Whether the world already shows `desired`, as far as the world knows that kind.
#[must_use]
pub fn present(world: &World, desired: &Desired) -> bool {
    let namespace = world.namespace(&desired.namespace);
    let name = desired.name.as_str();
    match desired.resource {
        Resource::ServiceAccount => namespace.service_accounts.get(name).is_some_and(|account| {
            let wanted = &desired.object["metadata"]["annotations"];
            account.generated_for.as_deref() == Some(name)
                && account.automount == Some(false)
                && wanted.as_object().map_or(0, serde_json::Map::len) == account.cloud.len()
                && account.cloud.iter().all(|(key, value)| wanted[*key] == value.as_str())
        }),
        Resource::NetworkPolicy => namespace.network_policies.get(name).is_some_and(|policy| {
            policy.generated
                && serde_json::from_value(desired.object["spec"].clone()).is_ok_and(
                    |spec: k8s_openapi::api::networking::v1::NetworkPolicySpec| {
                        same_policy(&spec, &policy.spec)
                    },
                )
        }),
        Resource::Role => world.rbac.role(Some(&desired.namespace), name).is_some_and(|rules| {
            serde_json::from_value::<Vec<k8s_openapi::api::rbac::v1::PolicyRule>>(
                desired.object["rules"].clone(),
            )
            .is_ok_and(|wanted| wanted == rules)
        }),
        Resource::RoleBinding => world.rbac.grants(&desired.namespace, name).iter().any(|g| {
            g.binding.namespace == Some(&desired.namespace)
                && g.binding.name == name
                && g.role == format!("Role/{name}")
        }),
        Resource::PodMonitor => namespace.pod_monitors.get(name).is_some_and(|known| {
            let wanted = &desired.object["spec"];
            serde_json::from_value(wanted["selector"].clone())
                .is_ok_and(|selector: LabelSelector| selector == known.selector)
                && known.namespaces.is_none()
                && wanted["podMetricsEndpoints"][0]["port"].as_str().is_some_and(|port| known.ports == [port])
        }),
        Resource::TrafficPolicy => namespace.traffic_policies.get(name).is_some_and(|known| {
            serde_json::from_value(desired.object.clone())
                .is_ok_and(|wanted: DynamicObject| crate::gather::world::traffic_policy(&wanted) == *known)
        }),
        Resource::AlertRule => {
            let rules = desired.object.pointer("/spec/groups/0/rules").and_then(Value::as_array);
            let wanted: BTreeSet<&str> =
                rules.into_iter().flatten().filter_map(|rule| rule["alert"].as_str()).collect();
            let known = namespace.alert_rules.get(name);
            known.is_some_and(|known| known.iter().map(String::as_str).eq(wanted))
        }
    }
}

/// Equal up to what the API server drops: an empty list and an absent one say the same here.
fn same_policy(
    a: &k8s_openapi::api::networking::v1::NetworkPolicySpec,
    b: &k8s_openapi::api::networking::v1::NetworkPolicySpec,
) -> bool {
    let types = |types: &Option<Vec<String>>| {
        let mut types = types.clone().unwrap_or_default();
        types.sort_unstable();
        types
    };
    a.pod_selector == b.pod_selector
        && types(&a.policy_types) == types(&b.policy_types)
        && a.egress.as_deref().unwrap_or_default() == b.egress.as_deref().unwrap_or_default()
        && a.ingress.as_deref().unwrap_or_default() == b.ingress.as_deref().unwrap_or_default()
}

/// Applies one object.
///
/// Errors: the name is taken by an object that is not ours, or the API server refused. Nothing is adopted.
pub async fn apply(client: &Client, desired: &Desired) -> Result<(), GenerateError> {
    let kind = desired.resource.kind();
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &desired.namespace, &desired.resource.api_resource());
    let failed = |source| GenerateError::Apply { kind, name: desired.name.clone(), source };
    if let Some(existing) = api.get_metadata_opt(&desired.name).await.map_err(failed)? {
        let labelled = crate::gather::world::generated(&existing.metadata);
        let owned = match &desired.owner {
            Some(uid) => existing.metadata.owner_references.iter().flatten().any(|o| &o.uid == uid),
            None => true,
        };
        if !(labelled && owned) {
            return Err(GenerateError::NameTaken { kind, name: desired.name.clone() });
        }
    }
    let parameters = PatchParams::apply(MANAGER).force();
    api.patch(&desired.name, &parameters, &Patch::Apply(&desired.object)).await.map_err(failed)?;
    Ok(())
}
