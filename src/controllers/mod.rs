//! What one leader among the replicas of the controller keeps true in the cluster.

pub mod assets;
pub mod audit;
pub mod auditor;
pub mod blocked;
pub mod certificates;
pub mod collect;
pub mod compliance;
pub mod conditions;
mod definitions;
pub mod dirty;
pub mod export;
pub mod generate;
pub mod guards;
mod keep;
pub mod leader;
pub mod network;
pub mod pods;
pub mod probe;
pub mod proofs;
pub mod retrieval;
pub mod status;
pub mod statuses;
pub mod trail;
mod trouble;
pub mod wake;
pub mod watch_pods;
pub mod webhooks;
