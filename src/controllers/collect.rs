//! Collects what the webhook's replicas have refused, over mutual TLS, and keeps the book.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

use super::blocked::Book;
use super::dirty::Dirty;
use super::trouble::Trouble;
use crate::gather::world::Touched;
use crate::webhook::attempts::Attempts;

/// Between two rounds.
const EVERY: Duration = Duration::from_secs(5);
/// For one replica.
const PATIENCE: Duration = Duration::from_secs(3);
/// Largest report of a replica.
const LARGEST: usize = 4 * 1024 * 1024;

/// Where the replicas are found.
#[derive(Clone, Debug)]
pub struct Replicas {
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service.
    pub service: String,
}

/// Why a replica's report could not be had.
#[derive(Debug, thiserror::Error)]
enum CollectError {
    #[error("it did not answer in time")]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("no connection")]
    Connect(#[from] std::io::Error),
    #[error("the name of the service is no server name")]
    Name(#[from] rustls_pki_types::InvalidDnsNameError),
    #[error("no HTTP answer")]
    Http(#[from] hyper::Error),
    #[error("the request could not be made")]
    Request(#[from] hyper::http::Error),
    #[error("it answered {0}")]
    Status(hyper::StatusCode),
    #[error("the report cannot be read")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the report is no list of attempts")]
    Json(#[from] serde_json::Error),
}

/// Asks every replica, again and again, until it is dropped.
pub async fn collect(
    client: Client,
    replicas: Replicas,
    tls: watch::Receiver<Option<Arc<rustls::ClientConfig>>>,
    book: Arc<Mutex<Book>>,
    dirty: Arc<Dirty>,
) {
    let slices: Api<EndpointSlice> = Api::namespaced(client, &replicas.namespace);
    let selector =
        ListParams::default().labels(&format!("kubernetes.io/service-name={}", replicas.service)).limit(50);
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut trouble = Trouble::default();
    loop {
        every.tick().await;
        let Some(config) = tls.borrow().clone() else { continue };
        let found = match slices.list(&selector).await {
            Ok(found) => found,
            Err(error) => {
                if trouble.is_to_be_said() {
                    tracing::warn!(%error, "the replicas of the webhook could not be found");
                }
                continue;
            }
        };
        if trouble.is_over() {
            tracing::info!("the replicas of the webhook can be found again");
        }
        let addresses = found.items.iter().flat_map(|slice| {
            let port = slice.ports.iter().flatten().find_map(|p| p.port).and_then(|p| u16::try_from(p).ok());
            slice
                .endpoints
                .iter()
                .flatten()
                .flat_map(|endpoint| &endpoint.addresses)
                .filter_map(move |address| Some((address.parse::<IpAddr>().ok()?, port?)))
        });
        for (address, port) in addresses {
            match tokio::time::timeout(PATIENCE, report(address, port, &replicas, &config)).await {
                Ok(Ok(attempts)) => {
                    for namespace in book.lock().unwrap_or_else(PoisonError::into_inner).take(&attempts) {
                        dirty.add(Touched::namespace(&namespace));
                    }
                }
                Ok(Err(error)) => {
                    tracing::debug!(%address, error = crate::telemetry::chain(&error), "no report of a replica");
                }
                Err(_) => tracing::debug!(%address, "no report of a replica in time"),
            }
        }
    }
}

async fn report(
    address: IpAddr,
    port: u16,
    replicas: &Replicas,
    config: &Arc<rustls::ClientConfig>,
) -> Result<Attempts, CollectError> {
    let host = format!("{}.{}.svc", replicas.service, replicas.namespace);
    let tcp = TcpStream::connect((address, port)).await?;
    let name = ServerName::try_from(host.clone())?;
    let tls = TlsConnector::from(Arc::clone(config)).connect(name, tcp).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await?;
    let driver = tokio::spawn(connection);
    let request = Request::get("/internal/attempts").header("host", host).body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    if !status.is_success() {
        driver.abort();
        return Err(CollectError::Status(status));
    }
    let body =
        Limited::new(response.into_body(), LARGEST).collect().await.map_err(CollectError::Body)?.to_bytes();
    driver.abort();
    Ok(serde_json::from_slice(&body)?)
}
