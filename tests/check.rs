//! `portcullis check` as people run it: exit codes, words, and what it makes of bad input.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its input has failed")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const BASE: &str = include_str!("controls/base.yaml");

const MANUAL: &str =
    "registry.example/data/manual@sha256:4444444444444444444444444444444444444444444444444444444444444444";

/// The base without what is no object of a cluster. Files do not tell what the operator read on a claim, so that its dataset
/// is an artifact here.
fn base() -> String {
    let objects = BASE.split("---\n# What is known of signatures").next().unwrap();
    let changed = objects
        .replace(
            "source: {kind: pvc, claimName: manual-v1}",
            &format!("source: {{kind: oci, reference: \"{MANUAL}\"}}"),
        )
        .replace(
            "persistentVolumeClaim: {claimName: manual-v1}",
            &format!("image: {{reference: \"{MANUAL}\"}}"),
        );
    assert_eq!(changed.matches(MANUAL).count(), 2);
    changed
}

fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Exit code, and both outputs.
fn check(arguments: &[&str], input: &str) -> (i32, String) {
    let output = run(&[&["check", "-f", "-"], arguments].concat(), input);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

fn signatures() -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let images = BASE.rsplit_once("images:").unwrap().1;
    writeln!(file, "images:{images}  {MANUAL}: {{trusted: [acme-ci]}}").unwrap();
    file
}

/// With the signatures that the base needs.
fn verified(input: &str) -> (i32, String) {
    let file = signatures();
    check(&["--signatures", file.path().to_str().unwrap()], input)
}

/// How many objects of the base are judged: those of our own kinds, and what carries pods or opens networks.
fn judged() -> usize {
    let kinds = ["Namespace", "NetworkPolicy", "Deployment"];
    let own = |document: &&str| document.contains("portcullis.dev/v1alpha1");
    let other = |document: &&str| kinds.iter().any(|kind| document.contains(&format!("\nkind: {kind}\n")));
    // The namespace of the organisation is not governed: nothing runs there.
    let governed = |document: &&str| !document.contains("\nmetadata: {name: ai-governance}");
    base().split("\n---\n").filter(|document| own(document) || other(document)).filter(governed).count()
}

#[track_caller]
fn assert_says(got: &(i32, String), code: i32, words: &str) {
    assert!(got.0 == code && got.1.contains(words), "wanted {code} and {words:?}, got {}:\n{}", got.0, got.1);
}

#[test]
fn a_workload_that_keeps_the_code_passes() {
    let judged = judged();
    assert_eq!(verified(&base()), (0, format!("{judged} objects judged: {judged} pass; 1 not governed\n")));
}

/// The samples that keep every control, beside what they share.
const SAMPLES: [&str; 5] = ["support-chat", "batch-scoring", "fine-tuning", "ops-agent", "translation"];

fn sample(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/samples").join(name)
}

/// Signatures and statements for every image that the samples name.
fn all_signed() -> tempfile::NamedTempFile {
    let mut images = std::collections::BTreeSet::new();
    for folder in SAMPLES.iter().chain(&["chat-prod"]) {
        for file in std::fs::read_dir(sample(folder)).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                continue; // proofs, which name no image to pull
            }
            let text = std::fs::read_to_string(path).unwrap();
            let names = text.split(|c: char| c.is_whitespace() || "\"',{}".contains(c));
            images.extend(
                names
                    .filter(|word| word.starts_with("registry.example/") && word.contains("@sha256:"))
                    .map(str::to_owned),
            );
        }
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "images:").unwrap();
    for image in images {
        writeln!(
            file,
            "  {image}:\n    trusted: [acme-ci]\n    attested:\n    \
             - {{predicateType: \"https://cyclonedx.org/bom\", authority: acme-ci}}\n    \
             - {{predicateType: \"https://slsa.dev/provenance/v1\", builderId: \"https://ci.example\", authority: acme-ci}}"
        )
        .unwrap();
    }
    file
}

/// Judges a sample on the day it was written for: documents age.
fn check_sample(folders: &[&str], profile: &str, output: &str) -> (i32, String) {
    let (file, own) = (all_signed(), tempfile::tempdir().unwrap());
    let mut arguments = vec!["check".to_owned(), "-f".to_owned()];
    for folder in folders {
        for file in std::fs::read_dir(sample(folder)).unwrap() {
            let path = file.unwrap().path();
            // A profile in the files would be the stricter one; what it says of the cluster still counts.
            let path = if path.ends_with("common/5-profile.yaml") {
                let text = std::fs::read_to_string(path).unwrap();
                let other = own.path().join("profile.yaml");
                std::fs::write(&other, text.replace("base: strict", &format!("base: {profile}"))).unwrap();
                other
            } else {
                path
            };
            arguments.push(path.to_str().unwrap().to_owned());
        }
    }
    let rest = [
        "--profile",
        profile,
        "--at",
        "2026-11-23",
        "-o",
        output,
        "--signatures",
        file.path().to_str().unwrap(),
    ];
    arguments.extend(rest.map(str::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = run(&arguments, "");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[test]
fn each_sample_passes_each_profile_without_a_warning() {
    for name in SAMPLES {
        for profile in ["core", "code", "strict"] {
            let (code, text) = check_sample(&["common", name], profile, "text");
            assert!(
                code == 0 && text.lines().count() == 1,
                "{name} under {profile}: exit code {code}\n{text}"
            );
        }
    }
}

#[test]
fn the_smallest_sample_passes_core() {
    let (code, text) = check_sample(&["chat-prod"], "core", "text");
    assert_eq!(code, 0, "{text}");
}

#[test]
fn a_sample_that_lost_something_is_told_what() {
    let text = |file: &str| std::fs::read_to_string(sample("support-chat").join(file)).unwrap();
    let (_, all) = check_sample(&["common", "support-chat"], "strict", "json");
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    let of =
        |kind: &str| all["objects"].as_array().unwrap().iter().find(|o| o["kind"] == kind).unwrap().clone();
    let composition = of("AIWorkload")["compositionDigest"].as_str().unwrap().to_owned();
    assert!(text("by-k.lee/assessed.yaml").contains(&composition), "{composition}");
    let configuration = of("Deployment")["configDigests"][0].as_str().unwrap().to_owned();
    assert!(text("7-documents.yaml").contains(&configuration), "{configuration}");
    // The same a year later: nothing was changed, and everything has aged.
    let file = all_signed();
    let folders = [sample("common"), sample("support-chat")];
    let paths: Vec<&str> = folders.iter().map(|folder| folder.to_str().unwrap()).collect();
    let later = [
        "check",
        "-f",
        paths[0],
        paths[1],
        "--at",
        "2027-11-30",
        "--signatures",
        file.path().to_str().unwrap(),
    ];
    let output = run(&later, "");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("ThreatModel \"threatmodel-chat\" of AIWorkload \"chat\" ended on 2027-10-31"),
        "{said}"
    );
}

#[test]
fn what_nobody_looked_up_is_unknown() {
    let got = check(&[], &base());
    assert_says(&got, 3, "cannot tell: its signature was not looked up, because no registry was to be asked");
    assert_says(&got, 3, &format!("{} objects judged: 1 unknown, {} pass", judged(), judged() - 1));
}

#[test]
fn what_breaks_a_control_is_refused() {
    let input = base().replace("runAsNonRoot: true", "runAsNonRoot: false");
    let got = verified(&input);
    let controls = portcullis::policy::evaluate::judged();
    let first =
        format!("AIWorkload chat-prod/chat: 1 of {controls} controls refuses this Deployment: pod-hardened");
    assert_says(&got, 1, &first);
    let json = check(&["-o", "json"], &input);
    assert_eq!(json.0, 1);
    let value: serde_json::Value = serde_json::from_str(&json.1).unwrap();
    assert_eq!(value["outcome"], "refused");
    let deployment = value["objects"].as_array().unwrap().iter().find(|o| o["kind"] == "Deployment").unwrap();
    assert!(deployment["findings"].as_array().unwrap().iter().any(|f| f["control"] == "pod-hardened"));
}

#[test]
fn a_stricter_profile_is_asked_for_by_name() {
    let (code, text) = check(&["--profile", "strict"], &base().replace("production", "research"));
    assert_ne!(code, 0, "{text}");
}

#[test]
fn a_namespace_that_nobody_describes_is_unknown_until_it_is_stated() {
    let (_, rest) = base().split_once("---\n").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_says(&verified(&rest), 3, "namespace \"chat-prod\" is not in the files");
    let file = signatures();
    let stated = ["-n", "chat-prod", "--environment", "production", "--sensitivity", "internal"];
    let got = check(&[&stated[..], &["--signatures", file.path().to_str().unwrap()]].concat(), &rest);
    assert_says(&got, 0, &format!("{0} objects judged: {0} pass", judged() - 1));
}

#[test]
fn a_field_that_does_not_exist_makes_the_input_unusable() {
    let got = verified(&base().replace("systemOperator:", "systemOperater:"));
    assert_says(
        &got,
        2,
        "AIWorkload \"chat\": spec.owners.systemOperater: there is no such field; did you mean \
         \"systemOperator\"?",
    );
    assert_says(&got, 2, "the input cannot be used, so nothing was judged: 1 error");
}

#[test]
fn an_object_that_is_too_large_makes_the_input_unusable() {
    let large = format!(
        "{}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{a: {}}}\n",
        base(),
        "x".repeat(3 << 20)
    );
    assert_says(&verified(&large), 2, "and the API server takes no object of more than 3145728");
}

#[test]
fn a_path_that_does_not_exist_makes_the_input_unusable() {
    let output = run(&["check", "-f", "/no/such/file.yaml"], "");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("/no/such/file.yaml: cannot be read: No such file or directory"), "{text}");
}

#[test]
fn a_model_that_is_nowhere_is_named() {
    let got = verified(&base().replace("  - name: chat-7b", "  - name: chat-7b\n  - name: chat-8b"));
    assert_says(
        &got,
        1,
        "spec.models[1].name \"chat-8b\": no AIModel of namespace \"chat-prod\" has this name",
    );
}

#[test]
fn two_declarations_of_one_pod_are_both_named() {
    let twin = "---\napiVersion: portcullis.dev/v1alpha1\nkind: AIWorkload\nmetadata: {name: twin, namespace: chat-prod}\n\
                spec: {type: supporting, selector: {matchLabels: {app: chat}}, roles: [SystemOperator], owners: \
                {accountable: {user: j.doe}, systemOperator: {group: chat-ops}}}\n";
    assert_says(&verified(&format!("{}{twin}", base())), 1, "2 AIWorkloads select this pod: chat, twin");
}

#[test]
fn a_selector_that_matches_nothing_is_noted_and_its_pod_refused() {
    let got = verified(&base().replace(
        "selector: {matchLabels: {app: chat}}\n  roles",
        "selector: {matchLabels: {app: caht}}\n  roles",
    ));
    assert_says(
        &got,
        1,
        "note: AIWorkload chat-prod/chat: spec.selector.matchLabels select no pod in these files",
    );
    assert_says(&got, 1, "no AIWorkload of namespace \"chat-prod\" selects this pod");
}

#[test]
fn a_malformed_image_name_is_told_with_its_place() {
    let image = "registry.example/chat@sha256:1111111111111111111111111111111111111111111111111111111111111111\n        args";
    let got = verified(&base().replace(image, "registry.example/Chat App\n        args"));
    assert_says(
        &got,
        1,
        "spec.template.spec.containers[0].image \"registry.example/Chat App\": is no image reference: ",
    );
}

#[test]
fn a_key_that_nobody_can_read_is_told_where_it_stands() {
    let got = verified(&base().replace("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE", "AAAA"));
    assert_says(&got, 1, "AITrustPolicy default spec.authorities[0]: the key is no valid public key");
}

#[test]
fn a_profile_that_names_no_control_is_told_so() {
    let profile = "---\napiVersion: portcullis.dev/v1alpha1\nkind: AIProfile\nmetadata: {name: house}\n\
                   spec: {controls: {images-signed: {production: audit}}}\n";
    let got = verified(&format!("{}{profile}", base()));
    assert_says(
        &got,
        1,
        "AIProfile house spec.controls[\"images-signed\"]: is no control, so it changes nothing",
    );
}

#[test]
fn a_registry_that_does_not_answer_leaves_the_verdict_open() {
    // Nothing listens on port 9 of this machine.
    let here = base().replace("registry.example/", "127.0.0.1:9/").replace(
        "- host: registry.example",
        "- {host: \"127.0.0.1:9\", plainHTTP: true, allowPrivateAddresses: true}",
    );
    let got = check(&["--verify"], &here);
    assert_says(&got, 3, "cannot tell: ");
    assert!(!got.1.contains("was not looked up"), "{}", got.1);
}

#[test]
fn an_input_without_any_object_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rendered.yaml");
    for text in
        ["", "# rendered by nobody\n", "---\n---\nnull\n", "{kind: List, apiVersion: v1, items: []}\n"]
    {
        assert_says(&check(&[], text), 2, "standard input: holds no object; did what renders it fail?");
        std::fs::write(&file, text).unwrap();
        for command in ["check", "plan"] {
            let output = run(&[command, "-f", file.to_str().unwrap()], "");
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert_says(&(output.status.code().unwrap(), said), 2, "rendered.yaml: holds no object; did");
        }
    }
    assert_says(
        &check(&["-f", folder.path().to_str().unwrap()], &base()),
        2,
        "holds no object in a manifest",
    );
    // What was read already is not missed.
    std::fs::write(&file, base()).unwrap();
    let (file, folder) = (file.to_str().unwrap(), folder.path().to_str().unwrap());
    let output = run(&["check", "-f", file, folder, file], "");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!said.contains("holds no object") && said.contains(" judged: "), "{said}");
}

#[test]
fn what_a_file_holds_steers_no_terminal() {
    let name = "a\\u001b[2J\\u202eb";
    let row = format!(
        "{{\"apiVersion\": \"portcullis.dev/v1alpha1\", \"kind\": \"AICompliance\", \"metadata\": {{\"name\": \"{name}\"}},
          \"spec\": {{\"scope\": \"Namespace\"}}, \"status\": {{\"message\": \"m\"}}}}"
    );
    let broken = row.replace("\"Namespace\"", &format!("\"{name}\""));
    for (arguments, input, shown) in [
        (&["report", "-f", "-"][..], &row, name),
        (&["report", "-f", "-", "-o", "html"], &row, name),
        (&["report", "-f", "-", "-o", "json"], &row, name),
        (&["report", "-f", "-"], &broken, name),
        (&["check", "-f", "-"], &broken, "a\\u{1b}[2J\\u{202e}b"),
    ] {
        let output = run(arguments, input);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!said.contains(['\u{1b}', '\u{202e}']), "{arguments:?} {said:?}");
        assert!(said.contains(shown), "{arguments:?} {said}");
    }
}
