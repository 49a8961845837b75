//! What one leader among the replicas of the controller keeps true in the cluster.

pub mod certificates;
pub mod leader;
pub mod webhooks;
