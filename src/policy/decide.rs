//! From findings to a decision: modes, effects and exemptions.

use jiff::Timestamp;

use super::code::{self, Effect};
use super::composition;
use super::control::{Control, Finding, Mode, Scope};
use super::dates;
use super::facts::{Cluster, Namespace};
use super::owners::may_be;
use crate::api::{self, Environment};

/// The ladder that profiles stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Base {
    /// The first wave with the catalogue's modes; of the rest a few are warned of, and all others audited.
    Core,
    /// The catalogue's modes for every control.
    Code,
    /// Every control enforced, with the strict effects of the provisions.
    Strict,
}

/// Controls of later waves that profile `core` warns of: they speak of code that runs in the pod unseen, by words that
/// the pod itself says.
const WARNED_BY_CORE: &[&str] = &["safe-model-loading"];

impl Base {
    fn mode(self, control: &Control, environment: Environment) -> Mode {
        match self {
            Self::Core if control.wave == 1 => control.modes.of(environment),
            Self::Core if WARNED_BY_CORE.contains(&control.id) => {
                control.modes.of(environment).min(Mode::Warn)
            }
            Self::Core => Mode::Audit,
            Self::Code => control.modes.of(environment),
            Self::Strict => Mode::Enforce,
        }
    }
}

/// What is enforced for one subject: the profiles that apply to it and its exemptions.
#[derive(Debug)]
pub struct Enforcement<'a> {
    environment: Environment,
    profiles: Vec<&'a api::AIProfile>,
    floor: Option<Base>,
    exemptions: Vec<&'a api::AIExemption>,
    namespace: &'a Namespace,
    composition: Option<String>,
}

impl<'a> Enforcement<'a> {
    /// Collects what applies to a subject of `namespace`.
    ///
    /// `workload` is the declaration in question, if any: one that is critical brings profile `strict` with it. Where no
    /// environment is known the strictest one, production, is taken.
    #[must_use]
    pub fn of(
        namespace: &'a Namespace,
        cluster: &'a Cluster,
        workload: Option<&api::AIWorkload>,
        now: Timestamp,
    ) -> Self {
        let environment = namespace.environment().unwrap_or(Environment::Production);
        let criticality = workload.map(|w| w.spec.criticality).unwrap_or_default();
        let exemptions: Vec<&api::AIExemption> = namespace
            .exemptions
            .values()
            .map(AsRef::as_ref)
            .filter(|e| exemption_holds(e, now).is_ok())
            .collect();
        Self {
            environment,
            namespace,
            composition: workload
                .filter(|_| !exemptions.is_empty())
                .map(|workload| composition::digest(workload, namespace, cluster)),
            profiles: cluster
                .profiles
                .values()
                .map(AsRef::as_ref)
                .filter(|p| applies(p, &namespace.name, environment, criticality))
                .collect(),
            floor: (criticality == api::common::Criticality::Critical).then_some(Base::Strict),
            exemptions,
        }
    }

    /// The mode of a control: the strictest that any applying profile asks for, `core` where none applies.
    #[must_use]
    pub fn mode(&self, control: &Control) -> Mode {
        let environment = self.seen_as(control);
        let of_profiles =
            self.profiles.iter().map(|profile| profile_mode(profile, control, environment)).max();
        let own = of_profiles.unwrap_or_else(|| Base::Core.mode(control, environment));
        match self.floor {
            Some(base) => own.max(base.mode(control, environment)),
            None => own,
        }
    }

    /// The environment that counts for a control: people may look into pods of research, unless their data is confidential.
    fn seen_as(&self, control: &Control) -> Environment {
        let sensitive = || self.namespace.sensitivity() >= Some(api::Sensitivity::Confidential);
        if control.id == "interactive-access-blocked"
            && self.environment == Environment::Research
            && sensitive()
        {
            return Environment::Training;
        }
        self.environment
    }

    /// Whether the strict effects of provisions count.
    #[must_use]
    pub fn strict(&self) -> bool {
        self.floor == Some(Base::Strict) || self.profiles.iter().any(|p| base_of(p) == Base::Strict)
    }

    /// What happens on `finding`: the weaker of its control's mode and its provisions' effect, and never more than it says itself.
    #[must_use]
    pub fn effect(&self, finding: &Finding) -> Mode {
        let mode = self.mode(finding.control).min(finding.at_most);
        if mode == Mode::Audit {
            return mode;
        }
        let strict = self.strict();
        let demanded = finding
            .provisions
            .iter()
            .filter_map(|id| code::provision(id))
            .map(|p| effect_mode(if strict { p.effect.strict } else { p.effect.baseline }))
            .max()
            .unwrap_or(Mode::Audit);
        let capped = match finding.scope {
            Scope::Subject => demanded,
            Scope::Namespace if strict => demanded,
            Scope::Namespace => demanded.min(Mode::Audit),
        };
        mode.min(capped)
    }

    fn exemption_for(&self, finding: &Finding, workload: Option<&str>) -> Option<&'a api::AIExemption> {
        if finding.control.id == "enforcement-integrity" {
            return None;
        }
        self.exemptions.iter().copied().find(|exemption| {
            let spec = &exemption.spec;
            spec.controls.iter().any(|c| c == finding.control.id)
                && self.covers(&spec.subject, finding, workload)
        })
    }
}

impl Enforcement<'_> {
    /// Whether an exemption's subject is what the finding is about, in exactly the state that was exempted: an
    /// AIWorkload by the digest in its status, an AIModel by its own, an image by the one in its reference.
    fn covers(&self, subject: &api::evidence::Subject, finding: &Finding, workload: Option<&str>) -> bool {
        let Some(digest) = subject.digest.as_deref() else { return false };
        match subject.kind.as_str() {
            // The declaration does not name images: an exemption of the whole would let any image in.
            "AIWorkload" if finding.control.id.starts_with("image-") => false,
            "AIWorkload" => {
                workload == Some(subject.name.as_str()) && self.composition.as_deref() == Some(digest)
            }
            "AIModel" => {
                let about =
                    finding.place.object.as_deref().and_then(|object| object.strip_prefix("AIModel "));
                about.is_some_and(|name| name.rsplit('/').next() == Some(subject.name.as_str()))
                    && self.namespace.models.get(&subject.name).and_then(|m| m.spec.digest.as_deref())
                        == Some(digest)
            }
            "Image" => finding
                .place
                .value
                .as_deref()
                .is_some_and(|value| value.rsplit_once('@').is_some_and(|(_, d)| d == digest)),
            _ => false,
        }
    }
}

fn effect_mode(effect: Effect) -> Mode {
    match effect {
        Effect::Deny | Effect::FindingThenDeny => Mode::Enforce,
        Effect::Warn => Mode::Warn,
        Effect::Finding | Effect::Info => Mode::Audit,
    }
}

fn base_of(profile: &api::AIProfile) -> Base {
    match profile.spec.base {
        api::profile::BaseProfile::Strict => Base::Strict,
        api::profile::BaseProfile::Code => Base::Code,
        api::profile::BaseProfile::Core => Base::Core,
    }
}

fn profile_mode(profile: &api::AIProfile, control: &Control, environment: Environment) -> Mode {
    let own = profile.spec.controls.get(control.id).and_then(|modes| modes.get(&environment));
    match own {
        Some(api::Mode::Enforce) => Mode::Enforce,
        Some(api::Mode::Warn) => Mode::Warn,
        Some(api::Mode::Audit) => Mode::Audit,
        None => base_of(profile).mode(control, environment),
    }
}

/// Names of the profiles that the operator shows but that apply only through others' `base`.
pub const BUILT_IN: [&str; 3] = ["core", "code", "strict"];

fn applies(
    profile: &api::AIProfile,
    namespace: &str,
    environment: Environment,
    criticality: api::common::Criticality,
) -> bool {
    if profile.metadata.name.as_deref().is_some_and(|name| BUILT_IN.contains(&name)) {
        return false;
    }
    let Some(to) = &profile.spec.applies_to else { return true };
    (to.namespaces.is_empty() || to.namespaces.iter().any(|n| n == "*" || n == namespace))
        && (to.environments.is_empty() || to.environments.contains(&environment))
        && (to.criticality.is_empty() || to.criticality.contains(&criticality))
}

/// The profiles that apply to a namespace for ordinary workloads.
pub fn applying<'a>(
    cluster: &'a Cluster,
    namespace: &'a Namespace,
) -> impl Iterator<Item = &'a api::AIProfile> {
    let environment = namespace.environment().unwrap_or(Environment::Production);
    cluster
        .profiles
        .values()
        .map(AsRef::as_ref)
        .filter(move |p| applies(p, &namespace.name, environment, api::common::Criticality::Standard))
}

/// The longest life of an exemption, in hours: 90 days.
pub const EXEMPTION_LIFE_HOURS: i64 = 90 * 24;

/// Whether an exemption counts at `now`; the error says, as a clause, why not.
pub fn exemption_holds(exemption: &api::AIExemption, now: Timestamp) -> Result<(), String> {
    let spec = &exemption.spec;
    let Some(approver) = spec.approved_by.as_deref().filter(|by| !by.is_empty()) else {
        return Err("nobody has approved it yet".to_owned());
    };
    if may_be(Some(&spec.requested_by), approver) {
        return Err(format!("{approver:?} both asked for it and approved it"));
    }
    let Some(expires) = dates::until(&spec.expires_at) else {
        return Err(format!("expiresAt {:?} is no date", spec.expires_at));
    };
    if expires < now {
        return Err(format!("it expired at {}", spec.expires_at));
    }
    let born = exemption.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    if expires.duration_since(born).as_hours() > EXEMPTION_LIFE_HOURS {
        return Err("it would last more than 90 days".to_owned());
    }
    Ok(())
}

/// What becomes of a subject.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// Findings that refuse it.
    pub refused: Vec<Finding>,
    /// Findings its user is warned of.
    pub warned: Vec<Finding>,
    /// Findings only the audit shows.
    pub audited: Vec<Finding>,
    /// Findings waived, with the name of the exemption.
    pub exempted: Vec<(Finding, String)>,
}

impl Decision {
    /// Whether the subject may pass.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.refused.is_empty()
    }

    /// Lets pass what `known`, the decision on the same object before its change, refused as well: it is warned of.
    pub fn forgive(&mut self, known: &Self) {
        let same = |finding: &mut Finding| {
            known.refused.iter().any(|known| {
                known.control.id == finding.control.id
                    && known.place == finding.place
                    && known.detail == finding.detail
            })
        };
        self.warned.extend(self.refused.extract_if(.., same));
    }

    /// Takes in the decision on another part of the same object.
    ///
    /// Templates of one object repeat what concerns their declaration; a person needs to read it once.
    pub fn merge(&mut self, other: Self) {
        for (into, from) in [(&mut self.refused, other.refused), (&mut self.warned, other.warned)] {
            for finding in from {
                let same = |known: &Finding| {
                    known.control.id == finding.control.id
                        && known.place == finding.place
                        && known.detail == finding.detail
                };
                if !into.iter().any(same) {
                    into.push(finding);
                }
            }
        }
        self.audited.extend(other.audited);
        self.exempted.extend(other.exempted);
    }
}

/// Sorts findings by what happens on each.
///
/// `workload` is the name of the declaration in question. With `carried` set, the subject is a template inside another
/// object: findings that time may mend are then warnings, because the pod itself will be judged again.
#[must_use]
pub fn decide(
    findings: Vec<Finding>,
    enforcement: &Enforcement<'_>,
    workload: Option<&str>,
    carried: bool,
) -> Decision {
    let mut decision = Decision::default();
    for finding in findings {
        if let Some(exemption) = enforcement.exemption_for(&finding, workload) {
            let name = exemption.metadata.name.clone().unwrap_or_default();
            decision.exempted.push((finding, name));
            continue;
        }
        match enforcement.effect(&finding) {
            Mode::Enforce if carried && finding.may_arrive => decision.warned.push(finding),
            Mode::Enforce => decision.refused.push(finding),
            Mode::Warn => decision.warned.push(finding),
            Mode::Audit => decision.audited.push(finding),
        }
    }
    decision
}
