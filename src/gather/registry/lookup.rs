//! Finding signatures: the tag of the older style, the referrers of the newer one, and the tag that stands in for
//! them where a registry has no referrers interface.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use sigstore_verify::types::Sha256Hash;

use super::client::{Answer, Kind, Session};
use super::error::FetchError;
use super::oci::{
    BUNDLE_TYPE, DOCKER_MANIFEST_TYPE, Descriptor, INDEX_TYPE, Index, MANIFEST_TYPE, Manifest,
    SIMPLE_SIGNING_TYPE, object,
};
use super::signature::{Candidate, cut};
use super::trust::{CompiledTrust, Demand};
use super::verification::{Proof, SignatureFormat, Verification};

const MANIFEST: Kind = Kind { what: "a manifest", limit: 4 << 20, redirects: false };
const REFERRERS: Kind = Kind { what: "the list of referrers", limit: 4 << 20, redirects: false };
const BUNDLE: Kind = Kind { what: "a bundle", limit: 1 << 20, redirects: true };
const PAYLOAD: Kind = Kind { what: "a signature's payload", limit: 64 << 10, redirects: true };

const ACCEPT_MANIFEST: &str =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
const ACCEPT_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const ACCEPT_ANY: &str = "*/*";

/// Looked at per artifact, most likely ones first.
const MAX_REFERRERS: usize = 20;
const MAX_PAGES: usize = 4;
const MAX_LAYERS: usize = 32;
const MAX_BUNDLES_PER_REFERRER: usize = 4;
const MAX_REASONS: usize = 6;

/// What is remembered of registries to spare requests. Never decides anything: a wrong hint costs a request.
#[derive(Debug)]
pub(super) struct Hints {
    /// Registries that answered that they have no referrers interface.
    no_referrers: moka::sync::Cache<String, ()>,
    /// How the last verified artifact of a repository was signed.
    last_format: moka::sync::Cache<String, SignatureFormat>,
}

impl Hints {
    pub(super) fn new() -> Self {
        let build =
            |life| moka::sync::Cache::builder().max_capacity(4096).time_to_live(Duration::from_secs(life));
        Self {
            no_referrers: build(600).build(),
            last_format: moka::sync::Cache::builder().max_capacity(4096).build(),
        }
    }
}

/// Looks for signatures until the demand is met or everything was seen.
pub(super) async fn look(
    session: &mut Session<'_>,
    hints: &Hints,
    name: &str,
    digest: &str,
    demand: &Demand<'_>,
) -> Verification {
    let Some(hex) = digest.strip_prefix("sha256:") else {
        return FetchError::Internal("the digest is no sha256".to_owned()).into_verification();
    };
    let Ok(hash) = Sha256Hash::from_hex(hex) else {
        return FetchError::Internal("the digest is no sha256".to_owned()).into_verification();
    };
    let mut judge = Judge::new(demand, digest, hash);
    let mut order = [SignatureFormat::Bundle, SignatureFormat::SimpleSigning];
    if hints.last_format.get(name) == Some(SignatureFormat::SimpleSigning) {
        order.reverse();
    }
    let mut obstacle = None;
    for format in order {
        let result = match format {
            SignatureFormat::Bundle => bundles(session, hints, hex, &mut judge).await,
            SignatureFormat::SimpleSigning => simple(session, hex, &mut judge).await,
        };
        if judge.is_satisfied() {
            hints.last_format.insert(name.to_owned(), format);
            return judge.verdict();
        }
        if let Err(error) = result {
            if error.is_final() {
                return error.into_verification();
            }
            obstacle.get_or_insert(error);
        }
    }
    // With a part unseen, neither "not signed" nor "untrusted" would be known.
    obstacle.map_or_else(|| judge.verdict(), FetchError::into_verification)
}

/// Signatures under the tag `sha256-<hex>.sig`.
async fn simple(session: &mut Session<'_>, hex: &str, judge: &mut Judge<'_>) -> Result<(), FetchError> {
    let path = format!("manifests/sha256-{hex}.sig");
    let Some(answer) = session.get(&path, ACCEPT_MANIFEST, MANIFEST).await? else { return Ok(()) };
    let manifest = read_manifest(session, &answer)?;
    let layers: Vec<_> =
        manifest.layers.iter().filter(|layer| layer.media_type == SIMPLE_SIGNING_TYPE).collect();
    let mut payloads: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for layer in layers.iter().take(MAX_LAYERS) {
        if !payloads.contains_key(layer.digest.as_str()) {
            payloads.insert(&layer.digest, blob(session, layer, PAYLOAD).await?);
        }
        let payload = payloads.get(layer.digest.as_str()).cloned().unwrap_or_default();
        let annotations = layer.annotations.clone().unwrap_or_default();
        judge.consider(Candidate::simple(payload, &annotations, judge.digest));
        if judge.is_satisfied() {
            return Ok(());
        }
    }
    bounded(session, "signatures", layers.len(), MAX_LAYERS)
}

/// Signatures in bundles that refer to the artifact.
async fn bundles(
    session: &mut Session<'_>,
    hints: &Hints,
    hex: &str,
    judge: &mut Judge<'_>,
) -> Result<(), FetchError> {
    let (mut referrers, complete) = referrers(session, hints, hex).await?;
    referrers.sort_by_key(Descriptor::rank);
    for referrer in referrers.iter().take(MAX_REFERRERS) {
        let Some(reference) = referrer.sha256() else {
            return Err(session.malformed(REFERRERS.what, "a digest is no sha256"));
        };
        let path = format!("manifests/sha256:{reference}");
        let Some(answer) = session.get(&path, ACCEPT_MANIFEST, MANIFEST).await? else {
            return Err(session.malformed(REFERRERS.what, "it names a manifest that is not there"));
        };
        if answer.digest() != referrer.digest {
            return Err(session.malformed(MANIFEST.what, "its bytes are not those of its digest"));
        }
        let manifest = read_manifest(session, &answer)?;
        let layers = manifest.layers.iter().filter(|layer| layer.media_type.starts_with(BUNDLE_TYPE));
        for layer in layers.take(MAX_BUNDLES_PER_REFERRER) {
            let bytes = blob(session, layer, BUNDLE).await?;
            judge.consider(Candidate::bundle(&bytes, &judge.hash));
            if judge.is_satisfied() {
                return Ok(());
            }
        }
    }
    if complete {
        bounded(session, "referrers", referrers.len(), MAX_REFERRERS)
    } else {
        bounded(session, "pages of referrers", MAX_PAGES + 1, MAX_PAGES)
    }
}

/// The artifact's referrers, and whether these are all.
async fn referrers(
    session: &mut Session<'_>,
    hints: &Hints,
    hex: &str,
) -> Result<(Vec<Descriptor>, bool), FetchError> {
    if !hints.no_referrers.contains_key(session.registry()) {
        match session.get(&format!("referrers/sha256:{hex}"), ACCEPT_INDEX, REFERRERS).await {
            Ok(Some(answer)) if answer.content_type == INDEX_TYPE => return pages(session, answer).await,
            // Registries without the interface say so in many ways.
            Ok(_) | Err(FetchError::Status { status: 400 | 405 | 406 | 501, .. }) => {
                hints.no_referrers.insert(session.registry().to_owned(), ());
            }
            Err(error) => return Err(error),
        }
    }
    let path = format!("manifests/sha256-{hex}");
    match session.get(&path, ACCEPT_INDEX, REFERRERS).await? {
        None => Ok((Vec::new(), true)),
        Some(answer) => Ok((read_index(session, &answer)?, true)),
    }
}

async fn pages(session: &mut Session<'_>, first: Answer) -> Result<(Vec<Descriptor>, bool), FetchError> {
    let mut found = read_index(session, &first)?;
    let mut next = first.next;
    for _ in 1..MAX_PAGES {
        let Some(page) = next else { return Ok((found, true)) };
        let Some(answer) = session.get_page(&page, ACCEPT_INDEX, REFERRERS).await? else {
            return Err(session.malformed(REFERRERS.what, "its next page is not there"));
        };
        found.extend(read_index(session, &answer)?);
        next = answer.next;
    }
    Ok((found, next.is_none()))
}

/// A blob, whole and with the bytes that its descriptor promises.
async fn blob(session: &mut Session<'_>, descriptor: &Descriptor, kind: Kind) -> Result<Vec<u8>, FetchError> {
    let Some(hex) = descriptor.sha256() else {
        return Err(session.malformed(MANIFEST.what, "a digest is no sha256"));
    };
    if descriptor.size > kind.limit as u64 {
        let registry = session.registry().to_owned();
        return Err(FetchError::TooLong { registry, what: kind.what, limit: kind.limit });
    }
    let path = format!("blobs/sha256:{hex}");
    let Some(answer) = session.get(&path, ACCEPT_ANY, kind).await? else {
        return Err(session.malformed(MANIFEST.what, "it names a blob that is not there"));
    };
    if answer.digest() != descriptor.digest {
        return Err(session.malformed(kind.what, "its bytes are not those of its digest"));
    }
    Ok(answer.body)
}

fn read_manifest(session: &Session<'_>, answer: &Answer) -> Result<Manifest, FetchError> {
    if ![MANIFEST_TYPE, DOCKER_MANIFEST_TYPE].contains(&answer.content_type.as_str()) {
        return Err(session.malformed(MANIFEST.what, "it is of another type"));
    }
    object(&answer.body).ok_or_else(|| session.malformed(MANIFEST.what, "it cannot be read"))
}

fn read_index(session: &Session<'_>, answer: &Answer) -> Result<Vec<Descriptor>, FetchError> {
    if answer.content_type != INDEX_TYPE {
        return Err(session.malformed(REFERRERS.what, "it is of another type"));
    }
    let index: Index =
        object(&answer.body).ok_or_else(|| session.malformed(REFERRERS.what, "it cannot be read"))?;
    Ok(index.manifests.unwrap_or_default())
}

fn bounded(session: &Session<'_>, what: &'static str, found: usize, limit: usize) -> Result<(), FetchError> {
    if found > limit {
        return Err(FetchError::TooMany { registry: session.registry().to_owned(), what, limit });
    }
    Ok(())
}

/// Collects what signatures prove, rule by rule.
struct Judge<'a> {
    demand: &'a Demand<'a>,
    digest: &'a str,
    hash: Sha256Hash,
    now: Timestamp,
    /// For each rule, the index of the authority that satisfied it.
    satisfied: Vec<Option<usize>>,
    signed_at: Option<Timestamp>,
    format: SignatureFormat,
    reasons: Vec<String>,
}

impl<'a> Judge<'a> {
    fn new(demand: &'a Demand<'a>, digest: &'a str, hash: Sha256Hash) -> Self {
        Self {
            demand,
            digest,
            hash,
            now: Timestamp::now(),
            satisfied: vec![None; demand.rules.len()],
            signed_at: None,
            format: SignatureFormat::Bundle,
            reasons: Vec::new(),
        }
    }

    fn is_satisfied(&self) -> bool {
        self.satisfied.iter().all(Option::is_some)
    }

    /// Judges one signature under every authority that could still help.
    fn consider(&mut self, candidate: Result<Candidate, String>) {
        let candidate = match candidate {
            Ok(candidate) => candidate,
            Err(reason) => return self.reason(format!("a signature does not count: {reason}")),
        };
        for (index, rule) in self.demand.rules.iter().enumerate() {
            for (position, authority) in rule.authorities.iter().enumerate() {
                if self.satisfied.get(index).is_some_and(Option::is_some) {
                    break;
                }
                match candidate.check(authority, &self.hash, self.now) {
                    Ok(signed_at) => {
                        if let Some(slot) = self.satisfied.get_mut(index) {
                            *slot = Some(position);
                        }
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

    fn verdict(self) -> Verification {
        let mut proven = Vec::new();
        let mut missing = Vec::new();
        for (rule, satisfied) in self.demand.rules.iter().zip(&self.satisfied) {
            if let Some(authority) = satisfied.and_then(|position| rule.authorities.get(position)) {
                proven.push(authority.as_ref());
            } else {
                let names: Vec<_> = rule.authorities.iter().map(|a| format!("{:?}", a.name())).collect();
                missing.push(format!("no signature by authority {}", cut(&names.join(" or "))));
            }
        }
        if missing.is_empty() && !proven.is_empty() {
            let valid_until = CompiledTrust::earliest_end(proven.iter().copied());
            let authorities: BTreeSet<_> =
                proven.iter().map(|authority| authority.name().to_owned()).collect();
            return Verification::Verified(Proof {
                authorities: authorities.into_iter().collect(),
                signed_at: self.signed_at,
                format: self.format,
                valid_until,
            });
        }
        missing.dedup();
        if self.reasons.is_empty() && proven.is_empty() {
            let reason = format!("{}: no signature is attached to it", missing.join(", "));
            return Verification::NotSigned { reason };
        }
        missing.extend(self.reasons);
        Verification::Untrusted { reasons: missing }
    }
}
