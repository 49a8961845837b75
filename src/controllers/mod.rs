//! What one leader among the replicas of the controller keeps true in the cluster.

pub mod leader;
