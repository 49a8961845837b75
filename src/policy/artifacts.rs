//! What the volumes of a pod bring: models, data and programs come from where somebody registered them.

use k8s_openapi::api::core::v1::Volume;
use serde_json::json;

use super::containers::ContainerView;
use super::control::Report;
use super::data::{self, Data};
use super::facts::{Facts, Place, PodFacts};
use super::fix::Fix;
use super::image::ImageRef;
use super::servers::{Form, Load, What};
use super::{devices, servers, skeleton};
use crate::api;
use crate::api::model::ModelSource;
use crate::api::workload::{SinkKind, WorkloadType};

/// Drivers that bring certificates, identities and Secrets into a pod, and nothing that is loaded.
const KNOWN_DRIVERS: [&str; 4] =
    ["secrets-store.csi.k8s.io", "csi.cert-manager.io", "spiffe.csi.cert-manager.io", "csi.spiffe.io"];
/// The driver that mounts models.
const MODEL_DRIVER: &str = "model.csi.modelpack.org";

/// Image volumes carry models and data: each must be a registered model that the workload declares.
pub(super) fn mounts(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.declaration() else { return };
    let supporting = workload.spec.type_ == WorkloadType::Supporting;
    for image in pod.images().filter(crate::policy::containers::ImageUse::is_volume) {
        let Ok(volume) = ImageRef::parse(image.reference) else { continue };
        // Data is dataset-boundary's.
        if !data::in_image(facts, image.reference).is_empty() {
            continue;
        }
        let registered: Vec<&str> = facts
            .namespace
            .models
            .iter()
            .filter(|(_, model)| holds(model, &volume))
            .map(|(name, _)| name.as_str())
            .collect();
        // Several names may be given to the same bytes: one that is declared is enough.
        if registered.iter().any(|name| workload.spec.models.iter().any(|used| used.name == *name)) {
            continue;
        }
        let place = || pod.at(image.path()).value(image.reference);
        match registered.first() {
            None => {
                let finding =
                    report.violated(place(), "no AIModel of this namespace has this artifact as its source");
                finding.may_arrive().fix(if supporting {
                    Fix::Text(
                        "build the files into the image of the container; what is a model is mounted by a workload that is declared \
                         as AI (spec.type)"
                            .to_owned(),
                    )
                } else {
                    Fix::Record(
                        format!(
                            "register it as an AIModel, and name it in spec.models of {}",
                            Facts::name_of(workload)
                        ),
                        skeleton::model(&facts.namespace.name, "MODEL", Some(image.reference)),
                    )
                });
            }
            // That it is AI then is said by itself.
            Some(_) if supporting => {}
            Some(name) => {
                report
                    .violated(
                        place(),
                        format!(
                            "holds AIModel {name:?}, which {} does not declare",
                            Facts::name_of(workload)
                        ),
                    )
                    .fix(Fix::set_at(
                        &Place::field(Facts::name_of(workload), "spec.models[+]"),
                        "",
                        json!({"name": name}),
                    ))
                    .may_arrive();
            }
        }
    }
}

/// What lies on a claim is a registered asset, a declared result or the declared log.
pub(super) fn claims(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    let Some((_, workload)) = facts.ai_pod() else { return };
    // A dataset that is named and not there may be the one on the claim; dataset-boundary says so.
    if workload
        .spec
        .datasets
        .iter()
        .any(|used| Data::named(facts, used.namespace.as_deref(), &used.name).is_none())
    {
        return;
    }
    for (index, volume) in pod.spec.volumes.iter().flatten().enumerate() {
        let (claim, at) = match claimed(index, volume) {
            Claimed::Claim(claim, at) => (claim, at),
            Claimed::Unknown(at, what) => {
                report
                    .violated(pod.at(at).value(what), "brings what nobody registered: its kind of source names no AIModel and no AIDataset")
                    .under(&["CoP-5.1"])
                    .fix(Fix::Text(
                        "bring it in an image volume or on a claim, and register that as an AIModel or AIDataset".to_owned(),
                    ));
                continue;
            }
            Claimed::Nothing => continue,
        };
        let of_model =
            |model: &api::AIModel| model.spec.source.as_ref().and_then(ModelSource::claim) == Some(claim);
        let sink = workload.spec.monitoring.as_ref().and_then(|m| m.io_log.as_ref()?.sink.as_ref());
        let known = facts.namespace.models.values().any(|model| of_model(model))
            || !data::on_claim(facts, claim).is_empty()
            || sink.is_some_and(|sink| sink.kind == SinkKind::Volume && sink.ref_.as_deref() == Some(claim))
            || workload.spec.outputs.iter().any(|o| o.destination.strip_prefix("sink/") == Some(claim));
        if known {
            continue;
        }
        report
            .violated(
                pod.at(at).value(claim),
                format!(
                    "holds nothing that is known: no AIModel and no AIDataset names this claim as its source, and {} does not write \
                     results or its log there",
                    Facts::name_of(workload)
                ),
            )
            .under(&["CoP-5.1"])
            .fix(Fix::Text(format!(
                "apply an AIModel or AIDataset with spec.source {{kind: pvc, claimName: {claim}}}, or, for results, add \
                 {{destination: sink/{claim}, sensitivity: SENSITIVITY}} to spec.outputs"
            )))
            .may_arrive();
    }
}

/// What a volume holds when it comes to the pod.
enum Claimed<'a> {
    /// What lies on a claim, or a copy of it; with the field that names it.
    Claim(&'a str, String),
    /// Something that no registered source can name; the field, and what it says.
    Unknown(String, String),
    /// Nothing, or what others judge.
    Nothing,
}

fn claimed(index: usize, volume: &Volume) -> Claimed<'_> {
    let at = |field: &str| format!("spec.volumes[{index}].{field}");
    if let Some(claim) = &volume.persistent_volume_claim {
        return Claimed::Claim(&claim.claim_name, at("persistentVolumeClaim.claimName"));
    }
    if let Some(csi) = volume.csi.as_ref().filter(|csi| !KNOWN_DRIVERS.contains(&csi.driver.as_str())) {
        return Claimed::Unknown(at("csi.driver"), csi.driver.clone());
    }
    let template = volume.ephemeral.as_ref().and_then(|ephemeral| ephemeral.volume_claim_template.as_ref());
    let Some(template) = template else { return Claimed::Nothing };
    let field = |name: &str| at(&format!("ephemeral.volumeClaimTemplate.spec.{name}"));
    let spec = &template.spec;
    // A volume that is there already is taken as it is, whatever source the claim names.
    if let Some(volume) = &spec.volume_name {
        return Claimed::Unknown(field("volumeName"), volume.clone());
    }
    if spec.selector.is_some() {
        return Claimed::Unknown(field("selector"), "volumes by their labels".to_owned());
    }
    if let Some(source) = &spec.data_source_ref {
        let here = source.namespace.is_none();
        return match source.kind.as_str() {
            "PersistentVolumeClaim" if here => Claimed::Claim(&source.name, field("dataSourceRef.name")),
            kind => Claimed::Unknown(field("dataSourceRef"), format!("{kind}/{}", source.name)),
        };
    }
    match &spec.data_source {
        Some(source) if source.kind == "PersistentVolumeClaim" => {
            Claimed::Claim(&source.name, field("dataSource.name"))
        }
        Some(source) => Claimed::Unknown(field("dataSource"), format!("{}/{}", source.kind, source.name)),
        None => Claimed::Nothing,
    }
}

/// What only AI has, in a pod that is declared to be none: a model server, a device for machine learning, a registered model.
pub(super) fn disguised(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.declaration().filter(|w| w.spec.type_ == WorkloadType::Supporting) else {
        return;
    };
    let mut found: Option<(Place, String)> = None;
    for container in &pod.containers {
        let device = container.resources.and_then(devices::asked);
        if let Some(device) = device {
            let place = pod.at(container.path("resources.limits")).value(device);
            found.get_or_insert((place, "asks for a device for machine learning".to_owned()));
        }
        let claim = container.resources.and_then(|own| devices::claimed(facts.namespace, pod.spec, own));
        if let Some(claim) = claim {
            let place = pod.at(container.path("resources.claims")).value(claim);
            found.get_or_insert((place, "claims a device".to_owned()));
        }
        if let Some((index, variable)) = devices::shown(container.env) {
            let place = pod.at(container.path(&format!("env[{index}].value"))).value(variable);
            found.get_or_insert((place, "is shown devices for machine learning".to_owned()));
        }
        if serves(container) {
            let place = pod.at(container.path("")).value(container.name);
            found.get_or_insert((place, "runs a model server".to_owned()));
        }
        if let Some(load) = loaded(container) {
            let place = pod.at(container.path("")).value(container.name);
            found.get_or_insert((place, format!("is told to load {load:?}, which is a model or loads one")));
        }
    }
    for image in pod.images().filter(crate::policy::containers::ImageUse::is_volume) {
        let Ok(volume) = ImageRef::parse(image.reference) else { continue };
        if let Some((name, _)) = facts.namespace.models.iter().find(|(_, model)| holds(model, &volume)) {
            let place = pod.at(image.path()).value(image.reference);
            found.get_or_insert((place, format!("holds AIModel {name:?}")));
        }
    }
    for (index, volume) in pod.spec.volumes.iter().flatten().enumerate() {
        if let Some(csi) = volume.csi.as_ref().filter(|csi| csi.driver == MODEL_DRIVER) {
            let place = pod.at(format!("spec.volumes[{index}].csi.driver")).value(&csi.driver);
            found.get_or_insert((place, "mounts a model".to_owned()));
        }
    }
    let Some((place, what)) = found else { return };
    let name = Facts::name_of(workload);
    report
        .violated(place, format!("{what}, and {name} is declared as supporting, which is no AI"))
        .under(&["CfV-SCOPE"])
        .fix(
            Fix::set_at(&Place::field(&name, "spec.type"), "", "inference").after(
                "declare what it is: inference, agent, batch, training or fine-tuning, with its models",
            ),
        )
        .may_arrive();
}

/// Whether a container runs a known model server: its words say so, or its image is one and not a tool beside one.
fn serves(container: &ContainerView<'_>) -> bool {
    const BESIDE: [&str; 9] =
        ["exporter", "operator", "proxy", "router", "gateway", "webui", "-ui", "client", "metrics"];
    let mut unnamed = *container;
    unnamed.image = "";
    if servers::read(&unnamed).server.is_some() {
        return true;
    }
    let image = container.image.split('@').next().unwrap_or_default();
    let image = image.rsplit('/').next().unwrap_or_default();
    servers::read(container).server.is_some() && !BESIDE.iter().any(|word| image.contains(word))
}

/// The model that a container is told to load, from a path or a hub. A plain name may be that of one behind an interface.
fn loaded(container: &ContainerView<'_>) -> Option<String> {
    let mut loads = servers::read(container).loads.into_iter();
    let own = |load: &Load<'_>| load.what == What::Model && matches!(load.form, Form::Path | Form::Hub);
    loads.find(own).map(|load| load.value.into_owned()).or_else(|| named(container))
}

/// The file of a model that a word or a variable names, or the library for models that a script imports.
fn named(container: &ContainerView<'_>) -> Option<String> {
    const FILES: [&str; 5] = [".gguf", ".ggml", ".safetensors", ".llamafile", ".onnx"];
    const LIBRARIES: [&str; 6] =
        ["vllm", "transformers", "llama_cpp", "sentence_transformers", "diffusers", "onnxruntime"];
    let words = container.command.iter().chain(container.args);
    let values = container.env.iter().filter_map(|variable| variable.value.as_ref());
    let mut texts = words.clone().chain(values);
    let apart = |letter: char| letter.is_whitespace() || ['=', ',', '"', '\'', '(', ')'].contains(&letter);
    let file =
        texts.find_map(|text| text.split(apart).find(|part| FILES.iter().any(|end| part.ends_with(end))));
    let library = || {
        let imports = |text: &str, name: &str| {
            ["import ", "from "].iter().any(|how| text.contains(&format!("{how}{name}")))
        };
        LIBRARIES.into_iter().find(|name| words.clone().any(|text| imports(text, name)))
    };
    file.or_else(library).map(str::to_owned)
}

/// Whether the model's source is this very artifact: the same place and, by reference or by `spec.digest`, the same bytes.
pub(super) fn holds(model: &api::AIModel, volume: &ImageRef) -> bool {
    let Some(reference) = model.spec.source.as_ref().and_then(|s| s.reference.as_deref()) else {
        return false;
    };
    let Ok(source) = ImageRef::parse(reference) else { return false };
    let digest = source.digest().or(model.spec.digest.as_deref());
    source.name() == volume.name() && digest.is_some() && digest == volume.digest()
}
