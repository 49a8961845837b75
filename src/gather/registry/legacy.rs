//! The annotations of signatures and attestations that are attached by tags, brought into the form of a bundle, so that
//! one piece of code verifies certificates and log entries of both.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use sigstore_verify::types::{Bundle, MediaType};

const ANNOTATION_CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const ANNOTATION_CHAIN: &str = "dev.sigstore.cosign/chain";
const ANNOTATION_BUNDLE: &str = "dev.sigstore.cosign/bundle";
const MAX_CHAIN: usize = 8;

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

/// The bundle that the annotations and `content` amount to; `content` is a `messageSignature` or a `dsseEnvelope`.
pub(super) fn bundle(
    content: (&str, Value),
    annotations: &BTreeMap<String, String>,
    certificates: &[Vec<u8>],
) -> Result<Bundle, String> {
    let unreadable = "its log entry cannot be read";
    let entry = annotations.get(ANNOTATION_BUNDLE).ok_or("no transparency log recorded it")?;
    let entry: LegacyBundle = serde_json::from_str(entry).map_err(|_| unreadable)?;
    let body = STANDARD.decode(&entry.payload.body).map_err(|_| unreadable)?;
    let body: LegacyBody = serde_json::from_slice(&body).map_err(|_| unreadable)?;
    let log_id = hex::decode(&entry.payload.log_id).map_err(|_| unreadable)?;
    let mut material = if certificates.is_empty() {
        json!({ "publicKey": { "hint": "" } })
    } else {
        let chain: Vec<_> =
            certificates.iter().map(|der| json!({ "rawBytes": STANDARD.encode(der) })).collect();
        json!({ "x509CertificateChain": { "certificates": chain } })
    };
    material["tlogEntries"] = json!([{
        "logIndex": entry.payload.log_index.to_string(),
        "logId": { "keyId": STANDARD.encode(log_id) },
        "kindVersion": { "kind": body.kind, "version": body.api_version },
        "integratedTime": entry.payload.integrated_time.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": entry.promise },
        "canonicalizedBody": entry.payload.body,
    }]);
    let mut bundle = json!({ "mediaType": MediaType::Bundle0_1.as_str(), "verificationMaterial": material });
    bundle[content.0] = content.1;
    serde_json::from_value(bundle).map_err(|_| "its certificate or log entry cannot be read".to_owned())
}

/// The certificates among the annotations, the signer's first; none where it was signed with a bare key. The self-signed
/// root of a chain is left out: it is for the trust policy to say.
pub(super) fn certificates(annotations: &BTreeMap<String, String>) -> Result<Vec<Vec<u8>>, String> {
    let Some(certificate) = annotations.get(ANNOTATION_CERTIFICATE) else { return Ok(Vec::new()) };
    let chain = annotations.get(ANNOTATION_CHAIN).map_or("", String::as_str);
    let mut out = Vec::new();
    for text in [certificate.as_str(), chain] {
        for pem in x509_parser::pem::Pem::iter_from_buffer(text.as_bytes()) {
            let pem = pem.map_err(|_| "its certificate cannot be read")?;
            let certificate = pem.parse_x509().map_err(|_| "its certificate cannot be read")?;
            if certificate.issuer() != certificate.subject() {
                out.push(pem.contents.clone());
            }
            if out.len() > MAX_CHAIN {
                return Err("its certificate chain is too long".to_owned());
            }
        }
    }
    if out.is_empty() { Err("its certificate is by nobody but itself".to_owned()) } else { Ok(out) }
}
