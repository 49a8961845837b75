//! `rate-limit-set`: exposures limit rate, size, tokens and time of requests.

use serde_json::json;

use crate::api;
use crate::api::common::Audience;
use crate::api::model::ModelKind;
use crate::api::workload::{Exposure, RateKey};
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::facts::{Facts, Place, Subject, TrafficPolicy};
use crate::policy::fix::Fix;
use crate::policy::quantity::thousandths;
use crate::policy::skeleton;

/// Exposures limit rate, size, tokens and time of requests.
pub(super) const CONTROL: Control = Control {
    id: "rate-limit-set",
    title: "exposures limit rate, size, tokens and time of requests",
    room: Room::RuntimeHardening,
    wave: 2,
    modes: Modes::new(Mode::Enforce, Mode::Enforce, Mode::Warn, Mode::Audit),
    provisions: &["CoP-4.3", "CoP-4.6", "NCSC-P2.2"],
    why: "unlimited queries pay for theft of the model, denial of service and your bill",
    remedy: "set rateLimit, maxRequestBytes, maxTokens and timeoutSeconds on the exposure and the same in \
        the gateway object it names",
    gaps: &[],
    limits: &[
        "limits that a server keeps by itself are taken as declared",
        "a gateway that says nothing of size or time has its own defaults, which are not read",
    ],
    check: Check::Rule(check),
};

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    if !matches!(facts.subject, Subject::Pod(_) | Subject::Workload(_)) {
        return;
    }
    let Some(workload) = facts.ai_workload() else { return };
    let llm = workload.spec.models.iter().any(|used| {
        facts
            .namespace
            .models
            .get(&used.name)
            .is_some_and(|model| model.spec.model_kind == Some(ModelKind::Llm))
    });
    for (index, exposure) in workload.spec.exposure.iter().enumerate() {
        if exposure.audience == Some(Audience::Nobody) {
            continue;
        }
        limits(facts, workload, (index, exposure), llm, report);
        configured(facts, workload, (index, exposure), report);
    }
}

/// Outside audiences are a demand of their own, which no adopter may soften.
fn provisions(exposure: &Exposure) -> &'static [&'static str] {
    if outside(exposure) { &["CoP-4.6", "CoP-4.3"] } else { &["CoP-4.3"] }
}

fn outside(exposure: &Exposure) -> bool {
    matches!(exposure.audience, Some(Audience::Partner | Audience::Public))
}

fn limits(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    (index, exposure): (usize, &Exposure),
    llm: bool,
    report: &mut Report<'_>,
) {
    let positive = |limit: Option<i64>| limit.is_some_and(|limit| limit > 0);
    let rate = exposure.rate_limit.as_ref().is_some_and(|rate| rate.requests > 0);
    let wanted = [
        ("rateLimit", rate, json!({"requests": 60, "per": "minute", "key": "client"})),
        ("maxRequestBytes", positive(exposure.max_request_bytes), json!(32768)),
        ("timeoutSeconds", positive(exposure.timeout_seconds), json!(30)),
        ("maxTokens", !llm || positive(exposure.max_tokens), json!(2048)),
    ];
    for (field, _, example) in wanted.into_iter().filter(|(_, set, _)| !set) {
        let place = Place::field(Facts::name_of(workload), format!("spec.exposure[{index}].{field}"));
        report
            .violated(
                place.clone(),
                format!(
                    "is not set, so whoever reaches exposure {:?} may use it without bound",
                    exposure.name
                ),
            )
            .under(provisions(exposure))
            .fix(
                Fix::set_at(&place, "", example)
                    .after("allow what callers need, such as this, and the same where it is served"),
            )
            .in_declaration(facts);
    }
    let key = exposure.rate_limit.as_ref().map(|rate| rate.key);
    if outside(exposure) && matches!(key, Some(None | Some(RateKey::Global))) {
        let place = Place::field(Facts::name_of(workload), format!("spec.exposure[{index}].rateLimit.key"));
        report
            .violated(
                place.clone(),
                "does not count each client by itself, so one can copy the model within the limit of all",
            )
            .under(&["NCSC-P2.2"])
            .fix(Fix::set_at(&place, "", "client"))
            .in_declaration(facts);
    }
}

/// The Ingress that was named is there and lets no more through than was declared.
fn ingress(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    exposure: &Exposure,
    name: &str,
    report: &mut Report<'_>,
) {
    let object = format!("Ingress {}/{name}", facts.namespace.name);
    let Some(known) = facts.namespace.ingresses.get(name) else {
        not_there(facts, workload, exposure, &format!("Ingress/{name}"), report);
        return;
    };
    for (key, value) in &known.limits {
        let larger = if key.ends_with("proxy-body-size") {
            exceeds(body_size(value), exposure.max_request_bytes)
        } else if key.ends_with("proxy-read-timeout") {
            exceeds(value.trim().trim_end_matches('s').parse().ok(), exposure.timeout_seconds)
        } else {
            continue;
        };
        if let Some(most) = larger {
            let fix = Fix::set_at(
                &Place::field(&object, format!("metadata.annotations[{key:?}]")),
                "",
                most.to_string(),
            );
            let place = Place::field(&object, "metadata.annotations").value(format!("{key}={value}"));
            more(workload, exposure, (place, most), fix, report);
        }
    }
    let Some(declared) = &exposure.rate_limit else { return };
    let seconds = declared.per.seconds();
    let rates = known.limits.iter().filter_map(|(key, value)| {
        let per = if key.ends_with("limit-rps") {
            1
        } else if key.ends_with("limit-rpm") {
            60
        } else {
            return None;
        };
        Some((key, value, per))
    });
    let mut any = false;
    for (key, value, per) in rates {
        any = true;
        let through = value.trim().parse::<i64>().ok().and_then(|number| number.checked_mul(seconds));
        if through.is_some_and(|through| through <= declared.requests.saturating_mul(per)) {
            continue;
        }
        report
            .violated(
                Place::field(&object, "metadata.annotations").value(format!("{key}={value}")),
                format!(
                    "lets more through than the {} a {} that {} declares",
                    declared.requests,
                    declared.per.as_str(),
                    Facts::name_of(workload)
                ),
            )
            .under(provisions(exposure))
            .fix(annotate(&object, key, declared.requests.saturating_mul(per) / seconds))
            .may_arrive();
    }
    if !any {
        report
            .violated(
                Place::field(&object, "metadata.annotations"),
                format!("limits no rate, as {} says that it does", Facts::name_of(workload)),
            )
            .under(provisions(exposure))
            .fix(annotate(&object, LIMIT, declared.requests.saturating_mul(60) / seconds))
            .may_arrive();
    }
}

/// A size as NGINX writes it, such as `8m`, in bytes; zero means without bound.
fn body_size(text: &str) -> Option<i64> {
    let text = text.trim().to_ascii_lowercase();
    let (number, times) = match text.char_indices().last()? {
        (end, 'k') => (&text[..end], 1 << 10),
        (end, 'm') => (&text[..end], 1 << 20),
        (end, 'g') => (&text[..end], 1 << 30),
        _ => (text.as_str(), 1),
    };
    let bytes = number.parse::<i64>().ok()?.checked_mul(times)?;
    Some(if bytes == 0 { i64::MAX } else { bytes })
}

/// The declared limit where what is configured, if it can be read, is larger; what cannot be read is no limit.
fn exceeds(configured: Option<i64>, declared: Option<i64>) -> Option<i64> {
    declared.filter(|declared| configured.is_none_or(|configured| configured > *declared))
}

/// What is configured lets larger or longer requests through.
fn more(
    workload: &api::AIWorkload,
    exposure: &Exposure,
    (place, most): (Place, i64),
    fix: Fix,
    report: &mut Report<'_>,
) {
    report
        .violated(
            place,
            format!("lets more through than the {most} that {} declares", Facts::name_of(workload)),
        )
        .under(provisions(exposure))
        .fix(fix.after("lower it, or declare what is served"))
        .may_arrive();
}

/// How ingress-nginx is told of requests a minute.
const LIMIT: &str = "nginx.ingress.kubernetes.io/limit-rpm";

/// Lets the controller of an Ingress keep a rate, where it can be said in whole numbers.
fn annotate(ingress: &str, key: &str, rate: i64) -> Fix {
    let words = "let the controller of the Ingress keep the rate that spec.exposure says";
    if rate < 1 {
        return Fix::Text(words.to_owned());
    }
    let path = format!("metadata.annotations[{key:?}]");
    Fix::set_at(&Place::field(ingress, path), "", rate.to_string()).after(words)
}

/// The route that was named, and the limits that its gateway keeps for it where that can be read.
fn route(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    exposure: &Exposure,
    key: &str,
    report: &mut Report<'_>,
) {
    let Some(known) = facts.namespace.routes.get(key) else {
        // Where no route of any kind is known the kind itself may be missing, or the route lives elsewhere.
        if !facts.namespace.routes.is_empty() {
            not_there(facts, workload, exposure, key, report);
        }
        return;
    };
    let Some(rate) = exposure.rate_limit.as_ref() else { return };
    if !facts.cluster.has_traffic_policies {
        unread(workload, exposure, key, report);
        return;
    }
    let gateways: Vec<String> = known.gateways.iter().map(|name| format!("Gateway/{name}")).collect();
    let all = &facts.namespace.traffic_policies;
    let about = |wanted: &dyn Fn(&String) -> bool| {
        all.iter().filter(|(_, policy)| policy.targets.iter().any(wanted)).collect::<Vec<_>>()
    };
    // The policy of the route itself takes the place of that of its Gateway.
    let mut policies = about(&|target| target == key);
    if policies.is_empty() {
        policies = about(&|target| gateways.contains(target));
    }
    if policies.is_empty() {
        report
            .violated(
                Place::object(named(facts, key)),
                format!(
                    "has no BackendTrafficPolicy, so nothing keeps the limits that {} declares",
                    Facts::name_of(workload)
                ),
            )
            .under(provisions(exposure))
            .fix(Fix::Record(
                "apply a BackendTrafficPolicy for the route".to_owned(),
                skeleton::traffic(&facts.namespace.name, key, rate.requests, rate.per.unit()),
            ))
            .may_arrive();
        return;
    }
    for (name, policy) in policies {
        limited(facts, workload, exposure, (name, policy), report);
    }
}

/// `Kind namespace/name` of an object named as `Kind/name`.
fn named(facts: &Facts<'_>, key: &str) -> String {
    let (kind, name) = key.split_once('/').unwrap_or(("object", key));
    format!("{kind} {}/{name}", facts.namespace.name)
}

fn not_there(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    exposure: &Exposure,
    key: &str,
    report: &mut Report<'_>,
) {
    let kind = key.split('/').next().unwrap_or_default();
    let index =
        workload.spec.exposure.iter().position(|other| other.name == exposure.name).unwrap_or_default();
    report
        .violated(
            Place::object(named(facts, key)),
            format!("does not exist, though {} names it", Facts::name_of(workload)),
        )
        .under(provisions(exposure))
        .fix(limiter(workload, index).after(format!("create the {kind}, or name what sets the limits")))
        .may_arrive();
}

/// A policy lets no more through than was declared.
fn limited(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    exposure: &Exposure,
    (name, policy): (&str, &TrafficPolicy),
    report: &mut Report<'_>,
) {
    let object = format!("BackendTrafficPolicy {}/{name}", facts.namespace.name);
    // Zero means that nothing is ever given up.
    let timeout = policy.timeout.map(|seconds| if seconds == 0 { i64::MAX } else { seconds });
    if let Some(most) = timeout.and_then(|timeout| exceeds(Some(timeout), exposure.timeout_seconds)) {
        let place = Place::field(&object, "spec.timeout.http.requestTimeout");
        let fix = Fix::set_at(&place, "", format!("{most}s"));
        more(workload, exposure, (place, most), fix, report);
    }
    if let Some(text) = &policy.largest {
        let bytes = thousandths(text).and_then(|amount| i64::try_from(amount / 1000).ok());
        if let Some(most) = exceeds(bytes, exposure.max_request_bytes) {
            let place = Place::field(&object, "spec.requestBuffer.limit").value(text);
            let fix = Fix::set_at(&place, "", most.to_string());
            more(workload, exposure, (place, most), fix, report);
        }
    }
    let Some(declared) = &exposure.rate_limit else { return };
    let seconds = declared.per.seconds();
    let keeps = |(requests, span): &(i64, i64)| {
        requests.saturating_mul(seconds) <= declared.requests.saturating_mul(*span)
    };
    if policy.rates.iter().any(keeps) {
        return;
    }
    let place = Place::field(&object, "spec.rateLimit");
    let what = if policy.rates.is_empty() {
        "limits no rate for every caller".to_owned()
    } else {
        "lets more through".to_owned()
    };
    report
        .violated(
            place.clone(),
            format!(
                "{what}, while {} declares {} a {}",
                Facts::name_of(workload),
                declared.requests,
                declared.per.as_str()
            ),
        )
        .under(provisions(exposure))
        .fix(
            Fix::set_at(
                &place,
                "global.rules[0].limit",
                json!({"requests": declared.requests, "unit": declared.per.unit()}),
            )
            .after("let a rule for all callers or for each allow no more, such as the first"),
        )
        .may_arrive();
}

/// The object is of a kind whose limits nobody reads here.
fn unread(workload: &api::AIWorkload, exposure: &Exposure, by: &str, report: &mut Report<'_>) {
    report
        .unknown(
            Place::field(Facts::name_of(workload), "spec.exposure[].configuredBy").value(by),
            format!("keeps limits that are not read, so nobody can tell those of exposure {:?}", exposure.name),
        )
        .under(&["NCSC-P2.2"])
        .fix(Fix::Text(
            "name what can be read: an Ingress with annotations of NGINX, a route or BackendTrafficPolicy of Envoy Gateway, or \
             the container that limits"
                .to_owned(),
        ))
        .may_arrive();
}

/// Names another object that holds callers to the limits.
fn limiter(workload: &api::AIWorkload, index: usize) -> Fix {
    let place = Place::field(Facts::name_of(workload), format!("spec.exposure[{index}].configuredBy"));
    Fix::set_at(&place, "", "KIND/NAME")
}

/// Who outside is held back by what: the declaration names it, and it says the same.
fn configured(
    facts: &Facts<'_>,
    workload: &api::AIWorkload,
    (index, exposure): (usize, &Exposure),
    report: &mut Report<'_>,
) {
    let place = || Place::field(Facts::name_of(workload), format!("spec.exposure[{index}].configuredBy"));
    let Some(by) = exposure.configured_by.as_deref() else {
        if outside(exposure) {
            report
                .violated(place(), "is not set, so nothing is named that holds outside callers to the limits")
                .under(&["CoP-4.6"])
                .fix(limiter(workload, index).after(
                    "name what sets the limits, such as Ingress/NAME, HTTPRoute/NAME or Container/NAME",
                ))
                .in_declaration(facts);
        }
        return;
    };
    match by.split_once('/') {
        Some(("Ingress", name)) => ingress(facts, workload, exposure, name, report),
        Some(("HTTPRoute" | "GRPCRoute", _)) => route(facts, workload, exposure, by, report),
        Some(("BackendTrafficPolicy", name)) if facts.cluster.has_traffic_policies => {
            match facts.namespace.traffic_policies.get(name) {
                Some(policy) => limited(facts, workload, exposure, (name, policy), report),
                None => not_there(facts, workload, exposure, by, report),
            }
        }
        Some(("Container", _)) => {}
        _ => unread(workload, exposure, by, report),
    }
    if let (Some(("Container", name)), Some((pod, _))) = (by.split_once('/'), facts.ai_pod())
        && !pod.containers.iter().any(|container| container.name == name)
    {
        report
            .violated(
                pod.at("spec.containers"),
                format!("has no container {name:?}, which was declared to limit callers"),
            )
            .under(provisions(exposure))
            .fix(limiter(workload, index).after("add the container, or name what sets the limits"))
            .may_arrive();
    }
}

#[cfg(test)]
#[path = "tests/rate_limit_set.rs"]
mod tests;
