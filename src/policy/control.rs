//! What a control is, what it finds, and the report it writes its findings into.

use super::facts::{Facts, Place};
use super::fix::Fix;

/// One named check of the catalogue: everything a person may ask about it stands in this one value.
///
/// `explain`, the generated documentation, denials, Events and the audit all read it, so a control cannot exist
/// without its reason, its remedy and its provisions.
#[derive(Debug)]
pub struct Control {
    /// Stable name, a statement that holds when the control passes, e.g. `image-digest-pinned`.
    pub id: &'static str,
    /// One sentence that says what holds.
    pub title: &'static str,
    /// The part of the catalogue it belongs to.
    pub room: Room,
    /// 1 to 3: when the catalogue expects adopters to enforce it; profile `core` enforces wave 1 only.
    pub wave: u8,
    /// What the catalogue does with a violation, by the kind of environment.
    pub modes: Modes,
    /// Ids of the provisions it helps to keep, strongest first.
    pub provisions: &'static [&'static str],
    /// Why it matters, one clause, lower case, no full stop.
    pub why: &'static str,
    /// What in general brings a workload into line; findings carry the exact change.
    pub remedy: &'static str,
    /// What the catalogue asks and no rule checks yet; empty when the control is whole.
    pub gaps: &'static [Gap],
    /// What no rule on a cluster can see, even where the control is whole: what a person who reads a pass has to know.
    pub limits: &'static [&'static str],
    /// The rule itself.
    pub check: Check,
}

/// A part of a control that no rule checks yet. The provisions that rest on it are at best unknown in the audit.
#[derive(Debug, PartialEq, Eq)]
pub struct Gap {
    /// Those of the control's provisions that are not decided without it; never empty.
    pub provisions: &'static [&'static str],
    /// What is missing, one clause, lower case, no full stop.
    pub missing: &'static str,
}

impl Control {
    /// What is missing before this control decides `provision`.
    pub fn gaps_under(&self, provision: &str) -> impl Iterator<Item = &'static Gap> {
        self.gaps.iter().filter(move |gap| gap.provisions.contains(&provision))
    }

    /// Whether any rule of this control runs.
    #[must_use]
    pub fn implemented(&self) -> bool {
        matches!(self.check, Check::Rule(_))
    }

    /// The id in `PascalCase`, as it stands in the reason of an Event.
    #[must_use]
    pub fn reason(&self) -> String {
        self.id
            .split('-')
            .flat_map(|word| {
                let mut letters = word.chars();
                letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters)
            })
            .collect()
    }
}

/// Parts of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Namespaces, networks, environments.
    Segregation,
    /// Service accounts, permissions, credentials.
    Identity,
    /// Images, models, data, prompts and who made them.
    SupplyChain,
    /// How a pod may run.
    RuntimeHardening,
    /// Metrics and logs.
    Monitoring,
    /// Cards, records, guidance.
    Documentation,
    /// Tests and assessments.
    Evaluation,
    /// Owners, risks, people.
    Governance,
    /// Updates, recovery, end of life.
    Lifecycle,
}

impl Room {
    /// The name used in documentation and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Segregation => "segregation",
            Self::Identity => "identity",
            Self::SupplyChain => "supply-chain",
            Self::RuntimeHardening => "runtime-hardening",
            Self::Monitoring => "monitoring",
            Self::Documentation => "documentation",
            Self::Evaluation => "evaluation",
            Self::Governance => "governance",
            Self::Lifecycle => "lifecycle",
        }
    }
}

/// What happens when a control is violated; ordered from soft to hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Shown in the audit only.
    Audit,
    /// Shown to the user as a warning, and in the audit.
    Warn,
    /// Refused.
    Enforce,
}

impl Mode {
    /// The word used in profiles and documentation.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        }
    }
}

/// The catalogue's modes of a control, by environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// `production`.
    pub production: Mode,
    /// `staging`.
    pub staging: Mode,
    /// `training`, `data` and `quarantine`.
    pub training: Mode,
    /// `research`.
    pub research: Mode,
}

impl Modes {
    /// The same mode everywhere.
    #[must_use]
    pub const fn all(mode: Mode) -> Self {
        Self { production: mode, staging: mode, training: mode, research: mode }
    }

    /// Modes in the order of the catalogue's tables: production, staging, training/data/quarantine, research.
    #[must_use]
    pub const fn new(production: Mode, staging: Mode, training: Mode, research: Mode) -> Self {
        Self { production, staging, training, research }
    }

    /// The mode for one environment.
    #[must_use]
    pub fn of(self, environment: crate::api::Environment) -> Mode {
        use crate::api::Environment as E;
        match environment {
            E::Production => self.production,
            E::Staging => self.staging,
            E::Training | E::Data | E::Quarantine => self.training,
            E::Research => self.research,
        }
    }
}

/// The rule of a control.
#[derive(Clone, Copy)]
pub enum Check {
    /// No rule yet: every provision that rests on it is `unknown` in the audit, and it never denies.
    NotImplemented,
    /// A pure function from facts to findings.
    Rule(fn(&Facts<'_>, &mut Report<'_>)),
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotImplemented => "NotImplemented",
            Self::Rule(_) => "Rule",
        })
    }
}

/// What a control says of a subject when it does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The facts do not suffice; denies where the mode is enforce, and says why.
    Unknown,
    /// The facts break the rule.
    Violated,
}

/// What a finding is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The object under judgement: it may be refused for it.
    Subject,
    /// The namespace: shown on its row and brought about by the operator; refuses pods only under profile `strict`.
    Namespace,
}

/// One reason why a subject does not keep a control.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The control that speaks.
    pub control: &'static Control,
    /// The provisions this finding concerns; the control's own unless the rule narrowed them.
    pub provisions: &'static [&'static str],
    /// Violated or unknown.
    pub verdict: Verdict,
    /// Held against the subject or its namespace.
    pub scope: Scope,
    /// Where: object, field and value.
    pub place: Place,
    /// What is wrong there: lower case, no full stop, values quoted.
    pub detail: String,
    /// The exact way out, where one can be computed.
    pub fix: Option<Fix>,
    /// True when what is missing may still arrive by itself (an AIWorkload applied a moment later, an identity about to
    /// be generated): carriers are then warned, and only pods refused.
    pub may_arrive: bool,
    /// The most that happens on it, in whatever mode and under whatever profile.
    pub at_most: Mode,
}

impl Finding {
    /// Names the exact way out.
    pub fn fix(&mut self, fix: Fix) -> &mut Self {
        self.fix = Some(fix);
        self
    }

    /// Narrows the provisions to those this finding concerns.
    pub fn under(&mut self, provisions: &'static [&'static str]) -> &mut Self {
        self.provisions = provisions;
        self
    }

    /// Holds the finding against the namespace instead of the subject.
    pub fn of_namespace(&mut self) -> &mut Self {
        self.scope = Scope::Namespace;
        self
    }

    /// Says that the fault lies in the declaration: judged by itself it is refused, while the template of a pod, which
    /// is not at fault, is only warned of, because a better declaration may arrive a moment later.
    pub fn in_declaration(&mut self, facts: &Facts<'_>) -> &mut Self {
        self.may_arrive |= facts.pod().is_some();
        self
    }

    /// Says that nobody is refused for it: who relies on the subject has to hear of it, and no more.
    pub fn warns_at_most(&mut self) -> &mut Self {
        self.at_most = Mode::Warn;
        self
    }

    /// Says that what is missing may still arrive by itself.
    pub fn may_arrive(&mut self) -> &mut Self {
        self.may_arrive = true;
        self
    }
}

/// Where a control writes its findings.
#[derive(Debug)]
pub struct Report<'r> {
    control: &'static Control,
    findings: &'r mut Vec<Finding>,
}

impl<'r> Report<'r> {
    /// A report in the name of `control` that appends to `findings`.
    pub fn new(control: &'static Control, findings: &'r mut Vec<Finding>) -> Self {
        Self { control, findings }
    }

    /// The facts break the rule at `place`.
    pub fn violated(&mut self, place: Place, detail: impl Into<String>) -> &mut Finding {
        self.push(Verdict::Violated, place, detail.into())
    }

    /// The facts do not suffice to decide at `place`; `detail` says what is missing.
    pub fn unknown(&mut self, place: Place, detail: impl Into<String>) -> &mut Finding {
        self.push(Verdict::Unknown, place, detail.into())
    }

    fn push(&mut self, verdict: Verdict, place: Place, detail: String) -> &mut Finding {
        let control = self.control;
        let index = self.findings.len();
        self.findings.push(Finding {
            control,
            provisions: control.provisions,
            verdict,
            scope: Scope::Subject,
            place,
            detail,
            fix: None,
            may_arrive: false,
            at_most: Mode::Enforce,
        });
        &mut self.findings[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_the_id_in_pascal_case() {
        let control = Control {
            id: "image-digest-pinned",
            title: "t",
            room: Room::SupplyChain,
            wave: 1,
            modes: Modes::all(Mode::Enforce),
            provisions: &[],
            why: "w",
            remedy: "r",
            gaps: &[],
            limits: &[],
            check: Check::NotImplemented,
        };
        assert_eq!(control.reason(), "ImageDigestPinned");
        assert!(!control.implemented());
    }
}
