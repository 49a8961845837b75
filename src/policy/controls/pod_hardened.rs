//! `pod-hardened`: a pod that is broken into gains as little as possible.

use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::devices;
use crate::policy::facts::{Facts, NodeVolume, PodFacts, Stage};
use crate::policy::fix::Fix;
use crate::policy::pod_security;

/// Pod Security level restricted and more, for every container of every kind.
pub(super) const CONTROL: Control = Control {
    id: "pod-hardened",
    title: "pods keep Pod Security level restricted, with a read-only root file system and no way round the scheduler",
    room: Room::RuntimeHardening,
    wave: 1,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-6.1", "CoP-6.2-n1", "NCSC-P5.2"],
    why: "a process that is taken over should find no rights, no writable program files and no way to the node",
    remedy: "set the pod's and the containers' securityContext as Pod Security level restricted asks",
    gaps: &[],
    limits: &[
        "a claim that is bound after its pod was let in is seen by the audit; which disk a local volume is, and where links in a folder lead, is for those who may write PersistentVolumes",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(pod) = facts.pod() else { return };
    pod_security::restricted(pod, report);
    read_only_root(pod, report);
    placement(pod, report);
    devices(facts, pod, report);
    behind_claims(facts, pod, report);
    for field in pod.unknown_fields.iter().take(8) {
        report
            .unknown(pod.at(field), "is a field this version does not know, and it may weaken the pod")
            .fix(Fix::Text("remove the field, or upgrade to a version that knows it".to_owned()));
    }
}

fn read_only_root(pod: &PodFacts<'_>, report: &mut Report<'_>) {
    for container in &pod.containers {
        if container.security.and_then(|context| context.read_only_root_filesystem) != Some(true) {
            let path = container.path("securityContext.readOnlyRootFilesystem");
            report
                .violated(pod.at(&path), "is not true, so an intruder could change the programs")
                .fix(Fix::set(format!("{}{path}", pod.prefix), true));
        }
    }
}

/// A pod that names its node was never scheduled, and one that claims to mirror a file on a node is not this cluster's.
fn placement(pod: &PodFacts<'_>, report: &mut Report<'_>) {
    let before_scheduling = matches!(pod.stage, Stage::Entering | Stage::Carried);
    if let Some(node) = pod.spec.node_name.as_deref().filter(|node| before_scheduling && !node.is_empty()) {
        report
            .violated(
                pod.at("spec.nodeName").value(node),
                "chooses its node past the scheduler and its rules",
            )
            .fix(Fix::remove(format!("{}spec.nodeName", pod.prefix)));
    }
    let mirror = "kubernetes.io/config.mirror";
    if pod.annotations.contains_key(mirror) {
        report
            .violated(
                pod.at(format!("metadata.annotations[{mirror:?}]")),
                "claims to mirror a static pod of a node",
            )
            .fix(Fix::remove(format!("{}metadata.annotations[{mirror:?}]", pod.prefix)));
    }
}

/// A claim may be bound to a folder of a node, and then hands out what a pod could not name by itself.
fn behind_claims(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    if facts.cluster.node_volumes.is_empty() {
        return;
    }
    let home = facts.namespace.name.as_str();
    for (index, volume) in pod.spec.volumes.iter().flatten().enumerate() {
        let claim = volume.persistent_volume_claim.as_ref().map(|source| source.claim_name.as_str());
        let template = volume.ephemeral.as_ref().and_then(|source| source.volume_claim_template.as_ref());
        let bound = match claim {
            Some(claim) => facts.namespace.claims.get(claim).and_then(|known| known.volume.as_deref()),
            None => template.and_then(|template| template.spec.volume_name.as_deref()),
        };
        let kept_for = |claim: &str, of: &NodeVolume| {
            of.claim.as_ref().is_some_and(|(namespace, name)| namespace == home && name == claim)
        };
        let found = facts.cluster.node_volumes.iter().find(|(name, known)| {
            bound.map_or_else(
                || claim.is_some_and(|claim| kept_for(claim, known)),
                |bound| bound == name.as_str(),
            )
        });
        let Some((name, known)) = found else { continue };
        let path = format!("spec.volumes[{index}]");
        let place = match claim {
            Some(claim) => pod.at(format!("{path}.persistentVolumeClaim.claimName")).value(claim),
            None => pod.at(format!("{path}.ephemeral.volumeClaimTemplate.spec.volumeName")).value(name),
        };
        report
            .violated(
                place,
                format!("leads to PersistentVolume {name:?}, whose path {:?} of the node {}", known.path, known.why),
            )
            .under(&["CoP-6.1", "CoP-6.2-n1"])
            .fix(Fix::Text(
                "name a claim of a storage class that hands out volumes of its own, and ask those who keep the cluster to take \
                 this volume away"
                    .to_owned(),
            ));
    }
}

/// A claim of devices with administrative access reaches those that others hold.
fn devices(facts: &Facts<'_>, pod: &PodFacts<'_>, report: &mut Report<'_>) {
    for (index, claim) in pod.spec.resource_claims.iter().flatten().enumerate() {
        let Some((key, known)) = devices::known(facts.namespace, claim) else { continue };
        let at = |object: String| pod.at(format!("spec.resourceClaims[{index}]")).value(object);
        let Some(known) = known else {
            let kind = key.split('/').next().unwrap_or_default().to_owned();
            report
                .unknown(at(key), "is not known, so nobody can tell which devices it gives")
                .fix(Fix::Text(format!(
                    "create the {kind} in namespace {:?}; it has to be of resource.k8s.io/v1",
                    facts.namespace.name
                )))
                .may_arrive();
            continue;
        };
        for request in known.requests.iter().filter(|request| request.admin) {
            report
                .violated(
                    at(key.clone()),
                    format!(
                        "asks for devices that others hold, by adminAccess of request {:?}",
                        request.name
                    ),
                )
                .under(&["CoP-6.1", "CoP-6.2-n1"])
                .fix(Fix::Text("name a claim without adminAccess".to_owned()));
        }
    }
}

#[cfg(test)]
#[path = "tests/pod_hardened.rs"]
mod tests;
