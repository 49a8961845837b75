//! AISupplier: an outside source of models, data, software, hardware or interfaces.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    common::{AssetOwners, choices},
    outcome::RecordStatus,
    schema,
};

choices! {
    /// What a supplier provides.
    pub enum SupplierKind {
        /// Models.
        ModelProvider = "modelProvider",
        /// Data.
        DataProvider = "dataProvider",
        /// Programs.
        Software = "software",
        /// A library within programs.
        Library = "library",
        /// Machines and accelerators.
        Hardware = "hardware",
        /// An interface that is called.
        Api = "api",
        /// Products of another maker, whom `makerRef` names.
        Vendor = "vendor",
        /// The work of an open project.
        OpenSourceProject = "openSourceProject",
    }

    /// Whether the organisation buys from a supplier.
    pub enum SupplierStatus {
        /// It does.
        Approved = "approved",
        /// It does under conditions.
        Conditional = "conditional",
        /// It takes nothing new for now.
        Suspended = "suspended",
        /// It does not, and what came from there counts as revoked.
        Withdrawn = "withdrawn",
    }
}

/// An outside source of models, data, software, hardware or interfaces.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "portcullis.dev",
    version = "v1alpha1",
    kind = "AISupplier",
    plural = "aisuppliers",
    singular = "aisupplier",
    shortname = "aisup",
    category = "portcullis",
    status = "RecordStatus",
    derive = "PartialEq",
    doc = "An outside source of models, data, software, hardware or interfaces, and whether the organisation relies on it.",
    label("app.kubernetes.io/name", "portcullis"),
    printcolumn(name = "Kind", type_ = "string", json_path = ".spec.kind", description = "What it provides"),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".spec.status",
        description = "Whether the organisation buys from it"
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
    validation = ("self.kind != 'vendor' || has(self.makerRef)", "a vendor names the maker in makerRef")
)]
pub struct AISupplierSpec {
    /// What it provides.
    pub kind: SupplierKind,
    /// Whether the organisation buys from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<SupplierStatus>,
    /// Whether somebody made sure that it is who it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// Name of the `AISupplier` that makes what this one sells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub maker_ref: Option<String>,
    /// Places where its artifacts come from; a star at the end stands for anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::paths")]
    pub sources: Vec<String>,
    /// What the organisation demands of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirements: Option<SupplierRequirements>,
    /// Where it takes reports of weaknesses, as a URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uri")]
    pub security_contact: Option<String>,
    /// Who looks after the relation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owners: Option<AssetOwners>,
}

/// What the organisation demands of a supplier.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SupplierRequirements {
    /// Where the demands are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uri")]
    pub policy_ref: Option<String>,
    /// SHA-256 of that document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub policy_digest: Option<String>,
    /// Whether the supplier agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<bool>,
    /// Demands that it does not meet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::lines")]
    pub exceptions: Vec<String>,
}
