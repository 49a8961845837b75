//! Trust policies as the verifier takes them. What cannot be read is kept as such, so that the rule or authority that
//! says it refuses instead of being read as less than it says.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::registry::{
    Artifact, AttestationSpec, AuthoritySpec, CompiledTrust, IdentitySpec, MatchSpec, PolicySpec, ProofSpec,
    RegistrySpec, RevokedKind, RevokedSpec, RootSpec, RuleSpec, SignatureFormat, SupplierSpec,
};
use crate::api::AISupplier;
use crate::api::trust::{self as api, AITrustPolicy};
use crate::policy::dates;

/// ConfigMaps of the operator's namespace that hold trust roots, by name: their data, or why they could not be had, as a
/// clause.
pub type TrustRoots = BTreeMap<String, Result<BTreeMap<String, String>, String>>;

/// What is wrong with one policy, as sentences that name the place; empty when all of it can be used.
#[must_use]
pub fn problems(policy: &AITrustPolicy) -> Vec<String> {
    problems_with(policy, None)
}

/// The same with the ConfigMaps that hold trust roots, where they are known.
#[must_use]
pub fn problems_with(policy: &AITrustPolicy, roots: Option<&TrustRoots>) -> Vec<String> {
    let mut policy = policy.clone();
    if roots.is_none() {
        // What lies elsewhere is no mistake of the policy.
        for keyless in policy.spec.authorities.iter_mut().filter_map(|a| a.keyless.as_mut()) {
            keyless.trust_root = keyless.trust_root.take().filter(|root| root.config_map_ref.is_none());
        }
    }
    let compiled = CompiledTrust::compile(&[spec(&policy, roots.unwrap_or(&TrustRoots::new()))]);
    compiled.problems().iter().map(|p| format!("spec.{}: {}", p.path, p.message)).collect()
}

/// Places of one policy on which another one says something else, as sentences that name it; the stricter word counts.
#[must_use]
pub fn differences<'a>(
    policy: &AITrustPolicy,
    others: impl Iterator<Item = &'a AITrustPolicy> + Clone,
) -> Vec<String> {
    let name = |policy: &AITrustPolicy| policy.metadata.name.clone().unwrap_or_default();
    let others = others.filter(|other| name(other) != name(policy));
    let mut out = Vec::new();
    for (index, own) in policy.spec.registries.iter().enumerate() {
        for other in others.clone() {
            let same = |one: &&api::Registry| one.host.eq_ignore_ascii_case(&own.host);
            let Some(theirs) = other.spec.registries.iter().find(same) else { continue };
            let sorted = |one: &api::Registry| one.companions.iter().cloned().collect::<BTreeSet<_>>();
            let fields = [
                ("plainHTTP", own.plain_http != theirs.plain_http),
                ("allowPrivateAddresses", own.allow_private_addresses != theirs.allow_private_addresses),
                ("companions", sorted(own) != sorted(theirs)),
                ("mirrorOf", own.mirror_of != theirs.mirror_of),
            ];
            let fields: Vec<&str> =
                fields.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field).collect();
            if !fields.is_empty() {
                out.push(format!(
                    "spec.registries[{index}] {:?}: AITrustPolicy {:?} says otherwise of {}, and the stricter word counts",
                    own.host,
                    name(other),
                    fields.join(", ")
                ));
            }
        }
    }
    for (index, own) in policy.spec.rules.iter().enumerate() {
        for other in others.clone() {
            if other.spec.rules.iter().any(|theirs| theirs.match_ == own.match_ && theirs != own) {
                out.push(format!(
                    "spec.rules[{index}]: AITrustPolicy {:?} asks something else of the same artifacts, and both have to be met",
                    name(other)
                ));
            }
        }
    }
    out
}

/// The supplier, as far as trust policies speak of it.
#[must_use]
pub fn supplier(supplier: &AISupplier) -> SupplierSpec {
    SupplierSpec {
        name: supplier.metadata.name.clone().unwrap_or_default(),
        sources: supplier.spec.sources.clone(),
    }
}

/// The policy, ready to be compiled. `roots` are the ConfigMaps of the operator's namespace that hold trust roots.
#[must_use]
pub fn spec(policy: &AITrustPolicy, roots: &TrustRoots) -> PolicySpec {
    let of = &policy.spec;
    PolicySpec {
        name: policy.metadata.name.clone().unwrap_or_default(),
        registries: of.registries.iter().map(registry).collect(),
        authorities: of.authorities.iter().map(|one| authority(one, roots)).collect(),
        people: of.authorities.iter().flat_map(people).collect(),
        rules: of.rules.iter().map(rule).collect(),
        revoked: of.revoked.iter().map(revoked).collect(),
    }
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

/// The users for whom an authority speaks: who keeps it, and whom its certificates name.
fn people(authority: &api::Authority) -> Vec<(String, String)> {
    let owner = authority.owner.as_ref().and_then(|owner| owner.user.as_deref());
    let signs = authority.keyless.as_ref().and_then(|keyless| keyless.subject.as_deref());
    owner.into_iter().chain(signs).map(|user| (authority.name.clone(), user.to_owned())).collect()
}

fn authority(authority: &api::Authority, roots: &TrustRoots) -> AuthoritySpec {
    let proof = match (&authority.key, &authority.keyless, &authority.certificate) {
        (Some(key), None, None) => ProofSpec::Key {
            pem: key.pem.clone(),
            algorithm: key.algorithm.map(|algorithm| algorithm.as_str().to_owned()),
        },
        (None, Some(keyless), None) => keyless_proof(keyless),
        (None, None, Some(certificate)) => ProofSpec::Certificate {
            ca_pem: certificate.ca_pem.clone(),
            subject: certificate.subject.clone(),
        },
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
        trusted_root: root(authority.keyless.as_ref().and_then(|keyless| keyless.trust_root.as_ref()), roots),
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

fn root(root: Option<&api::TrustRoot>, roots: &TrustRoots) -> RootSpec {
    let Some(root) = root else { return RootSpec::Public };
    match (&root.inline, &root.config_map_ref) {
        (Some(json), None) => RootSpec::Inline(json.clone()),
        (None, Some(reference)) => {
            let key = reference.key.as_deref().unwrap_or("trusted_root.json");
            let name = &reference.name;
            match roots.get(name) {
                Some(Ok(data)) => data.get(key).map_or_else(
                    || RootSpec::Unavailable(format!("ConfigMap {name:?} has no key {key:?}")),
                    |json| RootSpec::Inline(json.clone()),
                ),
                Some(Err(why)) => RootSpec::Unavailable(format!("ConfigMap {name:?} {why}")),
                None => RootSpec::Unavailable(format!("ConfigMap {name:?} has not been read yet")),
            }
        }
        _ => RootSpec::Unavailable("trustRoot needs exactly one of inline and configMapRef".to_owned()),
    }
}

fn rule(rule: &api::TrustRule) -> RuleSpec {
    let within = rule.sign_within.as_deref().map(|text| (text, dates::duration(text)));
    let unreadable = within.filter(|(_, within)| within.is_none_or(|within| !within.is_positive()));
    let unreadable = unreadable
        .map(|(text, _)| ("signWithin".to_owned(), format!("{text:?} is no duration such as P7D or PT24H")));
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
        sign_within: within.and_then(|(_, within)| within),
        attestations: rule
            .attestations
            .iter()
            .map(|wanted| AttestationSpec {
                predicate_type: wanted.predicate_type.clone(),
                authorities: wanted.authorities.clone(),
                builder_ids: wanted.builder_ids.clone(),
            })
            .collect(),
        index_may_vouch: rule.platform_manifests == Some(api::PlatformManifests::VouchedByIndex),
        unreadable: unreadable.into_iter().collect(),
    }
}

fn revoked(revocation: &api::Revocation) -> RevokedSpec {
    let kind = match revocation.kind {
        api::RevokedKind::Digest => RevokedKind::Digest,
        api::RevokedKind::Key => RevokedKind::Key,
        api::RevokedKind::Identity => RevokedKind::Identity,
        api::RevokedKind::Supplier => RevokedKind::Supplier,
    };
    let reason = revocation.reason.clone().unwrap_or_else(|| "no reason is given".to_owned());
    RevokedSpec { kind, value: revocation.value.clone(), reason }
}

fn signature_format(format: api::SignatureFormat) -> SignatureFormat {
    match format {
        api::SignatureFormat::TagAttached => SignatureFormat::SimpleSigning,
        api::SignatureFormat::Bundle => SignatureFormat::Bundle,
    }
}
