//! Generated files are what their generator writes: none missing, none stale, none extra.

use std::{collections::BTreeMap, fs, io, path::Path};

use portcullis::render::docs;

/// Set to write the files instead of comparing them.
const BLESS: &str = "PORTCULLIS_BLESS";

/// Compares a folder with what belongs there and says the command that repairs it.
#[track_caller]
fn assert_generated(folder: &str, wanted: Vec<(String, String)>) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let wanted: BTreeMap<String, String> = wanted.into_iter().collect();
    if std::env::var_os(BLESS).is_some() {
        write(&folder, &wanted)?;
    }
    let found = read(&folder);
    let mut wrong = Vec::new();
    for (name, content) in &wanted {
        match found.get(name) {
            None => wrong.push(format!("{name} is missing")),
            Some(found) if found != content => wrong.push(format!("{name} is stale")),
            Some(_) => {}
        }
    }
    wrong.extend(
        found.keys().filter(|name| !wanted.contains_key(*name)).map(|name| format!("{name} is extra")),
    );
    assert!(wrong.is_empty(), "{}: {}; run `make generate`", folder.display(), wrong.join(", "));
    Ok(())
}

fn read(folder: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    entries
        .filter_map(Result::ok)
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read_to_string(entry.path()).unwrap_or_default())
        })
        .collect()
}

fn write(folder: &Path, wanted: &BTreeMap<String, String>) -> io::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    wanted.iter().try_for_each(|(name, content)| fs::write(folder.join(name), content))
}

#[test]
fn definitions_of_the_kinds() -> io::Result<()> {
    assert_generated("crds", portcullis::api::crds::files().map_err(io::Error::other)?)
}

#[test]
fn fields_of_the_kinds() -> io::Result<()> {
    let fields = portcullis::api::crds::fields().map_err(io::Error::other)?;
    assert_generated("src/api/fields", vec![("fields.txt".to_owned(), fields)])
}

/// `docs/` holds written pages too: a page that opens with the notice of the generated ones belongs to them.
#[test]
fn documents_of_controls_and_coverage() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let wanted = docs::pages(portcullis::policy::ALL);
    if std::env::var_os(BLESS).is_some() {
        fs::create_dir_all(root.join("docs"))?;
        wanted.iter().try_for_each(|(path, page)| fs::write(root.join(path), page))?;
    }
    let found = read(&root.join("docs"));
    let mut wrong = Vec::new();
    for (path, page) in &wanted {
        match found.get(path.trim_start_matches("docs/")) {
            None => wrong.push(format!("{path} is missing")),
            Some(found) if found != page => wrong.push(format!("{path} is stale")),
            Some(_) => {}
        }
    }
    for (name, page) in &found {
        let path = format!("docs/{name}");
        if page.starts_with(docs::NOTICE) && !wanted.iter().any(|(wanted, _)| *wanted == path) {
            wrong.push(format!("{path} is extra"));
        }
    }
    assert!(wrong.is_empty(), "{}; run `make generate`", wrong.join(", "));
    Ok(())
}
