//! Our own kinds against their definitions: what the API server would refuse is refused here, and what it would drop too.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use kube::core::cel::{CompiledSchema, Validator, compile_schema};
use regex::Regex;
use serde_json::{Map, Value};

use crate::api;
use crate::policy::near::nearest;

/// A kind as it is defined.
#[derive(Debug)]
pub struct Definition {
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    schema: Value,
    rules: CompiledSchema,
}

static DEFINITIONS: LazyLock<BTreeMap<String, Definition>> = LazyLock::new(|| {
    let crds = api::all_crds().unwrap_or_default();
    let of = |crd: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
        let schema = crd.spec.versions.into_iter().next()?.schema?.open_api_v3_schema?;
        let schema = serde_json::to_value(schema).ok()?;
        let rules = compile_schema(&schema);
        Some((crd.spec.names.kind, Definition { namespaced: crd.spec.scope == "Namespaced", schema, rules }))
    };
    crds.into_iter().filter_map(of).collect()
});

/// The patterns of all definitions; one that this library cannot read is the API server's matter.
static PATTERNS: LazyLock<HashMap<String, Regex>> = LazyLock::new(|| {
    let mut out = HashMap::new();
    let mut open: Vec<&Value> = DEFINITIONS.values().map(|definition| &definition.schema).collect();
    while let Some(schema) = open.pop() {
        if let Some(pattern) = schema["pattern"].as_str()
            && !out.contains_key(pattern)
            && let Ok(regex) = Regex::new(pattern)
        {
            out.insert(pattern.to_owned(), regex);
        }
        open.extend(schema["properties"].as_object().into_iter().flat_map(Map::values));
        open.extend([schema.get("items"), schema.get("additionalProperties")].into_iter().flatten());
    }
    out
});

/// The definition of one of our kinds.
#[must_use]
pub fn definition(kind: &str) -> Option<&'static Definition> {
    DEFINITIONS.get(kind)
}

/// The names of our kinds.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    DEFINITIONS.keys().map(String::as_str)
}

impl Definition {
    /// Everything for which the API server would refuse `object`, or drop parts of it, as sentences with their paths.
    #[must_use]
    pub fn faults(&self, object: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        let empty = Value::Null;
        let properties = self.schema.get("properties").unwrap_or(&empty);
        for (field, value) in object.as_object().into_iter().flatten() {
            match field.as_str() {
                "apiVersion" | "kind" | "metadata" => {}
                _ => match properties.get(field) {
                    Some(schema) => walk(schema, value, field, &mut faults),
                    None => faults.push(unknown(field, field, properties)),
                },
            }
        }
        missing(&self.schema, object.as_object(), "", &mut faults);
        if faults.is_empty() {
            // A rule on a malformed object would only repeat the fault in other words.
            self.rules(object, &mut faults);
        }
        faults
    }

    /// The CEL rules. A file may stand for a later state of an object, so rules on changes compare it with itself.
    fn rules(&self, object: &Value, faults: &mut Vec<String>) {
        if let Err(errors) = Validator::new().validate_compiled(&self.rules, object, Some(object)) {
            faults.extend(errors.into_vec().into_iter().map(|error| error.to_string()));
        }
    }
}

fn walk(schema: &Value, value: &Value, path: &str, faults: &mut Vec<String>) {
    if schema["x-kubernetes-preserve-unknown-fields"] == true && schema.get("type").is_none() {
        return;
    }
    if schema["x-kubernetes-int-or-string"] == true {
        if !value.is_string() && !value.is_i64() {
            faults.push(format!("{path}: is {}, where a number or a string belongs", kind_of(value)));
        }
        return;
    }
    match (schema["type"].as_str().unwrap_or_default(), value) {
        ("object", Value::Object(map)) => object(schema, map, path, faults),
        ("array", Value::Array(items)) => array(schema, items, path, faults),
        ("string", Value::String(text)) => string(schema, text, path, faults),
        ("integer" | "number", Value::Number(number)) => numbers(schema, number, path, faults),
        ("boolean", Value::Bool(_)) | ("", _) => {}
        (wanted, found) => {
            let article = if wanted.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            faults.push(format!("{path}: is {}, where {article} {wanted} belongs", kind_of(found)));
        }
    }
}

fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("the boolean {value}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the string {:?}", shown(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// The first characters of a text.
fn shown(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn object(schema: &Value, map: &Map<String, Value>, path: &str, faults: &mut Vec<String>) {
    let properties = &schema["properties"];
    let rest = schema.get("additionalProperties").filter(|rest| rest.is_object());
    for (field, value) in map {
        let below = if plain(field) { format!("{path}.{field}") } else { format!("{path}[{field:?}]") };
        match properties.get(field).or(rest) {
            Some(schema) => walk(schema, value, &below, faults),
            None if schema["x-kubernetes-preserve-unknown-fields"] == true => {}
            None => faults.push(unknown(&below, field, properties)),
        }
    }
    missing(schema, Some(map), path, faults);
    count(schema, ("minProperties", "maxProperties"), map.len(), path, faults);
}

fn plain(field: &str) -> bool {
    !field.is_empty() && field.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn missing(schema: &Value, map: Option<&Map<String, Value>>, path: &str, faults: &mut Vec<String>) {
    for field in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if map.is_none_or(|map| !map.contains_key(field)) {
            let dot = if path.is_empty() { "" } else { "." };
            faults.push(format!("{path}{dot}{field}: is missing"));
        }
    }
}

fn array(schema: &Value, items: &[Value], path: &str, faults: &mut Vec<String>) {
    for (index, item) in items.iter().enumerate() {
        walk(&schema["items"], item, &format!("{path}[{index}]"), faults);
    }
    count(schema, ("minItems", "maxItems"), items.len(), path, faults);
    let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let set = schema["x-kubernetes-list-type"] == "set";
    for (index, item) in items.iter().enumerate() {
        let twin = |other: &&Value| {
            (set && *other == item)
                || (!keys.is_empty() && keys.iter().all(|key| other.get(key) == item.get(key)))
        };
        if items[..index].iter().find(twin).is_some() {
            let what = keys.iter().find_map(|key| item.get(key)).unwrap_or(item);
            faults.push(format!("{path}[{index}]: {what} is there twice"));
        }
    }
}

fn string(schema: &Value, text: &str, path: &str, faults: &mut Vec<String>) {
    if let Some(values) = schema["enum"].as_array() {
        if !values.iter().any(|value| value == text) {
            let known: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            faults.push(format!("{path}: {:?} is not one of {}", shown(text), known.join(", ")));
        }
        return;
    }
    count(schema, ("minLength", "maxLength"), text.chars().count(), path, faults);
    let pattern = schema["pattern"].as_str();
    if let Some(wanted) = pattern.filter(|p| PATTERNS.get(*p).is_some_and(|regex| !regex.is_match(text))) {
        faults.push(format!("{path}: {:?} does not match {wanted}", shown(text)));
    }
}

fn numbers(schema: &Value, number: &serde_json::Number, path: &str, faults: &mut Vec<String>) {
    let Some(value) = number.as_f64() else { return };
    if schema["type"] == "integer" && value.fract() != 0.0 {
        faults.push(format!("{path}: {number} is no whole number"));
    }
    if let Some(least) = schema["minimum"].as_f64().filter(|least| value < *least) {
        faults.push(format!("{path}: {number} is less than {least}"));
    }
    if let Some(most) = schema["maximum"].as_f64().filter(|most| value > *most) {
        faults.push(format!("{path}: {number} is more than {most}"));
    }
}

fn count(schema: &Value, (least, most): (&str, &str), found: usize, path: &str, faults: &mut Vec<String>) {
    let of = |key: &str| schema[key].as_u64().and_then(|n| usize::try_from(n).ok());
    let what = if least == "minLength" { "characters" } else { "entries" };
    if let Some(least) = of(least).filter(|least| found < *least) {
        faults.push(format!("{path}: has {found} {what}, at least {least} are needed"));
    }
    if let Some(most) = of(most).filter(|most| found > *most) {
        faults.push(format!("{path}: has {found} {what}, at most {most} are allowed"));
    }
}

fn unknown(path: &str, field: &str, properties: &Value) -> String {
    let known = properties.as_object().into_iter().flat_map(Map::keys).map(String::as_str);
    match nearest(field, known) {
        Some(near) => format!("{path}: there is no such field; did you mean {near:?}?"),
        None => format!("{path}: there is no such field"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workload(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut object = json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload", "metadata": {"name": "chat"},
            "spec": {"type": "inference", "selector": {"matchLabels": {"app": "chat"}},
                     "owners": {"accountable": {"user": "ada"}}},
        });
        change(&mut object);
        definition("AIWorkload").unwrap().faults(&object)
    }

    #[test]
    fn a_sound_object_has_no_faults() {
        assert_eq!(workload(|_| {}), [""; 0]);
        assert_eq!(kinds().count(), 11);
    }

    #[test]
    fn unknown_fields_are_told_with_the_nearest_known_one() {
        assert_eq!(
            workload(|o| o["spec"]["ownres"] = json!({})),
            ["spec.ownres: there is no such field; did you mean \"owners\"?"]
        );
        assert_eq!(
            workload(|o| o["spce"] = json!({})),
            ["spce: there is no such field; did you mean \"spec\"?"]
        );
        assert_eq!(
            workload(|o| o["spec"]["zzzzzzzzzz"] = json!(1)),
            ["spec.zzzzzzzzzz: there is no such field"]
        );
    }

    #[test]
    fn what_the_schema_rejects_is_told_with_its_path() {
        assert_eq!(
            workload(|o| o["spec"]["type"] = json!("inferense")),
            [
                "spec.type: \"inferense\" is not one of inference, agent, batch, training, finetuning, evaluation, \
              dataPreparation, import, notebook, supporting"
            ]
        );
        assert_eq!(
            workload(|o| o["spec"]["selector"] = json!({"matchLabels": {}})),
            ["spec.selector.matchLabels: has 0 entries, at least 1 are needed"]
        );
        assert_eq!(
            workload(|o| o["spec"]["secrets"] = json!(["a", "a", 3])),
            [
                "spec.secrets[2]: is the number 3, where a string belongs",
                "spec.secrets[1]: \"a\" is there twice"
            ]
        );
        assert_eq!(
            workload(|o| {
                o["spec"].as_object_mut().unwrap().remove("owners");
            }),
            ["spec.owners: is missing"]
        );
    }

    #[test]
    fn rules_of_the_definition_are_asked() {
        assert_eq!(
            workload(|o| {
                o["spec"]["type"] = json!("supporting");
                o["spec"]["models"] = json!([{"name": "m"}]);
            })
            .iter()
            .filter(|fault| fault.contains("a supporting workload has no models, choose another type"))
            .count(),
            1
        );
    }
}
