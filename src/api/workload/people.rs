//! Who answers for a workload, and why it exists.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{
    common::{Audience, Party},
    schema,
};

/// Who answers for a workload, by duty.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadOwners {
    /// Who answers for the workload as a whole: a user or a group, not only an address.
    #[x_kube(validation = ("has(self.user) || has(self.group)", "name a user or a group"))]
    pub accountable: Party,
    /// Who makes or adapts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub developer: Option<Party>,
    /// Who runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_operator: Option<Party>,
    /// Who decides on the data it uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub data_controllers: Vec<Party>,
    /// Who takes reports of weaknesses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Party>,
    /// Who acts in an incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<Party>,
    /// Day on which the owners last confirmed that they answer for it; the day of the declaration unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::day")]
    pub confirmed_at: Option<String>,
}

/// What harm a failure or misuse of a workload could do.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Impact {
    /// People or things could be hurt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical: Option<bool>,
    /// The organisation could lose its good name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reputational: Option<bool>,
    /// Business could be lost or interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_loss: Option<bool>,
    /// Data could leak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leakage: Option<bool>,
    /// Law or contracts could be broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal: Option<bool>,
}

/// Why a workload exists and for whom.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Purpose {
    /// The need of the business that the workload answers, in a sentence of at least 40 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::text")]
    #[x_kube(validation = ("self.size() >= 40", "describe the need in at least 40 characters"))]
    pub business_need: Option<String>,
    /// What users are meant to do with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::text")]
    pub intended_use: Option<String>,
    /// The category of use, as models and datasets permit it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::identifier")]
    pub use_category: Option<String>,
    /// Day of the decision to build it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub decision_date: Option<String>,
    /// User who decided, or who stands by that decision today; one whom the owners or the organisation name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::person")]
    pub decided_by: Option<String>,
    /// The people who use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_users: Option<Audience>,
    /// What else was considered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub alternatives_considered: Vec<Alternative>,
    /// Uses that are not allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub prohibited_uses: Vec<ProhibitedUse>,
    /// People and organisations that the workload affects though they do not use it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub affected_entities: Vec<AffectedEntity>,
}

/// Something else that would have answered the need.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alternative {
    /// What it is.
    #[schemars(schema_with = "schema::line")]
    pub name: String,
    /// Why it was not chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::text")]
    pub why_not: Option<String>,
}

/// A use that is not allowed.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProhibitedUse {
    /// The use.
    #[serde(rename = "use")]
    #[schemars(schema_with = "schema::line")]
    pub use_: String,
    /// What to do instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub alternative: Option<String>,
    /// Why no guardrail can tell this use from others, where none can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub not_checked_because: Option<String>,
}

/// Somebody whom the workload affects.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AffectedEntity {
    /// Who they are.
    #[schemars(schema_with = "schema::line")]
    pub name: String,
    /// How they are reached, as a URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uri")]
    pub contact_channel: Option<String>,
}
