//! What a real API server makes of the definitions: established, and the same objects refused for the same reasons.
//!
//! Needs `KUBECONFIG`; `e2e/integration.sh` brings an API server up for it.

mod schemas;

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::{
    api::core::v1::Namespace,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::{
    Api, Client, CustomResourceExt, ResourceExt as _,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::{Request, discovery::ApiResource},
    runtime::wait::{await_condition, conditions},
};
use portcullis::api::{
    self, AIWorkload, Environment, OverallVerdict, State,
    common::{AssetStatus, Verification, VerificationState},
    compliance::{AIComplianceStatus, EndedChain, Summary, WorkloadChain},
    outcome::{Attempt, Blocked, Counters, History, HistoryEntry, HistoryKind, HourlyCount},
    workload::{AIWorkloadStatus, KnownGood, PodCounts, Row},
};
use portcullis::controllers::generate::{
    Desired, Fate, GenerateError, Kinds, Surplus, apply, build, build_namespace, settle,
};
use portcullis::policy::facts;
use serde::{Serialize, de::DeserializeOwned};
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

/// Statuses as the operator writes them: what the types can say, the schemas keep.
async fn statuses_are_stored_whole(client: &Client, full: &BTreeMap<String, Value>) -> Result<()> {
    let (at, digest) = ("2026-11-22T10:00:00Z".to_owned(), format!("sha256:{}", "a".repeat(64)));
    let condition = Condition {
        type_: "Ready".to_owned(),
        status: "False".to_owned(),
        reason: "NameTaken".to_owned(),
        message: "the name is taken".to_owned(),
        last_transition_time: Time(at.parse()?),
        observed_generation: Some(1),
    };
    let blocked = Blocked {
        last24h: 3,
        total: 7,
        hours: vec![HourlyCount { hour: at.clone(), count: 3 }],
        attempts: vec![Attempt {
            control: "image-signature-trusted".to_owned(),
            object: "Pod/chat-7d9-x".to_owned(),
            message: Some("spec.containers[0].image \"r.example/chat\": not signed".to_owned()),
            count: 3,
            first_seen: at.clone(),
            last_seen: at.clone(),
        }],
    };
    let history = full_history(&at, &digest);
    let workload = AIWorkloadStatus {
        observed_generation: Some(1),
        verdict: Some(OverallVerdict::Fail),
        top_reason: Some("image-signature-trusted".to_owned()),
        counters: Some(Counters { pass: 20, fail: 1, ..Counters::default() }),
        pods: Some(PodCounts { total: 2, never_verified: 1 }),
        warned_days: Some(30),
        rows: vec![Row {
            control: "image-signature-trusted".to_owned(),
            state: State::Fail,
            provisions: vec!["CoP-5.2".to_owned(), "CoP-7.1".to_owned()],
            message: Some("not signed".to_owned()),
            object: Some("Deployment/chat".to_owned()),
        }],
        blocked: Some(blocked.clone()),
        composition_digest: Some(digest.clone()),
        lineage: None,
        residue: vec!["Secret/chat".to_owned()],
        history: Some(history.clone()),
        known_good: Some(KnownGood {
            composition_digest: digest.clone(),
            since: at.clone(),
            parts: vec![format!("AIModel/chat-7b@{digest}")],
        }),
        authors: vec!["ada@example.com".to_owned()],
        conditions: vec![condition.clone()],
    };
    let edit = full_edit(&digest);
    let model = AssetStatus {
        observed_generation: Some(1),
        // What was seen without anybody telling of it names nobody.
        history: vec![api::common::HistoryEntry { user: None, ..edit.clone() }, edit],
        verification: Some(Verification {
            digest: Some(digest),
            signature_verified: Some(VerificationState::Verified),
            signature_verified_at: Some(at.clone()),
            authority: Some("acme-ci".to_owned()),
            bytes_verified: Some(VerificationState::Pending),
            ..Verification::default()
        }),
        consumers: vec!["chat-prod/chat".to_owned()],
        conditions: vec![condition.clone()],
        ..AssetStatus::default()
    };
    let compliance = AIComplianceStatus {
        catalogue_version: Some(1),
        last_audit_time: Some(at),
        environment: Some(Environment::Production),
        verdict: Some(OverallVerdict::Fail),
        top_reason: Some("image-signature-trusted".to_owned()),
        summary: Some(Summary { workloads: 1, fail: 1, unknown: 101, ..Summary::default() }),
        blocked: Some(blocked),
        history: Some(history),
        chains: vec![WorkloadChain {
            name: "chat".to_owned(),
            uid: "7bd1ee32-8a2b-4e4e-9c3f-1d0c5a4f9e00".to_owned(),
            length: 1,
            head: "1".repeat(64),
        }],
        ended: vec![EndedChain {
            chain: "AICompliance/chat-old/0f5f1b52-8a2b-4e4e-9c3f-1d0c5a4f9e00".to_owned(),
            length: 2,
            head: "2".repeat(64),
        }],
        by_principle: BTreeMap::from([("draft-5".to_owned(), Counters { fail: 1, ..Counters::default() })]),
        conditions: vec![condition],
        ..AIComplianceStatus::default()
    };
    store(client, full, "AIWorkload/support-chat", workload, |object: api::AIWorkload| object.status).await?;
    store(client, full, "AIModel/chat-7b", model, |object: api::AIModel| object.status).await?;
    store(client, full, "AICompliance/full", compliance, |object: api::AICompliance| object.status).await
}

/// An edit of an asset in which every field says something.
fn full_edit(digest: &str) -> api::common::HistoryEntry {
    api::common::HistoryEntry {
        at: "2026-06-01T12:00:00.123456789Z".to_owned(),
        user: Some("system:serviceaccount:chat:ci".to_owned()),
        version: Some("1.0.0".to_owned()),
        digest: Some(digest.to_owned()),
        generation: Some(1),
        hash: Some("3".repeat(64)),
    }
}

/// A history in which every field says something.
fn full_history(at: &str, digest: &str) -> History {
    History {
        length: 1,
        head: "1".repeat(64),
        parts: Some("model/chat-7b=11111111".to_owned()),
        unexported: Some(1),
        heard: Some("11111111:7".to_owned()),
        entries: vec![HistoryEntry {
            sequence: 1,
            at: at.to_owned(),
            kind: HistoryKind::Verdict,
            change: "pass became fail".to_owned(),
            digest: Some(digest.to_owned()),
            previous: "0".repeat(64),
        }],
    }
}

/// Creates an object, writes its status and reads it back.
async fn store<K, S>(
    client: &Client,
    full: &BTreeMap<String, Value>,
    name: &str,
    status: S,
    of: fn(K) -> Option<S>,
) -> Result<()>
where
    K: CustomResourceExt + DeserializeOwned,
    S: PartialEq + Debug + Serialize,
{
    let object = full.get(name).context("object")?;
    let kind = K::api_resource();
    let (endpoint, name) = endpoint(client, &[kind], object)?;
    endpoint.patch(&name, &writer(), &Patch::Apply(object)).await?;
    let mut written =
        json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": {"name": name}});
    written["status"] = serde_json::to_value(&status)?;
    let stored = endpoint.patch_status(&name, &writer().validation_strict(), &Patch::Apply(&written)).await?;
    let read = of(serde_json::from_value(serde_json::to_value(stored)?)?);
    endpoint.delete(&name, &DeleteParams::default()).await?;
    ensure!(read.as_ref() == Some(&status), "{name}: {read:?}");
    Ok(())
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

    statuses_are_stored_whole(&client, &full).await?;

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

/// A generated object as it is stored, and the way to it.
async fn stored(client: &Client, desired: &Desired) -> Result<(Api<DynamicObject>, DynamicObject)> {
    let kind = desired.resource.kind();
    let version = desired.object["apiVersion"].as_str().context("version")?;
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let kind = ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(group, version, kind));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &desired.namespace, &kind);
    let object = api.get(&desired.name).await?;
    Ok((api, object))
}

async fn release(client: &Client, desired: &Desired) -> Result<()> {
    let one = Surplus {
        resource: desired.resource,
        namespace: desired.namespace.clone(),
        name: desired.name.clone(),
        owner: desired.owner.clone().context("owner")?,
        fate: Fate::Release,
    };
    ensure!(settle(client, &one).await?, "{one:?} is not ours");
    Ok(())
}

/// Whether an object is generated for the owner of this UID, and no mark of a release is left.
fn is_back(object: &DynamicObject, uid: &str) -> bool {
    let meta = &object.metadata;
    let owned = meta.owner_references.iter().flatten().any(|of| of.uid == uid && of.controller == Some(true));
    let labelled = object.labels().get(api::common::LABEL_MANAGED_BY).is_some_and(|by| by == "portcullis");
    owned && labelled && object.annotations().is_empty()
}

#[tokio::test]
async fn what_was_released_comes_back_as_it_was_and_nothing_else_is_taken() -> Result<()> {
    ensure!(std::env::var_os("KUBECONFIG").is_some(), "KUBECONFIG is not set: run e2e/integration.sh");
    let client = Client::try_default().await?;
    define(&client).await?;
    let home = facts::Namespace { name: "taken-back".to_owned(), ..facts::Namespace::default() };
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home.name}});
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.patch(&home.name, &writer(), &Patch::Apply(&namespace)).await?;
    let workload: AIWorkload = serde_json::from_value(json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload",
        "metadata": {"name": "chat", "namespace": home.name},
        "spec": {"type": "inference", "selector": {"matchLabels": {"app": "chat"}}, "roles": ["SystemOperator"],
            "owners": {"accountable": {"user": "j"}},
            "identity": {"permissions": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]}},
    }))?;
    let workloads: Api<AIWorkload> = Api::namespaced(client.clone(), &home.name);
    // Who owns nothing that exists is collected.
    let workload = workloads.create(&PostParams::default(), &workload).await?;
    let uid = workload.uid().context("uid")?;
    let wanted = build(&workload, &home, Kinds::default());
    ensure!(wanted.len() == 4, "{wanted:?}");
    for desired in &wanted {
        apply(&client, desired).await?;
        release(&client, desired).await?;
        let (api, free) = stored(&client, desired).await?;
        ensure!(free.labels().is_empty() && free.owner_references().is_empty(), "{free:?}");
        ensure!(free.annotations().get(api::common::ANNOTATION_RELEASED) == Some(&uid), "{free:?}");
        apply(&client, desired).await?;
        ensure!(is_back(&stored(&client, desired).await?.1, &uid), "{desired:?}");

        // What the team did to it since is the team's.
        release(&client, desired).await?;
        let held = json!({"metadata": {"finalizers": ["team.example/keep"]}});
        api.patch(&desired.name, &PatchParams::default(), &Patch::Merge(held)).await?;
        let taken = apply(&client, desired).await;
        ensure!(matches!(taken, Err(GenerateError::NameTaken { .. })), "{taken:?}");
        let free = json!({"metadata": {"finalizers": null}});
        api.patch(&desired.name, &PatchParams::default(), &Patch::Merge(free)).await?;
        apply(&client, desired).await?;
        ensure!(is_back(&stored(&client, desired).await?.1, &uid), "{desired:?}");

        // The same, written by the team.
        api.delete(&desired.name, &DeleteParams::default()).await?;
        let mut own = desired.object.clone();
        own["metadata"] = json!({"name": desired.name, "namespace": desired.namespace});
        api.create(&PostParams::default(), &serde_json::from_value(own)?).await?;
        let taken = apply(&client, desired).await;
        ensure!(matches!(taken, Err(GenerateError::NameTaken { .. })), "{taken:?}");
        ensure!(stored(&client, desired).await?.1.owner_references().is_empty(), "{desired:?}");
    }
    let closed = build_namespace(&home);
    let mut own = closed.object.clone();
    own["metadata"] = json!({"name": closed.name, "namespace": closed.namespace});
    apply(&client, &closed).await?;
    let (api, _) = stored(&client, &closed).await?;
    api.delete(&closed.name, &DeleteParams::default()).await?;
    api.create(&PostParams::default(), &serde_json::from_value(own)?).await?;
    let taken = apply(&client, &closed).await;
    ensure!(matches!(taken, Err(GenerateError::NotClosed { .. })), "{taken:?}");
    namespaces.delete(&home.name, &DeleteParams::default()).await?;
    Ok(())
}
