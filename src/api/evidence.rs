//! AIEvidence: one dated, digested and owned proof about one subject.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    common::{Party, choices},
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

    /// What was found where a document should be.
    pub enum DocumentState {
        /// The document of `spec.digest`.
        Same = "Same",
        /// Another document.
        Altered = "Altered",
        /// Nothing.
        Missing = "Missing",
        /// Nobody knows, because the place could not be asked.
        Unreachable = "Unreachable",
        /// Nobody looks: the operator reads ConfigMaps and registries only.
        OutOfReach = "OutOfReach",
    }

    /// What a signed statement is worth.
    pub enum StatementState {
        /// Somebody who may speak for `spec.attestedBy` signed what this object says.
        Verified = "Verified",
        /// It does not count.
        Failed = "Failed",
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
    status = "AIEvidenceStatus",
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
    /// Where the document is. Documents in `configmap://NAME/KEY` of this namespace and `oci://REGISTRY/REPOSITORY` are
    /// read again and compared with the digest; of all others the digest is taken as it is written.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uri")]
    pub ref_: Option<String>,
    /// SHA-256 of the document; of an artifact in a registry its own digest or that of the layer that holds the document.
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
    /// The same said under a signature, where somebody else records what a person vouches for, such as a deployment tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Attestation>,
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

/// A signed statement that says what its evidence says.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.bundle) != has(self.reference)", "give exactly one of bundle and reference"))]
pub struct Attestation {
    /// A Sigstore bundle, or a DSSE envelope that was signed with a key, as JSON. It holds an in-toto statement of predicate
    /// type `https://portcullis.dev/evidence/v1` about `spec.subject.digest`, or about `spec.digest` where the subject has
    /// none. Its predicate repeats the fields of `spec` but `subject`, `attestation`, `owner` and `visibility`. It counts
    /// where an authority of an AITrustPolicy signed it whose `owner.user`, or whose exact keyless subject, is `attestedBy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 32_768))]
    pub bundle: Option<String>,
    /// An artifact in a registry, by digest, to which such a bundle refers; it is looked for there by the controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub reference: Option<String>,
}

/// What holds of a proof.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AIEvidenceStatus {
    /// The generation of the object that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last warning of its end that was given: 30, 7 or 1 days before, 0 when it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 30))]
    pub warned_days: Option<u8>,
    /// What was found of its document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<DocumentRead>,
    /// What its signed statement is worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<StatementRead>,
    /// What holds of the object at present.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// What was found of a document.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentRead {
    /// What was found.
    pub state: DocumentState,
    /// Digest of what was found, where it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub found: Option<String>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::message")]
    pub message: Option<String>,
    /// Since when this is so, as far as it was looked at.
    #[schemars(schema_with = "schema::date")]
    pub since: String,
}

/// What a signed statement is worth.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatementRead {
    /// Whether it counts.
    pub state: StatementState,
    /// Authority of the trust policy that signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label")]
    pub authority: Option<String>,
    /// Why it does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::message")]
    pub message: Option<String>,
    /// Since when this is so, as far as it was looked at.
    #[schemars(schema_with = "schema::date")]
    pub since: String,
}
