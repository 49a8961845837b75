//! `portcullis webhook`: one replica of the validating webhook.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use clap::Args;

use super::serving::{Common, StartError, client, listen, serve_probes, start, stop_signal};
use crate::gather::ahead;
use crate::gather::cluster::Feed;
use crate::gather::pull_secrets::ClusterSecrets;
use crate::gather::registry::VerifierConfig;
use crate::gather::roots;
use crate::gather::signatures::Signatures;
use crate::gather::world::World;
use crate::telemetry::metrics::{CacheStats, Metrics};
use crate::telemetry::probes::Readiness;
use crate::webhook::access::ClusterAuthorizer;
use crate::webhook::arrivals::Arrivals;
use crate::webhook::attempts::{RefusalSink, Sink, tell};
use crate::webhook::body::{BodyLimits, ByteBudget};
use crate::webhook::connections::{ConnectionLimits, Connections};
use crate::webhook::handler::Handler;
use crate::webhook::judge::Judge;
use crate::webhook::oversight;
use crate::webhook::published::until_published;
use crate::webhook::router::{self, Admission};
use crate::webhook::running::ClusterPods;
use crate::webhook::serve::{Drain, serve_tls};
use crate::webhook::tls::{ApiServerCertificates, TlsStore};

/// The Secret with the serving certificate, written by the leader among the controllers.
const SECRET: &str = "portcullis-webhook-tls";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Address of the webhook, HTTPS
    #[arg(long, env = "PORTCULLIS_LISTEN", default_value = "0.0.0.0:8443")]
    listen: SocketAddr,
    /// Address of a port that answers nothing, at which the controller tries whether network policies are kept
    #[arg(long, env = "PORTCULLIS_PROBE_LISTEN")]
    probe_listen: Option<SocketAddr>,
    /// Require client certificates signed by an authority in this PEM file on /validate
    #[arg(long, env = "PORTCULLIS_CLIENT_CA_FILE")]
    client_ca_file: Option<PathBuf>,
    /// Accept only client certificates with this common name (may be repeated)
    #[arg(long, env = "PORTCULLIS_CLIENT_NAME", value_delimiter = ',', requires = "client_ca_file")]
    client_name: Vec<String>,
    /// Name of the webhook configuration by which the API server calls this webhook
    #[arg(long, env = "PORTCULLIS_WEBHOOK_CONFIGURATION", default_value = "portcullis")]
    webhook_configuration: String,
    /// Seconds to keep serving after being asked to stop, while the endpoints of the Service are updated
    #[arg(long, env = "PORTCULLIS_DRAIN_SECONDS", default_value = "5")]
    drain_seconds: u64,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let server = serve(arguments);
    start(&arguments.common, None, server)
}

async fn serve(arguments: &Arguments) -> Result<(), StartError> {
    let stop = stop_signal()?;
    let common = &arguments.common;
    let world = Arc::new(RwLock::new(World::with_verifier(&common.verifier_image)));
    let signatures = Arc::new(Signatures::new(Arc::clone(&world), VerifierConfig::default()));
    let metrics = Arc::new(Metrics::new(vec![Arc::clone(&signatures) as Arc<dyn CacheStats>]));
    let readiness = Readiness::default();
    let accepting = readiness.condition("accepting requests");
    let loaded = readiness.condition("certificate loaded");
    let synced = readiness.condition("caches synced");
    serve_probes(common.http_listen, &readiness, &metrics).await?;

    let name = format!("{}.{}.svc", common.service_name, common.pod_namespace);
    let api_server = api_server_certificates(arguments)?;
    let require_api_server = api_server.is_some();
    let store = Arc::new(TlsStore::new(&name, api_server, Arc::clone(&metrics), loaded)?);
    let client = client().await?;
    signatures.read_pull_secrets(Arc::new(ClusterSecrets(client.clone())));
    let namespace = common.pod_namespace.clone();
    let watched = Arc::clone(&store);
    let watching = client.clone();
    tokio::spawn(until_published(
        client.clone(),
        namespace.clone(),
        SECRET,
        arguments.webhook_configuration.clone(),
        readiness.condition("authority published"),
    ));
    tokio::spawn(async move { watched.watch(watching, &namespace, SECRET).await });
    tokio::spawn(roots::keep(
        client.clone(),
        common.pod_namespace.clone(),
        Arc::clone(&world),
        Arc::new(|_| ()),
    ));

    let arrivals = Arc::new(Arrivals::default());
    let news = Arc::clone(&arrivals);
    Feed::new(Arc::clone(&world), Arc::new(move |_| news.told()), Arc::clone(&metrics), synced)
        .start(&client);
    tokio::spawn(oversight::keep(client.clone()));
    tokio::spawn(ahead::keep(Arc::clone(&world), Arc::clone(&signatures)));
    let (sink, waiting) = Sink::new(common.pod_name.clone());
    tokio::spawn(tell(client.clone(), Arc::clone(&world), common.pod_name.clone(), waiting));
    let judge = Judge {
        world: Arc::clone(&world),
        signatures,
        authorizer: Arc::new(ClusterAuthorizer::new(client.clone())),
        sink: Arc::clone(&sink) as Arc<dyn RefusalSink>,
        running: Arc::new(ClusterPods::new(client)),
        arrivals,
        operator: format!("system:serviceaccount:{}:portcullis-controller", common.pod_namespace),
        clock: jiff::Timestamp::now,
    };

    let admission = Admission {
        handler: Arc::new(Handler { judge, metrics: Arc::clone(&metrics) }),
        attempts: Arc::new(move || sink.to_json()),
        budget: Arc::new(ByteBudget::new(BodyLimits::default(), Arc::clone(&metrics))),
        metrics: Arc::clone(&metrics),
        require_api_server,
        deadline: router::DEADLINE,
    };
    let drain = Drain {
        linger: Duration::from_secs(arguments.drain_seconds),
        grace: Duration::from_secs(3),
        accepting,
    };
    let connections = Connections::new(ConnectionLimits::default(), metrics);
    if let Some(address) = arguments.probe_listen {
        tokio::spawn(accept_and_close(listen(address).await?));
    }
    let listener = listen(arguments.listen).await?;
    tracing::info!(address = %arguments.listen, service = name, "serving");
    serve_tls(listener, router::router(admission), store, connections, drain, stop).await;
    Ok(())
}

/// A port to knock at: whoever gets through is met and left.
async fn accept_and_close(listener: tokio::net::TcpListener) {
    loop {
        if listener.accept().await.is_err() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

fn api_server_certificates(arguments: &Arguments) -> Result<Option<ApiServerCertificates>, StartError> {
    let Some(path) = &arguments.client_ca_file else { return Ok(None) };
    let pem = std::fs::read(path).map_err(|error| StartError::File(path.clone(), error))?;
    Ok(Some(ApiServerCertificates::new(&pem, arguments.client_name.clone())?))
}
