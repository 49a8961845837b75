//! Conditions of every status we write: their types and reasons as constants, and the one way to make one.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

pub use crate::api::common::{
    FRESH, KNOWN_GOOD_HELD, LOG_SINK_OBSERVED, MONITORING_OBSERVED, RECORDS_OBSERVED, TRAIL_EXPORTED,
};
use crate::render::words;

/// The object can be used as it is.
pub const READY: &str = "Ready";
/// The object says all that somebody who relies on it has to know.
pub const DECLARED: &str = "Declared";
/// Nothing about the object is past its day.
pub const CURRENT: &str = "Current";
/// A trusted authority signed the asset.
pub const SIGNATURE_VERIFIED: &str = "SignatureVerified";
/// The stored bytes are those of the digest.
pub const BYTES_VERIFIED: &str = "BytesVerified";
/// The document of a proof is the one of its digest.
pub const DOCUMENT_COMPARED: &str = "DocumentCompared";
/// The asset was changed outside office hours, and nobody has reviewed it since.
pub const UNUSUAL_CHANGE: &str = "UnusualChange";
/// An exemption counts.
pub const ACTIVE: &str = "Active";
/// An authority is past the day of its rotation, or ends within 30 days.
pub const ROTATION_DUE: &str = "RotationDue";
/// The namespace is governed, since its transition time.
pub const GOVERNED: &str = "Governed";
/// Every enforced control is kept.
pub const COMPLIANT: &str = "Compliant";
/// What the declaration asks for is in place.
pub const GENERATED: &str = "Generated";
/// The selector matches pods that run.
pub const PODS_SELECTED: &str = "PodsSelected";

/// Longest message of a condition, in bytes.
const MESSAGE: usize = 400;

/// What a condition says of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// Nobody can tell.
    Unknown,
}

impl Holds {
    fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "True",
            Self::No => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Holds {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// One condition before it has a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// One of the constants above.
    pub kind: &'static str,
    /// Whether it holds.
    pub holds: Holds,
    /// Why, as one word.
    pub reason: String,
    /// Why, for people.
    pub message: String,
}

impl Said {
    /// A condition of `kind`.
    #[must_use]
    pub fn new(
        kind: &'static str,
        holds: impl Into<Holds>,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { kind, holds: holds.into(), reason: reason.into(), message: message.into() }
    }

    /// The condition as it is stored. Its transition time is kept from `former` while its status stays the same.
    #[must_use]
    pub fn condition(self, former: &[Condition], generation: Option<i64>, now: Timestamp) -> Condition {
        let status = self.holds.as_str();
        let since = former
            .iter()
            .find(|c| c.type_ == self.kind && c.status == status)
            .map_or_else(|| Time(seconds(now)), |c| c.last_transition_time.clone());
        Condition {
            type_: self.kind.to_owned(),
            status: status.to_owned(),
            reason: self.reason,
            message: words::cut(self.message, MESSAGE),
            observed_generation: generation,
            last_transition_time: since,
        }
    }
}

/// All conditions of one object.
#[must_use]
pub fn conditions(
    said: impl IntoIterator<Item = Said>,
    former: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    said.into_iter().map(|said| said.condition(former, generation, now)).collect()
}

/// The instant without its fraction, as the API server stores times.
#[must_use]
pub fn seconds(now: Timestamp) -> Timestamp {
    crate::policy::dates::second(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_time_stays_while_the_status_does() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let first = Said::new(READY, true, "Loaded", "m").condition(&[], Some(1), at(10));
        let same =
            Said::new(READY, true, "Other", "n").condition(std::slice::from_ref(&first), Some(2), at(20));
        assert_eq!((same.last_transition_time.0, same.reason.as_str()), (at(10), "Other"));
        let turned = Said::new(READY, Holds::Unknown, "Lost", "m").condition(&[same], Some(2), at(30));
        assert_eq!((turned.last_transition_time.0, turned.status.as_str()), (at(30), "Unknown"));
    }
}
