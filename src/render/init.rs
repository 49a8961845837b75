//! A first declaration from what runs already: what the pod tells is filled in, the rest is marked. Pure.

mod apis;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use k8s_openapi::api::core::v1::PodSpec;

use crate::policy::containers::{ContainerView, ImageUse, containers, images};
use crate::policy::facts::{Labels, PodFacts};
use crate::policy::image::ImageRef;
use crate::policy::servers::{self, Form, What};

/// What is to be declared.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Labels of the namespace; `None` where they are not known.
    pub namespace_labels: Option<&'a Labels>,
    /// Kind of the object, such as `Deployment`.
    pub kind: &'a str,
    /// Name of the object.
    pub name: &'a str,
    /// The labels by which the object selects its pods; empty where it selects by other means.
    pub selector: &'a Labels,
    /// Labels of the pods.
    pub labels: &'a Labels,
    /// Annotations of the pods.
    pub annotations: &'a Labels,
    /// Specification of the pods.
    pub spec: &'a PodSpec,
}

/// Labels that differ between pods of one object, and so select only some.
const PASSING: [&str; 5] = [
    "pod-template-hash",
    "controller-revision-hash",
    "statefulset.kubernetes.io/pod-name",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
];

/// Writes the first AIWorkload, its AIModels and the labels of the namespace as YAML.
///
/// In: an object that carries pods. Out: documents in which each line that a person has to complete is marked `# fill in`;
/// what they lack until then is refused by the schema or a control, never assumed.
#[must_use]
pub fn first_declaration(running: &Running<'_>) -> String {
    let mut out = String::new();
    let views = containers(running.spec);
    let models = models(running, &views);
    namespace(&mut out, running);
    for model in &models {
        model.write(&mut out, running.namespace);
    }
    workload(&mut out, running, &models);
    notes(&mut out, running);
    out
}

/// A text as YAML and JSON write it.
fn q(text: &str) -> String {
    let plain = !text.is_empty()
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._/".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::to_string(text).unwrap_or_default() }
}

fn map(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{}: {}", q(key), q(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn namespace(out: &mut String, running: &Running<'_>) {
    use crate::api::common::{LABEL_ENVIRONMENT, LABEL_SENSITIVITY};
    let known = |key: &str| running.namespace_labels.and_then(|labels| labels.get(key));
    if known(LABEL_ENVIRONMENT).is_some() && known(LABEL_SENSITIVITY).is_some() {
        return;
    }
    let _ = writeln!(
        out,
        "# Label the namespace when the rest is in place; until then nothing is enforced in it:\n\
         #   kubectl label namespace {} {LABEL_ENVIRONMENT}=production {LABEL_SENSITIVITY}=internal   # fill in\n\
         # environment: research, training, staging, production, data or quarantine\n\
         # sensitivity: public, internal, confidential or restricted\n",
        running.namespace
    );
}

/// A model that the pods load.
struct Model {
    name: String,
    /// `oci`, `pvc`, `s3`, `huggingface` or `api`.
    kind: &'static str,
    reference: Option<String>,
    revision: Option<String>,
    claim: Option<String>,
    path: Option<String>,
    digest: Option<String>,
    format: Option<&'static str>,
    seen: String,
}

impl Model {
    fn write(&self, out: &mut String, namespace: &str) {
        let _ = writeln!(
            out,
            "apiVersion: portcullis.dev/v1alpha1\nkind: AIModel\nmetadata: {{name: {}, namespace: {}}}\nspec:",
            q(&self.name),
            q(namespace)
        );
        let _ = writeln!(out, "  # {}", self.seen);
        let _ = writeln!(out, "  source:\n    kind: {}", self.kind);
        for (key, value) in [
            ("reference", &self.reference),
            ("claimName", &self.claim),
            ("path", &self.path),
            ("revision", &self.revision),
        ] {
            if let Some(value) = value {
                let _ = writeln!(out, "    {key}: {}", q(value));
            }
        }
        if self.kind == "huggingface" && self.revision.is_none() {
            out.push_str("    # revision:   # fill in: the 40 digits of the commit\n");
        }
        match &self.digest {
            Some(digest) => {
                let _ = writeln!(out, "  digest: {digest}");
            }
            None if self.kind == "api" => {}
            None => out.push_str("  # digest: sha256:...   # fill in: the digest of the model's manifest\n"),
        }
        if let Some(format) = self.format {
            let _ = writeln!(out, "  format: {format}");
        }
        out.push_str(
            "  version: \"1\"\n  # stage: released   # fill in: experimental, candidate or released\n  \
             owners: {owner: {}}   # fill in: user or group who answers for the model\n---\n",
        );
    }
}

fn models(running: &Running<'_>, views: &[ContainerView<'_>]) -> Vec<Model> {
    let mut out: Vec<Model> = Vec::new();
    let mut names = BTreeSet::new();
    let mut take = |mut model: Model, out: &mut Vec<Model>| {
        if out.iter().any(|known| {
            known.reference == model.reference && known.claim == model.claim && known.path == model.path
        }) {
            return;
        }
        let base = model.name.clone();
        let mut number = 2;
        while !names.insert(model.name.clone()) {
            model.name = format!("{base}-{number}");
            number += 1;
        }
        out.push(model);
    };
    for image in images(views, running.spec).filter(ImageUse::is_volume) {
        let parsed = ImageRef::parse(image.reference).ok();
        let repository = parsed.as_ref().map_or(image.reference, ImageRef::repository);
        let model = Model {
            name: name_from(repository),
            kind: "oci",
            reference: Some(image.reference.to_owned()),
            revision: None,
            claim: None,
            path: None,
            digest: parsed.as_ref().and_then(ImageRef::digest).map(str::to_owned),
            format: None,
            seen: format!("mounted by {}", image.path()),
        };
        take(model, &mut out);
    }
    for view in views {
        for load in servers::read(view).loads {
            if load.what != What::Model {
                continue;
            }
            let value = load.value.as_ref();
            let seen = format!("named by {}: {value}", view.path(&load.at.field()));
            let (kind, reference, claim, path) = match load.form {
                Form::Path => match volume_at(running.spec, view, value) {
                    Some(Held::Claim(claim, path)) => ("pvc", None, Some(claim), path),
                    // An image volume is declared already; what lies in the image of the container is part of it.
                    Some(Held::Image) | None => continue,
                },
                Form::Hub => ("huggingface", Some(value.to_owned()), None, None),
                Form::Address if value.starts_with("s3://") => ("s3", Some(value.to_owned()), None, None),
                Form::Address | Form::Name => ("api", Some(value.to_owned()), None, None),
            };
            let model = Model {
                name: name_from(value),
                kind,
                reference,
                revision: load.revision.as_ref().map(|r| r.as_ref().to_owned()),
                claim,
                path,
                digest: None,
                format: format_of(value),
                seen,
            };
            take(model, &mut out);
        }
    }
    out
}

enum Held {
    /// Name of the claim, and the path below its root.
    Claim(String, Option<String>),
    /// An image volume.
    Image,
}

/// What is mounted where `path` lies.
fn volume_at(spec: &PodSpec, view: &ContainerView<'_>, path: &str) -> Option<Held> {
    let below =
        |mount: &str| path == mount || path.strip_prefix(mount).is_some_and(|rest| rest.starts_with('/'));
    let mount = view
        .mounts
        .iter()
        .filter(|mount| below(mount.mount_path.trim_end_matches('/')))
        .max_by_key(|mount| mount.mount_path.len())?;
    let volume = spec.volumes.iter().flatten().find(|volume| volume.name == mount.name)?;
    if volume.image.is_some() {
        return Some(Held::Image);
    }
    let claim = volume.persistent_volume_claim.as_ref()?.claim_name.clone();
    let rest = path[mount.mount_path.trim_end_matches('/').len()..].trim_start_matches('/');
    let parts: Vec<&str> =
        mount.sub_path.as_deref().into_iter().chain([rest]).filter(|part| !part.is_empty()).collect();
    Some(Held::Claim(claim, (!parts.is_empty()).then(|| parts.join("/"))))
}

/// A name as Kubernetes takes it, from the last part of a path or address.
fn name_from(text: &str) -> String {
    let last = text.trim_end_matches('/').rsplit('/').next().unwrap_or(text);
    let name: String = last
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(50)
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "model".to_owned() } else { name.to_owned() }
}

fn format_of(path: &str) -> Option<&'static str> {
    [(".safetensors", "safetensors"), (".gguf", "gguf"), (".onnx", "onnx")]
        .into_iter()
        .find_map(|(end, format)| path.ends_with(end).then_some(format))
}

fn workload(out: &mut String, running: &Running<'_>, models: &[Model]) {
    let views = containers(running.spec);
    let served = views.iter().any(|view| servers::read(view).server.is_some());
    let (kind, why) = match running.kind {
        "Job" | "CronJob" => ("batch", "a guess, from the kind of object"),
        _ if served || !models.is_empty() => ("inference", "a guess, from the model server that runs"),
        _ => ("supporting", "a guess: no model server was seen; inference, agent, batch, training, ..."),
    };
    let _ = writeln!(
        out,
        "apiVersion: portcullis.dev/v1alpha1\nkind: AIWorkload\nmetadata: {{name: {}, namespace: {}}}\nspec:",
        q(running.name),
        q(running.namespace)
    );
    let _ = writeln!(out, "  type: {kind}   # fill in if wrong: {why}");
    let mut selector: Labels =
        if running.selector.is_empty() { running.labels.clone() } else { running.selector.clone() };
    selector.retain(|key, _| !PASSING.contains(&key.as_str()));
    let _ = writeln!(out, "  selector:\n    matchLabels: {}", map(&selector));
    out.push_str(
        "  roles: [SystemOperator]   # fill in: Developer where the model is made or adapted here, DataController\n  \
         owners:\n    accountable: {}      # fill in: user or group who answers for it\n    systemOperator: {}   # fill in: user or \
         group who runs it\n",
    );
    if !models.is_empty() {
        out.push_str("  models:\n");
        for model in models {
            let _ = writeln!(out, "  - name: {}", q(&model.name));
        }
    }
    let secrets = secrets(running.spec);
    if !secrets.is_empty() {
        let names: Vec<String> = secrets.iter().map(|name| q(name)).collect();
        let _ = writeln!(
            out,
            "  secrets: [{}]   # what the pods refer to; take out what they do not need",
            names.join(", ")
        );
    }
    apis::write(out, &views);
    if kind != "supporting" {
        exposure(out, running);
        monitoring(out, running, &views);
    }
}

fn exposure(out: &mut String, running: &Running<'_>) {
    let metrics = metrics_port(running);
    let mut ports: BTreeMap<i32, String> = BTreeMap::new();
    for port in running.spec.containers.iter().flat_map(|c| c.ports.iter().flatten()) {
        let name = port.name.clone().unwrap_or_else(|| format!("port-{}", port.container_port));
        let is_metrics =
            metrics.as_deref().is_some_and(|m| m == name || m == port.container_port.to_string());
        if !is_metrics {
            ports.insert(port.container_port, name);
        }
    }
    if ports.is_empty() {
        return;
    }
    out.push_str("  exposure:\n");
    for (port, name) in ports {
        let _ = writeln!(
            out,
            "  - {{name: {}, port: {port}, audience: internal, from: []}}   # fill in: audience (none, internal, partner, public) \
             and the pods that call it",
            q(&name)
        );
    }
}

/// Name or number of the port that metrics are read from.
fn metrics_port(running: &Running<'_>) -> Option<String> {
    let named = running
        .spec
        .containers
        .iter()
        .flat_map(|c| c.ports.iter().flatten())
        .filter_map(|port| port.name.as_deref())
        .find(|name| ["metrics", "prometheus", "http-metrics"].contains(name));
    named.or_else(|| running.annotations.get("prometheus.io/port").map(String::as_str)).map(str::to_owned)
}

fn monitoring(out: &mut String, running: &Running<'_>, views: &[ContainerView<'_>]) {
    out.push_str("  monitoring:\n");
    match metrics_port(running) {
        Some(port) if port.parse::<u16>().is_ok() => {
            let _ = writeln!(out, "    metrics: {{port: \"{port}\"}}");
        }
        Some(port) => {
            let _ = writeln!(out, "    metrics: {{port: {}}}", q(&port));
        }
        None => {
            out.push_str("    # metrics: {port: metrics}   # fill in: the port that metrics are read from\n");
        }
    }
    let container = views.first().map_or("", |view| view.name);
    let _ = writeln!(
        out,
        "    # ioLog: {{mode: full, container: {}, sink: {{kind: stdout}}}}   # fill in: where inputs and outputs are logged\n    \
         # internalStates: {{decision: notLogged, reason: \"...\", decidedAt: \"...\"}}   # fill in",
        q(container)
    );
}

/// Names of the Secrets that the pods refer to.
fn secrets(spec: &PodSpec) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let all = spec.init_containers.iter().flatten().chain(&spec.containers);
    for container in all {
        for variable in container.env.iter().flatten() {
            let from = variable.value_from.as_ref().and_then(|from| from.secret_key_ref.as_ref());
            out.extend(from.map(|secret| secret.name.clone()));
        }
        for from in container.env_from.iter().flatten() {
            out.extend(from.secret_ref.as_ref().map(|secret| secret.name.clone()));
        }
    }
    for volume in spec.volumes.iter().flatten() {
        out.extend(volume.secret.as_ref().and_then(|secret| secret.secret_name.clone()));
        for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
            out.extend(source.secret.as_ref().map(|secret| secret.name.clone()));
        }
    }
    out.remove("");
    out
}

fn notes(out: &mut String, running: &Running<'_>) {
    let account = PodFacts::new(running.spec, running.labels, running.annotations);
    let account = account.spec.service_account_name.as_deref().unwrap_or("default");
    let fits = account == running.name && running.spec.automount_service_account_token == Some(false);
    if !fits {
        let _ = writeln!(
            out,
            "# The {} has to run under the identity that the declaration makes: set serviceAccountName: {} and\n\
             # automountServiceAccountToken: false in its pod template (it names {account:?} now).",
            running.kind,
            q(running.name),
        );
    }
    let known = |key: &str| running.namespace_labels.and_then(|labels| labels.get(key)).map(String::as_str);
    let _ = writeln!(
        out,
        "# What else would be refused:  portcullis plan -n {} --environment {} --sensitivity {} --messages",
        running.namespace,
        known(crate::api::common::LABEL_ENVIRONMENT).unwrap_or("production"),
        known(crate::api::common::LABEL_SENSITIVITY).unwrap_or("internal"),
    );
    bounds(out, running);
}

/// Bounds of the namespace, as a proposal that a person takes over: what a team may use is not to be read from one pod.
fn bounds(out: &mut String, running: &Running<'_>) {
    let mut limits: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for container in containers(running.spec) {
        for (name, quantity) in container.resources.and_then(|r| r.limits.as_ref()).into_iter().flatten() {
            limits.entry(name.as_str()).or_default().push(quantity.0.as_str());
        }
    }
    let _ = writeln!(
        out,
        "#\n# A namespace with AI needs a ResourceQuota and a LimitRange (resource-bounds). Where there are none yet, take these\n\
         # and fill in what all its pods together may use:\n\
         # ---\n\
         # apiVersion: v1\n\
         # kind: ResourceQuota\n\
         # metadata: {{name: bounds, namespace: {namespace}}}\n\
         # spec: {{hard: {{pods: \"20\", limits.cpu: \"16\", limits.memory: 64Gi}}}}   # fill in\n\
         # ---\n\
         # apiVersion: v1\n\
         # kind: LimitRange\n\
         # metadata: {{name: bounds, namespace: {namespace}}}\n\
         # spec: {{limits: [{{type: Container, default: {{cpu: \"1\", memory: 1Gi, ephemeral-storage: 1Gi}}}}]}}   # fill in",
        namespace = q(running.namespace)
    );
    for (name, quantities) in limits {
        let _ = writeln!(
            out,
            "# one pod of this {} is limited to {name} {}",
            running.kind,
            quantities.join(" + ")
        );
    }
}

#[cfg(test)]
#[path = "init_tests.rs"]
mod tests;
