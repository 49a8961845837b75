//! Which datasets stand behind a pod: those that it mounts, and those that its models learnt from.

mod change;
mod hidden;

use k8s_openapi::api::core::v1::Volume;
use serde_json::json;

use super::facts::{Facts, Namespace, Place, PodFacts};
use super::fix::Fix;
use super::image::ImageRef;
use crate::api::common::Sensitivity;
use crate::api::dataset::{AIDataset, DatasetClass, DatasetSourceKind};
use crate::api::{AIModel, AIWorkload};

pub use change::reclassified;

/// How many steps are followed from a copy to its origin or from a model to its base: a chain that is longer is a fault.
pub const LONGEST: usize = 32;

/// A dataset with the namespace that it lives in.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// The namespace of the dataset.
    pub namespace: &'a Namespace,
    /// Its name.
    pub name: &'a str,
    /// What it says.
    pub dataset: &'a AIDataset,
}

impl<'a> Data<'a> {
    /// The dataset of this name, in `namespace` or else in the one under judgement.
    #[must_use]
    pub fn named(facts: &Facts<'a>, namespace: Option<&str>, name: &str) -> Option<Self> {
        let namespace = facts.namespace_named(namespace)?;
        let (name, dataset) = namespace.datasets.get_key_value(name)?;
        Some(Self { namespace, name, dataset })
    }

    /// `AIDataset namespace/name`, as messages write it.
    #[must_use]
    pub fn object(&self) -> String {
        format!("AIDataset {}/{}", self.namespace.name, self.name)
    }

    /// How sensitive it is: as it says, else as the namespace that holds it.
    #[must_use]
    pub fn sensitivity(&self) -> Option<Sensitivity> {
        self.dataset.spec.sensitivity.or_else(|| self.namespace.sensitivity())
    }

    /// Whether its controllers list this workload.
    #[must_use]
    pub fn lists(&self, workload: &AIWorkload) -> bool {
        let name = workload.metadata.name.as_deref();
        let namespace = workload.metadata.namespace.as_deref();
        let mut consumers = self.dataset.spec.consumers.iter();
        consumers.any(|c| Some(c.workload.as_str()) == name && Some(c.namespace.as_str()) == namespace)
    }

    /// The entry for it in the declaration of a workload that only reads it.
    #[must_use]
    pub fn declare(&self, workload: &AIWorkload) -> Fix {
        let looked_up = self.dataset.spec.class == Some(DatasetClass::Retrieval);
        let mut entry = json!({"name": self.name, "use": if looked_up { "retrieval" } else { "PURPOSE" }, "access": "read"});
        if workload.metadata.namespace.as_deref() != Some(&self.namespace.name) {
            entry["namespace"] = json!(self.namespace.name);
        }
        Fix::set_at(&Place::field(Facts::name_of(workload), "spec.datasets[+]"), "", entry)
    }

    /// The entry for a workload in its list of consumers.
    #[must_use]
    pub fn list(&self, workload: &AIWorkload) -> Fix {
        let consumer = json!({
            "namespace": workload.metadata.namespace.as_deref().unwrap_or_default(),
            "workload": workload.metadata.name.as_deref().unwrap_or_default(),
        });
        Fix::set_at(&Place::field(self.object(), "spec.consumers[+]"), "", consumer)
    }

    /// Whether both are one and the same.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.name == other.name && self.namespace.name == other.namespace.name
    }
}

/// A dataset that a pod mounts.
#[derive(Clone, Debug)]
pub struct Mounted<'a> {
    /// The dataset.
    pub data: Data<'a>,
    /// Path of the volume inside the pod.
    pub path: String,
    /// Name of the volume, where it is one.
    pub volume: Option<&'a str>,
    /// What the volume is: the name of the claim, or the reference of the image.
    pub source: &'a str,
    /// Whether the volume is a copy of the claim that holds the dataset.
    pub copy: bool,
    /// Whether it is no volume, but a Secret whose credentials open the dataset elsewhere.
    pub opens: bool,
    /// The places of mounts and devices through which the pod could write, by their paths inside the pod.
    pub writable: Vec<String>,
}

/// The datasets that a pod mounts: by claim, by a copy of a claim, or as an image volume.
#[must_use]
pub fn mounted<'a>(facts: &Facts<'a>, pod: &PodFacts<'a>) -> Vec<Mounted<'a>> {
    let mut out = Vec::new();
    for (index, volume) in pod.spec.volumes.iter().flatten().enumerate() {
        if let Some(claim) = &volume.persistent_volume_claim {
            let writable = || if claim.read_only == Some(true) { Vec::new() } else { writers(pod, volume) };
            for (place, name, steps) in origins(facts, facts.namespace, &claim.claim_name) {
                for data in held_by(place, name) {
                    out.push(Mounted {
                        data,
                        path: format!("spec.volumes[{index}]"),
                        volume: Some(&volume.name),
                        source: &claim.claim_name,
                        copy: steps > 0,
                        opens: false,
                        writable: writable(),
                    });
                }
            }
        }
        if let Some(from) = copied(volume) {
            for (place, name, _) in origins(facts, facts.namespace, from) {
                for data in held_by(place, name) {
                    let path = format!("spec.volumes[{index}]");
                    out.push(Mounted {
                        data,
                        path,
                        volume: Some(&volume.name),
                        source: from,
                        copy: true,
                        opens: false,
                        writable: Vec::new(),
                    });
                }
            }
        }
        if let Some(reference) = volume.image.as_ref().and_then(|image| image.reference.as_deref()) {
            for data in in_image(facts, reference) {
                let path = format!("spec.volumes[{index}]");
                let (copy, opens, writable) = (false, false, Vec::new());
                out.push(Mounted {
                    data,
                    path,
                    volume: Some(&volume.name),
                    source: reference,
                    copy,
                    opens,
                    writable,
                });
            }
        }
    }
    out
}

/// The datasets on a claim of this namespace, or on those that it was copied from.
#[must_use]
pub fn on_claim<'a>(facts: &Facts<'a>, claim: &'a str) -> Vec<Data<'a>> {
    let places = origins(facts, facts.namespace, claim).into_iter();
    places.flat_map(|(place, name, _)| held_by(place, name).collect::<Vec<_>>()).collect()
}

/// The datasets that a Secret opens, to which a pod refers at `path`.
pub fn opened<'a>(facts: &Facts<'a>, path: &str, secret: &'a str) -> impl Iterator<Item = Mounted<'a>> {
    let key = (facts.namespace.name.clone(), secret.to_owned());
    let datasets = facts.cluster.opened_by.get(&key).into_iter().flatten();
    datasets.filter_map(move |(namespace, name)| {
        let data = Data::named(facts, Some(namespace), name)?;
        let path = path.trim_end_matches(".name").trim_end_matches(".secretName").to_owned();
        Some(Mounted {
            data,
            path,
            volume: None,
            source: secret,
            copy: false,
            opens: true,
            writable: Vec::new(),
        })
    })
}

/// Whether an image volume holds a dataset: of this namespace, or of one whose datasets the workload declares.
#[must_use]
pub fn in_image<'a>(facts: &Facts<'a>, reference: &str) -> Vec<Data<'a>> {
    let Ok(volume) = ImageRef::parse(reference) else { return Vec::new() };
    let declared = facts.declaration().map_or(&[][..], |workload| &workload.spec.datasets);
    let others = declared.iter().filter_map(|used| facts.namespace_named(used.namespace.as_deref()));
    let mut places: Vec<&'a Namespace> = vec![facts.namespace];
    for other in others {
        if !places.iter().any(|place| place.name == other.name) {
            places.push(other);
        }
    }
    let mut out = Vec::new();
    for namespace in places {
        for (name, dataset) in &namespace.datasets {
            if of_image(dataset, &volume) {
                out.push(Data { namespace, name, dataset });
            }
        }
    }
    out
}

fn of_image(dataset: &AIDataset, volume: &ImageRef) -> bool {
    let Some(source) = dataset.spec.source.as_ref().filter(|s| s.kind == DatasetSourceKind::Oci) else {
        return false;
    };
    let Some(Ok(reference)) = source.reference.as_deref().map(ImageRef::parse) else { return false };
    reference.name() == volume.name()
        && reference.digest().or(dataset.spec.digest.as_deref()) == volume.digest()
}

/// The claim that an ephemeral volume of the pod is filled from.
fn copied(volume: &Volume) -> Option<&str> {
    let spec = &volume.ephemeral.as_ref()?.volume_claim_template.as_ref()?.spec;
    let local =
        spec.data_source.as_ref().filter(|s| s.kind == "PersistentVolumeClaim").map(|s| s.name.as_str());
    let other = spec.data_source_ref.as_ref().filter(|s| s.kind == "PersistentVolumeClaim");
    local.or(other.map(|s| s.name.as_str()))
}

/// A claim, the claim that it was copied from, and so on, each with the number of steps.
fn origins<'a>(
    facts: &Facts<'a>,
    namespace: &'a Namespace,
    claim: &'a str,
) -> Vec<(&'a Namespace, &'a str, usize)> {
    let mut out = vec![(namespace, claim, 0)];
    while let Some((place, name, steps)) = out.last().copied()
        && steps < LONGEST
    {
        let origin = place.claims.get(name).and_then(|claim| claim.copy_of.as_ref());
        let Some((other, origin)) = origin else { break };
        let Some(other) = other.as_deref().map_or(Some(place), |name| facts.namespace_named(Some(name)))
        else {
            break;
        };
        out.push((other, origin, steps + 1));
    }
    out
}

/// The datasets that live on a claim.
fn held_by<'a>(namespace: &'a Namespace, claim: &str) -> impl Iterator<Item = Data<'a>> {
    namespace.datasets.iter().filter_map(move |(name, dataset)| {
        let on = dataset.spec.source.as_ref()?.claim_name.as_deref()?;
        (on == claim).then_some(Data { namespace, name, dataset })
    })
}

/// Where containers mount a volume so that they may write to it.
fn writers(pod: &PodFacts<'_>, volume: &Volume) -> Vec<String> {
    let mut out = Vec::new();
    for container in &pod.containers {
        for (index, mount) in container.mounts.iter().enumerate() {
            if mount.name == volume.name && mount.read_only != Some(true) {
                out.push(container.path(&format!("volumeMounts[{index}]")));
            }
        }
        for (index, device) in container.devices.iter().enumerate() {
            if device.name == volume.name {
                out.push(container.path(&format!("volumeDevices[{index}]")));
            }
        }
    }
    out
}

/// What is known of the data that a model learnt from, itself and through its base models.
#[derive(Debug, Default)]
pub struct Lineage<'a> {
    /// The datasets that are registered, each once.
    pub datasets: Vec<Data<'a>>,
    /// The names of models on the way, the first one first.
    pub models: Vec<&'a str>,
    /// Why the way has no end, where it has none.
    pub endless: Option<String>,
}

/// How sensitive the data behind a workload is: the most sensitive of the datasets that it uses, and of those that its
/// models learnt from.
#[must_use]
pub fn sensitivity<'a>(facts: &Facts<'a>, workload: &AIWorkload) -> Option<(Sensitivity, Data<'a>)> {
    let used = workload.spec.datasets.iter();
    let used = used.filter_map(|used| Data::named(facts, used.namespace.as_deref(), &used.name));
    let models = workload.spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name));
    let behind = models.flat_map(|model| lineage(facts, facts.namespace, model).datasets);
    used.chain(behind)
        .filter_map(|data| Some((data.sensitivity()?, data)))
        .max_by_key(|(sensitivity, _)| *sensitivity)
}

/// Follows a model to the datasets behind it. The way is bounded, and a circle ends it.
#[must_use]
pub fn lineage<'a>(facts: &Facts<'a>, namespace: &'a Namespace, model: &'a AIModel) -> Lineage<'a> {
    let mut out = Lineage::default();
    let mut seen: Vec<(&str, &str)> = Vec::new();
    let mut next = Some((namespace, model));
    while let Some((place, model)) = next.take() {
        let name = model.metadata.name.as_deref().unwrap_or_default();
        if seen.contains(&(&place.name, name)) {
            let over = if seen.last() == Some(&(&place.name, name)) { "" } else { ", over others," };
            out.endless = Some(format!("AIModel {}/{name} is{over} its own base", place.name));
            return out;
        }
        if seen.len() == LONGEST {
            out.endless = Some(format!("there are more than {LONGEST} base models in a row"));
            return out;
        }
        seen.push((&place.name, name));
        out.models.push(name);
        for learnt in &model.spec.trained_on {
            let home = learnt.namespace.as_deref().or(Some(place.name.as_str()));
            if let Some(data) = Data::named(facts, home, &learnt.dataset)
                && !out.datasets.iter().any(|known| known.is(&data))
            {
                out.datasets.push(data);
            }
        }
        if let Some(base) = &model.spec.base_model_ref {
            let home = base.namespace.as_deref().or(Some(place.name.as_str()));
            next = facts
                .namespace_named(home)
                .and_then(|home| home.models.get(&base.name).map(|model| (home, model.as_ref())));
        }
    }
    out
}
