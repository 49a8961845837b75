//! What serving objects of KServe say of the pods that are made for them: the models, and what of the containers stands in
//! the object itself. The rest comes from runtimes, so that a pod decides whatever a part does not show.

use serde_json::{Value, json};

use super::objects::{self, Carrier, PodObject};
use crate::policy::facts::{Labels, ServedModel};
use crate::policy::fix::Fix;
use crate::policy::{Decision, Finding};

/// What a serving object says.
#[derive(Debug, Default)]
pub struct Serving {
    /// Its labels, which KServe hands on to its pods.
    pub labels: Labels,
    /// The models that it names.
    pub models: Vec<ServedModel>,
    /// What it says of containers.
    pub parts: Vec<Part>,
}

/// A part of a serving object that containers are made of.
#[derive(Debug)]
pub struct Part {
    /// It as a pod; most fields are for others to fill in.
    pub pod: PodObject,
    /// How the path of a field of that pod begins, and how it begins in the object.
    path: (String, String),
    /// Whether it says which image runs.
    image: bool,
}

/// Controls that judge what is written; others would miss what a runtime adds.
const JUDGED: [&str; 6] = [
    "image-digest-pinned",
    "image-signature-trusted",
    "model-digest-pinned",
    "prompt-integrity",
    "safe-model-loading",
    "secrets-not-inline",
];
/// Where KServe puts the model that it fetches.
const FETCHED: &str = "/mnt/models";

impl Serving {
    /// What `object` says; nothing where it is no serving object.
    #[must_use]
    pub fn read(carrier: &Carrier, object: &Value) -> Self {
        if carrier.group != "serving.kserve.io" {
            return Self::default();
        }
        let parts = if carrier.kind == "InferenceService" { parts(object) } else { Vec::new() };
        Self { labels: objects::labels_of(object), models: served(carrier, object), parts }
    }

    /// Whether it says nothing that is judged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.models.is_empty() && self.parts.is_empty()
    }

    /// Its parts as pods.
    pub fn pods(&self) -> impl Iterator<Item = &PodObject> {
        self.parts.iter().map(|part| &part.pod)
    }

    /// Whether both say the same.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let said = |serving: &Self| -> Vec<_> {
            serving.pods().map(|pod| (pod.prefix.clone(), pod.spec.clone(), pod.labels.clone())).collect()
        };
        self.labels == other.labels && self.models == other.models && said(self) == said(other)
    }
}

impl Part {
    /// The decision on its pod, as far as it is whole, with the paths of the object.
    ///
    /// An image by its tag is a warning: in the serverless mode tags become digests before there are pods.
    #[must_use]
    pub fn told(&self, decision: Decision) -> Decision {
        let mut out = Decision::default();
        for finding in decision.refused {
            let Some(finding) = self.tell(finding) else { continue };
            let image = finding.control.id.starts_with("image-");
            if image { out.warned.push(finding) } else { out.refused.push(finding) }
        }
        out.warned.extend(decision.warned.into_iter().filter_map(|finding| self.tell(finding)));
        out.audited.extend(decision.audited.into_iter().filter_map(|finding| self.tell(finding)));
        let exempted = decision.exempted.into_iter();
        out.exempted.extend(exempted.filter_map(|(finding, name)| Some((self.tell(finding)?, name))));
        out
    }

    fn tell(&self, mut finding: Finding) -> Option<Finding> {
        let of_image = finding.control.id.starts_with("image-");
        let fetched = finding.place.value.as_deref().is_some_and(|value| value.contains(FETCHED));
        let judged = JUDGED.contains(&finding.control.id) && finding.place.object.is_none();
        if !judged || fetched || (of_image && !self.image) {
            return None;
        }
        let respelt = |path: &mut String| {
            if let Some(rest) = path.strip_prefix(&self.path.0) {
                *path = format!("{}{rest}", self.path.1);
            }
        };
        finding.place.path.iter_mut().for_each(respelt);
        for edit in finding.fix.iter_mut().flat_map(Fix::edits_mut).filter(|edit| edit.object.is_none()) {
            respelt(&mut edit.path);
        }
        Some(finding)
    }
}

/// What each part says of containers: in a list of its own, or in the model, which is a container by itself.
fn parts(object: &Value) -> Vec<Part> {
    let mut out = Vec::new();
    for (path, at) in [
        ("spec.predictor", "/spec/predictor"),
        ("spec.predictor.workerSpec", "/spec/predictor/workerSpec"),
        ("spec.transformer", "/spec/transformer"),
        ("spec.explainer", "/spec/explainer"),
    ] {
        let Some(Value::Object(fields)) = object.pointer(at) else { continue };
        let whole = Value::Object(fields.clone());
        let mut add = |containers: Value, inits: &Value, image: bool, field: &str, spelt: String| {
            let mut spec = json!({"containers": containers, "volumes": whole["volumes"]});
            if inits.is_array() {
                spec["initContainers"] = inits.clone();
            }
            let of_object = object["metadata"]["labels"].as_object();
            let mut labels: serde_json::Map<String, Value> = of_object.cloned().unwrap_or_default();
            labels.extend(whole["labels"].as_object().cloned().unwrap_or_default());
            let annotations = &object["metadata"]["annotations"];
            let template = json!({"metadata": {"labels": labels, "annotations": annotations}, "spec": spec});
            // What cannot be read as a pod KServe does not read either.
            if let Ok(pod) = objects::template_from(format!("{path}."), &template) {
                out.push(Part { pod, path: (format!("{path}.spec.{field}"), spelt), image });
            }
        };
        if whole["containers"].as_array().is_some_and(|containers| !containers.is_empty()) {
            add(whole["containers"].clone(), &whole["initContainers"], true, "", format!("{path}."));
        }
        for (name, model) in fields.iter().filter(|(_, model)| is_container(model)) {
            let mut container = json!({"name": "kserve-container"});
            for field in ["image", "command", "args", "env", "envFrom", "volumeMounts"] {
                if let Some(value) = model.get(field) {
                    container[field] = value.clone();
                }
            }
            let image = model["image"].is_string();
            add(json!([container]), &Value::Null, image, "containers[0].", format!("{path}.{name}."));
        }
    }
    out
}

/// Whether a field is a model that says something of its container.
fn is_container(model: &Value) -> bool {
    let says = |field: &str| !model[field].is_null();
    model.is_object()
        && (says("storageUri") || says("storage") || says("modelFormat") || says("image"))
        && ["image", "command", "args", "env", "envFrom"].into_iter().any(says)
}

/// The address of a model behind a credential of KServe, which no AIModel can name: `storage` with a key and a path.
fn stored(path: &str, at: &Value) -> Option<(String, String)> {
    let storage = at.get("storage").filter(|storage| storage.is_object())?;
    let text = |field: &str| storage[field].as_str().unwrap_or_default();
    Some((format!("{path}.storage"), format!("storage {}: {}", text("key"), text("path"))))
}

/// What a serving object of KServe names to be loaded: such objects have no pod template of their own.
fn served(carrier: &Carrier, object: &Value) -> Vec<ServedModel> {
    let mut out = Vec::new();
    let mut take = |path: &str, at: &Value, address: &str, format: Option<&str>| {
        let text = |field: &str| {
            let value = field.split('.').try_fold(at, |at, step| at.get(step))?.as_str()?;
            Some((format!("{path}.{field}"), value.to_owned()))
        };
        let named = match format {
            Some(format) => at.get(address).map(|_| (path.to_owned(), format.to_owned())),
            None => text("modelFormat.name"),
        };
        let address = text(address).or_else(|| stored(path, at));
        let model = ServedModel { address, format: named };
        if model != ServedModel::default() && out.len() < 64 {
            out.push(model);
        }
    };
    match (carrier.group, carrier.kind) {
        ("serving.kserve.io", "InferenceService") => {
            for part in ["predictor", "transformer", "explainer"] {
                let Some(Value::Object(fields)) = object.pointer(&format!("/spec/{part}")) else { continue };
                for (name, at) in fields {
                    // Of the older way the name of the field is the format.
                    let format = (name != "model").then_some(name.as_str());
                    take(&format!("spec.{part}.{name}"), at, "storageUri", format);
                }
            }
        }
        ("serving.kserve.io", "LLMInferenceService") => {
            if let Some(model) = object.pointer("/spec/model") {
                take("spec.model", model, "uri", None);
            }
            let adapters = object.pointer("/spec/model/lora/adapters").and_then(Value::as_array);
            for (index, adapter) in adapters.into_iter().flatten().enumerate() {
                take(&format!("spec.model.lora.adapters[{index}]"), adapter, "uri", None);
            }
        }
        _ => {}
    }
    out
}

#[cfg(test)]
#[path = "serving_tests.rs"]
mod tests;
