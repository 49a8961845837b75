//! AIProfile: how strictly each control is taken, where.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    common::{Criticality, Environment, Mode, Sensitivity, choices},
    schema,
};

choices! {
    /// The modes that hold where a profile says nothing.
    pub enum BaseProfile default Core {
        /// The first twenty controls are enforced, safe-model-loading is warned of, everything else is audited.
        Core = "core",
        /// Every control has the mode that the Code calls for.
        Code = "code",
        /// As `code`, and recommendations are enforced too.
        Strict = "strict",
    }
}

/// How strictly each control is taken, where.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "portcullis.dev",
    version = "v1alpha1",
    kind = "AIProfile",
    plural = "aiprofiles",
    singular = "aiprofile",
    shortname = "aiprof",
    category = "portcullis",
    status = "AIProfileStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "How strictly each control is taken in which namespaces: enforce, warn or audit. Where several match, the strictest counts.",
    label("app.kubernetes.io/name", "portcullis"),
    printcolumn(
        name = "Base",
        type_ = "string",
        json_path = ".spec.base",
        description = "The modes that hold where it says nothing"
    ),
    printcolumn(
        name = "Namespaces",
        type_ = "integer",
        json_path = ".status.namespaces",
        description = "Governed namespaces that it applies to"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "Whether all of it means something"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        description = "Why, or why not"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct AIProfileSpec {
    /// Version of the catalogue of controls that it was written for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub catalogue_version: Option<i32>,
    /// The modes that hold where it says nothing.
    #[serde(default)]
    pub base: BaseProfile,
    /// Where it applies; everywhere unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applies_to: Option<ProfileScope>,
    /// For each control, the mode in each environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "modes")]
    #[x_kube(validation = ("self.all(id, id.size() <= 63)", "a control id has at most 63 characters"))]
    pub controls: BTreeMap<String, BTreeMap<Environment, Mode>>,
    /// Limits and lists that controls use, by name; lists are joined by commas.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::parameters")]
    pub parameters: BTreeMap<String, String>,
    /// Programs of the platform that may run in governed namespaces without a declaration, by image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["imageDigest".into()]))]
    pub platform_agents: Vec<PlatformAgent>,
    /// How pods are set apart from others, by the sensitivity of their namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["sensitivity".into()]))]
    pub isolation: Vec<Isolation>,
}

/// For each control a mode by environment: named properties, so that a typing error is seen.
fn modes(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let mode = Mode::json_schema(generator);
    let modes: serde_json::Map<String, serde_json::Value> = Environment::ALL
        .iter()
        .map(|environment| (environment.as_str().to_owned(), mode.clone().to_value()))
        .collect();
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 128,
        "additionalProperties": {"type": "object", "properties": modes},
    })
}

/// Where a profile applies; empty lists mean everything.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileScope {
    /// Environments; all unless stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 6))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub environments: Vec<Environment>,
    /// Criticality of the workload; any unless stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub criticality: Vec<Criticality>,
    /// Namespaces; all unless stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::namespace_patterns")]
    pub namespaces: Vec<String>,
}

/// A program of the platform that needs no declaration.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlatformAgent {
    /// Digest of its image; a name proves nothing.
    #[schemars(schema_with = "schema::digest")]
    pub image_digest: String,
    /// What it is and why it may run there.
    #[schemars(schema_with = "schema::text")]
    pub reason: String,
}

/// How pods of one sensitivity are set apart.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Isolation {
    /// Sensitivity of the namespace.
    pub sensitivity: Sensitivity,
    /// Runtime classes of which a pod has to name one; any unless stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::names")]
    pub runtime_class_names: Vec<String>,
    /// Node labels that a pod has to select; any nodes unless stated.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::string_map")]
    pub node_selector: BTreeMap<String, String>,
}

/// What holds of a profile.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AIProfileStatus {
    /// How many governed namespaces it applies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<u32>,
    /// The generation of the object that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What holds of the object at present.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
