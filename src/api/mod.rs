//! The custom resources: one file per kind, and what they share.

#![expect(
    unreachable_pub,
    reason = "KubeSchema repeats each struct inside a function, where pub reaches nobody"
)]
#![expect(clippy::duplicated_attributes, reason = "each printer column has a type of its own")]

pub mod common;
pub mod compliance;
pub mod crds;
pub mod dataset;
pub mod evidence;
pub mod exemption;
pub mod governance;
pub mod model;
pub mod outcome;
pub mod profile;
pub mod prompt;
mod schema;
pub mod supplier;
pub mod trust;
pub mod workload;

pub use common::{Environment, Mode, OverallVerdict, Sensitivity, State};
pub use compliance::AICompliance;
pub use crds::{all_crds, to_yaml};
pub use dataset::AIDataset;
pub use evidence::AIEvidence;
pub use exemption::AIExemption;
pub use governance::AIGovernance;
pub use model::AIModel;
pub use profile::AIProfile;
pub use prompt::AIPrompt;
pub use supplier::AISupplier;
pub use trust::AITrustPolicy;
pub use workload::AIWorkload;
