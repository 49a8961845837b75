//! AICompliance: the audit of the cluster or of one namespace, written by the operator alone.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    common::{Environment, OverallVerdict, Sensitivity, State, choices},
    outcome::{Blocked, Counters, History},
    schema,
};

choices! {
    /// What an audit is about.
    pub enum Scope default Namespace {
        /// The whole cluster.
        Cluster = "Cluster",
        /// The namespace of the same name.
        Namespace = "Namespace",
    }
}

/// The audit of the cluster or of one namespace.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "portcullis.dev",
    version = "v1alpha1",
    kind = "AICompliance",
    plural = "aicompliances",
    singular = "aicompliance",
    shortname = "aic",
    category = "portcullis",
    status = "AIComplianceStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "The audit of the cluster or of one governed namespace: every provision of the Code with its state. The operator writes it.",
    label("app.kubernetes.io/name", "portcullis"),
    printcolumn(name = "Environment", type_ = "string", json_path = ".status.environment", description = "What the namespace is for"),
    printcolumn(name = "Verdict", type_ = "string", json_path = ".status.verdict", description = "Its worst state"),
    printcolumn(name = "Workloads", type_ = "integer", json_path = ".status.summary.workloads", description = "Declared workloads"),
    printcolumn(name = "Fail", type_ = "integer", json_path = ".status.summary.fail", description = "Provisions that are broken and enforced"),
    printcolumn(name = "Warn", type_ = "integer", json_path = ".status.summary.warn", description = "Provisions that are broken and only warned of"),
    printcolumn(name = "Exempt", type_ = "integer", json_path = ".status.summary.exempt", description = "Broken provisions that exemptions cover"),
    printcolumn(name = "Unknown", type_ = "integer", json_path = ".status.summary.unknown", description = "Provisions that could not be judged"),
    printcolumn(name = "Blocked-24h", type_ = "integer", json_path = ".status.blocked.last24h", description = "Pods refused in the last 24 hours"),
    printcolumn(name = "Top-Reason", type_ = "string", json_path = ".status.topReason", description = "The control that matters most"),
    printcolumn(name = "Checked", type_ = "date", json_path = ".status.lastAuditTime", description = "When it was last audited"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("(self.spec.scope == 'Cluster') == (self.metadata.name == 'cluster')").message("the row of the cluster is called cluster, and only that one")
)]
pub struct AIComplianceSpec {
    /// What the audit is about.
    #[serde(default)]
    pub scope: Scope,
}

/// The audit.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AIComplianceStatus {
    /// Version of the catalogue of controls that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalogue_version: Option<i32>,
    /// When it was last audited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub last_audit_time: Option<String>,
    /// What the namespace is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// How sensitive the data of the namespace may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<Sensitivity>,
    /// The worst state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<OverallVerdict>,
    /// The control that matters most among those not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::control")]
    pub top_reason: Option<String>,
    /// Figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// Pods that were refused; here also those that no workload declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Blocked>,
    /// States of provisions by principle, such as `draft-5` or `final-7`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub by_principle: BTreeMap<String, Counters>,
    /// States of provisions by stage of the life cycle.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub by_stage: BTreeMap<String, Counters>,
    /// Every provision of the Code with its state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub provisions: Vec<ProvisionRow>,
    /// What is not kept, the gravest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub findings: Vec<FindingRow>,
    /// Assets that are gone, with the record of their end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub tombstones: Vec<Tombstone>,
    /// What became of the assets and exemptions of the namespace, newest last; each entry carries the hash of the one
    /// before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// Where the histories of the workloads of the namespace stand: when one is deleted, the history of the namespace tells
    /// where it ended. Of more than 256 the first ones by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 512))]
    pub chains: Vec<WorkloadChain>,
    /// Where the histories of namespaces that are gone or governed no more ended, and those of their workloads; on the row of
    /// the cluster. Of more than 256 the newest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub ended: Vec<EndedChain>,
    /// What holds of the audit at present.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// Where the history of a workload stands.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadChain {
    /// Name of the `AIWorkload`.
    #[schemars(schema_with = "schema::name")]
    pub name: String,
    /// Its UID.
    #[schemars(schema_with = "schema::identifier")]
    pub uid: String,
    /// How many entries its history has.
    pub length: u64,
    /// SHA-256 of the newest of them, in hexadecimal digits.
    #[schemars(schema_with = "schema::sha256")]
    pub head: String,
}

/// Where a history ended that no status keeps any more.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedChain {
    /// Whose history: kind, namespace, name and UID, between slashes.
    #[schemars(schema_with = "schema::path")]
    pub chain: String,
    /// How many entries it has.
    pub length: u64,
    /// SHA-256 of the newest of them, in hexadecimal digits.
    #[schemars(schema_with = "schema::sha256")]
    pub head: String,
}

/// Figures of an audit.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Governed namespaces, on the row of the cluster.
    #[serde(default)]
    pub namespaces: u32,
    /// Declared workloads.
    #[serde(default)]
    pub workloads: u32,
    /// Workloads whose new pods are refused at present.
    #[serde(default)]
    pub blocked: u32,
    /// Pods that ran before anybody judged them.
    #[serde(default)]
    pub never_verified: u32,
    /// Provisions that are kept.
    #[serde(default)]
    pub pass: u32,
    /// Provisions that are broken and enforced.
    #[serde(default)]
    pub fail: u32,
    /// Provisions that are broken and only warned of.
    #[serde(default)]
    pub warn: u32,
    /// Broken provisions that exemptions cover.
    #[serde(default)]
    pub exempt: u32,
    /// Provisions that do not apply.
    #[serde(default)]
    pub not_applicable: u32,
    /// Provisions that could not be judged.
    #[serde(default)]
    pub unknown: u32,
    /// Findings that are older than they may be.
    #[serde(default)]
    pub overdue: u32,
    /// Proofs and exemptions that end within 30 days.
    #[serde(default)]
    pub expiring30d: u32,
}

/// A provision and its state.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisionRow {
    /// Id of the provision.
    #[schemars(schema_with = "schema::provision")]
    pub id: String,
    /// Its worst state.
    pub state: State,
    /// Workloads in that state, as `namespace/name`; the first ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::few_objects")]
    pub workloads: Vec<String>,
    /// The controls that decided it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::controls")]
    pub controls: Vec<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub since: Option<String>,
    /// Why it could not be judged, where it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub reason: Option<String>,
}

/// Something that is not kept.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FindingRow {
    /// The control.
    #[schemars(schema_with = "schema::control")]
    pub control: String,
    /// Its state.
    pub state: State,
    /// The provisions that it serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::provisions")]
    pub provisions: Vec<String>,
    /// The object, as `namespace/Kind/name`.
    #[schemars(schema_with = "schema::path")]
    pub object: String,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::message")]
    pub message: Option<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub first_seen: Option<String>,
}

/// What remains of an asset that is gone.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tombstone {
    /// Its kind.
    #[schemars(schema_with = "schema::identifier")]
    pub kind: String,
    /// Its name.
    #[schemars(schema_with = "schema::name")]
    pub name: String,
    /// Its namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label")]
    pub namespace: Option<String>,
    /// Its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub digest: Option<String>,
    /// When it was disposed of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub disposed_at: Option<String>,
    /// What no record covers: it went with its namespace, which never waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::message")]
    pub open: Option<String>,
    /// Name of the `AIEvidence` that shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub record: Option<String>,
    /// Digest of the document of that `AIEvidence`, by which the document can be found without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub record_digest: Option<String>,
    /// The day of that document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub recorded_at: Option<String>,
    /// Who vouched for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::person")]
    pub recorded_by: Option<String>,
    /// How many copies that `AIEvidence` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 256))]
    pub copies: Option<i32>,
    /// More records that show it, where no single one names every copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    pub further: Vec<FurtherRecord>,
}

/// One more record of what became of an asset.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FurtherRecord {
    /// Name of the `AIEvidence`.
    #[schemars(schema_with = "schema::name")]
    pub record: String,
    /// Digest of its document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub record_digest: Option<String>,
    /// How many copies it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 256))]
    pub copies: Option<i32>,
}
