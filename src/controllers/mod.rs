//! What one leader among the replicas of the controller keeps true in the cluster.

pub mod audit;
pub mod blocked;
pub mod certificates;
pub mod compliance;
pub mod dirty;
pub mod generate;
pub mod leader;
pub mod pods;
pub mod webhooks;
