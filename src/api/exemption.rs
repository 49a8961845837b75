//! AIExemption: a justified deviation that two people agreed on and that ends.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{common::choices, evidence::Subject, schema};

choices! {
    /// Where an exemption stands.
    pub enum ExemptionState {
        /// Nobody approved it yet: it changes nothing.
        Requested = "Requested",
        /// It is approved and counts.
        Active = "Active",
        /// Its time is over.
        Expired = "Expired",
        /// It cannot count; the conditions say why.
        Invalid = "Invalid",
    }
}

/// A justified deviation that two people agreed on and that ends.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "portcullis.dev",
    version = "v1alpha1",
    kind = "AIExemption",
    plural = "aiexemptions",
    singular = "aiexemption",
    shortname = "aiex",
    category = "portcullis",
    namespaced,
    status = "AIExemptionStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A justified deviation from named controls for one subject, approved by a second person, until a day.",
    label("app.kubernetes.io/name", "portcullis"),
    printcolumn(
        name = "Subject",
        type_ = "string",
        json_path = ".spec.subject.name",
        description = "What it is for"
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.state",
        description = "Whether it counts"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Active')].reason",
        description = "Why it counts, or does not"
    ),
    printcolumn(
        name = "Requested-By",
        type_ = "string",
        json_path = ".spec.requestedBy",
        description = "Who asked for it"
    ),
    printcolumn(
        name = "Approved-By",
        type_ = "string",
        json_path = ".spec.approvedBy",
        description = "Who approved it"
    ),
    printcolumn(
        name = "Expires",
        type_ = "string",
        json_path = ".spec.expiresAt",
        description = "Last day on which it counts"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = ("!has(self.approvedBy) || self.approvedBy != self.requestedBy", "approvedBy has to be another person than requestedBy"),
    // On the spec, which every version of the object has: what was approved cannot be exchanged afterwards.
    validation = ("self.controls == oldSelf.controls && self.subject == oldSelf.subject && self.expiresAt == oldSelf.expiresAt && self.requestedBy == oldSelf.requestedBy && self.reason == oldSelf.reason", "controls, subject, reason, requestedBy and expiresAt are immutable, request another exemption instead"),
    validation = ("!has(oldSelf.approvedBy) || (has(self.approvedBy) && self.approvedBy == oldSelf.approvedBy)", "approvedBy is immutable once set, delete the exemption to end it")
)]
pub struct AIExemptionSpec {
    /// The controls that need not be kept.
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 1, max = 63), regex(pattern = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub controls: Vec<String>,
    /// What it is for: the object, and its very state by digest.
    #[x_kube(validation = ("has(self.digest)", "name the digest of the state that is exempt"))]
    pub subject: Subject,
    /// Why it is needed.
    #[schemars(schema_with = "schema::text")]
    pub reason: String,
    /// Name of the `AIEvidence` that justifies it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub justification_ref: Option<String>,
    /// Name of the `AIEvidence` that accepts the risk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub risk_acceptance_ref: Option<String>,
    /// Controls that lower the risk meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::controls")]
    pub mitigations: Vec<String>,
    /// User who asks for it: the one who creates this object.
    #[schemars(schema_with = "schema::person")]
    pub requested_by: String,
    /// User who approves it, in a second update; has to be another one with the right to approve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::person")]
    pub approved_by: Option<String>,
    /// Last day on which it counts, at most 90 days away.
    #[schemars(schema_with = "schema::date")]
    pub expires_at: String,
}

/// Whether an exemption counts.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AIExemptionStatus {
    /// The generation of the object that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ExemptionState>,
    /// What it covers: the controls and the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::text")]
    pub covers: Option<String>,
    /// The last moment at which it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub until: Option<String>,
    /// When its approval was seen first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub approved_at: Option<String>,
    /// The last warning of its end that was given: 30, 7 or 1 days before, 0 when it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 30))]
    pub warned_days: Option<u8>,
    /// What holds of it at present.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
