//! AIGovernance: what an organisation does once for all its workloads.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    common::{Party, choices},
    outcome::RecordStatus,
    schema,
};

choices! {
    /// How far an organisation follows another code.
    pub enum Adherence {
        /// In all its parts.
        Full = "full",
        /// In some parts.
        Partial = "partial",
        /// It has begun.
        Planned = "planned",
        /// It does not apply.
        NotApplicable = "notApplicable",
    }
}

/// What an organisation does once for all its workloads.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "portcullis.dev",
    version = "v1alpha1",
    kind = "AIGovernance",
    plural = "aigovernances",
    singular = "aigovernance",
    shortname = "aigov",
    category = "portcullis",
    status = "RecordStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "What an organisation does once for all its AI workloads: who answers, training, disclosure, companion codes.",
    label("app.kubernetes.io/name", "portcullis"),
    printcolumn(
        name = "Organisation",
        type_ = "string",
        json_path = ".spec.organisation",
        description = "Name of the organisation"
    ),
    printcolumn(
        name = "Accountable",
        type_ = "string",
        json_path = ".spec.accountable.user",
        description = "Who answers for AI"
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
pub struct AIGovernanceSpec {
    /// Name of the organisation.
    #[schemars(schema_with = "schema::line")]
    pub organisation: String,
    /// The only namespace whose evidence counts for the organisation as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label")]
    pub governance_namespace: Option<String>,
    /// Who answers for AI in the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accountable: Option<Appointment>,
    /// The people and groups that declarations may name as owners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<Directory>,
    /// Who learnt what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    /// How outsiders report weaknesses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disclosure: Option<Disclosure>,
    /// Other codes that the organisation follows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub companion_codes: Vec<CompanionCode>,
    /// Communities in which it shares what it learns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub communities: Vec<Community>,
}

/// Who answers for AI.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Appointment {
    /// User name.
    #[schemars(schema_with = "schema::person")]
    pub user: String,
    /// Role in the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub role: Option<String>,
    /// Day of the appointment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub appointed_at: Option<String>,
}

/// The people and groups that declarations may name.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Directory {
    /// Group names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::directory")]
    pub groups: Vec<String>,
    /// User names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::directory")]
    pub users: Vec<String>,
    /// Those of the groups and users who belong to other organisations, such as contractors and maintainers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::directory")]
    pub outside: Vec<String>,
}

/// Who learnt what.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Training {
    /// Courses that were completed, by person or group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 512))]
    pub roster: Vec<RosterEntry>,
}

/// A course that was completed.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RosterEntry {
    /// Who completed it.
    pub subject: Party,
    /// The course, such as `SecureCodingTraining`.
    #[schemars(schema_with = "schema::identifier")]
    pub course: String,
    /// When.
    #[schemars(schema_with = "schema::date")]
    pub completed_at: String,
    /// Last day on which it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub expires_at: Option<String>,
    /// Name of the `AIEvidence` that shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub evidence_ref: Option<String>,
}

/// How outsiders report weaknesses.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Disclosure {
    /// The published policy.
    #[serde(rename = "policyURL", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uri")]
    pub policy_url: Option<String>,
    /// Where reports go, as a URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uri")]
    pub contact: Option<String>,
    /// Where people of the organisation report, as a URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uri")]
    pub internal_contact: Option<String>,
    /// The published security.txt.
    #[serde(rename = "securityTxtURL", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uri")]
    pub security_txt_url: Option<String>,
    /// Whether those who report in good faith are safe from the law.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe_harbour: Option<bool>,
    /// The systems that it covers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::lines")]
    pub scope: Vec<String>,
    /// How others at risk are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<Escalation>,
}

/// How others at risk are told.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Escalation {
    /// The ways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::lines")]
    pub channels: Vec<String>,
    /// Where bulletins are published.
    #[serde(rename = "bulletinURL", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uri")]
    pub bulletin_url: Option<String>,
}

/// Another code that the organisation follows.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CompanionCode {
    /// Its name.
    #[schemars(schema_with = "schema::identifier")]
    pub name: String,
    /// How far.
    pub adherence: Adherence,
    /// Name of the `AIEvidence` that shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub evidence_ref: Option<String>,
    /// Day of the assessment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub assessed_at: Option<String>,
}

/// A community in which the organisation shares what it learns.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Community {
    /// Its name.
    #[schemars(schema_with = "schema::identifier")]
    pub name: String,
    /// Member since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub since: Option<String>,
    /// Day on which somebody last looked whether it still takes part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::day")]
    pub confirmed_at: Option<String>,
    /// Its address.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uri")]
    pub ref_: Option<String>,
}
