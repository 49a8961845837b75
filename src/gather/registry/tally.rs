//! Adding up what the signatures and statements of one artifact prove, rule by rule.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use sigstore_verify::types::Sha256Hash;

use super::authority::Authority;
use super::demand::{AttestationDemand, Demand, RuleDemand};
use super::signature::{Candidate, cut};
use super::statement::Stated;
use super::trust::CompiledTrust;
use super::verification::{Proof, SignatureFormat, Verification};
use crate::policy::facts::Attested;

const MAX_REASONS: usize = 6;
/// Clocks of builders and logs differ.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The count so far.
pub(super) struct Tally<'a> {
    pub(super) demand: &'a Demand<'a>,
    /// The digest that signatures have to be for.
    pub(super) digest: String,
    pub(super) hash: Sha256Hash,
    now: Timestamp,
    rules: Vec<Count>,
    format: SignatureFormat,
    files: Option<String>,
    reasons: Vec<String>,
    /// Statements that nobody asked for: worth a word only where signatures are missing.
    asides: Vec<String>,
}

/// What one rule has.
#[derive(Default)]
struct Count {
    /// By the position of the authority, when it signed; several times where all signatures are looked at.
    signed: BTreeMap<usize, Vec<Option<Timestamp>>>,
    /// By the position of the attestation asked for, who made it and what it says.
    attested: BTreeMap<usize, (usize, Stated)>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(demand: &'a Demand<'a>, digest: &str, hash: Sha256Hash) -> Self {
        Self {
            demand,
            digest: digest.to_owned(),
            hash,
            now: Timestamp::now(),
            rules: demand.rules.iter().map(|_| Count::default()).collect(),
            format: SignatureFormat::Bundle,
            files: None,
            reasons: Vec::new(),
            asides: Vec::new(),
        }
    }

    /// Whether nothing more needs to be looked at.
    pub(super) fn is_satisfied(&self) -> bool {
        self.has_signatures() && self.has_attestations()
    }

    /// Whether every rule has enough signatures. Where their time matters, never before all were seen: an early one may
    /// count where a late one does not.
    pub(super) fn has_signatures(&self) -> bool {
        self.counted().all(|(rule, count)| rule.sign_within.is_none() && rule.has_enough(count.signed.keys()))
    }

    /// Whether every attestation asked for is there.
    pub(super) fn has_attestations(&self) -> bool {
        self.counted().all(|(rule, count)| count.attested.len() == rule.attestations.len())
    }

    /// Whether the time of making matters.
    pub(super) fn needs_time(&self) -> bool {
        self.demand.rules.iter().any(|rule| rule.sign_within.is_some())
    }

    /// When the build ended, by the verified provenance that says so; the latest where there are several.
    pub(super) fn finished(&self) -> Option<Timestamp> {
        let stated = self.rules.iter().flat_map(|count| count.attested.values());
        stated.filter_map(|(_, stated)| stated.finished).max()
    }

    fn counted(&self) -> impl Iterator<Item = (&RuleDemand<'a>, &Count)> {
        self.demand.rules.iter().zip(&self.rules)
    }

    /// Judges one signature or statement under every authority that could still help.
    pub(super) fn consider(&mut self, candidate: Result<Candidate, String>) {
        match candidate {
            Err(reason) => self.reason(format!("a signature does not count: {reason}")),
            Ok(candidate) => match candidate.stated().cloned() {
                None => self.signature(&candidate),
                Some(stated) => self.statement(&candidate, &stated),
            },
        }
    }

    fn signature(&mut self, candidate: &Candidate) {
        let demand = self.demand;
        for (rule, index) in demand.rules.iter().zip(0..) {
            for (position, authority) in rule.authorities.iter().enumerate() {
                let Some(count) = self.rules.get_mut(index) else { continue };
                let enough = count.signed.contains_key(&position) || rule.has_enough(count.signed.keys());
                if enough && rule.sign_within.is_none() {
                    continue;
                }
                match candidate.check(authority, &self.hash, self.now) {
                    Ok(signed_at) => {
                        count.signed.entry(position).or_default().push(signed_at);
                        self.format = candidate.format();
                        self.files = candidate.files().map(|hash| format!("sha256:{}", hash.to_hex()));
                    }
                    Err(reason) => self.refuse("a signature", authority, &reason),
                }
            }
        }
    }

    fn statement(&mut self, candidate: &Candidate, stated: &Stated) {
        let demand = self.demand;
        let mut asked = false;
        for (rule, index) in demand.rules.iter().zip(0..) {
            for (number, wanted) in rule.attestations.iter().enumerate() {
                if wanted.predicate_type != stated.predicate_type {
                    continue;
                }
                asked = true;
                if self.rules.get(index).is_some_and(|count| count.attested.contains_key(&number)) {
                    continue;
                }
                self.attestation(candidate, stated, wanted, (index, number));
            }
        }
        if !asked {
            let kind = cut(&stated.predicate_type);
            let aside = format!("a signature does not count: it states {kind:?}, which is no signature");
            if self.asides.len() < MAX_REASONS && !self.asides.contains(&aside) {
                self.asides.push(aside);
            }
        }
    }

    fn attestation(
        &mut self,
        candidate: &Candidate,
        stated: &Stated,
        wanted: &AttestationDemand,
        (rule, number): (usize, usize),
    ) {
        for (position, authority) in wanted.authorities.iter().enumerate() {
            if let Err(reason) = candidate.check(authority, &self.hash, self.now) {
                self.refuse("an attestation", authority, &reason);
                continue;
            }
            // Said only of what is truly stated: the builder of an unverified statement is anybody's word.
            if let Err(reason) = wanted.accepts(stated.builder_id.as_deref()) {
                self.refuse("an attestation", authority, &reason);
                continue;
            }
            if let Some(count) = self.rules.get_mut(rule) {
                count.attested.insert(number, (position, stated.clone()));
            }
            return;
        }
    }

    fn refuse(&mut self, what: &str, authority: &Authority, reason: &str) {
        self.reason(format!("{what} does not count for {:?}: {reason}", authority.name()));
    }

    pub(super) fn reason(&mut self, reason: String) {
        if self.reasons.len() < MAX_REASONS && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// Takes away the signatures that were not made in time after `made`, or says why that cannot be told.
    pub(super) fn keep_timely(&mut self, made: &Result<Timestamp, String>) {
        let demand = self.demand;
        for (rule, index) in demand.rules.iter().zip(0..) {
            let (Some(within), Some(count)) = (rule.sign_within, self.rules.get_mut(index)) else { continue };
            let signed = std::mem::take(&mut count.signed);
            for (position, times) in signed {
                let judged: Vec<_> = times.iter().map(|time| timely(*time, made, within)).collect();
                if let Some(time) = judged.iter().find_map(|time| time.as_ref().ok()) {
                    if let Some(count) = self.rules.get_mut(index) {
                        count.signed.insert(position, vec![Some(*time)]);
                    }
                } else if let (Some(authority), Some(Err(reason))) =
                    (rule.authorities.get(position), judged.into_iter().next())
                {
                    self.refuse("a signature", authority, &reason);
                }
            }
        }
    }

    /// The answer once everything was seen.
    pub(super) fn verdict(self) -> Verification {
        let mut proven: Vec<&Authority> = Vec::new();
        let mut attestations = BTreeSet::new();
        let mut missing = Vec::new();
        let mut add = |sentence: String| {
            if !missing.contains(&sentence) {
                missing.push(sentence);
            }
        };
        for (rule, count) in self.counted() {
            let signers = count.signed.keys().filter_map(|position| rule.authorities.get(*position));
            proven.extend(signers.map(AsRef::as_ref));
            if !rule.has_enough(count.signed.keys()) {
                add(describe_missing(rule, &count.signed.keys().copied().collect()));
            }
            for (number, wanted) in rule.attestations.iter().enumerate() {
                let made = count.attested.get(&number);
                let by =
                    made.and_then(|(position, stated)| Some((wanted.authorities.get(*position)?, stated)));
                let Some((authority, stated)) = by else {
                    add(wanted.describe_missing());
                    continue;
                };
                proven.push(authority);
                attestations.insert(Attested {
                    predicate_type: stated.predicate_type.clone(),
                    builder_id: stated.builder_id.clone(),
                    authority: authority.name().to_owned(),
                    card: stated.card.clone(),
                    libraries: stated.libraries.clone(),
                    evidence: stated.evidence.clone(),
                });
            }
        }
        let times = self.rules.iter().flat_map(|count| count.signed.values().flatten());
        let signed_at = times.copied().flatten().min();
        let signers: BTreeSet<_> = self
            .counted()
            .flat_map(|(rule, count)| count.signed.keys().filter_map(|one| rule.authorities.get(*one)))
            .map(|authority| authority.name().to_owned())
            .collect();
        if missing.is_empty() && !signers.is_empty() {
            let valid_until = CompiledTrust::earliest_end(proven.iter().copied());
            return Verification::Verified(Proof {
                authorities: signers.into_iter().collect(),
                attestations: attestations.into_iter().collect(),
                signed_at,
                files: self.files,
                format: self.format,
                vouched_by: None,
                valid_until,
            });
        }
        let unsigned = self.counted().any(|(rule, count)| !rule.has_enough(count.signed.keys()));
        let asides = if unsigned { self.asides } else { Vec::new() };
        if self.reasons.is_empty() && asides.is_empty() && proven.is_empty() {
            let reason = format!("{}: no signature is attached to it", missing.join(", "));
            return Verification::NotSigned { reason };
        }
        missing.extend(self.reasons);
        missing.extend(asides);
        Verification::Untrusted { reasons: missing }
    }
}

/// The time of a signature that was made soon enough after the artifact.
fn timely(
    signed: Option<Timestamp>,
    made: &Result<Timestamp, String>,
    within: SignedDuration,
) -> Result<Timestamp, String> {
    let signed = signed.ok_or("nothing proves when it was made, and signWithin asks for it")?;
    let made = *made.as_ref().map_err(Clone::clone)?;
    let late = signed.duration_since(made);
    if late < -SKEW {
        return Err(format!("it was made at {signed}, before the artifact was at {made}"));
    }
    if late > within {
        return Err(format!("it was made at {signed}, later than signWithin allows after {made}"));
    }
    Ok(signed)
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
