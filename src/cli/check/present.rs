//! What evidence has to name to count for objects as they are now: digests and shape, so that it can be written from files.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::gather::files::{Content, Manifests, Subject};
use crate::policy::composition;
use crate::policy::containers::{containers, images};

/// The present state of an object, as evidence names it; empty for kinds that evidence names otherwise.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Present {
    /// Of an AIWorkload: what `subject.digest` of evidence about it has to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    composition_digest: Option<String>,
    /// Of an AIWorkload: what a threat model has to list as `facts.compositionShape`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    composition_shape: Vec<String>,
    /// Of an AIWorkload: what an assessment of its permissions has to name as `facts.permissions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions_digest: Option<String>,
    /// Of what carries pods: how they are started, for `facts.configDigests` of an assessment.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    config_digests: BTreeSet<String>,
    /// Of what carries pods: digests of its images and image volumes, for `facts.images` of an assessment.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    image_digests: BTreeSet<String>,
}

/// The state of one object in `manifests`.
pub(super) fn present(manifests: &Manifests, subject: &Subject) -> Present {
    if let Content::Workload(workload) = &subject.content {
        let namespace = manifests.world.namespace(subject.namespace.as_deref().unwrap_or_default());
        return Present {
            composition_digest: Some(composition::digest(workload, namespace, &manifests.world.cluster)),
            composition_shape: composition::shape(workload),
            permissions_digest: composition::permissions(workload),
            ..Present::default()
        };
    }
    let mut out = Present::default();
    let namespace = manifests.world.namespace(subject.namespace.as_deref().unwrap_or_default());
    for pod in subject.pods() {
        let all = containers(&pod.spec);
        out.config_digests.insert(composition::configuration(&pod.spec, &all, namespace));
        let references = images(&all, &pod.spec);
        out.image_digests.extend(
            references
                .filter_map(|image| image.reference.rsplit_once('@').map(|(_, digest)| digest.to_owned())),
        );
    }
    out
}
