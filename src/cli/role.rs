//! `portcullis role`: the least Role of each declared workload, for those who manage roles themselves.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::out;
use crate::api::AIWorkload;
use crate::api::workload::Manage;
use crate::controllers::generate::{Kinds, Resource, build};
use crate::gather::files::{Assumptions, Content, Manifests};
use crate::policy::facts::Namespace;

/// Prints the least Role and its binding of each AIWorkload in the manifests: what `spec.identity.permissions` declares and
/// nothing else. The operator makes the same with `spec.manage: Generate`; with `Observe` they are applied by hand.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Manifest, directory of manifests, or - for standard input (may be repeated)
    #[arg(short, long = "file", required = true, value_name = "PATH")]
    file: Vec<PathBuf>,
    /// Only the AIWorkload of this name
    name: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    out::finish(roles(arguments).map(|text| (text, 0)))
}

fn roles(arguments: &Arguments) -> Result<String, String> {
    let manifests = Manifests::read(&arguments.file, &Assumptions::default());
    if !manifests.problems.is_empty() {
        return Err(out::lines(&manifests.problems));
    }
    let workloads = manifests.subjects.iter().filter_map(|subject| match &subject.content {
        Content::Workload(workload) => Some(workload.as_ref()),
        _ => None,
    });
    let wanted =
        |workload: &&AIWorkload| arguments.name.is_none() || workload.metadata.name == arguments.name;
    let mut text = String::new();
    let mut any = false;
    for workload in workloads.filter(wanted) {
        any = true;
        text.push_str(&role(workload)?);
    }
    match (any, &arguments.name) {
        (true, _) => Ok(text),
        (false, Some(name)) => Err(format!("there is no AIWorkload {name:?} in the manifests\n")),
        (false, None) => Err("there is no AIWorkload in the manifests\n".to_owned()),
    }
}

fn role(workload: &AIWorkload) -> Result<String, String> {
    let mut generated = workload.clone();
    generated.spec.manage = Manage::Generate;
    let mut text = String::new();
    for desired in build(&generated, &Namespace::default(), Kinds::default()) {
        if !matches!(desired.resource, Resource::Role | Resource::RoleBinding) {
            continue;
        }
        let mut object = desired.object;
        if let Some(meta) = object["metadata"].as_object_mut() {
            // Theirs, not the operator's: its label may be written by the operator alone.
            meta.remove("labels");
            meta.remove("ownerReferences");
        }
        let yaml = serde_saphyr::to_string(&object).map_err(|error| format!("{error}\n"))?;
        let _ = write!(text, "---\n{yaml}");
        if !yaml.ends_with('\n') {
            text.push('\n');
        }
    }
    if text.is_empty() {
        let name = workload.metadata.name.as_deref().unwrap_or_default();
        let _ =
            writeln!(text, "# AIWorkload {name}: spec.identity.permissions is empty, so it needs no Role");
    }
    Ok(text)
}
