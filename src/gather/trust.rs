//! Trust policies as the verifier takes them. What this version cannot verify disables the rule that asks for it.

use super::registry::{
    Artifact, AuthoritySpec, CompiledTrust, IdentitySpec, MatchSpec, PolicySpec, ProofSpec, RegistrySpec,
    RevokedKind, RevokedSpec, RuleSpec,
};
use crate::api::trust::{self as api, AITrustPolicy};
use crate::policy::dates;

/// What is wrong with one policy, as sentences that name the place; empty when all of it can be used.
#[must_use]
pub fn problems(policy: &AITrustPolicy) -> Vec<String> {
    let compiled = CompiledTrust::compile(&[spec(policy, None)]);
    let suppliers =
        policy.spec.revoked.iter().enumerate().filter(|(_, r)| r.kind == api::RevokedKind::Supplier);
    let without_effect = suppliers.map(|(index, _)| {
        format!("spec.revoked[{index}]: revoking a supplier has no effect in this version; revoke its keys and digests")
    });
    let broken = compiled.problems().iter().map(|p| format!("spec.{}: {}", p.path, p.message));
    broken.chain(without_effect).collect()
}

/// The policy for pods of `namespace`; for `None` with every rule.
#[must_use]
pub fn spec(policy: &AITrustPolicy, namespace: Option<&str>) -> PolicySpec {
    let of = &policy.spec;
    PolicySpec {
        name: policy.metadata.name.clone().unwrap_or_default(),
        registries: of
            .registries
            .iter()
            .map(|registry| RegistrySpec {
                host: registry.host.clone(),
                plain_http: registry.plain_http,
                allow_private_addresses: registry.allow_private_addresses,
                companions: Vec::new(),
            })
            .collect(),
        authorities: of.authorities.iter().map(authority).collect(),
        rules: of.rules.iter().filter(|rule| concerns(rule, namespace)).filter_map(rule).collect(),
        revoked: of.revoked.iter().flat_map(|r| revoked(policy, r)).collect(),
    }
}

/// Whether a rule is about pods of the namespace.
#[must_use]
pub fn concerns(rule: &api::TrustRule, namespace: Option<&str>) -> bool {
    let names = &rule.match_.namespaces;
    namespace.is_none_or(|namespace| names.is_empty() || names.iter().any(|n| n == "*" || n == namespace))
}

fn authority(authority: &api::Authority) -> AuthoritySpec {
    let proof = match (&authority.key, &authority.keyless, &authority.certificate) {
        (Some(key), None, None) => ProofSpec::Key {
            pem: key.pem.clone(),
            algorithm: key.algorithm.map(|algorithm| algorithm.as_str().to_owned()),
        },
        (None, Some(keyless), None) => match subject(keyless) {
            Some(subject) => ProofSpec::Keyless {
                identities: vec![IdentitySpec { issuer: MatchSpec::Exact(keyless.issuer.clone()), subject }],
            },
            None => ProofSpec::Unsupported("a keyless authority without subject"),
        },
        (None, None, Some(_)) => ProofSpec::Unsupported("a certificate authority of one's own"),
        _ => ProofSpec::Unsupported("more or less than one of key, keyless and certificate"),
    };
    let root = authority.keyless.as_ref().and_then(|keyless| keyless.trust_root.as_ref());
    let proof = match root {
        Some(root) if root.inline.is_none() => ProofSpec::Unsupported("a trust root in a ConfigMap"),
        _ => proof,
    };
    let time = |text: &Option<String>, read: fn(&str) -> Option<jiff::Timestamp>| text.as_deref().map(read);
    let (not_before, not_after) =
        (time(&authority.not_before, dates::from), time(&authority.not_after, dates::until));
    // A date that cannot be read must not make the authority last for ever.
    let readable = not_before != Some(None) && not_after != Some(None);
    AuthoritySpec {
        name: authority.name.clone(),
        proof: if readable { proof } else { ProofSpec::Unsupported("a date that cannot be read") },
        not_before: not_before.flatten(),
        not_after: not_after.flatten(),
        require_log: authority.require_transparency_log.unwrap_or(authority.keyless.is_some()),
        trusted_root: root.and_then(|root| root.inline.clone()),
    }
}

fn subject(keyless: &api::Keyless) -> Option<MatchSpec> {
    match (&keyless.subject, &keyless.subject_reg_exp) {
        (Some(subject), None) => Some(MatchSpec::Exact(subject.clone())),
        (None, Some(pattern)) => Some(MatchSpec::Pattern(pattern.clone())),
        _ => None,
    }
}

fn rule(rule: &api::TrustRule) -> Option<RuleSpec> {
    let artifact = match rule.match_.artifact {
        api::Artifact::Image => Artifact::Image,
        api::Artifact::Model => Artifact::Model,
        api::Artifact::Dataset => Artifact::Dataset,
        // Prompts come in ConfigMaps, which have no repository.
        api::Artifact::Prompt => return None,
    };
    let authorities = match unsupported(rule) {
        // A name that no authority has: the rule then refuses, and says which demand is not met.
        Some(what) => vec![format!("({what}, which this version does not verify)")],
        None => rule.authorities.clone(),
    };
    Some(RuleSpec { artifact, repositories: rule.match_.repositories.clone(), authorities })
}

/// A demand of a rule that nothing checks yet.
fn unsupported(rule: &api::TrustRule) -> Option<&'static str> {
    if !rule.attestations.is_empty() {
        Some("the rule asks for attestations")
    } else if rule.min_signatures.is_some_and(|n| n > 1) {
        Some("the rule asks for more than one signature")
    } else if rule.sign_within.is_some() {
        Some("the rule asks for signing within a time")
    } else {
        None
    }
}

/// A key is revoked by its fingerprint or by its authority's name, an identity by the authorities that name it.
fn revoked(policy: &AITrustPolicy, revocation: &api::Revocation) -> Vec<RevokedSpec> {
    let reason = revocation.reason.clone().unwrap_or_else(|| "no reason given".to_owned());
    let of = |kind, value: &str| RevokedSpec { kind, value: value.to_owned(), reason: reason.clone() };
    let value = revocation.value.as_str();
    match revocation.kind {
        api::RevokedKind::Digest => vec![of(RevokedKind::Digest, value)],
        api::RevokedKind::Key => vec![of(RevokedKind::Key, value), of(RevokedKind::Authority, value)],
        api::RevokedKind::Identity => policy
            .spec
            .authorities
            .iter()
            .filter(|a| a.keyless.as_ref().is_some_and(|k| k.subject.as_deref() == Some(value)))
            .map(|a| of(RevokedKind::Authority, &a.name))
            .collect(),
        api::RevokedKind::Supplier => Vec::new(),
    }
}
