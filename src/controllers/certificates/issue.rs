//! Makes authorities, serving certificates and the controller's client certificate.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
};
use sha2::{Digest, Sha256};
use thiserror::Error;
use time::OffsetDateTime;

use crate::webhook::tls::CONTROLLER_NAME;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// How long an authority is valid, in seconds.
pub const AUTHORITY_LIFE: i64 = 365 * DAY;
/// How long a serving certificate is valid, in seconds.
pub const LEAF_LIFE: i64 = 30 * DAY;
/// How long the controller's client certificate is valid, in seconds. It is kept in memory only.
pub const CLIENT_LIFE: i64 = DAY;
/// How far the start of validity lies in the past, in seconds, so that a clock that is behind accepts it.
const BACKDATE: i64 = HOUR;

/// Why something could not be issued.
#[derive(Debug, Error)]
pub enum IssueError {
    /// The time is none that a certificate can carry.
    #[error("{0} s since 1970 is no time that a certificate can carry")]
    Time(i64),
    /// The certificate could not be made.
    #[error("the certificate could not be made")]
    Make(#[from] rcgen::Error),
}

/// A certificate with its key, both PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issued(..)")
    }
}

/// A new authority, valid from an hour before `now` (seconds since 1970).
///
/// # Errors
/// When `now` is no possible time, or the key cannot be made.
pub fn authority(now: i64) -> Result<Issued, IssueError> {
    // The name is the key's, so that nobody confuses two authorities while both are trusted.
    let key = KeyPair::generate()?;
    let name = hex::encode(&Sha256::digest(key.subject_public_key_info())[..8]);
    let mut parameters = parameters(&[], &format!("portcullis authority {name}"), now, now + AUTHORITY_LIFE)?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(parameters, key)?;
    Ok(Issued { certificate: authority.pem(), key: authority.key().serialize_pem() })
}

/// A serving certificate for `names`, valid no longer than until `until`.
///
/// # Errors
/// When `authority` is no authority with its key, or a name or a time is impossible.
pub fn serving(authority: &Issued, names: &[String], now: i64, until: i64) -> Result<Issued, IssueError> {
    let common_name = names.first().map_or("portcullis", String::as_str);
    let mut parameters = parameters(names, common_name, now, until.min(now + LEAF_LIFE))?;
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    sign(authority, &parameters)
}

/// The certificate with which the controller asks the webhook replicas.
///
/// # Errors
/// When `authority` is no authority with its key, or `now` is no possible time.
pub fn client(authority: &Issued, now: i64) -> Result<Issued, IssueError> {
    let mut parameters = parameters(&[], CONTROLLER_NAME, now, now + CLIENT_LIFE)?;
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    sign(authority, &parameters)
}

fn parameters(
    names: &[String],
    common_name: &str,
    now: i64,
    until: i64,
) -> Result<CertificateParams, IssueError> {
    let mut parameters = CertificateParams::new(names)?;
    // The defaults give every certificate the same name and a validity of two thousand years.
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    parameters.not_before = time(now.saturating_sub(BACKDATE))?;
    parameters.not_after = time(until)?;
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    Ok(parameters)
}

fn sign(authority: &Issued, parameters: &CertificateParams) -> Result<Issued, IssueError> {
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)?;
    let key = KeyPair::generate()?;
    let certificate = parameters.signed_by(&key, &issuer)?;
    Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn time(seconds: i64) -> Result<OffsetDateTime, IssueError> {
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| IssueError::Time(seconds))
}
