//! How a workload is reached, what guards it, and where its results and its users' data go.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{
    common::{Audience, Sensitivity, choices},
    schema,
};

choices! {
    /// How callers prove who they are.
    pub enum Authentication {
        /// They do not.
        Nobody = "none",
        /// A token of an `OpenID` Connect provider.
        Oidc = "oidc",
        /// A client certificate.
        Mtls = "mtls",
        /// A key given to each client.
        ApiKey = "apiKey",
        /// A token of a Kubernetes service account.
        ServiceAccount = "serviceAccount",
    }

    /// How the connection is protected.
    pub enum Tls {
        /// It is not.
        Plain = "none",
        /// The server shows a certificate.
        Server = "server",
        /// Both sides show a certificate.
        Mutual = "mutual",
    }

    /// A span of time for a rate.
    pub enum RatePeriod {
        /// One second.
        Second = "second",
        /// One minute.
        Minute = "minute",
        /// One hour.
        Hour = "hour",
        /// One day.
        Day = "day",
    }

    /// What a rate is counted by.
    pub enum RateKey {
        /// Each authenticated client on its own.
        Client = "client",
        /// Each address on its own.
        Address = "address",
        /// All callers together.
        Global = "global",
    }

    /// What an extra costs the user.
    pub enum Pricing {
        /// Nothing.
        Included = "included",
        /// A surcharge.
        Extra = "extra",
    }

    /// What a guardrail rests on.
    pub enum GuardrailKind {
        /// Fixed rules, without a model.
        NonAi = "nonAI",
        /// A model, which is an AI asset of its own.
        Ai = "AI",
    }
}

impl RatePeriod {
    /// The name that gateways give it: `Minute`.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Second => "Second",
            Self::Minute => "Minute",
            Self::Hour => "Hour",
            Self::Day => "Day",
        }
    }

    /// Its length in seconds.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }
}

/// One way in which others reach the workload.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exposure {
    /// A name for it.
    #[schemars(schema_with = "schema::label")]
    pub name: String,
    /// Name of the `Service` in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label")]
    pub service: Option<String>,
    /// The port of the container that serves it.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// Who may reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// The pods that may reach it; with an audience beyond this cluster, those of the gateway. None unless stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub from: Vec<Peer>,
    /// How callers prove who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authn: Option<Authentication>,
    /// How the connection is protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Version of the interface, as its address names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub api_version: Option<String>,
    /// Where those who use it can try the next version before it takes the place of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uri")]
    pub preview_ref: Option<String>,
    /// The fields of an answer; what users do not need stays out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::identifiers")]
    pub output_fields: Vec<String>,
    /// How many requests are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// The largest request, in bytes: 1 GiB at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub max_request_bytes: Option<i64>,
    /// The longest answer of a language model, in tokens: 1048576 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_048_576))]
    pub max_tokens: Option<i64>,
    /// The longest time for an answer, in seconds: one hour at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: Option<i64>,
    /// The object that sets these limits, as `Kind/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub configured_by: Option<String>,
    /// How users get the log of their own requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_log: Option<AuditLogOffer>,
}

/// Pods elsewhere in the cluster.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Their namespace, this one unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label")]
    pub namespace: Option<String>,
    /// Labels that they all carry.
    #[schemars(schema_with = "schema::match_labels")]
    pub pod_labels: BTreeMap<String, String>,
}

/// How many requests are served.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Number of requests: 100 million at most.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub requests: i64,
    /// In which time.
    pub per: RatePeriod,
    /// Counted by what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<RateKey>,
}

/// How users get the log of their own requests.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditLogOffer {
    /// Whether they can get it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<bool>,
    /// In which way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub how: Option<String>,
    /// At which price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Pricing>,
}

/// What stands between users and models.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Guardrails {
    /// What checks requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Guardrail>,
    /// What checks answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Guardrail>,
}

/// A check of requests or answers.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.container) != has(self.ref)", "name either a container of the pod or a ref to a service or gateway"))]
pub struct Guardrail {
    /// What it rests on.
    pub kind: GuardrailKind,
    /// The container of the pod that does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label")]
    pub container: Option<String>,
    /// The service or gateway object that does it, as `Kind/name`.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub ref_: Option<String>,
    /// Digest of the image that does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub image_digest: Option<String>,
    /// Its rules, as `AIPrompt/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub policy_ref: Option<String>,
}

/// Where results go.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The place: `exposure/NAME`, `dataset/NAME` or `sink/NAME`.
    #[schemars(schema_with = "schema::path")]
    pub destination: String,
    /// How sensitive the results are.
    pub sensitivity: Sensitivity,
    /// The guardrail that lowers the sensitivity, where it is lower than that of the inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub downgraded_by: Option<String>,
}

/// What happens to the data of users.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserData {
    /// Whether models are trained with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_for_training: Option<bool>,
    /// Whether people read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub human_review: Option<bool>,
    /// Where it is stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::identifiers")]
    pub storage: Vec<String>,
    /// How long it is kept, as an ISO 8601 duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub retention: Option<String>,
    /// Names of the suppliers that receive it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::names")]
    pub third_parties: Vec<String>,
}
