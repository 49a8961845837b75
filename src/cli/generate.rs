//! `portcullis generate`: writes the generated files of the repository again, from its root.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::out;
use crate::api::crds::CrdError;
use crate::policy::ALL;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Root of the repository
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

/// The generated files could not be written.
#[derive(Debug, thiserror::Error)]
enum GenerateError {
    #[error("{} is no root of the repository: it holds no Cargo.toml", .0.display())]
    NoRoot(PathBuf),
    #[error("a definition cannot be written")]
    Definition(#[from] CrdError),
    #[error("{} cannot be written", .0.display())]
    File(PathBuf, #[source] std::io::Error),
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match write_all(&arguments.root) {
        Ok(count) => {
            out::print(&format!("{count} files are as they should be\n"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let source = std::error::Error::source(&error).map(|s| format!(": {s}")).unwrap_or_default();
            out::error(&format!("{error}{source}\n"));
            ExitCode::FAILURE
        }
    }
}

fn write_all(root: &Path) -> Result<usize, GenerateError> {
    if !root.join("Cargo.toml").exists() {
        return Err(GenerateError::NoRoot(root.to_owned()));
    }
    let definitions = crate::api::crds::files()?;
    let names: BTreeSet<&str> = definitions.iter().map(|(name, _)| name.as_str()).collect();
    remove_others(&root.join("crds"), &names)?;
    let mut count = 0;
    for (name, text) in &definitions {
        write(&root.join("crds").join(name), text)?;
        count += 1;
    }
    write(&root.join("src/api/fields/fields.txt"), &crate::api::crds::fields()?)?;
    count += 1;
    for (path, text) in crate::render::docs::pages(ALL) {
        write(&root.join(path), &text)?;
        count += 1;
    }
    Ok(count)
}

/// Definitions of kinds that are gone.
fn remove_others(folder: &Path, names: &BTreeSet<&str>) -> Result<(), GenerateError> {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if !names.contains(entry.file_name().to_string_lossy().as_ref()) {
            let path = entry.path();
            std::fs::remove_file(&path).map_err(|error| GenerateError::File(path, error))?;
        }
    }
    Ok(())
}

/// Leaves a file alone that says the same already.
fn write(path: &Path, text: &str) -> Result<(), GenerateError> {
    if std::fs::read_to_string(path).is_ok_and(|before| before == text) {
        return Ok(());
    }
    let written =
        path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(path, text));
    written.map_err(|error| GenerateError::File(path.to_owned(), error))
}
