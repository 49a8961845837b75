//! Models on disk: every file below a directory against a manifest, and what the files hold.
//!
//! [`check`] is strict about what is there: each file is listed (but for text that git keeps beside it), each listed file is
//! there, nothing is a link, a device or a socket, and a file that changes while it is read does not count.

mod account;
mod hash;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

pub use account::{Account, Stage, Verdict};
use hash::{Hashed, Job, hash_all};
pub use hash::{Progress, digest};
pub use walk::Found;
use walk::Walked;

use crate::models::format::{self, Examined, Format, Loading};
use crate::models::manifest::Manifest;

/// Sentences of one kind that are kept; the rest are counted.
const MAX_SENTENCES: usize = 20;

/// What was found in a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Files whose bytes agree with the manifest.
    pub files: u64,
    /// How many bytes were hashed.
    pub bytes: u64,
    /// What disagrees, the first of each kind, sorted.
    pub wrong: Sentences,
    /// What could not be read or understood.
    pub unclear: Sentences,
    /// What was left out, because the manifest says so and it is harmless, or because a manifest cannot list it.
    pub left_out: Sentences,
    /// Which formats the files have, with a count.
    pub formats: BTreeMap<&'static str, u64>,
    /// Files that can run code when they are loaded.
    pub code: Sentences,
    /// Files of which that could not be seen.
    pub opaque: Sentences,
}

/// Sentences, bounded in number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentences {
    kept: BTreeSet<String>,
    count: u64,
}

impl Sentences {
    /// Adds one; beyond the bound it is only counted.
    pub fn add(&mut self, sentence: String) {
        self.count += 1;
        self.kept.insert(sentence);
        if self.kept.len() > MAX_SENTENCES {
            self.kept.pop_last();
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are, those not kept included.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The kept ones, and a word about the rest.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.kept.iter().cloned().collect();
        let rest = self.count.saturating_sub(lines.len() as u64);
        if rest > 0 {
            lines.push(format!("and {rest} more"));
        }
        lines
    }
}

/// How to go about it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Threads that read and hash; at least one.
    pub threads: usize,
    /// Whether the formats of the files are looked at too.
    pub formats: bool,
}

impl Default for Options {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self { threads: threads.min(16), formats: true }
    }
}

/// Compares every file below `root` with the manifest, and looks at what the files hold.
///
/// `signature` is the path below `root` where the signature itself lies, which no manifest can list.
///
/// Guarantees: no link is followed, nothing outside `root` is opened, no file is written; memory grows with the number of
/// files and threads and not with their size.
#[must_use]
pub fn check(
    root: &Path,
    manifest: &Manifest,
    signature: Option<&str>,
    options: Options,
    progress: &Progress,
) -> Checked {
    let mut checked = Checked::default();
    let walked = walk::walk(root, |path| manifest.ignores(path) || signature == Some(path));
    compare(&walked, manifest, signature, &mut checked);
    uncovered(root, &walked, signature, &mut checked);
    let jobs = jobs(&walked, manifest, &mut checked);
    progress.start(jobs.len(), jobs.iter().map(Job::bytes).sum());
    let shared = Mutex::new(checked);
    hash_all(root, manifest.hash, jobs, options.threads, progress, |job, hashed| {
        let mut checked = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        judge(job, hashed, &mut checked);
    });
    let mut checked = shared.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if options.formats {
        // The signature was read as such, and is no file of the model.
        let ignored = walked.ignored.values().filter(|found| signature != Some(found.path.as_str()));
        formats(root, walked.files.values().chain(ignored), &mut checked, progress);
    }
    checked
}

/// Looks at what the files of a directory hold, without a manifest.
#[must_use]
pub fn formats_only(root: &Path, progress: &Progress) -> Checked {
    let mut checked = Checked::default();
    let walked = walk::walk(root, |_| false);
    walked.refused.iter().for_each(|refused| checked.wrong.add(refused.clone()));
    walked.unreadable.iter().for_each(|unreadable| checked.unclear.add(unreadable.clone()));
    formats(root, walked.files.values(), &mut checked, progress);
    checked
}

/// The files below a directory with their SHA-256, for a directory that nobody signed.
#[must_use]
pub fn listing(root: &Path, options: Options, progress: &Progress) -> (BTreeMap<String, String>, Checked) {
    let mut checked = Checked::default();
    let walked = walk::walk(root, |_| false);
    walked.refused.iter().for_each(|refused| checked.wrong.add(refused.clone()));
    walked.unreadable.iter().for_each(|unreadable| checked.unclear.add(unreadable.clone()));
    let jobs: Vec<Job> = walked.files.values().map(|found| Job::whole(found.clone())).collect();
    progress.start(jobs.len(), jobs.iter().map(Job::bytes).sum());
    let shared = Mutex::new((BTreeMap::new(), checked));
    let kind = crate::models::manifest::HashKind::Sha256;
    hash_all(root, kind, jobs, options.threads, progress, |job, hashed| {
        let (listed, checked) = &mut *shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match hashed {
            Hashed::Digests(digests) => {
                checked.files += 1;
                checked.bytes += job.bytes();
                listed.extend(digests.first().map(|digest| (job.found.path.clone(), hex::encode(digest))));
            }
            Hashed::Changed => checked.wrong.add(format!("{:?} changed while it was read", job.found.path)),
            Hashed::Failed(why) => checked.unclear.add(format!("{:?} cannot be read: {why}", job.found.path)),
        }
    });
    let (listed, mut checked) = shared.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if options.formats {
        formats(root, walked.files.values(), &mut checked, progress);
    }
    (listed, checked)
}

/// Names against names.
fn compare(walked: &Walked, manifest: &Manifest, signature: Option<&str>, checked: &mut Checked) {
    for refused in &walked.refused {
        checked.wrong.add(refused.clone());
    }
    for unreadable in &walked.unreadable {
        checked.unclear.add(unreadable.clone());
    }
    for (path, found) in &walked.files {
        if manifest.files.contains_key(path) {
            continue;
        }
        if manifest.sharded && found.size == 0 {
            checked.left_out.add(format!("{path:?} is empty, and a manifest of shards lists no empty files"));
        } else {
            checked.wrong.add(format!("{path:?} is there and not in the manifest"));
        }
    }
    for path in manifest.files.keys() {
        if manifest.ignores(path) || signature == Some(path.as_str()) {
            checked.wrong.add(format!("{path:?} is listed and left out by the same manifest"));
        } else if !walked.files.contains_key(path) {
            checked.wrong.add(format!("{path:?} is in the manifest and not there"));
        }
    }
    if let Some(path) = signature.filter(|path| walked.ignored.contains_key(*path)) {
        checked.left_out.add(format!("{path:?} is the signature"));
    }
}

/// Names that signers leave out by themselves: what git keeps beside files, and a signature.
const LEFT_OUT: [&str; 5] = [".git", ".gitattributes", ".github", ".gitignore", "model.sig"];
/// What such a file has at most.
const MOST_LEFT_OUT: u64 = 1 << 20;

/// What nobody signed is not to be loaded: of the files that the manifest leaves out, only small ones of text under the names
/// that signers leave out by themselves may stay.
fn uncovered(root: &Path, walked: &Walked, signature: Option<&str>, checked: &mut Checked) {
    for (path, found) in walked.ignored.iter().filter(|(path, _)| signature != Some(path.as_str())) {
        let first = path.split('/').next().unwrap_or_default();
        let what = if !LEFT_OUT.contains(&first) {
            "is there and not signed: the manifest leaves it out".to_owned()
        } else if found.size > MOST_LEFT_OUT {
            format!("is not signed, and has {} bytes, more than {MOST_LEFT_OUT}", found.size)
        } else {
            match examined(root, found) {
                Err((true, why)) => {
                    checked.wrong.add(why);
                    continue;
                }
                Err((false, why)) => {
                    checked.unclear.add(why);
                    continue;
                }
                Ok(seen) if is_plain(&seen) => {
                    checked.left_out.add(format!("{path:?} is left out by the manifest"));
                    continue;
                }
                Ok(seen) => format!("is not signed, and is no plain text: {}", seen.format),
            }
        };
        checked.wrong.add(format!("{path:?} {what}"));
    }
}

fn is_plain(seen: &Examined) -> bool {
    seen.loading == Loading::Data && matches!(seen.format, Format::Text | Format::Json | Format::Empty)
}

/// What a file holds, or why that cannot be said, and whether that refuses it.
fn examined(root: &Path, found: &Found) -> Result<Examined, (bool, String)> {
    let path = &found.path;
    let seen = walk::open(root, found)
        .and_then(|file| file.map(|mut file| format::examine(path, &mut file)).transpose());
    match seen {
        Ok(Some(seen)) => Ok(seen),
        Ok(None) => Err((true, format!("{path:?} changed while it was read"))),
        Err(error) => Err((false, format!("{path:?} cannot be read: {error}"))),
    }
}

/// What is to be hashed: the files that are both there and listed, with the pieces that are listed.
fn jobs(walked: &Walked, manifest: &Manifest, checked: &mut Checked) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (path, pieces) in &manifest.files {
        let Some(found) = walked.files.get(path) else { continue };
        let end = pieces.last().and_then(|piece| piece.end).unwrap_or(found.size);
        if end == found.size {
            jobs.push(Job { found: found.clone(), pieces: pieces.clone() });
        } else {
            checked.wrong.add(format!("{path:?} has {} bytes, the manifest lists {end}", found.size));
        }
    }
    jobs
}

fn judge(job: &Job, hashed: Hashed, checked: &mut Checked) {
    let path = &job.found.path;
    match hashed {
        Hashed::Digests(digests) => {
            let differs =
                |(piece, digest): &(&crate::models::manifest::Piece, &Vec<u8>)| piece.digest != **digest;
            match job.pieces.iter().zip(&digests).find(differs) {
                None => checked.files += 1,
                Some((piece, _)) if job.pieces.len() > 1 => checked.wrong.add(format!(
                    "{path:?} has other bytes than the manifest says, from {} to {}",
                    piece.start,
                    piece.end.unwrap_or_default()
                )),
                Some(_) => checked.wrong.add(format!("{path:?} has other bytes than the manifest says")),
            }
            checked.bytes += job.bytes();
        }
        Hashed::Changed => checked.wrong.add(format!("{path:?} changed while it was read")),
        Hashed::Failed(why) => checked.unclear.add(format!("{path:?} cannot be read: {why}")),
    }
}

fn formats<'a>(
    root: &Path,
    found: impl Iterator<Item = &'a Found>,
    checked: &mut Checked,
    progress: &Progress,
) {
    for found in found {
        progress.looked();
        let path = &found.path;
        let seen = match examined(root, found) {
            Ok(seen) => seen,
            Err((refuses, why)) => {
                if refuses {
                    checked.wrong.add(why);
                } else {
                    checked.unclear.add(why);
                }
                continue;
            }
        };
        *checked.formats.entry(seen.format.name()).or_default() += 1;
        match seen.loading {
            Loading::Data => {}
            Loading::Code(why) => checked.code.add(format!("{path:?} can run code when it is loaded: {why}")),
            Loading::Unknown(why) => checked.opaque.add(format!("{path:?}: {why}")),
        }
    }
}

#[cfg(test)]
#[path = "models/tests.rs"]
mod tests;
