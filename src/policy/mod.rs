//! The Code as pure functions: facts in, findings and decisions out. No client, clock, environment, file or await.

pub mod addresses;
pub mod blanks;
pub mod code;
pub mod composition;
pub mod containers;
pub mod control;
pub mod controls;
pub mod credentials;
pub mod data;
pub mod dates;
pub mod decide;
pub mod evaluate;
pub mod evidence;
pub mod facts;
mod figures;
pub mod fix;
pub mod guards;
pub mod hours;
pub mod image;
pub mod libraries;
pub mod maps;
pub mod node_paths;
pub mod owners;
pub mod pod_security;
pub mod preview;
mod prompts;
pub mod quantity;
pub mod records;
pub mod rights;
pub mod selector;
pub mod servers;
pub mod signing;
pub mod skeleton;
#[cfg(test)]
pub(crate) mod testing;
pub mod texts;
pub mod trail;
pub mod verified;
pub mod versions;
pub mod waivers;

pub use control::{Check, Control, Finding, Mode, Modes, Report, Room, Scope, Verdict};
pub use controls::ALL;
pub use decide::{Decision, Enforcement, decide};
pub use evaluate::{evaluate, evaluate_where};
pub use facts::{Facts, Place};
pub use fix::Fix;
