//! What was found out about a model, as a value that people, exit codes and a status are made from.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Checked;
use crate::gather::registry::Verification;

/// The verdict on one stage, or on all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It holds.
    Verified,
    /// It could not be found out.
    Unknown,
    /// It does not hold.
    Refused,
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
        }
    }
}

/// One thing that was asked, with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What was asked.
    pub name: &'static str,
    /// The answer; none where nobody asked.
    pub verdict: Option<Verdict>,
    /// What there is to say, a sentence each.
    pub lines: Vec<String>,
}

/// Everything that was asked about a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The digest of the whole, where there is a manifest.
    pub digest: Option<String>,
    /// Who signed, where somebody did who counts.
    pub authorities: Vec<String>,
    /// The formats that were seen, with how many files have each.
    pub seen: BTreeMap<&'static str, u64>,
    /// The stages in their order.
    pub stages: Vec<Stage>,
}

impl Account {
    /// The worst of all stages; an account that asked nothing verified nothing.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.stages.iter().filter_map(|stage| stage.verdict).max().unwrap_or(Verdict::Unknown)
    }

    /// Takes in who signed.
    pub fn signature(&mut self, verification: &Verification) {
        let (verdict, lines) = match verification {
            Verification::Verified(proof) => {
                self.authorities.clone_from(&proof.authorities);
                let when = proof.signed_at.map_or_else(
                    || "when is not proven: no transparency log or timestamp was asked for".to_owned(),
                    |moment| format!("signed at {moment}, proven by a transparency log or timestamp"),
                );
                (Verdict::Verified, vec![format!("signed by {}", proof.authorities.join(", ")), when])
            }
            Verification::NotSigned { reason } => (Verdict::Refused, vec![reason.clone()]),
            Verification::Untrusted { reasons } => (Verdict::Refused, reasons.clone()),
            Verification::Refused(refusal) => (Verdict::Refused, vec![refusal.to_string()]),
            Verification::Unknown { reason, .. } => (Verdict::Unknown, vec![reason.clone()]),
        };
        self.stages.push(Stage { name: "signature", verdict: Some(verdict), lines });
    }

    /// Takes in what the files are.
    pub fn bytes(&mut self, checked: &Checked) {
        let verdict = if !checked.wrong.is_empty() {
            Verdict::Refused
        } else if !checked.unclear.is_empty() {
            Verdict::Unknown
        } else {
            Verdict::Verified
        };
        let mut lines = vec![format!(
            "{} with {} bytes hashed and as the manifest says",
            files(checked.files),
            checked.bytes
        )];
        lines.extend(checked.wrong.lines());
        lines.extend(checked.unclear.lines());
        self.stages.push(Stage { name: "bytes", verdict: Some(verdict), lines });
    }

    /// Takes in what the files hold; `decides` says whether that counts.
    pub fn formats(&mut self, checked: &Checked, decides: bool) {
        let verdict = if !checked.code.is_empty() {
            Verdict::Refused
        } else if !checked.opaque.is_empty() {
            Verdict::Unknown
        } else {
            Verdict::Verified
        };
        self.seen.clone_from(&checked.formats);
        let counts: Vec<_> = checked.formats.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let mut lines = vec![format!("seen in the bytes: {}", counts.join(", "))];
        lines.extend(checked.code.lines());
        lines.extend(checked.opaque.lines());
        self.stages.push(Stage { name: "formats", verdict: decides.then_some(verdict), lines });
    }

    /// Takes in that something does not hold.
    pub fn refuse(&mut self, name: &'static str, why: String) {
        self.stages.push(Stage { name, verdict: Some(Verdict::Refused), lines: vec![why] });
    }

    /// Takes in what nobody looked at.
    pub fn not_checked(&mut self, lines: Vec<String>) {
        self.stages.push(Stage { name: "not checked", verdict: None, lines });
    }

    /// What a person reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(digest) = &self.digest {
            let _ = writeln!(text, "{digest}");
        }
        let _ = writeln!(text, "{}", self.verdict().word());
        for stage in &self.stages {
            let word = stage.verdict.map(|verdict| format!(": {}", verdict.word())).unwrap_or_default();
            let _ = writeln!(text, "{}{word}", stage.name);
            for line in &stage.lines {
                let _ = writeln!(text, "  {line}");
            }
        }
        text
    }

    /// The verdict of one stage by its name.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == name)
    }
}

fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}
