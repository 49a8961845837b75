//! What `exposure-declared` finds, and what it lets pass.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::facts::{Ingress, Service, ServicePort};
use crate::policy::testing::{Bench, assert_lines, read};

fn served(exposure: &Value, change: impl FnOnce(&mut Service)) -> Bench {
    let mut bench = Bench::new("production", "internal").workload(&json!({"exposure": [exposure]}));
    let mut service = Service {
        ports: vec![ServicePort { name: String::new(), port: 80, target: Some("8080".to_owned()) }],
        selector: read(json!({"app": "chat"})),
        ..Service::default()
    };
    change(&mut service);
    bench.namespace.services.insert("chat".to_owned(), service);
    bench
}

fn api() -> Value {
    json!({"name": "api", "port": 8080, "audience": "internal"})
}

#[test]
fn a_service_leads_to_declared_ports_only() {
    assert_lines(&served(&api(), |_| {}).of_workload(&CONTROL), &[]);
    assert_lines(
        &served(&api(), |service| service.ports[0].target = Some("22".to_owned())).of_workload(&CONTROL),
        &[
            "Service chat-prod/chat spec.ports[0] \"22\": leads to a port of the pods that AIWorkload chat-prod/chat does not \
           declare in spec.exposure [may arrive]",
        ],
    );
    // Another Service's exposure does not count for this one.
    let mut other = api();
    other["service"] = json!("other");
    assert_eq!(served(&other, |_| {}).of_workload(&CONTROL).len(), 1);
    assert_lines(
        &served(&api(), |service| service.selector = read(json!({"app": "search"}))).of_workload(&CONTROL),
        &[],
    );
    // A Service without a selector selects nothing.
    assert_lines(&served(&api(), |service| service.selector.clear()).of_workload(&CONTROL), &[]);
}

#[test]
fn what_is_reached_from_outside_says_for_whom() {
    assert_lines(
        &served(&api(), |service| service.outside = Some("NodePort")).of_workload(&CONTROL),
        &[
            "AIWorkload chat-prod/chat spec.exposure[0].authn: asks nobody who he is, though Service chat-prod/chat is reached \
           from outside by NodePort",
        ],
    );
    let unnamed = json!({"name": "api", "port": 8080});
    assert_lines(
        &served(&unnamed, |service| service.outside = Some("externalIPs")).of_workload(&CONTROL),
        &[
            "AIWorkload chat-prod/chat spec.exposure[0].audience \"\": names nobody who may come, though Service chat-prod/chat is \
           reached from outside by externalIPs",
        ],
    );
    let public = json!({"name": "api", "port": 8080, "audience": "public"});
    assert_eq!(served(&public, |_| {}).of_workload(&CONTROL).len(), 2);
    let good = json!({"name": "api", "port": 8080, "audience": "public", "authn": "oidc", "tls": "server"});
    assert_lines(&served(&good, |service| service.outside = Some("LoadBalancer")).of_workload(&CONTROL), &[]);
}

#[test]
fn an_ingress_takes_tls() {
    let mut exposure = api();
    exposure["authn"] = json!("oidc");
    let mut bench = served(&exposure, |_| {});
    let ingress = |tls| Ingress { backends: vec!["chat".to_owned()], tls, ..Ingress::default() };
    bench.namespace.ingresses.insert("chat".to_owned(), ingress(true));
    assert_lines(&bench.of_workload(&CONTROL), &[]);
    bench.namespace.ingresses.insert("chat".to_owned(), ingress(false));
    assert_lines(
        &bench.of_workload(&CONTROL),
        &[
            "Ingress chat-prod/chat spec.tls: does not cover every host, so callers can come in the clear [may arrive]",
        ],
    );
}
