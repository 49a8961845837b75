//! Asking registries who signed an artifact, behind one guarded HTTP client.
//!
//! [`CompiledTrust`] says what must be proven, [`Verifier`] finds it out, [`Verification`] is the answer. Signatures
//! bind a digest, not a place: a copy of a signed artifact in another repository counts there if the rules of that
//! repository name the same authority. The digest that is verified is the one in the reference, so a signature on an
//! index does not speak for a platform's manifest that is named by itself.

mod address;
mod attested;
mod auth;
mod authority;
mod client;
mod contents;
mod demand;
mod document;
mod error;
mod files;
mod issuers;
mod keyring;
mod legacy;
mod lookup;
mod memory;
mod model;
mod oci;
mod presence;
mod referrers;
mod signature;
mod specs;
mod statement;
mod stats;
mod tally;
mod trust;
mod verification;
mod verifier;
mod withdrawn;

pub use address::Names;
pub use attested::{Attested, EVIDENCE_PREDICATE};
pub use auth::RegistryCredentials;
pub use authority::{AuthoritySpec, IdentitySpec, MatchSpec, ProofSpec, RootSpec};
pub use contents::{Contents, Within};
pub use document::{Bundles, Document};
pub use keyring::{Keyring, KeyringError};
pub use model::SignedModel;
pub use presence::Presence;
pub use specs::{
    Artifact, AttestationSpec, PolicySpec, Question, RegistrySpec, RevokedKind, RevokedSpec, RuleSpec,
    SupplierSpec,
};
pub use stats::Stats;
pub use trust::{CompiledTrust, Problem};
pub use verification::{Cause, Proof, Refusal, SignatureFormat, Verification};
pub use verifier::{Verifier, VerifierConfig};

pub use crate::policy::image::{ImageRef, PatternError, RefError, RepositoryPattern};
