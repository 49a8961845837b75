//! What evidence can be about: how it is named, which state of it is meant, and who made it.

use crate::api::common::{AssetOwners, Party};
use crate::api::evidence::Subject;
use crate::api::{AIDataset, AIGovernance, AIModel, AIPrompt, AISupplier, AIWorkload};
use crate::policy::facts::{Facts, Namespace};
use crate::policy::owners::may_be;

/// What a proof has to be about.
#[derive(Clone, Copy, Debug)]
pub enum About<'a> {
    /// A workload; its state is its composition.
    Workload(&'a AIWorkload),
    /// A model; its state is its digest.
    Model(&'a AIModel),
    /// A dataset; its state is its digest.
    Dataset(&'a AIDataset),
    /// A dataset in another state than its present one, by the digest of that.
    Sealed(&'a AIDataset, &'a str),
    /// A prompt; its state is its digest.
    Prompt(&'a AIPrompt),
    /// An image, by its reference with a digest.
    Image(&'a str),
    /// An organisation.
    Organisation(&'a AIGovernance),
    /// A supplier.
    Supplier(&'a AISupplier),
}

impl<'a> About<'a> {
    /// The kind as evidence names it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Workload(_) => "AIWorkload",
            Self::Model(_) => "AIModel",
            Self::Dataset(_) | Self::Sealed(..) => "AIDataset",
            Self::Prompt(_) => "AIPrompt",
            Self::Image(_) => "Image",
            Self::Organisation(_) => "AIGovernance",
            Self::Supplier(_) => "AISupplier",
        }
    }

    /// The name as evidence names it; of an image the last part of its repository, which is for readers only.
    #[must_use]
    pub fn name(&self) -> &'a str {
        match self {
            Self::Workload(o) => o.metadata.name.as_deref(),
            Self::Model(o) => o.metadata.name.as_deref(),
            Self::Dataset(o) | Self::Sealed(o, _) => o.metadata.name.as_deref(),
            Self::Prompt(o) => o.metadata.name.as_deref(),
            Self::Organisation(o) => o.metadata.name.as_deref(),
            Self::Supplier(o) => o.metadata.name.as_deref(),
            Self::Image(reference) => {
                let repository = reference.split('@').next().unwrap_or_default();
                let last = repository.rsplit('/').next().unwrap_or_default();
                last.split(':').next()
            }
        }
        .unwrap_or_default()
    }

    /// Its namespace; `None` for what has none, and for images, which are the same everywhere.
    #[must_use]
    pub fn namespace(&self) -> Option<&'a str> {
        match self {
            Self::Workload(o) => o.metadata.namespace.as_deref(),
            Self::Model(o) => o.metadata.namespace.as_deref(),
            Self::Dataset(o) | Self::Sealed(o, _) => o.metadata.namespace.as_deref(),
            Self::Prompt(o) => o.metadata.namespace.as_deref(),
            Self::Image(_) | Self::Organisation(_) | Self::Supplier(_) => None,
        }
    }

    /// The object as places name it: `AIModel chat-prod/chat-7b`.
    #[must_use]
    pub fn object(&self) -> String {
        match self.namespace() {
            Some(namespace) => format!("{} {namespace}/{}", self.kind(), self.name()),
            None => format!("{} {}", self.kind(), self.name()),
        }
    }

    /// The digest of its present state, if it has one.
    #[must_use]
    pub fn digest<'f>(&self, facts: &'f Facts<'a>) -> Option<&'f str>
    where
        'a: 'f,
    {
        match self {
            Self::Workload(_) => Some(facts.composition()).filter(|digest| !digest.is_empty()),
            Self::Model(o) => o.spec.digest.as_deref(),
            Self::Dataset(o) => o.spec.digest.as_deref(),
            Self::Sealed(_, digest) => Some(digest),
            Self::Prompt(o) => o.spec.digest.as_deref(),
            Self::Image(reference) => reference.rsplit_once('@').map(|(_, digest)| digest),
            Self::Organisation(_) | Self::Supplier(_) => None,
        }
    }

    /// Whether `subject`, as a proof in the namespace `place` names it, is this.
    pub(super) fn is(&self, subject: &Subject, place: &Namespace) -> bool {
        if subject.kind != self.kind() {
            return false;
        }
        match self {
            // The name of an image is for readers; only its bytes count, which the digest says.
            Self::Image(_) => true,
            Self::Organisation(_) | Self::Supplier(_) => subject.name == self.name(),
            _ => {
                subject.name == self.name()
                    && self
                        .namespace()
                        .is_none_or(|home| subject.namespace.as_deref().unwrap_or(&place.name) == home)
            }
        }
    }

    /// The namespaces whose evidence counts for it; the error says why there is none.
    pub(super) fn places(&self, facts: &Facts<'a>) -> Result<[Option<&'a Namespace>; 2], String> {
        let of = |organisation: &'a AIGovernance| {
            let name = organisation.spec.governance_namespace.as_deref()?;
            facts.namespace_named(Some(name))
        };
        match self {
            Self::Organisation(organisation) => match of(organisation) {
                Some(place) => Ok([Some(place), None]),
                None => Err(format!(
                    "AIGovernance {:?} names no existing governanceNamespace, the only place from which its evidence counts",
                    self.name()
                )),
            },
            Self::Supplier(_) => {
                let mut places = facts.cluster.governances.values().filter_map(|o| of(o));
                match places.next() {
                    Some(place) => Ok([Some(place), places.find(|other| other.name != place.name)]),
                    None => Err("no AIGovernance names an existing governanceNamespace, the only place from which evidence \
                         about suppliers counts"
                        .to_owned()),
                }
            }
            _ => {
                let home = self.namespace().and_then(|name| facts.namespace_named(Some(name)));
                let own = Some(facts.namespace);
                match home {
                    Some(home) if home.name != facts.namespace.name => Ok([Some(home), own]),
                    _ => Ok([own, None]),
                }
            }
        }
    }

    /// Who answers for it as an asset, and who decides on it as data.
    #[must_use]
    pub fn owners(&self) -> Vec<&'a Party> {
        let owner =
            |owners: &'a Option<AssetOwners>| owners.as_ref().and_then(|owners| owners.owner.as_ref());
        match self {
            Self::Model(o) => owner(&o.spec.owners).into_iter().collect(),
            Self::Dataset(o) | Self::Sealed(o, _) => {
                owner(&o.spec.owners).into_iter().chain(&o.spec.controllers).collect()
            }
            Self::Prompt(o) => owner(&o.spec.owners).into_iter().collect(),
            Self::Workload(_) | Self::Image(_) | Self::Organisation(_) | Self::Supplier(_) => Vec::new(),
        }
    }

    /// That this user made it, owns it or runs it, as far as the objects tell; of a workload also that the user wrote a part
    /// of it.
    pub(super) fn made_by(&self, facts: &Facts<'a>, user: &str) -> Option<String> {
        let owns = || "who made, owns or runs what it vouches for".to_owned();
        if self.parties().iter().any(|party| may_be(party.user.as_deref(), user)) {
            return Some(owns());
        }
        let Self::Workload(workload) = self else { return self.edited_by(user).then(owns) };
        if self.edited_by(user) {
            return Some(format!("who wrote {self}, which is what it vouches for"));
        }
        let home = facts.namespace_named(self.namespace())?;
        let spec = &workload.spec;
        let models =
            spec.models.iter().filter_map(|used| home.models.get(&used.name)).map(|o| Self::Model(o));
        let prompts =
            spec.prompts.iter().filter_map(|used| home.prompts.get(&used.name)).map(|o| Self::Prompt(o));
        let datasets = spec.datasets.iter().filter_map(|used| {
            let place =
                used.namespace.as_deref().map_or(Some(home), |name| facts.namespace_named(Some(name)))?;
            place.datasets.get(&used.name).map(|o| Self::Dataset(o))
        });
        let part = models.chain(prompts).chain(datasets).find(|part| part.edited_by(user))?;
        Some(format!("who changed {part}, a part of what it vouches for"))
    }

    /// Who answers for it, made it or runs it, as far as the object names them.
    fn parties(&self) -> Vec<&'a Party> {
        match self {
            Self::Workload(o) => {
                let owners = &o.spec.owners;
                let others = [&owners.developer, &owners.system_operator].into_iter().flatten();
                std::iter::once(&owners.accountable).chain(others).collect()
            }
            Self::Model(o) => owner(o.spec.owners.as_ref()),
            Self::Dataset(o) | Self::Sealed(o, _) => owner(o.spec.owners.as_ref()),
            Self::Prompt(o) => owner(o.spec.owners.as_ref()),
            Self::Image(_) | Self::Organisation(_) | Self::Supplier(_) => Vec::new(),
        }
    }

    /// The one of these groups that answers for it, made it or runs it.
    pub(super) fn group_of<'g>(&self, groups: &'g [String]) -> Option<&'g String> {
        let parties = self.parties();
        groups.iter().find(|group| parties.iter().any(|party| party.group.as_ref() == Some(*group)))
    }

    /// What a proof in the namespace `place` names, where it is there.
    #[must_use]
    pub fn named(facts: &Facts<'a>, subject: &Subject, place: &'a Namespace) -> Option<Self> {
        let name = subject.name.as_str();
        let home = || match subject.namespace.as_deref() {
            Some(other) if other != place.name => facts.namespace_named(Some(other)),
            _ => Some(place),
        };
        match subject.kind.as_str() {
            "AIWorkload" => home()?.workloads.get(name).map(|o| Self::Workload(o)),
            "AIModel" => home()?.models.get(name).map(|o| Self::Model(o)),
            "AIDataset" => home()?.datasets.get(name).map(|o| Self::Dataset(o)),
            "AIPrompt" => home()?.prompts.get(name).map(|o| Self::Prompt(o)),
            "AIGovernance" => facts.cluster.governances.get(name).map(|o| Self::Organisation(o)),
            "AISupplier" => facts.cluster.suppliers.get(name).map(|o| Self::Supplier(o)),
            _ => None,
        }
    }

    /// Whether this user made it, or owns it where it is an asset.
    pub(super) fn written_by(&self, user: &str) -> bool {
        let is = |party: &Party| may_be(party.user.as_deref(), user);
        match self {
            Self::Workload(o) => o.spec.owners.developer.as_ref().is_some_and(is) || self.edited_by(user),
            _ => self.edited_by(user) || self.parties().into_iter().any(is),
        }
    }

    /// Whether the history of an asset, or the authors of a workload, name this user.
    fn edited_by(&self, user: &str) -> bool {
        let status = match self {
            Self::Workload(o) => {
                let authors = o.status.as_ref().map_or(&[][..], |status| &status.authors);
                return authors.iter().any(|author| may_be(Some(author), user));
            }
            Self::Model(o) => o.status.as_ref(),
            Self::Dataset(o) | Self::Sealed(o, _) => o.status.as_ref(),
            Self::Prompt(o) => o.status.as_ref(),
            _ => None,
        };
        status.is_some_and(|status| status.history.iter().any(|entry| may_be(entry.user.as_deref(), user)))
    }
}

fn owner(owners: Option<&AssetOwners>) -> Vec<&Party> {
    owners.and_then(|owners| owners.owner.as_ref()).into_iter().collect()
}

impl std::fmt::Display for About<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.kind(), self.name())
    }
}
