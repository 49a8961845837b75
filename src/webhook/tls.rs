//! The certificate that the HTTPS listener serves: loaded from a Secret, swapped while serving, never worse than before.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use thiserror::Error;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::router::Identity;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::probes::Condition;

/// The common name of the certificate with which our controller asks the webhook replicas.
pub const CONTROLLER_NAME: &str = "portcullis-controller";

/// A certificate with its key and the authorities that vouch for it, as the Secret holds them.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate chain, PEM.
    pub certificate: Vec<u8>,
    /// The private key, PEM.
    pub key: Vec<u8>,
    /// Our authorities, old and new, PEM.
    pub authorities: Vec<u8>,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pair(..)")
    }
}

/// Why a pair is not served.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The Secret has no such key.
    #[error("the Secret has no {0:?}")]
    Missing(&'static str),
    /// A PEM text cannot be read.
    #[error("{0} is not PEM with what it should hold")]
    Pem(&'static str, #[source] rustls_pki_types::pem::Error),
    /// The certificate cannot be parsed.
    #[error("the certificate cannot be parsed")]
    Certificate,
    /// The authorities cannot be used.
    #[error("the authorities cannot be used")]
    Authorities(#[source] rustls::server::VerifierBuilderError),
    /// The certificate is not valid now, for our name, under our authorities.
    #[error("the certificate does not verify under its own authorities")]
    Unverified(#[source] rustls::Error),
    /// Key and certificate do not belong together, or the key is of no use.
    #[error("the key does not fit the certificate")]
    Key(#[source] rustls::Error),
    /// The name of the Service is no DNS name.
    #[error("{0:?} is not a DNS name")]
    Name(String),
}

impl TlsError {
    /// The variant's name, for the metric.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing",
            Self::Pem(..) => "pem",
            Self::Certificate => "certificate",
            Self::Authorities(_) => "authorities",
            Self::Unverified(_) => "unverified",
            Self::Key(_) => "key",
            Self::Name(_) => "name",
        }
    }
}

/// Makes aws-lc-rs the process's one provider of cryptography. To be called first in `main`, harmless when repeated.
pub fn install_provider() {
    // An error means that it is installed already.
    let _ = aws_lc_rs::default_provider().install_default();
}

/// The provider of cryptography: the installed one, else aws-lc-rs.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()))
}

/// The API server's client certificates: who signs them, and which names are meant.
#[derive(Clone, Debug)]
pub struct ApiServerCertificates {
    verifier: Arc<dyn ClientCertVerifier>,
    names: Vec<String>,
}

impl ApiServerCertificates {
    /// Reads the authorities from PEM. With `names`, only certificates with one of these common names are meant: an
    /// authority that also signs for people needs that.
    ///
    /// # Errors
    /// When the PEM holds no usable certificate.
    pub fn new(authorities: &[u8], names: Vec<String>) -> Result<Self, TlsError> {
        Ok(Self { verifier: client_verifier(roots(authorities, "the client authorities")?)?, names })
    }
}

/// What is being served: the configuration, and who may be on the other side.
#[derive(Debug)]
pub struct Serving {
    config: Arc<ServerConfig>,
    clients: Arc<Clients>,
    expires: i64,
}

impl Serving {
    /// The configuration for new connections.
    #[must_use]
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// When the certificate expires, in seconds since 1970.
    #[must_use]
    pub fn expires(&self) -> i64 {
        self.expires
    }

    /// Who showed these certificates. The handshake has proven possession of the key; here it is said whose it is, by
    /// the authority that signed it and then by its name, never by the name alone.
    #[must_use]
    pub fn identify(&self, certificates: Option<&[CertificateDer<'_>]>) -> Identity {
        let Some([leaf, rest @ ..]) = certificates else { return Identity::Anonymous };
        let Some(name) = common_name(leaf) else { return Identity::Anonymous };
        let now = UnixTime::now();
        if self.clients.ours.verify_client_cert(leaf, rest, now).is_ok() {
            return if name == CONTROLLER_NAME { Identity::Controller } else { Identity::Anonymous };
        }
        match &self.clients.api_server {
            Some(api)
                if (api.names.is_empty() || api.names.contains(&name))
                    && api.verifier.verify_client_cert(leaf, rest, now).is_ok() =>
            {
                Identity::ApiServer
            }
            _ => Identity::Anonymous,
        }
    }
}

/// Accepts a client certificate of either authority; none is fine too.
#[derive(Debug)]
struct Clients {
    ours: Arc<dyn ClientCertVerifier>,
    api_server: Option<ApiServerCertificates>,
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Without hints a client offers the certificate it has, whichever of the two authorities signed it.
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let ours = self.ours.verify_client_cert(leaf, rest, now);
        match (&ours, &self.api_server) {
            (Err(_), Some(api)) => api.verifier.verify_client_cert(leaf, rest, now),
            _ => ours,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.ours.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.ours.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.ours.supported_verify_schemes()
    }
}

/// Holds what is served now. Connections that are open keep what they were opened with.
pub struct TlsStore {
    serving: ArcSwapOption<Serving>,
    server_name: ServerName<'static>,
    api_server: Option<ApiServerCertificates>,
    metrics: Arc<Metrics>,
    loaded: Condition,
}

impl fmt::Debug for TlsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStore").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl TlsStore {
    /// An empty store; `server_name` is the name under which the API server calls, `loaded` is met with the first
    /// good pair.
    ///
    /// # Errors
    /// When `server_name` is no DNS name.
    pub fn new(
        server_name: &str,
        api_server: Option<ApiServerCertificates>,
        metrics: Arc<Metrics>,
        loaded: Condition,
    ) -> Result<Self, TlsError> {
        let server_name = ServerName::try_from(server_name.to_owned())
            .map_err(|_| TlsError::Name(server_name.to_owned()))?;
        Ok(Self { serving: ArcSwapOption::empty(), server_name, api_server, metrics, loaded })
    }

    /// What is served now, nothing before the first good pair.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Serving>> {
        self.serving.load_full()
    }

    /// Serves `pair` to new connections.
    ///
    /// # Guarantees
    /// On an error nothing changes: the last good pair stays.
    ///
    /// # Errors
    /// When the pair would not be accepted by an API server that trusts exactly its own authorities, now.
    pub fn load(&self, pair: &Pair) -> Result<(), TlsError> {
        let serving = self.build(pair).inspect_err(|error| self.metrics.certificate_failed(error.label()))?;
        self.metrics.certificate_expires(serving.expires);
        self.serving.store(Some(Arc::new(serving)));
        self.loaded.set(true);
        Ok(())
    }

    fn build(&self, pair: &Pair) -> Result<Serving, TlsError> {
        let chain = certificates(&pair.certificate, "tls.crt")?;
        let [leaf, rest @ ..] = chain.as_slice() else { return Err(TlsError::Certificate) };
        let key =
            PrivateKeyDer::from_pem_slice(&pair.key).map_err(|error| TlsError::Pem("tls.key", error))?;
        let ours = roots(&pair.authorities, "ca.crt")?;
        let expires = expiry(leaf).ok_or(TlsError::Certificate)?;
        WebPkiServerVerifier::builder_with_provider(Arc::clone(&ours), provider())
            .build()
            .map_err(TlsError::Authorities)?
            .verify_server_cert(leaf, rest, &self.server_name, &[], UnixTime::now())
            .map_err(TlsError::Unverified)?;
        let clients = Arc::new(Clients { ours: client_verifier(ours)?, api_server: self.api_server.clone() });
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Key)?
            .with_client_cert_verifier(Arc::clone(&clients) as Arc<dyn ClientCertVerifier>)
            .with_single_cert(chain, key)
            .map_err(TlsError::Key)?;
        // HTTP/2 is never spoken, so a client that offers only that is refused in the handshake.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Serving { config: Arc::new(config), clients, expires })
    }

    /// Watches the one Secret and loads what it holds, for ever.
    pub async fn watch(self: Arc<Self>, client: Client, namespace: &str, name: &str) {
        let secrets: Api<Secret> = Api::namespaced(client, namespace);
        let mut last: Option<Pair> = None;
        let stream = watcher::watch_object(secrets, name).default_backoff();
        futures::pin_mut!(stream);
        while let Some(event) = stream.next().await {
            match event {
                Ok(Some(secret)) => match pair_of(&secret) {
                    Ok(pair) if last.as_ref() == Some(&pair) => {}
                    Ok(pair) => {
                        self.report(self.load(&pair));
                        last = Some(pair);
                    }
                    Err(error) => {
                        self.metrics.certificate_failed(error.label());
                        self.report(Err(error));
                    }
                },
                Ok(None) => tracing::warn!(secret = name, "the Secret with the certificate is not there"),
                Err(error) => {
                    self.metrics.watch_failed("secrets");
                    tracing::warn!(%error, secret = name, "the watch of the Secret failed");
                }
            }
        }
    }

    fn report(&self, result: Result<(), TlsError>) {
        match result {
            Ok(()) => tracing::info!("a new certificate is served"),
            Err(error) => tracing::error!(
                error = crate::telemetry::chain(&error),
                serving = self.current().is_some(),
                "a certificate is not served; the last good one stays"
            ),
        }
    }
}

/// Takes the three texts from the Secret.
fn pair_of(secret: &Secret) -> Result<Pair, TlsError> {
    let text = |key: &'static str| {
        let data = secret.data.as_ref().and_then(|data| data.get(key));
        data.map(|bytes| bytes.0.clone()).ok_or(TlsError::Missing(key))
    };
    Ok(Pair { certificate: text("tls.crt")?, key: text("tls.key")?, authorities: text("ca.crt")? })
}

fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Pem(what, error))
}

fn roots(pem: &[u8], what: &'static str) -> Result<Arc<RootCertStore>, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem, what)? {
        store.add(certificate).map_err(|_| TlsError::Certificate)?;
    }
    Ok(Arc::new(store))
}

fn client_verifier(roots: Arc<RootCertStore>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    WebPkiClientVerifier::builder_with_provider(roots, provider())
        .clear_root_hint_subjects()
        .build()
        .map_err(TlsError::Authorities)
}

fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let mut names = parsed.subject().iter_common_name();
    let name = names.next()?.as_str().ok()?.to_owned();
    // Two common names are nobody's.
    names.next().is_none().then_some(name)
}

fn expiry(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.validity().not_after.timestamp())
}
