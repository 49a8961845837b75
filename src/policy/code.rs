//! The provisions of the Code and its sources: the only place where they are spelt.
//!
//! Words are our own; `reference` leads to the clause in the source. Ids are stable: messages, exemptions, Events
//! and the audit quote them.

mod call_for_views;
mod draft_01;
mod draft_02;
mod draft_03;
mod draft_04;
mod draft_05;
mod draft_06;
mod draft_07;
mod draft_08;
mod draft_09;
mod draft_10;
mod draft_11;
mod draft_12;
mod etsi;
mod final_code;
mod ncsc_deployment;
mod ncsc_design;
mod ncsc_development;
mod ncsc_operation;

use std::collections::HashMap;
use std::sync::LazyLock;

/// One demand, recommendation or possibility of the Code or of a source beside it.
#[derive(Clone, Copy, Debug)]
pub struct Provision {
    /// Stable id, such as `CoP-5.2`, `CoP-2.5-n1` (a note under 2.5), `NCSC-V2.2` or `FC-13`.
    pub id: &'static str,
    /// What is true where the provision is kept, in at most 70 characters.
    pub title: &'static str,
    /// What it asks, in one sentence of our own.
    pub summary: &'static str,
    /// How much the source insists.
    pub strength: Strength,
    /// The document it stands in.
    pub source: Source,
    /// Where in that document.
    pub reference: &'static str,
    /// Who is bound by it.
    pub roles: &'static [Role],
    /// The lifecycle stages (ETSI) in which it applies.
    pub stages: &'static [Stage],
    /// Principle 1 to 12 of the draft Code; none for what the draft lacks.
    pub draft_principle: Option<u8>,
    /// Principles 1 to 13 of the final Code.
    pub final_principles: &'static [u8],
    /// The demands of the NCSC guidelines that say the same, by section and number.
    pub ncsc: &'static [&'static str],
    /// Who can decide whether it is kept.
    pub class: Class,
    /// The controls that hold it, by id; empty where it is out of reach.
    pub controls: &'static [&'static str],
    /// What a failure of it may lead to at most.
    pub effect: Effects,
    /// What no system can decide about it.
    pub out_of_reach: Option<&'static str>,
}

/// How much a source insists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// A requirement.
    Shall,
    /// A recommendation.
    Should,
    /// A possibility.
    Can,
}

/// The document that a provision stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The draft voluntary Code of Practice of May 2024 with its notes and footnotes.
    DraftCode,
    /// The NCSC guidelines for secure AI system development of November 2023.
    Ncsc,
    /// The call for views that the draft Code was published in, outside the Code itself.
    CallForViews,
    /// The letter that announced the draft.
    Letter,
    /// The final Code of Practice of January 2025, by its principles.
    FinalCode,
    /// The ETSI technical specification made of the Code.
    Etsi,
}

/// Who is bound by a provision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Makes or adapts models or AI systems.
    Developer,
    /// Deploys and runs an AI system.
    SystemOperator,
    /// Decides about the data that a system learns from or works on.
    DataController,
    /// Uses the system.
    EndUser,
    /// Any organisation in scope.
    Organisation,
}

/// A stage of life, as ETSI names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Secure design.
    Design,
    /// Secure development.
    Development,
    /// Secure deployment.
    Deployment,
    /// Secure maintenance.
    Maintenance,
    /// Secure end of life.
    EndOfLife,
}

/// Who can decide whether a provision is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The webhook, when an object is created or changed.
    Admission,
    /// The controller, by audit or by what it generates.
    Controller,
    /// People, by dated and digested evidence that admission asks for.
    Evidence,
    /// Nobody on a cluster.
    OutOfReach,
}

/// What a failed provision may lead to at most; the mode of the control may soften it further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The object is refused.
    Deny,
    /// The user is warned.
    Warn,
    /// The audit shows a finding.
    Finding,
    /// The audit shows a finding, and the next rollout is refused.
    FindingThenDeny,
    /// The audit mentions it.
    Info,
}

/// The effect by profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effects {
    /// Under the profiles `core` and `code`.
    pub baseline: Effect,
    /// Under the profile `strict`.
    pub strict: Effect,
}

impl Strength {
    /// The modal verb.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shall => "shall",
            Self::Should => "should",
            Self::Can => "can",
        }
    }
}

impl Source {
    /// Every source, in the order of `PROVISIONS`.
    pub const ALL: [Self; 6] =
        [Self::DraftCode, Self::Ncsc, Self::CallForViews, Self::Letter, Self::FinalCode, Self::Etsi];

    /// The document by a name that people know.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DraftCode => "draft Code",
            Self::Ncsc => "NCSC guidelines",
            Self::CallForViews => "call for views",
            Self::Letter => "letter to the committee",
            Self::FinalCode => "final Code",
            Self::Etsi => "ETSI specification",
        }
    }
}

impl Role {
    /// The role in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::SystemOperator => "system operator",
            Self::DataController => "data controller",
            Self::EndUser => "end-user",
            Self::Organisation => "organisation",
        }
    }
}

impl Stage {
    /// Every stage, in the order of life.
    pub const ALL: [Self; 5] =
        [Self::Design, Self::Development, Self::Deployment, Self::Maintenance, Self::EndOfLife];

    /// The stage in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Design => "secure design",
            Self::Development => "secure development",
            Self::Deployment => "secure deployment",
            Self::Maintenance => "secure maintenance",
            Self::EndOfLife => "secure end of life",
        }
    }
}

impl Class {
    /// Who decides, in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admission => "admission",
            Self::Controller => "controller",
            Self::Evidence => "evidence",
            Self::OutOfReach => "out of reach",
        }
    }
}

impl Effect {
    /// The effect in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Warn => "warn",
            Self::Finding => "finding",
            Self::FindingThenDeny => "finding, then the next rollout is denied",
            Self::Info => "info",
        }
    }
}

/// Subjects of the twelve principles of the draft Code, the first at index 0.
pub const DRAFT_PRINCIPLES: [&str; 12] = [
    "awareness of threats",
    "design for security",
    "threats and risks",
    "users and outputs",
    "assets",
    "infrastructure",
    "supply chain",
    "documentation",
    "testing and evaluation",
    "communication with users",
    "security updates",
    "monitoring",
];

/// Subjects of the thirteen principles of the final Code, the first at index 0.
pub const FINAL_PRINCIPLES: [&str; 13] = [
    "awareness of threats and risks",
    "design for security beside function",
    "threat evaluation and risk management",
    "human responsibility",
    "assets",
    "infrastructure",
    "supply chain",
    "documentation of data, models and prompts",
    "testing and evaluation",
    "communication with users and affected entities",
    "updates, patches and mitigations",
    "monitoring of behaviour",
    "disposal of data and models",
];

/// How many provisions there are; the build fails where the parts hold another number.
const COUNT: usize = 152;

const PARTS: [&[Provision]; 19] = [
    draft_01::PROVISIONS,
    draft_02::PROVISIONS,
    draft_03::PROVISIONS,
    draft_04::PROVISIONS,
    draft_05::PROVISIONS,
    draft_06::PROVISIONS,
    draft_07::PROVISIONS,
    draft_08::PROVISIONS,
    draft_09::PROVISIONS,
    draft_10::PROVISIONS,
    draft_11::PROVISIONS,
    draft_12::PROVISIONS,
    ncsc_design::PROVISIONS,
    ncsc_development::PROVISIONS,
    ncsc_deployment::PROVISIONS,
    ncsc_operation::PROVISIONS,
    call_for_views::PROVISIONS,
    final_code::PROVISIONS,
    etsi::PROVISIONS,
];

static JOINED: [Provision; COUNT] = joined();

/// Every provision, in the order of the sources: a note stands behind the provision it explains.
pub static PROVISIONS: &[Provision] = &JOINED;

/// The provision of this id.
#[must_use]
pub fn provision(id: &str) -> Option<&'static Provision> {
    static BY_ID: LazyLock<HashMap<&str, &Provision>> =
        LazyLock::new(|| PROVISIONS.iter().map(|provision| (provision.id, provision)).collect());
    BY_ID.get(id).copied()
}

#[expect(clippy::large_stack_arrays, reason = "evaluated by the compiler into a static, never on a stack")]
const fn joined() -> [Provision; COUNT] {
    let mut all = [PARTS[0][0]; COUNT];
    let (mut part, mut next) = (0, 0);
    while part < PARTS.len() {
        let mut index = 0;
        while index < PARTS[part].len() {
            all[next] = PARTS[part][index];
            next += 1;
            index += 1;
        }
        part += 1;
    }
    assert!(next == COUNT, "COUNT does not match the parts");
    all
}

#[cfg(test)]
mod tests;
