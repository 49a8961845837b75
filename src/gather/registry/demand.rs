//! What an artifact must prove: for each rule that covers it, enough of its authorities, and every statement that it asks
//! for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;

use super::authority::Authority;
use super::signature::cut;
use super::specs::Artifact;
use super::trust::Registry;

/// What an artifact must prove.
#[derive(Debug)]
pub(super) struct Demand<'a> {
    pub(super) registry: &'a Arc<Registry>,
    pub(super) digest: &'a str,
    /// The tag beside the digest. Never believed: where a signed index may vouch, it says where to look for one.
    pub(super) tag: Option<&'a str>,
    pub(super) rules: Vec<RuleDemand<'a>>,
    /// What it is used as.
    pub(super) artifact: Artifact,
    /// Digests that were withdrawn, with the reason.
    pub(super) revoked: &'a BTreeMap<String, String>,
}

impl Demand<'_> {
    /// Whether a signature over the list of a model's files says something here.
    pub(super) fn takes_files(&self) -> bool {
        self.artifact == Artifact::Model
    }

    /// Whether every rule lets a signed index vouch for the manifests that it lists.
    pub(super) fn index_may_vouch(&self) -> bool {
        self.rules.iter().all(|rule| rule.index_may_vouch)
    }

    /// Whether statements of this type are asked for.
    pub(super) fn asks_for(&self, predicate_type: &str) -> bool {
        let mut asked = self.rules.iter().flat_map(|rule| rule.attestations);
        asked.any(|wanted| wanted.predicate_type == predicate_type)
    }

    /// Whether any statement is asked for.
    pub(super) fn asks_for_attestations(&self) -> bool {
        self.rules.iter().any(|rule| !rule.attestations.is_empty())
    }
}

#[derive(Debug)]
pub(super) struct RuleDemand<'a> {
    /// Position among all rules: with the generation it says what was demanded.
    pub(super) index: usize,
    pub(super) authorities: &'a [Arc<Authority>],
    pub(super) min: usize,
    /// The longest time between making and signing.
    pub(super) sign_within: Option<SignedDuration>,
    pub(super) attestations: &'a [AttestationDemand],
    pub(super) index_may_vouch: bool,
}

impl RuleDemand<'_> {
    /// Whether the authorities at these positions are enough. Counts keys, not names.
    pub(super) fn has_enough<'p>(&self, signed: impl Iterator<Item = &'p usize>) -> bool {
        let people: BTreeSet<_> =
            signed.filter_map(|position| self.authorities.get(*position)).map(|a| a.person()).collect();
        people.len() >= self.min
    }
}

/// A statement that has to be there.
#[derive(Debug)]
pub(super) struct AttestationDemand {
    pub(super) predicate_type: String,
    /// One of them has to sign it.
    pub(super) authorities: Vec<Arc<Authority>>,
    /// The builders that a provenance may name, compared exactly; empty for any.
    pub(super) builder_ids: Vec<String>,
}

impl AttestationDemand {
    /// Whether the builder is one of those wanted.
    ///
    /// # Errors
    /// A clause that completes "an attestation does not count: ...".
    pub(super) fn accepts(&self, builder: Option<&str>) -> Result<(), String> {
        match builder {
            _ if self.builder_ids.is_empty() => Ok(()),
            Some(builder) if self.builder_ids.iter().any(|wanted| wanted == builder) => Ok(()),
            Some(builder) => Err(format!("its builder {:?} is none of builderIds", cut(builder))),
            None => Err("it names no builder, and builderIds asks for one".to_owned()),
        }
    }

    pub(super) fn describe_missing(&self) -> String {
        let names: Vec<_> = self.authorities.iter().map(|a| format!("{:?}", a.name())).collect();
        format!("no attestation {:?} by authority {}", self.predicate_type, cut(&names.join(" or ")))
    }
}
