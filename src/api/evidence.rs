//! AIEvidence: one dated, digested and owned proof about one subject.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    common::{Party, choices},
    outcome::RecordStatus,
    schema,
};

choices! {
    /// What an assessment found.
    pub enum EvidenceResult {
        /// All is well.
        Pass = "pass",
        /// All is well under conditions, which the document names.
        Conditional = "conditional",
        /// It is not well.
        Fail = "fail",
    }

    /// Who may read a proof.
    pub enum Visibility default Private {
        /// Only its own namespace.
        Private = "private",
        /// Also those who run what it is about.
        Shared = "shared",
        /// Anyone.
        Public = "public",
    }

    /// How far an evaluator stands from what is evaluated.
    pub enum Independence {
        /// Made by those who made the subject.
        SelfMade = "self",
        /// Made by others of the same organisation.
        Internal = "internal",
        /// Made by another organisation.
        External = "external",
    }
}

/// A dated, digested and owned proof about one subject.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "portcullis.dev",
    version = "v1alpha1",
    kind = "AIEvidence",
    plural = "aievidences",
    singular = "aievidence",
    shortname = "aie",
    category = "portcullis",
    namespaced,
    status = "RecordStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A dated, digested and owned proof about one subject, such as a threat model or a security assessment.",
    label("app.kubernetes.io/name", "portcullis"),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type", description = "What it proves"),
    printcolumn(
        name = "Subject",
        type_ = "string",
        json_path = ".spec.subject.name",
        description = "What it is about"
    ),
    printcolumn(
        name = "Result",
        type_ = "string",
        json_path = ".spec.result",
        description = "What was found"
    ),
    printcolumn(
        name = "Expires",
        type_ = "string",
        json_path = ".spec.expiresAt",
        description = "Last day on which it counts"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        description = "Whether it can be relied on"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        description = "Why, or why not"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = ("self == oldSelf", "evidence is immutable, record a new one instead")
)]
pub struct AIEvidenceSpec {
    /// What it proves, such as `ThreatModel`, `SecurityAssessment` or `DisposalRecord`.
    #[serde(rename = "type")]
    #[schemars(schema_with = "schema::identifier")]
    pub type_: String,
    /// What it is about.
    pub subject: Subject,
    /// Where the document is.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uri")]
    pub ref_: Option<String>,
    /// SHA-256 of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub digest: Option<String>,
    /// Day of the document.
    #[schemars(schema_with = "schema::date")]
    pub issued_at: String,
    /// Last day on which it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub expires_at: Option<String>,
    /// Who keeps it up to date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Party>,
    /// Who assessed the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluator: Option<Evaluator>,
    /// User who vouches for it; has to be the one who creates this object or signs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::person")]
    pub attested_by: Option<String>,
    /// What was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<EvidenceResult>,
    /// Who may read it.
    #[serde(default)]
    pub visibility: Visibility,
    /// What the document says, for programs: lists of words by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::facts")]
    pub facts: BTreeMap<String, serde_json::Value>,
}

/// What a proof or an exemption is about.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Its kind.
    #[schemars(schema_with = "schema::identifier")]
    pub kind: String,
    /// Its name.
    #[schemars(schema_with = "schema::name")]
    pub name: String,
    /// Its namespace, this one unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label")]
    pub namespace: Option<String>,
    /// Digest of its state at that time; for another state the proof does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub digest: Option<String>,
}

/// Who assessed a subject.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evaluator {
    /// Name of the person.
    #[schemars(schema_with = "schema::line")]
    pub name: String,
    /// Name of the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub organisation: Option<String>,
    /// What shows that the person is able.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub qualification: Option<String>,
    /// How far the person stands from the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub independence: Option<Independence>,
    /// Why nobody more independent did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::text")]
    pub reason: Option<String>,
}
