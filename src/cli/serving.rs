//! What the two servers have in common: flags, the runtime, the probes' listener and the word to stop.

use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::telemetry::metrics::Metrics;
use crate::telemetry::probes::{self, Readiness};
use crate::telemetry::{self, LogFormat, TelemetryError};
use crate::webhook::connections::{ConnectionLimits, Connections};
use crate::webhook::serve::serve_plain;
use crate::webhook::tls::TlsError;

/// Flags of both servers.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// Address of /healthz, /readyz and /metrics, plain HTTP
    #[arg(long, env = "PORTCULLIS_HTTP_LISTEN", default_value = "0.0.0.0:8080")]
    pub(super) http_listen: SocketAddr,
    /// Name of the Service in front of the webhook
    #[arg(long, env = "PORTCULLIS_SERVICE_NAME", default_value = "portcullis-webhook")]
    pub(super) service_name: String,
    /// How log lines are written
    #[arg(long, env = "PORTCULLIS_LOG_FORMAT", value_enum, default_value = "json")]
    pub(super) log_format: LogFormat,
    /// Which log lines are written: error, warn, info, debug, trace, or a filter such as info,portcullis=debug
    #[arg(long, env = "PORTCULLIS_LOG_LEVEL", default_value = "info")]
    pub(super) log_level: String,
    /// Name of the own pod
    #[arg(long, env = "POD_NAME", default_value = "portcullis")]
    pub(super) pod_name: String,
    /// Namespace of the own pod
    #[arg(long, env = "POD_NAMESPACE", default_value = "portcullis-system")]
    pub(super) pod_namespace: String,
    /// Image of the Jobs that verify models on volumes; none are made without it
    #[arg(long, env = "PORTCULLIS_VERIFIER_IMAGE", default_value = "")]
    pub(super) verifier_image: String,
    /// Address of the own pod
    #[arg(long, env = "POD_IP")]
    pub(super) pod_ip: Option<std::net::IpAddr>,
}

/// Why a server could not start.
#[derive(Debug, Error)]
pub(super) enum StartError {
    #[error("logging cannot be set up")]
    Telemetry(#[from] TelemetryError),
    #[error("the runtime cannot be started")]
    Runtime(#[source] std::io::Error),
    #[error("signals cannot be received")]
    Signal(#[source] std::io::Error),
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    #[error("cannot read {0:?}")]
    File(std::path::PathBuf, #[source] std::io::Error),
    #[error("the cluster cannot be reached")]
    Cluster(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the certificates cannot be used")]
    Tls(#[from] TlsError),
}

/// Sets up logging, runs `server` on a fresh runtime of so many threads beside the one that calls, or as many as there are
/// processors, and says how it ended.
pub(super) fn start<F>(common: &Common, threads: Option<usize>, server: F) -> ExitCode
where
    F: Future<Output = Result<(), StartError>>,
{
    let result =
        telemetry::install(common.log_format, &common.log_level).map_err(StartError::from).and_then(|()| {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            if let Some(threads) = threads {
                runtime.worker_threads(threads);
            }
            runtime.enable_all().build().map_err(StartError::Runtime)?.block_on(server)
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = telemetry::chain(&error), "portcullis cannot run");
            if let StartError::Telemetry(_) = error {
                // Without a subscriber the line above went nowhere.
                let _ =
                    std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("portcullis: {error}\n"));
            }
            ExitCode::FAILURE
        }
    }
}

/// Is ready when the process is asked to stop.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, StartError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signal)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
    })
}

/// Listens on `address`.
pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| StartError::Listen(address, error))
}

/// Serves the probes until the process ends.
pub(super) async fn serve_probes(
    address: SocketAddr,
    readiness: &Readiness,
    metrics: &Arc<Metrics>,
) -> Result<(), StartError> {
    let listener = listen(address).await?;
    let limits = ConnectionLimits { connections: 64, ..ConnectionLimits::default() };
    // Its connections are not the ones that the metrics are about.
    let connections = Connections::new(limits, Arc::new(Metrics::default()));
    let router = probes::router(readiness.clone(), Arc::clone(metrics));
    let accepting = Readiness::default().condition("probes served");
    tokio::spawn(serve_plain(listener, router, connections, accepting, std::future::pending()));
    Ok(())
}

/// A client from the pod's own credentials or the user's kubeconfig.
pub(super) async fn client() -> Result<kube::Client, StartError> {
    kube::Client::try_default().await.map_err(|error| StartError::Cluster(Box::new(error)))
}
