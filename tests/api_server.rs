//! What a real API server makes of the definitions: established, and the same objects refused for the same reasons.
//!
//! Needs `KUBECONFIG`; `e2e/integration.sh` brings an API server up for it.

mod schemas;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::{Request, discovery::ApiResource},
    runtime::wait::{await_condition, conditions},
};
use portcullis::api;
use serde_json::{Value, json};

/// As whom the tests write.
fn writer() -> PatchParams {
    PatchParams::apply("portcullis-tests").force()
}

/// Brings the definitions into the cluster and waits until they serve.
async fn define(client: &Client) -> Result<Vec<ApiResource>> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut kinds = Vec::new();
    for crd in api::all_crds()? {
        let name = crd.name_any();
        definitions.patch(&name, &writer(), &Patch::Apply(&crd)).await.with_context(|| name.clone())?;
        let established = await_condition(definitions.clone(), &name, conditions::is_crd_established());
        tokio::time::timeout(Duration::from_secs(30), established).await.with_context(|| name.clone())??;
        let found = definitions.get(&name).await?;
        for condition in found.status.iter().flat_map(|status| status.conditions.iter().flatten()) {
            ensure!(condition.type_ != "NonStructuralSchema", "{name}: {:?}", condition.message);
        }
        let names = &crd.spec.names;
        kinds.push(ApiResource {
            group: crd.spec.group.clone(),
            version: api::common::VERSION.to_owned(),
            api_version: format!("{}/{}", crd.spec.group, api::common::VERSION),
            kind: names.kind.clone(),
            plural: names.plural.clone(),
        });
    }
    Ok(kinds)
}

/// The endpoint of an object's kind.
fn endpoint(client: &Client, kinds: &[ApiResource], object: &Value) -> Result<(Api<DynamicObject>, String)> {
    let kind = kinds.iter().find(|kind| object["kind"] == json!(kind.kind)).context("kind")?;
    let name = object["metadata"]["name"].as_str().context("name")?.to_owned();
    Ok(match object["metadata"]["namespace"].as_str() {
        Some(namespace) => (Api::namespaced_with(client.clone(), namespace, kind), name),
        None => (Api::all_with(client.clone(), kind), name),
    })
}

/// Writes an object the way kubectl does by default: unknown fields are an error.
async fn write(
    client: &Client,
    endpoint: &Api<DynamicObject>,
    object: &Value,
    how: Write,
) -> Result<Value, kube::Error> {
    let requests = Request::new(endpoint.resource_url());
    let params = PostParams { dry_run: how.dry_run, field_manager: Some("portcullis-tests".to_owned()) };
    let mut object = object.clone();
    let request = match how.replaces {
        None => requests.create(&params, object.to_string().into_bytes()),
        Some(version) => {
            object["metadata"]["resourceVersion"] = json!(version);
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            requests.replace(&name, &params, object.to_string().into_bytes())
        }
    };
    let mut request = request.map_err(kube::Error::BuildRequest)?;
    let strict = format!("{}&fieldValidation=Strict", request.uri());
    if let Ok(strict) = strict.parse() {
        *request.uri_mut() = strict;
    }
    client.request(request).await
}

/// Whether a write is only tried, and which version it replaces.
#[derive(Default)]
struct Write {
    dry_run: bool,
    replaces: Option<String>,
}

/// The version of a stored object.
fn version(stored: &Value) -> Option<String> {
    stored["metadata"]["resourceVersion"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn the_definitions_are_served_and_refuse_what_they_say() -> Result<()> {
    ensure!(std::env::var_os("KUBECONFIG").is_some(), "KUBECONFIG is not set: run e2e/integration.sh");
    let client = Client::try_default().await?;
    let kinds = define(&client).await?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "full"}});
    namespaces.patch("full", &writer(), &Patch::Apply(&namespace)).await?;
    let full = schemas::full()?;

    for (object_name, object) in &full {
        let (endpoint, name) = endpoint(&client, &kinds, object)?;
        let stored =
            write(&client, &endpoint, object, Write::default()).await.with_context(|| object_name.clone())?;
        // What is written once more is no change, so no rule on changes may stop it.
        let again = Write { replaces: version(&stored), ..Write::default() };
        write(&client, &endpoint, object, again).await.with_context(|| format!("{object_name} again"))?;
        endpoint.delete(&name, &DeleteParams::default()).await?;
    }

    for case in schemas::cases()? {
        let (old, new) = case.objects(&full)?;
        let (endpoint, name) = endpoint(&client, &kinds, &new)?;
        let stored = match &old {
            Some(old) => Some(
                write(&client, &endpoint, old, Write::default())
                    .await
                    .with_context(|| format!("{}: before {}", case.object, case.refused))?,
            ),
            None => None,
        };
        let how = Write { dry_run: true, replaces: stored.as_ref().and_then(version) };
        let answer = write(&client, &endpoint, &new, how).await;
        if old.is_some() {
            endpoint.delete(&name, &DeleteParams::default()).await?;
        }
        match answer {
            Err(kube::Error::Api(status)) => {
                // An unknown field is a bad request, everything else an invalid object.
                ensure!(status.code == 422 || case.structural, "{}: {status:?}", case.object);
                ensure!(
                    status.message.contains(&case.refused),
                    "{}: {} instead of {}",
                    case.object,
                    status.message,
                    case.refused
                );
            }
            other => anyhow::bail!("{}: {other:?} instead of {}", case.object, case.refused),
        }
    }

    for file in ["1-namespace", "2-trust-policy", "3-model", "4-workload"] {
        for object in schemas::documents(&format!("manifests/samples/chat-prod/{file}.yaml"))? {
            if object["kind"] == json!("Namespace") {
                let name = object["metadata"]["name"].as_str().context("name")?;
                namespaces.patch(name, &writer(), &Patch::Apply(&object)).await?;
            } else {
                let (endpoint, _) = endpoint(&client, &kinds, &object)?;
                write(&client, &endpoint, &object, Write { dry_run: true, replaces: None })
                    .await
                    .with_context(|| file.to_owned())?;
            }
        }
    }
    Ok(())
}
