//! What `rate-limit-set` finds, and what it lets pass.

use serde_json::{Value, json};

use super::CONTROL;
use crate::policy::testing::{Bench, assert_lines};

fn bench(patch: &Value) -> Bench {
    Bench::new("production", "internal").workload(patch)
}

fn exposed(exposure: &Value) -> Vec<crate::policy::Finding> {
    bench(&json!({"exposure": [exposure]})).of_workload(&CONTROL)
}

#[test]
fn every_limit_is_asked_for() {
    let all = json!({"name": "api", "port": 1, "audience": "internal", "rateLimit": {"requests": 9, "per": "second"},
                     "maxRequestBytes": 1, "timeoutSeconds": 1});
    assert_lines(&exposed(&all.clone()), &[]);
    assert_lines(&exposed(&json!({"name": "api", "port": 1, "audience": "none"})), &[]);
    let found = exposed(&json!({"name": "api", "port": 1}));
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|finding| finding.provisions == ["CoP-4.3"]));
    let mut zero = all;
    zero["rateLimit"]["requests"] = json!(0);
    assert_lines(
        &exposed(&zero),
        &[
            "AIWorkload chat-prod/chat spec.exposure[0].rateLimit: is not set, so whoever reaches exposure \"api\" may use it \
           without bound",
        ],
    );
}

#[test]
fn outside_callers_are_counted_each_by_himself_and_held_back_by_something() {
    let public = json!({"name": "api", "port": 1, "audience": "public", "rateLimit": {"requests": 9, "per": "second", "key": "global"},
                        "maxRequestBytes": 1, "timeoutSeconds": 1});
    let found = exposed(&public.clone());
    assert_lines(
        &found,
        &[
            "AIWorkload chat-prod/chat spec.exposure[0].rateLimit.key: does not count each client by itself, so one can copy the \
             model within the limit of all",
            "AIWorkload chat-prod/chat spec.exposure[0].configuredBy: is not set, so nothing is named that holds outside callers \
             to the limits",
        ],
    );
    assert_eq!(found[0].provisions, ["NCSC-P2.2"]);
    let mut good = public;
    good["rateLimit"]["key"] = json!("client");
    good["configuredBy"] = json!("HTTPRoute/chat");
    assert_lines(&exposed(&good), &[]);
}

#[test]
fn an_ingress_says_no_more_than_the_declaration() {
    let limited = |annotations: Value| {
        let mut bench = bench(
            &json!({"exposure": [{"name": "api", "port": 1, "rateLimit": {"requests": 60, "per": "minute"},
            "maxRequestBytes": 1024, "timeoutSeconds": 1, "configuredBy": "Ingress/chat"}]}),
        );
        let limits = crate::policy::testing::read(annotations);
        let ingress = crate::policy::facts::Ingress { limits, ..crate::policy::facts::Ingress::default() };
        bench.namespace.ingresses.insert("chat".to_owned(), ingress);
        bench.of_workload(&CONTROL)
    };
    assert_lines(&limited(json!({"nginx.ingress.kubernetes.io/limit-rpm": "60"})), &[]);
    assert_lines(&limited(json!({"nginx.ingress.kubernetes.io/limit-rps": "1"})), &[]);
    assert_lines(
        &limited(json!({"nginx.ingress.kubernetes.io/limit-rps": "2"})),
        &[
            "Ingress chat-prod/chat metadata.annotations \"nginx.ingress.kubernetes.io/limit-rps=2\": lets more through than the 60 \
           a minute that AIWorkload chat-prod/chat declares [may arrive]",
        ],
    );
    assert_lines(
        &limited(json!({"nginx.ingress.kubernetes.io/proxy-body-size": "1k"})),
        &[
            "Ingress chat-prod/chat metadata.annotations: limits no rate, as AIWorkload chat-prod/chat says that it does [may arrive]",
        ],
    );
}

#[test]
fn a_gateway_keeps_what_was_declared() {
    use crate::policy::facts::{Route, TrafficPolicy};
    let limited = |rates: &[(i64, i64)], target: &str| {
        let mut bench = bench(
            &json!({"exposure": [{"name": "api", "port": 1, "audience": "internal", "maxRequestBytes": 1,
            "timeoutSeconds": 1, "rateLimit": {"requests": 60, "per": "minute"}, "configuredBy": "HTTPRoute/chat"}]}),
        );
        bench.cluster.has_traffic_policies = true;
        let route = Route { gateways: vec!["front".to_owned()], ..Route::default() };
        bench.namespace.routes.insert("HTTPRoute/chat".to_owned(), route);
        let policy = TrafficPolicy {
            targets: vec![target.to_owned()],
            rates: rates.to_vec(),
            ..TrafficPolicy::default()
        };
        bench.namespace.traffic_policies.insert("limits".to_owned(), policy);
        bench.of_workload(&CONTROL)
    };
    assert_lines(&limited(&[(60, 60)], "HTTPRoute/chat"), &[]);
    assert_lines(&limited(&[(1000, 1), (3600, 3600)], "Gateway/front"), &[]);
    assert_lines(
        &limited(&[(2, 1)], "HTTPRoute/chat"),
        &[
            "BackendTrafficPolicy chat-prod/limits spec.rateLimit: lets more through, while AIWorkload chat-prod/chat declares 60 a \
           minute [may arrive]",
        ],
    );
    assert_lines(
        &limited(&[], "HTTPRoute/chat"),
        &[
            "BackendTrafficPolicy chat-prod/limits spec.rateLimit: limits no rate for every caller, while AIWorkload \
           chat-prod/chat declares 60 a minute [may arrive]",
        ],
    );
    assert_lines(
        &limited(&[(60, 60)], "HTTPRoute/search"),
        &[
            "HTTPRoute chat-prod/chat: has no BackendTrafficPolicy, so nothing keeps the limits that AIWorkload chat-prod/chat \
           declares [may arrive]",
        ],
    );
}
