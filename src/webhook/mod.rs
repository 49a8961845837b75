//! The admission webhook: a router without TLS, the server around it, and the certificate it serves with.

pub mod access;
pub mod attempts;
pub mod body;
pub mod connections;
pub mod envelope;
pub mod guards;
pub mod handler;
pub mod judge;
pub mod published;
pub mod router;
pub mod serve;
pub mod tls;
pub mod wire;
