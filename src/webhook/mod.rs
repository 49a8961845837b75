//! The admission webhook: a router without TLS, the server around it, and the certificate it serves with.

pub mod access;
pub mod arrivals;
pub mod attempts;
pub mod body;
pub mod connections;
mod entry;
pub mod envelope;
pub mod handler;
pub mod judge;
pub(crate) mod kinds;
mod namespaces;
mod notes;
pub mod oversight;
mod permissions;
mod pods;
pub mod published;
mod ratchet;
mod ring;
pub mod router;
pub mod running;
pub mod serve;
mod surroundings;
pub mod tls;
pub mod wire;
