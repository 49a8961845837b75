//! The definitions of all kinds, as the cluster gets them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use serde_json::Value;

use super::{
    AICompliance, AIDataset, AIEvidence, AIExemption, AIGovernance, AIModel, AIProfile, AIPrompt, AISupplier,
    AITrustPolicy, AIWorkload,
};

/// A definition could not be written.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// The definition is not a JSON object of the expected shape.
    #[error("definition has an unexpected shape")]
    Shape(#[source] serde_json::Error),
    /// The definition cannot be written as YAML.
    #[error("definition cannot be written as YAML")]
    Yaml(#[source] serde_saphyr::ser::Error),
}

/// The definitions of all kinds, in the order in which a reader meets them.
///
/// # Errors
///
/// A derived definition has an unexpected shape, which a test rules out.
pub fn all_crds() -> Result<Vec<CustomResourceDefinition>, CrdError> {
    [
        AIWorkload::crd(),
        AIModel::crd(),
        AIDataset::crd(),
        AIPrompt::crd(),
        AIEvidence::crd(),
        AIExemption::crd(),
        AISupplier::crd(),
        AIGovernance::crd(),
        AITrustPolicy::crd(),
        AIProfile::crd(),
        AICompliance::crd(),
    ]
    .into_iter()
    .map(polish)
    .collect()
}

/// A definition as YAML, the same bytes each time.
///
/// # Errors
///
/// The definition cannot be written as YAML, which a test rules out.
pub fn to_yaml(crd: &CustomResourceDefinition) -> Result<String, CrdError> {
    serde_saphyr::to_string(crd).map_err(CrdError::Yaml)
}

/// Makes a derived definition what people would write by hand.
fn polish(crd: CustomResourceDefinition) -> Result<CustomResourceDefinition, CrdError> {
    let mut value = serde_json::to_value(crd).map_err(CrdError::Shape)?;
    if let Some(versions) = value.pointer_mut("/spec/versions").and_then(Value::as_array_mut) {
        for version in versions {
            if let Some(schema) = version.pointer_mut("/schema/openAPIV3Schema") {
                polish_schema(schema);
            }
        }
    }
    serde_json::from_value(value).map_err(CrdError::Shape)
}

/// Walks a schema and everything below it.
///
/// Absent and null are the same to the API server unless a field is nullable, so no field is. Number formats
/// that it does not know only make it warn. The sentences on the values of an enum join the description of the field.
fn polish_schema(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    object.remove("nullable");
    object.remove("title");
    if let Some(values) = object.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    if object.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
        object.insert("format".to_owned(), "int64".into());
    }
    if let Some(docs) = object.remove("externalDocs") {
        let own = object.get("description").and_then(Value::as_str).unwrap_or_default();
        let values = docs.get("description").and_then(Value::as_str).unwrap_or_default();
        object.insert("description".to_owned(), format!("{own}\n\n{values}").trim().into());
    }
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(polish_schema);
    }
    for below in ["items", "additionalProperties"] {
        if let Some(schema) = object.get_mut(below) {
            polish_schema(schema);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_can_be_written() {
        for crd in all_crds().unwrap() {
            assert!(to_yaml(&crd).unwrap().contains("openAPIV3Schema"));
        }
    }
}
