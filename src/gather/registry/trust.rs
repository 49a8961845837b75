//! Trust policies, compiled: which registries may be asked, which authorities must have signed what, what is revoked.
//! Pure. A mistake in one authority disables that authority and is kept as words; it never widens anything.

mod compile;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use compile::{fingerprint, normalise_fingerprint};
use jiff::{SignedDuration, Timestamp};

use super::authority::Authority;
use super::demand::{AttestationDemand, Demand, RuleDemand};
use super::specs::{Artifact, PolicySpec, Question, RevokedKind, SupplierSpec};
use super::verification::Refusal;
use crate::policy::image::{ImageRef, RepositoryPattern};

/// Where models are that no registry holds.
static NOWHERE: LazyLock<Arc<Registry>> = LazyLock::new(Arc::default);

/// A registry that may be asked, ready for the client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Registry {
    /// As in [`ImageRef::registry`].
    pub(super) host: String,
    pub(super) plain_http: bool,
    pub(super) allow_private: bool,
    pub(super) companions: BTreeSet<String>,
    mirror_of: Option<String>,
}

/// All trust policies together, ready to be asked.
#[derive(Debug, Default)]
pub struct CompiledTrust {
    generation: u64,
    registries: BTreeMap<String, Arc<Registry>>,
    rules: Vec<Rule>,
    revoked: BTreeMap<String, String>,
    withdrawn: Vec<Withdrawn>,
    /// Who may speak for which user.
    people: Vec<(String, Arc<Authority>)>,
    problems: Vec<Problem>,
}

#[derive(Debug)]
struct Rule {
    label: String,
    artifact: Artifact,
    /// Empty for all.
    patterns: Vec<RepositoryPattern>,
    /// Empty for all.
    namespaces: Vec<String>,
    authorities: Vec<Arc<Authority>>,
    min: usize,
    sign_within: Option<SignedDuration>,
    attestations: Vec<AttestationDemand>,
    index_may_vouch: bool,
    broken: Option<String>,
}

/// Repositories of a revoked supplier.
#[derive(Debug)]
struct Withdrawn {
    supplier: String,
    reason: String,
    patterns: Vec<RepositoryPattern>,
}

impl Rule {
    fn covers(&self, image: &ImageRef, namespace: Option<&str>) -> bool {
        (self.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern.matches(image)))
            && self.covers_namespace(namespace)
    }

    fn covers_namespace(&self, namespace: Option<&str>) -> bool {
        let here = |pattern: &String| match (pattern.strip_suffix('*'), namespace) {
            (_, None) => true,
            (Some(start), Some(name)) => name.starts_with(start),
            (None, Some(name)) => name == pattern,
        };
        self.namespaces.is_empty() || self.namespaces.iter().any(here)
    }
}

/// Something in a policy that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The policy's name.
    pub policy: String,
    /// The place within its spec, e.g. `authorities[0]`.
    pub path: String,
    /// One sentence.
    pub message: String,
}

impl CompiledTrust {
    /// Compiles all policies of the cluster.
    ///
    /// Never fails: what cannot be used is disabled and listed in [`Self::problems`]. A rule that cannot be read
    /// refuses everything it could be about, because nobody can say what it protects.
    #[must_use]
    pub fn compile(policies: &[PolicySpec]) -> Self {
        Self::compile_with(policies, &[])
    }

    /// The same, with the suppliers that policies may revoke.
    #[must_use]
    pub fn compile_with(policies: &[PolicySpec], suppliers: &[SupplierSpec]) -> Self {
        let mut trust = Self { generation: fingerprint(policies, suppliers), ..Self::default() };
        let revoked_keys: BTreeMap<String, &str> = policies
            .iter()
            .flat_map(|policy| &policy.revoked)
            .filter(|revoked| revoked.kind == RevokedKind::Key)
            .map(|revoked| (normalise_fingerprint(&revoked.value), revoked.reason.as_str()))
            .collect();
        let revoked_identities: Arc<BTreeMap<String, String>> = Arc::new(
            policies
                .iter()
                .flat_map(|policy| &policy.revoked)
                .filter(|revoked| revoked.kind == RevokedKind::Identity)
                .map(|revoked| (revoked.value.clone(), revoked.reason.clone()))
                .collect(),
        );
        for policy in policies {
            trust.add_registries(policy);
            trust.add_revoked_digests(policy);
            trust.look_at_revoked_keys(policy);
            trust.add_revoked_suppliers(policy, suppliers);
            let authorities = trust.compile_authorities(policy, &revoked_keys, &revoked_identities);
            trust.add_rules(policy, &authorities);
            let speaks = |(authority, user): &(String, String)| {
                Some((user.clone(), Arc::clone(authorities.get(authority)?)))
            };
            trust.people.extend(policy.people.iter().filter_map(speaks));
        }
        trust
    }

    /// Changes whenever any policy changes its meaning, and only then; the same on every replica.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// What could not be used, for the policies' status and for denials.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether a registry may be asked at all.
    #[must_use]
    pub fn allows_registry(&self, image: &ImageRef) -> bool {
        self.registries.contains_key(image.registry())
    }

    /// What the artifact must prove, or why it is refused without looking.
    pub(super) fn demand<'a>(&'a self, question: &Question<'a>) -> Result<Demand<'a>, Refusal> {
        let image = question.image;
        if self.registries.is_empty() {
            return Err(Refusal::NoPolicy);
        }
        let Some(registry) = self.registries.get(image.registry()) else {
            return Err(Refusal::RegistryNotAllowed(image.registry().to_owned()));
        };
        let digest = image.digest().filter(|digest| digest.starts_with("sha256:"));
        let digest = digest.ok_or(Refusal::NotPinned)?;
        if let Some(reason) = self.revoked.get(digest) {
            return Err(Refusal::Revoked { digest: digest.to_owned(), reason: reason.clone() });
        }
        let original = registry.mirror_of.as_ref().map(|host| {
            ImageRef::parse(&format!("{host}/{}", image.repository()))
                .map_err(|_| Refusal::RegistryNotAllowed(image.registry().to_owned()))
        });
        let original = original.transpose()?;
        let named = original.as_ref().unwrap_or(image);
        // Under either name: a mirror does not make what it copies somebody else's.
        let from = |withdrawn: &&Withdrawn| {
            withdrawn.patterns.iter().any(|pattern| pattern.matches(named) || pattern.matches(image))
        };
        if let Some(withdrawn) = self.withdrawn.iter().find(from) {
            return Err(Refusal::RevokedSupplier {
                supplier: withdrawn.supplier.clone(),
                reason: withdrawn.reason.clone(),
            });
        }
        let rules = self.rules_for(question.artifact, |rule| rule.covers(named, question.namespace))?;
        if rules.is_empty() {
            return Err(Refusal::NoRule(image.name().to_owned()));
        }
        Ok(Demand {
            registry,
            digest,
            tag: image.tag(),
            rules,
            artifact: question.artifact,
            revoked: &self.revoked,
        })
    }

    /// What files must prove that lie on a volume or disk. No repository has a name for them, so only rules about artifacts
    /// of every repository are about them: of data those about datasets, and where there are none those about models.
    pub(super) fn demand_of_files<'a>(
        &'a self,
        digest: &'a str,
        namespace: Option<&str>,
        is_data: bool,
    ) -> Result<Demand<'a>, Refusal> {
        if let Some(reason) = self.revoked.get(digest) {
            return Err(Refusal::Revoked { digest: digest.to_owned(), reason: reason.clone() });
        }
        let everywhere = |rule: &Rule| rule.patterns.is_empty() && rule.covers_namespace(namespace);
        let of_data = |rule: &Rule| rule.artifact == Artifact::Dataset && rule.patterns.is_empty();
        let artifact =
            if is_data && self.rules.iter().any(of_data) { Artifact::Dataset } else { Artifact::Model };
        let rules = self.rules_for(artifact, everywhere)?;
        if rules.is_empty() {
            return Err(Refusal::NoRuleForFiles);
        }
        Ok(Demand {
            registry: &NOWHERE,
            digest,
            tag: None,
            rules,
            artifact: Artifact::Model,
            revoked: &self.revoked,
        })
    }

    /// The demands of every rule that covers what is asked about.
    fn rules_for(
        &self,
        artifact: Artifact,
        covers: impl Fn(&Rule) -> bool,
    ) -> Result<Vec<RuleDemand<'_>>, Refusal> {
        let mut rules = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            if rule.artifact != artifact {
                continue;
            }
            if let Some(problem) = &rule.broken {
                return Err(Refusal::BrokenRule { rule: rule.label.clone(), problem: problem.clone() });
            }
            if !covers(rule) {
                continue;
            }
            if rule.authorities.iter().all(|authority| authority.problem().is_some()) {
                let problems: Vec<_> = rule.authorities.iter().filter_map(|a| a.describe_problem()).collect();
                let problems =
                    if problems.is_empty() { "it names none".to_owned() } else { problems.join("; ") };
                return Err(Refusal::NoUsableAuthority { rule: rule.label.clone(), problems });
            }
            rules.push(RuleDemand {
                index,
                authorities: &rule.authorities,
                min: rule.min,
                sign_within: rule.sign_within,
                attestations: &rule.attestations,
                index_may_vouch: rule.index_may_vouch,
            });
        }
        Ok(rules)
    }

    /// The authorities that speak for a user.
    pub(super) fn signers(&self, person: &str) -> impl Iterator<Item = &Authority> {
        self.people.iter().filter(move |(user, _)| user == person).map(|(_, authority)| authority.as_ref())
    }

    /// A registry that may be asked.
    pub(super) fn registry(&self, host: &str) -> Option<&Arc<Registry>> {
        self.registries.get(host)
    }

    /// The earliest moment at which an authority of these names ends, for the life of a cached proof.
    pub(super) fn earliest_end<'a>(authorities: impl Iterator<Item = &'a Authority>) -> Option<Timestamp> {
        authorities.filter_map(Authority::not_after).min()
    }
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
