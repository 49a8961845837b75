//! `dedicated-service-account`: each workload has an identity of its own, and no more token than it declares.

use k8s_openapi::api::core::v1::{Volume, VolumeProjection};

use serde_json::json;

use crate::api;
use crate::api::workload::CLOUD_ANNOTATIONS;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::facts::{Facts, Place, PodFacts, ServiceAccount, Stage, Subject};
use crate::policy::fix::Fix;

/// The longest life of a projected token, in seconds.
const LONGEST_TOKEN: i64 = 3600;

/// A pod runs under its own workload's ServiceAccount.
pub(super) const CONTROL: Control = Control {
    id: "dedicated-service-account",
    title: "each AIWorkload runs under its own ServiceAccount, with no API token unless it declares one",
    room: Room::Identity,
    wave: 1,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-2.5", "CoP-6.1", "CoP-2.5-n1"],
    why: "access can be controlled only if each workload has an identity of its own",
    remedy: "set spec.serviceAccountName to the AIWorkload's name and spec.automountServiceAccountToken to false",
    gaps: &[],
    limits: &[
        "a Secret with a token of the account without an end is refused when it is made, by a policy of the API server; one that was \
         there before is not seen, because Secrets are not read",
        "who may create tokens of the account or impersonate it, as the role edit of Kubernetes lets, acts as the workload: a token is \
         given for an hour at most, and an impersonation is not told from the workload itself",
        "an identity that a cloud ties to the account's name, without an annotation, is seen by the cloud alone",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    if let Subject::Workload(workload) = facts.subject {
        return alone(facts, workload, report);
    }
    let (Some(pod), Some(workload)) = (facts.governed_pod(), facts.declaration()) else { return };
    let expected = workload.metadata.name.as_deref().unwrap_or_default();
    account(facts, pod, workload, expected, report);
    token(pod, workload, report);
    foreign_user(facts, pod, workload, report);
}

fn account(
    facts: &Facts<'_>,
    pod: &PodFacts<'_>,
    workload: &api::AIWorkload,
    expected: &str,
    report: &mut Report<'_>,
) {
    let name = pod.identity.account_name;
    if name != expected {
        report
            .violated(
                pod.at("spec.serviceAccountName").value(name),
                format!("is not the identity of {}, which is {expected:?}", Facts::name_of(workload)),
            )
            .fix(Fix::set(format!("{}spec.serviceAccountName", pod.prefix), expected));
        return;
    }
    let generate = workload.spec.manage == api::workload::Manage::Generate;
    match pod.identity.account {
        None => {
            let finding = report.violated(
                Place::object(format!("ServiceAccount {}/{expected}", facts.namespace.name)),
                if generate { "is not generated yet" } else { "does not exist" },
            );
            finding.may_arrive().fix(Fix::Text(if generate {
                format!(
                    "wait a moment and try again: the operator makes it for {owner}; where it does not come, condition Generated \
                     of {owner} says why",
                    owner = Facts::name_of(workload)
                )
            } else {
                format!("`kubectl create serviceaccount {expected} -n {}`, or let the operator make it (spec.manage: Generate)", facts.namespace.name)
            }));
        }
        Some(account) if generate && account.generated_for.as_deref() != Some(expected) => {
            report
                .violated(
                    Place::object(format!("ServiceAccount {}/{expected}", facts.namespace.name)),
                    format!("was not made for {}, so others may hold it too", Facts::name_of(workload)),
                )
                .fix(Fix::Command(format!(
                    "`kubectl delete serviceaccount {expected} -n {}`, and the operator generates its own; what else \
                     used it needs one of another name",
                    facts.namespace.name
                )))
                .may_arrive();
        }
        Some(_) => {}
    }
    if let Some(account) = pod.identity.account {
        cloud(facts, workload, account, report);
    }
}

/// The account takes no identity at a cloud provider that is not declared.
fn cloud(facts: &Facts<'_>, workload: &api::AIWorkload, account: &ServiceAccount, report: &mut Report<'_>) {
    let declared = workload.spec.identity.as_ref().map_or(&[][..], |identity| &identity.cloud_identities);
    for (key, value) in &account.cloud {
        if declared.iter().any(|identity| identity.principal == *value) {
            continue;
        }
        let name = workload.metadata.name.as_deref().unwrap_or_default();
        let namespace = &facts.namespace.name;
        let provider =
            CLOUD_ANNOTATIONS.iter().find(|(_, known)| known == key).map_or("NAME", |known| known.0);
        let identity = workload.spec.identity.as_ref();
        let next = identity.map_or(0, |identity| identity.cloud_identities.len());
        report
            .violated(
                Place::field(
                    format!("ServiceAccount {namespace}/{name}"),
                    format!("metadata.annotations[{key:?}]"),
                )
                .value(value),
                format!("takes an identity at a cloud provider that {} does not declare", Facts::name_of(workload)),
            )
            .under(&["CoP-2.5-n1"])
            .fix(
                Fix::set_at(
                    &Place::field(Facts::name_of(workload), format!("spec.identity.cloudIdentities[{next}]")),
                    "",
                    json!({"provider": provider, "principal": value}),
                )
                .after(format!(
                    "take it away with `kubectl annotate serviceaccount {name} -n {namespace} {key}-`, or declare it"
                )),
            )
            .may_arrive();
    }
}

/// An identity at a cloud provider belongs to one workload.
fn alone(facts: &Facts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let own = workload.spec.identity.as_ref().map_or(&[][..], |identity| &identity.cloud_identities);
    for (index, identity) in own.iter().enumerate() {
        let all = facts.cluster.namespaces.values().flat_map(|namespace| namespace.workloads.values());
        let mut others = all.filter(|other| {
            other.metadata.name != workload.metadata.name
                || other.metadata.namespace != workload.metadata.namespace
        });
        let shared = others.find(|other| {
            let theirs = other.spec.identity.iter().flat_map(|theirs| &theirs.cloud_identities);
            theirs.into_iter().any(|theirs| theirs.principal == identity.principal)
        });
        if let Some(other) = shared {
            report
                .violated(
                    Place::field(
                        Facts::name_of(workload),
                        format!("spec.identity.cloudIdentities[{index}].principal"),
                    )
                    .value(&identity.principal),
                    format!(
                        "is declared by {} too, so the provider cannot tell them apart",
                        Facts::name_of(other)
                    ),
                )
                .under(&["CoP-2.5-n1"])
                .fix(Fix::Text("give each workload an identity of its own at the provider".to_owned()))
                .of_namespace();
        }
    }
}

/// Every way by which an API token reaches a container: the automatic volume and projected volumes.
fn token(pod: &PodFacts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    let declared = workload.spec.identity.as_ref().and_then(|identity| identity.token.as_ref());
    let automatic = pod
        .spec
        .automount_service_account_token
        .unwrap_or_else(|| pod.identity.account.and_then(|account| account.automount).unwrap_or(true));
    if automatic {
        let place = pod.at("spec.automountServiceAccountToken");
        let place =
            if pod.spec.automount_service_account_token.is_some() { place.value("true") } else { place };
        report
            .violated(place, "mounts an API token into every container")
            .fix(Fix::set(format!("{}spec.automountServiceAccountToken", pod.prefix), false));
    }
    for (volume_index, volume) in pod.spec.volumes.iter().flatten().enumerate() {
        // The volume that the automatic mount adds is the fault found above.
        if automatic && volume.name.starts_with("kube-api-access-") {
            continue;
        }
        for (index, projection) in projections(volume) {
            let path = format!("spec.volumes[{volume_index}].projected.sources[{index}].serviceAccountToken");
            projected(pod, &path, projection, declared, report);
        }
    }
}

fn projections(volume: &Volume) -> impl Iterator<Item = (usize, &VolumeProjection)> {
    volume
        .projected
        .iter()
        .flat_map(|projected| projected.sources.iter().flatten())
        .enumerate()
        .filter(|(_, source)| source.service_account_token.is_some())
}

fn projected(
    pod: &PodFacts<'_>,
    path: &str,
    projection: &VolumeProjection,
    declared: Option<&api::workload::TokenRequest>,
    report: &mut Report<'_>,
) {
    let Some(token) = &projection.service_account_token else { return };
    let audience = token.audience.as_deref().unwrap_or_default();
    let Some(declared) = declared else {
        report
            .violated(
                pod.at(path).value(audience),
                "mounts a token that spec.identity.token does not declare",
            )
            .fix(
                Fix::remove_at(&pod.at(path.strip_suffix(".serviceAccountToken").unwrap_or(path)))
                    .after("declare audience and ttlSeconds in spec.identity.token, or do without the token"),
            );
        return;
    };
    // Without an audience the token is for the API server, in the declaration as in the pod.
    let wanted = declared.audience.as_deref().unwrap_or_default();
    if audience != wanted {
        let place = pod.at(format!("{path}.audience")).value(audience);
        let path = format!("{}{path}.audience", pod.prefix);
        if wanted.is_empty() {
            report
                .violated(
                    place,
                    "is not the API server, for which alone spec.identity.token declares a token",
                )
                .fix(Fix::remove(path));
        } else {
            report
                .violated(place, format!("is not the declared audience {wanted:?}"))
                .fix(Fix::set(path, wanted));
        }
    }
    let longest = declared.ttl_seconds.unwrap_or(LONGEST_TOKEN).min(LONGEST_TOKEN);
    let life = token.expiration_seconds.unwrap_or(LONGEST_TOKEN);
    if life > longest {
        report
            .violated(
                pod.at(format!("{path}.expirationSeconds")).value(life.to_string()),
                format!("lives longer than {longest} seconds"),
            )
            .fix(Fix::set(format!("{}{path}.expirationSeconds", pod.prefix), longest));
    }
}

/// A pod of one workload may not borrow the name of another's identity; the reverse of the first rule, for `Observe`.
fn foreign_user(facts: &Facts<'_>, pod: &PodFacts<'_>, workload: &api::AIWorkload, report: &mut Report<'_>) {
    if pod.identity.shared_with.is_empty() || pod.stage == Stage::Carried {
        return;
    }
    report.violated(
        pod.at("spec.serviceAccountName").value(pod.identity.account_name),
        format!(
            "is the identity of AIWorkload {}/{}, not of {}",
            facts.namespace.name,
            pod.identity.shared_with.join(", "),
            Facts::name_of(workload)
        ),
    );
}

#[cfg(test)]
#[path = "tests/dedicated_service_account.rs"]
mod tests;
