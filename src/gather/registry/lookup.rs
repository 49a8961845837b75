//! Finding signatures: the tag of the older style, the referrers of the newer one, and the tag that stands in for
//! them where a registry has no referrers interface.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use sigstore_verify::types::Sha256Hash;

use super::client::{Answer, Kind, Session};
use super::demand::Demand;
use super::error::FetchError;
use super::files::{self, Layers};
use super::oci::{
    BUNDLE_TYPE, CREATED, Config, DOCKER_LIST_TYPE, DOCKER_MANIFEST_TYPE, Descriptor, ENVELOPE_TYPE,
    INDEX_TYPE, Index, MANIFEST_TYPE, Manifest, SIMPLE_SIGNING_TYPE, object,
};
use super::referrers::{MAX_PAGES, referrers, referring};
use super::signature::Candidate;
use super::tally::Tally;
use super::verification::{Proof, SignatureFormat, Verification};
use super::withdrawn;

pub(super) const MANIFEST: Kind = Kind { what: "a manifest", limit: 4 << 20, redirects: false, from: None };
const BUNDLE: Kind = Kind { what: "a bundle", limit: 1 << 20, redirects: true, from: None };
/// Bills of materials are long.
const STATEMENT: Kind = Kind { what: "an attestation", limit: 4 << 20, redirects: true, from: None };
const CONFIG: Kind = Kind { what: "a configuration", limit: 1 << 20, redirects: true, from: None };
const PAYLOAD: Kind = Kind { what: "a signature's payload", limit: 64 << 10, redirects: true, from: None };

pub(super) const ACCEPT_MANIFEST: &str =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
const ACCEPT_INDEXES: &str =
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json";
pub(super) const ACCEPT_EITHER: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";
pub(super) const ACCEPT_ANY: &str = "*/*";

/// Looked at per artifact, most likely ones first.
const MAX_REFERRERS: usize = 20;
const MAX_LAYERS: usize = 32;
const MAX_PLATFORMS: usize = 17;
const MAX_BUNDLES_PER_REFERRER: usize = 4;

/// What is remembered of registries to spare requests. Never decides anything: a wrong hint costs a request.
#[derive(Debug)]
pub(super) struct Hints {
    /// Registries that answered that they have no referrers interface.
    pub(super) no_referrers: moka::sync::Cache<String, ()>,
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

/// Looks for signatures until the demand is met or everything was seen, and whether a part of what is signed was withdrawn.
pub(super) async fn look(
    session: &mut Session<'_>,
    hints: &Hints,
    name: &str,
    demand: &Demand<'_>,
) -> Verification {
    let answer = signed(session, hints, name, demand).await;
    if demand.revoked.is_empty() || !answer.is_verified() {
        return answer;
    }
    match withdrawn::part(session, demand).await {
        Ok(None) => answer,
        Ok(Some(reason)) => Verification::Untrusted { reasons: vec![reason] },
        Err(error) => error.into_verification(),
    }
}

async fn signed(session: &mut Session<'_>, hints: &Hints, name: &str, demand: &Demand<'_>) -> Verification {
    let own = check(session, hints, name, demand, demand.digest).await;
    // One platform of an index: the index's own signature speaks for it only where the policy lets it, and only after its
    // digest was read from the index itself.
    match (own, demand.tag) {
        (Verification::NotSigned { reason }, Some(tag)) => match listed(session, tag, demand.digest).await {
            Ok(Some(index)) if demand.index_may_vouch() => {
                match check(session, hints, name, demand, &index).await {
                    Verification::Verified(proof) => {
                        Verification::Verified(Proof { vouched_by: Some(index), ..proof })
                    }
                    other => other,
                }
            }
            Ok(Some(index)) => Verification::NotSigned {
                reason: format!(
                    "{reason}; it is one platform of index {index}, whose signature does not speak for it: name the \
                     digest of the index, or sign every platform (cosign sign --recursive)"
                ),
            },
            Ok(None) | Err(_) => Verification::NotSigned { reason },
        },
        (own, _) => own,
    }
}

/// The digest of the index under a tag, if it lists `digest`.
pub(super) async fn listed(
    session: &mut Session<'_>,
    tag: &str,
    digest: &str,
) -> Result<Option<String>, FetchError> {
    let Some(answer) = session.get(&format!("manifests/{tag}"), ACCEPT_INDEXES, MANIFEST).await? else {
        return Ok(None);
    };
    if ![INDEX_TYPE, DOCKER_LIST_TYPE].contains(&answer.content_type.as_str()) {
        return Ok(None);
    }
    let index: Index =
        object(&answer.body).ok_or_else(|| session.malformed(MANIFEST.what, "it cannot be read"))?;
    let children = index.manifests.unwrap_or_default();
    Ok(children.iter().any(|child| child.digest == digest).then(|| answer.digest()))
}

/// Looks for signatures of one digest.
async fn check(
    session: &mut Session<'_>,
    hints: &Hints,
    name: &str,
    demand: &Demand<'_>,
    digest: &str,
) -> Verification {
    let hex = digest.trim_start_matches("sha256:");
    let Ok(hash) = Sha256Hash::from_hex(hex) else {
        return FetchError::Internal("the digest is no sha256".to_owned()).into_verification();
    };
    let mut tally = Tally::new(demand, digest, hash);
    let mut order = [SignatureFormat::Bundle, SignatureFormat::SimpleSigning];
    if hints.last_format.get(name) == Some(SignatureFormat::SimpleSigning) {
        order.reverse();
    }
    let mut obstacle = None;
    let mut layers = None;
    for format in order {
        let result = match format {
            SignatureFormat::Bundle => bundles(session, hints, hex, &mut tally, &mut layers).await,
            SignatureFormat::SimpleSigning => tagged(session, hex, &mut tally, &mut layers).await,
        };
        if tally.is_satisfied() {
            hints.last_format.insert(name.to_owned(), format);
            return tally.verdict();
        }
        if let Err(error) = result {
            if error.is_final() {
                return error.into_verification();
            }
            obstacle.get_or_insert(error);
        }
    }
    // With a part unseen, neither "not signed" nor "untrusted" would be known.
    if let Some(obstacle) = obstacle {
        return obstacle.into_verification();
    }
    if tally.needs_time() {
        let made = match tally.finished() {
            Some(finished) => Ok(finished),
            None => match created(session, digest).await {
                Ok(made) => made,
                Err(error) => return error.into_verification(),
            },
        };
        tally.keep_timely(&made);
    }
    tally.verdict()
}

/// Signatures and attestations under the tags that are made of the digest.
async fn tagged(
    session: &mut Session<'_>,
    hex: &str,
    tally: &mut Tally<'_>,
    layers: &mut Option<Layers>,
) -> Result<(), FetchError> {
    if !tally.has_signatures() {
        simple(session, hex, tally, layers).await?;
    }
    if !tally.has_attestations() {
        attached(session, hex, tally).await?;
    }
    Ok(())
}

/// Attestations under the tag `sha256-<hex>.att`.
async fn attached(session: &mut Session<'_>, hex: &str, tally: &mut Tally<'_>) -> Result<(), FetchError> {
    let path = format!("manifests/sha256-{hex}.att");
    let Some(answer) = session.get(&path, ACCEPT_MANIFEST, MANIFEST).await? else { return Ok(()) };
    let manifest = read_manifest(session, &answer)?;
    let layers: Vec<_> = manifest.layers.iter().filter(|layer| layer.media_type == ENVELOPE_TYPE).collect();
    for layer in layers.iter().take(MAX_LAYERS) {
        let annotations = layer.annotations.clone().unwrap_or_default();
        // What cosign writes beside the layer spares a transfer; what it says is read from the envelope.
        let named = annotations.get("predicateType");
        if named.is_some_and(|named| !tally.demand.asks_for(named)) {
            continue;
        }
        let envelope = blob(session, layer, STATEMENT).await?;
        tally.consider(Candidate::envelope(&envelope, &annotations, &tally.hash));
        if tally.has_attestations() {
            return Ok(());
        }
    }
    bounded(session, "attestations", layers.len(), MAX_LAYERS)
}

/// When an artifact was made, by its configuration, or why that cannot be told; for an index the latest of its platforms.
async fn created(session: &mut Session<'_>, digest: &str) -> Result<Result<Timestamp, String>, FetchError> {
    let mut latest: Option<Timestamp> = None;
    let mut open = vec![digest.to_owned()];
    let mut seen = 0;
    while let Some(digest) = open.pop() {
        seen += 1;
        if seen > MAX_PLATFORMS {
            return Err(FetchError::TooMany {
                registry: session.registry().to_owned(),
                what: "platforms",
                limit: MAX_PLATFORMS,
            });
        }
        let Some(answer) = session.get(&format!("manifests/{digest}"), ACCEPT_EITHER, MANIFEST).await? else {
            return Err(session.malformed(MANIFEST.what, "it is not there"));
        };
        if answer.digest() != digest {
            return Err(session.malformed(MANIFEST.what, "its bytes are not those of its digest"));
        }
        if [INDEX_TYPE, DOCKER_LIST_TYPE].contains(&answer.content_type.as_str()) && seen == 1 {
            let index: Index =
                object(&answer.body).ok_or_else(|| session.malformed(MANIFEST.what, "it cannot be read"))?;
            open.extend(index.manifests.unwrap_or_default().into_iter().map(|child| child.digest));
            continue;
        }
        let manifest = read_manifest(session, &answer)?;
        let noted = manifest.annotations.as_ref().and_then(|all| all.get(CREATED)?.parse::<Timestamp>().ok());
        latest = latest.max(noted);
        let Some(config) = manifest.config else { continue };
        let bytes = blob(session, &config, CONFIG).await?;
        let made = object::<Config>(&bytes).and_then(|config| config.created?.parse::<Timestamp>().ok());
        latest = latest.max(made);
    }
    Ok(latest.ok_or_else(|| {
        "neither a provenance nor its configuration says when the artifact was made".to_owned()
    }))
}

/// Signatures under the tag `sha256-<hex>.sig`.
async fn simple(
    session: &mut Session<'_>,
    hex: &str,
    tally: &mut Tally<'_>,
    known: &mut Option<Layers>,
) -> Result<(), FetchError> {
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
        tally.consider(Candidate::simple(payload, &annotations, &tally.digest));
        if tally.has_signatures() {
            return Ok(());
        }
    }
    bounded(session, "signatures", layers.len(), MAX_LAYERS)?;
    // Where there are no referrers, a signature over a model's files takes this tag too.
    let bundles = manifest.layers.iter().filter(|layer| layer.media_type.starts_with(BUNDLE_TYPE));
    for layer in bundles.take(if tally.demand.takes_files() { MAX_BUNDLES_PER_REFERRER } else { 0 }) {
        let bytes = blob(session, layer, STATEMENT).await?;
        consider(session, &bytes, tally, known).await?;
        if tally.has_signatures() {
            return Ok(());
        }
    }
    Ok(())
}

/// Judges one bundle: a statement about the artifact's digest, or, for a model, about the files that are its layers.
async fn consider(
    session: &mut Session<'_>,
    bytes: &[u8],
    tally: &mut Tally<'_>,
    layers: &mut Option<Layers>,
) -> Result<(), FetchError> {
    let signed = if tally.demand.takes_files() { files::read(bytes) } else { None };
    let Some(signed) = signed else {
        tally.consider(Candidate::bundle(bytes, &tally.hash));
        return Ok(());
    };
    if layers.is_none() {
        *layers = Some(own_layers(session, &tally.digest).await?);
    }
    let held = match (signed, layers) {
        (Ok((candidate, manifest)), Some(layers)) => {
            layers.are(&manifest, tally.demand.revoked).map(|()| candidate)
        }
        (Err(reason), _) => Err(reason),
        (Ok(_), None) => Err("the artifact's layers are not known".to_owned()),
    };
    tally.consider(held);
    Ok(())
}

/// The layers of the artifact itself.
async fn own_layers(session: &mut Session<'_>, digest: &str) -> Result<Layers, FetchError> {
    let Some(answer) = session.get(&format!("manifests/{digest}"), ACCEPT_EITHER, MANIFEST).await? else {
        return Err(session.malformed(MANIFEST.what, "it is not there"));
    };
    if answer.digest() != digest {
        return Err(session.malformed(MANIFEST.what, "its bytes are not those of its digest"));
    }
    if [INDEX_TYPE, DOCKER_LIST_TYPE].contains(&answer.content_type.as_str()) {
        return Ok(Layers::of_index());
    }
    Ok(Layers::of(read_manifest(session, &answer)?))
}

/// Signatures in bundles that refer to the artifact.
async fn bundles(
    session: &mut Session<'_>,
    hints: &Hints,
    hex: &str,
    tally: &mut Tally<'_>,
    known: &mut Option<Layers>,
) -> Result<(), FetchError> {
    let (mut referrers, complete) = referrers(session, hints, hex).await?;
    referrers.sort_by_key(|referrer| referrer.rank(|predicate| tally.demand.asks_for(predicate)));
    let mut obstacle = None;
    for referrer in referrers.iter().take(MAX_REFERRERS) {
        match of_referrer(session, referrer, tally, known).await {
            Err(error) if error.is_final() => return Err(error),
            // Whoever may push can add a broken one: it hides none of the others, and is said where these do not do.
            Err(error) => {
                obstacle.get_or_insert(error);
            }
            Ok(()) if tally.is_satisfied() => return Ok(()),
            Ok(()) => {}
        }
    }
    if let Some(obstacle) = obstacle {
        return Err(obstacle);
    }
    if complete {
        bounded(session, "referrers", referrers.len(), MAX_REFERRERS)
    } else {
        bounded(session, "pages of referrers", MAX_PAGES + 1, MAX_PAGES)
    }
}

/// The signatures and statements of one referrer.
async fn of_referrer(
    session: &mut Session<'_>,
    referrer: &Descriptor,
    tally: &mut Tally<'_>,
    known: &mut Option<Layers>,
) -> Result<(), FetchError> {
    let manifest = referring(session, referrer).await?;
    let layers = manifest.layers.iter().filter(|layer| layer.media_type.starts_with(BUNDLE_TYPE));
    for layer in layers.take(MAX_BUNDLES_PER_REFERRER) {
        let long = tally.demand.asks_for_attestations() || tally.demand.takes_files();
        let kind = if long { STATEMENT } else { BUNDLE };
        let bytes = blob(session, layer, kind).await?;
        consider(session, &bytes, tally, known).await?;
        if tally.is_satisfied() {
            return Ok(());
        }
    }
    Ok(())
}

/// A blob, whole and with the bytes that its descriptor promises.
pub(super) async fn blob(
    session: &mut Session<'_>,
    descriptor: &Descriptor,
    kind: Kind,
) -> Result<Vec<u8>, FetchError> {
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

pub(super) fn read_manifest(session: &Session<'_>, answer: &Answer) -> Result<Manifest, FetchError> {
    if ![MANIFEST_TYPE, DOCKER_MANIFEST_TYPE].contains(&answer.content_type.as_str()) {
        return Err(session.malformed(MANIFEST.what, "it is of another type"));
    }
    object(&answer.body).ok_or_else(|| session.malformed(MANIFEST.what, "it cannot be read"))
}

fn bounded(session: &Session<'_>, what: &'static str, found: usize, limit: usize) -> Result<(), FetchError> {
    if found > limit {
        return Err(FetchError::TooMany { registry: session.registry().to_owned(), what, limit });
    }
    Ok(())
}
