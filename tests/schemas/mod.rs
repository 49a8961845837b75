//! The objects and refusals that the tests of the schemas share: offline in `api.rs`, on a real API server in `api_server.rs`.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use json_patch::Patch;
use serde::Deserialize;
use serde_json::Value;

/// A change that a schema refuses, and the reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// The object of full.yaml, as `Kind/name`.
    pub(crate) object: String,
    /// Applied to the object before it exists.
    #[serde(default)]
    before: Patch,
    /// The change of an object that exists.
    update: Option<Patch>,
    /// The change before the object is created.
    create: Option<Patch>,
    /// What the user reads.
    pub(crate) refused: String,
    /// Whether only the schema itself decides it, not a rule.
    #[serde(default)]
    pub(crate) structural: bool,
}

impl Case {
    /// The object that exists, where the case is an update, and the one that is refused.
    pub(crate) fn objects(&self, full: &BTreeMap<String, Value>) -> Result<(Option<Value>, Value)> {
        ensure!(self.update.is_some() != self.create.is_some(), "{}: either update or create", self.object);
        let mut old =
            full.get(&self.object).with_context(|| format!("{} is not in full.yaml", self.object))?.clone();
        json_patch::patch(&mut old, &self.before)?;
        let mut new = old.clone();
        for patch in [&self.update, &self.create].into_iter().flatten() {
            json_patch::patch(&mut new, patch)?;
        }
        Ok((self.update.is_some().then_some(old), new))
    }
}

/// Every case.
pub(crate) fn cases() -> Result<Vec<Case>> {
    Ok(serde_saphyr::from_str(&read("tests/schemas/refusals.yaml")?)?)
}

/// One object of each kind with every field filled, by `Kind/name`.
pub(crate) fn full() -> Result<BTreeMap<String, Value>> {
    documents("tests/schemas/full.yaml")?
        .into_iter()
        .map(|object| {
            let text = |pointer: &str| {
                object.pointer(pointer).and_then(Value::as_str).context("kind and name").map(str::to_owned)
            };
            Ok((format!("{}/{}", text("/kind")?, text("/metadata/name")?), object))
        })
        .collect()
}

/// The objects of one file.
pub(crate) fn documents(path: &str) -> Result<Vec<Value>> {
    serde_saphyr::from_multiple(&read(path)?).with_context(|| path.to_owned())
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).with_context(|| path.to_owned())
}
