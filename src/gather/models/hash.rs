//! Hashing files as fast as the disk gives them: whole files beside each other, large ones first, shards of one file
//! beside each other too.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::walk::{Found, is_same, open};
use crate::models::manifest::{HashKind, Piece};

/// What one thread reads at a time.
const BUFFER: usize = 1 << 20;

/// One file to hash, with the pieces that are asked for.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) found: Found,
    pub(super) pieces: Vec<Piece>,
}

impl Job {
    pub(super) fn whole(found: Found) -> Self {
        Self { found, pieces: vec![Piece { start: 0, end: None, digest: Vec::new() }] }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.found.size
    }
}

/// What came of one file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hashed {
    /// The hashes of its pieces, in their order.
    Digests(Vec<Vec<u8>>),
    /// It is not the file that the walk saw, or not any more.
    Changed,
    /// It could not be read.
    Failed(String),
}

/// Tells how far the work is, at most once in a while.
pub struct Progress {
    every: Duration,
    say: Box<dyn Fn(&str) + Send + Sync>,
    state: Mutex<State>,
    done: AtomicU64,
    files: AtomicUsize,
    looked: AtomicU64,
}

struct State {
    started: Instant,
    said: Instant,
    total: u64,
    files: usize,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("every", &self.every).finish_non_exhaustive()
    }
}

fn counted(files: usize) -> String {
    if files == 1 { "1 file".to_owned() } else { format!("{files} files") }
}

impl Progress {
    /// A number that grows with whatever is read or looked at.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.done.load(Ordering::Relaxed).wrapping_add(self.looked.load(Ordering::Relaxed))
    }

    /// Something was looked at that is not hashed.
    pub(super) fn looked(&self) {
        self.looked.fetch_add(1, Ordering::Relaxed);
    }

    /// Progress that is said by `say`, once in `every`.
    #[must_use]
    pub fn new(every: Duration, say: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let now = Instant::now();
        let state = State { started: now, said: now, total: 0, files: 0 };
        Self {
            every,
            say: Box::new(say),
            state: Mutex::new(state),
            done: AtomicU64::new(0),
            files: AtomicUsize::new(0),
            looked: AtomicU64::new(0),
        }
    }

    /// Nothing is said.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(Duration::MAX, |_| ())
    }

    pub(super) fn start(&self, files: usize, total: u64) {
        let now = Instant::now();
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) =
            State { started: now, said: now, total, files };
        let what = counted(files);
        let are = if files == 1 { "is" } else { "are" };
        (self.say)(&format!("{what} with {total} bytes {are} to be hashed"));
    }

    fn add(&self, bytes: usize) {
        let done = self.done.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        // Whoever finds the lock taken leaves the word to the other.
        let Ok(mut state) = self.state.try_lock() else { return };
        if state.said.elapsed() < self.every {
            return;
        }
        state.said = Instant::now();
        let percent = (done.saturating_mul(100)).checked_div(state.total).unwrap_or(100);
        let millis = u64::try_from(state.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let speed = done.saturating_mul(1000) / millis / 1_000_000;
        let files = self.files.load(Ordering::Relaxed);
        (self.say)(&format!(
            "{percent}% hashed: {files} of {}, {done} of {} bytes, {speed} MB/s",
            counted(state.files),
            state.total
        ));
    }
}

/// Hashes every job on some threads, and hands each result over as it comes.
///
/// Assumptions: the pieces of a job are in order.
pub(super) fn hash_all(
    root: &Path,
    kind: HashKind,
    mut jobs: Vec<Job>,
    threads: usize,
    progress: &Progress,
    take: impl Fn(&Job, Hashed) + Sync,
) {
    // The largest first, so that no thread begins a long one when the others are done.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.bytes()));
    let tasks = tasks(&jobs);
    let parts: Vec<Mutex<Parts>> = jobs.iter().map(|job| Mutex::new(Parts::of(job))).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, tasks.len().max(1)) {
            scope.spawn(|| {
                let mut buffer = vec![0; BUFFER];
                while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (Some(job), Some(parts)) = (jobs.get(task.job), parts.get(task.job)) else { return };
                    let Some(pieces) = job.pieces.get(task.first..task.last) else { return };
                    let outcome = hash_pieces(root, &job.found, pieces, kind, &mut buffer, progress);
                    let mut parts = parts.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(hashed) = parts.put(task.first, outcome) {
                        drop(parts);
                        progress.files.fetch_add(1, Ordering::Relaxed);
                        take(job, hashed);
                    }
                }
            });
        }
    });
}

/// Some pieces of one job: all of a file that is hashed whole, a few shards of another.
struct Task {
    job: usize,
    first: usize,
    last: usize,
}

/// Shards that one thread takes at once, unless they are large.
const SHARDS_AT_ONCE: usize = 64;
const BYTES_AT_ONCE: u64 = 256 << 20;

fn tasks(jobs: &[Job]) -> Vec<Task> {
    let mut tasks = Vec::with_capacity(jobs.len());
    for (index, job) in jobs.iter().enumerate() {
        let shard = job.pieces.first().and_then(|piece| piece.end).unwrap_or(u64::MAX).max(1);
        let together = usize::try_from(BYTES_AT_ONCE / shard).unwrap_or(1).clamp(1, SHARDS_AT_ONCE);
        for first in (0..job.pieces.len()).step_by(together) {
            tasks.push(Task { job: index, first, last: (first + together).min(job.pieces.len()) });
        }
    }
    tasks
}

/// The hashes of one job as they come in, from several threads.
struct Parts {
    digests: Vec<Vec<u8>>,
    left: usize,
    trouble: Option<Hashed>,
}

impl Parts {
    fn of(job: &Job) -> Self {
        Self { digests: vec![Vec::new(); job.pieces.len()], left: job.pieces.len(), trouble: None }
    }

    /// Takes some; the result once all are there, or the first trouble, once.
    fn put(&mut self, first: usize, outcome: Result<Vec<Vec<u8>>, Hashed>) -> Option<Hashed> {
        match outcome {
            Err(trouble) => {
                let is_first = self.trouble.is_none();
                self.trouble = Some(Hashed::Changed);
                is_first.then_some(trouble)
            }
            Ok(digests) => {
                self.left = self.left.saturating_sub(digests.len());
                for (slot, digest) in self.digests.iter_mut().skip(first).zip(digests) {
                    *slot = digest;
                }
                let complete = self.left == 0 && self.trouble.is_none();
                complete.then(|| Hashed::Digests(std::mem::take(&mut self.digests)))
            }
        }
    }
}

fn hash_pieces(
    root: &Path,
    found: &Found,
    pieces: &[Piece],
    kind: HashKind,
    buffer: &mut [u8],
    progress: &Progress,
) -> Result<Vec<Vec<u8>>, Hashed> {
    let failed = |error: io::Error| Hashed::Failed(error.to_string());
    let mut file = open(root, found).map_err(failed)?.ok_or(Hashed::Changed)?;
    let mut digests = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let end = piece.end.unwrap_or(found.size);
        file.seek(SeekFrom::Start(piece.start)).map_err(failed)?;
        let mut hasher = Hasher::new(kind);
        let mut left = end.saturating_sub(piece.start);
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(BUFFER).min(buffer.len());
            let Some(part) = buffer.get_mut(..room) else { return Err(Hashed::Changed) };
            let got = match file.read(part) {
                Ok(0) => return Err(Hashed::Changed),
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            hasher.update(part.get(..got).unwrap_or_default());
            left -= got as u64;
            progress.add(got);
        }
        digests.push(hasher.finish());
    }
    if is_same(&file, found).map_err(failed)? { Ok(digests) } else { Err(Hashed::Changed) }
}

/// The hash of some bytes.
#[must_use]
pub fn digest(kind: HashKind, bytes: &[u8]) -> Vec<u8> {
    let mut hasher = Hasher::new(kind);
    hasher.update(bytes);
    hasher.finish()
}

/// SHA-2 from the TLS provider, which has the fastest code for it; BLAKE from its own crates.
enum Hasher {
    Sha(aws_lc_rs::digest::Context),
    Blake2b(Box<blake2::Blake2b512>),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    fn new(kind: HashKind) -> Self {
        use aws_lc_rs::digest::{Context, SHA256, SHA384, SHA512};
        match kind {
            HashKind::Sha256 => Self::Sha(Context::new(&SHA256)),
            HashKind::Sha384 => Self::Sha(Context::new(&SHA384)),
            HashKind::Sha512 => Self::Sha(Context::new(&SHA512)),
            HashKind::Blake2b => Self::Blake2b(Box::default()),
            HashKind::Blake3 => Self::Blake3(Box::default()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        use blake2::Digest as _;
        match self {
            Self::Sha(context) => context.update(bytes),
            Self::Blake2b(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
        }
    }

    fn finish(self) -> Vec<u8> {
        use blake2::Digest as _;
        match self {
            Self::Sha(context) => context.finish().as_ref().to_vec(),
            Self::Blake2b(hasher) => hasher.finalize().to_vec(),
            Self::Blake3(hasher) => hasher.finalize().as_bytes().to_vec(),
        }
    }
}
