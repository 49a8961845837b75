//! Compares the desired list of webhooks with the live one, as an API server would understand both. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

/// A value is shown with at most so many characters.
const SHOWN_MAX: usize = 80;

/// One place where the live configuration is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The entry.
    pub webhook: String,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is not there.
    Missing,
    /// It does not belong there.
    Foreign,
    /// A field has another value.
    Field {
        /// The path of the field.
        path: String,
        /// What the live object says, nothing where it says nothing.
        have: Option<String>,
        /// What it should say, nothing where it should say nothing.
        want: Option<String>,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "webhook {:?} ", self.webhook)?;
        match &self.wrong {
            Wrong::Missing => f.write_str("was missing"),
            Wrong::Foreign => f.write_str("is not ours"),
            Wrong::Field { path, have, want } => {
                let nothing = "nothing";
                let (have, want) = (have.as_deref().unwrap_or(nothing), want.as_deref().unwrap_or(nothing));
                write!(f, "had {path} {have} instead of {want}")
            }
        }
    }
}

/// All places where `live` is not as `desired`; the order of entries and the caBundle do not count.
#[must_use]
pub fn diff(desired: &[Value], live: &[Value]) -> Vec<Difference> {
    let (desired, live) = (by_name(desired), by_name(live));
    let mut found = Vec::new();
    for (name, want) in &desired {
        match live.get(name) {
            None => found.push(Difference { webhook: name.clone(), wrong: Wrong::Missing }),
            Some(have) => fields(name, "", Some(have), Some(want), &mut found),
        }
    }
    let foreign = live.keys().filter(|name| !desired.contains_key(*name));
    found.extend(foreign.map(|name| Difference { webhook: name.clone(), wrong: Wrong::Foreign }));
    found
}

/// All places where the `live` specification of the guard `name` is not as `desired`.
#[must_use]
pub fn diff_guard(name: &str, desired: &Value, live: &Value) -> Vec<Difference> {
    let normal = |spec: &Value| {
        let mut spec = spec.clone();
        if let Some(constraints) = spec.get_mut("matchConstraints") {
            for (field, default) in [
                ("matchPolicy", json!("Equivalent")),
                ("namespaceSelector", json!({})),
                ("objectSelector", json!({})),
            ] {
                fill(constraints, field, default);
            }
            for rule in constraints["resourceRules"].as_array_mut().into_iter().flatten() {
                fill(rule, "scope", json!("*"));
            }
        }
        prune(&mut spec);
        spec
    };
    let mut found = Vec::new();
    fields(name, "", Some(&normal(live)), Some(&normal(desired)), &mut found);
    found
}

fn by_name(webhooks: &[Value]) -> BTreeMap<String, Value> {
    webhooks.iter().map(|webhook| (name(webhook).to_owned(), normal(webhook))).collect()
}

/// The name of an entry.
#[must_use]
pub fn name(webhook: &Value) -> &str {
    webhook["name"].as_str().unwrap_or_default()
}

/// The entry with what an API server fills in, and without the caBundle.
fn normal(webhook: &Value) -> Value {
    let mut webhook = webhook.clone();
    let Some(fields) = webhook.as_object_mut() else { return webhook };
    for (field, default) in [
        ("failurePolicy", json!("Fail")),
        ("matchPolicy", json!("Equivalent")),
        ("namespaceSelector", json!({})),
        ("objectSelector", json!({})),
        ("timeoutSeconds", json!(10)),
    ] {
        fields.entry(field).or_insert(default);
    }
    for rule in fields.get_mut("rules").and_then(Value::as_array_mut).into_iter().flatten() {
        fill(rule, "scope", json!("*"));
    }
    if let Some(client) = fields.get_mut("clientConfig").and_then(Value::as_object_mut) {
        client.remove("caBundle");
        if let Some(service) = client.get_mut("service") {
            fill(service, "port", json!(443));
        }
    }
    prune(&mut webhook);
    webhook
}

fn fill(object: &mut Value, field: &str, default: Value) {
    if let Some(object) = object.as_object_mut() {
        object.entry(field).or_insert(default);
    }
}

/// Takes away what means nothing: null, and empty lists. An empty selector means something.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(prune);
            fields.retain(|_, value| !value.is_null() && !value.as_array().is_some_and(Vec::is_empty));
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

fn fields(
    webhook: &str,
    path: &str,
    have: Option<&Value>,
    want: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    match (have, want) {
        (have, want) if have == want => {}
        (Some(Value::Object(have)), Some(Value::Object(want))) => {
            for key in keys(have, want) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                fields(webhook, &path, have.get(key), want.get(key), found);
            }
        }
        (Some(Value::Array(have)), Some(Value::Array(want))) if have.len() == want.len() => {
            for (index, (have, want)) in have.iter().zip(want).enumerate() {
                fields(webhook, &format!("{path}[{index}]"), Some(have), Some(want), found);
            }
        }
        (have, want) => found.push(Difference {
            webhook: webhook.to_owned(),
            wrong: Wrong::Field { path: path.to_owned(), have: have.map(shown), want: want.map(shown) },
        }),
    }
}

fn keys<'a>(left: &'a Map<String, Value>, right: &'a Map<String, Value>) -> impl Iterator<Item = &'a String> {
    left.keys().chain(right.keys().filter(|key| !left.contains_key(*key)))
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desired() -> Vec<Value> {
        vec![
            json!({
                "name": "pods.portcullis.dev",
                "clientConfig": {"service": {"name": "portcullis-webhook", "namespace": "ns", "path": "/validate"}},
                "admissionReviewVersions": ["v1"],
                "sideEffects": "NoneOnDryRun",
                "timeoutSeconds": 3,
                "namespaceSelector": {"matchExpressions": [{"key": "portcullis.dev/environment", "operator": "Exists"}]},
                "matchConditions": [],
                "rules": [{"apiGroups": [""], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["pods"]}],
            }),
            json!({"name": "rbac.portcullis.dev", "failurePolicy": "Ignore", "clientConfig": {"url": "https://x/"}}),
        ]
    }

    /// What the API server makes of it, with a caBundle, in another order.
    fn live() -> Vec<Value> {
        let mut webhooks: Vec<Value> = desired().iter().map(normal).collect();
        for webhook in &mut webhooks {
            webhook["clientConfig"]["caBundle"] = json!("QQ==");
        }
        webhooks.reverse();
        webhooks
    }

    fn told(live: &[Value]) -> Vec<String> {
        diff(&desired(), live).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn defaults_order_and_the_bundle_are_no_difference() {
        assert_eq!(told(&live()), Vec::<String>::new());
        assert_eq!(diff(&desired(), &desired()), []);
    }

    #[test]
    fn every_way_to_weaken_a_webhook_is_seen() {
        let cases: [(&str, Value, &str); 8] = [
            ("/1/failurePolicy", json!("Ignore"), r#"had failurePolicy "Ignore" instead of "Fail""#),
            ("/1/timeoutSeconds", json!(30), "had timeoutSeconds 30 instead of 3"),
            ("/1/matchPolicy", json!("Exact"), r#"had matchPolicy "Exact" instead of "Equivalent""#),
            (
                "/1/rules/0/operations",
                json!(["DELETE"]),
                r#"had rules[0].operations[0] "DELETE" instead of "CREATE""#,
            ),
            ("/1/rules/0/scope", json!("Cluster"), r#"had rules[0].scope "Cluster" instead of "*""#),
            ("/1/rules", json!([]), "had rules nothing instead of ["),
            (
                "/1/clientConfig/service/namespace",
                json!("evil"),
                r#"had clientConfig.service.namespace "evil" instead of "ns""#,
            ),
            (
                "/1/objectSelector",
                json!({"matchLabels": {"a": "b"}}),
                r#"had objectSelector.matchLabels {"a":"b"} instead of nothing"#,
            ),
        ];
        for (pointer, value, words) in cases {
            let mut live = live();
            *live
                .get_mut(1)
                .and_then(|webhook| webhook.pointer_mut(pointer.strip_prefix("/1").unwrap()))
                .unwrap() = value;
            let told = told(&live);
            assert_eq!(told.len(), 1, "{pointer}: {told:?}");
            assert!(told[0].starts_with(&format!("webhook \"pods.portcullis.dev\" {words}")), "{told:?}");
        }
    }

    #[test]
    fn what_is_added_is_seen_too() {
        let mut live = live();
        live[1]["matchConditions"] = json!([{"name": "never", "expression": "false"}]);
        live[1]["clientConfig"]["url"] = json!("https://evil/");
        live.push(json!({"name": "x.evil.dev"}));
        assert_eq!(
            told(&live),
            [
                r#"webhook "pods.portcullis.dev" had clientConfig.url "https://evil/" instead of nothing"#,
                r#"webhook "pods.portcullis.dev" had matchConditions [{"expression":"false","name":"never"}] instead of nothing"#,
                r#"webhook "x.evil.dev" is not ours"#,
            ]
        );
    }

    #[test]
    fn what_is_gone_is_seen() {
        assert_eq!(
            told(&[]),
            [r#"webhook "pods.portcullis.dev" was missing"#, r#"webhook "rbac.portcullis.dev" was missing"#]
        );
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let text = shown(&json!("ü".repeat(200)));
        assert!(text.ends_with("ü...") && text.chars().count() == 83, "{text}");
    }
}
