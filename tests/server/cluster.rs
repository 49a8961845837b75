//! The API server: what is stored in it from fixture to fixture, and what it answers to tries.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::BodyExt as _;
use hyper::{Method, Request};
use kube::Client;
use kube::client::Body;
use portcullis::controllers::generate::{Kinds, build, build_namespace};
use portcullis::gather::objects::CARRIERS;
use portcullis::webhook::tls::install_provider;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::answers::plural;
use super::fixtures::Documented;
use super::{Answer, named};

/// An API server, and what fixtures left in it, by the lane that they ran in.
pub struct Cluster {
    pub client: Client,
    stored: Mutex<BTreeMap<usize, BTreeMap<String, Value>>>,
}

/// Writes of one lane under way at a time.
const WRITES: usize = 8;

/// What came back: status code, body, warnings.
struct Response {
    code: u16,
    body: Value,
    warnings: Vec<String>,
}

impl Cluster {
    /// Connects and brings our definitions, and those of the kinds that carry pods.
    pub async fn connect() -> Self {
        install_provider();
        let client = Client::try_default().await.unwrap();
        let cluster = Self { client, stored: Mutex::default() };
        let mut definitions: Vec<Value> = portcullis::api::all_crds()
            .unwrap()
            .iter()
            .map(|crd| serde_json::to_value(crd).unwrap())
            .collect();
        let foreign = CARRIERS.iter().filter(|carrier| carrier.group.contains('.'));
        definitions.extend(foreign.map(|carrier| definition(carrier.group, "v1", carrier.kind)));
        try_join_all(definitions.iter().map(|definition| cluster.create(definition))).await.unwrap();
        cluster
    }

    /// Stores exactly `wanted` in a lane: takes away what is there beside it and what differs, then creates what is missing.
    pub async fn hold(&self, lane: usize, wanted: impl IntoIterator<Item = Value>) -> Result<(), String> {
        let wanted: BTreeMap<String, Value> =
            wanted.into_iter().map(|object| (key(&object), object)).collect();
        let stored = self.stored.lock().await.insert(lane, wanted.clone()).unwrap_or_default();
        self.turn(stored, wanted).await
    }

    /// Makes what is `stored` what is `wanted`, both by key.
    async fn turn(
        &self,
        mut stored: BTreeMap<String, Value>,
        wanted: BTreeMap<String, Value>,
    ) -> Result<(), String> {
        let mut missing = Vec::new();
        for (name, object) in wanted {
            match stored.get(&name) {
                Some(former) if *former == object => drop(stored.remove(&name)),
                // A namespace stays while its labels change, as the objects in it do.
                Some(_) if object["kind"] == "Namespace" => {
                    self.put(&object).await?;
                    stored.remove(&name);
                }
                _ => missing.push(object),
            }
        }
        // What lies in a namespace goes before the namespace, and comes after it.
        let holds = |object: &Value| {
            matches!(object["kind"].as_str(), Some("Namespace" | "CustomResourceDefinition"))
        };
        let (last, first): (Vec<_>, Vec<_>) = stored.into_values().partition(holds);
        for some in [first, last] {
            let done = stream::iter(&some).map(|object| self.delete(object)).buffer_unordered(WRITES);
            done.try_collect::<()>().await?;
        }
        let (first, last): (Vec<_>, Vec<_>) = missing.into_iter().partition(holds);
        for some in [first, last] {
            let done = stream::iter(&some).map(|object| self.create(object)).buffer_unordered(WRITES);
            done.try_collect::<()>().await?;
        }
        Ok(())
    }

    /// Writes down what the operator would have found out as resting on what is stored now: claims have another UID each
    /// time. For the time when every lane stands: what is read of one that changes is old when it is written.
    pub async fn found(&self) -> Result<(), String> {
        let ours = "/apis/portcullis.dev/v1alpha1";
        let mut objects = Vec::new();
        for (path, version, kind) in [
            (format!("{ours}/aimodels"), "portcullis.dev/v1alpha1", "AIModel"),
            (format!("{ours}/aidatasets"), "portcullis.dev/v1alpha1", "AIDataset"),
            (format!("{ours}/aitrustpolicies"), "portcullis.dev/v1alpha1", "AITrustPolicy"),
            ("/api/v1/persistentvolumeclaims".to_owned(), "v1", "PersistentVolumeClaim"),
        ] {
            let list = self.send(Method::GET, &path, None, None).await.body;
            for object in list["items"].as_array().into_iter().flatten() {
                let mut object = object.clone();
                object["apiVersion"] = version.into();
                object["kind"] = kind.into();
                objects.push(object);
            }
        }
        let mut world = Documented { objects: objects.clone(), signatures: Value::Null };
        world.rest();
        let changed = objects.iter().zip(&world.objects).filter(|(before, after)| before != after);
        let found = changed.map(|(_, object)| {
            let metadata = &object["metadata"];
            json!({"apiVersion": object["apiVersion"], "kind": object["kind"],
                   "status": object["status"],
                   "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]}})
        });
        let found: Vec<Value> = found.collect();
        let done =
            stream::iter(&found).map(|object| self.apply_at(object, "/status")).buffer_unordered(WRITES);
        done.try_collect::<()>().await
    }

    /// Puts `object` in the place of the one of its name.
    pub async fn replace(&self, object: &Value) -> Result<(), String> {
        self.delete(object).await?;
        let former = super::steps(object).0;
        if former != *object {
            self.create(&former).await?;
            return self.apply(object).await;
        }
        self.create(object).await
    }

    /// Stores a new object.
    pub async fn create(&self, object: &Value) -> Result<(), String> {
        let former = super::steps(object).0;
        let begun = Instant::now();
        loop {
            let made = self.send(Method::POST, &collection(object), Some(&former), None).await;
            match made.code {
                200..300 => break,
                // A kind is served a moment after its definition was taken.
                404 | 409 if begun.elapsed() < Duration::from_secs(20) => {
                    sleep(Duration::from_millis(20)).await;
                }
                _ => return Err(format!("{}: {}", named(object), made.body["message"])),
            }
        }
        if former != *object {
            self.apply(object).await?;
        }
        // What the operator would have found out is written beside the rest.
        if is_found(object) {
            self.apply_at(object, "/status").await?;
        }
        if object["kind"] == "CustomResourceDefinition" {
            self.served(object, true).await?;
        }
        Ok(())
    }

    /// Waits until a kind is served, or is served no more.
    async fn served(&self, definition: &Value, wanted: bool) -> Result<(), String> {
        let spec = &definition["spec"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let path = format!(
            "/apis/{}/{}/{}?limit=1",
            text(&spec["group"]),
            text(&spec["versions"][0]["name"]),
            text(&spec["names"]["plural"])
        );
        let begun = Instant::now();
        while (self.send(Method::GET, &path, None, None).await.code == 200) != wanted {
            if begun.elapsed() > Duration::from_secs(30) {
                return Err(format!("{}: served is not {wanted}", named(definition)));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Whole, because applying takes no label away that came with the creation.
    async fn put(&self, object: &Value) -> Result<(), String> {
        let done = self.send(Method::PUT, &place(object), Some(object), None).await;
        if done.code < 300 { Ok(()) } else { Err(format!("{}: {}", named(object), done.body["message"])) }
    }

    async fn apply(&self, object: &Value) -> Result<(), String> {
        self.apply_at(object, "").await
    }

    async fn apply_at(&self, object: &Value, part: &str) -> Result<(), String> {
        let path = format!("{}{part}?fieldManager=portcullis-tests&force=true", place(object));
        let done = self.send(Method::PATCH, &path, Some(object), None).await;
        if done.code < 300 { Ok(()) } else { Err(format!("{}: {}", named(object), done.body["message"])) }
    }

    async fn delete(&self, object: &Value) -> Result<(), String> {
        let done = self.send(Method::DELETE, &place(object), None, None).await;
        if object["kind"] == "Namespace" {
            // Nobody finalizes namespaces here.
            let mut found = self.send(Method::GET, &place(object), None, None).await.body;
            found["spec"]["finalizers"] = json!([]);
            self.send(Method::PUT, &format!("{}/finalize", place(object)), Some(&found), None).await;
        }
        if object["kind"] == "PersistentVolume" {
            // Nor does anybody see that no claim holds a volume.
            let mut found = self.send(Method::GET, &place(object), None, None).await.body;
            if found["metadata"]["finalizers"].is_array() {
                found["metadata"]["finalizers"] = json!([]);
                self.send(Method::PUT, &place(object), Some(&found), None).await;
            }
        }
        if object["kind"] == "CustomResourceDefinition" {
            self.served(object, false).await?;
        }
        if done.code < 300 || done.code == 404 {
            Ok(())
        } else {
            Err(format!("{}: {}", named(object), done.body["message"]))
        }
    }

    /// What the API server answers when `user` creates the object, or updates it; nothing is stored.
    pub async fn dry_run(&self, object: &Value, user: &str, update: bool) -> Result<Answer, String> {
        let end = "dryRun=All&fieldManager=portcullis-tests";
        let done = if update {
            self.send(Method::PATCH, &format!("{}?force=true&{end}", place(object)), Some(object), Some(user))
                .await
        } else {
            self.send(Method::POST, &format!("{}?{end}", collection(object)), Some(object), Some(user)).await
        };
        let ours = |warning: &String| warning.starts_with('[');
        let warnings = done.warnings.into_iter().filter(ours).collect();
        let message = done.body["message"].as_str().unwrap_or_default();
        match done.code {
            // Admission came before the server found that the object is there already.
            200..300 => Ok(Answer { warnings, ..Answer::default() }),
            409 if done.body["reason"] == "AlreadyExists" => Ok(Answer { warnings, ..Answer::default() }),
            403 => match message.split_once(" denied the request: ") {
                Some((hook, denial)) if hook.contains(".portcullis.dev\"") => {
                    Ok(Answer { denial: Some(denial.to_owned()), warnings, ..Answer::default() })
                }
                _ => Err(message.to_owned()),
            },
            code => Err(format!("{code} {message}")),
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>, user: Option<&str>) -> Response {
        let content =
            if method == Method::PATCH { "application/apply-patch+yaml" } else { "application/json" };
        let mut request = Request::builder().method(method).uri(path).header("content-type", content);
        if let Some(user) = user {
            request = request.header("impersonate-user", user).header("impersonate-group", "system:masters");
        }
        let request =
            request.body(Body::from(body.map(Value::to_string).unwrap_or_default().into_bytes())).unwrap();
        let response = self.client.send(request).await.unwrap();
        let code = response.status().as_u16();
        let warnings =
            response.headers().get_all("warning").iter().map(|header| text(header.as_bytes())).collect();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Response { code, body: serde_json::from_slice(&bytes).unwrap_or_default(), warnings }
    }
}

/// Whether it says what the operator would have found out.
fn is_found(object: &Value) -> bool {
    ["AIModel", "AIDataset", "AIExemption"].iter().any(|kind| object["kind"] == **kind)
        && object["status"].is_object()
}

/// The text of a header `299 - "text"`.
fn text(header: &[u8]) -> String {
    let header = String::from_utf8_lossy(header);
    let quoted = header.split_once('"').map_or("", |(_, rest)| rest);
    let quoted = quoted.strip_suffix('"').unwrap_or(quoted);
    quoted.replace("\\\"", "\"").replace("\\\\", "\\")
}

/// Group, kind, namespace and name.
pub fn key(object: &Value) -> String {
    format!("{} {} {}", object["apiVersion"], object["metadata"]["namespace"], named(object))
}

fn collection(object: &Value) -> String {
    let version = object["apiVersion"].as_str().unwrap();
    let root = if version.contains('/') { "apis" } else { "api" };
    let kind = plural(object["kind"].as_str().unwrap());
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("/{root}/{version}/namespaces/{namespace}/{kind}"),
        None => format!("/{root}/{version}/{kind}"),
    }
}

fn place(object: &Value) -> String {
    format!("{}/{}", collection(object), object["metadata"]["name"].as_str().unwrap())
}

/// A definition that takes everything.
pub fn definition(group: &str, version: &str, kind: &str) -> Value {
    let plural = plural(kind);
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{group}"),
            // Some of these groups are Kubernetes' own.
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_ascii_lowercase()},
            "versions": [{"name": version, "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

/// What the controller would generate for the declarations of a world.
pub fn generated(world: &Documented) -> Vec<Value> {
    let mut world = world.clone();
    world.objects.retain(|object| !super::carries(object));
    for object in &mut world.objects {
        // Generated objects name their owner by uid; nobody collects what has none here.
        object["metadata"]["uid"] = json!("of-a-file");
    }
    let world = world.manifests().world;
    let kinds = Kinds::of(&world.cluster);
    let governed = world.cluster.namespaces.values().filter(|namespace| namespace.governed());
    governed
        .flat_map(|namespace| {
            let workloads =
                namespace.workloads.values().flat_map(|workload| build(workload, namespace, kinds));
            workloads.chain([build_namespace(namespace)])
        })
        .map(|desired| desired.object)
        .collect()
}
