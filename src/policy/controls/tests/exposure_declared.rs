//! What `exposure-declared` finds, and what it lets pass.

use std::sync::Arc;

use serde_json::{Value, json};

use super::CONTROL;
use crate::api::workload::WorkloadType;
use crate::policy::facts::{Ingress, Route, RouteGrant, Service, ServicePort, Subject, Way};
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
fn a_port_for_figures_is_named_as_such() {
    let fix = |metrics: &Value, outside: Option<&'static str>| {
        let spec = json!({"exposure": [api()], "monitoring": {"metrics": metrics}});
        let bench = Bench::new("production", "internal").workload(&spec);
        let port = |target: &str| ServicePort {
            name: target.to_owned(),
            port: 9090,
            target: Some(target.to_owned()),
        };
        let service = Service {
            ports: vec![port("8080"), port("9090")],
            selector: read(json!({"app": "chat"})),
            outside,
            ..Service::default()
        };
        let found = bench.judge(&CONTROL, Subject::Way(Way::Service("chat", &service)));
        let of_port = found.iter().find(|finding| finding.place.to_string().contains("spec.ports[1]"));
        of_port.unwrap().fix.as_ref().unwrap().to_string()
    };
    let said = "set spec.ports[1].targetPort: metrics if it is for figures, or declare the port";
    let metrics = json!({"port": "metrics"});
    assert!(fix(&metrics, None).contains(said), "{}", fix(&metrics, None));
    for other in [fix(&Value::Null, None), fix(&metrics, Some("NodePort"))] {
        assert!(!other.contains("figures"), "{other}");
    }
}

#[test]
fn what_selects_nothing_is_not_reached_from_outside() {
    let empty = "Service chat-prod/chat spec.selector: is empty, and ";
    let outside = served(&api(), |service| {
        service.selector.clear();
        service.outside = Some("NodePort");
    });
    let line = format!(
        "{empty}NodePort leads to it from outside: it goes to whatever addresses somebody writes [may arrive]"
    );
    assert_lines(&outside.of_workload(&CONTROL), &[&line]);
    let mut led = served(&api(), |service| service.selector.clear());
    let ingress = Ingress { backends: vec!["chat".to_owned()], tls: true, ..Ingress::default() };
    led.namespace.ingresses.insert("front".to_owned(), ingress);
    let line = line.replace("NodePort", "Ingress \"front\"");
    assert_lines(&led.of_workload(&CONTROL), &[&line]);
    let named = served(&api(), |service| {
        service.selector.clear();
        service.external_name = Some("x.example".to_owned());
    });
    assert_lines(&named.of_workload(&CONTROL), &[]);
}

#[test]
fn labels_that_the_cluster_gives_hide_no_port() {
    let found = |selector: Value, target: &str| {
        let bench = Bench::new("production", "internal").workload(&json!({"exposure": [api()]}));
        let service = Service {
            ports: vec![ServicePort { name: String::new(), port: 80, target: Some(target.to_owned()) }],
            selector: read(selector),
            ..Service::default()
        };
        bench.judge(&CONTROL, Subject::Way(Way::Service("chat", &service))).len()
    };
    let hash = json!({"pod-template-hash": "5c6848b455"});
    assert_eq!(found(hash.clone(), "22"), 1);
    assert_eq!(found(hash, "8080"), 0, "it is declared");
    assert_eq!(found(json!({"statefulset.kubernetes.io/pod-name": "chat-0", "app": "chat"}), "22"), 1);
    assert_eq!(found(json!({"statefulset.kubernetes.io/pod-name": "x-0", "app": "search"}), "22"), 0);
    assert_eq!(found(json!({"tier": "db"}), "22"), 0);
    assert_eq!(found(json!({"app": "chat", "version": "2"}), "22"), 1, "some of its pods");
}

#[test]
fn labels_that_the_cluster_gives_hide_no_way_in_from_outside() {
    let mut bench = Bench::new("production", "internal").workload(&json!({"exposure": [api()]}));
    let service = Service {
        ports: vec![ServicePort { name: String::new(), port: 80, target: Some("8080".to_owned()) }],
        selector: read(json!({"pod-template-hash": "5c6848b455"})),
        outside: Some("NodePort"),
        ..Service::default()
    };
    let said = |object: &str| {
        format!("AIWorkload chat-prod/chat spec.exposure[0].authn: asks nobody who he is, though {object}")
    };
    let reached = said("Service chat-prod/open is reached from outside by NodePort");
    assert_lines(&bench.judge(&CONTROL, Subject::Way(Way::Service("open", &service))), &[&reached]);
    let inside = Service { outside: None, ..service };
    bench.namespace.services.insert("inside".to_owned(), inside);
    let ingress = Ingress { backends: vec!["inside".to_owned()], tls: true, ..Ingress::default() };
    let led = said("Ingress chat-prod/in leads to it");
    assert_lines(&bench.judge(&CONTROL, Subject::Way(Way::Ingress("in", &ingress))), &[&led]);
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

#[test]
fn a_route_leads_to_those_who_sign_in() {
    let route = |home: Option<&str>| Route {
        backends: vec![(home.map(str::to_owned), "chat".to_owned())],
        gateways: vec!["front".to_owned()],
        parents: Vec::new(),
    };
    let mut bench = served(&api(), |_| {});
    bench.namespace.routes.insert("HTTPRoute/chat".to_owned(), route(None));
    let said = "AIWorkload chat-prod/chat spec.exposure[0].authn: asks nobody who he is, though HTTPRoute chat-prod/chat leads to it";
    assert_lines(&bench.of_workload(&CONTROL), &[said]);
    // One that leads to a Service of this name in another namespace does not concern us.
    bench.namespace.routes.insert("HTTPRoute/chat".to_owned(), route(Some("other")));
    assert_lines(&bench.of_workload(&CONTROL), &[]);
    // One of another namespace does where it names ours and is let in; anybody may write one.
    bench.cluster.routes_across.insert("front/GRPCRoute/in".to_owned(), route(Some("chat-prod")));
    assert_lines(&bench.of_workload(&CONTROL), &[]);
    let grant = |kind: &str, home: &str, to: Option<&str>| RouteGrant {
        from: vec![(kind.to_owned(), home.to_owned())],
        to: vec![to.map(str::to_owned)],
    };
    for other in [
        grant("HTTPRoute", "front", None),
        grant("GRPCRoute", "back", None),
        grant("GRPCRoute", "front", Some("search")),
        RouteGrant { to: Vec::new(), ..grant("GRPCRoute", "front", None) },
    ] {
        bench.namespace.route_grants.insert("front".to_owned(), other);
        assert_lines(&bench.of_workload(&CONTROL), &[]);
    }
    bench.namespace.route_grants.insert("front".to_owned(), grant("GRPCRoute", "front", Some("chat")));
    let fix = bench.of_workload(&CONTROL)[0].fix.as_ref().unwrap().to_string();
    assert!(fix.contains("kubectl delete referencegrant front -n chat-prod"), "{fix}");
    assert_lines(
        &bench.of_workload(&CONTROL),
        &[
            "AIWorkload chat-prod/chat spec.exposure[0].authn: asks nobody who he is, though GRPCRoute front/in leads to it",
        ],
    );
    let mut signed = api();
    signed["authn"] = json!("oidc");
    let mut bench = served(&signed, |_| {});
    bench.namespace.routes.insert("HTTPRoute/chat".to_owned(), route(None));
    assert_lines(&bench.of_workload(&CONTROL), &[]);
}

#[test]
fn a_way_is_judged_when_it_is_written() {
    let bench = served(&api(), |_| {});
    let open = Service { outside: Some("LoadBalancer"), ..bench.namespace.services["chat"].clone() };
    let written = |name, service: &Service| bench.judge(&CONTROL, Subject::Way(Way::Service(name, service)));
    assert_lines(&written("chat", &bench.namespace.services["chat"]), &[]);
    assert_lines(
        &written("open", &open),
        &[
            "AIWorkload chat-prod/chat spec.exposure[0].authn: asks nobody who he is, though Service chat-prod/open is reached \
           from outside by LoadBalancer",
        ],
    );
    let ingress = Ingress { backends: vec!["chat".to_owned()], tls: true, ..Ingress::default() };
    assert_eq!(bench.judge(&CONTROL, Subject::Way(Way::Ingress("in", &ingress))).len(), 1);
    let elsewhere = Ingress { backends: vec!["search".to_owned()], ..Ingress::default() };
    assert_lines(&bench.judge(&CONTROL, Subject::Way(Way::Ingress("in", &elsewhere))), &[]);
    let route = Route { backends: vec![(None, "chat".to_owned())], ..Route::default() };
    assert_eq!(bench.judge(&CONTROL, Subject::Way(Way::Route("HTTPRoute/in", &route))).len(), 1);
    // A port that is declared for another Service is said to be so.
    let mut other = api();
    other["service"] = json!("chat");
    let bench = served(&other, |_| {});
    let second = bench.namespace.services["chat"].clone();
    assert_lines(
        &bench.judge(&CONTROL, Subject::Way(Way::Service("second", &second))),
        &[
            "Service chat-prod/second spec.ports[0] \"8080\": leads to a port that spec.exposure[0] of AIWorkload chat-prod/chat \
           declares for Service \"chat\" only [may arrive]",
        ],
    );
}

#[test]
fn what_is_reached_from_outside_names_the_labels_of_a_declaration() {
    let exposure = json!({"name": "api", "port": 8080, "audience": "internal"});
    let found = |selector: &Value, target: &str, outside: Option<&'static str>, others: &[Value]| {
        let mut bench = Bench::new("production", "internal").workload(&json!({"exposure": [exposure]}));
        for (number, labels) in others.iter().enumerate() {
            let mut other = (*bench.namespace.workloads["chat"]).clone();
            other.metadata.name = Some(format!("other-{number}"));
            other.spec.selector.match_labels = read(labels.clone());
            other.spec.type_ = WorkloadType::Supporting;
            bench.namespace.workloads.insert(format!("other-{number}"), Arc::new(other));
        }
        let service = Service {
            ports: vec![ServicePort { name: String::new(), port: 80, target: Some(target.to_owned()) }],
            selector: read(selector.clone()),
            outside,
            ..Service::default()
        };
        bench.judge(&CONTROL, Subject::Way(Way::Service("open", &service)))
    };
    let (open, redis) = (Some("LoadBalancer"), json!({"component": "redis"}));
    let strange = found(&json!({"x": "y"}), "8080", open, &[]);
    assert_lines(
        &strange,
        &[
            "AIWorkload chat-prod/chat spec.exposure[0].authn: asks nobody who he is, though Service chat-prod/open is reached \
           from outside by LoadBalancer and may lead to these pods by labels that no AIWorkload declares (x=y)",
        ],
    );
    assert_lines(
        &found(&json!({"x": "y", "pod-template-hash": "5c"}), "22", open, &[]),
        &[
            "Service chat-prod/open spec.ports[0] \"22\": leads to pods by labels that no AIWorkload declares (x=y), so these may \
           be pods of AIWorkload chat-prod/chat, which does not declare this port in spec.exposure [may arrive]",
        ],
    );
    // As the fix has it.
    assert_eq!(found(&json!({"x": "y"}), "22", open, &[json!({"x": "y"})]).len(), 0);
    let hint = "if other pods are meant, declare them as an AIWorkload of type: supporting with these labels in \
         spec.selector.matchLabels, or name the labels of their AIWorkload in spec.selector of Service chat-prod/open too; or ";
    for found in [&strange, &found(&json!({"x": "y"}), "22", open, &[])] {
        let fix = found[0].fix.as_ref().unwrap().to_string();
        assert!(fix.starts_with(hint), "{fix}");
    }
    let known = found(&json!({"app": "chat"}), "8080", open, &[]);
    assert!(!known[0].fix.as_ref().unwrap().to_string().contains("if other pods"), "{known:?}");
    // Labels that the cluster gives are declared by nobody.
    let given = found(&json!({"pod-template-hash": "5c"}), "22", open, &[]);
    let fix = given[0].fix.as_ref().unwrap().to_string();
    assert!(fix.starts_with("if other pods are meant, name their own labels"), "{fix}");
    assert_eq!(found(&redis, "6379", open, &[]).len(), 1);
    // Other pods are meant where it names what is declared of them, and from inside it opens nothing that policies do not.
    assert_eq!(found(&redis, "6379", open, std::slice::from_ref(&redis)).len(), 0);
    assert_eq!(
        found(&json!({"component": "redis", "x": "y"}), "6379", open, std::slice::from_ref(&redis)).len(),
        0
    );
    assert_eq!(found(&json!({"app": "search", "x": "y"}), "8080", open, &[]).len(), 0);
    assert_eq!(found(&redis, "6379", None, &[]).len(), 0);
}

#[test]
fn labels_of_one_declaration_open_no_pods_of_another() {
    let mut bench = served(&api(), |_| {});
    let mut web = (*bench.namespace.workloads["chat"]).clone();
    web.metadata.name = Some("web".to_owned());
    web.spec.selector.match_labels = read(json!({"app": "web", "tier": "front"}));
    let public = |port: u16| json!({"name": "x", "port": port, "audience": "public", "authn": "oidc", "tls": "server"});
    web.spec.exposure = read(json!([public(8080), public(9090)]));
    bench.namespace.workloads.insert("web".to_owned(), Arc::new(web));
    let port =
        |target: &str| ServicePort { name: target.to_owned(), port: 80, target: Some(target.to_owned()) };
    let found = |selector: Value| {
        let service = Service {
            ports: vec![port("8080"), port("9090")],
            selector: read(selector),
            outside: Some("LoadBalancer"),
            ..Service::default()
        };
        bench.judge(&CONTROL, Subject::Way(Way::Service("open", &service)))
    };
    // Some label that both kinds of pods may carry is not enough; all labels of one are.
    let some = found(json!({"tier": "front"}));
    assert!(
        some.iter().any(|finding| finding.place.to_string().starts_with("AIWorkload chat-prod/chat")),
        "{some:?}"
    );
    assert_lines(&found(json!({"app": "web", "tier": "front"})), &[]);
}
