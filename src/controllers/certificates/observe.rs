//! Reads what the Secrets hold into the facts that the plan depends on.

use k8s_openapi::api::core::v1::Secret;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::plan::{Fingerprint, Flaw, Leaf, Signer, Validity};
use crate::webhook::tls::provider;

/// The bytes under `key`, unless there are none.
#[must_use]
pub fn data<'a>(secret: Option<&'a Secret>, key: &str) -> Option<&'a [u8]> {
    let bytes = &secret?.data.as_ref()?.get(key)?.0;
    (!bytes.is_empty()).then_some(bytes.as_slice())
}

/// The certificates of a PEM text; what cannot be read is passed over.
#[must_use]
pub fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}

/// The SHA-256 of a certificate.
#[must_use]
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    Sha256::digest(certificate.as_ref()).into()
}

/// When a certificate is valid.
#[must_use]
pub fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(Validity {
        fingerprint: fingerprint(certificate),
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
    })
}

/// The authority in a Secret: its certificate and when it is valid.
///
/// # Errors
/// What is wrong with it.
pub fn authority(secret: Option<&Secret>) -> Result<(CertificateDer<'static>, Validity), Flaw> {
    let certificate = pair(secret)?;
    let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|_| Flaw::Unreadable)?;
    if !parsed.is_ca() {
        return Err(Flaw::NotAnAuthority);
    }
    let validity = validity(&certificate).ok_or(Flaw::Unreadable)?;
    Ok((certificate, validity))
}

/// The serving certificate in a Secret, judged against the authorities and the names it should have.
///
/// # Errors
/// What is wrong with it.
pub fn leaf(
    secret: Option<&Secret>,
    current: Option<&CertificateDer<'static>>,
    previous: Option<&CertificateDer<'static>>,
    names: &[String],
) -> Result<Leaf, Flaw> {
    let certificate = pair(secret)?;
    let validity = validity(&certificate).ok_or(Flaw::Unreadable)?;
    let signer = if current.is_some_and(|authority| signed_by(&certificate, authority)) {
        Signer::Current
    } else if previous.is_some_and(|authority| signed_by(&certificate, authority)) {
        Signer::Previous
    } else {
        Signer::Unknown
    };
    Ok(Leaf { validity, signer, names_fit: has_names(&certificate, names) })
}

/// The certificate of a Secret whose key fits it.
fn pair(secret: Option<&Secret>) -> Result<CertificateDer<'static>, Flaw> {
    let (Some(certificate), Some(key)) = (data(secret, "tls.crt"), data(secret, "tls.key")) else {
        return Err(Flaw::Missing);
    };
    let certificate = certificates(certificate).into_iter().next().ok_or(Flaw::Unreadable)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| Flaw::Unreadable)?;
    match CertifiedKey::from_der(vec![certificate.clone()], key, &provider()) {
        Ok(_) => Ok(certificate),
        Err(rustls::Error::InconsistentKeys(_)) => Err(Flaw::OtherKey),
        Err(_) => Err(Flaw::Unreadable),
    }
}

/// Whether `authority` signed this serving certificate, whatever the time is now.
#[must_use]
pub fn signed_by(certificate: &CertificateDer<'_>, authority: &CertificateDer<'static>) -> bool {
    let (Some(leaf), Some(signer)) = (validity(certificate), validity(authority)) else { return false };
    let Ok(both) = u64::try_from(leaf.not_before.max(signer.not_before).saturating_add(1)) else {
        return false;
    };
    let Some(name) = names(certificate).into_iter().find_map(|name| ServerName::try_from(name).ok()) else {
        return false;
    };
    let mut roots = rustls::RootCertStore::empty();
    if roots.add(authority.clone()).is_err() {
        return false;
    }
    let time = UnixTime::since_unix_epoch(Duration::from_secs(both));
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .is_ok_and(|verifier| verifier.verify_server_cert(certificate, &[], &name, &[], time).is_ok())
}

fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some(extension)) = parsed.subject_alternative_name() else { return Vec::new() };
    let names = extension.value.general_names.iter();
    names
        .filter_map(
            |name| if let GeneralName::DNSName(name) = name { Some((*name).to_owned()) } else { None },
        )
        .collect()
}

fn has_names(certificate: &CertificateDer<'_>, expected: &[String]) -> bool {
    let names = names(certificate);
    names.len() == expected.len() && expected.iter().all(|name| names.contains(name))
}

/// The newest time that the API server wrote on an object, in seconds since 1970.
#[must_use]
pub fn witnessed(secret: &Secret) -> Option<i64> {
    let metadata = &secret.metadata;
    let created = metadata.creation_timestamp.iter();
    let written = metadata.managed_fields.iter().flatten().filter_map(|entry| entry.time.as_ref());
    created.chain(written).map(|time| time.0.as_second()).max()
}
