//! What a workload depends on: assets, rights, services and outside programs.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{
    common::{Sensitivity, choices},
    schema,
};

choices! {
    /// How users agree to a capability.
    pub enum Consent {
        /// No agreement is needed.
        NotNeeded = "none",
        /// It is off until the user turns it on.
        OptIn = "optIn",
        /// It is on until the user turns it off.
        OptOut = "optOut",
    }

    /// What a dataset is used for.
    pub enum DatasetPurpose {
        /// Making a model.
        Training = "training",
        /// Adapting a model.
        FineTuning = "finetuning",
        /// Measuring a model.
        Evaluation = "evaluation",
        /// Looking things up while answering.
        Retrieval = "retrieval",
        /// Collecting the reactions of users.
        Feedback = "feedback",
        /// Serving the running system otherwise.
        Operational = "operational",
    }

    /// How a dataset is used.
    pub enum Access default Read {
        /// Mounted read-only.
        Read = "read",
        /// Written by this workload.
        Write = "write",
    }

    /// What keeps an action of an agent safe.
    pub enum FailSafeKind {
        /// A person confirms each action.
        HumanApproval = "humanApproval",
        /// The action can be undone.
        Reversible = "reversible",
        /// A limit on number or amount holds outside the model.
        Limit = "limit",
        /// The action only simulates.
        DryRun = "dryRun",
    }
}

/// A model that the pods load or call.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelUse {
    /// Name of the `AIModel` in the same namespace.
    #[schemars(schema_with = "schema::name")]
    pub name: String,
    /// The capabilities that the workload uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub capabilities_used: Vec<CapabilityUse>,
    /// How each capability that is not used is turned off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub capabilities_disabled_by: Vec<CapabilityDisabled>,
}

/// A capability in use.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CapabilityUse {
    /// Name of the capability, as the model declares it.
    #[schemars(schema_with = "schema::identifier")]
    pub name: String,
    /// How users agree to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
    /// The setting by which users switch it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub setting_ref: Option<String>,
}

/// A capability that is turned off.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.arg) || has(self.env) || has(self.rule)", "say by which arg, env or rule it is turned off"))]
pub struct CapabilityDisabled {
    /// Name of the capability, as the model declares it.
    #[schemars(schema_with = "schema::identifier")]
    pub name: String,
    /// The argument of a container that turns it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub arg: Option<String>,
    /// The environment variable that turns it off, as `NAME=value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub env: Option<String>,
    /// The rule of a gateway or guard that turns it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub rule: Option<String>,
}

/// A dataset that the pods read or write.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatasetUse {
    /// Name of the `AIDataset`.
    #[schemars(schema_with = "schema::name")]
    pub name: String,
    /// Namespace of the `AIDataset`, this one unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label")]
    pub namespace: Option<String>,
    /// What it is used for.
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub use_: Option<DatasetPurpose>,
    /// How it is used.
    #[serde(default)]
    pub access: Access,
}

/// A prompt or policy that the pods read.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptUse {
    /// Name of the `AIPrompt` in the same namespace.
    #[schemars(schema_with = "schema::name")]
    pub name: String,
}

/// What the pods may do in the cluster and outside it.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Rights in the cluster that the function needs; none unless stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub permissions: Vec<Permission>,
    /// A token for signing in elsewhere; none unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenRequest>,
    /// Identities at cloud providers that the service account may take.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub cloud_identities: Vec<CloudIdentity>,
}

/// Rights in the cluster, as a rule of a `Role` writes them.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("!self.verbs.exists(v, v == '*') && !self.resources.exists(r, r == '*') && !self.apiGroups.exists(g, g == '*')", "name verbs, resources and groups, \"*\" is too wide")
)]
pub struct Permission {
    /// API groups; an empty string is the core group.
    #[schemars(schema_with = "schema::api_groups")]
    pub api_groups: Vec<String>,
    /// Resources, with a subresource after a slash.
    #[schemars(schema_with = "schema::rule_words")]
    pub resources: Vec<String>,
    /// Names of objects; any of them unless stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::paths")]
    pub resource_names: Vec<String>,
    /// Verbs.
    #[schemars(schema_with = "schema::rule_words")]
    pub verbs: Vec<String>,
}

/// A token of the service account, mounted for one audience and a short time.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRequest {
    /// Who accepts the token; the API server unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub audience: Option<String>,
    /// How long it is valid, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 600, max = 86400))]
    pub ttl_seconds: Option<i64>,
}

/// An identity at a cloud provider.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudIdentity {
    /// The provider. For `aws`, `gcp` and `azure` the operator writes the annotation of the service account.
    #[schemars(schema_with = "schema::identifier")]
    pub provider: String,
    /// The role, principal or account there, as the annotation of the service account names it.
    #[schemars(schema_with = "schema::path")]
    pub principal: String,
}

/// Annotations by which a service account takes an identity at a cloud provider, and how declarations call the provider.
pub const CLOUD_ANNOTATIONS: [(&str, &str); 4] = [
    ("aws", "eks.amazonaws.com/role-arn"),
    ("gcp", "iam.gke.io/gcp-service-account"),
    ("azure", "azure.workload.identity/client-id"),
    ("alibaba", "pod-identity.alibabacloud.com/role-name"),
];

impl CloudIdentity {
    /// The annotation of the service account that takes it, where the provider has one.
    #[must_use]
    pub fn annotation(&self) -> Option<&'static str> {
        let known =
            CLOUD_ANNOTATIONS.iter().find(|(provider, _)| provider.eq_ignore_ascii_case(&self.provider));
        known.map(|(_, annotation)| *annotation)
    }
}

/// Something that an agent may do to another system.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentAction {
    /// The system it acts on: an entry of services or externalApis.
    #[schemars(schema_with = "schema::identifier")]
    pub target: String,
    /// What it does there.
    #[schemars(schema_with = "schema::identifier")]
    pub verb: String,
    /// What keeps it safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_safe: Option<FailSafe>,
}

/// What keeps an action of an agent safe.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailSafe {
    /// The kind of safety.
    pub kind: FailSafeKind,
    /// The object that provides it, as `Kind/name`.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub ref_: Option<String>,
}

/// A program in the cluster that the pods call.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceUse {
    /// A name for it.
    #[schemars(schema_with = "schema::label")]
    pub name: String,
    /// Its namespace, this one unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label")]
    pub namespace: Option<String>,
    /// Labels of its pods.
    #[schemars(schema_with = "schema::match_labels")]
    pub pod_labels: BTreeMap<String, String>,
    /// The ports of its pods.
    #[schemars(schema_with = "schema::ports")]
    pub ports: Vec<u16>,
    /// The most sensitive data that is sent there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<Sensitivity>,
}

/// A program outside the cluster that the pods call.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalApi {
    /// A name for it.
    #[schemars(schema_with = "schema::label")]
    pub name: String,
    /// Its host name.
    #[schemars(schema_with = "schema::name")]
    pub host: String,
    /// Its port.
    #[serde(default = "https", skip_serializing_if = "is_https")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// The address ranges it answers from; the generated network policy opens only these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::cidrs")]
    pub cidrs: Vec<String>,
    /// Name of the `AISupplier` behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub supplier_ref: Option<String>,
    /// The classes of data that are sent there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub data_classes: Vec<Sensitivity>,
    /// How users agree that their data goes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<ApiConsent>,
}

/// The usual port of an outside program.
const fn https() -> u16 {
    443
}

/// Whether the port is the usual one.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
const fn is_https(port: &u16) -> bool {
    *port == https()
}

/// How users agree that their data leaves.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiConsent {
    /// Users sign in before their data is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_required: Option<bool>,
    /// Users confirm before their data is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_required: Option<bool>,
    /// The proxy or guard that confirms where no person is present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub by: Option<String>,
}
