//! The directory half of `portcullis verify`, and `portcullis verify-model`, which does the same inside the cluster for a
//! controller that reads its answer.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use clap::Args;
use jiff::Timestamp;

use super::out;
use crate::api::common::VerificationState;
use crate::api::trust::AITrustPolicy;
use crate::gather::models::{self, Account, Options, Progress, Verdict};
use crate::gather::registry::{CompiledTrust, SignedModel};
use crate::gather::trust;
use crate::models::job::{ANSWER, Answer, TRUST};
use crate::models::manifest::{MAX_STATEMENT, Manifest};
use crate::policy::dates;

/// How long a volume may give nothing before the verifier gives up.
const STUCK: Duration = Duration::from_mins(15);

/// The usual name of a signature beside the files it covers.
pub(super) const SIGNATURE: &str = "model.sig";

/// What to verify a directory by.
#[derive(Debug)]
pub(super) struct Model<'a> {
    /// The directory.
    pub(super) root: &'a Path,
    /// The trust policies.
    pub(super) trust: &'a CompiledTrust,
    /// The signature, `model.sig` in the directory unless given.
    pub(super) signature: Option<&'a Path>,
    /// The namespace that uses the model.
    pub(super) namespace: Option<&'a str>,
    /// When it was made, where somebody wrote it down.
    pub(super) made: Option<Timestamp>,
    /// The digest that is wanted, where somebody wrote it down.
    pub(super) digest: Option<&'a str>,
    /// Whether the trust policies are to be asked about a dataset.
    pub(super) is_data: bool,
    /// Whether files that can run code when they are loaded refuse the model, or are only told.
    pub(super) refuses_code: bool,
}

/// Verifies a model on a volume, inside the cluster, and leaves the answer where the kubelet picks it up.
#[derive(Clone, Debug, Args)]
pub(super) struct Arguments {
    /// Where the volume is mounted
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// Path of the model below the root of the volume
    #[arg(long)]
    path: Option<PathBuf>,
    /// Digest that its manifest has to have
    #[arg(long)]
    digest: String,
    /// Namespace that uses it
    #[arg(long)]
    namespace: String,
    /// It is data, which nobody loads: formats of files do not count
    #[arg(long)]
    data: bool,
    /// When its training ended, for rules that ask how soon it was signed
    #[arg(long, value_name = "DATE", value_parser = date)]
    made: Option<Timestamp>,
    /// Signature over its files [default: model.sig in its directory]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Trust policies, as JSON
    #[arg(long, env = TRUST, hide_env_values = true)]
    trust: String,
    /// File for the answer
    #[arg(long, default_value = ANSWER)]
    answer: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let progress = Arc::new(progress(|line| out::print(&format!("{line}\n"))));
    let (own, shown) = (arguments.clone(), Arc::clone(&progress));
    let work = move || in_cluster(&own, &shown);
    let (answer, code) = match unless_stuck(&progress, STUCK, STUCK / 30, work) {
        Ok(account) => {
            out::print(&account.text());
            (answer(&arguments.digest, &account), code(account.verdict()))
        }
        Err(why) => {
            out::print(&format!("{why}\n"));
            let unknown = VerificationState::Unknown;
            let answer = Answer {
                digest: arguments.digest.clone(),
                signature: unknown,
                authorities: Vec::new(),
                bytes: unknown,
                formats: unknown,
                seen: BTreeMap::new(),
                message: why,
            };
            (answer, 2)
        }
    };
    if let Err(error) = std::fs::write(&arguments.answer, answer.to_text()) {
        out::print(&format!("{}: the answer cannot be left there: {error}\n", arguments.answer.display()));
    }
    ExitCode::from(code)
}

/// Does the work in a thread of its own, and gives it up where nothing was read or looked at for so long: a file system
/// that has gone away answers nobody, and others wait for this verifier to end.
fn unless_stuck<T: Send + 'static>(
    progress: &Progress,
    longest: Duration,
    every: Duration,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (done, result) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    let (mut seen, mut since) = (progress.moved(), Instant::now());
    loop {
        match result.recv_timeout(every) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Disconnected) => {
                return Err("the verification ended without a result".to_owned());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = progress.moved();
        if now != seen {
            (seen, since) = (now, Instant::now());
        } else if since.elapsed() >= longest {
            return Err(format!(
                "nothing could be read from the volume for {} minutes: see whether its file system answers",
                longest.as_secs() / 60
            ));
        }
    }
}

fn in_cluster(arguments: &Arguments, progress: &Progress) -> Result<Account, String> {
    let policies: Vec<AITrustPolicy> = serde_json::from_str(&arguments.trust)
        .map_err(|error| format!("the trust policies cannot be read: {error}"))?;
    let specs: Vec<_> =
        policies.iter().map(|policy| trust::spec(policy, &trust::TrustRoots::new())).collect();
    let compiled = CompiledTrust::compile(&specs);
    let root = match &arguments.path {
        Some(path) => below(&arguments.root, path)?,
        None => arguments.root.clone(),
    };
    let model = Model {
        root: &root,
        trust: &compiled,
        signature: arguments.signature.as_deref(),
        namespace: Some(&arguments.namespace),
        made: arguments.made,
        digest: Some(&arguments.digest),
        // What a Job is given was narrowed to the rules that speak of it.
        is_data: false,
        refuses_code: !arguments.data,
    };
    verify(&model, progress)
}

/// A path below the volume: no way up, and no link on the way that could lead out of it.
fn below(root: &Path, path: &Path) -> Result<PathBuf, String> {
    let mut whole = root.to_path_buf();
    for part in path.components() {
        let Component::Normal(part) = part else {
            return Err(format!("spec.source.path {:?} is no plain path", path.display().to_string()));
        };
        whole.push(part);
        let metadata = whole.symlink_metadata().map_err(|error| format!("{}: {error}", whole.display()))?;
        if metadata.is_symlink() {
            return Err(format!("{}: is a symbolic link", whole.display()));
        }
    }
    Ok(whole)
}

/// A date, or a time with its zone.
pub(super) fn date(text: &str) -> Result<Timestamp, String> {
    dates::from(text).ok_or_else(|| "write it as 2026-01-31 or 2026-01-31T12:00:00Z".to_owned())
}

/// The account in short.
fn answer(digest: &str, account: &Account) -> Answer {
    let state = |name: &str| match account.stage(name).and_then(|stage| stage.verdict) {
        Some(Verdict::Verified) => VerificationState::Verified,
        Some(Verdict::Refused) => VerificationState::Failed,
        Some(Verdict::Unknown) | None => VerificationState::Unknown,
    };
    // Whatever is signed and there, it is not what the digest names.
    let is_other = account.stage("digest").is_some();
    let of_digest = |state| if is_other { VerificationState::Failed } else { state };
    let wrong =
        account.stages.iter().filter(|stage| !matches!(stage.verdict, Some(Verdict::Verified) | None));
    let lines: Vec<String> = wrong
        .flat_map(|stage| stage.lines.iter().map(move |line| format!("{}: {line}", stage.name)))
        .filter(|line| !line.ends_with("as the manifest says"))
        .collect();
    Answer {
        digest: digest.to_owned(),
        signature: of_digest(state("signature")),
        authorities: if is_other { Vec::new() } else { account.authorities.clone() },
        bytes: of_digest(state("bytes")),
        formats: state("formats"),
        seen: account.seen.iter().map(|(format, count)| ((*format).to_owned(), *count)).collect(),
        message: lines.join("; "),
    }
}

/// Exit code of a verdict.
pub(super) const fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Verified => 0,
        Verdict::Refused => 1,
        Verdict::Unknown => 3,
    }
}

/// Verifies a directory: who signed, which bytes are there, what they hold.
///
/// # Errors
/// A sentence where the directory or the signature cannot be read at all.
pub(super) fn verify(model: &Model<'_>, progress: &Progress) -> Result<Account, String> {
    if !model.root.is_dir() {
        return Err(format!("{}: is no directory", model.root.display()));
    }
    let mut account = Account::default();
    let path = model.signature.map_or_else(|| model.root.join(SIGNATURE), Path::to_path_buf);
    let manifest = if let Some(bundle) = read(&path)? {
        let SignedModel { verification, manifest } =
            model.trust.verify_model(&bundle, model.namespace, model.made, model.is_data);
        account.signature(&verification);
        manifest
    } else {
        account.refuse("signature", format!("{}: there is no signature over the files", path.display()));
        None
    };
    let Some(manifest) = manifest else { return Ok(without_manifest(model, account, progress)) };
    account.digest = Some(manifest.digest.clone());
    if let Some(wanted) = model.digest.filter(|wanted| *wanted != manifest.digest) {
        account.refuse("digest", format!("the signed manifest is {}, not {wanted}", manifest.digest));
    }
    let inside = inside(model.root, &path);
    let checked = models::check(model.root, &manifest, inside.as_deref(), Options::default(), progress);
    account.bytes(&checked);
    account.formats(&checked, model.refuses_code);
    account.not_checked(not_checked(&manifest, checked.left_out.lines()));
    Ok(account)
}

/// A directory without a list of its files: what they hold can be told, and whether they are those of a digest.
fn without_manifest(model: &Model<'_>, mut account: Account, progress: &Progress) -> Account {
    let (bytes, checked) = if let Some(wanted) = model.digest {
        let (listed, mut checked) = models::listing(model.root, Options::default(), progress);
        let found = Manifest::of_files(listed.iter().map(|(path, hash)| (path.as_str(), hash.as_str())));
        match found {
            Ok(found) if found.digest == wanted => {}
            Ok(found) => checked.wrong.add(format!("the files are {}, not {wanted}", found.digest)),
            Err(error) => checked.wrong.add(error.to_string()),
        }
        account.digest = Some(wanted.to_owned());
        account.bytes(&checked);
        ("the names of the files: a digest alone covers their bytes in their order", checked)
    } else {
        let why = "bytes: without a manifest or a digest there is nothing to compare them with";
        (why, models::formats_only(model.root, progress))
    };
    account.formats(&checked, model.refuses_code);
    account.not_checked(vec![bytes.to_owned()]);
    account
}

fn not_checked(manifest: &Manifest, left_out: Vec<String>) -> Vec<String> {
    let mut lines = left_out;
    if !manifest.ignored.is_empty() {
        lines.push(format!("the manifest leaves out, wherever they appear: {}", manifest.ignored.join(", ")));
    }
    lines.push("what the model answers, and what it was trained on".to_owned());
    lines
}

/// A file, or nothing where there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let unreadable = |error: std::io::Error| format!("{}: cannot be read: {error}", path.display());
    // To open a pipe would be to wait for whoever writes into it.
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => return Err(format!("{}: is no regular file", path.display())),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unreadable(error)),
        _ => {}
    }
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut bytes = Vec::new();
    // One byte more than will be taken, so that what is too long is seen to be.
    file.take(2 * MAX_STATEMENT as u64).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(Some(bytes))
}

/// The path of the signature below the directory, if it lies there.
fn inside(root: &Path, signature: &Path) -> Option<String> {
    let (root, signature): (PathBuf, PathBuf) = (root.canonicalize().ok()?, signature.canonicalize().ok()?);
    signature.strip_prefix(root).ok()?.to_str().map(str::to_owned)
}

/// Progress for people, on the error stream and not too often.
pub(super) fn progress(say: impl Fn(&str) + Send + Sync + 'static) -> Progress {
    Progress::new(Duration::from_secs(5), say)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_stands_still_is_given_up_and_work_that_moves_is_not() {
        let (longest, every) = (Duration::from_millis(200), Duration::from_millis(10));
        let progress = Progress::silent();
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let stuck = unless_stuck(&progress, longest, every, move || held.recv().map_err(|e| e.to_string()));
        assert_eq!(
            stuck.unwrap_err(),
            "nothing could be read from the volume for 0 minutes: see whether its file system answers"
        );
        drop(hold);
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.txt"), "x").unwrap();
        let progress = Arc::new(Progress::silent());
        let moving = Arc::clone(&progress);
        // Longer altogether than it may stand still, and never near that at once, however busy the machine.
        let moved = unless_stuck(&progress, Duration::from_secs(2), every, move || {
            for _ in 0..20 {
                std::thread::sleep(Duration::from_millis(120));
                let _ = models::formats_only(directory.path(), &moving);
            }
            Ok(1)
        });
        assert_eq!(moved, Ok(1));
        let panicking = unless_stuck::<()>(&progress, Duration::from_mins(1), every, || panic!("no result"));
        assert_eq!(panicking.unwrap_err(), "the verification ended without a result");
    }
}
