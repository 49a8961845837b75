//! What can go wrong while asking a registry. Every variant is one sentence for people and one cause for metrics.

use std::error::Error as _;
use std::io;

use super::address::{AddressRefused, Unresolved};
use super::verification::{Cause, Verification};

/// Why an answer was not had.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("registry {registry:?} cannot be reached: {detail}")]
    Unreachable { registry: String, detail: &'static str },
    #[error("registry {registry:?} cannot be trusted on TLS: {detail}")]
    Tls { registry: String, detail: String },
    #[error("registry {registry:?} did not answer in time")]
    Timeout { registry: String },
    #[error("registry {registry:?} must not be dialled: {refused}")]
    Address { registry: String, refused: AddressRefused },
    #[error("registry {registry:?} redirects {what} to a place that is not allowed: {detail}")]
    Redirect { registry: String, what: &'static str, detail: &'static str },
    #[error("registry {registry:?} sends token requests to a place that is not allowed: {detail}")]
    Realm { registry: String, detail: &'static str },
    #[error("registry {registry:?} refuses to answer {}", if *.with_credentials { "with these credentials" } else { "without credentials" })]
    Unauthorised { registry: String, with_credentials: bool },
    #[error("registry {registry:?} asks for an authentication that is not supported")]
    Challenge { registry: String },
    #[error("{what} of registry {registry:?} is longer than {limit} bytes")]
    TooLong { registry: String, what: &'static str, limit: usize },
    #[error("registry {registry:?} needs more than {limit} requests for one artifact")]
    TooManyRequests { registry: String, limit: usize },
    #[error("registry {registry:?} lists more than {limit} {what} for one artifact")]
    TooMany { registry: String, what: &'static str, limit: usize },
    #[error("registry {registry:?} limits requests (status 429)")]
    RateLimited { registry: String },
    #[error("registry {registry:?} answered {what} with status {status}")]
    Status { registry: String, what: &'static str, status: u16 },
    #[error("{what} of registry {registry:?} is malformed: {detail}")]
    Malformed { registry: String, what: &'static str, detail: &'static str },
    #[error("{0}")]
    Internal(String),
}

impl FetchError {
    /// The kind of obstacle.
    pub(super) const fn cause(&self) -> Cause {
        match self {
            Self::Unreachable { .. } | Self::Tls { .. } => Cause::Unreachable,
            Self::Timeout { .. } => Cause::Timeout,
            Self::Address { .. } | Self::Redirect { .. } | Self::Realm { .. } => Cause::Guarded,
            Self::Unauthorised { .. } | Self::Challenge { .. } => Cause::Unauthorised,
            Self::TooLong { .. } | Self::TooMany { .. } | Self::TooManyRequests { .. } => {
                Cause::LimitExceeded
            }
            Self::RateLimited { .. } | Self::Status { .. } => Cause::RegistryError,
            Self::Malformed { .. } => Cause::Malformed,
            Self::Internal(_) => Cause::Internal,
        }
    }

    /// Whether asking the same registry for something else would meet the same obstacle.
    pub(super) const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Tls { .. }
                | Self::Timeout { .. }
                | Self::Address { .. }
                | Self::Realm { .. }
                | Self::Unauthorised { .. }
                | Self::Challenge { .. }
                | Self::TooManyRequests { .. }
                | Self::RateLimited { .. }
                | Self::Internal(_)
        )
    }

    /// The obstacle as an answer.
    pub(super) fn into_verification(self) -> Verification {
        Verification::Unknown { cause: self.cause(), reason: self.to_string() }
    }

    /// Sorts an error of the HTTP client by its sources' types, never by its text.
    pub(super) fn from_client(registry: &str, error: &reqwest::Error) -> Self {
        let registry = registry.to_owned();
        let mut source = error.source();
        let mut io_kind = None;
        while let Some(error) = source {
            if let Some(refused) = error.downcast_ref::<AddressRefused>() {
                return Self::Address { registry, refused: refused.clone() };
            }
            if error.is::<Unresolved>() {
                return Self::Unreachable { registry, detail: "its name could not be resolved" };
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                io_kind.get_or_insert(error.kind());
            }
            if let Some(tls) = tls_error(error) {
                return Self::Tls { registry, detail: describe_tls(tls).to_owned() };
            }
            source = error.source();
        }
        if error.is_timeout() {
            return Self::Timeout { registry };
        }
        let detail = match io_kind {
            Some(io::ErrorKind::ConnectionRefused) => "the connection was refused",
            Some(io::ErrorKind::TimedOut) => return Self::Timeout { registry },
            Some(
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::UnexpectedEof,
            ) => "the connection was cut",
            Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                "there is no route to it"
            }
            _ if error.is_connect() => "no connection could be made",
            _ => "the connection broke off within the answer",
        };
        Self::Unreachable { registry, detail }
    }
}

/// An I/O error hides what it wraps from its own chain of sources.
fn tls_error<'a>(mut error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    loop {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        error = error.downcast_ref::<io::Error>()?.get_ref()?;
    }
}

fn describe_tls(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            rustls::CertificateError::Expired | rustls::CertificateError::ExpiredContext { .. } => {
                "its certificate has expired"
            }
            rustls::CertificateError::UnknownIssuer => "its certificate is by an unknown issuer",
            rustls::CertificateError::NotValidForName
            | rustls::CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            _ => "its certificate is not valid",
        },
        rustls::Error::InvalidMessage(_) => "it does not speak TLS",
        _ => "the handshake failed",
    }
}
