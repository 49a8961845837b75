//! Trust policies as the verifier takes them. What this version cannot verify is kept as such, so that the rule or
//! authority that asks for it refuses instead of being read as less than it says.

use jiff::{SignedDuration, Timestamp};

use super::registry::{
    Artifact, AuthoritySpec, CompiledTrust, IdentitySpec, MatchSpec, PolicySpec, ProofSpec, RegistrySpec,
    RevokedKind, RevokedSpec, RootSpec, RuleSpec, SignatureFormat,
};
use crate::api::trust::{self as api, AITrustPolicy};
use crate::models::job::LONGEST_TRUST;
use crate::policy::dates;

/// What is wrong with one policy, as sentences that name the place; empty when all of it can be used.
#[must_use]
pub fn problems(policy: &AITrustPolicy) -> Vec<String> {
    let compiled = CompiledTrust::compile(&[spec(policy)]);
    let suppliers =
        policy.spec.revoked.iter().enumerate().filter(|(_, r)| r.kind == api::RevokedKind::Supplier);
    let without_effect = suppliers.map(|(index, _)| {
        format!("spec.revoked[{index}]: revoking a supplier has no effect in this version; revoke its keys and digests")
    });
    let broken = compiled.problems().iter().map(|p| format!("spec.{}: {}", p.path, p.message));
    broken.chain(without_effect).collect()
}

/// The policy, ready to be compiled.
#[must_use]
pub fn spec(policy: &AITrustPolicy) -> PolicySpec {
    let of = &policy.spec;
    PolicySpec {
        name: policy.metadata.name.clone().unwrap_or_default(),
        registries: of.registries.iter().map(registry).collect(),
        authorities: of.authorities.iter().map(authority).collect(),
        rules: of.rules.iter().map(rule).collect(),
        revoked: of.revoked.iter().filter_map(revoked).collect(),
    }
}

/// The policies reduced to what is about models on volumes, as text that is the same wherever the policies are: for the
/// Job that verifies one of them, in a place without an API server.
///
/// # Errors
/// A sentence where the text would be longer than an environment variable may be.
pub fn for_volumes<'a>(
    policies: impl Iterator<Item = &'a AITrustPolicy>,
    digest: &str,
) -> Result<String, String> {
    let mut reduced: Vec<AITrustPolicy> = policies.map(|policy| reduce(policy, digest)).collect();
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

fn reduce(policy: &AITrustPolicy, digest: &str) -> AITrustPolicy {
    let of = &policy.spec;
    let about = |rule: &&api::TrustRule| {
        rule.match_.artifact == api::Artifact::Model && rule.match_.repositories.is_empty()
    };
    let rules: Vec<_> = of.rules.iter().filter(about).cloned().collect();
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

fn registry(registry: &api::Registry) -> RegistrySpec {
    RegistrySpec {
        host: registry.host.clone(),
        plain_http: registry.plain_http,
        allow_private_addresses: registry.allow_private_addresses,
        companions: registry.companions.clone(),
        mirror_of: registry.mirror_of.clone(),
    }
}

fn authority(authority: &api::Authority) -> AuthoritySpec {
    let proof = match (&authority.key, &authority.keyless, &authority.certificate) {
        (Some(key), None, None) => ProofSpec::Key {
            pem: key.pem.clone(),
            algorithm: key.algorithm.map(|algorithm| algorithm.as_str().to_owned()),
        },
        (None, Some(keyless), None) => keyless_proof(keyless),
        (None, None, Some(_)) => ProofSpec::Unsupported("certificate"),
        _ => ProofSpec::Unusable("it needs exactly one of key, keyless and certificate".to_owned()),
    };
    let time = |text: &Option<String>, read: fn(&str) -> Option<Timestamp>| text.as_deref().map(read);
    let (start, end) = (time(&authority.not_before, dates::from), time(&authority.not_after, dates::until));
    // A date that cannot be read must not make the authority last for ever.
    let readable = start != Some(None) && end != Some(None);
    let proof =
        if readable { proof } else { ProofSpec::Unusable("notBefore or notAfter is no date".to_owned()) };
    AuthoritySpec {
        name: authority.name.clone(),
        proof,
        not_before: start.flatten(),
        // The last second still counts.
        not_after: end.flatten().and_then(|end| end.checked_add(SignedDuration::from_secs(1)).ok()),
        require_log: authority.require_transparency_log.unwrap_or_default(),
        trusted_root: root(authority.keyless.as_ref().and_then(|keyless| keyless.trust_root.as_ref())),
        formats: authority.formats.iter().map(|format| signature_format(*format)).collect(),
    }
}

fn keyless_proof(keyless: &api::Keyless) -> ProofSpec {
    let subject = match (&keyless.subject, &keyless.subject_reg_exp) {
        (Some(subject), None) => MatchSpec::Exact(subject.clone()),
        (None, Some(pattern)) => MatchSpec::Pattern(pattern.clone()),
        _ => return ProofSpec::Unusable("keyless needs exactly one of subject and subjectRegExp".to_owned()),
    };
    ProofSpec::Keyless {
        identities: vec![IdentitySpec { issuer: MatchSpec::Exact(keyless.issuer.clone()), subject }],
    }
}

fn root(root: Option<&api::TrustRoot>) -> RootSpec {
    let Some(root) = root else { return RootSpec::Public };
    match (&root.inline, &root.config_map_ref) {
        (Some(json), None) => RootSpec::Inline(json.clone()),
        (None, Some(reference)) => RootSpec::Unavailable(format!(
            "trust roots are not read from ConfigMaps such as {:?} by this version: give it inline",
            reference.name
        )),
        _ => RootSpec::Unavailable("trustRoot needs exactly one of inline and configMapRef".to_owned()),
    }
}

fn rule(rule: &api::TrustRule) -> RuleSpec {
    let mut unsupported = Vec::new();
    if rule.sign_within.is_some() {
        unsupported.push("signWithin".to_owned());
    }
    if !rule.attestations.is_empty() {
        unsupported.push("attestations".to_owned());
    }
    RuleSpec {
        artifact: match rule.match_.artifact {
            api::Artifact::Image => Artifact::Image,
            api::Artifact::Model => Artifact::Model,
            api::Artifact::Dataset => Artifact::Dataset,
            api::Artifact::Prompt => Artifact::Prompt,
        },
        repositories: rule.match_.repositories.clone(),
        namespaces: rule.match_.namespaces.clone(),
        authorities: rule.authorities.clone(),
        min_signatures: rule.min_signatures.unwrap_or(1),
        unsupported,
    }
}

/// Suppliers are judged elsewhere: a signature does not name them.
fn revoked(revocation: &api::Revocation) -> Option<RevokedSpec> {
    let kind = match revocation.kind {
        api::RevokedKind::Digest => RevokedKind::Digest,
        api::RevokedKind::Key => RevokedKind::Key,
        api::RevokedKind::Identity => RevokedKind::Identity,
        api::RevokedKind::Supplier => return None,
    };
    let reason = revocation.reason.clone().unwrap_or_else(|| "no reason is given".to_owned());
    Some(RevokedSpec { kind, value: revocation.value.clone(), reason })
}

fn signature_format(format: api::SignatureFormat) -> SignatureFormat {
    match format {
        api::SignatureFormat::TagAttached => SignatureFormat::SimpleSigning,
        api::SignatureFormat::Bundle => SignatureFormat::Bundle,
    }
}
