//! Who waits is found behind the first page of owners too.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use hyper::http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;
use crate::gather::signatures::ImageQuestion;
use crate::gather::world::Object;
use crate::policy::ALL;
use crate::policy::facts::Signature;

/// Nobody asks anybody.
struct Unasked;

impl SignatureSource for Unasked {
    fn signatures<'a>(
        &'a self,
        _: &'a str,
        _: Vec<ImageQuestion>,
        _: Instant,
    ) -> BoxFuture<'a, BTreeMap<String, Signature>> {
        Box::pin(async { BTreeMap::new() })
    }

    fn remembered(&self, _: &str, _: &[ImageQuestion]) -> BTreeMap<String, Signature> {
        BTreeMap::new()
    }
}

/// A `ReplicaSet` that has `has` of its one pod.
fn owner(name: &str, has: u32) -> Value {
    json!({"metadata": {"name": name, "namespace": "chat", "uid": name}, "status": {"replicas": has},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "chat"}},
                 "template": {"metadata": {"labels": {"app": "chat"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
}

/// An API server with 501 `ReplicaSets`, of which the last one waits; tells what was asked of it.
fn server(asked: &Arc<Mutex<Vec<String>>>) -> Client {
    let (service, mut requests) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
    let asked = Arc::clone(asked);
    tokio::spawn(async move {
        while let Some((request, send)) = requests.next_request().await {
            let uri = request.uri().to_string();
            let read = request.method() == Method::GET && uri.contains("/replicasets");
            let answer = if read && uri.contains("continue=rest") {
                json!({"metadata": {}, "items": [owner("last", 0)]})
            } else if read {
                let first: Vec<Value> = (0..500).map(|n| owner(&format!("r{n:03}"), 1)).collect();
                json!({"metadata": {"continue": "rest"}, "items": first})
            } else if request.method() == Method::GET {
                json!({"metadata": {}, "items": []})
            } else {
                json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "last", "namespace": "chat"}})
            };
            asked.lock().unwrap().push(format!("{} {uri}", request.method()));
            send.send_response(Response::new(Body::from(answer.to_string().into_bytes())));
        }
    });
    Client::new(service, "default")
}

fn waker(client: Client, world: World) -> Waker {
    Waker {
        client,
        world: Arc::new(RwLock::new(world)),
        signatures: Arc::new(Unasked),
        book: Arc::default(),
        lookout: Arc::new(Lookout::new(true)),
        dirty: Arc::default(),
    }
}

/// A governed namespace with the workload that the owners are of, where `mode` is what happens on every finding.
fn world(mode: &str) -> World {
    let of_all: BTreeMap<&str, Value> =
        ALL.iter().map(|control| (control.id, json!({"production": mode}))).collect();
    let mut world = World::default();
    world.apply(Object::Namespace(read(json!({"metadata": {"name": "chat", "labels": {
        "portcullis.dev/environment": "production", "portcullis.dev/sensitivity": "internal"}}}))));
    world.apply(Object::Workload(read(json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload", "metadata": {"name": "chat", "namespace": "chat"},
        "spec": {"selector": {"matchLabels": {"app": "chat"}}, "type": "supporting",
                 "owners": {"accountable": {"user": "j"}}}}))));
    world.apply(Object::Profile(read(json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIProfile", "metadata": {"name": "own"},
        "spec": {"base": "core", "controls": of_all}}))));
    world
}

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

#[tokio::test]
async fn the_owner_behind_five_hundred_others_is_woken() {
    let asked = Arc::default();
    let waker = waker(server(&asked), world("audit"));
    let pages = waker.look("chat", &mut Woken::new()).await.unwrap();
    assert_eq!(pages, 2);
    let asked = asked.lock().unwrap();
    let woken: Vec<&String> = asked.iter().filter(|request| request.starts_with("PATCH")).collect();
    assert!(woken.len() == 1 && woken[0].contains("/replicasets/last?"), "{asked:?}");
    assert!(waker.lookout.waiting().is_empty());
}

#[tokio::test]
async fn what_is_refused_behind_them_reaches_the_audit() {
    let asked = Arc::default();
    let waker = waker(server(&asked), world("enforce"));
    waker.look("chat", &mut Woken::new()).await.unwrap();
    let waiting = waker.lookout.waiting();
    let decisions = &waiting[&("chat".to_owned(), "chat".to_owned())];
    assert!(decisions.len() == 1 && !decisions[0].allowed(), "{decisions:?}");
    assert!(
        !asked.lock().unwrap().iter().any(|request| request.starts_with("PATCH")),
        "it would be refused again"
    );
}
