//! Portcullis makes the AI cyber-security Code of Practice enforceable on a Kubernetes cluster.

pub mod api;
pub mod cli;
pub mod controllers;
pub mod gather;
pub mod models;
pub mod policy;
pub mod render;
pub mod telemetry;
pub mod webhook;
