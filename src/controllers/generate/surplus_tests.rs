//! What goes when it is asked for no more, and what stays.

use std::sync::{Arc, Mutex};

use hyper::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;
use crate::api::common::MANAGER;
use crate::controllers::generate::{Kinds, build};
use crate::gather::world::Object;

pub(in crate::controllers::generate) fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

pub(in crate::controllers::generate) fn workload(spec: &Value) -> AIWorkload {
    let mut whole = json!({"type": "inference", "selector": {"matchLabels": {"app": "chat"}},
        "roles": ["SystemOperator"], "owners": {"accountable": {"user": "j"}}});
    json_patch::merge(&mut whole, spec);
    read(json!({"metadata": {"name": "chat", "namespace": "chat-prod", "uid": "u-1"}, "spec": whole}))
}

/// A world in which all that `before` asks for is there.
pub(in crate::controllers::generate) fn world(before: &AIWorkload) -> World {
    let mut world = World::default();
    for desired in build(before, world.namespace("chat-prod"), ALL) {
        world.apply(seen(desired.resource, desired.object));
    }
    world
}

/// Every kind that is generated.
pub(in crate::controllers::generate) const ALL: Kinds =
    Kinds { pod_monitors: true, alert_rules: true, traffic_policies: true };

/// An object as a watch shows it.
pub(in crate::controllers::generate) fn seen(resource: Resource, object: Value) -> Object {
    match resource {
        Resource::ServiceAccount => Object::ServiceAccount(read(object)),
        Resource::NetworkPolicy => Object::NetworkPolicy(read(object)),
        Resource::Role => Object::Role(read(object)),
        Resource::RoleBinding => Object::RoleBinding(read(object)),
        Resource::PodMonitor => Object::PodMonitor(read(object)),
        Resource::AlertRule => Object::AlertRule(read(object)),
        Resource::TrafficPolicy => Object::TrafficPolicy(read(object)),
    }
}

pub(in crate::controllers::generate) fn whole() -> Value {
    json!({"identity": {"permissions": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]},
           "monitoring": {"metrics": {"port": "metrics"}}})
}

fn found(world: &World, now: &AIWorkload) -> Vec<(Resource, Fate)> {
    let desired = build(now, world.namespace("chat-prod"), ALL);
    surplus(world, now, &desired).into_iter().map(|one| (one.resource, one.fate)).collect()
}

#[test]
fn what_is_asked_for_no_more_is_found() {
    let mut world = world(&workload(&whole()));
    assert_eq!(found(&world, &workload(&whole())), []);
    let policy = json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "BackendTrafficPolicy",
        "metadata": {"name": "chat", "namespace": "chat-prod", "labels": {LABEL_MANAGED_BY: MANAGER}}, "spec": {}});
    world.apply(Object::TrafficPolicy(read(policy)));
    let less = json!({"monitoring": {"metrics": {"port": "metrics"}}});
    assert_eq!(
        found(&world, &workload(&less)),
        [
            (Resource::RoleBinding, Fate::Delete),
            (Resource::Role, Fate::Delete),
            (Resource::TrafficPolicy, Fate::Delete)
        ]
    );
    let mut stopped = whole();
    stopped["lifecycle"] = json!({"state": "Quarantined"});
    assert!(found(&world, &workload(&stopped)).contains(&(Resource::AlertRule, Fate::Delete)));
    let mut observed = whole();
    observed["manage"] = json!("Observe");
    let all = found(&world, &workload(&observed));
    assert!(all.len() == 7 && all.iter().all(|(_, fate)| *fate == Fate::Release), "{all:?}");
}

#[test]
fn what_is_the_teams_own_is_not_looked_at() {
    let before = workload(&whole());
    let mut world = world(&before);
    for desired in build(&before, world.namespace("chat-prod"), ALL) {
        let mut object = desired.object;
        object["metadata"]["labels"] = json!({});
        world.apply(seen(desired.resource, object));
    }
    let mut observed = whole();
    observed["manage"] = json!("Observe");
    assert_eq!(found(&world, &workload(&observed)), []);
}

/// What the API server was asked while `one` was settled, where it holds an object with this metadata.
async fn asked(one: &Surplus, meta: Value) -> (bool, Vec<(String, Value)>) {
    let (service, mut requests) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Some((request, send)) = requests.next_request().await {
            let method = request.method().to_string();
            let body = request.into_body().collect_bytes().await.unwrap_or_default();
            told.lock().unwrap().push((method, serde_json::from_slice(&body).unwrap_or_default()));
            let object =
                json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": meta});
            send.send_response(Response::new(Body::from(object.to_string().into_bytes())));
        }
    });
    let done = settle(&Client::new(service, "default"), one).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    (done, seen)
}

fn meta(label: &str, uid: &str) -> Value {
    json!({"name": "chat", "namespace": "chat-prod", "uid": "o-1", "resourceVersion": "7",
        "labels": {LABEL_MANAGED_BY: label, LABEL_WORKLOAD: "chat", "team": "a"},
        "ownerReferences": [{"apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload", "name": "chat", "uid": uid,
            "controller": true}]})
}

fn one(fate: Fate) -> Surplus {
    Surplus {
        resource: Resource::TrafficPolicy,
        namespace: "chat-prod".to_owned(),
        name: "chat".to_owned(),
        owner: "u-1".to_owned(),
        fate,
    }
}

#[tokio::test]
async fn only_what_was_generated_for_this_declaration_goes() {
    let (ours, seen) = asked(&one(Fate::Delete), meta(MANAGER, "u-1")).await;
    assert!(ours);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].0, "DELETE");
    assert_eq!(seen[1].1["preconditions"], json!({"uid": "o-1", "resourceVersion": "7"}));
    let mut unowned = meta(MANAGER, "u-1");
    unowned["ownerReferences"] = json!([]);
    let mut other = meta(MANAGER, "u-1");
    other["labels"][LABEL_WORKLOAD] = json!("search");
    for stranger in [meta("helm", "u-1"), meta(MANAGER, "u-0"), unowned, other] {
        let (ours, seen) = asked(&one(Fate::Delete), stranger.clone()).await;
        assert!(!ours && seen.len() == 1, "{stranger}: {seen:?}");
    }
}

#[tokio::test]
async fn what_is_only_observed_is_handed_over() {
    let (ours, seen) = asked(&one(Fate::Release), meta(MANAGER, "u-1")).await;
    assert!(ours);
    assert_eq!(seen[1].0, "PATCH");
    assert_eq!(
        seen[1].1["metadata"],
        json!({"resourceVersion": "7", "labels": {LABEL_MANAGED_BY: null, LABEL_WORKLOAD: null},
            "annotations": {"portcullis.dev/released": "u-1"}, "ownerReferences": []})
    );
}
