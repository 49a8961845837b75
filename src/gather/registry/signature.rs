//! Judging one signature: does this authority vouch for this digest with it? All of the cryptography is in
//! `sigstore-verify`; what is decided here is what must be bound to what.

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
    Bundle, DerPublicKey, MediaType, Sha256Hash, SignatureBytes, SignatureContent, Statement,
};
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult};

use super::authority::{Authority, Identity, Proof, Root};
use super::oci::object;
use super::verification::SignatureFormat;
use crate::models::manifest;

/// The only predicate that says "this artifact is signed"; all others say something else about it.
const SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
const SIMPLE_TYPE: &str = "cosign container image signature";
const STATEMENT_TYPES: [&str; 2] = [Statement::TYPE_V1, "https://in-toto.io/Statement/v0.1"];
const MAX_LOG_ENTRIES: usize = 4;

const ANNOTATION_SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const ANNOTATION_CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const ANNOTATION_CHAIN: &str = "dev.sigstore.cosign/chain";
const ANNOTATION_BUNDLE: &str = "dev.sigstore.cosign/bundle";

/// A signature as it came from the registry, with its claim about the digest already checked.
#[derive(Debug)]
pub(super) enum Candidate {
    /// cosign's signed payload, attached by a tag.
    Simple(Box<Simple>),
    /// A sigstore bundle with an in-toto statement.
    Bundle(Box<Bundle>),
}

#[derive(Debug)]
pub(super) struct Simple {
    payload: Vec<u8>,
    signature: SignatureBytes,
    /// The bundle that a certificate and a log entry among the annotations amount to.
    logged: Result<Bundle, String>,
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
    /// Reads a payload and its annotations.
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
        let signature = SignatureBytes::new(signature);
        let logged = legacy_bundle(&payload, &signature, annotations);
        Ok(Self::Simple(Box::new(Simple { payload, signature, logged })))
    }

    /// Reads a bundle.
    ///
    /// # Errors
    /// A clause that completes "a signature does not count: ...".
    pub(super) fn bundle(json: &[u8], digest: &Sha256Hash) -> Result<Self, String> {
        let (bundle, statement) = read_bundle(json)?;
        if statement.predicate_type != SIGN_PREDICATE {
            return Err(format!("it states {:?}, which is no signature", cut(&statement.predicate_type)));
        }
        if !statement.matches_sha256(digest) {
            return Err("it is for another digest".to_owned());
        }
        Ok(Self::Bundle(Box::new(bundle)))
    }

    /// Reads a bundle that is signed over the files of a model, and hands out the statement that lists them.
    ///
    /// # Errors
    /// A clause that completes "a signature does not count: ...".
    pub(super) fn model(json: &[u8]) -> Result<(Self, Vec<u8>), String> {
        let (bundle, statement) = read_bundle(json)?;
        if statement.predicate_type != manifest::PREDICATE {
            return Err(format!(
                "it states {:?}, which is no manifest of a model",
                cut(&statement.predicate_type)
            ));
        }
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
            return Err("its bundle holds no statement about the digest".to_owned());
        };
        let payload = envelope.payload.as_bytes().to_vec();
        Ok((Self::Bundle(Box::new(bundle)), payload))
    }

    pub(super) const fn format(&self) -> SignatureFormat {
        match self {
            Self::Simple(_) => SignatureFormat::SimpleSigning,
            Self::Bundle(_) => SignatureFormat::Bundle,
        }
    }

    /// Whether `authority` vouches for the digest with this signature, and since when where that is proven.
    ///
    /// # Errors
    /// A clause that completes "authority ... does not vouch: ...".
    pub(super) fn check(
        &self,
        authority: &Authority,
        digest: &Sha256Hash,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, String> {
        if !authority.accepts(self.format()) {
            return Err(format!(
                "its policy does not accept signatures attached as {}",
                self.format().name()
            ));
        }
        let signed_at = match (authority.proof_at(now)?, self) {
            (Proof::Key { key, schemes, log: None }, _) => {
                self.check_key(key, schemes)?;
                None
            }
            (Proof::Key { key, log: Some(root), .. }, Self::Bundle(bundle)) => {
                Some(check_logged_key(root, bundle, *digest, key)?)
            }
            (Proof::Key { key, schemes, log: Some(root) }, Self::Simple(simple)) => {
                self.check_key(key, schemes)?;
                let bundle = simple.logged.as_ref().map_err(Clone::clone)?;
                Some(check_logged_key(root, bundle, simple.payload.as_slice(), key)?)
            }
            (Proof::Keyless { identities, root }, Self::Bundle(bundle)) => {
                Some(check_keyless(root, identities, authority, bundle, *digest)?)
            }
            (Proof::Keyless { identities, root }, Self::Simple(simple)) => {
                let bundle = simple.logged.as_ref().map_err(Clone::clone)?;
                Some(check_keyless(root, identities, authority, bundle, simple.payload.as_slice())?)
            }
        };
        if let Some(moment) = signed_at {
            authority.check_time(moment, "the signature")?;
        }
        Ok(signed_at)
    }

    /// The key alone, for policies that do not ask for a log.
    fn check_key(&self, key: &DerPublicKey, schemes: &[SigningScheme]) -> Result<(), String> {
        let (message, signature) = match self {
            Self::Simple(simple) => (simple.payload.clone(), &simple.signature),
            Self::Bundle(bundle) => {
                if !matches!(bundle.verification_material.content, VerificationMaterialContent::PublicKey(_))
                {
                    return Err("it was made with a certificate, not with a key".to_owned());
                }
                let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
                    return Err("its bundle holds no statement about the digest".to_owned());
                };
                (envelope.pae(), &envelope.signature.sig)
            }
        };
        let signed = schemes.iter().any(|scheme| verify_signature(key, &message, signature, *scheme).is_ok())
            || (schemes == [SigningScheme::Ed25519] && is_signed_prehashed(key, &message, signature));
        if signed { Ok(()) } else { Err("it was made with another key".to_owned()) }
    }
}

/// A bundle with an in-toto statement.
fn read_bundle(json: &[u8]) -> Result<(Bundle, Statement), String> {
    let json = std::str::from_utf8(json).map_err(|_| "it is no text")?;
    let bundle = Bundle::from_json(json).map_err(|_| "it is no sigstore bundle")?;
    let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
        return Err("its bundle holds no statement about the digest".to_owned());
    };
    if envelope.payload_type != "application/vnd.in-toto+json" {
        return Err(format!("its payload is of type {:?}", cut(&envelope.payload_type)));
    }
    let statement: Statement =
        serde_json::from_slice(envelope.payload.as_bytes()).map_err(|_| "its statement cannot be read")?;
    if !STATEMENT_TYPES.contains(&statement.type_.as_str()) {
        return Err(format!("its statement is of type {:?}", cut(&statement.type_)));
    }
    Ok((bundle, statement))
}

/// Ed25519ph, which cosign takes for every Ed25519 key.
fn is_signed_prehashed(key: &DerPublicKey, message: &[u8], signature: &SignatureBytes) -> bool {
    let raw = key.as_bytes().last_chunk::<{ ed25519_dalek::PUBLIC_KEY_LENGTH }>();
    let Some(Ok(key)) = raw.map(ed25519_dalek::VerifyingKey::from_bytes) else { return false };
    let Ok(signature) = ed25519_dalek::Signature::from_slice(signature.as_bytes()) else { return false };
    key.verify_prehashed_strict(Sha512::new_with_prefix(message), None, &signature).is_ok()
}

fn check_logged_key<'a>(
    root: &Root,
    bundle: &Bundle,
    artifact: impl Into<sigstore_verify::types::Artifact<'a>>,
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

fn check_keyless<'a>(
    root: &Root,
    identities: &[Identity],
    authority: &Authority,
    bundle: &Bundle,
    artifact: impl Into<sigstore_verify::types::Artifact<'a>>,
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

#[derive(Deserialize)]
struct LegacyBundle {
    #[serde(rename = "SignedEntryTimestamp")]
    promise: String,
    #[serde(rename = "Payload")]
    payload: LegacyEntry,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LegacyEntry {
    body: String,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LegacyBody {
    kind: String,
    api_version: String,
}

/// Brings the annotations of a tag-attached signature into the form of a bundle, so that one piece of code verifies
/// certificates and log entries of both.
fn legacy_bundle(
    payload: &[u8],
    signature: &SignatureBytes,
    annotations: &BTreeMap<String, String>,
) -> Result<Bundle, String> {
    let entry = annotations.get(ANNOTATION_BUNDLE).ok_or("no transparency log recorded it")?;
    let entry: LegacyBundle = serde_json::from_str(entry).map_err(|_| "its log entry cannot be read")?;
    let body = STANDARD.decode(&entry.payload.body).map_err(|_| "its log entry cannot be read")?;
    let body: LegacyBody = serde_json::from_slice(&body).map_err(|_| "its log entry cannot be read")?;
    let log_id = hex::decode(&entry.payload.log_id).map_err(|_| "its log entry cannot be read")?;
    let mut material = match annotations.get(ANNOTATION_CERTIFICATE) {
        None => json!({ "publicKey": { "hint": "" } }),
        Some(certificate) => {
            let chain = annotations.get(ANNOTATION_CHAIN).map_or("", String::as_str);
            let certificates: Vec<_> =
                pem_blocks(certificate)?.into_iter().chain(pem_blocks(chain)?).collect();
            json!({ "x509CertificateChain": { "certificates": certificates } })
        }
    };
    material["tlogEntries"] = json!([{
        "logIndex": entry.payload.log_index.to_string(),
        "logId": { "keyId": STANDARD.encode(log_id) },
        "kindVersion": { "kind": body.kind, "version": body.api_version },
        "integratedTime": entry.payload.integrated_time.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": entry.promise },
        "canonicalizedBody": entry.payload.body,
    }]);
    let digest = sigstore_verify::crypto::sha256(payload);
    let bundle = json!({
        "mediaType": MediaType::Bundle0_1.as_str(),
        "verificationMaterial": material,
        "messageSignature": {
            "messageDigest": { "algorithm": "SHA2_256", "digest": STANDARD.encode(digest.as_bytes()) },
            "signature": STANDARD.encode(signature.as_bytes()),
        },
    });
    serde_json::from_value(bundle).map_err(|_| "its certificate or log entry cannot be read".to_owned())
}

/// The certificates of a PEM text in the form that bundles have. The self-signed root of a chain is left out: it is
/// for the trusted root to say.
fn pem_blocks(text: &str) -> Result<Vec<serde_json::Value>, String> {
    let mut blocks = Vec::new();
    for pem in x509_parser::pem::Pem::iter_from_buffer(text.as_bytes()) {
        let pem = pem.map_err(|_| "its certificate cannot be read")?;
        let certificate = pem.parse_x509().map_err(|_| "its certificate cannot be read")?;
        if certificate.issuer() != certificate.subject() {
            blocks.push(json!({ "rawBytes": STANDARD.encode(&pem.contents) }));
        }
        if blocks.len() > 8 {
            return Err("its certificate chain is too long".to_owned());
        }
    }
    Ok(blocks)
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
