//! `trust-roots-managed`: a signature is worth as much as the care for its key.

use k8s_openapi::api::core::v1::KeyToPath;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use serde_json::json;

use crate::api;
use crate::api::common::{AssetOwners, AssetStatus, Party};
use crate::api::supplier::SupplierStatus;
use crate::api::trust::{Authority, Revocation, RevokedKind};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::facts::{Facts, Place, PodFacts, Subject, Writer};
use crate::policy::fix::Fix;
use crate::policy::owners::{is_account, may_be};

/// Authorities have an owner and an end, and what is revoked runs nowhere.
pub(super) const CONTROL: Control = Control {
    id: "trust-roots-managed",
    title: "keys and identities of the trust policy have an owner, strength and an end, and revocation bites",
    room: Room::SupplyChain,
    wave: 1,
    modes: Modes::all(Mode::Enforce),
    provisions: &["CoP-5.2", "NCSC-V1.2", "NCSC-P2.4"],
    why: "whoever holds an old or weak key can sign anything in your name",
    remedy: "give each authority of the AITrustPolicy an owner, an accepted algorithm and notAfter, and \
        rotate before that date",
    gaps: &[],
    limits: &[
        "what is in a Secret is not read: a signing key is known by the names under which a pod takes it",
        "how a key is kept outside the cluster is not seen",
        "who made an asset is known by its owner and by its history, which keeps 20 entries",
        "a service account, and a member of system:masters or kubeadm:cluster-admins, may write assets and the trust policy",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    match &facts.subject {
        Subject::TrustPolicy(policy, _, writer) => {
            of_policy(facts, policy, report);
            if let Some(writer) = writer {
                written(facts, policy, *writer, report);
            }
        }
        Subject::Model(model) => of_model(facts, model, report),
        Subject::Dataset(dataset) => of_dataset(facts, dataset, report),
        Subject::Prompt(prompt) => of_prompt(facts, prompt, report),
        Subject::Pod(_) => {
            if let Some(pod) = facts.governed_pod() {
                keys(pod, report);
            }
            // Without a policy and without a supplier nothing can be revoked.
            if facts.cluster.trust_policies.is_empty() && facts.cluster.suppliers.is_empty() {
                return;
            }
            let Some((_, workload)) = facts.ai_pod() else { return };
            let own = facts.namespace;
            for model in workload.spec.models.iter().filter_map(|used| own.models.get(&used.name)) {
                of_model(facts, model, report);
            }
            for used in &workload.spec.datasets {
                let place = facts.namespace_named(used.namespace.as_deref());
                if let Some(dataset) = place.and_then(|place| place.datasets.get(&used.name)) {
                    of_dataset(facts, dataset, report);
                }
            }
            for prompt in workload.spec.prompts.iter().filter_map(|used| own.prompts.get(&used.name)) {
                of_prompt(facts, prompt, report);
            }
        }
        _ => {}
    }
}

fn of_policy(facts: &Facts<'_>, policy: &api::AITrustPolicy, report: &mut Report<'_>) {
    let object = format!("AITrustPolicy {}", policy.metadata.name.as_deref().unwrap_or_default());
    for (index, authority) in policy.spec.authorities.iter().enumerate() {
        let place = |field: &str| Place::field(&object, format!("spec.authorities[{index}].{field}"));
        if !authority.owner.as_ref().is_some_and(known) {
            report
                .violated(
                    place("owner"),
                    format!("names no user or group who keeps the key or identity of {:?}", authority.name),
                )
                .under(&["NCSC-P2.4"])
                .fix(
                    Fix::set_at(&place("owner"), "", json!({"group": "GROUP"}))
                        .after("name the user or group who would have to revoke it"),
                );
        }
        ends(facts, authority, &place, report);
    }
}

/// Groups that are set up with the cluster and may do everything.
const ADMINISTRATORS: [&str; 2] = ["system:masters", "kubeadm:cluster-admins"];

/// Whoever makes an asset does not decide whose signature it needs.
fn written(facts: &Facts<'_>, policy: &api::AITrustPolicy, writer: Writer<'_>, report: &mut Report<'_>) {
    // Deployment tools apply what others make, and administrators of the cluster stand above this rule anyway.
    let by_tool =
        is_account(writer.user) || writer.groups.iter().any(|group| ADMINISTRATORS.contains(&group.as_str()));
    let is_theirs = |owners: Option<&AssetOwners>, status: Option<&AssetStatus>| {
        let owner = owners.and_then(|owners| owners.owner.as_ref());
        let owns = owner.is_some_and(|owner| {
            may_be(owner.user.as_deref(), writer.user)
                || owner.group.as_ref().is_some_and(|group| writer.groups.contains(group))
        });
        let made = !by_tool
            && status.is_some_and(|s| s.history.iter().any(|e| may_be(e.user.as_deref(), writer.user)));
        owns || made
    };
    let theirs = facts.cluster.namespaces.values().find_map(|home| {
        let models = home.models.values().map(|o| ("AIModel", &o.metadata, &o.spec.owners, &o.status));
        let data = home.datasets.values().map(|o| ("AIDataset", &o.metadata, &o.spec.owners, &o.status));
        let prompts = home.prompts.values().map(|o| ("AIPrompt", &o.metadata, &o.spec.owners, &o.status));
        let mut all = models.chain(data).chain(prompts);
        all.find(|(.., owners, status)| is_theirs(owners.as_ref(), status.as_ref()))
            .map(|(kind, metadata, ..)| named(kind, metadata))
    });
    let Some(theirs) = theirs else { return };
    report
        .violated(
            Place::object(format!("AITrustPolicy {}", policy.metadata.name.as_deref().unwrap_or_default())),
            format!("is written by {:?}, who made or owns {theirs}: nobody decides whose signature the own work needs", writer.user),
        )
        .under(&["NCSC-P2.4"])
        .fix(Fix::Text("let somebody who keeps trust and makes no models, datasets or prompts apply it".to_owned()));
}

/// Names by which tools for signing take their private keys.
const KEY_VARIABLES: &[&str] = &[
    "COSIGN_PRIVATE_KEY",
    "COSIGN_PASSWORD",
    "COSIGN_KEY",
    "SIGNING_KEY",
    "SIGNING_PRIVATE_KEY",
    "SIGSTORE_KEY",
];
const KEY_FILES: &[&str] =
    &["cosign.key", "import-cosign.key", "cosign.password", "signing.key", "signing-key", "signing-key.pem"];

/// A workload that holds a key can sign in the name of those who answer for it.
fn keys(pod: &PodFacts<'_>, report: &mut Report<'_>) {
    let tell = |report: &mut Report<'_>, path: &str, name: &str, what: &str| {
        report
            .violated(
                pod.at(path).value(name),
                format!("{what} a key to sign with, so whoever takes the pod over can sign in your name"),
            )
            .under(&["NCSC-P2.4"])
            .fix(Fix::Text(
                "sign where artifacts are built, with a key service or by identity, and take the key out of this namespace"
                    .to_owned(),
            ));
    };
    let is_file = |name: &str| KEY_FILES.contains(&name);
    let is_secret = |name: &str| {
        name == "cosign"
            || name.ends_with("-cosign")
            || name.ends_with("signing-key")
            || name.ends_with("cosign-key")
    };
    for (index, volume) in pod.spec.volumes.iter().flatten().enumerate() {
        let mut at = |path: &str, name: Option<&str>, items: Option<&Vec<KeyToPath>>| {
            let item = items.into_iter().flatten().position(|item| is_file(&item.key));
            if let Some(item) = item {
                let path = format!("spec.volumes[{index}].{path}.items[{item}].key");
                let key = items.and_then(|items| items.get(item)).map_or("", |item| item.key.as_str());
                tell(report, &path, key, "is by its name");
            } else if let Some(name) = name.filter(|name| is_secret(name)) {
                let field = if path == "secret" { "secretName" } else { "name" };
                tell(report, &format!("spec.volumes[{index}].{path}.{field}"), name, "holds by its name");
            }
        };
        if let Some(secret) = &volume.secret {
            at("secret", secret.secret_name.as_deref(), secret.items.as_ref());
        }
        let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        for (source, secret) in sources.enumerate().filter_map(|(n, s)| Some((n, s.secret.as_ref()?))) {
            at(
                &format!("projected.sources[{source}].secret"),
                Some(secret.name.as_str()),
                secret.items.as_ref(),
            );
        }
    }
    for container in &pod.containers {
        for (index, variable) in container.env.iter().enumerate() {
            let secret = variable.value_from.as_ref().and_then(|from| from.secret_key_ref.as_ref());
            let Some(secret) = secret else { continue };
            let named = KEY_VARIABLES.iter().any(|end| {
                variable.name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
            });
            if named || is_file(&secret.key) {
                let path = container.path(&format!("env[{index}]"));
                tell(report, &path, &variable.name, "takes by its name");
            }
        }
    }
}

fn known(party: &Party) -> bool {
    [&party.user, &party.group].into_iter().flatten().any(|name| !name.trim().is_empty())
}

/// A key without an end is never replaced; one that has ended signs nothing any more.
fn ends(facts: &Facts<'_>, authority: &Authority, place: &impl Fn(&str) -> Place, report: &mut Report<'_>) {
    let name = &authority.name;
    let replace = || {
        Fix::Text(format!(
            "add a new authority with the new key, sign with it, and remove {name:?} once nothing needs it"
        ))
    };
    match authority.not_after.as_deref() {
        None if authority.keyless.is_some() => {}
        None => {
            report
                .violated(
                    place("notAfter"),
                    format!("is not set, so the key of {name:?} would count for ever"),
                )
                .under(&["NCSC-P2.4"])
                .fix(
                    Fix::set_at(&place("notAfter"), "", "LAST-DAY")
                        .after("name the day by which the key will have been replaced"),
                );
        }
        Some(text) => match dates::until(text) {
            None => {
                report
                    .violated(place("notAfter").value(text), "is no date")
                    .under(&["NCSC-P2.4"])
                    .fix(Fix::set_at(&place("notAfter"), "", "LAST-DAY"));
            }
            Some(end) if end < facts.now => {
                report
                    .violated(
                        place("notAfter").value(text),
                        format!("has passed: signatures of {name:?} count no more"),
                    )
                    .under(&["NCSC-P2.4"])
                    .fix(replace());
            }
            Some(end) => {
                let begins = authority.not_before.as_deref().and_then(dates::from);
                if begins.is_some_and(|begins| begins > end) {
                    report
                        .violated(
                            place("notBefore"),
                            format!("lies after notAfter {text:?}, so {name:?} never counts"),
                        )
                        .under(&["NCSC-P2.4"])
                        .fix(
                            Fix::set_at(&place("notBefore"), "", "YYYY-MM-DD")
                                .after("name the first day of use, before notAfter"),
                        );
                }
            }
        },
    }
    if let Some(text) = authority.rotation_due.as_deref()
        && dates::until(text).is_some_and(|due| due < facts.now)
    {
        report
            .violated(
                place("rotationDue").value(text),
                format!("has passed, and the key of {name:?} is still in use"),
            )
            .under(&["NCSC-P2.4"])
            .fix(replace());
    }
}

/// What a trust policy says of this, if it is revoked.
fn revoked<'a>(facts: &Facts<'a>, kind: RevokedKind, value: &str) -> Option<&'a Revocation> {
    let all = facts.cluster.trust_policies.values().flat_map(|policy| &policy.spec.revoked);
    all.into_iter()
        .find(|revocation| revocation.kind == kind && revocation.value.trim().eq_ignore_ascii_case(value))
}

/// A revocation is an order: what carries a pod that it concerns is refused too, in whatever state the asset is.
fn digest(facts: &Facts<'_>, object: &str, digest: Option<&str>, report: &mut Report<'_>) {
    of_field(facts, (object, "spec.digest"), digest, digest, report);
}

fn of_field(
    facts: &Facts<'_>,
    (object, field): (&str, &str),
    digest: Option<&str>,
    shown: Option<&str>,
    report: &mut Report<'_>,
) {
    let (Some(digest), Some(shown)) = (digest, shown) else { return };
    let Some(revocation) = revoked(facts, RevokedKind::Digest, digest) else { return };
    let why = revocation.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    report
        .violated(Place::field(object, field).value(shown), format!("is revoked{why}"))
        .under(&["CoP-5.2"])
        .fix(Fix::Text("use another version".to_owned()));
}

/// `Kind namespace/name`, as messages write it.
fn named(kind: &str, metadata: &ObjectMeta) -> String {
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    format!("{kind} {namespace}/{}", metadata.name.as_deref().unwrap_or_default())
}

fn of_dataset(facts: &Facts<'_>, dataset: &api::AIDataset, report: &mut Report<'_>) {
    if dataset.spec.digest.is_some() && !facts.cluster.trust_policies.is_empty() {
        digest(facts, &named("AIDataset", &dataset.metadata), dataset.spec.digest.as_deref(), report);
    }
}

fn of_prompt(facts: &Facts<'_>, prompt: &api::AIPrompt, report: &mut Report<'_>) {
    if prompt.spec.digest.is_some() && !facts.cluster.trust_policies.is_empty() {
        digest(facts, &named("AIPrompt", &prompt.metadata), prompt.spec.digest.as_deref(), report);
    }
}

fn of_model(facts: &Facts<'_>, model: &api::AIModel, report: &mut Report<'_>) {
    let object = named("AIModel", &model.metadata);
    let own = model.spec.digest.as_deref();
    digest(facts, &object, own, report);
    // The artifact that holds the files has a digest of its own.
    let reference = model.spec.source.as_ref().and_then(|source| source.reference.as_deref());
    let artifact = reference.and_then(|reference| Some(reference.rsplit_once('@')?.1));
    of_field(
        facts,
        (&object, "spec.source.reference"),
        artifact.filter(|artifact| Some(*artifact) != own),
        reference,
        report,
    );
    let Some(supplier) = model.spec.supplier_ref.as_deref() else { return };
    let revocation = revoked(facts, RevokedKind::Supplier, supplier);
    let status = facts.cluster.suppliers.get(supplier).and_then(|known| known.spec.status);
    let what = match (revocation, status) {
        (Some(revocation), _) => {
            let why = revocation.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("is a supplier whose artifacts are revoked{why}")
        }
        (None, Some(SupplierStatus::Withdrawn)) => {
            "is a supplier that was withdrawn, so what came from it counts as revoked".to_owned()
        }
        _ => return,
    };
    report
        .violated(Place::field(object, "spec.supplierRef").value(supplier), what)
        .under(&["CoP-5.2", "NCSC-V1.2"])
        .fix(Fix::Text("use a model of another supplier".to_owned()));
}

#[cfg(test)]
#[path = "tests/trust_roots_managed.rs"]
mod tests;
