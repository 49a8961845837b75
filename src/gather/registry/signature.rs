//! Judging one signature: does this authority vouch for this digest with it? All of the cryptography is in
//! `sigstore-verify` and `webpki`; what is decided here is what must be bound to what.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha512};
use sigstore_verify::crypto::{SigningScheme, verify_signature};
use sigstore_verify::types::bundle::VerificationMaterialContent;
use sigstore_verify::types::{
    Artifact, Bundle, DerPublicKey, DsseEnvelope, MediaType, Sha256Hash, SignatureBytes, SignatureContent,
};
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult};
use x509_parser::prelude::FromDer as _;

use super::authority::{Authority, Identity, Proof, Root, schemes_of};
use super::legacy;
use super::oci::object;
use super::statement::{self, Stated};
use super::verification::SignatureFormat;
use crate::models::manifest;

const SIMPLE_TYPE: &str = "cosign container image signature";
const MAX_LOG_ENTRIES: usize = 4;
const ANNOTATION_SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// A signature as it came from the registry, with its claim about the digest already checked.
#[derive(Debug)]
pub(super) struct Candidate {
    format: SignatureFormat,
    /// What it says about the artifact; `None` where it says that it is signed.
    stated: Option<Stated>,
    /// What the signature is over, to the byte.
    message: Vec<u8>,
    signature: SignatureBytes,
    /// The certificates that came with it, the signer's first; none where it was made with a bare key.
    certificates: Result<Vec<Vec<u8>>, String>,
    /// The bundle with its log entries, or that there are none.
    logged: Result<Box<Bundle>, String>,
    /// Whether the bundle signs the payload's bytes and not a statement about the artifact.
    signs_payload: bool,
    /// What its statement is about, where that is not the artifact's digest but the list of its files.
    about: Option<Sha256Hash>,
}

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: PayloadImage,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct PayloadImage {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

impl Candidate {
    /// Reads cosign's signed payload and its annotations, as attached by a tag.
    ///
    /// # Errors
    /// A clause that completes "a signature does not count: ...".
    pub(super) fn simple(
        payload: Vec<u8>,
        annotations: &BTreeMap<String, String>,
        digest: &str,
    ) -> Result<Self, String> {
        let signature = annotations.get(ANNOTATION_SIGNATURE).ok_or("it carries no signature")?;
        let signature = STANDARD.decode(signature).map_err(|_| "its signature is not base64")?;
        let claim: Payload = object(&payload).ok_or("its payload cannot be read")?;
        if claim.critical.kind != SIMPLE_TYPE {
            return Err(format!("its payload is a {:?}", cut(&claim.critical.kind)));
        }
        if claim.critical.image.digest != digest {
            return Err(format!("it is for another digest, {}", cut(&claim.critical.image.digest)));
        }
        let certificates = legacy::certificates(annotations);
        let logged = certificates.as_ref().map_err(Clone::clone).and_then(|certificates| {
            let digest = sigstore_verify::crypto::sha256(&payload);
            let content = json!({
                "messageDigest": { "algorithm": "SHA2_256", "digest": STANDARD.encode(digest.as_bytes()) },
                "signature": STANDARD.encode(&signature),
            });
            legacy::bundle(("messageSignature", content), annotations, certificates).map(Box::new)
        });
        Ok(Self {
            format: SignatureFormat::SimpleSigning,
            stated: None,
            message: payload,
            signature: SignatureBytes::new(signature),
            certificates,
            logged,
            signs_payload: true,
            about: None,
        })
    }

    /// Reads an envelope with a statement and its annotations, as attached by a tag.
    ///
    /// # Errors
    /// A clause that completes "a signature does not count: ...".
    pub(super) fn envelope(
        json: &[u8],
        annotations: &BTreeMap<String, String>,
        hash: &Sha256Hash,
    ) -> Result<Self, String> {
        let envelope: DsseEnvelope = object(json).ok_or("it is no envelope with one signature")?;
        let stated = statement::read(&envelope.payload_type, envelope.payload.as_bytes(), &hash.to_hex())?;
        let stated = stated.ok_or("it says that the artifact is signed, which an attestation cannot")?;
        let certificates = legacy::certificates(annotations);
        let logged = certificates.as_ref().map_err(Clone::clone).and_then(|certificates| {
            let content = serde_json::from_slice(json).map_err(|_| "it is no envelope with one signature")?;
            legacy::bundle(("dsseEnvelope", content), annotations, certificates).map(Box::new)
        });
        Ok(Self {
            format: SignatureFormat::SimpleSigning,
            stated: Some(stated),
            message: envelope.pae(),
            signature: envelope.signature.sig,
            certificates,
            logged,
            signs_payload: false,
            about: None,
        })
    }

    /// Reads a bundle.
    ///
    /// # Errors
    /// A clause that completes "a signature does not count: ...".
    pub(super) fn bundle(json: &[u8], hash: &Sha256Hash) -> Result<Self, String> {
        let bundle = read_bundle(json)?;
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            return Err("its bundle holds no statement about the digest".to_owned());
        };
        let stated = statement::read(&envelope.payload_type, envelope.payload.as_bytes(), &hash.to_hex())?;
        Self::of(bundle, stated)
    }

    /// Reads a bundle, or an envelope by itself that was signed with a key, and hands out the statement in it.
    ///
    /// # Errors
    /// A clause that completes "a signature does not count: ...".
    pub(super) fn statement(json: &[u8], hash: &Sha256Hash) -> Result<(Self, Vec<u8>), String> {
        let Ok(bundle) = read_bundle(json) else {
            let candidate = Self::envelope(json, &BTreeMap::new(), hash)?;
            let envelope: DsseEnvelope = object(json).ok_or("it is no envelope with one signature")?;
            return Ok((candidate, envelope.payload.as_bytes().to_vec()));
        };
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            return Err("its bundle holds no statement about the digest".to_owned());
        };
        let payload = envelope.payload.as_bytes().to_vec();
        let stated = statement::read(&envelope.payload_type, &payload, &hash.to_hex())?;
        Ok((Self::of(bundle, stated)?, payload))
    }

    /// Reads a bundle that is signed over the files of a model, and hands out the statement that lists them.
    ///
    /// # Errors
    /// A clause that completes "a signature does not count: ...".
    pub(super) fn model(json: &[u8]) -> Result<(Self, Vec<u8>), String> {
        let bundle = read_bundle(json)?;
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            return Err("its bundle holds no statement about the digest".to_owned());
        };
        let payload = envelope.payload.as_bytes().to_vec();
        let predicate = statement::predicate_type(&envelope.payload_type, &payload)?;
        if predicate != manifest::PREDICATE {
            return Err(format!("it states {:?}, which is no manifest of a model", cut(&predicate)));
        }
        Ok((Self::of(bundle, None)?, payload))
    }

    /// A bundle whose statement was read.
    fn of(bundle: Bundle, stated: Option<Stated>) -> Result<Self, String> {
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            return Err("its bundle holds no statement about the digest".to_owned());
        };
        let certificates = match &bundle.verification_material.content {
            VerificationMaterialContent::Certificate(one) => vec![one.raw_bytes.as_bytes().to_vec()],
            VerificationMaterialContent::X509CertificateChain { certificates } => {
                certificates.iter().map(|one| one.raw_bytes.as_bytes().to_vec()).collect()
            }
            _ => Vec::new(),
        };
        Ok(Self {
            format: SignatureFormat::Bundle,
            stated,
            message: envelope.pae(),
            signature: envelope.signature.sig.clone(),
            certificates: Ok(certificates),
            logged: Ok(Box::new(bundle)),
            signs_payload: false,
            about: None,
        })
    }

    /// The same, about the list of files with this digest.
    pub(super) const fn about(mut self, files: Sha256Hash) -> Self {
        self.about = Some(files);
        self
    }

    /// The digest of the list of files that it is about, where it is about one.
    pub(super) const fn files(&self) -> Option<&Sha256Hash> {
        self.about.as_ref()
    }

    pub(super) const fn format(&self) -> SignatureFormat {
        self.format
    }

    /// What it says about the artifact; `None` where it says that it is signed.
    pub(super) const fn stated(&self) -> Option<&Stated> {
        self.stated.as_ref()
    }

    /// Whether `authority` vouches for the digest with this signature, and since when where that is proven.
    ///
    /// # Errors
    /// A clause that completes "authority ... does not vouch: ...".
    pub(super) fn check(
        &self,
        authority: &Authority,
        hash: &Sha256Hash,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, String> {
        if !authority.accepts(self.format) {
            return Err(format!("its policy does not accept signatures attached as {}", self.format.name()));
        }
        let artifact = || {
            if self.signs_payload {
                self.message.as_slice().into()
            } else {
                Artifact::from(*self.about.as_ref().unwrap_or(hash))
            }
        };
        let logged = || self.logged.as_deref().map_err(Clone::clone);
        let signed_at = match authority.proof_at(now)? {
            Proof::Key { key, schemes, log } => {
                if !self.certificates.as_ref().map_err(Clone::clone)?.is_empty() {
                    return Err("it was made with a certificate, not with a key".to_owned());
                }
                self.check_key(key, schemes)?;
                let log = log.as_ref();
                log.map(|root| check_logged_key(root, logged()?, artifact(), key)).transpose()?
            }
            Proof::Keyless { identities, root } => {
                Some(check_keyless(root, identities, authority, logged()?, artifact())?)
            }
            Proof::Certificate { issuers, log } => {
                let certificates = self.certificates.as_ref().map_err(Clone::clone)?;
                let leaf = certificates.first().ok_or("it was made with a key, not with a certificate")?;
                let key = key_of(leaf)?;
                let schemes = schemes_of(&key).ok_or("its certificate is for a key of another kind")?.1;
                self.check_key(&key, schemes)?;
                let log = log.as_ref();
                let signed_at = log.map(|root| check_certificate(root, logged()?, artifact())).transpose()?;
                issuers.check(certificates, signed_at.unwrap_or(now))?;
                signed_at
            }
        };
        if let Some(moment) = signed_at {
            authority.check_time(moment, "the signature")?;
        }
        Ok(signed_at)
    }

    /// The key alone.
    fn check_key(&self, key: &DerPublicKey, schemes: &[SigningScheme]) -> Result<(), String> {
        let (message, signature) = (&self.message, &self.signature);
        let signed = schemes.iter().any(|scheme| verify_signature(key, message, signature, *scheme).is_ok())
            || (schemes == [SigningScheme::Ed25519] && is_signed_prehashed(key, message, signature));
        if signed { Ok(()) } else { Err("it was made with another key".to_owned()) }
    }
}

fn read_bundle(json: &[u8]) -> Result<Bundle, String> {
    let json = std::str::from_utf8(json).map_err(|_| "it is no text")?;
    Bundle::from_json(json).map_err(|_| "it is no sigstore bundle".to_owned())
}

/// The key of a certificate.
fn key_of(certificate: &[u8]) -> Result<DerPublicKey, String> {
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(certificate)
        .map_err(|_| "its certificate cannot be read")?;
    Ok(DerPublicKey::new(certificate.public_key().raw.to_vec()))
}

/// Ed25519ph, which cosign takes for every Ed25519 key.
fn is_signed_prehashed(key: &DerPublicKey, message: &[u8], signature: &SignatureBytes) -> bool {
    let raw = key.as_bytes().last_chunk::<{ ed25519_dalek::PUBLIC_KEY_LENGTH }>();
    let Some(Ok(key)) = raw.map(ed25519_dalek::VerifyingKey::from_bytes) else { return false };
    let Ok(signature) = ed25519_dalek::Signature::from_slice(signature.as_bytes()) else { return false };
    key.verify_prehashed_strict(Sha512::new_with_prefix(message), None, &signature).is_ok()
}

fn check_logged_key(
    root: &Root,
    bundle: &Bundle,
    artifact: Artifact<'_>,
    key: &DerPublicKey,
) -> Result<Timestamp, String> {
    if !matches!(bundle.verification_material.content, VerificationMaterialContent::PublicKey(_)) {
        return Err("it was made with a certificate, not with a key".to_owned());
    }
    check_log_entries(bundle)?;
    let policy = PublicKeyVerificationPolicy::new(key.clone());
    let result = root.verifier.verify(artifact, bundle, &policy).map_err(|error| describe(&error))?;
    earliest(&result)
}

/// A certificate of an authority's own issuers and a log entry; the certificate's name and issuers are checked besides.
fn check_certificate(root: &Root, bundle: &Bundle, artifact: Artifact<'_>) -> Result<Timestamp, String> {
    check_log_entries(bundle)?;
    let policy = VerificationPolicy::any_identity().skip_sct();
    let result = root.verifier.verify(artifact, bundle, &policy).map_err(|error| describe(&error))?;
    if !result.certificate_verified() || !result.tlog_verified() {
        return Err("its certificate or log entry was not verified".to_owned());
    }
    earliest(&result)
}

fn check_keyless(
    root: &Root,
    identities: &[Identity],
    authority: &Authority,
    bundle: &Bundle,
    artifact: Artifact<'_>,
) -> Result<Timestamp, String> {
    if matches!(bundle.verification_material.content, VerificationMaterialContent::PublicKey(_)) {
        return Err("it was made with a key, not with a certificate".to_owned());
    }
    check_log_entries(bundle)?;
    let mut policy = VerificationPolicy::any_identity();
    if !root.has_ct_logs {
        policy = policy.skip_sct();
    }
    let result = root.verifier.verify(artifact, bundle, &policy).map_err(|error| describe(&error))?;
    if !result.certificate_verified() || !result.tlog_verified() {
        return Err("its certificate or log entry was not verified".to_owned());
    }
    let (Some(issuer), Some(subject)) = (result.issuer(), result.identity()) else {
        return Err("its certificate names no identity".to_owned());
    };
    if !identities.iter().any(|identity| identity.matches(issuer, subject.as_str())) {
        return Err(format!("it was made by {:?} of {:?}", cut(subject.as_str()), cut(issuer)));
    }
    if let Some(reason) = authority.revoked(subject.as_str()) {
        return Err(format!("identity {:?} is revoked: {}", cut(subject.as_str()), cut(reason)));
    }
    earliest(&result)
}

/// Every entry must be proven, not any: an entry without proof must not ride along with one that has it.
fn check_log_entries(bundle: &Bundle) -> Result<(), String> {
    let entries = &bundle.verification_material.tlog_entries;
    if entries.is_empty() {
        return Err("no transparency log recorded it".to_owned());
    }
    if entries.len() > MAX_LOG_ENTRIES {
        return Err(format!("it names more than {MAX_LOG_ENTRIES} log entries"));
    }
    let promise_is_enough = bundle.media_type == MediaType::Bundle0_1;
    let proven = entries.iter().all(|entry| {
        entry.inclusion_proof.is_some() || (promise_is_enough && entry.inclusion_promise.is_some())
    });
    if proven { Ok(()) } else { Err("one of its log entries carries no proof".to_owned()) }
}

fn earliest(result: &VerificationResult) -> Result<Timestamp, String> {
    result
        .verified_timestamps()
        .iter()
        .copied()
        .min()
        .ok_or_else(|| "nothing proves when it was made".to_owned())
}

fn describe(error: &sigstore_verify::Error) -> String {
    use sigstore_verify::Error;
    match error {
        Error::SignatureInvalid(_) => "it was made with another key".to_owned(),
        Error::ArtifactMismatch(_) => "it is for another digest".to_owned(),
        other => cut(&other.to_string()),
    }
}

/// Texts from outside are quoted only so far.
pub(super) fn cut(text: &str) -> String {
    const MAX: usize = 120;
    if text.len() <= MAX {
        return text.to_owned();
    }
    let end = (0..=MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}...", &text[..end])
}
