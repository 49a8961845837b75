//! What statuses share: counters of states, pods that were refused, and what holds of a record.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{common::choices, schema};

/// How many controls or provisions are in each state.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Kept.
    #[serde(default)]
    pub pass: u32,
    /// Broken, and enforced.
    #[serde(default)]
    pub fail: u32,
    /// Broken, and only warned of.
    #[serde(default)]
    pub warn: u32,
    /// Broken, and covered by an exemption.
    #[serde(default)]
    pub exempt: u32,
    /// Could not be judged.
    #[serde(default)]
    pub unknown: u32,
    /// Not concerned.
    #[serde(default)]
    pub not_applicable: u32,
}

/// Pods that were refused.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocked {
    /// Refusals in the last 24 hours.
    #[serde(default)]
    pub last24h: u64,
    /// Refusals since the object exists.
    #[serde(default)]
    pub total: u64,
    /// Refusals by the hour, the newest 24 hours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 25))]
    pub hours: Vec<HourlyCount>,
    /// The newest refusals, alike ones as one entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub attempts: Vec<Attempt>,
}

/// Refusals within one hour.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HourlyCount {
    /// Start of the hour.
    #[schemars(schema_with = "schema::date")]
    pub hour: String,
    /// How many.
    pub count: u64,
}

/// Refusals that are alike.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The control that refused.
    #[schemars(schema_with = "schema::control")]
    pub control: String,
    /// The object that was refused, as `Kind/name`.
    #[schemars(schema_with = "schema::line")]
    pub object: String,
    /// What was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::message")]
    pub message: Option<String>,
    /// How often.
    pub count: u64,
    /// First time.
    #[schemars(schema_with = "schema::date")]
    pub first_seen: String,
    /// Last time.
    #[schemars(schema_with = "schema::date")]
    pub last_seen: String,
}

/// What holds of a record that people keep: a proof, a supplier, an organisation.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordStatus {
    /// The generation of the object that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last warning of its end that was given: 30, 7 or 1 days before, 0 when it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 30))]
    pub warned_days: Option<u8>,
    /// What holds of the object at present.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// What became of an object: the newest entries of a chain, and where the chain stands.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// How many entries the chain has, those that are only in the export included.
    pub length: u64,
    /// SHA-256 of the newest entry, in hexadecimal digits.
    #[schemars(schema_with = "schema::sha256")]
    pub head: String,
    /// The parts of the composition with the first digits of a digest of each, by which a change is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub parts: Option<String>,
    /// The oldest entry that left this status before it could be exported: until that comes about, it waits in the memory of
    /// the controller alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unexported: Option<u64>,
    /// How far this history tells what the replicas of the webhook remember: the first digits of a digest of each replica, and
    /// the number of the last thing told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub heard: Option<String>,
    /// The newest entries, oldest first: six, and those that wait for an export that fails, sixteen at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub entries: Vec<HistoryEntry>,
}

choices! {
    /// What an entry of a history tells of.
    pub enum HistoryKind {
        /// What a workload is made of became another.
        Composition = "composition",
        /// The verdict turned.
        Verdict = "verdict",
        /// An exemption began or ceased to count.
        Exemption = "exemption",
        /// Somebody entered a running pod.
        BreakGlass = "breakGlass",
        /// A model, dataset or prompt was written or deleted.
        Asset = "asset",
        /// The state in the life of a workload changed, or who answers for it; or it was deleted.
        Lifecycle = "lifecycle",
        /// Entries of the history itself were lost.
        Trail = "trail",
    }
}

/// One entry of a history.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Its place in the chain, from 1.
    pub sequence: u64,
    /// When, by the operator's clock.
    #[schemars(schema_with = "schema::date")]
    pub at: String,
    /// What it tells of.
    pub kind: HistoryKind,
    /// What changed, in a few words.
    #[schemars(schema_with = "schema::line")]
    pub change: String,
    /// The digest of the composition or asset afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub digest: Option<String>,
    /// SHA-256 of the entry before it, in hexadecimal digits; zeros before the first.
    #[schemars(schema_with = "schema::sha256")]
    pub previous: String,
}

/// A change of an asset outside the office hours of its namespace.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnusualChange {
    /// When it was.
    #[schemars(schema_with = "schema::date")]
    pub at: String,
    /// User who made it.
    #[schemars(schema_with = "schema::person")]
    pub by: String,
    /// The office hours, as the profile states them.
    #[schemars(schema_with = "schema::line")]
    pub hours: String,
}
