//! `storage-encrypted`: volumes with confidential or restricted assets use storage that encrypts.

use k8s_openapi::api::core::v1::Volume;

use crate::api;
use crate::api::common::{Sensitivity, StoreEncryption};
use crate::api::dataset::DatasetSourceKind;
use crate::api::model::{ModelSource, ModelSourceKind};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::data::{self, Data};
use crate::policy::facts::{Facts, Namespace, Place, PodFacts, Subject};
use crate::policy::fix::Fix;

/// Volumes with confidential or restricted assets use storage that encrypts.
pub(super) const CONTROL: Control = Control {
    id: "storage-encrypted",
    title: "volumes with confidential or restricted assets use storage that encrypts",
    room: Room::Segregation,
    wave: 3,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-5.4", "CoP-6.1-n1"],
    why: "a copied disk gives away everything that was stored on it in the clear",
    remedy: "move the claim to a storage class that the AIProfile lists as encrypted",
    gaps: &[],
    limits: &[
        "whether a storage class or an object store really encrypts is taken from the profile's list and from spec.source",
    ],
    check: Check::Rule(check),
};

/// The parameter of `AIProfile` that lists storage classes which encrypt.
const CLASSES: &str = "storage.encryptedClasses";

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match facts.subject {
        Subject::Pod(_) => {}
        Subject::Dataset(dataset) => return bucket_of_data(facts, facts.namespace, dataset, report),
        Subject::Model(model) => return bucket_of_model(facts, model, report),
        _ => return,
    }
    let (Some(pod), Some(workload)) = (facts.governed_pod(), facts.declaration()) else { return };
    buckets(facts, workload, report);
    let own = facts.namespace.sensitivity();
    let mut sensitive = None;
    let mut told: Vec<&str> = Vec::new();
    if !facts.namespace.datasets.is_empty() || !workload.spec.datasets.is_empty() {
        for mounted in data::mounted(facts, pod) {
            let Some(sensitivity) = mounted.data.sensitivity().filter(|s| *s >= Sensitivity::Confidential)
            else {
                continue;
            };
            sensitive = sensitive.max(Some(sensitivity));
            told.push(mounted.source);
            claim(facts, pod, &mounted.path, mounted.source, &mounted.data.object(), sensitivity, report);
        }
    }
    // Weights are as sensitive as the namespace that may hold them.
    if let Some(sensitivity) = own.filter(|own| *own >= Sensitivity::Confidential) {
        for (index, volume) in pod.spec.volumes.iter().flatten().enumerate() {
            let Some(source) = volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.as_str())
            else {
                continue;
            };
            let model =
                facts.namespace.models.iter().find(|(_, model)| {
                    model.spec.source.as_ref().and_then(ModelSource::claim) == Some(source)
                });
            if let Some((name, _)) = model {
                sensitive = sensitive.max(Some(sensitivity));
                told.push(source);
                let object = format!("AIModel {}/{name}", facts.namespace.name);
                claim(facts, pod, &format!("spec.volumes[{index}]"), source, &object, sensitivity, report);
            }
        }
    }
    if let Some(sensitivity) = sensitive {
        for (index, volume) in pod.spec.volumes.iter().flatten().enumerate() {
            scratch(pod, index, volume, sensitivity, report);
            if let Some(name) = written(facts, pod, volume).filter(|name| !told.contains(name)) {
                claim(facts, pod, &format!("spec.volumes[{index}]"), name, RESULTS, sensitivity, report);
            }
        }
    }
}

/// The object stores behind what a declaration names.
fn buckets(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    for used in &workload.spec.datasets {
        if let Some(data) = Data::named(facts, used.namespace.as_deref(), &used.name) {
            bucket_of_data(facts, data.namespace, data.dataset, report);
        }
    }
    for used in &workload.spec.models {
        if let Some(model) = facts.namespace.models.get(&used.name) {
            bucket_of_model(facts, model, report);
        }
    }
}

fn bucket_of_data(facts: &Facts<'_>, home: &Namespace, dataset: &api::AIDataset, report: &mut Report<'_>) {
    let Some(source) = dataset.spec.source.as_ref().filter(|s| s.kind == DatasetSourceKind::S3) else {
        return;
    };
    let sensitivity = dataset.spec.sensitivity.or_else(|| home.sensitivity());
    let name = dataset.metadata.name.as_deref().unwrap_or_default();
    let object = format!("AIDataset {}/{name}", home.name);
    bucket(facts, object, source.server_side_encryption, sensitivity, report);
}

fn bucket_of_model(facts: &Facts<'_>, model: &api::AIModel, report: &mut Report<'_>) {
    let Some(source) = model.spec.source.as_ref().filter(|s| s.kind == ModelSourceKind::S3) else { return };
    let name = model.metadata.name.as_deref().unwrap_or_default();
    let object = format!("AIModel {}/{name}", facts.namespace.name);
    bucket(facts, object, source.server_side_encryption, facts.namespace.sensitivity(), report);
}

/// What a bucket holds that is sensitive is encrypted there.
fn bucket(
    facts: &Facts<'_>,
    object: String,
    encryption: Option<StoreEncryption>,
    sensitivity: Option<Sensitivity>,
    report: &mut Report<'_>,
) {
    let Some(sensitivity) = sensitivity.filter(|s| *s >= Sensitivity::Confidential) else { return };
    let place = Place::field(object, "spec.source.serverSideEncryption");
    let (place, what) = match encryption {
        Some(StoreEncryption::Provider | StoreEncryption::Own) => return,
        Some(StoreEncryption::Nobody) => (place.value("none"), "leaves"),
        None => (place, "is not set, so nobody says that the bucket does not leave"),
    };
    report
        .violated(place, format!("{what} {sensitivity} data readable in the bucket"))
        .under(&["CoP-6.1-n1"])
        .fix(Fix::Text(
            "let the bucket encrypt what it holds, and say whose keys it uses: provider or own".to_owned(),
        ))
        .in_declaration(facts);
}

/// What a claim holds that is written beside sensitive data.
const RESULTS: &str = "what is written beside sensitive data";

/// The claim behind a volume that a container can write to.
fn written<'a>(facts: &Facts<'_>, pod: &PodFacts<'_>, volume: &'a Volume) -> Option<&'a str> {
    let claim = volume.persistent_volume_claim.as_ref().filter(|claim| claim.read_only != Some(true))?;
    let writes = pod.containers.iter().any(|container| {
        let mut mounts = container.mounts.iter().filter(|mount| mount.name == volume.name);
        mounts.any(|mount| mount.read_only != Some(true))
            || container.devices.iter().any(|device| device.name == volume.name)
    });
    // Where the claim does not exist yet, the pod does not start.
    (writes && facts.namespace.claims.contains_key(&claim.claim_name)).then_some(claim.claim_name.as_str())
}

/// The class of a claim that holds something sensitive.
fn claim(
    facts: &Facts<'_>,
    pod: &PodFacts<'_>,
    path: &str,
    name: &str,
    object: &str,
    sensitivity: Sensitivity,
    report: &mut Report<'_>,
) {
    // An image volume lies where the node keeps images, which is no claim's matter.
    if name.contains('@') {
        return;
    }
    let under: &'static [&'static str] = &["CoP-6.1-n1"];
    let Some(known) = facts.namespace.claims.get(name) else {
        report
            .unknown(
                pod.at(path).value(name),
                format!("is a claim that does not exist, so how {object} would be stored cannot be told"),
            )
            .under(under)
            .fix(Fix::Text("create the PersistentVolumeClaim".to_owned()))
            .may_arrive();
        return;
    };
    let mut classes = facts.settings.words(CLASSES).peekable();
    if classes.peek().is_none() {
        report
            .unknown(pod.at(path).value(name), format!("holds {object}, and no AIProfile says which storage classes encrypt"))
            .under(under)
            .fix(Fix::Text(format!(
                "ask those who keep the cluster to list them in spec.parameters[\"{CLASSES}\"] of an AIProfile, joined by commas"
            )))
            .may_arrive();
        return;
    }
    let class = known.storage_class.as_deref().unwrap_or_default();
    if classes.any(|listed| listed == class) {
        return;
    }
    let listed: Vec<&str> = facts.settings.words(CLASSES).collect();
    report
        .violated(
            Place::field(
                format!("PersistentVolumeClaim {}/{name}", facts.namespace.name),
                "spec.storageClassName",
            )
            .value(class),
            format!(
                "holds {object}, which is {sensitivity}, and is not listed as encrypting: {}",
                listed.join(", ")
            ),
        )
        .under(under)
        .fix(Fix::Text("move the data to a claim of one of these classes".to_owned()))
        .may_arrive();
}

/// What a pod writes beside sensitive data stays in memory.
fn scratch(
    pod: &PodFacts<'_>,
    index: usize,
    volume: &Volume,
    sensitivity: Sensitivity,
    report: &mut Report<'_>,
) {
    let Some(empty) = &volume.empty_dir else { return };
    if empty.medium.as_deref() == Some("Memory") {
        return;
    }
    let path = format!("spec.volumes[{index}].emptyDir.medium");
    report
        .violated(
            pod.at(&path).value(empty.medium.as_deref().unwrap_or_default()),
            format!("leaves what is written beside {sensitivity} data on the disk of the node"),
        )
        .under(&["CoP-6.1-n1"])
        .fix(Fix::set(format!("{}{path}", pod.prefix), "Memory"));
}

#[cfg(test)]
#[path = "tests/storage_encrypted.rs"]
mod tests;
