//! `portcullis report`: the audit for somebody without access to the cluster.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::out;
use crate::api::{AICompliance, AIWorkload};
use crate::controllers::status::list_all;
use crate::gather::files::documents::Documents;
use crate::render::report::Report;

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
    /// Only what lives in this namespace (may be repeated)
    #[arg(short, long = "namespace", value_name = "NAMESPACE")]
    namespaces: Vec<String>,
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
    let shown = |report: Report| match arguments.output {
        Form::Table => report.table(),
        Form::Json => report.json(),
        Form::Html => report.html(),
    };
    out::finish(report(arguments).map(|report| (shown(report), 0)))
}

fn report(arguments: &Arguments) -> Result<Report, String> {
    let (rows, workloads) =
        if arguments.file.is_empty() { of_cluster()? } else { of_files(&arguments.file)? };
    if rows.is_empty() {
        return Err(
            "there is no AICompliance: is Portcullis installed, and its controller running?\n".to_owned()
        );
    }
    let taken_at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    if arguments.namespaces.is_empty() {
        return Ok(Report::of(&rows, &workloads, taken_at));
    }
    Report::of_namespaces(&arguments.namespaces, &rows, &workloads, taken_at).map_err(|error| error + "\n")
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
    out::ask_cluster("give files with -f", async |client| {
        let (mut rows, mut workloads) = (Vec::new(), Vec::new());
        let listed = list_all(&client, |row: AICompliance| rows.push(row)).await;
        listed.map_err(|error| format!("aicompliances cannot be listed: {error}\n"))?;
        let listed = list_all(&client, |workload: AIWorkload| workloads.push(workload)).await;
        listed.map_err(|error| format!("aiworkloads cannot be listed: {error}\n"))?;
        Ok((rows, workloads))
    })
}
