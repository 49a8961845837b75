//! The registry of the tests, with the artifacts that real cosign signed.

#![expect(dead_code, reason = "the tests use more of it")]

#[path = "../../tests/registry/server.rs"]
mod server;

pub(crate) use self::server::Registry;
