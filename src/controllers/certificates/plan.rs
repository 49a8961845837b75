//! Decides what to do next about the certificates, from what was observed and a given time. Pure.

use std::fmt;

use super::issue::LEAF_LIFE;

/// The SHA-256 of a certificate's DER form.
pub type Fingerprint = [u8; 32];

/// How long a published authority settles before anything is signed by it alone: every API server must have seen the
/// new caBundle. In seconds.
pub const SETTLE: i64 = 30;
/// How far our clock may be behind a time that the API server wrote, in seconds.
const CLOCK_TOLERANCE: i64 = 300;
/// At the latest after this many seconds everything is looked at again.
const LOOK_AGAIN: i64 = 3600;

/// When a certificate is valid, in seconds since 1970, and which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Which certificate.
    pub fingerprint: Fingerprint,
    /// Valid from.
    pub not_before: i64,
    /// Valid until.
    pub not_after: i64,
}

impl Validity {
    fn life(self) -> i64 {
        self.not_after.saturating_sub(self.not_before)
    }
}

/// What is wrong with what a Secret holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It is not there.
    Missing,
    /// It is not what it should be: no PEM, no certificate, no key.
    Unreadable,
    /// The key belongs to another certificate.
    OtherKey,
    /// The certificate may not sign others.
    NotAnAuthority,
}

/// Who signed the serving certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The authority that is in use.
    Current,
    /// The authority before it.
    Previous,
    /// Neither.
    Unknown,
}

/// The serving certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// When it is valid.
    pub validity: Validity,
    /// Who signed it.
    pub signer: Signer,
    /// Whether it is for exactly the names of our Service.
    pub names_fit: bool,
}

/// What the live webhook configuration says about authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// Not known yet.
    Unknown,
    /// There is no configuration, so nobody calls.
    Absent,
    /// These authorities are in every entry's caBundle, since that time.
    Authorities {
        /// The authorities in all entries.
        fingerprints: Vec<Fingerprint>,
        /// Since when we have seen them, in seconds since 1970.
        since: i64,
    },
}

/// All that the plan depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The authority in use.
    pub authority: Result<Validity, Flaw>,
    /// The authority before it, still trusted.
    pub previous: Option<Validity>,
    /// The serving certificate.
    pub leaf: Result<Leaf, Flaw>,
    /// The authorities that the serving Secret names.
    pub bundled: Vec<Fingerprint>,
    /// The authorities that the webhook configuration names.
    pub published: Published,
    /// The newest time that the API server wrote on these objects, in seconds since 1970.
    pub witnessed: Option<i64>,
}

impl Observed {
    /// The authorities that everybody should trust now.
    #[must_use]
    pub fn bundle(&self) -> Vec<Fingerprint> {
        let authority = self.authority.iter().map(|authority| authority.fingerprint);
        authority.chain(self.previous.iter().map(|previous| previous.fingerprint)).collect()
    }
}

/// Why something is made anew; the words stand in Events and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has a flaw.
    Flawed(Flaw),
    /// It has expired.
    Expired,
    /// It is not valid yet: it was made by a clock that was ahead.
    NotYetValid,
    /// It has reached the age at which it is replaced.
    Age,
    /// Nobody that is trusted signed it.
    UnknownSigner,
    /// Its authority is being replaced.
    NewAuthority,
    /// It is for other names.
    OtherNames,
}

impl Why {
    /// Whether this happens in the course of things, and not because something was damaged.
    #[must_use]
    pub fn is_routine(self) -> bool {
        matches!(self, Self::Age | Self::NewAuthority | Self::Flawed(Flaw::Missing))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flawed(Flaw::Missing) => "there was none",
            Self::Flawed(Flaw::Unreadable) => "what the Secret held could not be read",
            Self::Flawed(Flaw::OtherKey) => "its key belonged to another certificate",
            Self::Flawed(Flaw::NotAnAuthority) => "it was not allowed to sign",
            Self::Expired => "it had expired",
            Self::NotYetValid => "it was not valid yet, so it was made by a clock that was ahead",
            Self::Age => "it had reached its age",
            Self::UnknownSigner => "no trusted authority had signed it",
            Self::NewAuthority => "its authority is being replaced",
            Self::OtherNames => "it was for other names",
        })
    }
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Make a new authority; what signed the serving certificate, where it is still good, stays trusted beside it.
    NewAuthority(Why),
    /// Write the authorities into the serving Secret.
    WriteBundle,
    /// Make a new serving certificate, signed by the authority in use.
    NewLeaf(Why),
    /// Trust the authority in use alone.
    RetirePrevious,
}

/// What is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Nothing is due.
    NothingDue,
    /// The new authority is not in every entry of the webhook configuration for long enough.
    Publication,
    /// Our clock is behind the API server's: whatever we made now would be wrong.
    ClockBehind,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Do this, then look again.
    Act(Act),
    /// Look again after so many seconds.
    Wait(Waiting, i64),
}

/// Decides what to do at `now` (seconds since 1970).
///
/// # Guarantees
/// A serving certificate that the API server accepts is never replaced by one that it may not accept yet.
#[must_use]
pub fn plan(now: i64, observed: &Observed) -> Plan {
    if observed.witnessed.is_some_and(|witnessed| witnessed > now.saturating_add(CLOCK_TOLERANCE)) {
        return Plan::Wait(Waiting::ClockBehind, 60);
    }
    let authority = match observed.authority {
        Ok(authority) => authority,
        Err(flaw) => return Plan::Act(Act::NewAuthority(Why::Flawed(flaw))),
    };
    let rotate_at = authority.not_before.saturating_add(authority.life() / 3 * 2);
    if let Some(why) = unusable(now, authority) {
        return Plan::Act(Act::NewAuthority(why));
    }
    if now >= rotate_at && observed.previous.is_none() {
        return Plan::Act(Act::NewAuthority(Why::Age));
    }
    let leaf = match observed.leaf {
        Ok(leaf) => leaf,
        Err(flaw) => return Plan::Act(Act::NewLeaf(Why::Flawed(flaw))),
    };
    // Nothing is lost by replacing at once what nobody can accept.
    if let Some(why) = unacceptable(now, leaf) {
        return Plan::Act(Act::NewLeaf(why));
    }
    if !same(&observed.bundled, &observed.bundle()) {
        return Plan::Act(Act::WriteBundle);
    }
    let renew_at = leaf.validity.not_before.saturating_add(leaf.validity.life() / 2);
    match leaf.signer {
        Signer::Previous => return switch(now, authority, &observed.published),
        _ if now >= renew_at => return Plan::Act(Act::NewLeaf(Why::Age)),
        _ => {}
    }
    if let Some(previous) = observed.previous {
        // Replicas that could not read the new certificate may serve the old one until it expires.
        let retire_at = authority.not_before.saturating_add(LEAF_LIFE).min(previous.not_after);
        if now >= retire_at {
            return Plan::Act(Act::RetirePrevious);
        }
    }
    let due = renew_at.min(rotate_at).saturating_sub(now);
    Plan::Wait(Waiting::NothingDue, due.clamp(1, LOOK_AGAIN))
}

/// The serving certificate is good but signed by the previous authority: replace it once the new one is trusted.
fn switch(now: i64, authority: Validity, published: &Published) -> Plan {
    match published {
        Published::Absent => Plan::Act(Act::NewLeaf(Why::NewAuthority)),
        Published::Authorities { fingerprints, since } if fingerprints.contains(&authority.fingerprint) => {
            let settled = since.saturating_add(SETTLE);
            if now >= settled {
                Plan::Act(Act::NewLeaf(Why::NewAuthority))
            } else {
                // A clock that jumped cannot make us wait longer than a settling time.
                Plan::Wait(Waiting::Publication, settled.saturating_sub(now).clamp(1, SETTLE))
            }
        }
        Published::Unknown | Published::Authorities { .. } => Plan::Wait(Waiting::Publication, SETTLE),
    }
}

fn unusable(now: i64, validity: Validity) -> Option<Why> {
    if now >= validity.not_after {
        Some(Why::Expired)
    } else if now < validity.not_before {
        Some(Why::NotYetValid)
    } else {
        None
    }
}

fn unacceptable(now: i64, leaf: Leaf) -> Option<Why> {
    if let Some(why) = unusable(now, leaf.validity) {
        Some(why)
    } else if leaf.signer == Signer::Unknown {
        Some(Why::UnknownSigner)
    } else if !leaf.names_fit {
        Some(Why::OtherNames)
    } else {
        None
    }
}

fn same(left: &[Fingerprint], right: &[Fingerprint]) -> bool {
    left.len() == right.len() && left.iter().all(|fingerprint| right.contains(fingerprint))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
