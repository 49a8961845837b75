//! The shape of the source: what a room may reach, what policy may never touch, and documents that name what exists.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use portcullis::policy::ALL;
use regex::Regex;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` whose name ends with `ending`, sorted, by its path from the root of the repository.
fn files(folder: &str, ending: &str) -> io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![root().join(folder)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        } else if path.to_string_lossy().ends_with(ending) {
            let name = path.strip_prefix(root()).map_err(io::Error::other)?.to_string_lossy().into_owned();
            found.push((name, fs::read_to_string(&path)?));
        }
    }
    found.sort();
    Ok(found)
}

/// The code of a file: no comments, and nothing from its tests on.
fn code(text: &str) -> String {
    let product = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = product.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn is_test(name: &str) -> bool {
    name.ends_with("tests.rs") || name.ends_with("/testing.rs")
}

#[test]
fn policy_and_render_touch_no_client_clock_environment_file_or_task() -> io::Result<()> {
    let forbidden = Regex::new(
        r"\b(kube|tokio|reqwest|hyper|axum)::|std::(env|fs|net::Tcp|process|thread|time)\b|\basync\s|\.await\b|\b(SystemTime|Instant|Timestamp|Zoned)::now\b",
    )
    .map_err(io::Error::other)?;
    let mut wrong = Vec::new();
    for folder in ["src/models", "src/policy", "src/render"] {
        for (name, text) in files(folder, ".rs")?.iter().filter(|(name, _)| !is_test(name)) {
            wrong.extend(forbidden.find_iter(&code(text)).map(|hit| format!("{name}: {}", hit.as_str())));
        }
    }
    assert!(wrong.is_empty(), "time, environment and answers of others are facts: {}", wrong.join(", "));
    Ok(())
}

#[test]
fn rooms_reach_only_what_stands_before_them() -> io::Result<()> {
    let rooms = ["api", "models", "policy", "render", "telemetry", "gather", "webhook", "controllers", "cli"];
    let closed: [(&str, &[&str]); 8] = [
        ("api", &["models", "policy", "render", "telemetry", "gather", "webhook", "controllers", "cli"]),
        ("models", &["policy", "render", "telemetry", "gather", "webhook", "controllers", "cli"]),
        ("policy", &["render", "telemetry", "gather", "webhook", "controllers", "cli"]),
        ("render", &["telemetry", "gather", "webhook", "controllers", "cli"]),
        ("telemetry", &["api", "policy", "render", "gather", "webhook", "controllers", "cli"]),
        ("gather", &["render", "webhook", "controllers", "cli"]),
        ("webhook", &["controllers", "cli"]),
        ("controllers", &["cli"]),
    ];
    let reach = Regex::new(r"\bcrate::([a-z_]+)").map_err(io::Error::other)?;
    let mut wrong = Vec::new();
    for (room, forbidden) in closed {
        assert!(rooms.contains(&room));
        for (name, text) in files("src", ".rs")? {
            let inside = name.starts_with(&format!("src/{room}/")) || name == format!("src/{room}.rs");
            if !inside || is_test(&name) {
                continue;
            }
            let code = code(&text);
            let reached: BTreeSet<&str> = reach
                .captures_iter(&code)
                .filter_map(|found| found.get(1))
                .map(|found| found.as_str())
                .collect();
            wrong.extend(
                reached.iter().filter(|one| forbidden.contains(one)).map(|one| format!("{name} -> {one}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join(", "));
    Ok(())
}

#[test]
fn files_open_with_their_duty_and_stay_readable() -> io::Result<()> {
    let mut wrong = Vec::new();
    for folder in ["src", "tests"] {
        for (name, text) in files(folder, ".rs")? {
            if text.trim().is_empty() {
                continue;
            }
            if !text.starts_with("//! ") {
                wrong.push(format!("{name} does not say its duty"));
            }
            let lines = text.lines().count();
            if lines > 600 {
                wrong.push(format!("{name} has {lines} lines"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join(", "));
    Ok(())
}

#[test]
fn a_control_is_one_file_of_its_name() -> io::Result<()> {
    let folder = "src/policy/controls/";
    let written: BTreeSet<String> = files(folder, ".rs")?
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !is_test(name) && name.matches('/').count() == folder.matches('/').count())
        .collect();
    let named: BTreeSet<String> =
        ALL.iter().map(|control| format!("{folder}{}.rs", control.id.replace('-', "_"))).collect();
    assert_eq!(written, named);
    Ok(())
}

#[test]
fn provisions_are_spelt_in_one_place() -> io::Result<()> {
    // Ids stand wherever a control or a finding names its provisions; titles stand once.
    let sources = files("src", ".rs")?;
    for provision in portcullis::policy::code::PROVISIONS {
        let quoted = format!("\"{}\"", provision.title);
        let places: Vec<&str> = sources
            .iter()
            .filter(|(name, text)| text.contains(&quoted) && !is_test(name))
            .map(|(name, _)| name.as_str())
            .collect();
        let once = places.len() == 1 && places.iter().all(|place| place.starts_with("src/policy/code/"));
        assert!(once, "{} is spelt in {places:?}", provision.id);
    }
    Ok(())
}

#[test]
fn documents_name_files_and_tests_that_exist() -> io::Result<()> {
    let link = Regex::new(r"\]\(([^)#\s]+)(#[^)\s]*)?\)").map_err(io::Error::other)?;
    let test = Regex::new(r"`((?:src|tests)/[a-z0-9_/]+\.rs)::([a-z0-9_]+)`").map_err(io::Error::other)?;
    let path = Regex::new(r"`((?:src|tests|e2e|hack|charts|docs|crds|manifests|benches)/[A-Za-z0-9_./-]+)`")
        .map_err(io::Error::other)?;
    let mut wrong = Vec::new();
    let mut pages = files("docs", ".md")?;
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        if let Ok(text) = fs::read_to_string(root().join(name)) {
            pages.push((name.to_owned(), text));
        }
    }
    for (name, text) in &pages {
        let folder = root().join(name);
        let folder = folder.parent().unwrap_or_else(|| root());
        for found in link.captures_iter(text) {
            let target = &found[1];
            if !target.contains("://") && !target.starts_with("mailto:") && !folder.join(target).exists() {
                wrong.push(format!("{name} links to {target}, which is not there"));
            }
        }
        for found in path.captures_iter(text).filter(|found| !root().join(&found[1]).exists()) {
            wrong.push(format!("{name} names {}, which is not there", &found[1]));
        }
        for found in test.captures_iter(text) {
            let source = fs::read_to_string(root().join(&found[1])).unwrap_or_default();
            if !source.contains(&format!("fn {}(", &found[2])) {
                wrong.push(format!("{name} names the test {}::{}, which is not there", &found[1], &found[2]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn the_readme_shows_the_sample_and_counts_what_is_there() -> io::Result<()> {
    let readme = fs::read_to_string(root().join("README.md"))?;
    let sample = fs::read_to_string(root().join("manifests/samples/chat-prod/4-workload.yaml"))?;
    let object: Vec<&str> = sample.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(readme.contains(&object.join("\n")), "README.md shows another first workload than the samples");
    let running = ALL.iter().filter(|control| control.implemented()).count();
    let said = format!("{running} of the {} controls of the catalogue have a check", ALL.len());
    assert!(readme.contains(&said), "README.md does not say: {said}");
    Ok(())
}

/// `kubectl apply` takes documents in their order: what a declaration names comes before it, and its pods come last.
#[test]
fn samples_name_only_what_stands_before_them() {
    let rank = |kind: &str| match kind {
        "AIModel" | "AIDataset" | "AIPrompt" => Some(0),
        "AIWorkload" => Some(1),
        "Deployment" | "Job" | "Pod" => Some(2),
        _ => None,
    };
    let mut folders: Vec<Vec<PathBuf>> = vec![vec![PathBuf::from("e2e/demo/workload.yaml")]];
    for folder in fs::read_dir("manifests/samples").unwrap().map(|entry| entry.unwrap().path()) {
        if folder.is_dir() {
            let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let mut files: Vec<PathBuf> =
                files.filter(|file| file.extension().is_some_and(|e| e == "yaml")).collect();
            files.sort();
            folders.push(files);
        }
    }
    let mut seen = 0;
    for files in folders {
        let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        let kinds: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
        let ranks: Vec<i32> = kinds.iter().filter_map(|kind| rank(kind.trim())).collect();
        assert!(ranks.is_sorted(), "{files:?}: {kinds:?}");
        seen += ranks.len();
    }
    assert!(seen > 15, "only {seen} objects were looked at");
}
