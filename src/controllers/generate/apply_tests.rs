//! What is taken back, and what is left to whom it belongs.

use std::sync::{Arc, Mutex};

use hyper::{Request, Response};
use kube::client::Body;
use serde_json::Value;

use super::super::surplus::tests::{ALL, whole, workload};
use super::super::{Resource, build, build_namespace};
use super::*;
use crate::policy::facts::Namespace;

fn role() -> Desired {
    let desired = build(&workload(&whole()), &Namespace::default(), ALL);
    desired.into_iter().find(|one| one.resource == Resource::Role).unwrap()
}

/// `desired` as it lies there after a release to the owner of UID `of`.
fn released(desired: &Desired, of: Option<&str>) -> Value {
    let mut object = desired.object.clone();
    object["metadata"]["labels"] = json!({});
    object["metadata"]["ownerReferences"] = json!([]);
    object["metadata"]["resourceVersion"] = json!("7");
    if let Some(of) = of {
        object["metadata"]["annotations"] = json!({ANNOTATION_RELEASED: of});
    }
    object
}

/// What the API server was asked while `desired` was applied where `existing` lies: method, kind of the body and body.
async fn asked(desired: &Desired, existing: Value) -> (Result<(), GenerateError>, Vec<(String, Value)>) {
    let (service, mut requests) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (told, made) = (Arc::clone(&seen), desired.object.clone());
    tokio::spawn(async move {
        while let Some((request, send)) = requests.next_request().await {
            let of =
                request.headers().get("content-type").and_then(|of| of.to_str().ok()).unwrap_or_default();
            let asked = format!("{} {of}", request.method()).trim().to_owned();
            let answer = if request.method() == "POST" { &made } else { &existing };
            let answer = Response::new(Body::from(answer.to_string().into_bytes()));
            let body = request.into_body().collect_bytes().await.unwrap_or_default();
            told.lock().unwrap().push((asked, serde_json::from_slice(&body).unwrap_or_default()));
            send.send_response(answer);
        }
    });
    let done = apply(&Client::new(service, "default"), desired).await;
    let seen = seen.lock().unwrap().clone();
    (done, seen)
}

#[tokio::test]
async fn what_was_released_is_taken_back_without_its_mark() {
    let role = role();
    let (done, seen) = asked(&role, released(&role, Some("u-1"))).await;
    done.unwrap();
    let asked: Vec<&str> = seen.iter().map(|(asked, _)| asked.as_str()).collect();
    assert_eq!(
        asked,
        [
            "GET",
            "POST application/json",
            "PATCH application/merge-patch+json",
            "PATCH application/apply-patch+yaml"
        ]
    );
    let mut metadata = role.object["metadata"].clone();
    for field in ["name", "namespace"] {
        metadata.as_object_mut().unwrap().remove(field);
    }
    metadata["resourceVersion"] = json!("7");
    metadata["annotations"] = json!({ANNOTATION_RELEASED: null});
    assert_eq!(seen[2].1, json!({ "metadata": metadata }));
}

#[tokio::test]
async fn what_was_not_released_for_this_declaration_is_never_taken_over() {
    let role = role();
    for of in [None, Some(""), Some("u-0")] {
        let (done, seen) = asked(&role, released(&role, of)).await;
        let said = done.unwrap_err().to_string();
        assert_eq!(seen.len(), 1, "{of:?}: {seen:?}");
        assert_eq!(
            said,
            "Role \"chat\" exists and is not what was generated for this AIWorkload: delete it, or set spec.manage: Observe"
        );
    }
}

#[tokio::test]
async fn what_was_changed_since_it_was_released_stays_as_it_is() {
    let role = role();
    let as_released = released(&role, Some("u-1"));
    let mut rules = as_released.clone();
    rules["rules"][0]["verbs"] = json!(["get", "list"]);
    let mut held = as_released.clone();
    held["metadata"]["finalizers"] = json!(["team.example/keep"]);
    let mut noted = as_released.clone();
    noted["metadata"]["annotations"]["team"] = json!("a");
    let mut labelled = as_released.clone();
    labelled["metadata"]["labels"] = json!({"team": "a"});
    for changed in [rules, held, noted, labelled] {
        let (done, seen) = asked(&role, changed.clone()).await;
        assert!(matches!(done, Err(GenerateError::NameTaken { .. })), "{changed}");
        assert!(seen.iter().all(|(asked, _)| !asked.starts_with("PATCH")), "{changed}: {seen:?}");
    }
}

#[tokio::test]
async fn a_network_that_somebody_else_closes_is_told_with_the_way_out() {
    let closed = build_namespace(&Namespace { name: "chat-prod".to_owned(), ..Namespace::default() });
    let (done, seen) = asked(&closed, released(&closed, Some("u-1"))).await;
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(
        done.unwrap_err().to_string(),
        "NetworkPolicy \"portcullis-default-deny\" exists and is not the operator's, which closes the network by its own: \
         `kubectl delete networkpolicy portcullis-default-deny -n chat-prod`"
    );
}
