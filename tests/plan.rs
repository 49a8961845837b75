//! `portcullis plan` on manifests: what would not come back, by the objects that people wrote.

#![expect(clippy::unwrap_used, reason = "a test that cannot run the program has failed")]

use std::path::Path;
use std::process::{Command, Output};

fn plan(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("plan").args(arguments).env("KUBECONFIG", "/nowhere").output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn base() -> String {
    let base =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/controls/base.yaml"));
    // The last document tells of signatures and is no object of a cluster.
    base.unwrap().rsplit_once("\n---\n").unwrap().0.to_owned()
}

fn signatures(folder: &Path) -> String {
    let path = folder.join("signatures.yaml");
    let digest = |c: &str| format!("sha256:{}", c.repeat(64));
    let lines = [
        format!("  registry.example/chat@{}: {{trusted: [acme-ci]}}\n", digest("1")),
        format!("  registry.example/models/chat-7b@{}: {{trusted: [acme-ci]}}\n", digest("2")),
    ];
    std::fs::write(&path, format!("images:\n{}", lines.concat())).unwrap();
    path.display().to_string()
}

#[test]
fn what_keeps_the_code_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    std::fs::write(&file, base()).unwrap();
    let signatures = signatures(folder.path());
    let output = plan(&["-f", file.to_str().unwrap(), "--signatures", &signatures]);
    let said = text(&output);
    assert_eq!(said, "1 of 1 pods, templates and revisions would come back under the profiles in force\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_would_be_refused_is_listed_with_its_controls() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    let tagged = base().replace("image: registry.example/chat@sha256:", "image: registry.example/chat:v1 #");
    std::fs::write(&file, tagged).unwrap();
    let signatures = signatures(folder.path());
    let file = file.to_str().unwrap();
    let output = plan(&["-f", file, "--signatures", &signatures, "--profile", "core"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let row: Vec<&str> =
        said.lines().nth(1).unwrap().split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(
        row,
        ["chat-prod", "Deployment/chat", "next rollout or run", "1 of 1", "0", "image-digest-pinned"]
    );
    assert!(
        said.contains("1 of 1 pods, templates and revisions would not come back under profile core"),
        "{said}"
    );
    let output = plan(&["-f", file, "--signatures", &signatures, "--messages"]);
    let said = text(&output);
    assert!(said.contains("names a tag, not a digest") || said.contains("names no digest"), "{said}");
}

#[test]
fn of_many_controls_a_row_shows_a_few_and_json_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.yaml");
    // Without evidence most of the Code is broken.
    let bare: Vec<String> = base()
        .split("\n---\n")
        .filter(|document| !document.contains("kind: AIEvidence"))
        .map(str::to_owned)
        .collect();
    std::fs::write(&file, bare.join("\n---\n")).unwrap();
    let signatures = signatures(folder.path());
    let arguments = ["-f", file.to_str().unwrap(), "--signatures", &signatures, "--profile", "strict"];
    let said = text(&plan(&arguments));
    let row = said.lines().nth(1).unwrap();
    assert!(row.ends_with(" more") && row.matches(',').count() == 2, "{row}");
    let output = plan(&[&arguments[..], &["-o", "json"]].concat());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = json["rows"][0]["controls"].as_array().unwrap().len();
    assert!(all > 10 && row.contains(&format!(" and {} more", all - 3)), "{all}: {row}");
}

#[test]
fn without_a_cluster_and_without_files_it_says_the_way_out() {
    let output = plan(&[]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("fix: set KUBECONFIG, or plan for manifests with -f"), "{said}");
}
