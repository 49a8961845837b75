//! Where a workload stands in its life: since when it is what it is, and what remains of it when it retires.

use jiff::Timestamp;

use super::stored::Rest;
use crate::api::Environment;
use crate::api::workload::{AIWorkload, LifecycleState, Lineage};
use crate::controllers::trail;
use crate::gather::world::World;
use crate::policy::facts::{Namespace, Service, Via};
use crate::policy::{preview, selector};

/// Since when a workload is what it is, and whether it could be tried before.
pub(super) fn lineage(
    stored: &Rest,
    workload: &AIWorkload,
    namespace: &Namespace,
    world: &World,
    composition: &str,
    now: Timestamp,
) -> Lineage {
    let previewed = || {
        namespace.environment() == Some(Environment::Production)
            && preview::outside(workload).next().is_some()
            && preview::ran(workload, namespace, &world.cluster, &world.settings(namespace), now)
    };
    trail::lineage(stored.lineage.as_ref(), stored.history.as_ref(), composition, previewed, now)
}

/// Objects that a status tells of at most.
const RESIDUE: usize = 16;

/// What remains of a workload that retires: its pods, assets, ways in, rights, claims, identities and keys
/// outside. Secrets are named by it, and not read.
pub(super) fn residue(workload: &AIWorkload, namespace: &Namespace, world: &World, pods: u32) -> Vec<String> {
    if !matches!(workload.state(), LifecycleState::Retiring | LifecycleState::Disposed) {
        return Vec::new();
    }
    let spec = &workload.spec;
    let name = workload.metadata.name.as_deref().unwrap_or_default();
    let mut out = Vec::new();
    if pods > 0 {
        out.push(format!("Pod/{pods}-running"));
    }
    let selects = |service: &Service| {
        !service.selector.is_empty() && selector::contains(&service.selector, &spec.selector.match_labels)
    };
    let services: Vec<&String> =
        namespace.services.iter().filter(|(_, service)| selects(service)).map(|(name, _)| name).collect();
    let ingresses = namespace.ingresses.iter();
    let ingresses =
        ingresses.filter(|(_, ingress)| ingress.backends.iter().any(|backend| services.contains(&backend)));
    out.extend(ingresses.map(|(name, _)| format!("Ingress/{name}")));
    out.extend(services.iter().map(|name| format!("Service/{name}")));
    let used =
        |names: &mut dyn Iterator<Item = &String>, known: &dyn Fn(&str) -> bool, kind: &str| -> Vec<String> {
            names.filter(|name| known(name)).map(|name| format!("{kind}/{name}")).collect()
        };
    out.extend(used(
        &mut spec.models.iter().map(|m| &m.name),
        &|n| namespace.models.contains_key(n),
        "AIModel",
    ));
    out.extend(used(
        &mut spec.prompts.iter().map(|p| &p.name),
        &|n| namespace.prompts.contains_key(n),
        "AIPrompt",
    ));
    let own =
        spec.datasets.iter().filter(|d| d.namespace.as_ref().is_none_or(|other| *other == namespace.name));
    out.extend(used(&mut own.map(|d| &d.name), &|n| namespace.datasets.contains_key(n), "AIDataset"));
    // What reaches every account by a group is nobody's rest.
    let grants =
        world.rbac.grants(&namespace.name, name).into_iter().filter(|grant| grant.via == Via::Account);
    out.extend(grants.map(|grant| match grant.binding.namespace {
        Some(_) => format!("RoleBinding/{}", grant.binding.name),
        None => format!("ClusterRoleBinding/{}", grant.binding.name),
    }));
    out.extend(spec.secrets.iter().map(|secret| format!("Secret/{secret}")));
    let cloud = spec.identity.iter().flat_map(|identity| &identity.cloud_identities);
    out.extend(cloud.map(|identity| format!("CloudIdentity/{}", identity.principal)));
    out.extend(spec.external_apis.iter().map(|api| format!("ExternalApi/{}", api.name)));
    out.sort_unstable();
    out.dedup();
    out.truncate(RESIDUE);
    out
}
