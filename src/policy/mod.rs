//! The judgement: pure functions of facts, without clients, clocks, files or environment variables.

pub mod code;
pub mod image;
