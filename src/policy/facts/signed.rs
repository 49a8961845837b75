//! What is known of signatures: of an artifact itself, and of what else was stated of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::models::bom::Card;
use crate::models::libraries::Library;

/// What is known of the signature of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// Verified by these authorities.
    Trusted(Vouched),
    /// The artifact carries no signature that counts; why.
    Missing(String),
    /// Signatures exist, none is by a trusted authority; why.
    Untrusted(String),
    /// The trust policy refuses the artifact before any look-up; why.
    Refused(String),
    /// It could not be found out; why.
    Unknown(String),
    /// Nobody has looked yet, and the answer will come.
    Pending,
    /// Nobody looks, because only files are known.
    Unasked,
}

/// Who vouches for an artifact, and what else was stated of it and verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vouched {
    /// Names of the authorities whose signatures count, sorted.
    pub authorities: Vec<String>,
    /// The further statements that trust rules ask for and that were verified.
    pub attestations: Vec<Attested>,
}

impl Vouched {
    /// Whether nobody vouches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.authorities.is_empty()
    }
}

impl From<Vec<String>> for Vouched {
    fn from(authorities: Vec<String>) -> Self {
        Self { authorities, attestations: Vec::new() }
    }
}

/// A signed statement about an artifact, bound to its digest and verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attested {
    /// What kind of statement it is, such as `https://slsa.dev/provenance/v1`.
    pub predicate_type: String,
    /// Who built the artifact, where the statement is a provenance that says so.
    pub builder_id: Option<String>,
    /// Name of the authority that signed the statement.
    pub authority: String,
    /// The model card in it, where it is a bill of materials with a model; or why it cannot be told which model.
    pub card: Option<Arc<Result<Card, String>>>,
    /// The libraries that load or serve models, where it is a bill of materials; or why it cannot be read.
    pub libraries: Option<Arc<Result<BTreeSet<Library>, String>>>,
    /// What it says as evidence, where it is such a statement.
    pub evidence: Option<Arc<Statement>>,
}

/// Evidence in a signed statement about an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement {
    /// Type of the evidence.
    pub type_: String,
    /// Day of the document.
    pub issued_at: String,
    /// Last day on which it counts.
    pub expires_at: Option<String>,
    /// Whether it passed, without conditions.
    pub passed: bool,
}
