//! `portcullis check`: the verdicts of the webhook on manifests, without a cluster. The files are the world.

pub mod assumed;
pub mod judge;
mod present;
mod print;
pub mod signatures;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::out;
use crate::api::profile::BaseProfile;
use crate::api::{Environment, Sensitivity};
use crate::gather::files::{Assumptions, Manifests};
use crate::policy::dates;
use judge::Outcome;
use signatures::Signatures;

/// Exit code where something would be refused.
pub(super) const REFUSED: u8 = 1;
/// Exit code where something could not be found out and nothing else is refused.
pub(super) const UNKNOWN: u8 = 3;

/// Judges manifests as the webhook would, without a cluster: the files are the world. Exit code: 0 pass, 1 refused, 2
/// unusable input, 3 unknown.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Manifest, directory of manifests, or - for standard input (may be repeated)
    #[arg(short, long = "file", required = true, value_name = "PATH", num_args = 1..)]
    file: Vec<PathBuf>,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value = "text")]
    output: Form,
    /// Judge by this profile too, beside those in the files
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// Namespace of objects that name none [default: default]
    #[arg(short, long)]
    namespace: Option<String>,
    /// Environment of that namespace, where the files do not hold it
    #[arg(long, requires = "sensitivity")]
    environment: Option<Environment>,
    /// Sensitivity of that namespace, where the files do not hold it
    #[arg(long, requires = "environment")]
    sensitivity: Option<Sensitivity>,
    /// YAML file with what somebody verified: `images: {REFERENCE: {trusted: [AUTHORITY], attested: [{predicateType:
    /// TYPE, authority: AUTHORITY}]}}`; statements that are not listed under `attested` count as missing
    #[arg(long, value_name = "FILE")]
    signatures: Option<PathBuf>,
    /// Look signatures up in the registries that the trust policies in the files list
    #[arg(long)]
    verify: bool,
    /// Show what only the audit would show, too
    #[arg(long)]
    audit: bool,
    /// Judge as of this day or time, such as 2027-01-31: what will have lapsed by then? [default: now]
    #[arg(long, value_name = "DATE", value_parser = moment)]
    at: Option<Timestamp>,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    dates::from(text)
        .ok_or_else(|| "is no day such as 2027-01-31 and no time such as 2027-01-31T12:00:00Z".to_owned())
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Form {
    /// The words of the webhook, and a summary
    Text,
    /// One JSON object
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Profile {
    /// The first wave of controls is enforced; the default where no profile applies
    Core,
    /// Every control has the mode of the catalogue
    Code,
    /// Every control is enforced
    Strict,
}

impl Profile {
    pub(super) fn base(self) -> BaseProfile {
        match self {
            Self::Core => BaseProfile::Core,
            Self::Code => BaseProfile::Code,
            Self::Strict => BaseProfile::Strict,
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut signatures = match known_signatures(arguments.signatures.as_deref()) {
        Ok(signatures) => signatures,
        Err(text) => {
            out::error(&text);
            return ExitCode::from(out::UNUSABLE);
        }
    };
    let assumptions = Assumptions {
        namespace: arguments.namespace.clone(),
        environment: arguments.environment,
        sensitivity: arguments.sensitivity,
        profile: arguments.profile.map(Profile::base),
        live: false,
    };
    let mut manifests = Manifests::read(&arguments.file, &assumptions);
    if !manifests.problems.is_empty() {
        match arguments.output {
            Form::Text => out::error(&print::problems(&manifests.problems)),
            Form::Json => out::print(&print::json(&manifests, &[])),
        }
        return ExitCode::from(out::UNUSABLE);
    }
    assumed::assume_generated(&mut manifests.world);
    if arguments.verify
        && let Err(error) = verify(&mut signatures, &manifests)
    {
        out::error(&format!("signatures cannot be looked up: {error}\n"));
        return ExitCode::from(out::UNUSABLE);
    }
    let judgements = judge::judge(&manifests, &signatures, arguments.at.unwrap_or_else(Timestamp::now));
    out::print(&match arguments.output {
        Form::Text => print::text(&manifests, &judgements, arguments.audit),
        Form::Json => print::json(&manifests, &judgements),
    });
    match judge::worst(&judgements) {
        Outcome::Pass | Outcome::Warn => ExitCode::SUCCESS,
        Outcome::Refused => ExitCode::from(REFUSED),
        Outcome::Unknown => ExitCode::from(UNKNOWN),
    }
}

pub(super) fn known_signatures(path: Option<&Path>) -> Result<Signatures, String> {
    let Some(path) = path else { return Ok(Signatures::default()) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{}: cannot be read: {error}\n", path.display()))?;
    Signatures::read(&text).map_err(|error| format!("{}: {error}\n", path.display()))
}

pub(super) fn verify(signatures: &mut Signatures, manifests: &Manifests) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(signatures.verify(manifests));
    Ok(())
}
