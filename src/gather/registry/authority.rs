//! One authority, compiled: a key or an identity, the time it counts, and whether a transparency log must agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use regex::Regex;
use sha2::{Digest, Sha256};
use sigstore_verify::crypto::{KeyAlgorithm, SigningScheme, validate_raw_public_key};
use sigstore_verify::trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot};
use sigstore_verify::types::DerPublicKey;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::issuers::{Issuers, bound};
use super::verification::SignatureFormat;

const MAX_PEM: usize = 16 * 1024;
const MAX_CA_PEM: usize = 128 * 1024;
const MAX_ROOT: usize = 1024 * 1024;
/// Subjects that have nothing in common: a pattern for both means no one in particular.
const ANYBODY: [&str; 2] = ["a@b", "x://0"];
/// Shorter RSA keys are no longer good for signatures that must hold for years.
const MIN_RSA_BITS: usize = 3072;

/// Who may vouch, as it was written.
#[derive(Debug, Clone)]
pub struct AuthoritySpec {
    /// Its name within the policy.
    pub name: String,
    /// How it proves a signature to be its own.
    pub proof: ProofSpec,
    /// Signatures do not count before.
    pub not_before: Option<Timestamp>,
    /// Signatures do not count from here on.
    pub not_after: Option<Timestamp>,
    /// Whether a transparency log must have recorded the signature. Always so for keyless authorities.
    pub require_log: bool,
    /// Which logs and certificate authorities are believed.
    pub trusted_root: RootSpec,
    /// How its signatures may be attached; empty for every way.
    pub formats: Vec<SignatureFormat>,
}

/// A sigstore trusted root: the transparency logs and certificate authorities that are believed.
#[derive(Debug, Clone, Default)]
pub enum RootSpec {
    /// That of the public instance, as it was when this version was built.
    #[default]
    Public,
    /// A `trusted_root.json`.
    Inline(String),
    /// It could not be had; why.
    Unavailable(String),
}

/// How an authority proves a signature to be its own.
#[derive(Debug, Clone)]
pub enum ProofSpec {
    /// A public key.
    Key {
        /// `-----BEGIN PUBLIC KEY-----`
        pem: String,
        /// What the key is said to be: `ecdsa-p256`, `ecdsa-p384`, `ed25519` or `rsa`.
        algorithm: Option<String>,
    },
    /// Short-lived certificates for identities that an OIDC issuer vouches for.
    Keyless {
        /// The signer must be one of these.
        identities: Vec<IdentitySpec>,
    },
    /// Certificates of these issuers.
    Certificate {
        /// `-----BEGIN CERTIFICATE-----`, one after another.
        ca_pem: String,
        /// The common or alternative name that the signing certificate has to carry, exactly.
        subject: Option<String>,
    },
    /// It says something that cannot be right; what.
    Unusable(String),
}

/// A signer's identity. Both parts must match whole.
#[derive(Debug, Clone)]
pub struct IdentitySpec {
    /// The OIDC issuer.
    pub issuer: MatchSpec,
    /// The subject: an email address or a workload's URI.
    pub subject: MatchSpec,
}

/// How a text is compared.
#[derive(Debug, Clone)]
pub enum MatchSpec {
    /// Equal.
    Exact(String),
    /// A regular expression that must match from the first to the last character.
    Pattern(String),
}

/// An authority, ready to judge signatures.
#[derive(Debug)]
pub(super) struct Authority {
    name: String,
    proof: Result<Proof, String>,
    not_before: Option<Timestamp>,
    not_after: Option<Timestamp>,
    fingerprint: Option<String>,
    formats: Vec<SignatureFormat>,
    revoked_identities: Arc<BTreeMap<String, String>>,
}

/// What a signature is checked against.
#[derive(Debug)]
pub(super) enum Proof {
    Key { key: DerPublicKey, schemes: &'static [SigningScheme], log: Option<Box<Root>> },
    Keyless { identities: Vec<Identity>, root: Box<Root> },
    Certificate { issuers: Box<Issuers>, log: Option<Box<Root>> },
}

/// A sigstore verifier for one trusted root.
pub(super) struct Root {
    pub(super) verifier: sigstore_verify::Verifier,
    /// A root without certificate transparency logs is a private one whose certificates carry no such proof.
    pub(super) has_ct_logs: bool,
    /// Without, only keys can be verified.
    has_issuers: bool,
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Root").field("has_ct_logs", &self.has_ct_logs).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) struct Identity {
    issuer: Matcher,
    subject: Matcher,
}

#[derive(Debug)]
enum Matcher {
    Exact(String),
    Pattern(Regex),
}

impl Identity {
    pub(super) fn matches(&self, issuer: &str, subject: &str) -> bool {
        self.issuer.matches(issuer) && self.subject.matches(subject)
    }
}

impl Matcher {
    fn compile(spec: &MatchSpec) -> Result<Self, String> {
        match spec {
            MatchSpec::Exact(text) if text.is_empty() => Err("an identity has an empty part".to_owned()),
            MatchSpec::Exact(text) => Ok(Self::Exact(text.clone())),
            MatchSpec::Pattern(pattern) => {
                let unusable = |_| format!("{pattern:?} is no usable regular expression");
                let build = |text: &str| regex::RegexBuilder::new(text).size_limit(1 << 18).build();
                // By itself first, so that it cannot close the group that anchors it. Anchored here, so that a
                // forgotten `^` or `$` cannot widen an identity.
                build(pattern).map_err(unusable)?;
                let compiled = build(&format!("^(?:{pattern})$")).map_err(unusable)?;
                if compiled.is_match("") {
                    return Err(format!("{pattern:?} matches the empty text"));
                }
                if ANYBODY.iter().all(|anybody| compiled.is_match(anybody)) {
                    return Err(format!(
                        "{pattern:?} matches whatever the issuer vouches for: write the part that is yours"
                    ));
                }
                Ok(Self::Pattern(compiled))
            }
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == text,
            Self::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

impl Authority {
    /// Compiles one authority; what is wrong with it is kept as its [`Self::problem`].
    pub(super) fn compile(spec: &AuthoritySpec, revoked_identities: Arc<BTreeMap<String, String>>) -> Self {
        let mut fingerprint = None;
        let proof = match &spec.proof {
            ProofSpec::Key { pem, algorithm } => one_key(&spec.name, pem)
                .and_then(|()| compile_key(pem, algorithm.as_deref()))
                .and_then(|(key, schemes)| {
                    fingerprint = Some(hex::encode(Sha256::digest(key.as_bytes())));
                    let log = spec
                        .require_log
                        .then(|| compile_root(&spec.trusted_root).map(Box::new))
                        .transpose()?;
                    Ok(Proof::Key { key, schemes, log })
                }),
            ProofSpec::Keyless { identities } => compile_identities(identities).and_then(|identities| {
                let root = Box::new(compile_root(&spec.trusted_root)?);
                if !root.has_issuers {
                    return Err("the trusted root names no certificate authority that ever counts".to_owned());
                }
                Ok(Proof::Keyless { identities, root })
            }),
            ProofSpec::Certificate { ca_pem, subject } => {
                compile_issuers(ca_pem, subject.as_deref(), spec.require_log, &spec.trusted_root)
            }
            ProofSpec::Unusable(problem) => Err(problem.clone()),
        };
        let mut authority = Self {
            name: spec.name.clone(),
            proof,
            not_before: spec.not_before,
            not_after: spec.not_after,
            fingerprint,
            formats: spec.formats.clone(),
            revoked_identities,
        };
        if let (Some(start), Some(end)) = (spec.not_before, spec.not_after)
            && end <= start
        {
            authority.disable("notAfter is not later than notBefore".to_owned());
        }
        authority
    }

    /// An authority that never proves anything.
    pub(super) fn disabled(name: &str, problem: String) -> Self {
        Self {
            name: name.to_owned(),
            proof: Err(problem),
            not_before: None,
            not_after: None,
            fingerprint: None,
            formats: Vec::new(),
            revoked_identities: Arc::default(),
        }
    }

    /// Takes all power from the authority; the first reason stays.
    pub(super) fn disable(&mut self, problem: String) {
        if self.proof.is_ok() {
            self.proof = Err(problem);
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn not_after(&self) -> Option<Timestamp> {
        self.not_after
    }

    /// What makes two authorities different when signatures are counted: the same key under two names is one.
    pub(super) fn person(&self) -> &str {
        self.fingerprint.as_deref().unwrap_or(&self.name)
    }

    /// Whether its policy lets signatures be attached in this way.
    pub(super) fn accepts(&self, format: SignatureFormat) -> bool {
        self.formats.is_empty() || self.formats.contains(&format)
    }

    /// Why an identity no longer counts.
    pub(super) fn revoked(&self, identity: &str) -> Option<&str> {
        self.revoked_identities.get(identity).map(String::as_str)
    }

    /// Whether its signatures come with a time that somebody else vouches for.
    pub(super) fn proves_time(&self) -> bool {
        match &self.proof {
            Ok(Proof::Keyless { .. }) | Err(_) => true,
            Ok(Proof::Key { log, .. } | Proof::Certificate { log, .. }) => log.is_some(),
        }
    }

    /// SHA-256 of the key's DER form, in hexadecimal.
    pub(super) fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// Why the authority cannot be used at all.
    pub(super) fn problem(&self) -> Option<&str> {
        self.proof.as_ref().err().map(String::as_str)
    }

    /// The problem with the authority's name before it.
    pub(super) fn describe_problem(&self) -> Option<String> {
        self.problem().map(|problem| format!("authority {:?}: {problem}", self.name))
    }

    /// What to check a signature with, or why this authority's signatures do not count now.
    pub(super) fn proof_at(&self, now: Timestamp) -> Result<&Proof, String> {
        let proof = self.proof.as_ref().map_err(Clone::clone)?;
        self.check_time(now, "it")?;
        Ok(proof)
    }

    /// Whether the authority counts at a moment. `what` is the subject of the sentence.
    pub(super) fn check_time(&self, moment: Timestamp, what: &str) -> Result<(), String> {
        if let Some(start) = self.not_before.filter(|start| moment < *start) {
            return Err(format!("{what} is before the authority's notBefore {start}"));
        }
        if let Some(end) = self.not_after.filter(|end| moment >= *end) {
            return Err(if what == "it" {
                format!("the authority expired on {end}")
            } else {
                format!("{what} is after the authority's notAfter {end}")
            });
        }
        Ok(())
    }
}

/// Of several keys only one would be taken, and whoever wrote them trusts all.
fn one_key(name: &str, pem: &str) -> Result<(), String> {
    match pem.matches("-----BEGIN").count() {
        0 | 1 => Ok(()),
        keys => Err(format!("{name:?} has {keys} keys in one pem: give each an authority of its own")),
    }
}

fn compile_key(
    pem: &str,
    algorithm: Option<&str>,
) -> Result<(DerPublicKey, &'static [SigningScheme]), String> {
    if pem.len() > MAX_PEM {
        return Err("the key is longer than any public key".to_owned());
    }
    if pem.contains("PRIVATE KEY") {
        return Err("the key is a private key: it must be replaced and revoked".to_owned());
    }
    let key = DerPublicKey::from_pem(pem.trim())
        .map_err(|_| "the key is no PEM block \"PUBLIC KEY\"".to_owned())?;
    let (rest, info) = SubjectPublicKeyInfo::from_der(key.as_bytes())
        .map_err(|_| "the key is no valid public key".to_owned())?;
    if !rest.is_empty() {
        return Err("the key is no valid public key".to_owned());
    }
    let (name, schemes) =
        schemes_of(&key).ok_or("the key is none of ecdsa-p256, ecdsa-p384, ed25519 and rsa")?;
    if let Ok(PublicKey::RSA(rsa)) = info.parsed()
        && rsa.key_size() < MIN_RSA_BITS
    {
        return Err(format!("the RSA key has {} bits; at least {MIN_RSA_BITS} are needed", rsa.key_size()));
    }
    for scheme in schemes {
        validate_raw_public_key(*scheme, &info.subject_public_key.data)
            .map_err(|_| "the key is no valid public key".to_owned())?;
    }
    if let Some(declared) = algorithm.map(str::to_ascii_lowercase)
        && declared != name
    {
        return Err(format!("the key is {name}, but the policy says {declared}"));
    }
    Ok((key, schemes))
}

/// The name of a key's algorithm, and what it may sign with.
pub(super) fn schemes_of(key: &DerPublicKey) -> Option<(&'static str, &'static [SigningScheme])> {
    Some(match KeyAlgorithm::from_spki(key).ok()? {
        KeyAlgorithm::EcdsaP256 => ("ecdsa-p256", &[SigningScheme::EcdsaP256Sha256]),
        // Signers differ in the hash they take with this curve.
        KeyAlgorithm::EcdsaP384 => {
            ("ecdsa-p384", &[SigningScheme::EcdsaP384Sha384, SigningScheme::EcdsaP384Sha256])
        }
        KeyAlgorithm::Ed25519 => ("ed25519", &[SigningScheme::Ed25519]),
        KeyAlgorithm::Rsa => ("rsa", &[SigningScheme::RsaPkcs1Sha256]),
        _ => return None,
    })
}

fn compile_issuers(
    ca_pem: &str,
    subject: Option<&str>,
    require_log: bool,
    root: &RootSpec,
) -> Result<Proof, String> {
    if ca_pem.len() > MAX_CA_PEM {
        return Err(format!("caPem is longer than {MAX_CA_PEM} bytes"));
    }
    let issuers = Box::new(Issuers::compile(ca_pem, subject)?);
    let log = require_log.then(|| build_root(&issuers.trusted_root(root_json(root)?)?).map(Box::new));
    Ok(Proof::Certificate { issuers, log: log.transpose()? })
}

fn compile_identities(specs: &[IdentitySpec]) -> Result<Vec<Identity>, String> {
    if specs.is_empty() {
        return Err("a keyless authority needs at least one identity".to_owned());
    }
    specs
        .iter()
        .map(|spec| {
            Ok(Identity {
                issuer: Matcher::compile(&spec.issuer)?,
                subject: Matcher::compile(&spec.subject)?,
            })
        })
        .collect()
}

fn root_json(spec: &RootSpec) -> Result<&str, String> {
    let json = match spec {
        RootSpec::Public => SIGSTORE_PRODUCTION_TRUSTED_ROOT,
        RootSpec::Inline(json) => json,
        RootSpec::Unavailable(why) => return Err(why.clone()),
    };
    if json.len() > MAX_ROOT {
        return Err(format!("the trusted root is longer than {MAX_ROOT} bytes"));
    }
    Ok(json)
}

fn compile_root(spec: &RootSpec) -> Result<Root, String> {
    build_root(&bound(root_json(spec)?)?)
}

fn build_root(json: &str) -> Result<Root, String> {
    let root = TrustedRoot::from_json(json).map_err(|_| "the trusted root cannot be read".to_owned())?;
    if root.tlogs.is_empty() {
        return Err("the trusted root names no transparency log".to_owned());
    }
    let verifier = sigstore_verify::Verifier::new(&root)
        .map_err(|error| format!("the trusted root cannot be used: {error}"))?;
    let has_issuers = !root.certificate_authorities.is_empty();
    Ok(Root { verifier, has_ct_logs: !root.ctlogs.is_empty(), has_issuers })
}

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
