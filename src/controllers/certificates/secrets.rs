//! What the two Secrets hold together: authorities to trust, an issuer to sign with, and how to call the webhook.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::CertificateError;
use super::issue::{self, Issued};
use super::observe::{self, certificates, data, fingerprint, signed_by};
use super::plan::Observed;
use crate::webhook::tls::provider;

/// Both Secrets as they were read.
pub(super) struct Read {
    pub(super) authority: Option<Secret>,
    pub(super) serving: Option<Secret>,
}

/// The authority before the present one, while it is still trusted.
pub(super) fn previous(read: &Read) -> Option<CertificateDer<'static>> {
    certificates(data(read.authority.as_ref(), "previous.crt")?).into_iter().next()
}

/// The authority that signed the serving certificate in use, where it can still be trusted: it stays in the bundle
/// beside a new one. It is looked for in all places, so that a lost or damaged Secret costs no outage.
pub(super) fn still_trusted(read: &Read, now: i64) -> Option<CertificateDer<'static>> {
    let leaf = certificates(data(read.serving.as_ref(), "tls.crt")?).into_iter().next()?;
    let places = [(&read.authority, "tls.crt"), (&read.authority, "previous.crt"), (&read.serving, "ca.crt")];
    places.into_iter().filter_map(|(secret, key)| data(secret.as_ref(), key)).flat_map(certificates).find(
        |authority| {
            observe::validity(authority).is_some_and(|validity| now < validity.not_after)
                && signed_by(&leaf, authority)
        },
    )
}

/// The authority with its key, to sign with.
pub(super) fn issuer(read: &Read) -> Result<Issued, CertificateError> {
    let text = |key| {
        let bytes = data(read.authority.as_ref(), key).ok_or(CertificateError::Authority)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| CertificateError::Authority)
    };
    Ok(Issued { certificate: text("tls.crt")?, key: text("tls.key")? })
}

/// The texts of a Secret under the keys that we write.
pub(super) fn texts(secret: Option<&Secret>) -> BTreeMap<&'static str, String> {
    ["tls.crt", "tls.key", "ca.crt", "previous.crt"]
        .into_iter()
        .filter_map(|key| Some((key, String::from_utf8(data(secret, key)?.to_vec()).ok()?)))
        .collect()
}

/// The authorities to trust, PEM: the one in use first.
pub(super) fn bundle(read: &Read, observed: &Observed) -> String {
    let authority = data(read.authority.as_ref(), "tls.crt").map(certificates).unwrap_or_default();
    let wanted = observed.bundle();
    authority
        .into_iter()
        .chain(previous(read))
        .filter(|certificate| wanted.contains(&fingerprint(certificate)))
        .map(|certificate| pem(&certificate))
        .collect()
}

/// A certificate as text.
pub(super) fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// How the controller calls the replicas of the webhook: it trusts our authorities and shows a certificate of its own.
pub(super) fn client_config(
    authority: &Issued,
    bundle: &[u8],
    now: i64,
) -> Result<rustls::ClientConfig, CertificateError> {
    let made = issue::client(authority, now)?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(certificates(bundle));
    let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).map_err(|_| CertificateError::Authority)?;
    rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(CertificateError::Client)?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(made.certificate.as_bytes()), key)
        .map_err(CertificateError::Client)
}
