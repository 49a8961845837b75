//! `portcullis verify MODEL-DIR` on models that the real `model_signing` signed: what we say, and how it compares with
//! what `model_signing` itself says (tests/models/signed.py).

#![expect(clippy::expect_used, reason = "a test that cannot run the program has failed")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/signed")
}

fn verify(folder: &Path, name: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .current_dir(folder)
        .args(["verify", name, "--trust", "trust.yaml"])
        .args(more)
        .output()
        .expect("portcullis runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Where we refuse what `model_signing` accepts, or the other way round, and why.
const EXCEPTIONS: [(&str, &str); 3] = [
    (
        "leaves-out-extra",
        "what nobody signed could be loaded all the same: model_signing looks away where a manifest says so",
    ),
    ("file-twice", "one of two entries for a path would have to win: model_signing takes the last"),
    ("path-not-plain", "a name that has to be normalised first can be two names for one file"),
];

/// What is said, besides the verdict.
const REASONS: [(&str, i32, &str); 31] = [
    ("good", 0, "3 files with 376 bytes hashed and as the manifest says"),
    ("good-shards", 0, "\"empty.txt\" is empty, and a manifest of shards lists no empty files"),
    ("good-blake3", 0, "signed by acme"),
    ("good-p384", 0, "signed by large"),
    ("good-git-files", 0, "\".gitattributes\" is left out by the manifest"),
    ("changed-byte", 1, "\"model.safetensors\" has other bytes than the manifest says"),
    (
        "changed-byte-in-shard",
        1,
        "\"model.safetensors\" has other bytes than the manifest says, from 100 to 200",
    ),
    ("grown-file", 1, "\"model.safetensors\" has "),
    ("extra-file", 1, "\"tokenizer/extra.txt\" is there and not in the manifest"),
    ("removed-file", 1, "\"config.json\" is in the manifest and not there"),
    ("renamed-file", 1, "\"configuration.json\" is there and not in the manifest"),
    ("symlink", 1, "\"config.json\" is a symbolic link, not a file"),
    ("symlink-to-folder", 1, "\"more\" is a symbolic link, not a file"),
    ("swapped-files", 1, "\"tokenizer/vocab.txt\" has other bytes than the manifest says"),
    ("wrong-key", 1, "a signature does not count for \"acme\": it was made with another key"),
    ("unsigned", 1, "unsigned/model.sig: there is no signature over the files"),
    ("no-bundle", 1, "the signature does not count: it is no sigstore bundle"),
    ("changed-statement", 1, "a signature does not count for \"acme\": it was made with another key"),
    (
        "wrong-predicate",
        1,
        "the signature does not count: it states \"https://slsa.dev/provenance/v1\", which is no manifest of a model",
    ),
    ("old-predicate", 1, "which is no manifest of a model"),
    (
        "wrong-root-digest",
        1,
        "the signature does not count: the listed hashes are not those that the digest of the whole covers",
    ),
    ("two-subjects", 1, "the signature does not count: the statement is about 2 subjects, not one"),
    ("up-and-out", 1, "the signature does not count: \"../outside.txt\" is no plain path"),
    ("file-twice", 1, "the signature does not count: file \"config.json\" is listed twice"),
    ("path-not-plain", 1, "the signature does not count: \"./config.json\" is no plain path"),
    (
        "leaves-out-all",
        1,
        "the signature does not count: the manifest leaves out \".\", which is no plain path",
    ),
    ("leaves-out-extra", 1, "\"extra.txt\" is there and not signed: the manifest leaves it out"),
    ("follows-links", 1, "\"link.txt\" is a symbolic link, not a file"),
    ("other-hash", 1, "is hashed with \"sha512\", the manifest announces \"sha256\""),
    ("nothing-listed", 1, "the signature does not count: no file is listed"),
    ("huge-shard-gap", 1, "do not join"),
];

#[test]
fn each_model_gets_its_verdict_and_the_reason() {
    for (name, code, reason) in REASONS {
        let output = verify(&folder(), name, &[]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(code), "{name}: {said}");
        assert!(said.contains(reason), "{name} does not say {reason:?}:\n{said}");
    }
}

/// `cases.json` and the models in `folder` against us.
fn compare(folder: &Path) {
    let cases = std::fs::read_to_string(folder.join("cases.json")).expect("cases.json");
    let cases: BTreeMap<String, String> = serde_json::from_str(&cases).expect("cases.json is a table");
    assert_eq!(cases.len(), REASONS.len(), "every case has its reason");
    for (name, theirs) in &cases {
        let ours = verify(folder, name, &["--formats", "report"]).status.code() == Some(0);
        let equal = ours == (theirs == "accepted");
        let excepted = EXCEPTIONS.iter().any(|(exception, _)| exception == name);
        assert_eq!(equal, !excepted, "{name}: ours {ours}, model_signing: {theirs}");
    }
}

#[test]
fn verdicts_equal_those_of_model_signing_or_are_excepted_with_a_reason() {
    compare(&folder());
}

/// The same on models that were signed a moment ago; `make test` has no Python, so this runs where there is one.
#[test]
fn verdicts_equal_those_of_model_signing_on_new_signatures() {
    let home = std::env::var("HOME").unwrap_or_default();
    let python = Path::new(&home).join(".cache/portcullis/model-signing/bin/python");
    if !python.exists() {
        return;
    }
    let fresh = tempfile::tempdir().expect("a folder");
    let made = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/signed.py"))
        .arg(fresh.path().join("signed"))
        .status()
        .expect("python runs");
    assert!(made.success());
    compare(&fresh.path().join("signed"));
}

#[test]
fn the_account_says_what_was_checked_and_what_not() {
    let digest = "sha256:";
    let said = text(&verify(&folder(), "good", &[]));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "good");
    assert!(lines[1].starts_with(digest));
    assert_eq!(
        &lines[2..],
        [
            "verified",
            "signature: verified",
            "  signed by acme",
            "  when is not proven: no transparency log or timestamp was asked for",
            "bytes: verified",
            "  3 files with 376 bytes hashed and as the manifest says",
            "formats: verified",
            "  seen in the bytes: 1 JSON, 1 safetensors, 1 text",
            "not checked",
            "  \"model.sig\" is the signature",
            "  the manifest leaves out, wherever they appear: .git, .gitattributes, .github, .gitignore, model.sig",
            "  what the model answers, and what it was trained on",
        ]
    );
}

#[test]
fn another_digest_than_the_wanted_one_is_refused() {
    let wanted = format!("sha256:{}", "0".repeat(64));
    let output = verify(&folder(), "good", &["--digest", &wanted]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains(&format!(", not {wanted}")), "{}", text(&output));
}

#[test]
fn a_signature_from_elsewhere_counts_for_the_same_files_only() {
    let output = verify(&folder(), "unsigned", &["--signature", "good/model.sig"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let output = verify(&folder(), "good-shards", &["--signature", "good/model.sig"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("\"empty.txt\" is there and not in the manifest"), "{}", text(&output));
}

#[test]
fn unsigned_files_are_compared_with_a_digest_and_stay_unsigned() {
    let said = text(&verify(&folder(), "good", &[]));
    let digest = said.lines().nth(1).expect("a digest").to_owned();
    let output = verify(&folder(), "unsigned", &["--digest", &digest]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("signature: refused\n") && said.contains("bytes: verified\n"), "{said}");
    let output = verify(&folder(), "unsigned", &["--digest", &format!("sha256:{}", "1".repeat(64))]);
    assert!(text(&output).contains(&format!("the files are {digest}, not sha256:111")), "{}", text(&output));
}

/// What the verifier leaves behind in the cluster.
fn answer(name: &str, digest: &str) -> (Option<i32>, serde_json::Value) {
    let trust = std::fs::read_to_string(folder().join("trust.yaml")).expect("trust.yaml");
    let policy: serde_json::Value = serde_saphyr::from_str(&trust).expect("a policy");
    let place = tempfile::tempdir().expect("a folder");
    let file = place.path().join("answer");
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["verify-model", "--namespace=chat", "--root"])
        .arg(folder())
        .args([&format!("--path={name}"), &format!("--digest={digest}"), "--answer"])
        .arg(&file)
        .env("PORTCULLIS_TRUST", serde_json::json!([policy]).to_string())
        .output()
        .expect("portcullis runs");
    let said = std::fs::read_to_string(&file).expect("an answer");
    (output.status.code(), serde_json::from_str(&said).expect("an answer"))
}

#[test]
fn the_verifier_leaves_an_answer_about_the_digest_it_was_asked_for() {
    let said = text(&verify(&folder(), "good", &[]));
    let digest = said.lines().nth(1).expect("a digest").to_owned();
    let (code, good) = answer("good", &digest);
    assert_eq!(code, Some(0));
    assert_eq!(good["signature"], "Verified");
    assert_eq!(good["bytes"], "Verified");
    assert_eq!(good["authorities"], serde_json::json!(["acme"]));
    let (code, bad) = answer("changed-byte", &digest);
    assert_eq!(code, Some(1));
    assert_eq!((&bad["signature"], &bad["bytes"]), (&"Verified".into(), &"Failed".into()));
    assert_eq!(bad["message"], "bytes: \"model.safetensors\" has other bytes than the manifest says");
    let (_, other) = answer("good", &format!("sha256:{}", "b".repeat(64)));
    assert_eq!((&other["signature"], &other["bytes"]), (&"Failed".into(), &"Failed".into()));
    assert_eq!(
        other["authorities"],
        serde_json::Value::Null,
        "a signature over another digest counts for nothing"
    );
    let (code, outside) = answer("../signed/good", &digest);
    assert_eq!(code, Some(2));
    assert_eq!(outside["bytes"], "Unknown");
    assert_eq!(outside["message"], "spec.source.path \"../signed/good\" is no plain path");
}

#[test]
fn files_that_run_code_refuse_a_model_or_are_told() {
    let model = tempfile::tempdir().expect("a folder");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/formats/code/harmful.pkl");
    std::fs::copy(source, model.path().join("weights.bin")).expect("a copy");
    let path = model.path().display().to_string();
    let output = verify(&folder(), &path, &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output);
    assert!(said.contains("formats: refused\n"), "{said}");
    let reason = "\"weights.bin\" can run code when it is loaded: its pickle imports posix.system";
    assert!(said.contains(reason), "{said}");
    assert!(
        said.contains("bytes: without a manifest or a digest there is nothing to compare them with"),
        "{said}"
    );
}

/// A copy of a model whose files may be changed.
fn copy(name: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder for a copy");
    let done = Command::new("cp")
        .arg("-r")
        .arg(folder().join(name))
        .arg(home.path())
        .status()
        .expect("a folder for a copy");
    assert!(done.success());
    std::fs::copy(folder().join("trust.yaml"), home.path().join("trust.yaml")).expect("a folder for a copy");
    home
}

#[test]
fn a_pipe_in_the_place_of_the_signature_keeps_nobody_waiting() {
    let home = copy("good");
    let signature = home.path().join("good/model.sig");
    std::fs::remove_file(&signature).unwrap();
    assert!(Command::new("mkfifo").arg(&signature).status().unwrap().success());
    let output = verify(home.path(), "good", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "good/model.sig: is no regular file\n");
}

#[test]
fn weights_under_a_name_that_signers_leave_out_are_refused() {
    let home = copy("good");
    std::fs::create_dir(home.path().join("good/.git")).unwrap();
    let weights = home.path().join("good/model.safetensors");
    std::fs::copy(weights, home.path().join("good/.git/model.safetensors")).unwrap();
    let output = verify(home.path(), "good", &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output);
    let wanted = "\".git/model.safetensors\" is not signed, and is no plain text: safetensors";
    assert!(said.contains(wanted), "{said}");
}

#[test]
fn a_dataset_is_judged_by_rules_about_datasets() {
    let home = copy("good");
    let trust = std::fs::read_to_string(home.path().join("trust.yaml")).unwrap();
    let of_data = trust.replace("artifact: model", "artifact: dataset");
    assert_ne!(trust, of_data);
    std::fs::write(home.path().join("trust.yaml"), of_data).unwrap();
    let code = |more: &[&str]| verify(home.path(), "good", more).status.code();
    assert_eq!(code(&["--as", "dataset"]), Some(0));
    assert_eq!(code(&["--as", "model"]), Some(1), "no rule is about models");
    // Where no rule is about datasets, those about models speak.
    std::fs::write(home.path().join("trust.yaml"), trust).unwrap();
    assert_eq!(code(&["--as", "dataset"]), Some(0));
}

#[test]
fn a_path_that_leads_to_no_directory_is_no_image() {
    let said = |subject: &str| {
        let output = verify(&folder(), subject, &[]);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for path in ["/models/gone", "./gone", "../gone", "gone/v1", "gone/"] {
        assert_eq!(said(path), format!("{path}: there is no such directory\n"));
    }
    assert_eq!(said("trust.yaml"), "trust.yaml: is no directory: name the one with the files of the model\n");
    assert!(said("registry.example/gone:v1 x").contains("is no image reference"));
}
