//! AIWorkload: the declaration of one AI workload, and its verdict.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{
    common::{Criticality, choices},
    schema,
};

mod dependencies;
mod lifecycle;
mod monitoring;
mod people;
mod serving;
mod status;

pub use dependencies::*;
pub use lifecycle::*;
pub use monitoring::*;
pub use people::*;
pub use serving::*;
pub use status::*;

choices! {
    /// What the workload does.
    pub enum WorkloadType {
        /// Answers requests with a model.
        Inference = "inference",
        /// Acts on other systems by decisions of a model.
        Agent = "agent",
        /// Runs a model over stored inputs.
        Batch = "batch",
        /// Makes a model from data.
        Training = "training",
        /// Adapts an existing model.
        FineTuning = "finetuning",
        /// Measures a model.
        Evaluation = "evaluation",
        /// Writes or cleans datasets.
        DataPreparation = "dataPreparation",
        /// Brings models or data in from outside.
        Import = "import",
        /// Gives people an interactive environment.
        Notebook = "notebook",
        /// Helps others and holds no model: identity, images and hardening apply, the AI controls do not.
        Supporting = "supporting",
    }

    /// Who brings the surrounding objects about.
    pub enum Manage default Generate {
        /// The operator creates service account, roles, network policies and monitors from this declaration.
        Generate = "Generate",
        /// The operator creates nothing and only judges what others made. What it made before stays and is the owner's:
        /// released NetworkPolicies are judged as the owner's own from then on, by what they let in and out. Generate takes back
        /// what is unchanged since; what was changed stays, and the condition Generated names it.
        Observe = "Observe",
    }

    /// A part that the organisation plays towards the workload.
    pub enum Role {
        /// It makes or adapts the model or the system.
        Developer = "Developer",
        /// It runs the system.
        SystemOperator = "SystemOperator",
        /// It decides on the data.
        DataController = "DataController",
    }
}

/// CEL rule of the life of a workload: each state is followed by those that may come next.
const STATES_IN_ORDER: (&str, &str) = (
    "{'Planned': ['Planned', 'Active', 'Retiring'], 'Active': ['Active', 'Quarantined', 'Retiring'], 'Quarantined': ['Quarantined', 'Active', 'Retiring', 'Disposed'], 'Retiring': ['Retiring', 'Disposed'], 'Disposed': ['Disposed']}[has(oldSelf.lifecycle) && has(oldSelf.lifecycle.state) ? oldSelf.lifecycle.state : 'Active'].exists(s, s == (has(self.lifecycle) && has(self.lifecycle.state) ? self.lifecycle.state : 'Active'))",
    "lifecycle.state goes from Planned to Active, from there to Quarantined and back or to Retiring, and from Quarantined or Retiring to Disposed",
);

/// CEL rule of a quarantine: whoever turned the generation off would be handed the policy that closes the network.
const MANAGE_STAYS: (&str, &str) = (
    "!([oldSelf, self].all(s, has(s.lifecycle) && has(s.lifecycle.state) && s.lifecycle.state == 'Quarantined')) || (has(oldSelf.manage) ? oldSelf.manage : 'Generate') == (has(self.manage) ? self.manage : 'Generate')",
    "manage stays as it is while the quarantine lasts",
);

/// The declaration of an AI workload: which pods it is, what they depend on, and who answers for it.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "portcullis.dev",
    version = "v1alpha1",
    kind = "AIWorkload",
    plural = "aiworkloads",
    singular = "aiworkload",
    shortname = "aiw",
    category = "portcullis",
    namespaced,
    status = "AIWorkloadStatus",
    derive = "PartialEq",
    doc = "An AI workload: which pods it is, what they depend on, who answers for it, and whether it keeps the Code.",
    label("app.kubernetes.io/name", "portcullis"),
    printcolumn(
        name = "Type",
        type_ = "string",
        json_path = ".spec.type",
        description = "What the workload does"
    ),
    printcolumn(
        name = "Verdict",
        type_ = "string",
        json_path = ".status.verdict",
        description = "Its worst state"
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".spec.lifecycle.state",
        description = "Where it stands in its life; Active where nothing is said"
    ),
    printcolumn(
        name = "Pods",
        type_ = "integer",
        json_path = ".status.pods.total",
        description = "Pods that the selector matches"
    ),
    printcolumn(
        name = "Fail",
        type_ = "integer",
        json_path = ".status.counters.fail",
        description = "Controls that are broken and enforced"
    ),
    printcolumn(
        name = "Warn",
        type_ = "integer",
        json_path = ".status.counters.warn",
        description = "Controls that are broken and only warned of"
    ),
    printcolumn(
        name = "Exempt",
        type_ = "integer",
        json_path = ".status.counters.exempt",
        description = "Broken controls that an exemption covers"
    ),
    printcolumn(
        name = "Unknown",
        type_ = "integer",
        json_path = ".status.counters.unknown",
        description = "Controls that could not be judged"
    ),
    printcolumn(
        name = "Blocked-24h",
        type_ = "integer",
        json_path = ".status.blocked.last24h",
        description = "Pods refused in the last 24 hours"
    ),
    printcolumn(
        name = "Top-Reason",
        type_ = "string",
        json_path = ".status.topReason",
        description = "The control that matters most"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    // On the spec, which every version of the object has: removing and adding the selector again is a change too.
    validation = ("self.selector == oldSelf.selector", "selector is immutable, declare another AIWorkload instead"),
    validation = ("self.type != 'supporting' || !has(self.models) || self.models.size() == 0", "a supporting workload has no models, choose another type"),
    validation = (STATES_IN_ORDER.0, STATES_IN_ORDER.1),
    validation = (MANAGE_STAYS.0, MANAGE_STAYS.1)
)]
pub struct AIWorkloadSpec {
    /// The pods of this workload: those that carry all these labels. It cannot be changed later.
    pub selector: WorkloadSelector,
    /// What the workload does.
    #[serde(rename = "type")]
    pub type_: WorkloadType,
    /// Who answers for the workload.
    pub owners: WorkloadOwners,
    /// Who brings the surrounding objects about.
    #[serde(default)]
    pub manage: Manage,
    /// Name of the `AIGovernance` of the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::name")]
    pub organisation: Option<String>,
    /// The parts that the organisation plays; controls apply by them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub roles: Vec<Role>,
    /// How bad a failure would be.
    #[serde(default)]
    pub criticality: Criticality,
    /// What harm a failure or misuse could do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact: Option<Impact>,
    /// Why the workload exists and for whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// The models that the pods load or call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub models: Vec<ModelUse>,
    /// The datasets that the pods read or write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub datasets: Vec<DatasetUse>,
    /// The prompts and policies that the pods read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub prompts: Vec<PromptUse>,
    /// Why a language model runs without a prompt of the organisation, such as one that only translates what users send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::text")]
    pub no_prompt_reason: Option<String>,
    /// The secrets that the pods may read, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::names")]
    pub secrets: Vec<String>,
    /// What the pods may do in the cluster and outside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// What an agent may do to other systems.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub actions: Vec<AgentAction>,
    /// Programs in the cluster that the pods call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub services: Vec<ServiceUse>,
    /// Programs outside the cluster that the pods call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub external_apis: Vec<ExternalApi>,
    /// How others reach the workload; what is not listed is closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub exposure: Vec<Exposure>,
    /// What stands between users and models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrails: Option<Guardrails>,
    /// Where results go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub outputs: Vec<Output>,
    /// What happens to the data of users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<UserData>,
    /// How the workload is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
    /// How people stay in charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oversight: Option<Oversight>,
    /// Settings that matter for security, with their secure value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub settings: Vec<Setting>,
    /// How the workload comes back after a loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// Where the workload stands in its life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
}

/// The pods of a workload.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSelector {
    /// Labels that a pod must all carry, with these values; at least one.
    #[schemars(schema_with = "schema::match_labels")]
    #[x_kube(validation = ("self.all(key, key.size() > 0 && key.size() <= 317)", "a label key has 1 to 317 characters"))]
    pub match_labels: BTreeMap<String, String>,
}

impl AIWorkload {
    /// Where it stands in its life; who says nothing of it runs.
    #[must_use]
    pub fn state(&self) -> LifecycleState {
        self.spec.lifecycle.as_ref().map(|lifecycle| lifecycle.state).unwrap_or_default()
    }

    /// Whether it is cut off while somebody looks into it.
    #[must_use]
    pub fn is_quarantined(&self) -> bool {
        self.state() == LifecycleState::Quarantined
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn who_says_nothing_of_its_life_is_active() {
        let of = |lifecycle: &Value| {
            let mut spec = json!({"selector": {"matchLabels": {"app": "a"}}, "type": "inference", "owners": {"accountable": {"user": "j"}}});
            spec["lifecycle"] = lifecycle.clone();
            let spec = serde_json::from_value(spec).expect("a declaration");
            let workload = AIWorkload::new("a", spec);
            (workload.state(), workload.is_quarantined())
        };
        assert_eq!(of(&Value::Null), (LifecycleState::Active, false));
        assert_eq!(of(&json!({"supportEnds": "2027-01-01"})), (LifecycleState::Active, false));
        assert_eq!(of(&json!({"state": "Quarantined"})), (LifecycleState::Quarantined, true));
        assert_eq!(of(&json!({"state": "Retiring"})), (LifecycleState::Retiring, false));
    }
}
