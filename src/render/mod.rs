//! Findings and decisions to words: denials, warnings, Events, status rows, tables, documentation. Pure.

pub mod coverage;
pub mod docs;
pub mod explain;
pub mod init;
pub mod report;
pub mod words;
