//! The manifest that an `OpenSSF` model signature carries: which files belong to a model, and their hashes.
//!
//! Read strictly. What a verifier could understand in two ways is refused: names that are not plain paths below the
//! model, a name twice, shards with gaps, hashes of another kind than the manifest announces.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// The statement about a model's files; statements of other types say something else.
pub const PREDICATE: &str = "https://model_signing/signature/v1.0";
/// The predicate of the time before version 1.0.
const PREDICATE_OLD: &str = "https://model_signing/Digests/v0.1";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The longest statement that is read: a million files and more.
pub const MAX_STATEMENT: usize = 256 << 20;
const MAX_RESOURCES: usize = 2_000_000;
const MAX_PATH: usize = 4096;
const MAX_IGNORED: usize = 256;

/// How files were hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashKind {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// `BLAKE2b` with 64 bytes.
    Blake2b,
    /// BLAKE3 with 32 bytes.
    Blake3,
}

impl HashKind {
    /// The name in manifests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Blake2b => "blake2b",
            Self::Blake3 => "blake3",
        }
    }

    const fn length(self) -> usize {
        match self {
            Self::Sha256 | Self::Blake3 => 32,
            Self::Sha384 => 48,
            Self::Sha512 | Self::Blake2b => 64,
        }
    }

    fn parse(name: &str) -> Option<Self> {
        let all = [Self::Sha256, Self::Sha384, Self::Sha512, Self::Blake2b, Self::Blake3];
        all.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for HashKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A piece of a file with its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// First byte.
    pub start: u64,
    /// The byte behind the last one; none for "to the end of the file".
    pub end: Option<u64>,
    /// The hash, raw.
    pub digest: Vec<u8>,
}

/// The files of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What its signer called it; says nothing more.
    pub name: String,
    /// The digest of the whole, `sha256:...`: SHA-256 over the hashes in their order.
    pub digest: String,
    /// How the files were hashed.
    pub hash: HashKind,
    /// Whether files are hashed in pieces; empty files are then not listed.
    pub sharded: bool,
    /// Whether its signer followed symbolic links.
    pub allows_symlinks: bool,
    /// Paths that its signer left out, each with all below it.
    pub ignored: Vec<String>,
    /// The files by their path, each with its pieces in order: one whole, or shards that join without a gap.
    pub files: BTreeMap<String, Vec<Piece>>,
}

/// Why there is no manifest to check by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The statement is not what it should be.
    #[error("{0}")]
    Malformed(String),
    /// It may be right, and this version cannot tell.
    #[error("{0}")]
    Unsupported(String),
}

#[derive(Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    subject: Vec<Subject>,
    predicate: serde_json::Value,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    name: String,
    digest: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Predicate {
    serialization: Serialization,
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Serialization {
    method: String,
    hash_type: String,
    #[serde(default)]
    allow_symlinks: bool,
    #[serde(default)]
    ignore_paths: Vec<String>,
    /// A float, because it passed through a protobuf structure.
    #[serde(default)]
    shard_size: Option<f64>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    algorithm: String,
    digest: String,
}

/// Whether statements of this type list the files of a model, in whatever version.
#[must_use]
pub fn is_of_files(predicate_type: &str) -> bool {
    matches!(predicate_type, PREDICATE | PREDICATE_OLD)
}

impl Manifest {
    /// Reads an in-toto statement. Whether anybody signed it is not asked here.
    ///
    /// # Errors
    /// [`ManifestError::Malformed`] where it contradicts itself or could be read in two ways,
    /// [`ManifestError::Unsupported`] where it uses what this version does not know.
    pub fn parse(statement: &[u8]) -> Result<Self, ManifestError> {
        if statement.len() > MAX_STATEMENT {
            return Err(malformed(format!("the statement is longer than {MAX_STATEMENT} bytes")));
        }
        let statement: Statement = serde_json::from_slice(statement)
            .map_err(|error| malformed(format!("the statement cannot be read: {error}")))?;
        if statement.kind != STATEMENT {
            return Err(malformed(format!("the statement is of type {:?}", cut(&statement.kind))));
        }
        if statement.predicate_type == PREDICATE_OLD {
            return Err(ManifestError::Unsupported(
                "the manifest is of a version before 1.0, which does not say how it was made: sign the model again"
                    .to_owned(),
            ));
        }
        if statement.predicate_type != PREDICATE {
            return Err(malformed(format!(
                "it states {:?}, which is no manifest of a model",
                cut(&statement.predicate_type)
            )));
        }
        let [subject] = statement.subject.as_slice() else {
            return Err(malformed(format!(
                "the statement is about {} subjects, not one",
                statement.subject.len()
            )));
        };
        let predicate: Predicate = serde_json::from_value(statement.predicate)
            .map_err(|error| malformed(format!("the list of files cannot be read: {error}")))?;
        Self::build(subject, predicate)
    }

    fn build(subject: &Subject, predicate: Predicate) -> Result<Self, ManifestError> {
        let how = predicate.serialization;
        let hash = HashKind::parse(&how.hash_type).ok_or_else(|| {
            ManifestError::Unsupported(format!("files are hashed with {:?}", cut(&how.hash_type)))
        })?;
        let shard = match (how.method.as_str(), how.shard_size) {
            ("files", _) => None,
            ("shards", Some(size)) => Some(
                whole(size).ok_or_else(|| malformed(format!("a shard of {size} bytes makes no sense")))?,
            ),
            ("shards", None) => return Err(malformed("the size of shards is not given".to_owned())),
            (other, _) => {
                return Err(ManifestError::Unsupported(format!("files are listed as {:?}", cut(other))));
            }
        };
        if predicate.resources.len() > MAX_RESOURCES {
            return Err(malformed(format!("more than {MAX_RESOURCES} files are listed")));
        }
        if predicate.resources.is_empty() {
            return Err(malformed("no file is listed".to_owned()));
        }
        let mut root = Sha256::new();
        let mut files: BTreeMap<String, Vec<Piece>> = BTreeMap::new();
        for resource in &predicate.resources {
            let (path, piece) = read_resource(resource, hash, shard)?;
            root.update(&piece.digest);
            let pieces = files.entry(path).or_default();
            if shard.is_none() && !pieces.is_empty() {
                return Err(malformed(format!("file {:?} is listed twice", cut(&resource.name))));
            }
            pieces.push(piece);
        }
        let root = hex::encode(root.finalize());
        if subject.digest.get("sha256").is_none_or(|given| *given != root) {
            return Err(malformed(
                "the listed hashes are not those that the digest of the whole covers".to_owned(),
            ));
        }
        if let Some(size) = shard {
            join(&mut files, size)?;
        }
        one_kind_a_path(&files)?;
        Ok(Self {
            name: subject.name.chars().filter(|c| !c.is_control()).take(200).collect(),
            digest: format!("sha256:{root}"),
            hash,
            sharded: shard.is_some(),
            allows_symlinks: how.allow_symlinks,
            ignored: ignored(how.ignore_paths)?,
            files,
        })
    }

    /// Whether its signer left a path out.
    #[must_use]
    pub fn ignores(&self, path: &str) -> bool {
        self.ignored.iter().any(|ignored| {
            path.strip_prefix(ignored.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// A manifest of files whose SHA-256 somebody wrote down, without a signature.
    ///
    /// # Errors
    /// [`ManifestError::Malformed`] where a path or hash is none.
    pub fn of_files<'a>(listed: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, ManifestError> {
        let mut files = BTreeMap::new();
        for (path, sha256) in listed {
            let digest = read_digest(path, sha256, HashKind::Sha256)?;
            let piece = Piece { start: 0, end: None, digest };
            if files.insert(plain_path(path)?, vec![piece]).is_some() {
                return Err(malformed(format!("file {:?} is listed twice", cut(path))));
            }
        }
        if files.is_empty() {
            return Err(malformed("no file is listed".to_owned()));
        }
        one_kind_a_path(&files)?;
        let mut root = Sha256::new();
        let mut ordered: Vec<_> = files.iter().collect();
        // As the signers order: by the parts of the path.
        ordered.sort_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
        for (_, pieces) in ordered {
            for piece in pieces {
                root.update(&piece.digest);
            }
        }
        Ok(Self {
            name: String::new(),
            digest: format!("sha256:{}", hex::encode(root.finalize())),
            hash: HashKind::Sha256,
            sharded: false,
            allows_symlinks: false,
            ignored: Vec::new(),
            files,
        })
    }
}

fn malformed(text: String) -> ManifestError {
    ManifestError::Malformed(text)
}

/// A size that a protobuf structure turned into a float.
fn whole(size: f64) -> Option<u64> {
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    if !(1.0..=LARGEST).contains(&size) || size.fract() != 0.0 {
        return None;
    }
    // The text of a whole float has no fraction, so nothing is lost on this way.
    format!("{size:.0}").parse().ok()
}

fn read_resource(
    resource: &Resource,
    hash: HashKind,
    shard: Option<u64>,
) -> Result<(String, Piece), ManifestError> {
    let wanted = match shard {
        None => hash.name().to_owned(),
        Some(size) => format!("{hash}-sharded-{size}"),
    };
    if resource.algorithm != wanted {
        return Err(malformed(format!(
            "file {:?} is hashed with {:?}, the manifest announces {wanted:?}",
            cut(&resource.name),
            cut(&resource.algorithm)
        )));
    }
    let digest = read_digest(&resource.name, &resource.digest, hash)?;
    if shard.is_none() {
        return Ok((plain_path(&resource.name)?, Piece { start: 0, end: None, digest }));
    }
    let mut parts = resource.name.rsplitn(3, ':');
    let (end, start, path) = (parts.next(), parts.next(), parts.next());
    let number = |text: Option<&str>| {
        text.filter(|text| text.bytes().all(|b| b.is_ascii_digit())).and_then(|text| text.parse::<u64>().ok())
    };
    let (Some(path), Some(start), Some(end)) = (path, number(start), number(end)) else {
        return Err(malformed(format!("{:?} is no shard of a file", cut(&resource.name))));
    };
    Ok((plain_path(path)?, Piece { start, end: Some(end), digest }))
}

fn read_digest(name: &str, text: &str, hash: HashKind) -> Result<Vec<u8>, ManifestError> {
    hex::decode(text)
        .ok()
        .filter(|digest| digest.len() == hash.length())
        .ok_or_else(|| malformed(format!("the hash of file {:?} is no {hash}", cut(name))))
}

/// Shards of one file follow each other, and all but the last are of the announced size.
fn join(files: &mut BTreeMap<String, Vec<Piece>>, size: u64) -> Result<(), ManifestError> {
    for (path, pieces) in files {
        pieces.sort_by_key(|piece| piece.start);
        let mut at = 0;
        let last = pieces.len() - 1;
        for (index, piece) in pieces.iter().enumerate() {
            let end = piece.end.unwrap_or_default();
            let length = end.saturating_sub(piece.start);
            let fits = if index == last { (1..=size).contains(&length) } else { length == size };
            if piece.start != at || !fits {
                return Err(malformed(format!("the shards of file {:?} do not join", cut(path))));
            }
            at = end;
        }
    }
    Ok(())
}

/// A path below the model: no root, no way up, nothing that another system would read differently.
fn plain_path(path: &str) -> Result<String, ManifestError> {
    let plain = !path.is_empty()
        && path.len() <= MAX_PATH
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !path.chars().any(|c| c.is_control() || c == '\\');
    if plain { Ok(path.to_owned()) } else { Err(malformed(format!("{:?} is no plain path", cut(path)))) }
}

/// No file is also a folder of another.
fn one_kind_a_path(files: &BTreeMap<String, Vec<Piece>>) -> Result<(), ManifestError> {
    for path in files.keys() {
        for (at, _) in path.match_indices('/') {
            if files.contains_key(&path[..at]) {
                return Err(malformed(format!("{:?} is listed as a file and as a folder", cut(&path[..at]))));
            }
        }
    }
    Ok(())
}

/// Paths left out: plain ones, so that no entry can mean the whole model.
fn ignored(paths: Vec<String>) -> Result<Vec<String>, ManifestError> {
    if paths.len() > MAX_IGNORED {
        return Err(malformed(format!("more than {MAX_IGNORED} paths are left out")));
    }
    let mut plain = paths
        .into_iter()
        .map(|path| {
            plain_path(path.trim_end_matches('/')).map_err(|_| {
                malformed(format!("the manifest leaves out {:?}, which is no plain path", cut(&path)))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    plain.sort();
    plain.dedup();
    Ok(plain)
}

fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
