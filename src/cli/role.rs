//! `portcullis role`: the least Role of each declared workload, for those who manage roles themselves.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use kube::Api;
use kube::api::ListParams;

use super::out;
use crate::api::AIWorkload;
use crate::api::workload::Manage;
use crate::controllers::generate::{Kinds, Resource, build};
use crate::gather::files::{Assumptions, Content, Manifests};
use crate::policy::facts::Namespace;

/// Prints the least Role and its binding of each AIWorkload: what `spec.identity.permissions` declares and nothing else. The
/// operator makes the same with `spec.manage: Generate`; with `Observe` they are applied by hand. Reads the cluster of the
/// current context, or manifests with -f.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Manifests instead of a cluster: file, directory or - (may be repeated)
    #[arg(short, long = "file", value_name = "PATH")]
    file: Vec<PathBuf>,
    /// Only what lives in this namespace
    #[arg(short, long)]
    namespace: Option<String>,
    /// Only the AIWorkload of this name
    name: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    out::finish(roles(arguments).map(|text| (text, 0)))
}

fn roles(arguments: &Arguments) -> Result<String, String> {
    let (workloads, place) = if arguments.file.is_empty() {
        (of_cluster(arguments.namespace.as_deref())?, "in the cluster")
    } else {
        (of_files(arguments)?, "in the manifests")
    };
    text(&workloads, arguments, place)
}

/// The roles of those that are wanted; `place` says where they were looked for.
fn text(workloads: &[AIWorkload], arguments: &Arguments, place: &str) -> Result<String, String> {
    let Arguments { name, namespace, .. } = arguments;
    let wanted = |workload: &&AIWorkload| {
        (name.is_none() || workload.metadata.name == *name)
            && (namespace.is_none() || workload.metadata.namespace == *namespace)
    };
    let roles = workloads.iter().filter(wanted).map(role).collect::<Result<Vec<_>, _>>()?;
    if !roles.is_empty() {
        return Ok(roles.concat());
    }
    let name = name.as_ref().map_or_else(String::new, |name| format!(" {name:?}"));
    let namespace = namespace.as_ref().map_or_else(String::new, |name| format!(", namespace {name}"));
    Err(format!("there is no AIWorkload{name} {place}{namespace}\n"))
}

fn of_files(arguments: &Arguments) -> Result<Vec<AIWorkload>, String> {
    let assumptions = Assumptions { namespace: arguments.namespace.clone(), ..Assumptions::default() };
    let manifests = Manifests::read(&arguments.file, &assumptions);
    if !manifests.problems.is_empty() {
        return Err(out::lines(&manifests.problems));
    }
    let workloads = manifests.subjects.into_iter().filter_map(|subject| match subject.content {
        Content::Workload(workload) => Some(*workload),
        _ => None,
    });
    Ok(workloads.collect())
}

fn of_cluster(namespace: Option<&str>) -> Result<Vec<AIWorkload>, String> {
    out::ask_cluster("give manifests with -f", async |client| {
        let api: Api<AIWorkload> = match namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        let listed = api.list(&ListParams::default()).await;
        Ok(listed.map_err(|error| format!("aiworkloads cannot be listed: {error}\n"))?.items)
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::read;
    use serde_json::json;

    #[test]
    fn only_those_of_the_namespace_are_told() {
        let declared = |namespace: &str| {
            read(json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload",
                "metadata": {"name": "chat", "namespace": namespace},
                "spec": {"type": "inference", "roles": ["SystemOperator"], "owners": {"accountable": {"user": "j"}},
                    "selector": {"matchLabels": {"app": "chat"}},
                    "identity": {"permissions": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]}}}))
        };
        let workloads = [declared("shop"), declared("lab")];
        let of = |namespace: &str| {
            let namespace = Some(namespace.to_owned());
            text(&workloads, &Arguments { file: Vec::new(), namespace, name: None }, "in the cluster")
        };
        let said = of("lab").unwrap();
        assert!(said.contains("namespace: lab") && !said.contains("shop"), "{said}");
        assert_eq!(of("none").unwrap_err(), "there is no AIWorkload in the cluster, namespace none\n");
    }
}
