//! Portcullis makes the AI cyber-security Code of Practice enforceable on a Kubernetes cluster.

pub mod policy;
