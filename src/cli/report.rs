//! `portcullis report`: the audit for somebody without access to the cluster.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use kube::api::ListParams;
use kube::{Api, Client};
use serde::de::DeserializeOwned;

use super::out;
use crate::api::{AICompliance, AIWorkload};
use crate::gather::files::documents::Documents;
use crate::render::report::Report;

/// Objects of one page of a list.
const PAGE: u32 = 500;
/// Exit code where there is nothing to report on.
const UNUSABLE: u8 = 2;

/// Shows the audit to somebody without access to the cluster: every provision with its state, by principle, section and
/// stage. Reads the cluster of the current context, or what `kubectl get aicompliance,aiworkload -A -o yaml` wrote.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Form of the report
    #[arg(short, long, value_enum, default_value = "table")]
    output: Form,
    /// File with AICompliance and AIWorkload objects instead of a cluster, or - (may be repeated)
    #[arg(short, long = "file", value_name = "PATH", num_args = 1..)]
    file: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// Tables for a terminal
    Table,
    /// One JSON object
    Json,
    /// One page that needs nothing else, for a screen of any width and for paper
    Html,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match report(arguments) {
        Ok(report) => {
            out::print(&match arguments.output {
                Form::Table => report.table(),
                Form::Json => report.json(),
                Form::Html => report.html(),
            });
            ExitCode::SUCCESS
        }
        Err(text) => {
            out::error(&text);
            ExitCode::from(UNUSABLE)
        }
    }
}

fn report(arguments: &Arguments) -> Result<Report, String> {
    let (rows, workloads) =
        if arguments.file.is_empty() { of_cluster()? } else { of_files(&arguments.file)? };
    if rows.is_empty() {
        return Err(
            "there is no AICompliance: is Portcullis installed, and its controller running?\n".to_owned()
        );
    }
    Ok(Report::of(&rows, &workloads, jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
}

type Objects = (Vec<AICompliance>, Vec<AIWorkload>);

fn of_files(paths: &[PathBuf]) -> Result<Objects, String> {
    let documents = Documents::read(paths);
    if let Some(problem) = documents.problems.first() {
        return Err(format!("{problem}\n"));
    }
    let (mut rows, mut workloads) = (Vec::new(), Vec::new());
    for (origin, value) in documents.objects {
        let wrong = |error: serde_json::Error| format!("{origin}: {error}\n");
        match value["kind"].as_str() {
            Some("AICompliance") => rows.push(serde_json::from_value(value).map_err(wrong)?),
            Some("AIWorkload") => workloads.push(serde_json::from_value(value).map_err(wrong)?),
            _ => {}
        }
    }
    Ok((rows, workloads))
}

fn of_cluster() -> Result<Objects, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the cluster cannot be asked: {error}\n"))?;
    runtime.block_on(async {
        let client = Client::try_default().await.map_err(|error| {
            format!("no cluster is known here: {error}\n  fix: set KUBECONFIG, or give files with -f\n")
        })?;
        let rows = all(Api::<AICompliance>::all(client.clone())).await;
        let rows = rows.map_err(|error| format!("aicompliances cannot be listed: {error}\n"))?;
        let workloads = all(Api::<AIWorkload>::all(client)).await;
        let workloads = workloads.map_err(|error| format!("aiworkloads cannot be listed: {error}\n"))?;
        Ok((rows, workloads))
    })
}

async fn all<K: Clone + DeserializeOwned + std::fmt::Debug>(api: Api<K>) -> Result<Vec<K>, kube::Error> {
    let mut out = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await?;
        out.extend(page.items);
        match page.metadata.continue_ {
            Some(token) if !token.is_empty() => params.continue_token = Some(token),
            _ => return Ok(out),
        }
    }
}
