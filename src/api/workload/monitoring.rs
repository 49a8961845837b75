//! How a workload is watched: figures, logs, alerts.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::serving::Peer;
use crate::api::{
    common::{Sensitivity, choices},
    schema,
};

choices! {
    /// How figures are read.
    pub enum MetricsScheme {
        /// Without encryption.
        Http = "http",
        /// Encrypted, by a certificate that nobody has to vouch for.
        Https = "https",
    }

    /// How much of inputs and outputs is logged.
    pub enum IoLogMode {
        /// Everything.
        Full = "full",
        /// Everything, with personal and secret parts removed.
        Redacted = "redacted",
        /// Who, when and how much, without content.
        Metadata = "metadata",
        /// Nothing; the data controller says why.
        Nothing = "none",
    }

    /// Where a log goes.
    pub enum SinkKind {
        /// A `Service` in the cluster, named by `namespace/name`.
        Service = "service",
        /// An entry of externalApis, by its name.
        ExternalApi = "externalApi",
        /// A `PersistentVolumeClaim` of the namespace, by its name.
        Volume = "pvc",
        /// The output of the container, collected from the node.
        Stdout = "stdout",
    }

    /// Whether internal states of the model are logged.
    pub enum InternalStatesDecision {
        /// They are.
        Logged = "logged",
        /// They are not, for the reason given.
        NotLogged = "notLogged",
    }

    /// What an alert tells of.
    pub enum AlertKind {
        /// Behaviour changes slowly.
        Drift = "drift",
        /// Behaviour changes at once.
        Sudden = "sudden",
        /// Somebody may be copying the model by questions.
        Extraction = "extraction",
        /// Somebody may have broken in.
        Intrusion = "intrusion",
        /// Use is against the rules.
        Abuse = "abuse",
    }
}

/// How a workload is watched.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Monitoring {
    /// Where figures are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// Where inputs and outputs are logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_log: Option<IoLog>,
    /// Whether internal states of the model are logged, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal_states: Option<InternalStates>,
    /// Which changes of behaviour raise an alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behaviour: Option<Behaviour>,
    /// How odd inputs are found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<Anomaly>,
    /// Why nothing looks for odd inputs, where a public or critical workload declares no `anomaly`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::text")]
    pub no_anomaly_reason: Option<String>,
    /// How often logs are analysed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_review: Option<LogReview>,
}

/// Where figures are read.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Name of the container port.
    #[schemars(schema_with = "schema::port_name")]
    pub port: String,
    /// The pods that may read them: all of the cluster unless stated, for the generated network policy has to let somebody in
    /// whom no declaration names. State them where this port is one of `exposure` with `from` too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub from: Vec<Peer>,
    /// Path of the address, `/metrics` unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub path: Option<String>,
    /// How it is read: without encryption unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<MetricsScheme>,
    /// Names of figures that must be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::paths")]
    pub required: Vec<String>,
}

/// Where inputs and outputs are logged.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.mode == 'none' || has(self.sink)", "a log needs a sink"),
    validation = ("!(self.mode in ['none', 'metadata']) || has(self.reason)", "logging less than the content needs a reason by the data controller")
)]
pub struct IoLog {
    /// How much is logged.
    pub mode: IoLogMode,
    /// The container of the pod that logs; the exposure's gateway unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label")]
    pub container: Option<String>,
    /// Where the log goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<LogSink>,
    /// Name of the counter of records that were written, among the figures of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub counter: Option<String>,
    /// Name of the counter of requests, among the figures of the pod: where it grows, that of records has to grow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub requests: Option<String>,
    /// How long it is kept, as an ISO 8601 duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub retention: Option<String>,
    /// The legal ground for keeping personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub lawful_basis: Option<String>,
    /// Why less than the content is logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::text")]
    pub reason: Option<String>,
    /// User who decided so: a data controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::person")]
    pub decided_by: Option<String>,
}

/// The place that a log goes to.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.kind == 'stdout' || has(self.ref)", "name the sink in ref"))]
pub struct LogSink {
    /// The kind of place.
    pub kind: SinkKind,
    /// Its name: `namespace/name` of a service, else the plain name.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub ref_: Option<String>,
    /// The port of a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// Whether the way there is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<bool>,
    /// How sensitive its content may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<Sensitivity>,
    /// Groups that may read it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::people")]
    pub readers: Vec<String>,
}

/// Whether internal states of the model are logged, and why.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InternalStates {
    /// The decision.
    pub decision: InternalStatesDecision,
    /// The reason.
    #[schemars(schema_with = "schema::text")]
    pub reason: String,
    /// Where they are logged to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<LogSink>,
    /// User who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::person")]
    pub decided_by: Option<String>,
    /// Day of the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub decided_at: Option<String>,
}

/// Which changes of behaviour raise an alert.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Behaviour {
    /// The alerts, by the names of their rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub alerts: Vec<Alert>,
}

/// An alert.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Name of the alert in a `PrometheusRule`.
    #[schemars(schema_with = "schema::identifier")]
    pub name: String,
    /// What it tells of.
    pub kind: AlertKind,
}

/// How odd inputs are found.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Anomaly {
    /// The method.
    #[schemars(schema_with = "schema::line")]
    pub method: String,
    /// The container of the pod that does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label")]
    pub container: Option<String>,
    /// The alert it raises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub alert: Option<String>,
}

/// How often logs are analysed.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogReview {
    /// The longest time between two analyses, as an ISO 8601 duration.
    #[schemars(schema_with = "schema::duration")]
    pub every: String,
}
