//! Finding signatures: the tag of the older style, the referrers of the newer one, and the tag that stands in for
//! them where a registry has no referrers interface.

use std::collections::BTreeMap;
use std::time::Duration;

use sigstore_verify::types::Sha256Hash;

use super::client::{Answer, Kind, Session};
use super::error::FetchError;
use super::oci::{
    BUNDLE_TYPE, DOCKER_MANIFEST_TYPE, Descriptor, INDEX_TYPE, Index, MANIFEST_TYPE, Manifest,
    SIMPLE_SIGNING_TYPE, object,
};
use super::signature::Candidate;
use super::tally::Tally;
use super::trust::Demand;
use super::verification::{SignatureFormat, Verification};

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
    demand: &Demand<'_>,
) -> Verification {
    let hex = demand.digest.trim_start_matches("sha256:");
    let Ok(hash) = Sha256Hash::from_hex(hex) else {
        return FetchError::Internal("the digest is no sha256".to_owned()).into_verification();
    };
    let mut tally = Tally::new(demand, hash);
    let mut order = [SignatureFormat::Bundle, SignatureFormat::SimpleSigning];
    if hints.last_format.get(name) == Some(SignatureFormat::SimpleSigning) {
        order.reverse();
    }
    let mut obstacle = None;
    for format in order {
        let result = match format {
            SignatureFormat::Bundle => bundles(session, hints, hex, &mut tally).await,
            SignatureFormat::SimpleSigning => simple(session, hex, &mut tally).await,
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
    obstacle.map_or_else(|| tally.verdict(), FetchError::into_verification)
}

/// Signatures under the tag `sha256-<hex>.sig`.
async fn simple(session: &mut Session<'_>, hex: &str, tally: &mut Tally<'_>) -> Result<(), FetchError> {
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
        tally.consider(Candidate::simple(payload, &annotations, tally.demand.digest));
        if tally.is_satisfied() {
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
    tally: &mut Tally<'_>,
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
            tally.consider(Candidate::bundle(&bytes, &tally.hash));
            if tally.is_satisfied() {
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
