//! Evidence under a signature: who may speak for a person, and what was signed.

use jiff::Timestamp;
use serde_json::Value;
use sigstore_verify::types::Sha256Hash;

use super::signature::Candidate;
use super::statement;
use super::trust::CompiledTrust;

/// The type of a statement that says what an AIEvidence says.
pub const EVIDENCE_PREDICATE: &str = "https://portcullis.dev/evidence/v1";
/// A bundle that is longer is not read.
const MAX_BUNDLE: usize = 32 << 10;

/// A verified statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Attested {
    /// The authority whose signature counts.
    pub authority: String,
    /// What was stated.
    pub predicate: Value,
}

impl CompiledTrust {
    /// Whether an authority of this name may sign for `person` at `now`.
    #[must_use]
    pub fn speaks(&self, authority: &str, person: &str, now: Timestamp) -> bool {
        self.signers(person).any(|signer| signer.name() == authority && signer.proof_at(now).is_ok())
    }

    /// Verifies a statement about `digest` that has to be signed by an authority which speaks for `person`.
    ///
    /// Guarantees: what is handed out was under the signature, and the signature is by an authority that a trust policy
    /// gives to this very person and to nobody whom it does not name.
    ///
    /// # Errors
    /// A clause that completes "the signature does not count: ...".
    pub fn verify_evidence(
        &self,
        bundle: &[u8],
        digest: &str,
        person: &str,
        now: Timestamp,
    ) -> Result<Attested, String> {
        if bundle.len() > MAX_BUNDLE {
            return Err(format!("it is longer than {MAX_BUNDLE} bytes"));
        }
        let hash = Sha256Hash::from_hex(digest.trim_start_matches("sha256:"))
            .map_err(|_| "the digest it is about is no sha256".to_owned())?;
        let (candidate, payload) = Candidate::statement(bundle, &hash)?;
        let stated = candidate.stated().map(|stated| stated.predicate_type.as_str()).unwrap_or_default();
        if stated != EVIDENCE_PREDICATE {
            let stated: String = stated.chars().take(120).collect();
            return Err(format!("it states {stated:?} instead of {EVIDENCE_PREDICATE:?}"));
        }
        let mut reason = None;
        for signer in self.signers(person) {
            match candidate.check(signer, &hash, now) {
                Ok(_) => {
                    let predicate = statement::predicate(&payload).ok_or("what it states cannot be read")?;
                    return Ok(Attested { authority: signer.name().to_owned(), predicate });
                }
                Err(why) => {
                    reason.get_or_insert_with(|| format!("authority {:?}: {why}", signer.name()));
                }
            }
        }
        Err(reason.unwrap_or_else(|| format!("no authority of a trust policy belongs to {person:?}")))
    }
}
