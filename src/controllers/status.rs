//! Reading and writing statuses: listed page by page, written once by server-side apply, under one field manager.

use std::fmt::Debug;

use kube::api::{ListParams, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::api::common::MANAGER;

/// Objects that one answer of the API server holds. What a page takes while it is read is many times its text, and is not
/// all given back.
const PAGE: u32 = 20;

/// Hands every object of a kind to `each`, page by page, so that no more than a page is in memory.
///
/// Errors: the API server does not answer, or the list grew too old between two pages; what was handed over stays so.
pub async fn list_all<K>(client: &Client, mut each: impl FnMut(K)) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let api: Api<K> = Api::all(client.clone());
    let mut pages = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&pages).await?;
        page.items.into_iter().for_each(&mut each);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => pages = pages.continue_token(&token),
            None => return Ok(()),
        }
    }
}

/// Applies the status of one object; fields that other managers own stay as they are. False when the object is gone.
///
/// Errors: the API server refuses or does not answer.
pub async fn put_status<K: Resource<DynamicType = ()>>(
    client: &Client,
    namespace: Option<&str>,
    name: &str,
    status: &impl Serialize,
) -> Result<bool, kube::Error> {
    let kind = ApiResource::erase::<K>(&());
    let patch = json!({
        "apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}, "status": status,
    });
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
        None => Api::all_with(client.clone(), &kind),
    };
    let parameters = PatchParams::apply(MANAGER).force();
    match api.patch_status(name, &parameters, &Patch::Apply(&patch)).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error),
    }
}

/// What the API server said, without what the client wraps around it.
#[must_use]
pub fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
