//! Brings about what is to be generated.

use kube::api::{Patch, PatchParams, PostParams};
use kube::core::{DynamicObject, ObjectMeta};
use kube::{Api, Client};

use super::{Desired, GenerateError};
use crate::api::common::{LABEL_MANAGED_BY, LABEL_WORKLOAD, MANAGER};
use crate::gather::world::generated;

/// Applies one object.
///
/// What lies under its name already is ours, or is taken over where that changes nothing of it but whose it is: so what was
/// released with `manage: Observe` comes back.
/// Errors: the name is taken by an object that is not ours and not the same, or the API server refused.
pub async fn apply(client: &Client, desired: &Desired) -> Result<(), GenerateError> {
    let kind = desired.resource.kind();
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &desired.namespace, &desired.resource.api_resource());
    let failed = |source| GenerateError::Apply { kind, name: desired.name.clone(), source };
    if let Some(existing) = api.get_opt(&desired.name).await.map_err(failed)?
        && !is_ours(&existing.metadata, desired)
        && !same(&api, &existing, desired).await
    {
        return Err(GenerateError::NameTaken { kind, name: desired.name.clone() });
    }
    let parameters = PatchParams::apply(MANAGER).force();
    api.patch(&desired.name, &parameters, &Patch::Apply(&desired.object)).await.map_err(failed)?;
    Ok(())
}

fn is_ours(meta: &ObjectMeta, desired: &Desired) -> bool {
    let owned = match &desired.owner {
        Some(uid) => meta.owner_references.iter().flatten().any(|owner| owner.uid == *uid),
        None => true,
    };
    generated(meta) && owned
}

/// Whether `existing` says what would stand there if it were made now, as the API server completes it, and nothing else, and
/// nobody holds it. A "no" where the API server cannot tell.
async fn same(api: &Api<DynamicObject>, existing: &DynamicObject, desired: &Desired) -> bool {
    let meta = &existing.metadata;
    let held = meta.owner_references.iter().flatten().next().is_some()
        || meta.finalizers.iter().flatten().next().is_some()
        || meta.deletion_timestamp.is_some();
    let Ok(mut fresh) = serde_json::from_value::<DynamicObject>(desired.object.clone()) else { return false };
    fresh.metadata.name = None;
    fresh.metadata.generate_name = Some(format!("{MANAGER}-"));
    if held || !annotations(&fresh.metadata).eq(annotations(meta)) {
        return false;
    }
    let trial = PostParams { dry_run: true, field_manager: Some(MANAGER.to_owned()) };
    api.create(&trial, &fresh)
        .await
        .is_ok_and(|made| made.data == existing.data && labels(&made.metadata).eq(labels(meta)))
}

fn annotations(meta: &ObjectMeta) -> impl Iterator<Item = (&String, &String)> {
    meta.annotations.iter().flatten()
}

/// The labels that do not say whose it is.
fn labels(meta: &ObjectMeta) -> impl Iterator<Item = (&String, &String)> {
    let whose = |key: &str| key == LABEL_MANAGED_BY || key == LABEL_WORKLOAD;
    meta.labels.iter().flatten().filter(move |(key, _)| !whose(key))
}
