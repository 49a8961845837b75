//! What a cluster verified of the images that run, as far as the statuses tell.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::AIWorkload;
use crate::cli::check::signatures::Signatures;
use crate::gather::files::{Content, Manifests};
use crate::gather::signatures::questions;
use crate::policy::facts::Signature;
use crate::policy::selector;

/// The images of the pods that run, by namespace, where the operator's status says that nothing that refuses pods is broken or
/// open: then it verified them.
pub(super) fn running(manifests: &Manifests) -> BTreeMap<String, BTreeSet<String>> {
    let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for declared in &manifests.subjects {
        let (Content::Workload(workload), Some(namespace)) = (&declared.content, &declared.namespace) else {
            continue;
        };
        if !keeps_all(workload) {
            continue;
        }
        let pods = manifests.subjects.iter().filter_map(|subject| match &subject.content {
            Content::Pod(pod) if subject.namespace == declared.namespace => Some(pod),
            _ => None,
        });
        let labels = &workload.spec.selector.match_labels;
        let pods = pods.filter(|pod| selector::contains(labels, &pod.labels));
        let images = pods.flat_map(|pod| questions(&pod.spec)).map(|question| question.reference);
        out.entry(namespace.clone()).or_default().extend(images);
    }
    out
}

/// Whether the status tells of the declaration as it is, and of pods that keep all that is enforced.
fn keeps_all(workload: &AIWorkload) -> bool {
    workload.status.as_ref().is_some_and(|status| {
        status.observed_generation.is_some()
            && status.observed_generation == workload.metadata.generation
            && status.counters.is_some_and(|counters| counters.fail == 0 && counters.unknown == 0)
            && status.pods.is_some_and(|pods| pods.total > 0)
    })
}

/// That nobody looked at the signatures of what runs.
pub(super) fn taken(signatures: &Signatures) -> Option<String> {
    let of_namespaces = signatures.running.iter();
    let images =
        of_namespaces.flat_map(|(namespace, images)| images.iter().map(move |image| (namespace, image)));
    let images = images.filter(|(namespace, image)| signatures.of(namespace, image) == Signature::Unasked);
    let count = images.map(|(_, image)| image).collect::<BTreeSet<_>>().len();
    let noun = if count == 1 { "image that runs is" } else { "images that run are" };
    (count > 0).then(|| {
        format!(
            "{count} {noun} taken as verified, because the status of the AIWorkload tells of nothing broken or unknown; \
             --verify asks the registries from here"
        )
    })
}
