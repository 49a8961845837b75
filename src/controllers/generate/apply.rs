//! Brings about what is to be generated.

use kube::api::{Patch, PatchParams, PostParams};
use kube::core::{DynamicObject, ObjectMeta};
use kube::{Api, Client};
use serde_json::json;

use super::{Desired, GenerateError};
use crate::api::common::{ANNOTATION_RELEASED, LABEL_MANAGED_BY, LABEL_WORKLOAD, MANAGER};
use crate::gather::world::generated;

/// Applies one object.
///
/// What lies under its name already is ours, or is taken back where it was released with `manage: Observe` and is as it was.
/// Errors: the name is taken by any other object, or the API server refused.
pub async fn apply(client: &Client, desired: &Desired) -> Result<(), GenerateError> {
    let kind = desired.resource.kind();
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &desired.namespace, &desired.resource.api_resource());
    let failed = |source| GenerateError::Apply { kind, name: desired.name.clone(), source };
    if let Some(existing) = api.get_opt(&desired.name).await.map_err(failed)?
        && !is_ours(&existing.metadata, desired)
    {
        if !released(&existing.metadata, desired) || !same(&api, &existing, desired).await {
            return Err(taken(desired));
        }
        take_back(&api, &existing, desired).await.map_err(failed)?;
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

fn taken(desired: &Desired) -> GenerateError {
    let name = desired.name.clone();
    if desired.owner.is_none() {
        return GenerateError::NotClosed { name, namespace: desired.namespace.clone() };
    }
    GenerateError::NameTaken { kind: desired.resource.kind(), name }
}

/// Whether it was generated for the same AIWorkload once. Anybody may write so: it has to be the same besides.
fn released(meta: &ObjectMeta, desired: &Desired) -> bool {
    let of = meta.annotations.as_ref().and_then(|annotations| annotations.get(ANNOTATION_RELEASED));
    of.is_some() && of == desired.owner.as_ref()
}

/// Makes it ours as it was looked at. An apply alone would leave the annotation, which another write put there.
async fn take_back(
    api: &Api<DynamicObject>,
    existing: &DynamicObject,
    desired: &Desired,
) -> Result<(), kube::Error> {
    let wanted = &desired.object["metadata"];
    let patch = json!({"metadata": {
        "resourceVersion": existing.metadata.resource_version,
        "annotations": {ANNOTATION_RELEASED: null},
        "labels": wanted["labels"],
        "ownerReferences": wanted["ownerReferences"],
    }});
    let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    api.patch(&desired.name, &parameters, &Patch::Merge(patch)).await.map(drop)
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

/// The annotations, but the one that says that it was released.
fn annotations(meta: &ObjectMeta) -> impl Iterator<Item = (&String, &String)> {
    meta.annotations.iter().flatten().filter(|(key, _)| *key != ANNOTATION_RELEASED)
}

/// The labels that do not say whose it is.
fn labels(meta: &ObjectMeta) -> impl Iterator<Item = (&String, &String)> {
    let whose = |key: &str| key == LABEL_MANAGED_BY || key == LABEL_WORKLOAD;
    meta.labels.iter().flatten().filter(move |(key, _)| !whose(key))
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
