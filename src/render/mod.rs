//! Findings and decisions to words: denials, warnings, Events, status rows, tables. Pure.

pub mod words;
