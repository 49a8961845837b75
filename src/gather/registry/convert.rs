//! From the resource AITrustPolicy to what is compiled, and from answers to the facts that controls look at.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use kube::ResourceExt as _;

use super::authority::{AuthoritySpec, IdentitySpec, MatchSpec, ProofSpec, RootSpec};
use super::trust::{Artifact, PolicySpec, RegistrySpec, RevokedKind, RevokedSpec, RuleSpec};
use super::verification::{SignatureFormat, Verification};
use crate::api;
use crate::api::trust as resource;
use crate::policy::facts::Signature;

impl From<&api::AITrustPolicy> for PolicySpec {
    fn from(policy: &api::AITrustPolicy) -> Self {
        let spec = &policy.spec;
        Self {
            name: policy.name_any(),
            registries: spec.registries.iter().map(registry).collect(),
            authorities: spec.authorities.iter().map(authority).collect(),
            rules: spec.rules.iter().map(rule).collect(),
            revoked: spec.revoked.iter().filter_map(revoked).collect(),
        }
    }
}

fn registry(registry: &resource::Registry) -> RegistrySpec {
    RegistrySpec {
        host: registry.host.clone(),
        plain_http: registry.plain_http,
        allow_private_addresses: registry.allow_private_addresses,
        companions: Vec::new(),
        mirror_of: registry.mirror_of.clone(),
    }
}

fn authority(authority: &resource::Authority) -> AuthoritySpec {
    let mut trusted_root = RootSpec::Public;
    let proof = if let Some(key) = &authority.key {
        let algorithm = key.algorithm.map(|algorithm| algorithm.as_str().to_owned());
        ProofSpec::Key { pem: key.pem.clone(), algorithm }
    } else if let Some(keyless) = &authority.keyless {
        trusted_root = root(keyless.trust_root.as_ref());
        keyless_proof(keyless)
    } else if authority.certificate.is_some() {
        ProofSpec::Unsupported("certificate")
    } else {
        ProofSpec::Unsupported("empty")
    };
    let mut spec = AuthoritySpec {
        name: authority.name.clone(),
        proof,
        not_before: None,
        not_after: None,
        require_log: authority.require_transparency_log.unwrap_or_default(),
        trusted_root,
        formats: authority.formats.iter().map(|format| signature_format(*format)).collect(),
    };
    match (day(authority.not_before.as_deref(), 0), day(authority.not_after.as_deref(), 1)) {
        (Ok(start), Ok(end)) => (spec.not_before, spec.not_after) = (start, end),
        _ => spec.proof = ProofSpec::Unusable("notBefore or notAfter is no date".to_owned()),
    }
    spec
}

fn keyless_proof(keyless: &resource::Keyless) -> ProofSpec {
    let subject = match (&keyless.subject, &keyless.subject_reg_exp) {
        (Some(subject), None) => MatchSpec::Exact(subject.clone()),
        (None, Some(pattern)) => MatchSpec::Pattern(pattern.clone()),
        _ => return ProofSpec::Unusable("keyless needs exactly one of subject and subjectRegExp".to_owned()),
    };
    ProofSpec::Keyless {
        identities: vec![IdentitySpec { issuer: MatchSpec::Exact(keyless.issuer.clone()), subject }],
    }
}

fn root(root: Option<&resource::TrustRoot>) -> RootSpec {
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

/// The start of a day, or of the one after the last day on which something counts.
fn day(date: Option<&str>, later: i32) -> Result<Option<Timestamp>, jiff::Error> {
    let Some(date) = date else { return Ok(None) };
    let date: Date = date.parse()?;
    let date = if later == 0 { date } else { date.tomorrow()? };
    Ok(Some(date.to_zoned(TimeZone::UTC)?.timestamp()))
}

fn rule(rule: &resource::TrustRule) -> RuleSpec {
    let mut unsupported = Vec::new();
    if rule.sign_within.is_some() {
        unsupported.push("signWithin".to_owned());
    }
    if !rule.attestations.is_empty() {
        unsupported.push("attestations".to_owned());
    }
    RuleSpec {
        artifact: match rule.match_.artifact {
            resource::Artifact::Image => Artifact::Image,
            resource::Artifact::Model => Artifact::Model,
            resource::Artifact::Dataset => Artifact::Dataset,
            resource::Artifact::Prompt => Artifact::Prompt,
        },
        repositories: rule.match_.repositories.clone(),
        namespaces: rule.match_.namespaces.clone(),
        authorities: rule.authorities.clone(),
        min_signatures: rule.min_signatures.unwrap_or(1),
        unsupported,
    }
}

/// Suppliers are judged elsewhere: a signature does not name them.
fn revoked(revocation: &resource::Revocation) -> Option<RevokedSpec> {
    let kind = match revocation.kind {
        resource::RevokedKind::Digest => RevokedKind::Digest,
        resource::RevokedKind::Key => RevokedKind::Key,
        resource::RevokedKind::Identity => RevokedKind::Identity,
        resource::RevokedKind::Supplier => return None,
    };
    let reason = revocation.reason.clone().unwrap_or_else(|| "no reason is given".to_owned());
    Some(RevokedSpec { kind, value: revocation.value.clone(), reason })
}

fn signature_format(format: resource::SignatureFormat) -> SignatureFormat {
    match format {
        resource::SignatureFormat::TagAttached => SignatureFormat::SimpleSigning,
        resource::SignatureFormat::Bundle => SignatureFormat::Bundle,
    }
}

impl From<&Verification> for Signature {
    fn from(verification: &Verification) -> Self {
        match verification {
            Verification::Verified(proof) => Self::Trusted(proof.authorities.clone()),
            Verification::NotSigned { reason } => Self::Missing(reason.clone()),
            Verification::Untrusted { .. } => Self::Untrusted(verification.to_string()),
            Verification::Refused(_) => Self::Refused(verification.to_string()),
            Verification::Unknown { reason, .. } => Self::Unknown(reason.clone()),
        }
    }
}
