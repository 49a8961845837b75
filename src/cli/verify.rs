//! `portcullis verify`: one artifact against the trust policies of a file, with an account of what was checked and what
//! was not.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::{out, verify_model};
use crate::gather::files::{Assumptions, Manifests};
use crate::gather::registry::{
    Artifact, CompiledTrust, ImageRef, Proof, Question, Verification, Verifier, VerifierConfig,
};
use crate::gather::trust::{self, TrustRoots};

/// Exit code where the artifact is not to be trusted.
const REFUSED: u8 = 1;
/// Exit code where it could not be found out.
const UNKNOWN: u8 = 3;
/// The longest time that the look-ups take together.
const PATIENCE: Duration = Duration::from_mins(1);

/// Verifies one image, or one directory with a model, by the trust policies of a file, as the cluster would, and says what
/// was checked and what was not. Exit code: 0 verified, 1 refused, 2 unusable input, 3 unknown.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Image reference with its digest, `registry/repository@sha256:...`, or directory with the files of a model
    #[arg(value_name = "IMAGE|MODEL-DIR")]
    subject: String,
    /// File or directory with trust policies (may be repeated); - for standard input
    #[arg(long, required = true, value_name = "FILE")]
    trust: Vec<PathBuf>,
    /// What it is used as, which selects the rules; a directory is a model unless it is a dataset
    #[arg(long = "as", value_enum, default_value = "image", value_name = "KIND")]
    used_as: UsedAs,
    /// Namespace that uses it; the rules of all namespaces apply where none is given
    #[arg(short, long)]
    namespace: Option<String>,
    /// Signature over the files of a model [default: model.sig in the directory]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// When a model's training ended, for rules that ask how soon it was signed
    #[arg(long, value_name = "DATE", value_parser = verify_model::date)]
    made: Option<jiff::Timestamp>,
    /// Digest that the manifest of a model has to have
    #[arg(long, value_name = "sha256:...")]
    digest: Option<String>,
    /// What becomes of a model whose files can run code when they are loaded
    #[arg(long, value_enum, default_value = "refuse")]
    formats: Formats,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Formats {
    /// It is refused
    Refuse,
    /// It is only told
    Report,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum UsedAs {
    /// A container image
    Image,
    /// A model in an image volume
    Model,
    /// A dataset
    Dataset,
    /// A prompt or policy
    Prompt,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    out::finish(verify(arguments))
}

fn verify(arguments: &Arguments) -> Result<(String, u8), String> {
    if Path::new(&arguments.subject).is_dir() {
        return directory(arguments);
    }
    if let Some(why) = no_directory(&arguments.subject) {
        return Err(why);
    }
    let image = ImageRef::parse(&arguments.subject)
        .map_err(|error| format!("{:?} is no image reference: {error}\n", arguments.subject))?;
    let trust = Arc::new(compile(&arguments.trust)?);
    let artifact = match arguments.used_as {
        UsedAs::Image => Artifact::Image,
        UsedAs::Model => Artifact::Model,
        UsedAs::Dataset => Artifact::Dataset,
        UsedAs::Prompt => Artifact::Prompt,
    };
    let question = Question { image: &image, artifact, namespace: arguments.namespace.as_deref() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("signatures cannot be looked up: {error}\n"))?;
    let config = VerifierConfig { lookup_timeout: PATIENCE, ..VerifierConfig::default() };
    let verification = runtime.block_on(async {
        Verifier::new(config).verify(question, &trust, None, Instant::now() + PATIENCE).await
    });
    Ok((account(&arguments.subject, &trust, &verification), code(&verification)))
}

/// What is wrong with a path that leads to no directory; nothing where no path is meant.
fn no_directory(subject: &str) -> Option<String> {
    let path = Path::new(subject);
    if path.exists() {
        return Some(format!("{subject}: is no directory: name the one with the files of the model\n"));
    }
    let (first, rest) = subject.split_once('/')?;
    let is_host = first == "localhost" || first.contains(['.', ':']);
    let is_path = matches!(first, "" | "." | ".." | "~") || rest.is_empty();
    (is_path || !is_host && !subject.contains('@'))
        .then(|| format!("{subject}: there is no such directory\n"))
}

/// A directory with a model or dataset.
fn directory(arguments: &Arguments) -> Result<(String, u8), String> {
    let trust = compile(&arguments.trust)?;
    let is_data = matches!(arguments.used_as, UsedAs::Dataset);
    let model = verify_model::Model {
        root: Path::new(&arguments.subject),
        trust: &trust,
        signature: arguments.signature.as_deref(),
        namespace: arguments.namespace.as_deref(),
        made: arguments.made,
        digest: arguments.digest.as_deref(),
        is_data,
        // Nobody loads data.
        refuses_code: arguments.formats == Formats::Refuse && !is_data,
    };
    let progress = verify_model::progress(|line| out::error(&format!("{line}\n")));
    let account = verify_model::verify(&model, &progress).map_err(|error| format!("{error}\n"))?;
    let mut text = format!("{}\n{}", arguments.subject, account.text());
    notes(&mut text, &trust);
    Ok((text, verify_model::code(account.verdict())))
}

/// The trust policies of the files.
fn compile(paths: &[PathBuf]) -> Result<CompiledTrust, String> {
    let manifests = Manifests::read(paths, &Assumptions::default());
    if !manifests.problems.is_empty() {
        let lines = manifests.problems.iter().map(|problem| format!("{problem}\n"));
        return Err(lines.collect());
    }
    let policies = &manifests.world.cluster.trust_policies;
    if policies.is_empty() {
        let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(format!("{}: no AITrustPolicy in it\n", names.join(", ")));
    }
    let specs: Vec<_> = policies.values().map(|policy| trust::spec(policy, &TrustRoots::new())).collect();
    let suppliers: Vec<_> =
        manifests.world.cluster.suppliers.values().map(|one| trust::supplier(one)).collect();
    Ok(CompiledTrust::compile_with(&specs, &suppliers))
}

const fn code(verification: &Verification) -> u8 {
    match verification {
        Verification::Verified(_) => 0,
        Verification::NotSigned { .. } | Verification::Untrusted { .. } | Verification::Refused(_) => REFUSED,
        Verification::Unknown { .. } => UNKNOWN,
    }
}

/// What a person reads.
fn account(subject: &str, trust: &CompiledTrust, verification: &Verification) -> String {
    let mut text = format!("{subject}\n");
    let (word, reasons): (_, Vec<String>) = match verification {
        Verification::Verified(_) => ("verified", Vec::new()),
        Verification::NotSigned { reason } => ("refused", vec![reason.clone()]),
        Verification::Untrusted { reasons } => ("refused", reasons.clone()),
        Verification::Refused(refusal) => ("refused, and no registry was asked", vec![refusal.to_string()]),
        Verification::Unknown { reason, .. } => ("unknown", vec![reason.clone()]),
    };
    let _ = writeln!(text, "{word}");
    for reason in reasons {
        let _ = writeln!(text, "  {reason}");
    }
    if let Verification::Verified(proof) = verification {
        text.push_str("checked\n");
        checked(&mut text, proof);
        text.push_str(NOT_CHECKED);
    }
    notes(&mut text, trust);
    text
}

/// What is wrong with the policies themselves.
fn notes(text: &mut String, trust: &CompiledTrust) {
    for problem in trust.problems() {
        let _ = writeln!(
            text,
            "note: AITrustPolicy {} spec.{}: {}",
            problem.policy, problem.path, problem.message
        );
    }
}

const NOT_CHECKED: &str = "not checked
  layers and platforms: the digest binds their bytes, and whoever pulls them checks those
  what is inside: no scan for vulnerabilities, malware or unsafe model formats
";

fn checked(text: &mut String, proof: &Proof) {
    let when = proof.signed_at.map_or_else(
        || "when is not proven: no transparency log or timestamp was asked for".to_owned(),
        |moment| format!("{moment}, proven by a transparency log or timestamp"),
    );
    let _ = writeln!(text, "  signed by: {}", proof.authorities.join(", "));
    let _ = writeln!(text, "  signed at: {when}");
    let _ = writeln!(text, "  attached as: {}", proof.format.name());
    if let Some(files) = &proof.files {
        let _ = writeln!(
            text,
            "  signed over: the list of files {files}, which are exactly the artifact's layers"
        );
    }
    for attested in &proof.attestations {
        let builder = attested.builder_id.as_ref().map(|builder| format!(", built by {builder}"));
        let _ = writeln!(
            text,
            "  attested: {} by {}{}",
            attested.predicate_type,
            attested.authority,
            builder.unwrap_or_default()
        );
    }
    if let Some(index) = &proof.vouched_by {
        let _ = writeln!(text, "  vouched for by: index {index}, which is signed and lists the digest");
    }
    if let Some(end) = proof.valid_until {
        let _ = writeln!(text, "  valid until: {end}");
    }
}
