//! A certificate authority and a transparency log of one's own, so that keyless signatures can be made without any
//! service, and with any flaw a forger might try.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SigningKey as _,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const SUBJECT: &str = "https://ci.example/team/app/build@main";
pub(crate) const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
const ORIGIN: &str = "log.example - 1";

/// The services.
pub(crate) struct Sigstore {
    authority: CertifiedIssuer<'static, KeyPair>,
    /// The issuer of `authority`, where it is not believed by itself.
    above: Option<CertifiedIssuer<'static, KeyPair>>,
    log: KeyPair,
}

/// A short-lived certificate and its key, or only a key.
pub(crate) struct Signer {
    pub(crate) key: KeyPair,
    certificate: Option<rcgen::Certificate>,
}

/// What is logged beside the truth.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// The log's promise is signed by somebody else.
    Promise,
    /// The log's checkpoint is signed by somebody else.
    Checkpoint,
    /// The proof leads to another root.
    Proof,
    /// There is no proof at all.
    NoProof,
    /// The entry was made long before the certificate.
    Time,
    /// The entry names another time than the log promised.
    Backdated,
    /// A timestamp of no authority stands beside it.
    Stamp,
    /// The entry is about something else.
    Entry,
    /// The same entry twice, the second without proof.
    Stowaway,
}

fn pair() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now - Duration::minutes(5), now + Duration::minutes(10));
    params
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn sha256(bytes: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl Sigstore {
    pub(crate) fn new() -> Self {
        let mut params = named("signing authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_before -= Duration::days(30);
        Self { authority: CertifiedIssuer::self_signed(params, pair()).unwrap(), above: None, log: pair() }
    }

    /// The same, with an issuer between the believed one and the certificates; `ended` where its own time is over.
    pub(crate) fn with_intermediate(ended: bool) -> Self {
        let above = Self::new().authority;
        let mut params = named("intermediate");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.use_authority_key_identifier_extension = true;
        params.not_before -= Duration::days(20);
        if ended {
            params.not_after = params.not_before + Duration::days(10);
        }
        let authority = CertifiedIssuer::signed_by(params, pair(), &above).unwrap();
        Self { authority, above: Some(above), log: pair() }
    }

    /// The `trusted_root.json` that believes both.
    pub(crate) fn root(&self) -> String {
        let key = self.log.subject_public_key_info();
        let start = json!({ "start": "2020-01-01T00:00:00Z" });
        let chain = [Some(&self.authority), self.above.as_ref()];
        let chain: Vec<_> =
            chain.into_iter().flatten().map(|one| json!({ "rawBytes": b64(one.der()) })).collect();
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [{
                "baseUrl": "https://log.example", "hashAlgorithm": "SHA2_256",
                "publicKey": { "rawBytes": b64(&key), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": start },
                "logId": { "keyId": b64(sha256(&key)) },
            }],
            "certificateAuthorities": [{
                "subject": { "organization": "example", "commonName": "signing authority" },
                "uri": "https://ca.example", "validFor": start,
                "certChain": { "certificates": chain },
            }],
        })
        .to_string()
    }

    /// A certificate for a subject that an issuer vouches for.
    pub(crate) fn certify(&self, subject: &str, issuer: &str) -> Signer {
        self.certify_ended(subject, issuer, Duration::ZERO)
    }

    /// The same, `ago` in the past.
    pub(crate) fn certify_ended(&self, subject: &str, issuer: &str, ago: Duration) -> Signer {
        let mut params = named("signer");
        (params.not_before, params.not_after) = (params.not_before - ago, params.not_after - ago);
        params.subject_alt_names = vec![SanType::URI(subject.try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.use_authority_key_identifier_extension = true;
        // A DER UTF8String, short enough for a length of one byte.
        let mut text = vec![0x0c, u8::try_from(issuer.len()).unwrap()];
        text.extend_from_slice(issuer.as_bytes());
        params.custom_extensions =
            vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, 8], text)];
        let key = pair();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        Signer { key, certificate: Some(certificate) }
    }

    /// A long-lived key.
    pub(crate) fn key() -> Signer {
        Signer { key: pair(), certificate: None }
    }

    /// A bundle that says `predicate` about a digest, logged.
    pub(crate) fn bundle(&self, signer: &Signer, digest: &str, predicate: &str, flaw: Flaw) -> Vec<u8> {
        self.logged(signer, digest, (predicate, &json!({})), flaw)
    }

    /// A bundle with a predicate, logged without a flaw.
    pub(crate) fn stated(&self, signer: &Signer, digest: &str, kind: &str, predicate: &Value) -> Vec<u8> {
        self.logged(signer, digest, (kind, predicate), Flaw::None)
    }

    fn logged(&self, signer: &Signer, digest: &str, said: (&str, &Value), flaw: Flaw) -> Vec<u8> {
        let hex = digest.trim_start_matches("sha256:");
        let statement = json!({ "_type": "https://in-toto.io/Statement/v1", "predicateType": said.0,
            "subject": [{ "name": "x", "digest": { "sha256": hex } }], "predicate": said.1 });
        let (kind, payload) = ("application/vnd.in-toto+json", statement.to_string());
        let message = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
        let signature = b64(signer.key.sign(message.as_bytes()).unwrap());
        let logged = if flaw == Flaw::Entry { b64([0; 70]) } else { signature.clone() };
        let entry = self.entry(
            &json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": {
                "envelopeHash": { "algorithm": "sha256", "value": hex::encode(sha256("envelope")) },
                "payloadHash": { "algorithm": "sha256", "value": hex::encode(sha256(&payload)) },
                "signatures": [{ "signature": logged, "verifier": b64(signer.pem()) }],
            }}),
            flaw,
        );
        let mut entries = vec![entry];
        if flaw == Flaw::Stowaway {
            let mut second = entries[0].clone();
            second.as_object_mut().unwrap().remove("inclusionProof");
            entries.push(second);
        }
        let mut material = match &signer.certificate {
            Some(certificate) => json!({ "certificate": { "rawBytes": b64(certificate.der()) } }),
            None => json!({ "publicKey": { "hint": "" } }),
        };
        material["tlogEntries"] = json!(entries);
        if flaw == Flaw::Stamp {
            material["timestampVerificationData"] =
                json!({ "rfc3161Timestamps": [{ "signedTimestamp": b64("no stamp") }] });
        }
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": material,
            "dsseEnvelope": { "payload": b64(&payload), "payloadType": kind, "signatures": [{ "sig": signature }] },
        })
        .to_string()
        .into_bytes()
    }

    /// cosign's older payload about a digest, and the annotations of its layer.
    pub(crate) fn simple(&self, signer: &Signer, digest: &str, flaw: Flaw) -> (Vec<u8>, Value) {
        let payload = json!({ "critical": { "identity": { "docker-reference": "" },
            "image": { "docker-manifest-digest": digest },
            "type": "cosign container image signature" }, "optional": null })
        .to_string();
        let signature = b64(signer.key.sign(payload.as_bytes()).unwrap());
        let logged = if flaw == Flaw::Entry { sha256("other") } else { sha256(&payload) };
        let entry = self.entry(
            &json!({ "apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
                "data": { "hash": { "algorithm": "sha256", "value": hex::encode(logged) } },
                "signature": { "content": signature, "publicKey": { "content": b64(signer.pem()) } },
            }}),
            flaw,
        );
        let log = self.log.subject_public_key_info();
        let bundle = json!({ "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "Payload": { "body": entry["canonicalizedBody"], "logIndex": 0, "logID": hex::encode(sha256(log)),
                "integratedTime": entry["integratedTime"].as_str().unwrap().parse::<i64>().unwrap() } });
        let mut annotations = json!({ "dev.cosignproject.cosign/signature": signature });
        if flaw != Flaw::NoProof {
            annotations["dev.sigstore.cosign/bundle"] = json!(bundle.to_string());
        }
        if let Some(certificate) = &signer.certificate {
            annotations["dev.sigstore.cosign/certificate"] = json!(certificate.pem());
            annotations["dev.sigstore.cosign/chain"] = json!(self.authority.pem());
        }
        (payload.into_bytes(), annotations)
    }

    /// An entry of the log, the only one in its tree, with promise and proof.
    fn entry(&self, body: &Value, flaw: Flaw) -> Value {
        let body = body.to_string();
        let id = sha256(self.log.subject_public_key_info());
        let long_ago = if flaw == Flaw::Time { Duration::days(20) } else { Duration::ZERO };
        let moment = (OffsetDateTime::now_utc() - long_ago).unix_timestamp();
        let stranger = pair();
        let by = |wanted: Flaw| if flaw == wanted { &stranger } else { &self.log };
        // The promise is over this text with its keys in this order.
        let promised = format!(
            r#"{{"body":"{}","integratedTime":{moment},"logID":"{}","logIndex":0}}"#,
            b64(&body),
            hex::encode(id)
        );
        let leaf =
            if flaw == Flaw::Proof { sha256("other") } else { sha256([b"\0", body.as_bytes()].concat()) };
        let note = format!("{ORIGIN}\n1\n{}\n", b64(leaf));
        let mut signed = id[..4].to_vec();
        signed.extend(by(Flaw::Checkpoint).sign(note.as_bytes()).unwrap());
        let mut entry = json!({
            "logIndex": "0", "logId": { "keyId": b64(id) }, "integratedTime": moment.to_string(),
            "kindVersion": { "kind": if body.contains("\"dsse\"") { "dsse" } else { "hashedrekord" }, "version": "0.0.1" },
            "inclusionPromise": { "signedEntryTimestamp": b64(by(Flaw::Promise).sign(promised.as_bytes()).unwrap()) },
            "inclusionProof": { "logIndex": "0", "treeSize": "1", "rootHash": b64(leaf), "hashes": [],
                "checkpoint": { "envelope": format!("{note}\n\u{2014} log.example {}\n", b64(signed)) } },
            "canonicalizedBody": b64(&body),
        });
        if flaw == Flaw::NoProof {
            entry.as_object_mut().unwrap().remove("inclusionProof");
        }
        if flaw == Flaw::Backdated {
            entry["integratedTime"] = json!((moment - 60).to_string());
        }
        entry
    }
}

impl Signer {
    /// A certificate of somebody else's.
    pub(crate) fn with(key: KeyPair, certificate: rcgen::Certificate) -> Self {
        Self { key, certificate: Some(certificate) }
    }

    fn pem(&self) -> String {
        self.certificate.as_ref().map_or_else(|| self.key.public_key_pem(), rcgen::Certificate::pem)
    }
}
