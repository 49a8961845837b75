//! What was generated once and is asked for no more.

use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::{DynamicObject, ObjectMeta};
use kube::{Api, Client};
use serde_json::json;

use super::present::ours;
use super::{Desired, GenerateError, Resource};
use crate::api::common::{ANNOTATION_RELEASED, LABEL_MANAGED_BY, LABEL_WORKLOAD};
use crate::api::workload::{AIWorkload, Manage};
use crate::gather::world::World;

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes: the declaration does not ask for it any more.
    Delete,
    /// It stays and is the owner's from now on: with `manage: Observe` nothing of the operator holds it.
    Release,
}

/// An object under the name of a declaration that does not ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surplus {
    /// Its kind.
    pub resource: Resource,
    /// Its namespace.
    pub namespace: String,
    /// Its name, which is that of the AIWorkload.
    pub name: String,
    /// UID of that AIWorkload.
    pub owner: String,
    /// What becomes of it, if it was generated for that AIWorkload.
    pub fate: Fate,
}

/// What the world shows to be generated under the name of `workload` and is not among `desired`. For whom is seen on the object
/// itself, before anything happens to it.
#[must_use]
pub fn surplus(world: &World, workload: &AIWorkload, desired: &[Desired]) -> Vec<Surplus> {
    let meta = &workload.metadata;
    let (Some(name), Some(namespace), Some(owner)) = (&meta.name, &meta.namespace, &meta.uid) else {
        return Vec::new();
    };
    let fate = if workload.spec.manage == Manage::Observe { Fate::Release } else { Fate::Delete };
    let unasked = |resource: &Resource| {
        !desired.iter().any(|wanted| {
            wanted.resource == *resource && wanted.name == *name && wanted.namespace == *namespace
        })
    };
    // The binding goes before its role.
    [
        Resource::RoleBinding,
        Resource::Role,
        Resource::TrafficPolicy,
        Resource::AlertRule,
        Resource::PodMonitor,
        Resource::NetworkPolicy,
        Resource::ServiceAccount,
    ]
    .into_iter()
    .filter(unasked)
    .filter(|resource| ours(world, *resource, namespace, name))
    .map(|resource| Surplus {
        resource,
        namespace: namespace.clone(),
        name: name.clone(),
        owner: owner.clone(),
        fate,
    })
    .collect()
}

/// Whether an object was generated for the declaration of this name and UID, by its labels and by who owns it.
fn is_ours(meta: &ObjectMeta, name: &str, owner: &str) -> bool {
    let labelled = meta.labels.as_ref().and_then(|labels| labels.get(LABEL_WORKLOAD));
    crate::gather::world::generated(meta)
        && labelled.is_some_and(|of| of == name)
        && meta.owner_references.iter().flatten().any(|of| of.uid == owner && of.controller == Some(true))
}

/// Deletes or releases one object, if it was generated for the declaration. Returns whether it was.
///
/// Guarantees: nothing happens to an object of anybody else, nor to one that has changed since it was looked at.
/// Errors: the API server refused.
pub async fn settle(client: &Client, surplus: &Surplus) -> Result<bool, GenerateError> {
    let Surplus { resource, namespace, name, owner, fate } = surplus;
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource.api_resource());
    let failed = |source| GenerateError::Remove { kind: resource.kind(), name: name.clone(), source };
    let Some(existing) = api.get_metadata_opt(name).await.map_err(failed)? else { return Ok(true) };
    let meta = existing.metadata;
    if !is_ours(&meta, name, owner) {
        return Ok(false);
    }
    let done = match fate {
        Fate::Delete => {
            let same = Preconditions { uid: meta.uid, resource_version: meta.resource_version };
            let parameters = DeleteParams { preconditions: Some(same), ..DeleteParams::default() };
            api.delete(name, &parameters).await.map(drop)
        }
        Fate::Release => {
            let others: Vec<_> =
                meta.owner_references.into_iter().flatten().filter(|of| of.uid != *owner).collect();
            let patch = json!({"metadata": {
                "resourceVersion": meta.resource_version,
                "labels": {LABEL_MANAGED_BY: null, LABEL_WORKLOAD: null},
                // By this it is known again, if the declaration asks for it once more.
                "annotations": {ANNOTATION_RELEASED: owner},
                "ownerReferences": others,
            }});
            api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
        }
    };
    match done {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(true),
        done => done.map(|()| true).map_err(failed),
    }
}

#[cfg(test)]
#[path = "surplus_tests.rs"]
pub(super) mod tests;
