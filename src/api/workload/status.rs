//! The verdict on a workload, written by the operator alone.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{
    common::{OverallVerdict, State},
    outcome::{Blocked, Counters, History},
    schema,
};

/// The verdict on a workload, its open rows and the pods that were refused. The operator alone writes it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AIWorkloadStatus {
    /// The generation of the object that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The worst state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<OverallVerdict>,
    /// The control that matters most among those not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::control")]
    pub top_reason: Option<String>,
    /// How many controls are in each state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<Counters>,
    /// The pods that the selector matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<PodCounts>,
    /// The controls that are not kept; a control that is not listed passes or does not apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub rows: Vec<Row>,
    /// Pods that were refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Blocked>,
    /// Digest of everything that the pods are made of; evidence names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub composition_digest: Option<String>,
    /// Since when the present composition is declared, and what came before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<Lineage>,
    /// What became of the workload, newest last; each entry carries the hash of the one before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// The newest composition that ran and kept every enforced control: what to go back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_good: Option<KnownGood>,
    /// Who wrote the declaration last, as far as the webhook was asked, the newest at the end; programs, and who
    /// only turned its state or confirmed its owners, are left out. None of them vouches for the workload as somebody else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::users")]
    pub authors: Vec<String>,
    /// The last warning that the owners have to be confirmed again: 30, 7 or 1 days before, 0 when the day came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 30))]
    pub warned_days: Option<u8>,
    /// Objects that remain while the workload retires, as `Kind/name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::paths")]
    pub residue: Vec<String>,
    /// What holds of the workload at present.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// Pods of a workload, by how they came in.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodCounts {
    /// All pods that exist.
    #[serde(default)]
    pub total: u32,
    /// Pods that ran before anybody judged them.
    #[serde(default)]
    pub never_verified: u32,
}

/// A control that is not kept.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The control.
    #[schemars(schema_with = "schema::control")]
    pub control: String,
    /// Its state.
    pub state: State,
    /// The provisions of the Code that it serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::provisions")]
    pub provisions: Vec<String>,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::message")]
    pub message: Option<String>,
    /// The object that it was found on, as `Kind/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub object: Option<String>,
}

/// A composition that ran and kept every enforced control.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownGood {
    /// Digest of the composition.
    #[schemars(schema_with = "schema::digest")]
    pub composition_digest: String,
    /// Since when it is known to be good.
    #[schemars(schema_with = "schema::date")]
    pub since: String,
    /// What it was made of, as `AIModel/name@digest`, `AIPrompt/name@digest` and `image@digest`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::few_objects")]
    pub parts: Vec<String>,
}

/// Since when a composition is declared, and what came before it.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lineage {
    /// Digest of the composition.
    #[schemars(schema_with = "schema::digest")]
    pub composition_digest: String,
    /// Since when it is declared.
    #[schemars(schema_with = "schema::date")]
    pub since: String,
    /// Digest of the composition whose place it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub former_digest: Option<String>,
    /// When its models and prompts were seen to have run in staging for long enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub previewed_at: Option<String>,
}
