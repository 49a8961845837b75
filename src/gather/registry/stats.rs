//! Counters that the telemetry exports.

use std::sync::atomic::{AtomicU64, Ordering};

use super::verification::Verification;

/// Counts since the start of the process.
#[derive(Debug, Default)]
pub struct Stats {
    /// Questions asked, answered from wherever.
    pub lookups: AtomicU64,
    /// Questions answered from memory.
    pub hits: AtomicU64,
    /// Questions that joined a look-up already under way.
    pub joined: AtomicU64,
    /// Requests sent, those for tokens included.
    pub requests: AtomicU64,
    /// Requests sent for tokens.
    pub token_requests: AtomicU64,
    /// Look-ups that ended verified.
    pub verified: AtomicU64,
    /// Look-ups that found no signature.
    pub not_signed: AtomicU64,
    /// Look-ups that found no signature that counts.
    pub untrusted: AtomicU64,
    /// Questions refused without a look-up.
    pub refused: AtomicU64,
    /// Look-ups that could not tell.
    pub errors: AtomicU64,
    /// Answers that were forgotten, or never remembered, because more are asked for than fit.
    pub evicted: AtomicU64,
    /// Look-ups under way now.
    pub in_flight: AtomicU64,
}

impl Stats {
    pub(super) fn count(&self, verification: &Verification) {
        let counter = match verification {
            Verification::Verified(_) => &self.verified,
            Verification::NotSigned { .. } => &self.not_signed,
            Verification::Untrusted { .. } => &self.untrusted,
            Verification::Refused(_) => &self.refused,
            Verification::Unknown { .. } => &self.errors,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
