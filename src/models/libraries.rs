//! Bills of materials of images (`CycloneDX` and SPDX): which libraries that load and serve models are inside. Read
//! tolerantly, since every tool fills in others of their fields; all that is no such library is passed over.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

/// The longest document that is read.
const MAX_LEN: usize = 16 << 20;
/// Libraries that are kept of one document.
const MAX_LIBRARIES: usize = 256;
/// The longest name or version.
const MAX_TEXT: usize = 120;

/// Those of npm, Go and cargo, where short names are other things.
const ELSEWHERE: &[(&str, &[&str])] = &[
    (
        "cargo",
        &["candle-core", "candle-transformers", "llama-cpp-2", "mistralrs", "ort", "safetensors", "tch"],
    ),
    ("golang", &["github.com/ollama/ollama", "github.com/yalue/onnxruntime_go"]),
    (
        "npm",
        &[
            "@huggingface/transformers",
            "@tensorflow/tfjs-node",
            "@tensorflow/tfjs-node-gpu",
            "@xenova/transformers",
            "node-llama-cpp",
            "onnxruntime-node",
        ],
    ),
];

/// Frameworks and libraries that read models or run what is in them, as registries of Python packages and systems name them.
const LOADERS: &[&str] = &[
    "accelerate",
    "bentoml",
    "ctransformers",
    "ctranslate2",
    "diffusers",
    "exllamav2",
    "flax",
    "jax",
    "joblib",
    "keras",
    "kserve",
    "lightgbm",
    "llama-cpp-python",
    "llama.cpp",
    "lmdeploy",
    "mlflow",
    "mlserver",
    "mxnet",
    "nemo-toolkit",
    "nvidia-pytriton",
    "ollama",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "optimum",
    "paddlepaddle",
    "paddlepaddle-gpu",
    "peft",
    "pytorch",
    "pytorch-lightning",
    "ray",
    "safetensors",
    "scikit-learn",
    "sentence-transformers",
    "sglang",
    "spacy",
    "tensorflow",
    "tensorflow-cpu",
    "tensorrt",
    "tensorrt-llm",
    "text-generation-server",
    "tf-keras",
    "timm",
    "torch",
    "torchserve",
    "transformers",
    "tritonserver",
    "vllm",
    "xgboost",
];

/// A library in one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Library {
    /// The registry of packages, as package URLs name it: `pypi`; empty where the bill does not say.
    pub kind: String,
    /// Its name there, of `pypi` in the one way in which names are compared.
    pub name: String,
    /// Its version; empty where the bill does not say.
    pub version: String,
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.kind.is_empty() { "generic" } else { &self.kind };
        write!(f, "pkg:{kind}/{}", self.name)?;
        if self.version.is_empty() { Ok(()) } else { write!(f, "@{}", self.version) }
    }
}

impl Library {
    /// Reads a package URL; what stands behind `?` and `#` is left out. `None` where it is none.
    #[must_use]
    pub fn of_url(text: &str) -> Option<Self> {
        let text = text.trim();
        let rest = text.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("pkg:")).map(|_| &text[4..])?;
        let rest = rest.trim_start_matches('/');
        let rest = rest.split(['?', '#']).next()?;
        let (kind, rest) = rest.split_once('/')?;
        // The at sign of a scope is written as %40, or stands at the start of a part.
        let (name, version) = match rest.rsplit_once('@') {
            Some((name, version)) if !name.is_empty() && !name.ends_with('/') => (name, version),
            _ => (rest, ""),
        };
        Self::new(kind, &plain(name)?, &plain(version)?)
    }

    fn new(kind: &str, name: &str, version: &str) -> Option<Self> {
        let kind = kind.trim().to_ascii_lowercase();
        let mut name = name.trim().trim_matches('/').to_ascii_lowercase();
        if kind == "pypi" {
            name = one_way(&name);
        }
        let fits = !name.is_empty() && [&kind, &name].iter().all(|text| text.len() <= MAX_TEXT);
        fits.then(|| Self { kind, name, version: cut(version) })
    }

    /// Whether it reads models or serves them.
    fn is_loader(&self) -> bool {
        if let Some((_, names)) = ELSEWHERE.iter().find(|(kind, _)| *kind == self.kind) {
            return names.contains(&self.name.as_str());
        }
        // Systems name packages with who made them or what they are for before.
        let last = self.name.rsplit('/').next().unwrap_or_default();
        let known = |name: &str| {
            let is = |name: &str| LOADERS.binary_search(&name).is_ok();
            is(name) || is(&one_way(name))
        };
        let of_python = last.strip_prefix("python").and_then(|rest| {
            rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').strip_prefix('-')
        });
        known(last) || of_python.is_some_and(known)
    }

    /// Whether both are of one name, where one bill does not say whose the name is and so leaves it as it is written.
    #[must_use]
    pub fn is_called(&self, other: &Self) -> bool {
        self.name == other.name
            || ((self.kind.is_empty() || other.kind.is_empty())
                && one_way(&self.name) == one_way(&other.name))
    }
}

/// A name in the one way in which those of Python are compared: `scikit__Learn` is `scikit-learn`.
fn one_way(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if out.ends_with('-') => {}
            '-' | '_' | '.' => out.push('-'),
            c => out.extend(c.to_lowercase()),
        }
    }
    out
}

/// A version as far as it is kept; one that is cut is no version that anybody reviewed.
fn cut(version: &str) -> String {
    version.trim().chars().take(MAX_TEXT).collect()
}

/// Percent signs of a package URL undone; `None` where what they stand for is no text.
fn plain(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (*first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).ok()?);
                rest = &after[2..];
            }
            (byte, ..) => {
                out.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(out).ok()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CycloneDx {
    bom_format: String,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    component: Option<Component>,
}

#[derive(Deserialize)]
struct Component {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    purl: Option<String>,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spdx {
    #[serde(rename = "spdxVersion", default)]
    version: Option<String>,
    #[serde(default)]
    packages: Vec<Package>,
    #[serde(rename = "@graph", default)]
    graph: Vec<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version_info: Option<String>,
    #[serde(default)]
    external_refs: Vec<ExternalRef>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExternalRef {
    #[serde(default)]
    reference_type: String,
    #[serde(default)]
    reference_locator: String,
}

/// A package of SPDX 3.
#[derive(Deserialize)]
struct Node {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(rename = "software_packageVersion", default)]
    version: Option<String>,
    #[serde(rename = "software_packageUrl", default)]
    purl: Option<String>,
}

/// Whether statements of this type are bills of materials that are read here.
#[must_use]
pub fn is_bill(predicate_type: &str) -> bool {
    ["https://cyclonedx.org/bom", "https://spdx.dev/Document"]
        .iter()
        .any(|bill| predicate_type.starts_with(bill))
}

/// The libraries in a bill of materials that load or serve models.
///
/// # Errors
/// A clause that says why the document cannot be read.
pub fn read(predicate_type: &str, json: &[u8]) -> Result<BTreeSet<Library>, String> {
    if json.len() > MAX_LEN {
        return Err(format!("it is longer than {MAX_LEN} bytes"));
    }
    let unreadable = |error: serde_json::Error| format!("it cannot be read: {error}");
    let mut found = Found::default();
    if predicate_type.starts_with("https://cyclonedx.org/bom") {
        let bill: CycloneDx = serde_json::from_slice(json).map_err(unreadable)?;
        if bill.bom_format != "CycloneDX" {
            let format: String = bill.bom_format.chars().take(MAX_TEXT).collect();
            return Err(format!("its format is {format:?}, not CycloneDX"));
        }
        bill.metadata.iter().filter_map(|of| of.component.as_ref()).for_each(|one| found.component(one));
        bill.components.iter().for_each(|one| found.component(one));
        return found.end();
    }
    // What is not JSON in the first place is signed as a text.
    match serde_json::from_slice(json).map_err(unreadable)? {
        Value::String(text) if text.trim_start().starts_with('{') => {
            found.spdx(&serde_json::from_str(&text).map_err(unreadable)?)?;
        }
        Value::String(text) => found.tags(&text)?,
        value => found.spdx(&serde_json::from_value(value).map_err(unreadable)?)?,
    }
    found.end()
}

#[derive(Default)]
struct Found {
    libraries: BTreeSet<Library>,
}

impl Found {
    fn take(&mut self, purl: Option<&str>, name: &str, version: Option<&str>) {
        let version = version.unwrap_or_default();
        let library = match purl.and_then(Library::of_url) {
            Some(library) if library.version.is_empty() => Some(Library { version: cut(version), ..library }),
            Some(library) => Some(library),
            None => Library::new("", name, version),
        };
        if self.libraries.len() <= MAX_LIBRARIES {
            self.libraries.extend(library.filter(Library::is_loader));
        }
    }

    fn component(&mut self, component: &Component) {
        // A model that a library has the name of is none.
        if !matches!(component.kind.as_str(), "machine-learning-model" | "data" | "file") {
            self.take(component.purl.as_deref(), &component.name, component.version.as_deref());
        }
        component.components.iter().for_each(|inner| self.component(inner));
    }

    fn spdx(&mut self, bill: &Spdx) -> Result<(), String> {
        if bill.version.is_none() && bill.graph.is_empty() {
            return Err("it names no version of SPDX".to_owned());
        }
        for package in &bill.packages {
            let purl = package.external_refs.iter().find(|one| one.reference_type == "purl");
            let purl = purl.map(|one| one.reference_locator.as_str());
            self.take(purl, &package.name, package.version_info.as_deref());
        }
        for node in bill.graph.iter().filter(|node| node.kind.ends_with("Package")) {
            self.take(node.purl.as_deref(), &node.name, node.version.as_deref());
        }
        Ok(())
    }

    /// SPDX as lines of tags and values.
    fn tags(&mut self, text: &str) -> Result<(), String> {
        let (mut named, mut name, mut version, mut purl) = (false, "", None, None);
        for line in text.lines() {
            let Some((tag, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match tag.trim() {
                "SPDXVersion" => named = true,
                "PackageName" => {
                    self.take(purl, name, version);
                    (name, version, purl) = (value, None, None);
                }
                "PackageVersion" => version = Some(value),
                "ExternalRef" => {
                    purl = purl.or_else(|| value.split_whitespace().find(|at| at.starts_with("pkg:")));
                }
                _ => {}
            }
        }
        self.take(purl, name, version);
        if named { Ok(()) } else { Err("it names no version of SPDX".to_owned()) }
    }

    fn end(self) -> Result<BTreeSet<Library>, String> {
        if self.libraries.len() > MAX_LIBRARIES {
            return Err(format!("it lists more than {MAX_LIBRARIES} libraries that load models"));
        }
        Ok(self.libraries)
    }
}

#[cfg(test)]
#[path = "libraries_tests.rs"]
mod tests;
