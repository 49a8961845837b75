//! Every file below a directory, without following anything.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

const MAX_FILES: usize = 2_000_000;
const MAX_DEPTH: usize = 64;

/// A regular file as it was when the walk passed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path below the directory, with `/`.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// What tells this file from one that took its place: device, inode, and when it was changed.
    identity: Identity,
}

/// Device, inode, size and times of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Opens a file, if it is still the one that the walk saw: no link in its place, and not written to since.
pub(super) fn open(root: &Path, found: &Found) -> io::Result<Option<fs::File>> {
    let path = root.join(&found.path);
    // To open a pipe would be to wait for whoever writes into it.
    if Identity::of(&path.symlink_metadata()?) != found.identity {
        return Ok(None);
    }
    let file = fs::File::open(path)?;
    Ok(is_same(&file, found)?.then_some(file))
}

/// Whether an open file is the one that the walk saw.
pub(super) fn is_same(file: &fs::File, found: &Found) -> io::Result<bool> {
    Ok(Identity::of(&file.metadata()?) == found.identity)
}

/// What a walk came across.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Regular files that count.
    pub(super) files: BTreeMap<String, Found>,
    /// Regular files that are left out.
    pub(super) ignored: BTreeMap<String, Found>,
    /// What no model may hold.
    pub(super) refused: Vec<String>,
    /// What could not be looked at.
    pub(super) unreadable: Vec<String>,
}

/// Walks through `root`. `ignored` says of a path below it whether it is left out.
pub(super) fn walk(root: &Path, ignored: impl Fn(&str) -> bool) -> Walked {
    let mut walked = Walked::default();
    let mut open: Vec<(PathBuf, String, usize)> = vec![(root.to_path_buf(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = open.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                walked.unreadable.push(format!("{prefix:?} cannot be listed: {error}"));
                continue;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    walked.unreadable.push(format!("{prefix:?} cannot be listed: {error}"));
                    break;
                }
            };
            if walked.files.len() + walked.ignored.len() + walked.refused.len() >= MAX_FILES {
                walked.unreadable.push(format!("there are more than {MAX_FILES} files"));
                return walked;
            }
            let Ok(name) = entry.file_name().into_string() else {
                let name = entry.file_name().to_string_lossy().into_owned();
                walked.refused.push(format!("{name:?} has a name that is no UTF-8"));
                continue;
            };
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            // Of the entry itself: a link is not followed.
            let metadata = match entry.path().symlink_metadata() {
                Ok(metadata) => metadata,
                Err(error) => {
                    walked.unreadable.push(format!("{path:?} cannot be looked at: {error}"));
                    continue;
                }
            };
            let kind = metadata.file_type();
            if kind.is_dir() {
                if depth >= MAX_DEPTH {
                    walked.refused.push(format!("{path:?} lies deeper than {MAX_DEPTH} folders"));
                } else if ignored_mount(&path, depth) {
                    walked.unreadable.extend(unexpected(&entry.path(), &path));
                } else {
                    open.push((entry.path(), path, depth + 1));
                }
            } else if kind.is_file() {
                let found =
                    Found { path: path.clone(), size: metadata.len(), identity: Identity::of(&metadata) };
                let list = if ignored(&path) { &mut walked.ignored } else { &mut walked.files };
                list.insert(path, found);
            } else {
                let what = if kind.is_symlink() {
                    "a symbolic link"
                } else if kind.is_fifo() {
                    "a pipe"
                } else if kind.is_socket() {
                    "a socket"
                } else {
                    "a device"
                };
                walked.refused.push(format!("{path:?} is {what}, not a file"));
            }
        }
    }
    walked
}

/// File systems make this folder at the root of a volume, and only root may look into it.
fn ignored_mount(path: &str, depth: usize) -> bool {
    depth == 0 && path == "lost+found"
}

/// A `lost+found` that can be listed has to be empty, and one that cannot has to be root's.
fn unexpected(folder: &Path, path: &str) -> Option<String> {
    let Ok(mut entries) = fs::read_dir(folder) else {
        let by_root = folder.symlink_metadata().is_ok_and(|metadata| metadata.uid() == 0);
        return (!by_root)
            .then(|| format!("{path:?} cannot be listed, and is not the one of the file system"));
    };
    entries.next().map(|_| format!("{path:?} holds files that a repair of the file system found"))
}
