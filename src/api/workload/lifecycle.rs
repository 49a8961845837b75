//! How a workload is overseen, set, recovered and retired.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{common::choices, schema};

choices! {
    /// How people stay in charge.
    pub enum OversightMode {
        /// A person decides each time.
        Approve = "approve",
        /// People review results and can step in.
        Review = "review",
        /// People watch figures and can step in.
        Monitor = "monitor",
        /// Nobody does; the reason is given.
        Nobody = "none",
    }

    /// How the workload is stopped at once.
    pub enum KillSwitch {
        /// `lifecycle.state: Quarantined` cuts the network and refuses new pods.
        Quarantine = "quarantine",
        /// The workload is scaled to nothing.
        ScaleToZero = "scaleToZero",
        /// The route to it is removed.
        RemoveRoute = "removeRoute",
    }

    /// What takes over when the workload fails.
    pub enum FailoverKind {
        /// Another workload.
        AlternateWorkload = "alternateWorkload",
        /// People.
        Manual = "manual",
        /// A system without AI.
        NonAi = "nonAI",
        /// Nothing; the function stops safely.
        Stop = "stop",
    }

    /// What starts something.
    pub enum Trigger {
        /// A program.
        Automatic = "automatic",
        /// A person.
        Manual = "manual",
    }

    /// Where a workload stands in its life.
    pub enum LifecycleState default Active {
        /// It does not run yet.
        Planned = "Planned",
        /// It runs.
        Active = "Active",
        /// It is cut off while somebody looks into it; no new pods.
        Quarantined = "Quarantined",
        /// It is being taken down; no new pods.
        Retiring = "Retiring",
        /// It is gone, with the evidence.
        Disposed = "Disposed",
    }

    /// How updates arrive.
    pub enum UpdateMode {
        /// A tool rolls out pinned, signed updates by itself.
        Automatic = "automatic",
        /// A tool proposes pinned updates, and a person accepts them.
        Proposed = "proposed",
        /// People look for updates; the reason is given.
        Manual = "manual",
    }
}

/// How people stay in charge.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.mode != 'none' || has(self.reason)", "no oversight needs a reason"))]
pub struct Oversight {
    /// The way.
    pub mode: OversightMode,
    /// Group of the people in charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::person")]
    pub group: Option<String>,
    /// How they stop the workload at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill_switch: Option<KillSwitch>,
    /// How results are made understandable to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::text")]
    pub outputs_explained: Option<String>,
    /// Why nobody is in charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::text")]
    pub reason: Option<String>,
}

/// A setting that matters for security.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// Its name.
    #[schemars(schema_with = "schema::identifier")]
    pub name: String,
    /// Its secure value.
    #[schemars(schema_with = "schema::line")]
    pub secure_default: String,
    /// The value in use.
    #[schemars(schema_with = "schema::line")]
    pub value: String,
    /// Name of the `AIEvidence` that assesses a value other than the secure one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub assessment_ref: Option<String>,
}

/// How a workload comes back after a loss.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// The newest changes that may be lost, as an ISO 8601 duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub rpo: Option<String>,
    /// The longest time until it is back, as an ISO 8601 duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub rto: Option<String>,
    /// The newest backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
    /// What takes over meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover: Option<Failover>,
}

/// A backup.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// Where it is.
    #[serde(rename = "ref")]
    #[schemars(schema_with = "schema::uri")]
    pub ref_: String,
    /// Whether it is out of reach of an attacker in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline: Option<bool>,
    /// When it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub taken_at: Option<String>,
    /// Digests of the assets in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::digests")]
    pub digests: Vec<String>,
}

/// What takes over when a workload fails.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failover {
    /// What it is.
    pub kind: FailoverKind,
    /// Its name.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    pub ref_: Option<String>,
    /// What starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
}

/// Where a workload stands in its life.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lifecycle {
    /// The present state.
    #[serde(default)]
    pub state: LifecycleState,
    /// Last day on which it is maintained; after it new pods are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub support_ends: Option<String>,
    /// How updates arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updates: Option<Updates>,
    /// How it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retirement: Option<Retirement>,
}

/// How updates arrive.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.mode != 'manual' || has(self.reason)", "manual updates need a reason"))]
pub struct Updates {
    /// The way.
    pub mode: UpdateMode,
    /// The tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::line")]
    pub tool: Option<String>,
    /// Why people look for updates by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::text")]
    pub reason: Option<String>,
}

/// How a workload ends.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retirement {
    /// Day on which it is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date")]
    pub planned_at: Option<String>,
    /// Where the plan is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uri")]
    pub plan_ref: Option<String>,
    /// What was learnt, for a successor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::text")]
    pub lessons: Option<String>,
    /// Name of the `AIWorkload` that follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub successor_ref: Option<String>,
}
