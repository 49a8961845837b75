//! Models on disk: hashing beside `sha256sum` on the same files in the same run, and a signed manifest of 10,000 files.
//!
//! Prints Markdown. The files are written anew, so that all readers find them in the page cache alike; `MODEL_GIB` says
//! how large the large ones are together, `MODEL_DIR` where they are written (/var/tmp).

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use portcullis::gather::models::{Options, Progress, check, listing};
use portcullis::models::manifest::Manifest;

const REPETITIONS: usize = 3;
const SMALL_FILES: usize = 10_000;

fn main() -> Result<()> {
    let gib: u64 = std::env::var("MODEL_GIB").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let mut text = String::from("\n### Models\n\n| what | files | GB | s | GB/s |\n|---|---|---|---|---|\n");
    large(gib, &mut text)?;
    small(&mut text)?;
    std::io::stdout().lock().write_all(text.as_bytes()).context("cannot print")
}

fn folder() -> Result<tempfile::TempDir> {
    let parent = std::env::var("MODEL_DIR").unwrap_or_else(|_| "/var/tmp".to_owned());
    tempfile::Builder::new().prefix("portcullis-bench").tempdir_in(parent).context("no folder for the files")
}

/// A few large files, as weights come.
fn large(gib: u64, text: &mut String) -> Result<()> {
    let root = folder()?;
    let block: Vec<u8> = (0..1_u32 << 18).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    for index in 0..4 {
        let mut file = std::fs::File::create(root.path().join(format!("weights-{index}.bin")))?;
        for _ in 0..gib * 256 {
            file.write_all(&block)?;
        }
    }
    let bytes = gib << 30;
    let threads = Options::default().threads;
    let mut ours = Vec::new();
    let mut one = Vec::new();
    let mut theirs = Vec::new();
    let mut theirs_together = Vec::new();
    // In turn, so that a busy moment hits all of them.
    for _ in 0..REPETITIONS {
        ours.push(hash(root.path(), threads, 4)?);
        theirs_together.push(sha256sum(root.path(), threads)?);
        one.push(hash(root.path(), 1, 4)?);
        theirs.push(sha256sum(root.path(), 1)?);
    }
    row(text, &format!("ours, {threads} threads"), 4, bytes, &mut ours);
    row(text, &format!("`sha256sum`, {threads} at once"), 4, bytes, &mut theirs_together);
    row(text, "ours, 1 thread", 4, bytes, &mut one);
    row(text, "`sha256sum`, one after another", 4, bytes, &mut theirs);
    Ok(())
}

/// Many small ones, against a manifest.
fn small(text: &mut String) -> Result<()> {
    let root = folder()?;
    for index in 0..SMALL_FILES {
        let folder = root.path().join(format!("{:02}", index % 100));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{index:05}.txt")), format!("{index:05}\n").repeat(1000))?;
    }
    let options = Options { formats: false, ..Options::default() };
    let (listed, seen) = listing(root.path(), options, &Progress::silent());
    let manifest = Manifest::of_files(listed.iter().map(|(path, hash)| (path.as_str(), hash.as_str())))?;
    for (name, formats) in [("ours: names, bytes", false), ("ours: names, bytes, formats", true)] {
        let mut took = Vec::new();
        for _ in 0..REPETITIONS {
            let begun = Instant::now();
            let checked =
                check(root.path(), &manifest, None, Options { formats, ..options }, &Progress::silent());
            took.push(begun.elapsed());
            ensure!(checked.files == SMALL_FILES as u64 && checked.wrong.is_empty(), "{:?}", checked.wrong);
        }
        row(text, name, SMALL_FILES, seen.bytes, &mut took);
    }
    let mut theirs = Vec::new();
    for _ in 0..REPETITIONS {
        theirs.push(sha256sum(root.path(), options.threads)?);
    }
    row(text, &format!("`sha256sum`, {} at once", options.threads), SMALL_FILES, seen.bytes, &mut theirs);
    Ok(())
}

fn hash(root: &Path, threads: usize, files: u64) -> Result<Duration> {
    let begun = Instant::now();
    let (_, seen) = listing(root, Options { threads, formats: false }, &Progress::silent());
    ensure!(seen.files == files && seen.unclear.is_empty(), "not everything was hashed: {:?}", seen.unclear);
    Ok(begun.elapsed())
}

fn sha256sum(root: &Path, at_once: usize) -> Result<Duration> {
    let begun = Instant::now();
    let batch = if at_once == 1 { "1000" } else { "1" };
    // Many small files go to each process together, as anybody would do it.
    let batch = if root.join("weights-0.bin").exists() { batch } else { "1000" };
    let done = Command::new("sh")
        .arg("-c")
        .arg(format!("find . -type f -print0 | xargs -0 -n {batch} -P {at_once} sha256sum > /dev/null"))
        .current_dir(root)
        .status()?;
    ensure!(done.success(), "sha256sum failed");
    Ok(begun.elapsed())
}

fn row(text: &mut String, what: &str, files: usize, bytes: u64, took: &mut [Duration]) {
    took.sort_unstable();
    let middle = took.get(took.len() / 2).copied().unwrap_or_default();
    let nanos = u64::try_from(middle.as_nanos()).unwrap_or(u64::MAX).max(1);
    // Bytes in a nanosecond are gigabytes in a second; hundredths are enough.
    let speed = bytes.saturating_mul(100) / nanos;
    let _ = writeln!(
        text,
        "| {what} | {files} | {}.{:02} | {}.{:02} | {}.{:02} |",
        bytes / 1_000_000_000,
        bytes / 10_000_000 % 100,
        middle.as_secs(),
        middle.subsec_millis() / 10,
        speed / 100,
        speed % 100
    );
}
