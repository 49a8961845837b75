//! Signatures over the files of a model that lies in a registry: they list files and hashes, and count for an artifact
//! only where these files are exactly its layers. Pure.
//!
//! The layer's own digest is compared, never what an annotation says of its content: annotations are part of a manifest
//! that whoever may push can write. So a layer that packs files (`tar`) has to be signed as the layer that it is.

use std::collections::{BTreeMap, BTreeSet};

use sigstore_verify::types::Sha256Hash;

use super::oci::{Descriptor, Manifest as Artifact};
use super::signature::{Candidate, cut};
use super::statement;
use crate::models::manifest::{HashKind, Manifest, Piece};

/// The name of a file that is a layer: as the tools that push files write it, then as those for models do.
const TITLES: [&str; 3] =
    ["org.opencontainers.image.title", "org.cncf.model.filepath", "org.cnai.model.filepath"];
/// How signers of manifests call the configuration.
const CONFIG: &str = "config.json";
/// Configurations by which layers become a file system and a process.
const IMAGE_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// The layers of one artifact.
#[derive(Debug)]
pub(super) struct Layers(Option<Artifact>);

/// Reads a bundle that is signed over files; nothing where it is about something else.
pub(super) fn read(bundle: &[u8]) -> Option<Result<(Candidate, Manifest), String>> {
    if !statement::is_about_files(bundle) {
        return None;
    }
    let read = || {
        let (candidate, statement) = Candidate::model(bundle)?;
        let manifest = Manifest::parse(&statement).map_err(|error| error.to_string())?;
        let hash = Sha256Hash::from_hex(manifest.digest.trim_start_matches("sha256:"))
            .map_err(|_| "its digest is no sha256")?;
        Ok((candidate.about(hash), manifest))
    };
    Some(read())
}

impl Layers {
    pub(super) const fn of(manifest: Artifact) -> Self {
        Self(Some(manifest))
    }

    /// An index has no layers of its own.
    pub(super) const fn of_index() -> Self {
        Self(None)
    }

    /// Whether the layers, and the configuration where it matters, are exactly the files that were signed.
    ///
    /// # Errors
    /// A clause that completes "a signature does not count: ...".
    pub(super) fn are(&self, files: &Manifest, revoked: &BTreeMap<String, String>) -> Result<(), String> {
        let Some(artifact) = &self.0 else {
            return Err(
                "it lists files, and the digest is that of an index: name the manifest of one platform"
                    .to_owned(),
            );
        };
        if let Some(reason) = revoked.get(&files.digest) {
            return Err(format!("the list of files {} is revoked: {}", files.digest, cut(reason)));
        }
        if files.hash != HashKind::Sha256 || files.sharded {
            return Err(format!(
                "it lists {}{} of files, and layers are known by their whole sha256: sign with sha256 and by file",
                files.hash,
                if files.sharded { " of pieces" } else { "" }
            ));
        }
        let mut found = BTreeSet::new();
        for (number, layer) in artifact.layers.iter().enumerate() {
            if let Some(reason) = revoked.get(&layer.digest) {
                return Err(format!("layer {number}, {}, is revoked: {}", cut(&layer.digest), cut(reason)));
            }
            if let Some((one, other)) = two_names(layer) {
                return Err(format!("layer {number} is called {:?} and {:?}", cut(one), cut(other)));
            }
            let name = name(layer, number);
            same(files, &name, layer).map_err(|what| format!("layer {number}, {:?}, {what}", cut(&name)))?;
            if !found.insert(name.clone()) {
                return Err(format!("two layers are called {:?}", cut(&name)));
            }
        }
        if let Some(config) = &artifact.config
            && !found.contains(CONFIG)
        {
            let listed = files.files.contains_key(CONFIG);
            if listed || IMAGE_CONFIGS.contains(&config.media_type.as_str()) {
                same(files, CONFIG, config)
                    .map_err(|what| format!("the configuration, {CONFIG:?}, {what}"))?;
                found.insert(CONFIG.to_owned());
            }
        }
        match files.files.keys().find(|path| !found.contains(*path)) {
            Some(path) => Err(format!("it lists {:?}, which is no layer of the artifact", cut(path))),
            None => Ok(()),
        }
    }
}

fn name(layer: &Descriptor, number: usize) -> String {
    title(layer).unwrap_or_else(|| format!("layer_{number:03}.tar.gz"))
}

/// The name of the file that a layer is, where it says so.
pub(super) fn title(layer: &Descriptor) -> Option<String> {
    TITLES.iter().find_map(|title| layer.annotations.as_ref()?.get(*title)).cloned()
}

/// Two names of one layer that differ: which of them counts, tools differ about.
fn two_names(layer: &Descriptor) -> Option<(&str, &str)> {
    let all = layer.annotations.as_ref()?;
    let mut names = TITLES.iter().filter_map(|title| all.get(*title)).map(String::as_str);
    let first = names.next()?;
    names.find(|name| *name != first).map(|other| (first, other))
}

fn same(files: &Manifest, name: &str, layer: &Descriptor) -> Result<(), &'static str> {
    let listed = files.files.get(name).ok_or("is not among the files that it lists")?;
    let own = layer.sha256().and_then(|digest| hex::decode(digest).ok());
    match (listed.as_slice(), own) {
        ([Piece { start: 0, end: None, digest }], Some(own)) if *digest == own => Ok(()),
        _ => Err("has other bytes than the file that it lists"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn layers(manifest: &Value) -> Layers {
        Layers::of(serde_json::from_value(manifest.clone()).unwrap())
    }

    fn hash(letter: &str) -> String {
        letter.repeat(64)
    }

    fn layer(title: &str, letter: &str) -> Value {
        json!({ "mediaType": "application/octet-stream", "digest": format!("sha256:{}", hash(letter)), "size": 1,
            "annotations": { "org.opencontainers.image.title": title } })
    }

    fn signed(files: &[(&str, &str)]) -> Manifest {
        let hashes: Vec<_> = files.iter().map(|(path, letter)| (*path, hash(letter))).collect();
        Manifest::of_files(hashes.iter().map(|(path, hash)| (*path, hash.as_str()))).unwrap()
    }

    fn verdict(manifest: &Value, files: &[(&str, &str)]) -> Result<(), String> {
        layers(manifest).are(&signed(files), &BTreeMap::new())
    }

    #[test]
    fn layers_are_the_files_or_the_difference_is_named() {
        let empty = json!({ "mediaType": "application/vnd.oci.empty.v1+json", "digest": format!("sha256:{}", hash("e")), "size": 2 });
        let two =
            json!({ "config": empty, "layers": [layer("a/model.safetensors", "a"), layer("b.json", "b")] });
        let both = [("a/model.safetensors", "a"), ("b.json", "b")];
        assert_eq!(verdict(&two, &both), Ok(()));
        let said = |files: &[(&str, &str)]| verdict(&two, files).unwrap_err();
        assert_eq!(
            said(&[("a/model.safetensors", "c"), ("b.json", "b")]),
            "layer 0, \"a/model.safetensors\", has other bytes than the file that it lists"
        );
        assert_eq!(
            said(&[("a/model.safetensors", "b"), ("b.json", "a")]),
            "layer 0, \"a/model.safetensors\", has other bytes than the file that it lists"
        );
        assert_eq!(
            said(&[("a/model.safetensors", "a")]),
            "layer 1, \"b.json\", is not among the files that it lists"
        );
        assert_eq!(
            said(&[both[0], both[1], ("c", "c")]),
            "it lists \"c\", which is no layer of the artifact"
        );
        let twice = json!({ "layers": [layer("x", "a"), layer("x", "a")] });
        assert_eq!(verdict(&twice, &[("x", "a")]).unwrap_err(), "two layers are called \"x\"");
        let mut named = layer("a", "a");
        named["annotations"][TITLES[1]] = json!("a");
        assert_eq!(verdict(&json!({ "layers": [named] }), &[("a", "a")]), Ok(()));
        // Each of them is signed, and a tool that goes by the other name loads them crosswise.
        let mut crossed = [layer("a", "a"), layer("b", "b")];
        crossed[0]["annotations"][TITLES[1]] = json!("b");
        crossed[1]["annotations"][TITLES[2]] = json!("a");
        assert_eq!(
            verdict(&json!({ "layers": crossed }), &[("a", "a"), ("b", "b")]).unwrap_err(),
            "layer 0 is called \"a\" and \"b\""
        );
        let no_layers = json!({ "config": empty });
        assert_eq!(
            verdict(&no_layers, &[("x", "a")]).unwrap_err(),
            "it lists \"x\", which is no layer of the artifact"
        );
    }

    #[test]
    fn a_configuration_that_makes_a_file_system_has_to_be_listed_too() {
        let config =
            |kind: &str| json!({ "mediaType": kind, "digest": format!("sha256:{}", hash("c")), "size": 2 });
        let plain = json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": format!("sha256:{}", hash("a")), "size": 1 });
        let image = json!({ "config": config(IMAGE_CONFIGS[0]), "layers": [plain] });
        assert_eq!(verdict(&image, &[("layer_000.tar.gz", "a"), (CONFIG, "c")]), Ok(()));
        assert_eq!(
            verdict(&image, &[("layer_000.tar.gz", "a")]).unwrap_err(),
            "the configuration, \"config.json\", is not among the files that it lists"
        );
        assert_eq!(
            verdict(&image, &[("layer_000.tar.gz", "a"), (CONFIG, "d")]).unwrap_err(),
            "the configuration, \"config.json\", has other bytes than the file that it lists"
        );
        // A layer of that name is the file of that name.
        let model =
            json!({ "config": config("application/vnd.example.config"), "layers": [layer(CONFIG, "b")] });
        assert_eq!(verdict(&model, &[(CONFIG, "b")]), Ok(()));
        assert!(verdict(&model, &[(CONFIG, "c")]).is_err());
    }

    #[test]
    fn what_an_annotation_says_of_a_layers_content_is_not_believed() {
        let mut packed = layer("", "a");
        packed["annotations"] = json!({
            "olot.layer.content.type": "file", "olot.layer.content.inlayerpath": "/models/m.gguf",
            "olot.layer.content.digest": format!("sha256:{}", hash("b")),
        });
        let artifact = json!({ "layers": [packed] });
        assert_eq!(
            verdict(&artifact, &[("m.gguf", "b")]).unwrap_err(),
            "layer 0, \"layer_000.tar.gz\", is not among the files that it lists"
        );
    }

    #[test]
    fn revoked_lists_and_layers_and_other_hashes_do_not_count() {
        let one = json!({ "layers": [layer("m", "a")] });
        let files = signed(&[("m", "a")]);
        let revoked = |digest: &str| BTreeMap::from([(digest.to_owned(), "leaked".to_owned())]);
        let said = layers(&one).are(&files, &revoked(&files.digest)).unwrap_err();
        assert_eq!(said, format!("the list of files {} is revoked: leaked", files.digest));
        let own = format!("sha256:{}", hash("a"));
        assert_eq!(
            layers(&one).are(&files, &revoked(&own)).unwrap_err(),
            format!("layer 0, {own}, is revoked: leaked")
        );
        let other = Manifest { hash: HashKind::Blake2b, ..files.clone() };
        assert_eq!(
            layers(&one).are(&other, &BTreeMap::new()).unwrap_err(),
            "it lists blake2b of files, and layers are known by their whole sha256: sign with sha256 and by file"
        );
        let pieces = Manifest { sharded: true, ..files.clone() };
        assert_eq!(
            layers(&one).are(&pieces, &BTreeMap::new()).unwrap_err(),
            "it lists sha256 of pieces of files, and layers are known by their whole sha256: sign with sha256 and by file"
        );
        assert_eq!(
            Layers::of_index().are(&files, &BTreeMap::new()).unwrap_err(),
            "it lists files, and the digest is that of an index: name the manifest of one platform"
        );
    }
}
