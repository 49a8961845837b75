//! What is known of the cluster that is not the subject: namespaces and what lives in them, policies, suppliers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::{Ingress, Labels, Service};
use crate::api::{self, Environment, Sensitivity};
use crate::policy::texts::Found;

/// Everything known of the cluster that is not the subject.
#[derive(Debug, Default)]
pub struct Cluster {
    /// Namespaces by name.
    pub namespaces: BTreeMap<String, Namespace>,
    /// Trust policies by name.
    pub trust_policies: BTreeMap<String, Arc<api::AITrustPolicy>>,
    /// Profiles by name.
    pub profiles: BTreeMap<String, Arc<api::AIProfile>>,
    /// Suppliers by name.
    pub suppliers: BTreeMap<String, Arc<api::AISupplier>>,
    /// Organisations by name.
    pub governances: BTreeMap<String, Arc<api::AIGovernance>>,
    /// Kinds that this cluster may lack and that change what is demanded.
    pub has_pod_monitors: bool,
    /// Whether the kind `BackendTrafficPolicy` of Envoy Gateway exists, which sets the limits of routes.
    pub has_traffic_policies: bool,
    /// Routes that lead to a Service of another namespace than their own, by `namespace/Kind/name`.
    pub routes_across: BTreeMap<String, Route>,
    /// The Services of type `ExternalName` that stand for a Service, each as namespace and name, by those of that Service.
    pub aliases: BTreeMap<(String, String), BTreeSet<(String, String)>>,
    /// Whether network policies are kept here; `None` where nobody tries, as in files and in the webhook.
    pub network: Option<Network>,
    /// The datasets that Secrets open, as namespace and name, by the namespace and the name of the Secret.
    pub opened_by: BTreeMap<(String, String), BTreeSet<(String, String)>>,
    /// Volumes whose content stays when their claim goes, by name.
    pub kept_volumes: BTreeSet<String>,
    /// Volumes that are folders of a node by which a pod would rule it, by name.
    pub node_volumes: BTreeMap<String, NodeVolume>,
    /// Whether this cluster has the kind of alert rules.
    pub has_alert_rules: bool,
    /// Drift of the webhook configuration and other faults of the enforcement itself, as sentences.
    pub enforcement_faults: Vec<EnforcementFault>,
    /// Assets that went with their namespaces, and what no record covers of each; bounded.
    pub undisposed: Vec<(String, String)>,
    /// Whether the audit trail is exported; `None` where nobody knows, as in files.
    pub trail_exported: Option<bool>,
    /// AI outside governed namespaces, as `namespace/pod: reason`, bounded.
    pub undeclared: Vec<String>,
}

/// Whether the network plugin keeps network policies, by direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// What is closed to those who would come in.
    pub ingress: Closing,
    /// What is closed to those who would go out.
    pub egress: Closing,
}

/// What came of a try at a port that a policy closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closing {
    /// It is closed.
    Closed,
    /// It is open all the same.
    Open,
    /// Nobody knows; why.
    Unknown(&'static str),
}

/// Something wrong with the enforcement itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnforcementFault {
    /// The object, e.g. `ValidatingWebhookConfiguration "portcullis"`.
    pub object: String,
    /// What is or was wrong with it.
    pub detail: String,
    /// The way out.
    pub fix: &'static str,
}

/// One namespace and what lives in it.
#[derive(Clone, Debug, Default)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its UID; `None` where it stands in a file.
    pub uid: Option<String>,
    /// Its labels.
    pub labels: Labels,
    /// True while it is being deleted.
    pub terminating: bool,
    /// Declarations by name.
    pub workloads: BTreeMap<String, Arc<api::AIWorkload>>,
    /// Models by name.
    pub models: BTreeMap<String, Arc<api::AIModel>>,
    /// Datasets by name.
    pub datasets: BTreeMap<String, Arc<api::AIDataset>>,
    /// Prompts by name.
    pub prompts: BTreeMap<String, Arc<api::AIPrompt>>,
    /// Evidence by name.
    pub evidence: BTreeMap<String, Arc<api::AIEvidence>>,
    /// Exemptions by name.
    pub exemptions: BTreeMap<String, Arc<api::AIExemption>>,
    /// Claims of devices by `ResourceClaim/name`, and templates for such by `ResourceClaimTemplate/name`.
    pub device_claims: BTreeMap<String, DeviceClaim>,
    /// Claims of volumes by name.
    pub claims: BTreeMap<String, Claim>,
    /// `ConfigMaps` that carry the label of prompts, by name.
    pub config_maps: BTreeMap<String, ConfigMap>,
    /// Digests of all other `ConfigMaps` by name and key, where the world is made of files; in a cluster the status of
    /// evidence says what became of its document.
    pub documents: BTreeMap<String, BTreeMap<String, String>>,
    /// What was found in other `ConfigMaps` that pods refer to, where they were read.
    pub texts: BTreeMap<String, Text>,
    /// `ConfigMaps` that carry the label of settings, by name.
    pub settings_maps: BTreeMap<String, ConfigMap>,
    /// ServiceAccounts by name.
    pub service_accounts: BTreeMap<String, ServiceAccount>,
    /// NetworkPolicies by name.
    pub network_policies: BTreeMap<String, NetworkPolicy>,
    /// `PodMonitors` by name.
    pub pod_monitors: BTreeMap<String, PodMonitor>,
    /// `ServiceMonitors` by name.
    pub service_monitors: BTreeMap<String, PodMonitor>,
    /// The names of the alerts in each `PrometheusRule`.
    pub alert_rules: BTreeMap<String, BTreeSet<String>>,
    /// Services by name.
    pub services: BTreeMap<String, Service>,
    /// Ingresses by name.
    pub ingresses: BTreeMap<String, Ingress>,
    /// Routes of the Gateway API by `Kind/name`.
    pub routes: BTreeMap<String, Route>,
    /// `ReferenceGrants` that let routes of other namespaces lead to Services of this one, by name.
    pub route_grants: BTreeMap<String, RouteGrant>,
    /// Gateways by name.
    pub gateways: BTreeMap<String, Gateway>,
    /// Policies of Envoy Gateway on the traffic of routes and gateways, by name.
    pub traffic_policies: BTreeMap<String, TrafficPolicy>,
    /// What is open for longer than it may be; bounded, and known to the audit alone.
    pub overdue: Vec<Overdue>,
    /// Assets that are gone and whose record is gone too, with what is still known of it; bounded, and known to the audit
    /// alone.
    pub lost_records: Vec<(String, String)>,
    /// Names of `ResourceQuotas`.
    pub resource_quotas: BTreeSet<String>,
    /// Names of `LimitRanges`.
    pub limit_ranges: BTreeSet<String>,
    /// `HorizontalPodAutoscalers` by name; what KEDA scales has one too.
    pub autoscalers: BTreeMap<String, Autoscaler>,
}

impl Namespace {
    /// Its environment, if it carries a known one.
    #[must_use]
    pub fn environment(&self) -> Option<Environment> {
        self.labels.get(api::common::LABEL_ENVIRONMENT)?.parse().ok()
    }

    /// Its sensitivity, if it carries a known one.
    #[must_use]
    pub fn sensitivity(&self) -> Option<Sensitivity> {
        self.labels.get(api::common::LABEL_SENSITIVITY)?.parse().ok()
    }

    /// Whether the operator governs it: it says, or tries to say, which environment it is.
    #[must_use]
    pub fn governed(&self) -> bool {
        self.labels.contains_key(api::common::LABEL_ENVIRONMENT)
    }
}

/// A finding that is open for longer than it may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overdue {
    /// The control.
    pub control: String,
    /// The object, as `namespace/Kind/name`.
    pub object: String,
    /// Since how many days it is open.
    pub days: i64,
    /// Within how many days it was to be mended.
    pub window: i64,
}

/// What is known of a ServiceAccount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its setting of `automountServiceAccountToken`.
    pub automount: Option<bool>,
    /// The AIWorkload that owns it, if the operator generated it.
    pub generated_for: Option<String>,
    /// Names of its image pull secrets.
    pub pull_secrets: Vec<String>,
    /// The identities at cloud providers that it takes, by annotation.
    pub cloud: Vec<(&'static str, String)>,
}

/// A volume that is a folder of a node which no pod should have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeVolume {
    /// The folder.
    pub path: String,
    /// What is wrong with it, as a clause.
    pub why: &'static str,
    /// The claim that it is kept for, as namespace and name, whether or not it is bound already.
    pub claim: Option<(String, String)>,
}

/// What is known of a claim of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Its UID; `None` where it stands in a file.
    pub uid: Option<String>,
    /// Its storage class; `None` while the default of the cluster has not been filled in.
    pub storage_class: Option<String>,
    /// Its access modes, as it asks for them.
    pub access_modes: Vec<String>,
    /// The volume that it is bound to.
    pub volume: Option<String>,
    /// The claim whose content it was filled with: its namespace, this one unless stated, and its name.
    pub copy_of: Option<(Option<String>, String)>,
}

/// What is known of a claim of devices, or of a template for one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceClaim {
    /// What it asks for.
    pub requests: Vec<DeviceRequest>,
}

/// A request of a claim of devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceRequest {
    /// Its name.
    pub name: String,
    /// How many devices, at most; `None` for every one of its class.
    pub count: Option<i64>,
    /// Whether it asks for the devices whoever else holds them.
    pub admin: bool,
    /// The classes of which it may get them.
    pub classes: Vec<String>,
}

/// What is known of a `ConfigMap` that holds prompts or settings. Its text is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigMap {
    /// Whether the API server refuses every change of it.
    pub immutable: bool,
    /// SHA-256 of each value, as `sha256:` and 64 hexadecimal digits, by key.
    pub digests: BTreeMap<String, String>,
}

/// What came of reading a `ConfigMap` that pods refer to. Its text is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// It was read.
    Read {
        /// The keys that hold credentials.
        credentials: Vec<Found>,
        /// The keys that may end the name of a variable that holds a prompt.
        prompts: Vec<String>,
    },
    /// It could not be read; why.
    Unread(String),
}

/// What is known of a NetworkPolicy.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkPolicy {
    /// True when the operator generated it.
    pub generated: bool,
    /// What it says.
    pub spec: Arc<NetworkPolicySpec>,
}

/// What is known of a PodMonitor, or of a `ServiceMonitor`, which selects Services instead of pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodMonitor {
    /// Which pods it selects.
    pub selector: LabelSelector,
    /// Namespaces it selects: `None` its own only, otherwise these names; `any` is `["*"]`.
    pub namespaces: Option<Vec<String>>,
    /// Ports it scrapes, by name or number.
    pub ports: Vec<String>,
}

/// What is known of a `HorizontalPodAutoscaler`: what it scales, and to how many at least.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Autoscaler {
    /// Kind of what it scales.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The least number of pods.
    pub least: i64,
}

/// What is known of a Gateway: its listeners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gateway {
    /// What it listens on.
    pub listeners: Vec<Listener>,
}

/// A listener of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Its port.
    pub port: i64,
    /// Whether it takes calls in the clear: protocol HTTP.
    pub clear: bool,
}

/// What a route hangs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parent {
    /// Namespace of the Gateway, that of the route unless stated.
    pub namespace: Option<String>,
    /// Name of the Gateway.
    pub gateway: String,
    /// The listener; all of them unless stated.
    pub listener: Option<String>,
    /// The port of the listeners; any unless stated.
    pub port: Option<i64>,
}

/// What is known of a route of the Gateway API (`HTTPRoute`, `GRPCRoute`, `TLSRoute`, `TCPRoute`, `UDPRoute`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The Services that it leads to: namespace, `None` for its own, and name.
    pub backends: Vec<(Option<String>, String)>,
    /// The Gateways of its own namespace that it hangs on.
    pub gateways: Vec<String>,
    /// Every Gateway that it hangs on, with the listener.
    pub parents: Vec<Parent>,
}

impl Route {
    /// Whether it leads to a Service; `own` says whether the route lives in the Service's namespace.
    #[must_use]
    pub fn leads_to(&self, namespace: &str, service: &str, own: bool) -> bool {
        self.backends
            .iter()
            .any(|(home, name)| name == service && home.as_deref().map_or(own, |home| home == namespace))
    }
}

/// What is known of a `ReferenceGrant`: which routes of other namespaces may lead to Services of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteGrant {
    /// The kinds of routes, each with its namespace.
    pub from: Vec<(String, String)>,
    /// The Services; `None` stands for all of them.
    pub to: Vec<Option<String>>,
}

impl RouteGrant {
    /// Whether a route of `kind` in `namespace` may lead to `service`.
    #[must_use]
    pub fn allows(&self, kind: &str, namespace: &str, service: &str) -> bool {
        self.from.iter().any(|(known, home)| known == kind && home == namespace)
            && self.to.iter().any(|named| named.as_deref().is_none_or(|named| named == service))
    }
}

/// What is known of a `BackendTrafficPolicy` of Envoy Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficPolicy {
    /// What it is about, as `Kind/name` of its own namespace.
    pub targets: Vec<String>,
    /// The limits that hold for every caller: requests, and in how many seconds.
    pub rates: Vec<(i64, i64)>,
    /// After how many seconds a request is given up, where it says so; 0 for never.
    pub timeout: Option<i64>,
    /// The largest request, as an amount of bytes, where it says so.
    pub largest: Option<String>,
}

/// Settings of the profiles that apply to a namespace.
#[derive(Debug, Default)]
pub struct Settings {
    /// Images of platform agents that may run undeclared, as digests.
    pub platform_agents: BTreeSet<String>,
    /// Isolation asked for by sensitivity.
    pub isolation: Vec<api::profile::Isolation>,
    /// Limits and lists of the profiles by name, with the value of each profile that has one.
    pub parameters: BTreeMap<String, Vec<String>>,
    /// Unknown control names found in profiles, as `profile: name`.
    pub unknown_controls: Vec<String>,
}

impl Settings {
    /// A limit in days: the strictest that an applying profile states as an ISO 8601 duration, else `default`.
    #[must_use]
    pub fn days(&self, name: &str, default: i64) -> i64 {
        let stated = self.parameters.get(name).into_iter().flatten();
        let days = |text: &String| crate::policy::dates::duration(text).map(|length| length.as_hours() / 24);
        stated.filter_map(days).filter(|days| *days > 0).min().unwrap_or(default)
    }

    /// A list: the words that any applying profile names; empty where none does.
    pub fn words<'s>(&'s self, name: &str) -> impl Iterator<Item = &'s str> {
        let stated = self.parameters.get(name).into_iter().flatten();
        stated.flat_map(|text| text.split(',')).map(str::trim).filter(|word| !word.is_empty())
    }
}
