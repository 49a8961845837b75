//! The only room that turns the world into facts.

pub mod ahead;
pub mod cluster;
pub mod files;
pub mod follow;
pub mod live;
pub mod model_jobs;
pub mod models;
pub mod objects;
pub mod proofs;
pub mod pull_secrets;
pub mod rbac;
pub mod registry;
pub mod roots;
pub mod serving;
pub mod signatures;
pub mod trust;
pub mod world;
