//! `portcullis controller`: one replica of the controllers, of which one leads.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::serving::{Common, StartError, serve_probes, start, stop_signal};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::probes::Readiness;

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
    let metrics = Arc::new(Metrics::default());
    let readiness = Readiness::default();
    serve_probes(arguments.common.http_listen, &readiness, &metrics).await?;
    stop.await;
    Ok(())
}
