//! What is kept of objects, and what is left out.

use serde_json::json;

use super::super::{Object, World};
use super::*;

fn object(spec: &Value) -> DynamicObject {
    let text = json!({"apiVersion": "a/v1", "kind": "K", "metadata": {"name": "a", "namespace": "own"}, "spec": spec});
    serde_json::from_value(text).unwrap()
}

#[test]
fn a_route_leads_to_backends_and_mirrors() {
    let kept = route(&object(&json!({
        "parentRefs": [{"name": "front"}, {"name": "edge", "namespace": "gateways"}, {"kind": "Service", "name": "mesh"}],
        "rules": [{"backendRefs": [{"name": "chat"}, {"name": "search", "namespace": "other"}, {"kind": "InferencePool", "name": "x"}],
                   "filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "copy"}}}]}, {}]})));
    let names: Vec<&str> = kept.backends.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!((names, kept.gateways), (vec!["chat", "copy", "search"], vec!["front".to_owned()]));
    assert!(kept.backends.contains(&(Some("other".to_owned()), "search".to_owned())));
    assert_eq!(route(&object(&json!("nonsense"))), facts::Route::default());
}

#[test]
fn claims_of_devices_are_read_alike_in_each_form() {
    let exact = json!({"name": "a", "exactly": {"deviceClassName": "gpu", "count": 2, "adminAccess": true}});
    let first = json!({"name": "b", "firstAvailable": [{"count": 1}, {"count": 4}]});
    let all = json!({"name": "c", "exactly": {"allocationMode": "All"}});
    let either = json!({"name": "d", "firstAvailable": [{"count": 1}, {"allocationMode": "All"}]});
    let devices = json!({"devices": {"requests": [exact, first, all, either]}});
    let kept = device_claim(&object(&devices));
    assert_eq!(kept, device_claim(&object(&json!({"spec": devices}))));
    let short: Vec<_> = kept.requests.iter().map(|r| (r.name.as_str(), r.count, r.admin)).collect();
    assert_eq!(short, [("a", Some(2), true), ("b", Some(4), false), ("c", None, false), ("d", None, false)]);
    assert_eq!(kept.requests[0].classes, ["gpu"]);
    assert_eq!(device_claim(&object(&json!(3))), facts::DeviceClaim::default());
}

#[test]
fn a_listener_says_whether_it_takes_calls_in_the_clear() {
    let kept = gateway(&object(&json!({"listeners": [{"name": "web", "port": 80, "protocol": "HTTP"},
        {"name": "tls", "port": 443, "protocol": "HTTPS"}, {"port": 9, "protocol": "HTTP"}]})));
    let said: Vec<_> = kept.listeners.iter().map(|l| (l.name.as_str(), l.port, l.clear)).collect();
    assert_eq!(said, [("web", 80, true), ("tls", 443, false)]);
}

#[test]
fn a_limit_that_some_escape_is_none() {
    let rates = |rule: Value| {
        traffic_policy(&object(&json!({"targetRef": {"kind": "HTTPRoute", "name": "chat"},
                                      "rateLimit": {"local": {"rules": [rule]}}})))
    };
    let limit = json!({"requests": 5, "unit": "Minute"});
    let all = rates(json!({"limit": limit}));
    assert_eq!((all.rates, all.targets), (vec![(5, 60)], vec!["HTTPRoute/chat".to_owned()]));
    let each =
        json!({"limit": limit, "clientSelectors": [{"headers": [{"type": "Distinct", "name": "x-user"}]}]});
    assert_eq!(rates(each).rates, [(5, 60)]);
    let some = json!({"limit": limit, "clientSelectors": [{"headers": [{"type": "Exact", "name": "x", "value": "y"}]}]});
    assert!(rates(some).rates.is_empty());
    assert!(rates(json!({"limit": {"requests": 5, "unit": "Year"}})).rates.is_empty());
    assert!(rates(json!({"limit": limit, "shadowMode": true})).rates.is_empty());
    assert!(
        rates(json!({"limit": limit, "cost": {"request": {"from": "Number", "number": 0}}})).rates.is_empty()
    );
    assert_eq!(
        rates(json!({"limit": limit, "cost": {"request": {"from": "Number", "number": 2}}})).rates,
        [(5, 60)]
    );
}

#[test]
fn spans_are_read_as_gateways_write_them() {
    for (text, wanted) in
        [("30s", Some(30)), ("1m30s", Some(90)), ("1.5h", Some(5400)), ("100ms", Some(1)), ("0s", Some(0))]
    {
        assert_eq!(span(text), wanted, "{text}");
    }
    assert!(span("30").is_none() && span("x").is_none() && span("1y").is_none());
}

#[test]
fn a_grant_is_read_for_routes_and_services_alone() {
    let from = |group: &str, kind: &str| json!({"group": group, "kind": kind, "namespace": "front"});
    let gateway = "gateway.networking.k8s.io";
    let kept = route_grant(&object(&json!({
        "from": [from(gateway, "HTTPRoute"), from("x.example", "GRPCRoute")],
        "to": [{"group": "", "kind": "Service", "name": "chat"}, {"group": "", "kind": "Secret"}]})));
    assert!(kept.allows("HTTPRoute", "front", "chat"));
    assert!(!kept.allows("GRPCRoute", "front", "chat") && !kept.allows("HTTPRoute", "back", "chat"));
    assert!(!kept.allows("HTTPRoute", "front", "search"));
    let all = route_grant(&object(
        &json!({"from": [from(gateway, "HTTPRoute")], "to": [{"group": "", "kind": "Service"}]}),
    ));
    assert!(all.allows("HTTPRoute", "front", "search"));
    let secrets =
        route_grant(&object(&json!({"from": [from(gateway, "HTTPRoute")], "to": [{"kind": "Secret"}]})));
    assert!(!secrets.allows("HTTPRoute", "front", "chat"));
}

#[test]
fn who_wrote_an_asset_and_what_it_was_is_kept_of_its_status() {
    let mut world = World::default();
    let status = |history: Value| json!({"conditions": [], "history": history});
    let model = |status: Value| {
        let object = json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AIModel",
            "metadata": {"name": "m", "namespace": "a"}, "spec": {}, "status": status});
        Object::Model(Box::new(serde_json::from_value(object).unwrap()))
    };
    let ada = json!({"at": "2026-01-01T00:00:00Z", "user": "ada", "version": "1", "hash": "00"});
    let bob = json!({"at": "2026-01-02T00:00:00Z", "user": "bob", "version": "2", "hash": "11"});
    world.apply(model(status(json!([ada]))));
    let touched = world.apply(model(status(json!([ada, bob]))));
    assert!(touched.namespaces.contains("a"), "who wrote it last is news");
    let kept = world.namespace("a").models["m"].status.as_ref().unwrap();
    let users: Vec<_> = kept.history.iter().map(|entry| entry.user.as_deref().unwrap()).collect();
    assert_eq!(users, ["ada", "bob"]);
    world.apply(model(status(json!([]))));
    assert!(world.namespace("a").models["m"].status.is_none());
}
