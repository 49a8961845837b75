//! Trust policies, compiled: which registries may be asked, which authorities must have signed what, what is revoked.
//! Pure. A mistake in one authority disables that authority and is kept as words; it never widens anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::authority::Authority;
use super::demand::{AttestationDemand, Demand, RuleDemand};
use super::specs::{Artifact, AttestationSpec, PolicySpec, Question, RevokedKind, SupplierSpec};
use super::statement::{SIGN_PREDICATE, is_provenance};
use super::verification::Refusal;
use crate::policy::image::{ImageRef, RepositoryPattern, normalise_registry};

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

    /// What a model must prove that lies on a volume or disk. No repository has a name for it, so only rules about models
    /// of every repository are about it.
    pub(super) fn demand_of_files<'a>(
        &'a self,
        digest: &'a str,
        namespace: Option<&str>,
    ) -> Result<Demand<'a>, Refusal> {
        if let Some(reason) = self.revoked.get(digest) {
            return Err(Refusal::Revoked { digest: digest.to_owned(), reason: reason.clone() });
        }
        let everywhere = |rule: &Rule| rule.patterns.is_empty() && rule.covers_namespace(namespace);
        let rules = self.rules_for(Artifact::Model, everywhere)?;
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

    fn problem(&mut self, policy: &PolicySpec, path: String, message: String) {
        self.problems.push(Problem { policy: policy.name.clone(), path, message });
    }

    fn add_registries(&mut self, policy: &PolicySpec) {
        for (index, spec) in policy.registries.iter().enumerate() {
            let host = match normalise_registry(&spec.host) {
                Ok(host) => host,
                Err(error) => {
                    self.problem(
                        policy,
                        format!("registries[{index}].host"),
                        format!("{:?}: {error}", spec.host),
                    );
                    continue;
                }
            };
            let mut companions = BTreeSet::new();
            if host == "docker.io" {
                companions.insert("auth.docker.io".to_owned());
            }
            for (number, companion) in spec.companions.iter().enumerate() {
                match normalise_registry(companion) {
                    Ok(companion) => {
                        companions.insert(companion);
                    }
                    Err(error) => {
                        let path = format!("registries[{index}].companions[{number}]");
                        self.problem(policy, path, format!("{companion:?}: {error}"));
                    }
                }
            }
            let mirror_of = match spec.mirror_of.as_deref().map(normalise_registry).transpose() {
                Ok(mirror_of) => mirror_of,
                Err(error) => {
                    // Without it nobody could say which rules apply.
                    self.problem(policy, format!("registries[{index}].mirrorOf"), error.to_string());
                    continue;
                }
            };
            let mut registry = Registry {
                host: host.clone(),
                plain_http: spec.plain_http,
                allow_private: spec.allow_private_addresses,
                companions,
                mirror_of,
            };
            // Where two policies list one registry, the stricter word counts.
            if let Some(other) = self.registries.get(&host) {
                registry.plain_http &= other.plain_http;
                registry.allow_private &= other.allow_private;
                registry.companions = registry.companions.intersection(&other.companions).cloned().collect();
                if registry.mirror_of != other.mirror_of {
                    let message =
                        "another policy says otherwise, so the registry is read by its own name".to_owned();
                    self.problem(policy, format!("registries[{index}].mirrorOf"), message);
                    registry.mirror_of = None;
                }
            }
            self.registries.insert(host, Arc::new(registry));
        }
    }

    fn add_revoked_digests(&mut self, policy: &PolicySpec) {
        for revoked in policy.revoked.iter().filter(|revoked| revoked.kind == RevokedKind::Digest) {
            self.revoked.insert(revoked.value.trim().to_ascii_lowercase(), revoked.reason.clone());
        }
    }

    fn add_revoked_suppliers(&mut self, policy: &PolicySpec, suppliers: &[SupplierSpec]) {
        for revoked in policy.revoked.iter().filter(|revoked| revoked.kind == RevokedKind::Supplier) {
            // One that is not declared has no known sources; its name may come later.
            let Some(supplier) = suppliers.iter().find(|supplier| supplier.name == revoked.value) else {
                continue;
            };
            // Sources that are no repositories, such as a model hub's, are judged where models are.
            let patterns = supplier.sources.iter().filter_map(|text| RepositoryPattern::parse(text).ok());
            self.withdrawn.push(Withdrawn {
                supplier: supplier.name.clone(),
                reason: revoked.reason.clone(),
                patterns: patterns.collect(),
            });
        }
    }

    fn compile_authorities(
        &mut self,
        policy: &PolicySpec,
        revoked_keys: &BTreeMap<String, &str>,
        revoked_identities: &Arc<BTreeMap<String, String>>,
    ) -> BTreeMap<String, Arc<Authority>> {
        let mut authorities: BTreeMap<String, Arc<Authority>> = BTreeMap::new();
        for (index, spec) in policy.authorities.iter().enumerate() {
            let mut authority = Authority::compile(spec, Arc::clone(revoked_identities));
            if authorities.contains_key(&spec.name) {
                authority.disable("the policy has two authorities of this name".to_owned());
            }
            let revoked = policy
                .revoked
                .iter()
                .find(|revoked| revoked.kind == RevokedKind::Key && revoked.value == spec.name)
                .map(|revoked| revoked.reason.as_str())
                .or_else(|| revoked_keys.get(authority.fingerprint()?).copied());
            if let Some(reason) = revoked {
                authority.disable(format!("revoked: {reason}"));
            }
            // What is revoked on purpose is no mistake: whoever revokes in a hurry must not be refused for it.
            if let Some(problem) = authority.problem().filter(|_| revoked.is_none()) {
                self.problem(policy, format!("authorities[{index}]"), problem.to_owned());
            }
            authorities.insert(spec.name.clone(), Arc::new(authority));
        }
        authorities
    }

    fn add_rules(&mut self, policy: &PolicySpec, authorities: &BTreeMap<String, Arc<Authority>>) {
        for (index, spec) in policy.rules.iter().enumerate() {
            let mut rule = Rule {
                label: format!("{}[{index}]", policy.name),
                artifact: spec.artifact,
                patterns: Vec::new(),
                namespaces: spec.namespaces.clone(),
                authorities: Vec::new(),
                min: usize::from(spec.min_signatures.max(1)),
                sign_within: spec.sign_within,
                attestations: Vec::new(),
                index_may_vouch: spec.index_may_vouch,
                broken: None,
            };
            for (field, message) in &spec.unreadable {
                self.problem(policy, format!("rules[{index}].{field}"), message.clone());
                rule.broken = Some(format!("{field}: {message}"));
            }
            for (number, pattern) in spec.repositories.iter().enumerate() {
                match RepositoryPattern::parse(pattern) {
                    Ok(pattern) => rule.patterns.push(pattern),
                    Err(error) => {
                        let message = format!("{pattern:?} is not a repository pattern: {error}");
                        self.problem(
                            policy,
                            format!("rules[{index}].repositories[{number}]"),
                            message.clone(),
                        );
                        rule.broken = Some(message);
                    }
                }
            }
            let place = format!("rules[{index}]");
            rule.authorities = self.named(policy, &place, &spec.authorities, authorities);
            for (number, wanted) in spec.attestations.iter().enumerate() {
                let place = format!("{place}.attestations[{number}]");
                let named =
                    if wanted.authorities.is_empty() { &spec.authorities } else { &wanted.authorities };
                let found = self.named(policy, &place, named, authorities);
                rule.attestations.push(self.attestation(policy, &place, wanted, found));
            }
            let timeless = rule.authorities.iter().find(|authority| !authority.proves_time());
            if let Some(authority) = timeless.filter(|_| rule.sign_within.is_some()) {
                let message = format!(
                    "signatures of authority {:?} prove no time: set its requireTransparencyLog",
                    authority.name()
                );
                self.problem(policy, format!("{place}.signWithin"), message);
            }
            if rule.min > rule.authorities.len() {
                let message = "it asks for more signatures than the rule names authorities".to_owned();
                self.problem(policy, format!("rules[{index}].minSignatures"), message);
            }
            self.rules.push(rule);
        }
    }

    /// The authorities of these names; one that is not there is there without power.
    fn named(
        &mut self,
        policy: &PolicySpec,
        place: &str,
        names: &[String],
        authorities: &BTreeMap<String, Arc<Authority>>,
    ) -> Vec<Arc<Authority>> {
        let mut out = Vec::new();
        for (number, name) in names.iter().enumerate() {
            if let Some(authority) = authorities.get(name) {
                out.push(Arc::clone(authority));
            } else {
                let message = "the policy has no authority of this name".to_owned();
                self.problem(policy, format!("{place}.authorities[{number}]"), message.clone());
                out.push(Arc::new(Authority::disabled(name, message)));
            }
        }
        out
    }

    fn attestation(
        &mut self,
        policy: &PolicySpec,
        place: &str,
        spec: &AttestationSpec,
        authorities: Vec<Arc<Authority>>,
    ) -> AttestationDemand {
        if spec.predicate_type == SIGN_PREDICATE {
            let message =
                "this type says that an artifact is signed, which the rule asks for anyway".to_owned();
            self.problem(policy, format!("{place}.predicateType"), message);
        }
        if !spec.builder_ids.is_empty() && !is_provenance(&spec.predicate_type) {
            let message = "statements of this type name no builder, so nothing can pass".to_owned();
            self.problem(policy, format!("{place}.builderIds"), message);
        }
        AttestationDemand {
            predicate_type: spec.predicate_type.clone(),
            authorities,
            builder_ids: spec.builder_ids.clone(),
        }
    }

    /// The earliest moment at which an authority of these names ends, for the life of a cached proof.
    pub(super) fn earliest_end<'a>(authorities: impl Iterator<Item = &'a Authority>) -> Option<Timestamp> {
        authorities.filter_map(Authority::not_after).min()
    }
}

fn fingerprint(policies: &[PolicySpec], suppliers: &[SupplierSpec]) -> u64 {
    let digest = Sha256::digest(format!("{policies:?}{suppliers:?}"));
    digest.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

fn normalise_fingerprint(value: &str) -> String {
    let value = value.trim().to_ascii_lowercase();
    value.strip_prefix("sha256:").unwrap_or(&value).replace(':', "")
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
