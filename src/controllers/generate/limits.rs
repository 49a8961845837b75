//! The limits of a declaration as a policy of Envoy Gateway, for the routes that lead to its Services. Pure.

use serde_json::{Value, json};

use super::Kinds;
use crate::api::AIWorkload;
use crate::api::workload::{Exposure, RateKey, RateLimit};
use crate::policy::facts::Namespace;
use crate::policy::selector;

/// Routes that one policy names: Envoy Gateway takes no more.
const ROUTES: usize = 16;

/// The exposures that ask for a policy by naming `BackendTrafficPolicy/` and the name of the workload as what limits them.
fn asking(workload: &AIWorkload) -> Vec<&Exposure> {
    let name = workload.metadata.name.as_deref();
    let named = |exposure: &&Exposure| {
        let by = exposure.configured_by.as_deref();
        by.and_then(|by| by.strip_prefix("BackendTrafficPolicy/")).is_some_and(|by| Some(by) == name)
    };
    workload.spec.exposure.iter().filter(named).collect()
}

/// Why there is no policy though one is asked for, as a sentence.
pub(super) fn missing(workload: &AIWorkload, namespace: &Namespace, kinds: Kinds) -> Option<String> {
    let exposures = asking(workload);
    let why = if exposures.is_empty() {
        return None;
    } else if !kinds.traffic_policies {
        "this cluster has no such kind"
    } else if exposures.iter().all(|exposure| exposure.rate_limit.is_none()) {
        "no exposure that names it says rateLimit"
    } else if routes(workload, namespace).is_empty() {
        "no route of this namespace leads to a Service of the workload"
    } else {
        return None;
    };
    let name = workload.metadata.name.as_deref().unwrap_or_default();
    Some(format!("BackendTrafficPolicy {name:?}, which spec.exposure asks for, is not made: {why}"))
}

/// The specification of the policy; nothing where no exposure asks for one, or where no route leads to it.
pub(super) fn build(workload: &AIWorkload, namespace: &Namespace) -> Option<Value> {
    let exposures = asking(workload);
    // Of several the strictest holds for all: one policy speaks for each route.
    let limits = exposures.iter().filter_map(|exposure| exposure.rate_limit.as_ref());
    let limit = limits.min_by(|a, b| (a.requests * b.per.seconds()).cmp(&(b.requests * a.per.seconds())))?;
    let timeout = exposures.iter().filter_map(|exposure| exposure.timeout_seconds).min();
    let targets = routes(workload, namespace);
    if targets.is_empty() {
        return None;
    }
    let mut spec = json!({
        "targetRefs": targets,
        "rateLimit": {"type": "Local", "local": {"rules": rules(limit)}},
    });
    if let Some(timeout) = timeout {
        spec["timeout"] = json!({"http": {"requestTimeout": format!("{timeout}s")}});
    }
    Some(spec)
}

/// The routes of the namespace that lead to Services of the workload.
fn routes(workload: &AIWorkload, namespace: &Namespace) -> Vec<Value> {
    let own = namespace.services.iter().filter(|(_, service)| {
        !service.selector.is_empty()
            && selector::contains(&service.selector, &workload.spec.selector.match_labels)
    });
    let own: Vec<&String> = own.map(|(name, _)| name).collect();
    let leads = namespace
        .routes
        .iter()
        .filter(|(_, route)| own.iter().any(|service| route.leads_to(&namespace.name, service, true)));
    leads
        .filter_map(|(key, _)| key.split_once('/'))
        .map(|(kind, name)| json!({"group": "gateway.networking.k8s.io", "kind": kind, "name": name}))
        .take(ROUTES)
        .collect()
}

/// One rule for all callers together, or one for each address, of both families.
fn rules(limit: &RateLimit) -> Vec<Value> {
    let value = json!({"requests": limit.requests, "unit": limit.per.unit()});
    if matches!(limit.key, None | Some(RateKey::Global)) {
        return vec![json!({"limit": value})];
    }
    let each = |range: &str| json!({"clientSelectors": [{"sourceCIDR": {"type": "Distinct", "value": range}}], "limit": value});
    vec![each("0.0.0.0/0"), each("::/0")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::facts::{Route, Service};
    use crate::policy::testing::{Bench, read};

    fn bench(by: &str) -> Bench {
        let mut bench = Bench::new("production", "internal").workload(&json!({"exposure": [
            {"name": "api", "port": 8080, "configuredBy": by, "timeoutSeconds": 30,
             "rateLimit": {"requests": 60, "per": "minute", "key": "client"}}]}));
        let service = Service { selector: read(json!({"app": "chat"})), ..Service::default() };
        bench.namespace.services.insert("chat".to_owned(), service);
        let route = Route { backends: vec![(None, "chat".to_owned())], ..Route::default() };
        bench.namespace.routes.insert("HTTPRoute/in".to_owned(), route);
        bench.namespace.routes.insert("HTTPRoute/other".to_owned(), Route::default());
        bench
    }

    #[test]
    fn limits_follow_the_declaration_where_it_asks_for_them() {
        let built = |bench: &Bench| build(&bench.namespace.workloads["chat"], &bench.namespace);
        let asked = built(&bench("BackendTrafficPolicy/chat")).unwrap();
        assert_eq!(
            asked["targetRefs"],
            json!([{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "in"}])
        );
        let rules = &asked["rateLimit"]["local"]["rules"];
        assert_eq!(rules[0]["limit"], json!({"requests": 60, "unit": "Minute"}));
        assert_eq!(rules[1]["clientSelectors"][0]["sourceCIDR"]["value"], "::/0");
        assert_eq!(asked["timeout"]["http"]["requestTimeout"], "30s");
        assert_eq!(built(&bench("HTTPRoute/in")), None, "whoever names a route keeps the limits himself");
        assert_eq!(built(&bench("BackendTrafficPolicy/own")), None);
        let mut away = bench("BackendTrafficPolicy/chat");
        away.namespace.routes.clear();
        assert_eq!(built(&away), None);
    }

    #[test]
    fn what_is_asked_for_and_not_made_is_said() {
        let kinds = Kinds { traffic_policies: true, ..Kinds::default() };
        let said =
            |bench: &Bench, kinds| missing(&bench.namespace.workloads["chat"], &bench.namespace, kinds);
        let asked = bench("BackendTrafficPolicy/chat");
        assert_eq!(said(&asked, kinds), None);
        assert_eq!(said(&bench("HTTPRoute/in"), Kinds::default()), None);
        let without = said(&asked, Kinds::default()).unwrap();
        assert!(without.ends_with("is not made: this cluster has no such kind"), "{without}");
        let mut away = bench("BackendTrafficPolicy/chat");
        away.namespace.routes.clear();
        assert!(said(&away, kinds).unwrap().contains("no route of this namespace"));
        let silent = Bench::new("production", "internal").workload(&json!({"exposure": [
            {"name": "api", "port": 8080, "configuredBy": "BackendTrafficPolicy/chat"}]}));
        assert!(said(&silent, kinds).unwrap().contains("rateLimit"));
    }
}
