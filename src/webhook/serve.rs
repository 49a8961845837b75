//! Serves a router over TLS or in the clear: HTTP/1.1 alone, a timer on every wait, and a drain before the exit.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::connections::{Connections, Place, Pulsed};
use super::router::Peer;
use super::tls::TlsStore;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::probes::Condition;

/// A request's header may have this many bytes; also the piece in which a body is read.
const BUFFER: usize = 64 * 1024;

/// How the server goes down.
#[derive(Clone, Debug)]
pub struct Drain {
    /// How long to keep serving after the word to stop, until no load balancer sends anything any more.
    pub linger: Duration,
    /// How long requests that are being served may then still take.
    pub grace: Duration,
    /// The condition of readiness that ends first.
    pub accepting: Condition,
}

/// Serves the HTTPS listener until `stop` is ready, then drains.
///
/// # Guarantees
/// During the linger time every request is served, and every answer asks the client to open a new connection, so that
/// the API server moves to another replica without ever losing a request. Returns when the last request was answered,
/// or when the grace time is over.
pub async fn serve_tls(
    listener: TcpListener,
    router: Router,
    store: Arc<TlsStore>,
    connections: Arc<Connections>,
    drain: Drain,
    stop: impl Future<Output = ()>,
) {
    let server = Server { router, store: Some(store), connections, leaving: Arc::default() };
    server.run(listener, drain, stop).await;
}

/// Serves a plain listener until `stop` is ready; nothing lingers.
pub async fn serve_plain(
    listener: TcpListener,
    router: Router,
    connections: Arc<Connections>,
    accepting: Condition,
    stop: impl Future<Output = ()>,
) {
    let server = Server { router, store: None, connections, leaving: Arc::default() };
    let drain = Drain { linger: Duration::ZERO, grace: Duration::from_secs(1), accepting };
    server.run(listener, drain, stop).await;
}

#[derive(Clone)]
struct Server {
    router: Router,
    store: Option<Arc<TlsStore>>,
    connections: Arc<Connections>,
    leaving: Arc<AtomicBool>,
}

impl Server {
    async fn run(self, listener: TcpListener, drain: Drain, stop: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let janitor = tokio::spawn(Arc::clone(&self.connections).watch());
        drain.accepting.set(true);
        tokio::select! {
            () = self.accept(&listener, &graceful) => {}
            () = stop => {}
        }
        drain.accepting.set(false);
        self.leaving.store(true, Ordering::Release);
        tokio::select! {
            () = self.accept(&listener, &graceful) => {}
            () = tokio::time::sleep(drain.linger) => {}
        }
        drop(listener);
        let open = graceful.count();
        if tokio::time::timeout(drain.grace, graceful.shutdown()).await.is_err() {
            tracing::warn!(open, "requests were cut off at the end of the grace time");
        }
        janitor.abort();
    }

    /// Accepts connections, for ever.
    async fn accept(&self, listener: &TcpListener, graceful: &GracefulShutdown) {
        loop {
            match listener.accept().await {
                Ok((tcp, address)) => {
                    let Some(place) = self.connections.admit() else { continue };
                    tokio::spawn(self.clone().connection(tcp, address, place, graceful.watcher()));
                }
                Err(error) => {
                    // Out of descriptors, or the client went away already: waiting is all that helps.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn connection(self, tcp: TcpStream, address: SocketAddr, place: Place, watcher: Watcher) {
        let pulse = Arc::clone(place.pulse());
        tokio::select! {
            () = pulse.closed() => {}
            () = self.talk(tcp, address, &place, watcher) => {}
        }
    }

    async fn talk(&self, tcp: TcpStream, address: SocketAddr, place: &Place, watcher: Watcher) {
        // Answers are one small packet; waiting for more to send only costs time. A socket that refuses still works.
        let _ = tcp.set_nodelay(true);
        let mut peer = Peer { address: Some(address.ip()), ..Peer::UNKNOWN };
        let Some(store) = &self.store else {
            place.pulse().shaken();
            return self.http(tcp, peer, place, watcher).await;
        };
        let Some(serving) = store.current() else {
            self.metrics().connection_rejected("no-certificate");
            return;
        };
        match TlsAcceptor::from(Arc::clone(serving.config())).accept(tcp).await {
            Ok(stream) => {
                place.pulse().shaken();
                peer.identity = serving.identify(stream.get_ref().1.peer_certificates());
                self.http(stream, peer, place, watcher).await;
            }
            Err(error) => {
                self.metrics().connection_rejected("tls");
                tracing::debug!(%error, %address, "a TLS handshake failed");
            }
        }
    }

    async fn http<S>(&self, stream: S, peer: Peer, place: &Place, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let pulse = Arc::clone(place.pulse());
        let io = TokioIo::new(Pulsed::new(stream, Arc::clone(&pulse)));
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            pulse.serving();
            let (pulse, leaving) = (Arc::clone(&pulse), Arc::clone(&self.leaving));
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            let answer = self.router.clone().oneshot(request);
            async move {
                let mut response = answer.await?;
                if leaving.load(Ordering::Acquire) {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                pulse.answered();
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // The table of connections is stricter; this is the second line.
            .header_read_timeout(self.connections.limits().idle + Duration::from_secs(10))
            .max_buf_size(BUFFER)
            .serve_connection(io, service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, address = ?peer.address, "a connection ended early");
        }
    }

    fn metrics(&self) -> &Arc<Metrics> {
        self.connections.metrics()
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
