//! AIPrompt: a prompt, template or policy that steers a model, fixed by digest.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{
    common::{AssetOwners, AssetRisk, AssetStatus, AssetValue, NEW_DIGEST_NEW_VERSION, Retention, choices},
    model::AssetSignature,
    schema,
};

choices! {
    /// What a prompt is for.
    pub enum PromptKind {
        /// It tells the model its part.
        System = "system",
        /// It frames what users write.
        Template = "template",
        /// It tells a guardrail what to stop.
        GuardrailPolicy = "guardrailPolicy",
        /// It describes tools to an agent.
        ToolSpec = "toolSpec",
        /// It configures the system otherwise.
        Config = "config",
    }

    /// Where the text of a prompt is.
    pub enum PromptSourceKind {
        /// A `ConfigMap` with `immutable: true`.
        ConfigMap = "configMap",
        /// An OCI artifact, by digest.
        Oci = "oci",
    }
}

/// A prompt or policy: which text it is, and who answers for it.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "portcullis.dev",
    version = "v1alpha1",
    kind = "AIPrompt",
    plural = "aiprompts",
    singular = "aiprompt",
    shortname = "aip",
    category = "portcullis",
    namespaced,
    status = "AssetStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A prompt, template or policy that steers a model: which text it is, and who answers for it.",
    label("app.kubernetes.io/name", "portcullis"),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".spec.version",
        description = "Its version"
    ),
    printcolumn(name = "Kind", type_ = "string", json_path = ".spec.kind", description = "What it is for"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "Whether it can be relied on: registered, current, and stored as its digest says"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        description = "Why, or why not"
    ),
    printcolumn(
        name = "Unusual",
        type_ = "string",
        json_path = ".status.unusualChange.at",
        description = "When it was changed outside office hours, until a later review"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = NEW_DIGEST_NEW_VERSION
)]
pub struct AIPromptSpec {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<PromptKind>,
    /// Where the text is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<PromptSource>,
    /// SHA-256 of the text: which text is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub digest: Option<String>,
    /// Version; a new digest needs a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub version: Option<String>,
    /// Of the rules of a guardrail: the uses that they stop, as `purpose.prohibitedUses` of workloads names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::lines")]
    pub prohibited_uses: Vec<String>,
    /// How it is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<AssetSignature>,
    /// Who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owners: Option<AssetOwners>,
    /// What it is worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<AssetValue>,
    /// The risk that remains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<AssetRisk>,
    /// How long it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// The longest time between two reviews, as an ISO 8601 duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub review_every: Option<String>,
    /// Day of the newest review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub last_reviewed_at: Option<String>,
}

/// Where the text of a prompt is.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.kind != 'configMap' || (has(self.name) && has(self.key))", "a configMap source needs name and key"),
    validation = ("self.kind != 'oci' || (has(self.reference) && self.reference.contains('@sha256:'))", "an oci source needs a reference by digest")
)]
pub struct PromptSource {
    /// The kind of place.
    pub kind: PromptSourceKind,
    /// Name of the `ConfigMap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub name: Option<String>,
    /// Key within the `ConfigMap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub key: Option<String>,
    /// The artifact, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub reference: Option<String>,
}
