//! Model cards in `CycloneDX` (ML-BOM, 1.5 to 1.7): read tolerantly, since every tool fills in others of its fields, and
//! compared with what an AIModel says.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::api::AIModel;

/// The longest document that is read.
const MAX_LEN: usize = 16 << 20;
const MAX_COMPONENTS: usize = 100_000;
/// Hashes, licences and datasets that are kept of each.
const MAX_NAMES: usize = 256;
/// Differences that are named.
const MAX_SAID: usize = 20;

/// What a document says about one model; what it leaves out is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Card {
    /// Version of the format.
    pub spec_version: String,
    /// Name of the model.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of what it is about, hexadecimal.
    pub sha256: BTreeSet<String>,
    /// Licences, as identifiers, names or expressions.
    pub licences: BTreeSet<String>,
    /// Names or references of the datasets it was made from.
    pub datasets: BTreeSet<String>,
    /// Whether there is a model card at all, and not only a component.
    pub has_card: bool,
}

/// Why a document cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BomError {
    /// It is no JSON, or no `CycloneDX`.
    #[error("{0}")]
    Malformed(String),
    /// It is about no model.
    #[error("no component of type \"machine-learning-model\" is in it")]
    NoModel,
    /// It is about several, and nothing says which is meant.
    #[error("{0} components of type \"machine-learning-model\" are in it, and none is its subject")]
    ManyModels(usize),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    bom_format: String,
    #[serde(default)]
    spec_version: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    component: Option<Component>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(rename = "bom-ref", default)]
    reference: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    hashes: Vec<Hash>,
    #[serde(default)]
    licenses: Vec<serde_json::Value>,
    #[serde(default)]
    model_card: Option<serde_json::Value>,
}

#[derive(Clone, Deserialize)]
struct Hash {
    #[serde(default)]
    alg: String,
    #[serde(default)]
    content: String,
}

impl Card {
    /// Reads a document. The model is the document's subject, or the only model among its components.
    ///
    /// # Errors
    /// [`BomError`], where it is no such document or does not say which model is meant.
    pub fn read(json: &[u8]) -> Result<Self, BomError> {
        let malformed = |text: String| BomError::Malformed(text);
        if json.len() > MAX_LEN {
            return Err(malformed(format!("it is longer than {MAX_LEN} bytes")));
        }
        let document: Document =
            serde_json::from_slice(json).map_err(|error| malformed(format!("it cannot be read: {error}")))?;
        if document.bom_format != "CycloneDX" {
            return Err(malformed(format!("its format is {:?}, not CycloneDX", cut(&document.bom_format))));
        }
        if !matches!(document.spec_version.as_str(), "1.5" | "1.6" | "1.7") {
            return Err(malformed(format!(
                "its version is {:?}; model cards came with 1.5, and 1.7 is the newest that is read",
                cut(&document.spec_version)
            )));
        }
        if document.components.len() > MAX_COMPONENTS {
            return Err(malformed(format!("more than {MAX_COMPONENTS} components are in it")));
        }
        let is_model = |component: &&Component| component.kind == "machine-learning-model";
        let subject = document.metadata.component.as_ref().filter(is_model);
        let mut models = document.components.iter().filter(is_model);
        let model = match (subject, models.next(), models.count()) {
            (Some(subject), ..) => subject,
            (None, Some(model), 0) => model,
            (None, None, _) => return Err(BomError::NoModel),
            (None, Some(_), more) => return Err(BomError::ManyModels(more + 1)),
        };
        Ok(Self::of(model, &document))
    }

    fn of(model: &Component, document: &Document) -> Self {
        let sha256 = model.hashes.iter().filter(|hash| hash.alg.eq_ignore_ascii_case("SHA-256"));
        Self {
            spec_version: document.spec_version.clone(),
            name: cut(&model.name),
            version: cut(&model.version),
            sha256: sha256
                .take(MAX_NAMES)
                .map(|hash| cut(&hash.content.trim().to_ascii_lowercase()))
                .collect(),
            licences: model.licenses.iter().take(MAX_NAMES).filter_map(licence).collect(),
            datasets: datasets(model, &document.components),
            has_card: model.model_card.is_some(),
        }
    }

    /// Where the card and the AIModel contradict each other, a sentence each. What one of them leaves out contradicts
    /// nothing, but a card that says neither a hash nor a version is about no model in particular, and that is said.
    #[must_use]
    pub fn differences(&self, model: &AIModel) -> Vec<String> {
        let spec = &model.spec;
        let mut said = Vec::new();
        let name = model.metadata.name.as_deref().unwrap_or_default();
        if !self.name.is_empty() && !same_name(&self.name, name) {
            said.push(format!("the card is about {:?}, the AIModel is {name:?}", cut(&self.name)));
        }
        if let Some(version) =
            spec.version.as_deref().filter(|v| !self.version.is_empty() && *v != self.version)
        {
            said.push(format!(
                "the card is about version {:?}, spec.version is {version:?}",
                cut(&self.version)
            ));
        }
        if let Some(digest) = spec.digest.as_deref().filter(|_| !self.sha256.is_empty()) {
            let hex = digest.trim_start_matches("sha256:");
            let of_a_file = spec.files.iter().any(|file| self.sha256.contains(&file.sha256));
            if !self.sha256.contains(hex) && !of_a_file {
                said.push(format!("none of the card's hashes is spec.digest {digest:?} or that of a file"));
            }
        }
        if let Some(licence) = spec.license.as_deref().filter(|_| !self.licences.is_empty())
            && !self.licences.iter().any(|one| one.eq_ignore_ascii_case(licence))
        {
            let names: Vec<&str> = self.licences.iter().map(String::as_str).take(4).collect();
            said.push(format!(
                "the card names licence {:?}, spec.license is {licence:?}",
                cut(&names.join(", "))
            ));
        }
        if !self.datasets.is_empty() && !spec.trained_on.is_empty() {
            for used in &spec.trained_on {
                if !self.datasets.iter().any(|one| same_name(one, &used.dataset)) {
                    said.push(format!("spec.trainedOn names dataset {:?}, the card does not", used.dataset));
                }
            }
            for one in &self.datasets {
                if !spec.trained_on.iter().any(|used| same_name(one, &used.dataset)) {
                    said.push(format!("the card names dataset {:?}, spec.trainedOn does not", cut(one)));
                }
            }
        }
        if self.sha256.is_empty() && self.version.is_empty() {
            said.push(
                "the card gives neither a hash nor a version, so it may be about any model of the name"
                    .to_owned(),
            );
        }
        said.truncate(MAX_SAID);
        said
    }
}

/// Names of resources are lower case with dashes; people write theirs with spaces, dots and a group before a slash.
fn same_name(a: &str, b: &str) -> bool {
    let plain = |text: &str| -> String {
        let last = text.rsplit('/').next().unwrap_or_default();
        last.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    let (a, b) = (plain(a), plain(b));
    !a.is_empty() && a == b
}

/// `{license: {id}}`, `{license: {name}}` or `{expression}`.
fn licence(value: &serde_json::Value) -> Option<String> {
    let inner = &value["license"];
    let text =
        inner["id"].as_str().or_else(|| inner["name"].as_str()).or_else(|| value["expression"].as_str());
    text.filter(|text| !text.is_empty()).map(cut)
}

/// Datasets stand in the card itself, or as references to components.
fn datasets(model: &Component, components: &[Component]) -> BTreeSet<String> {
    let card = model.model_card.as_ref();
    let listed = card.and_then(|card| card["modelParameters"]["datasets"].as_array());
    let named = |reference: &str| {
        let component = components.iter().find(|component| component.reference == reference);
        component.map_or_else(|| reference.to_owned(), |component| component.name.clone())
    };
    let name = |value: &serde_json::Value| {
        let name = value["name"].as_str().map(str::to_owned);
        name.or_else(|| value["ref"].as_str().map(named)).or_else(|| value.as_str().map(named))
    };
    listed
        .into_iter()
        .flatten()
        .take(MAX_NAMES)
        .filter_map(name)
        .filter(|name| !name.is_empty())
        .map(|name| cut(&name))
        .collect()
}

fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
#[path = "bom_tests.rs"]
mod tests;
