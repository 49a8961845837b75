//! How trust policies become what is asked: each part by itself, and every mistake kept as words.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{CompiledTrust, Problem, Registry, Rule, Withdrawn};
use crate::gather::registry::authority::Authority;
use crate::gather::registry::demand::AttestationDemand;
use crate::gather::registry::specs::{AttestationSpec, PolicySpec, RevokedKind, SupplierSpec};
use crate::gather::registry::statement::{SIGN_PREDICATE, is_provenance};
use crate::policy::image::{RepositoryPattern, normalise_registry};

impl CompiledTrust {
    fn problem(&mut self, policy: &PolicySpec, path: String, message: String) {
        self.problems.push(Problem { policy: policy.name.clone(), path, message });
    }

    pub(super) fn add_registries(&mut self, policy: &PolicySpec) {
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

    pub(super) fn add_revoked_digests(&mut self, policy: &PolicySpec) {
        for revoked in policy.revoked.iter().filter(|revoked| revoked.kind == RevokedKind::Digest) {
            self.revoked.insert(revoked.value.trim().to_ascii_lowercase(), revoked.reason.clone());
        }
    }

    pub(super) fn add_revoked_suppliers(&mut self, policy: &PolicySpec, suppliers: &[SupplierSpec]) {
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

    /// What names no key withdraws none, and whoever wrote it believes that it does.
    pub(super) fn look_at_revoked_keys(&mut self, policy: &PolicySpec) {
        for (index, revoked) in policy.revoked.iter().enumerate() {
            let is_name = || policy.authorities.iter().any(|authority| authority.name == revoked.value);
            let fingerprint = normalise_fingerprint(&revoked.value);
            let is_fingerprint =
                fingerprint.len() == 64 && fingerprint.bytes().all(|b| b.is_ascii_hexdigit());
            if revoked.kind == RevokedKind::Key && !is_fingerprint && !is_name() {
                let message = format!(
                    "{:?} withdraws nothing: it is neither the name of an authority of this policy nor the SHA-256 \
                     fingerprint of a key in 64 hexadecimal digits",
                    revoked.value
                );
                self.problem(policy, format!("revoked[{index}].value"), message);
            }
        }
    }

    pub(super) fn compile_authorities(
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

    pub(super) fn add_rules(&mut self, policy: &PolicySpec, authorities: &BTreeMap<String, Arc<Authority>>) {
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
}

pub(super) fn fingerprint(policies: &[PolicySpec], suppliers: &[SupplierSpec]) -> u64 {
    let digest = Sha256::digest(format!("{policies:?}{suppliers:?}"));
    digest.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

pub(super) fn normalise_fingerprint(value: &str) -> String {
    let value = value.trim().to_ascii_lowercase();
    value.strip_prefix("sha256:").unwrap_or(&value).replace(':', "")
}
