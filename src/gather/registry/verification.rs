//! What came of looking for an artifact's signatures: a value that keeps "not signed", "signed by somebody else" and
//! "could not look" apart.

use std::fmt;

use jiff::Timestamp;

use crate::policy::facts::Attested;

/// The answer about one artifact. Only [`Verification::Verified`] is a reason to let it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// Every rule about the repository is satisfied by a signature that was checked here.
    Verified(Proof),
    /// The registry answered, and there is no signature.
    NotSigned {
        /// One sentence.
        reason: String,
    },
    /// There are signatures, and they do not satisfy the rules.
    Untrusted {
        /// One sentence for each signature or missing authority, bounded in number.
        reasons: Vec<String>,
    },
    /// The trust policies refuse the artifact whatever the registry would say; no packet was sent.
    Refused(Refusal),
    /// It could not be found out.
    Unknown {
        /// What stood in the way; its name is the metric label.
        cause: Cause,
        /// One sentence.
        reason: String,
    },
}

/// What was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Names of the authorities whose signatures count, sorted.
    pub authorities: Vec<String>,
    /// The further statements that the rules ask for.
    pub attestations: Vec<Attested>,
    /// When the oldest of these signatures was made, where a transparency log or a timestamp authority says so.
    pub signed_at: Option<Timestamp>,
    /// The digest of the list of files that was signed, where a signature is over that and not over the artifact's own
    /// digest.
    pub files: Option<String>,
    /// How the signatures were attached.
    pub format: SignatureFormat,
    /// The signed index that lists the artifact, where it is vouched for by that.
    pub vouched_by: Option<String>,
    /// From when on the proof is void, because an authority ends.
    pub valid_until: Option<Timestamp>,
}

/// How a signature was attached to its artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureFormat {
    /// A signed payload under the tag `sha256-<digest>.sig`.
    SimpleSigning,
    /// A sigstore bundle that refers to the artifact.
    Bundle,
}

impl SignatureFormat {
    /// The name in words and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SimpleSigning => "simple-signing",
            Self::Bundle => "bundle",
        }
    }
}

/// Why the policies alone refuse an artifact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No trust policy exists, or none could be compiled.
    #[error("no trust policy lists any registry")]
    NoPolicy,
    /// The registry is not on the list.
    #[error("registry {0:?} is not on the list of allowed registries")]
    RegistryNotAllowed(String),
    /// The reference names no digest that could be verified.
    #[error("the reference names no sha256 digest")]
    NotPinned,
    /// No rule is about the repository: nothing was proven, so nothing is allowed.
    #[error("no rule of a trust policy covers repository {0:?}")]
    NoRule(String),
    /// A model that no registry holds is covered by rules without repositories only, and there is none.
    #[error(
        "no rule of a trust policy is about models of every repository, and a model on a volume has none"
    )]
    NoRuleForFiles,
    /// The digest was withdrawn.
    #[error("digest {digest} is revoked: {reason}")]
    Revoked {
        /// The digest.
        digest: String,
        /// The policy's words.
        reason: String,
    },
    /// A rule covers the repository, and none of its authorities can prove anything.
    #[error("no authority of rule {rule} can be used: {problems}")]
    NoUsableAuthority {
        /// The rule, `<policy>[<index>]`.
        rule: String,
        /// What is wrong with each.
        problems: String,
    },
    /// The supplier whose repository it is was withdrawn.
    #[error("supplier {supplier:?} is revoked: {reason}")]
    RevokedSupplier {
        /// Its name.
        supplier: String,
        /// The policy's words.
        reason: String,
    },
    /// A rule cannot be read, so nobody can say what it covers.
    #[error("rule {rule} cannot be read: {problem}")]
    BrokenRule {
        /// The rule, `<policy>[<index>]`.
        rule: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Refusal {
    /// The variant's name, for metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoPolicy => "NoPolicy",
            Self::RegistryNotAllowed(_) => "RegistryNotAllowed",
            Self::NotPinned => "NotPinned",
            Self::NoRule(_) => "NoRule",
            Self::NoRuleForFiles => "NoRuleForFiles",
            Self::Revoked { .. } => "Revoked",
            Self::NoUsableAuthority { .. } => "NoUsableAuthority",
            Self::RevokedSupplier { .. } => "RevokedSupplier",
            Self::BrokenRule { .. } => "BrokenRule",
        }
    }
}

/// What kept an answer away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// No connection: refused, reset, no such name, no TLS.
    Unreachable,
    /// No complete answer in time.
    Timeout,
    /// The registry wants credentials that were not given, or refuses those that were.
    Unauthorised,
    /// The answer would lead somewhere that is not allowed: an address, a redirect, a token service.
    Guarded,
    /// The answer is not what the protocol says, or not the bytes its digest promises.
    Malformed,
    /// The answer is longer, or there are more, than will be read.
    LimitExceeded,
    /// The registry answered with an error of its own.
    RegistryError,
    /// This side cannot look: no CA certificates, too many look-ups under way, an internal fault.
    Internal,
}

impl Cause {
    /// The variant's name, for metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "Unreachable",
            Self::Timeout => "Timeout",
            Self::Unauthorised => "Unauthorised",
            Self::Guarded => "Guarded",
            Self::Malformed => "Malformed",
            Self::LimitExceeded => "LimitExceeded",
            Self::RegistryError => "RegistryError",
            Self::Internal => "Internal",
        }
    }
}

impl Verification {
    /// Whether the artifact may be trusted.
    #[must_use]
    pub const fn is_verified(&self) -> bool {
        matches!(self, Self::Verified(_))
    }

    /// The variant's name, for metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Verified(_) => "Verified",
            Self::NotSigned { .. } => "NotSigned",
            Self::Untrusted { .. } => "Untrusted",
            Self::Refused(_) => "Refused",
            Self::Unknown { .. } => "Unknown",
        }
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verified(proof) => write!(f, "signed by {}", proof.authorities.join(", ")),
            Self::NotSigned { reason } | Self::Unknown { reason, .. } => f.write_str(reason),
            Self::Untrusted { reasons } => f.write_str(&reasons.join("; ")),
            Self::Refused(refusal) => write!(f, "{refusal}"),
        }
    }
}
