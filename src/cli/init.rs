//! `portcullis init`: a first declaration from what runs already.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use kube::Api;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;

use super::out;
use crate::api::AIWorkload;
use crate::gather::files::documents::Documents;
use crate::gather::objects::{self, PodObject};
use crate::policy::facts::{Facts, Labels};
use crate::policy::selector;
use crate::render::init::{Running, first_declaration};

/// Writes a first AIWorkload and its AIModels from an object that carries pods. What the pods do not tell is marked with
/// `# fill in`; nothing is applied. Where a declaration selects these pods already, it says so and writes none.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The object in the cluster of the current context, as KIND/NAME: deployment, statefulset, daemonset, job, cronjob or pod
    #[arg(required_unless_present = "file", conflicts_with = "file", value_name = "KIND/NAME")]
    object: Option<String>,
    /// Manifest with the object instead; the first one that carries pods is taken
    #[arg(short, long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Namespace of the object
    #[arg(short, long, default_value = "default")]
    namespace: String,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    out::finish(init(arguments).map(|text| (text, 0)))
}

/// An object that carries pods, and the labels of its namespace where they are known.
struct Found {
    object: Value,
    namespace_labels: Option<Labels>,
    /// The declarations of its namespace, as far as they can be read.
    declarations: Vec<AIWorkload>,
}

fn init(arguments: &Arguments) -> Result<String, String> {
    let found = match (&arguments.object, &arguments.file) {
        (Some(object), _) => of_cluster(object, &arguments.namespace)?,
        (None, Some(file)) => of_file(file, &arguments.namespace)?,
        (None, None) => return Err("name an object, or a file with -f\n".to_owned()),
    };
    let object = &found.object;
    let pod = pod(object)?.ok_or("it carries no pod that could be declared\n")?;
    if let Some(said) = declared(&found.declarations, &pod.labels) {
        return Err(said);
    }
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let selector: Labels = object
        .pointer("/spec/selector/matchLabels")
        .and_then(|labels| serde_json::from_value(labels.clone()).ok())
        .unwrap_or_default();
    Ok(first_declaration(&Running {
        namespace: text("/metadata/namespace").unwrap_or(&arguments.namespace),
        namespace_labels: found.namespace_labels.as_ref(),
        kind: text("/kind").unwrap_or("Pod"),
        name: text("/metadata/name").or(text("/metadata/generateName")).unwrap_or("workload"),
        selector: &selector,
        labels: &pod.labels,
        annotations: &pod.annotations,
        spec: &pod.spec,
    }))
}

/// That a declaration selects these pods already: a second one would have them refused.
fn declared(declarations: &[AIWorkload], labels: &Labels) -> Option<String> {
    let selects = |workload: &&AIWorkload| selector::contains(&workload.spec.selector.match_labels, labels);
    let workload = declarations.iter().find(selects)?;
    let name = Facts::name_of(workload);
    let asked = &workload.spec.selector.match_labels;
    let labels: Vec<String> = asked.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Some(format!(
        "{name} selects these pods already, by {}: pods that two declarations select are refused, so complete that one, or \
         delete it first\n",
        labels.join(",")
    ))
}

/// The first pod that `object` is or carries.
fn pod(object: &Value) -> Result<Option<PodObject>, String> {
    if object["kind"] == "Pod" {
        return objects::pod_from_json(&object.to_string())
            .map(|(_, pod)| Some(pod))
            .map_err(|error| format!("{error}\n"));
    }
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let Some(carrier) = objects::carrier(group, object["kind"].as_str().unwrap_or_default()) else {
        return Ok(None);
    };
    let templates = objects::templates(carrier, object).map_err(|error| format!("{error}\n"))?;
    Ok(templates.into_iter().next())
}

fn of_file(path: &PathBuf, namespace: &str) -> Result<Found, String> {
    let documents = Documents::read(std::slice::from_ref(path));
    if let Some(problem) = documents.problems.first() {
        return Err(format!("{problem}\n"));
    }
    let objects: Vec<Value> = documents.objects.into_iter().map(|(_, object)| object).collect();
    let carries = |object: &&Value| matches!(pod(object), Ok(Some(_)) | Err(_));
    let Some(object) = objects.iter().find(carries).cloned() else {
        return Err(format!("{}: nothing in it carries pods\n", path.display()));
    };
    let name = object["metadata"]["namespace"].as_str().unwrap_or(namespace).to_owned();
    let labels = objects
        .iter()
        .find(|object| object["kind"] == "Namespace" && object["metadata"]["name"] == name.as_str())
        .and_then(|object| serde_json::from_value(object["metadata"]["labels"].clone()).ok());
    let of_kind = |object: &&Value| object["kind"] == "AIWorkload";
    let declarations = objects.iter().filter(of_kind).filter_map(|value| {
        let mut workload: AIWorkload = serde_json::from_value(value.clone()).ok()?;
        let home = workload.metadata.namespace.get_or_insert_with(|| namespace.to_owned());
        (*home == name).then_some(workload)
    });
    let declarations = declarations.collect();
    Ok(Found { object, namespace_labels: labels, declarations })
}

fn of_cluster(object: &str, namespace: &str) -> Result<Found, String> {
    let (kind, name) =
        object.split_once('/').ok_or("write the object as KIND/NAME, such as deployment/chat\n")?;
    let (group, kind) = match kind.to_ascii_lowercase().trim_end_matches('s') {
        "deployment" | "deploy" => ("apps", "Deployment"),
        "statefulset" | "st" => ("apps", "StatefulSet"),
        "daemonset" | "d" => ("apps", "DaemonSet"),
        "job" => ("batch", "Job"),
        "cronjob" | "cj" => ("batch", "CronJob"),
        "pod" | "po" => ("", "Pod"),
        _ => {
            return Err(format!(
                "kind {kind:?} cannot be read: deployment, statefulset, daemonset, job, cronjob or pod; for others save the \
                 object and give it with -f\n"
            ));
        }
    };
    out::ask_cluster("give a manifest with -f", async |client| {
        let get = async |group: &str, kind: &str, name: &str, namespace: Option<&str>| {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
            let api: Api<DynamicObject> = match namespace {
                Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
                None => Api::all_with(client.clone(), &resource),
            };
            let object = api.get(name).await.map_err(|error| match error {
                kube::Error::Api(status) => format!("{kind} {name:?}: {}\n", status.message),
                other => format!("{kind} {name:?}: {other}\n"),
            })?;
            let mut value = serde_json::to_value(&object).unwrap_or_default();
            value["kind"] = kind.into();
            value["apiVersion"] =
                if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") }.into();
            Ok::<Value, String>(value)
        };
        let object = get(group, kind, name, Some(namespace)).await?;
        // Who may not read the namespace still gets a declaration.
        let labels = get("", "Namespace", namespace, None).await.ok();
        let labels =
            labels.and_then(|value| serde_json::from_value(value["metadata"]["labels"].clone()).ok());
        // The same where there are no declarations yet, or they may not be read.
        let declarations = Api::<AIWorkload>::namespaced(client.clone(), namespace);
        let declarations =
            declarations.list(&ListParams::default()).await.map_or_else(|_| Vec::new(), |list| list.items);
        Ok(Found { object, namespace_labels: labels, declarations })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_declared_already_gets_no_second_declaration() {
        let declaration = |namespace: Option<&str>| {
            json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload",
                   "metadata": {"name": "chat", "namespace": namespace},
                   "spec": {"type": "inference", "selector": {"matchLabels": {"app": "chat"}},
                            "owners": {"accountable": {"user": "j.doe"}}}})
        };
        let deployment = |app: &str| {
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "chat"},
                   "spec": {"template": {"metadata": {"labels": {"app": app, "tier": "a"}},
                                         "spec": {"containers": [{"name": "c", "image": "registry.example/c"}]}}}})
        };
        let said = |objects: &[Value]| {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("all.json");
            std::fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string())
                .unwrap();
            init(&Arguments { object: None, file: Some(file), namespace: "team-a".to_owned() })
        };
        let twice = "AIWorkload team-a/chat selects these pods already, by app=chat: pods that two declarations select are \
                     refused, so complete that one, or delete it first\n";
        assert_eq!(said(&[deployment("chat"), declaration(None)]).unwrap_err(), twice);
        assert!(said(&[deployment("other"), declaration(None)]).unwrap().contains("kind: AIWorkload"));
        assert!(
            said(&[deployment("chat"), declaration(Some("team-b"))]).unwrap().contains("kind: AIWorkload")
        );
    }
}
