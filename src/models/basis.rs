//! What a verification of files on a volume rests on: what was declared, the claim that was read, and who was trusted. Pure.
//!
//! Whoever counts on a verification asks for the basis of the present; a verification with another one proves nothing.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::job::{LONGEST_TRUST, Stored};
use crate::api::trust::{self as api, AITrustPolicy};

/// The claim as it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound<'a> {
    /// Its UID; nothing where there is no such claim, or where it stands in a file.
    pub uid: Option<&'a str>,
    /// The volume that it is bound to.
    pub volume: Option<&'a str>,
}

/// What a verification of `stored` rests on at present, as a digest; nothing where it lies on no claim.
#[must_use]
pub fn of<'a>(
    stored: &Stored,
    claim: Bound<'_>,
    policies: impl Iterator<Item = &'a AITrustPolicy>,
) -> Option<String> {
    let name = stored.claim.as_deref()?;
    let digest = stored.digest.as_deref().unwrap_or_default();
    // What cannot be handed to a verifier is trust of its own kind: another one makes another basis.
    let trust = for_volumes(policies, digest, stored.is_data).unwrap_or_else(|why| why);
    let all = json!([
        stored.kind(),
        stored.namespace,
        stored.name,
        name,
        stored.path,
        digest,
        stored.signature,
        stored.made,
        claim.uid,
        claim.volume,
        trust,
    ]);
    Some(format!("sha256:{}", hex::encode(Sha256::digest(all.to_string()))))
}

/// The policies reduced to what is about models on volumes, as text that is the same wherever the policies are: for the
/// Job that verifies one of them, in a place without an API server.
///
/// # Errors
/// A sentence where the text would be longer than an environment variable may be.
pub fn for_volumes<'a>(
    policies: impl Iterator<Item = &'a AITrustPolicy>,
    digest: &str,
    is_data: bool,
) -> Result<String, String> {
    let policies: Vec<&AITrustPolicy> = policies.collect();
    let of_data =
        |policy: &&AITrustPolicy| policy.spec.rules.iter().any(|r| is_about(r, api::Artifact::Dataset));
    // Where no rule is about datasets, those about models speak for them too.
    let artifact =
        if is_data && policies.iter().any(of_data) { api::Artifact::Dataset } else { api::Artifact::Model };
    let mut reduced: Vec<AITrustPolicy> =
        policies.into_iter().map(|policy| reduce(policy, digest, artifact)).collect();
    reduced.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    let text = serde_json::to_string(&reduced)
        .map_err(|error| format!("the trust policies cannot be written: {error}"))?;
    if text.len() > LONGEST_TRUST {
        return Err(format!(
            "the trust policies about models on volumes take {} bytes, and the verifier can be given {LONGEST_TRUST}",
            text.len()
        ));
    }
    Ok(text)
}

/// Whether a rule is about files of a kind that no repository holds.
fn is_about(rule: &api::TrustRule, artifact: api::Artifact) -> bool {
    rule.match_.artifact == artifact && rule.match_.repositories.is_empty()
}

fn reduce(policy: &AITrustPolicy, digest: &str, artifact: api::Artifact) -> AITrustPolicy {
    let of = &policy.spec;
    let mut rules: Vec<_> = of.rules.iter().filter(|rule| is_about(rule, artifact)).cloned().collect();
    // A verifier knows files on a volume, whatever they are for.
    for rule in &mut rules {
        rule.match_.artifact = api::Artifact::Model;
    }
    let named =
        |authority: &&api::Authority| rules.iter().any(|rule| rule.authorities.contains(&authority.name));
    let counts = |revoked: &&api::Revocation| match revoked.kind {
        api::RevokedKind::Digest => revoked.value.trim().eq_ignore_ascii_case(digest),
        api::RevokedKind::Key | api::RevokedKind::Identity => true,
        api::RevokedKind::Supplier => false,
    };
    let mut reduced = AITrustPolicy::new(
        policy.metadata.name.as_deref().unwrap_or_default(),
        api::AITrustPolicySpec {
            authorities: of.authorities.iter().filter(named).cloned().collect(),
            revoked: of.revoked.iter().filter(counts).cloned().collect(),
            rules,
            ..api::AITrustPolicySpec::default()
        },
    );
    reduced.status = None;
    reduced
}
