//! What is read from a statement about a model's files, and what is refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn hash(byte: u8) -> String {
    hex::encode([byte; 32])
}

/// A statement with its digest computed, so that a test changes one thing.
fn statement(serialization: &Value, resources: &[(&str, &str, String)]) -> Value {
    let mut root = Sha256::new();
    for (_, _, digest) in resources {
        root.update(hex::decode(digest).unwrap_or_default());
    }
    let resources: Vec<_> = resources
        .iter()
        .map(|(name, algorithm, digest)| json!({"name": name, "algorithm": algorithm, "digest": digest}))
        .collect();
    json!({
        "_type": STATEMENT,
        "subject": [{"name": "m", "digest": {"sha256": hex::encode(root.finalize())}}],
        "predicateType": PREDICATE,
        "predicate": {"serialization": serialization, "resources": resources},
    })
}

fn files() -> Value {
    json!({"method": "files", "hash_type": "sha256", "allow_symlinks": false, "ignore_paths": ["model.sig", ".git/"]})
}

fn parse(value: &Value) -> Result<Manifest, String> {
    Manifest::parse(value.to_string().as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn files_are_read_with_what_is_left_out() {
    let manifest =
        parse(&statement(&files(), &[("a", "sha256", hash(1)), ("b/c", "sha256", hash(2))])).unwrap();
    assert_eq!(manifest.files.keys().collect::<Vec<_>>(), ["a", "b/c"]);
    assert!(manifest.ignores("model.sig") && manifest.ignores(".git/HEAD"));
    assert!(!manifest.ignores(".gitignore") && !manifest.ignores("b/model.sig"));
    assert_eq!(manifest.hash, HashKind::Sha256);
    let listed = Manifest::of_files([("b/c", &*hash(2)), ("a", &*hash(1))].into_iter()).unwrap();
    assert_eq!(listed.digest, manifest.digest);
}

#[test]
fn shards_join_without_a_gap() {
    let how = json!({"method": "shards", "hash_type": "sha256", "shard_size": 10.0, "allow_symlinks": false});
    let algorithm = "sha256-sharded-10";
    let read = |shards: &[&str]| {
        let resources: Vec<_> = shards.iter().map(|name| (*name, algorithm, hash(1))).collect();
        parse(&statement(&how, &resources)).map(|manifest| manifest.files["a"].len())
    };
    assert_eq!(read(&["a:0:10", "a:10:20", "a:20:21"]), Ok(3));
    let gap = Err("the shards of file \"a\" do not join".to_owned());
    assert_eq!(read(&["a:0:10", "a:11:20"]), gap);
    assert_eq!(read(&["a:0:5", "a:5:10"]), gap);
    assert_eq!(read(&["a:0:10", "a:0:10"]), gap);
    assert_eq!(read(&["a:0:20"]), gap);
    assert_eq!(read(&["a:0:0"]), gap);
    assert_eq!(read(&["a:0"]), Err("\"a:0\" is no shard of a file".to_owned()));
    assert_eq!(read(&["a:+0:9"]), Err("\"a:+0:9\" is no shard of a file".to_owned()));
}

#[test]
fn what_is_ambiguous_or_false_is_refused() {
    let one = |name: &str| parse(&statement(&files(), &[(name, "sha256", hash(1))])).unwrap_err();
    for path in ["../x", "/etc/passwd", "a/../b", "./a", "a//b", "a\\b", "a/", "", "a\nb"] {
        assert_eq!(one(path), format!("{path:?} is no plain path"));
    }
    let two = |a: &str, b: &str| {
        parse(&statement(&files(), &[(a, "sha256", hash(1)), (b, "sha256", hash(2))])).unwrap_err()
    };
    assert_eq!(two("a", "a"), "file \"a\" is listed twice");
    assert_eq!(two("a", "a/b"), "\"a\" is listed as a file and as a folder");
    let changed = |pointer: &str, value: Value| {
        let mut all = statement(&files(), &[("a", "sha256", hash(1))]);
        *all.pointer_mut(pointer).unwrap() = value;
        parse(&all).unwrap_err()
    };
    assert_eq!(
        changed("/subject/0/digest/sha256", json!(hash(9))),
        "the listed hashes are not those that the digest of the whole covers"
    );
    assert_eq!(
        changed("/predicateType", json!("https://slsa.dev/provenance/v1")),
        "it states \"https://slsa.dev/provenance/v1\", which is no manifest of a model"
    );
    assert_eq!(changed("/_type", json!("x")), "the statement is of type \"x\"");
    assert_eq!(changed("/subject", json!([])), "the statement is about 0 subjects, not one");
    assert_eq!(
        changed("/predicate/resources/0/algorithm", json!("md5")),
        "file \"a\" is hashed with \"md5\", the manifest announces \"sha256\""
    );
    assert_eq!(changed("/predicate/resources/0/digest", json!("00")), "the hash of file \"a\" is no sha256");
    assert_eq!(changed("/predicate/serialization/hash_type", json!("md5")), "files are hashed with \"md5\"");
    assert_eq!(
        changed("/predicate/serialization/method", json!("tensors")),
        "files are listed as \"tensors\""
    );
    for path in [".", "", "..", "/", "a/.."] {
        assert_eq!(
            changed("/predicate/serialization/ignore_paths", json!([path])),
            format!("the manifest leaves out {path:?}, which is no plain path")
        );
    }
    assert_eq!(parse(&statement(&files(), &[])).unwrap_err(), "no file is listed");
    let old = changed("/predicateType", json!(PREDICATE_OLD));
    assert!(old.ends_with("sign the model again"), "{old}");
}

proptest! {
    #[test]
    fn any_statement_is_answered(text in "\\PC{0,200}") {
        let _ = Manifest::parse(text.as_bytes());
    }

    #[test]
    fn a_name_is_plain_or_refused(name in "[a./\\\\: \n]{0,12}") {
        if let Ok(manifest) = parse(&statement(&files(), &[(&name, "sha256", hash(1))])) {
            prop_assert!(!name.contains("..") || name.split('/').all(|part| part != ".."));
            prop_assert_eq!(manifest.files.keys().next(), Some(&name));
        }
    }
}
