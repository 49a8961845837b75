//! Adding up what the signatures of one artifact prove, rule by rule.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sigstore_verify::types::Sha256Hash;

use super::authority::Authority;
use super::signature::{Candidate, cut};
use super::trust::{CompiledTrust, Demand, RuleDemand};
use super::verification::{Proof, SignatureFormat, Verification};

const MAX_REASONS: usize = 6;

/// The count so far.
pub(super) struct Tally<'a> {
    pub(super) demand: &'a Demand<'a>,
    pub(super) hash: Sha256Hash,
    now: Timestamp,
    /// For each rule, the positions of the authorities that signed.
    signed: Vec<BTreeSet<usize>>,
    signed_at: Option<Timestamp>,
    format: SignatureFormat,
    reasons: Vec<String>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(demand: &'a Demand<'a>, hash: Sha256Hash) -> Self {
        Self {
            demand,
            hash,
            now: Timestamp::now(),
            signed: vec![BTreeSet::new(); demand.rules.len()],
            signed_at: None,
            format: SignatureFormat::Bundle,
            reasons: Vec::new(),
        }
    }

    /// Whether every rule has enough signatures.
    pub(super) fn is_satisfied(&self) -> bool {
        self.demand.rules.iter().zip(&self.signed).all(|(rule, signed)| has_enough(rule, signed))
    }

    /// Judges one signature under every authority that could still help.
    pub(super) fn consider(&mut self, candidate: Result<Candidate, String>) {
        let candidate = match candidate {
            Ok(candidate) => candidate,
            Err(reason) => return self.reason(format!("a signature does not count: {reason}")),
        };
        let demand = self.demand;
        for (index, rule) in demand.rules.iter().enumerate() {
            for (position, authority) in rule.authorities.iter().enumerate() {
                let Some(signed) = self.signed.get_mut(index) else { continue };
                if signed.contains(&position) || has_enough(rule, signed) {
                    continue;
                }
                match candidate.check(authority, &self.hash, self.now) {
                    Ok(signed_at) => {
                        signed.insert(position);
                        self.signed_at = self.signed_at.into_iter().chain(signed_at).min();
                        self.format = candidate.format();
                    }
                    Err(reason) => {
                        self.reason(format!(
                            "a signature does not count for {:?}: {reason}",
                            authority.name()
                        ));
                    }
                }
            }
        }
    }

    fn reason(&mut self, reason: String) {
        if self.reasons.len() < MAX_REASONS && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// The answer once everything was seen.
    pub(super) fn verdict(self) -> Verification {
        let mut proven: Vec<&Authority> = Vec::new();
        let mut missing = Vec::new();
        for (rule, signed) in self.demand.rules.iter().zip(&self.signed) {
            proven.extend(
                signed.iter().filter_map(|position| rule.authorities.get(*position)).map(AsRef::as_ref),
            );
            if !has_enough(rule, signed) {
                let sentence = describe_missing(rule, signed);
                if !missing.contains(&sentence) {
                    missing.push(sentence);
                }
            }
        }
        if missing.is_empty() && !proven.is_empty() {
            let valid_until = CompiledTrust::earliest_end(proven.iter().copied());
            let authorities: BTreeSet<_> =
                proven.iter().map(|authority| authority.name().to_owned()).collect();
            return Verification::Verified(Proof {
                authorities: authorities.into_iter().collect(),
                attestations: Vec::new(),
                signed_at: self.signed_at,
                format: self.format,
                valid_until,
            });
        }
        if self.reasons.is_empty() && proven.is_empty() {
            let reason = format!("{}: no signature is attached to it", missing.join(", "));
            return Verification::NotSigned { reason };
        }
        missing.extend(self.reasons);
        Verification::Untrusted { reasons: missing }
    }
}

/// Counts keys, not names.
fn has_enough(rule: &RuleDemand<'_>, signed: &BTreeSet<usize>) -> bool {
    let people: BTreeSet<_> =
        signed.iter().filter_map(|position| rule.authorities.get(*position)).map(|a| a.person()).collect();
    people.len() >= rule.min
}

fn describe_missing(rule: &RuleDemand<'_>, signed: &BTreeSet<usize>) -> String {
    let names = rule.authorities.iter().enumerate().filter(|(position, _)| !signed.contains(position));
    let names: Vec<_> = names.map(|(_, authority)| format!("{:?}", authority.name())).collect();
    let names = cut(&names.join(" or "));
    if rule.min > 1 {
        format!("{} of {} signatures are there, and none by authority {names}", signed.len(), rule.min)
    } else {
        format!("no signature by authority {names}")
    }
}
