//! The few fields of the registry's answers that are read.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::statement::SIGN_PREDICATE;

pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// Older signatures lie under a manifest of this type.
pub(super) const DOCKER_MANIFEST_TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(super) const DOCKER_LIST_TYPE: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A signed statement, attached by a tag.
pub(super) const ENVELOPE_TYPE: &str = "application/vnd.dsse.envelope.v1+json";
pub(super) const SIMPLE_SIGNING_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
pub(super) const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle";
/// The type of an artifact that holds a signature over the files of a model.
const FILES_TYPE: &str = "application/vnd.model-signing.signature";
/// When an artifact was made, where its configuration has no room for it.
pub(super) const CREATED: &str = "org.opencontainers.image.created";

/// A pointer to content.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default)]
    pub(super) artifact_type: Option<String>,
    #[serde(default)]
    pub(super) annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(super) platform: Option<Platform>,
}

/// What a child of an index runs on.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Platform {
    #[serde(default)]
    pub(super) os: String,
}

/// A manifest with its layers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    #[serde(default)]
    pub(super) layers: Vec<Descriptor>,
    #[serde(default)]
    pub(super) config: Option<Descriptor>,
    #[serde(default)]
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

/// An image's configuration.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    #[serde(default)]
    pub(super) created: Option<String>,
}

/// A list of manifests: referrers, or the index that stands in for them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    /// `null` from some registries where the list is empty, but there.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) manifests: Option<Vec<Descriptor>>,
}

/// Reads a JSON object. A list would also do for the derived readers, and fill fields by position.
pub(super) fn object<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    bytes.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(bytes).ok()).flatten()
}

impl Descriptor {
    /// The digest's hexadecimal part, if it is a well-formed SHA-256.
    pub(super) fn sha256(&self) -> Option<&str> {
        let hex = self.digest.strip_prefix("sha256:")?;
        (hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f')))
            .then_some(hex)
    }

    /// Whether a child of an index is a statement about another child, and no platform: one that a node would run is none,
    /// whatever is written beside it.
    pub(super) fn is_about_another(&self) -> bool {
        let nowhere = self.platform.as_ref().is_some_and(|platform| platform.os == "unknown");
        nowhere && self.annotations.as_ref().is_some_and(|all| all.contains_key("vnd.docker.reference.type"))
    }

    /// How likely a referrer is a signature or a statement that is asked for: lower is looked at first. Nothing is left
    /// out, because registries do not all fill these fields.
    pub(super) fn rank(&self, asked_for: impl Fn(&str) -> bool) -> u8 {
        let named = self.artifact_type.as_deref().unwrap_or_default();
        let predicate =
            self.annotations.as_ref().and_then(|all| all.get("dev.sigstore.bundle.predicateType"));
        match predicate.map(String::as_str) {
            Some(SIGN_PREDICATE) => 0,
            Some(predicate) if asked_for(predicate) => 0,
            Some(_) => 3,
            None if named.starts_with(BUNDLE_TYPE) || named.starts_with(FILES_TYPE) => 1,
            None if named.is_empty() || named == "application/vnd.oci.empty.v1+json" => 1,
            None => 2,
        }
    }
}
