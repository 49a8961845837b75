//! Signatures over the files of a model, which need no registry: who signed the manifest, by the trust policies.

use jiff::Timestamp;
use sigstore_verify::types::Sha256Hash;

use super::signature::Candidate;
use super::tally::Tally;
use super::trust::CompiledTrust;
use super::verification::{Cause, Verification};
use crate::models::manifest::{MAX_STATEMENT, Manifest, ManifestError};

/// Said where `signWithin` has nothing to count from.
const NEVER_MADE: &str = "nothing says when the model was made: set spec.trainedAt of the AIModel";

/// What a bundle over a model's files proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedModel {
    /// Whether it counts. Nothing is said of the bytes of the files.
    pub verification: Verification,
    /// The files that it lists, where it could be read; worth nothing unless the verification is.
    pub manifest: Option<Manifest>,
}

impl CompiledTrust {
    /// Judges a bundle of `OpenSSF` model signing.
    ///
    /// The rules are those about models of every repository: files on a volume have no repository of their own. The digest
    /// that may be revoked is that of the whole manifest.
    ///
    /// Guarantees: only a bundle whose statement lists the files is taken, so a signature over anything else, an image
    /// with the same digest say, proves nothing here.
    /// `is_data` says that the files are a dataset, of which rules about datasets speak where there are any.
    /// `made` is when the model was made, as its declaration says; rules with `signWithin` need it.
    #[must_use]
    pub fn verify_model(
        &self,
        bundle: &[u8],
        namespace: Option<&str>,
        made: Option<Timestamp>,
        is_data: bool,
    ) -> SignedModel {
        let untrusted = |reason: String| Verification::Untrusted {
            reasons: vec![format!("the signature does not count: {reason}")],
        };
        let without = |verification| SignedModel { verification, manifest: None };
        // A third more for the text form of the statement, and some room for certificates.
        if bundle.len() > MAX_STATEMENT / 3 * 4 + (1 << 20) {
            return without(untrusted("it is too long".to_owned()));
        }
        let (candidate, statement) = match Candidate::model(bundle) {
            Ok(read) => read,
            Err(reason) => return without(untrusted(reason)),
        };
        let manifest = match Manifest::parse(&statement) {
            Ok(manifest) => manifest,
            Err(ManifestError::Malformed(reason)) => return without(untrusted(reason)),
            Err(ManifestError::Unsupported(reason)) => {
                return without(Verification::Unknown { cause: Cause::Internal, reason });
            }
        };
        let Ok(hash) = Sha256Hash::from_hex(manifest.digest.trim_start_matches("sha256:")) else {
            return without(untrusted("its digest is no sha256".to_owned()));
        };
        let verification = match self.demand_of_files(&manifest.digest, namespace, is_data) {
            Err(refusal) => Verification::Refused(refusal),
            Ok(demand) => {
                let mut tally = Tally::new(&demand, &manifest.digest, hash);
                tally.consider(Ok(candidate));
                if tally.needs_time() {
                    tally.keep_timely(&made.ok_or_else(|| NEVER_MADE.to_owned()));
                }
                tally.verdict()
            }
        };
        SignedModel { verification, manifest: Some(manifest) }
    }
}
