//! The definitions of the kinds, without a cluster: bounded, explained, and refusing what they say they refuse.

mod schemas;

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::cel::Validator;
use portcullis::api;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The schema of each kind.
fn definitions() -> Result<BTreeMap<String, Value>> {
    api::all_crds()?
        .into_iter()
        .map(|crd| {
            let kind = crd.spec.names.kind.clone();
            let schema =
                serde_json::to_value(crd)?.pointer("/spec/versions/0/schema/openAPIV3Schema").cloned();
            Ok((kind, schema.context("schema")?))
        })
        .collect()
}

/// Calls `look` with the path and the schema of every value below a schema.
fn walk(path: &str, schema: &Value, look: &mut impl FnMut(&str, &Value)) {
    look(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, look);
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(below) = schema.get(key) {
            walk(&format!("{path}{mark}"), below, look);
        }
    }
}

#[test]
fn every_string_list_and_map_is_bounded() -> Result<()> {
    let mut unbounded = Vec::new();
    for (kind, schema) in definitions()? {
        walk(&kind, &schema, &mut |path, schema| {
            let bounded = match schema["type"].as_str() {
                Some("string") => schema.get("maxLength").is_some() || schema.get("enum").is_some(),
                Some("array") => schema.get("maxItems").is_some(),
                Some("object") if schema.get("additionalProperties").is_some() => {
                    schema.get("maxProperties").is_some()
                }
                _ => true,
            };
            if !bounded {
                unbounded.push(path.to_owned());
            }
        });
    }
    ensure!(unbounded.is_empty(), "not bounded: {unbounded:?}");
    Ok(())
}

#[test]
fn every_field_is_explained_and_every_value_of_an_enum_too() -> Result<()> {
    let mut silent = Vec::new();
    for (kind, schema) in definitions()? {
        walk(&kind, &schema, &mut |path, schema| {
            // What a list or map holds is explained where it is, unless it has a shape of its own.
            let needed = !path.ends_with("[]") && !path.ends_with("{}") && !path.ends_with("metadata");
            let description = schema["description"].as_str().unwrap_or_default();
            // Conditions are those of Kubernetes, whose values every reader knows.
            let values =
                schema["enum"].as_array().filter(|_| needed && !path.ends_with("conditions[].status"));
            let explained = values
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .all(|value| description.contains(&format!("\n{value}: ")));
            if needed && (description.is_empty() || !explained) {
                silent.push(path.to_owned());
            }
        });
    }
    ensure!(silent.is_empty(), "not explained: {silent:?}");
    Ok(())
}

#[test]
fn tables_show_the_columns_that_people_are_promised() -> Result<()> {
    let columns = |plural: &str| -> Result<Vec<String>> {
        let crds = api::all_crds()?;
        let crd = crds.iter().find(|crd| crd.spec.names.plural == plural).context("no such kind")?;
        let columns = crd.spec.versions[0].additional_printer_columns.iter().flatten();
        Ok(columns.map(|column| column.name.to_uppercase()).collect())
    };
    // The API server puts NAME first.
    assert_eq!(
        columns("aicompliances")?.join(" "),
        "ENVIRONMENT VERDICT WORKLOADS FAIL WARN EXEMPT UNKNOWN BLOCKED-24H TOP-REASON CHECKED AGE"
    );
    assert_eq!(
        columns("aiworkloads")?.join(" "),
        "TYPE VERDICT STATE PODS FAIL WARN EXEMPT UNKNOWN BLOCKED-24H TOP-REASON AGE"
    );
    Ok(())
}

#[test]
fn every_column_shows_a_field_that_exists() -> Result<()> {
    for crd in api::all_crds()? {
        let schemas = definitions()?;
        let schema = &schemas[&crd.spec.names.kind];
        for column in crd.spec.versions[0].additional_printer_columns.iter().flatten() {
            let plain = column.json_path.split('[').next().unwrap_or_default();
            if plain.starts_with(".metadata.") {
                continue;
            }
            let pointer = plain.replace('.', "/properties/");
            ensure!(
                schema.pointer(&pointer).is_some(),
                "{}: {} shows nothing",
                crd.spec.names.kind,
                column.name
            );
        }
    }
    Ok(())
}

#[test]
fn names_follow_one_pattern() -> Result<()> {
    let shortnames: Vec<String> = api::all_crds()?
        .iter()
        .flat_map(|crd: &CustomResourceDefinition| crd.spec.names.short_names.clone().unwrap_or_default())
        .collect();
    assert_eq!(
        shortnames,
        ["aiw", "aim", "aids", "aip", "aie", "aiex", "aisup", "aigov", "aitp", "aiprof", "aic"]
    );
    for crd in api::all_crds()? {
        let names = &crd.spec.names;
        assert_eq!(crd.spec.group, api::common::GROUP);
        assert_eq!(names.categories.as_deref(), Some(&["portcullis".to_owned()][..]), "{}", names.kind);
        assert_eq!(
            crd.metadata.labels.unwrap_or_default().get(api::common::LABEL_NAME).map(String::as_str),
            Some(api::common::MANAGER)
        );
    }
    Ok(())
}

/// Reads an object as its type, which must know every key, and gives it back as the type writes it.
fn read<T: DeserializeOwned + serde::Serialize>(object: &Value) -> Result<Value> {
    let mut unknown = Vec::new();
    let typed: T = serde_ignored::deserialize(object, |path| unknown.push(path.to_string()))?;
    // The type stands for these two and reads neither.
    unknown.retain(|key| key != "apiVersion" && key != "kind");
    ensure!(unknown.is_empty(), "unknown keys: {unknown:?}");
    Ok(serde_json::to_value(typed)?)
}

/// Reads one of our objects; `None` for an object of another group.
fn read_any(object: &Value) -> Result<Option<Value>> {
    if object["apiVersion"] != json!("portcullis.dev/v1alpha1") {
        return Ok(None);
    }
    let read = match object["kind"].as_str().context("kind")? {
        "AIWorkload" => read::<api::AIWorkload>(object),
        "AIModel" => read::<api::AIModel>(object),
        "AIDataset" => read::<api::AIDataset>(object),
        "AIPrompt" => read::<api::AIPrompt>(object),
        "AIEvidence" => read::<api::AIEvidence>(object),
        "AIExemption" => read::<api::AIExemption>(object),
        "AISupplier" => read::<api::AISupplier>(object),
        "AIGovernance" => read::<api::AIGovernance>(object),
        "AITrustPolicy" => read::<api::AITrustPolicy>(object),
        "AIProfile" => read::<api::AIProfile>(object),
        "AICompliance" => read::<api::AICompliance>(object),
        kind => anyhow::bail!("{kind} is none of our kinds"),
    };
    read.map(Some)
}

/// Whether everything in `small` is in `large` too: defaults may have been added.
fn contains(large: &Value, small: &Value) -> bool {
    match (large, small) {
        (Value::Object(large), Value::Object(small)) => small.iter().all(|(key, value)| {
            large.get(key).is_some_and(|found| contains(found, value)) || *value == json!([])
        }),
        (Value::Array(large), Value::Array(small)) => {
            large.len() == small.len() && large.iter().zip(small).all(|(large, small)| contains(large, small))
        }
        // A field that a default fills is left out again where it says the default.
        (large, small) => large == small,
    }
}

#[test]
fn the_types_keep_every_field_of_every_kind() -> Result<()> {
    let full = schemas::full()?;
    assert_eq!(full.len(), api::all_crds()?.len());
    for (name, object) in full {
        let written = read_any(&object).with_context(|| name.clone())?.context("our kind")?;
        ensure!(contains(&written, &object), "{name} was read as {written:#}");
    }
    Ok(())
}

#[test]
fn the_full_objects_use_every_field_of_a_spec() -> Result<()> {
    let (full, mut unused) = (schemas::full()?, Vec::new());
    let used: Vec<Value> = full.into_values().collect();
    for (kind, schema) in definitions()? {
        let object = used.iter().find(|object| object["kind"] == json!(kind)).context("kind")?;
        walk(&format!("{kind}.spec"), &schema["properties"]["spec"], &mut |path, _| {
            let steps: Vec<&str> = path.split('.').skip(1).collect();
            if !reaches(object, &steps) {
                unused.push(path.to_owned());
            }
        });
    }
    // Alternatives of a field that is used: a source, a signer or a test of another kind.
    let alternatives = [
        "AIDataset.spec.source.reference",
        "AIDataset.spec.source.revision",
        "AIEvidence.spec.attestation.reference",
        "AIExemption.spec.approvedBy",
        "AIExemption.spec.subject.namespace",
        "AIModel.spec.signature.ref",
        "AIModel.spec.source.claimName",
        "AIModel.spec.source.path",
        "AIModel.spec.source.revision",
        "AIPrompt.spec.signature.signedAt",
        "AIPrompt.spec.source.reference",
        "AIDataset.spec.signature.signedAt",
        "AISupplier.spec.makerRef",
        "AITrustPolicy.spec.authorities[].keyless.subjectRegExp",
        "AITrustPolicy.spec.authorities[].keyless.trustRoot.inline",
        "AIWorkload.spec.models[].capabilitiesDisabledBy[].env",
        "AIWorkload.spec.models[].capabilitiesDisabledBy[].rule",
        "AIWorkload.spec.guardrails.input.ref",
        "AIWorkload.spec.guardrails.output.container",
        "AIWorkload.spec.oversight.reason",
    ];
    unused.retain(|path| {
        !alternatives.contains(&path.as_str())
            && !is_party(path)
            && !path.contains("AIProfile.spec.controls{}.")
    });
    ensure!(unused.is_empty(), "not in full.yaml: {unused:?}");
    Ok(())
}

/// Whether a value stands at the path, in any entry of the lists on the way.
fn reaches(value: &Value, steps: &[&str]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return true };
    let name = step.trim_end_matches("[]").trim_end_matches("{}");
    let below = &value[name];
    match below {
        Value::Null => false,
        Value::Array(entries) if step.ends_with("[]") => {
            entries.is_empty() || entries.iter().any(|entry| reaches(entry, rest))
        }
        Value::Object(entries) if step.ends_with("{}") => entries.values().any(|entry| reaches(entry, rest)),
        below => reaches(below, rest),
    }
}

/// People are named by a user, a group or a contact: any of them will do.
fn is_party(path: &str) -> bool {
    ["user", "group", "contact"].iter().any(|end| path.ends_with(&format!(".{end}")))
}

#[test]
fn the_rules_accept_what_is_right() -> Result<()> {
    let definitions = definitions()?;
    for (name, object) in schemas::full()? {
        let schema = &definitions[object["kind"].as_str().context("kind")?];
        for old in [None, Some(&object)] {
            if let Err(errors) = Validator::new().validate(schema, &object, old) {
                anyhow::bail!("{name}: {errors:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_rules_refuse_what_is_wrong_and_say_why() -> Result<()> {
    let (definitions, full) = (definitions()?, schemas::full()?);
    let mut rules = rules(&definitions);
    for case in schemas::cases()?.into_iter().filter(|case| !case.structural) {
        let (old, new) = case.objects(&full)?;
        let schema = &definitions[new["kind"].as_str().context("kind")?];
        let errors = Validator::new()
            .validate(schema, &new, old.as_ref())
            .err()
            .map(kube::core::cel::ValidationErrors::into_vec)
            .unwrap_or_default();
        let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
        ensure!(
            messages.contains(&case.refused.as_str()),
            "{}: {messages:?} instead of {:?}",
            case.object,
            case.refused
        );
        rules.retain(|message| *message != case.refused);
    }
    // Bounds on keys, which a schema cannot say otherwise.
    rules.retain(|message| !message.ends_with("characters"));
    ensure!(rules.is_empty(), "no case in refusals.yaml for: {rules:?}");
    Ok(())
}

/// The message of every rule.
fn rules(definitions: &BTreeMap<String, Value>) -> Vec<String> {
    let mut messages = Vec::new();
    for (kind, schema) in definitions {
        walk(kind, schema, &mut |_, schema| {
            let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
            messages.extend(rules.filter_map(|rule| rule["message"].as_str()).map(str::to_owned));
        });
    }
    messages
}

#[test]
fn an_exemption_is_approved_by_a_second_person_in_a_second_update() -> Result<()> {
    let definitions = definitions()?;
    let old = schemas::full()?.remove("AIExemption/legacy-pickle").context("exemption")?;
    let mut new = old.clone();
    new["spec"]["approvedBy"] = json!("j.doe");
    ensure!(Validator::new().validate(&definitions["AIExemption"], &new, Some(&old)).is_ok());
    Ok(())
}

#[test]
fn samples_are_read_whole_and_keep_the_rules() -> Result<()> {
    let definitions = definitions()?;
    let mut kinds = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/samples");
    for path in files(&folder)?.into_iter().filter(|path| path.extension().is_some_and(|is| is == "yaml")) {
        let path = path.to_string_lossy().into_owned();
        for object in schemas::documents(&path)? {
            if read_any(&object).with_context(|| path.clone())?.is_some() {
                let kind = object["kind"].as_str().context("kind")?;
                if let Err(errors) = Validator::new().validate(&definitions[kind], &object, None) {
                    anyhow::bail!("{path}: {errors:?}");
                }
                kinds.push(kind.to_owned());
            }
        }
    }
    ensure!(kinds.contains(&"AIWorkload".to_owned()), "no AIWorkload among {kinds:?}");
    Ok(())
}

#[test]
fn a_first_workload_is_short() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/samples/chat-prod/4-workload.yaml");
    let lines = fs::read_to_string(path)?.lines().filter(|line| !line.starts_with('#')).count();
    ensure!(lines <= 27, "{lines} lines");
    Ok(())
}

/// Every file below a folder.
fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
