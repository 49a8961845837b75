//! The echo webhook: our own server stack around a handler that reads the request's id and always allows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::future::BoxFuture;
use hyper::body::Bytes;
use portcullis::telemetry::metrics::Metrics;
use portcullis::telemetry::probes::Readiness;
use portcullis::webhook::body::{BodyLimits, ByteBudget};
use portcullis::webhook::connections::{ConnectionLimits, Connections};
use portcullis::webhook::router::{Admission, DEADLINE, Peer, ReviewHandler, router};
use portcullis::webhook::serve::{Drain, serve_tls};
use portcullis::webhook::tls::{Pair, TlsStore};
use serde::Deserialize;
use tokio::time::Instant;

struct Echo;

#[derive(Deserialize)]
struct Review<'a> {
    #[serde(borrow)]
    request: Request<'a>,
}

#[derive(Deserialize)]
struct Request<'a> {
    uid: &'a str,
}

impl ReviewHandler for Echo {
    fn handle(self: Arc<Self>, body: Bytes, _: Peer, _: Instant) -> BoxFuture<'static, Vec<u8>> {
        Box::pin(async move {
            let uid = serde_json::from_slice::<Review<'_>>(&body).map_or("", |review| review.request.uid);
            format!(
                r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{{"uid":"{uid}","allowed":true}}}}"#
            )
            .into_bytes()
        })
    }
}

/// Serves for ever. Arguments: address, name of the server, files with certificate, key and authority.
pub(crate) async fn serve(arguments: &[String]) -> Result<()> {
    let [address, name, certificate, key, authority] = arguments else { anyhow::bail!("echo: arguments") };
    let metrics = Arc::new(Metrics::default());
    let readiness = Readiness::default();
    let store = TlsStore::new(name, None, Arc::clone(&metrics), readiness.condition("certificate loaded"))?;
    let pair = Pair {
        certificate: std::fs::read(certificate)?,
        key: std::fs::read(key)?,
        authorities: std::fs::read(authority)?,
    };
    store.load(&pair)?;
    let admission = Admission {
        handler: Arc::new(Echo),
        attempts: Arc::new(Vec::new),
        budget: Arc::new(ByteBudget::new(BodyLimits::default(), Arc::clone(&metrics))),
        metrics: Arc::clone(&metrics),
        require_api_server: false,
        deadline: DEADLINE,
    };
    let drain = Drain {
        linger: Duration::ZERO,
        grace: Duration::from_secs(1),
        accepting: readiness.condition("accepting requests"),
    };
    let address: SocketAddr = address.parse().context("address")?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    let connections = Connections::new(ConnectionLimits::default(), metrics);
    serve_tls(listener, router(admission), Arc::new(store), connections, drain, std::future::pending()).await;
    Ok(())
}
