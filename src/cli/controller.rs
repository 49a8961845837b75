//! `portcullis controller`: one replica of the controllers, of which one leads.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use kube::runtime::events::{Recorder, Reporter};
use tokio::sync::watch;

use super::serving::{Common, StartError, client, serve_probes, start, stop_signal};
use crate::controllers::certificates::{Certificates, LiveBundles, Outputs};
use crate::controllers::leader;
use crate::controllers::webhooks::{self, Drifts, Webhooks};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::probes::Readiness;

/// Name of the Lease, of the reporter of Events and of everything else that the controller calls itself.
const NAME: &str = "portcullis-controller";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Name of the webhook configuration to keep as it was installed
    #[arg(long, env = "PORTCULLIS_WEBHOOK_CONFIGURATION", default_value = "portcullis")]
    webhook_configuration: String,
    /// File with the desired webhooks, as the chart renders them
    #[arg(long, env = "PORTCULLIS_WEBHOOKS_FILE", default_value = "/etc/portcullis/webhooks.yaml")]
    webhooks_file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let server = serve(arguments);
    start(&arguments.common, server)
}

async fn serve(arguments: &Arguments) -> Result<(), StartError> {
    let stop = stop_signal()?;
    let common = &arguments.common;
    let metrics = Arc::new(Metrics::default());
    let readiness = Readiness::default();
    serve_probes(common.http_listen, &readiness, &metrics).await?;
    let client = client().await?;
    let reporter = Reporter { controller: NAME.to_owned(), instance: Some(common.pod_name.clone()) };
    let recorder = Recorder::new(client.clone(), reporter);

    let gate = Gate::new();
    let settings = leader::Settings::new(&common.pod_namespace, NAME, &common.pod_name);
    let (leadership, election) = leader::start(client.clone(), settings, Arc::clone(&metrics), stop);
    leadership
        .while_leading(|| {
            let (certificates, webhooks) = gate.controllers(arguments, &client, &recorder, &metrics);
            async move {
                tokio::join!(certificates.run(), webhooks.run());
            }
        })
        .await;
    // An election that panicked has said so already; the process ends either way.
    let _ = election.await;
    Ok(())
}

/// What the controllers of the gate tell each other and the audit; it outlives a term of leadership.
struct Gate {
    outputs: Arc<Outputs>,
    live: watch::Sender<LiveBundles>,
    drifts: watch::Sender<Drifts>,
}

impl Gate {
    fn new() -> Self {
        let outputs = Outputs { bundle: watch::Sender::new(None), client: watch::Sender::new(None) };
        Self {
            outputs: Arc::new(outputs),
            live: watch::Sender::new(LiveBundles::Unknown),
            drifts: watch::Sender::new(Drifts::default()),
        }
    }

    /// The controllers that keep the gate itself, for one term.
    fn controllers(
        &self,
        arguments: &Arguments,
        client: &kube::Client,
        recorder: &Recorder,
        metrics: &Arc<Metrics>,
    ) -> (Certificates, Webhooks) {
        let common = &arguments.common;
        let certificates = Certificates::new(
            client.clone(),
            &common.pod_namespace,
            &common.service_name,
            self.live.subscribe(),
            Arc::clone(&self.outputs),
            recorder.clone(),
            Arc::clone(metrics),
        );
        let settings = webhooks::Settings {
            name: arguments.webhook_configuration.clone(),
            namespace: common.pod_namespace.clone(),
            file: arguments.webhooks_file.clone(),
            bundle: self.outputs.bundle.subscribe(),
            live: self.live.clone(),
            drifts: self.drifts.clone(),
        };
        (certificates, Webhooks::new(client.clone(), settings, recorder.clone(), Arc::clone(metrics)))
    }
}
