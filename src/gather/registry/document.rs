//! Documents in registries: the digest of an artifact and of its layers, of which nothing is believed beyond that; and the
//! bundles that refer to an artifact, before anybody looked at their signatures.

use super::attested::EVIDENCE_PREDICATE;
use super::client::{Kind, Session};
use super::error::FetchError;
use super::lookup::{self, Hints};
use super::oci::{BUNDLE_TYPE, Descriptor, Manifest, object};
use super::referrers;
use crate::policy::image::ImageRef;

const MANIFEST: Kind = Kind { what: "a manifest", limit: 4 << 20, redirects: false, from: None };
const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";
/// Layers that are looked at: an artifact with more is no document.
const MAX_LAYERS: usize = 64;

/// What lies under a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Digest of the manifest, computed from its bytes.
    pub digest: String,
    /// Digests of its layers, as the manifest names them.
    pub layers: Vec<String>,
}

/// Reads the manifest of `image`; `None` where the registry has none.
pub(super) async fn read(
    session: &mut Session<'_>,
    image: &ImageRef,
) -> Result<Option<Document>, FetchError> {
    let under = image.digest().or(image.tag()).unwrap_or("latest");
    let Some(answer) = session.get(&format!("manifests/{under}"), ACCEPT, MANIFEST).await? else {
        return Ok(None);
    };
    let digest = answer.digest();
    if image.digest().is_some_and(|wanted| wanted != digest) {
        return Err(session.malformed(MANIFEST.what, "its bytes are not those of its digest"));
    }
    let layers = object::<Manifest>(&answer.body).map(|manifest| manifest.layers).unwrap_or_default();
    let layers = layers.into_iter().take(MAX_LAYERS).map(|layer| layer.digest).collect();
    Ok(Some(Document { digest, layers }))
}

/// Bundles that are read of one artifact.
const MAX_BUNDLES: usize = 16;
/// Referrers that are looked at, most likely ones first.
const MAX_REFERRERS: usize = 20;
const BUNDLE: Kind = Kind { what: "a bundle", limit: 1 << 20, redirects: true, from: None };

/// What refers to an artifact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundles {
    /// The bundles that were read.
    pub found: Vec<Vec<u8>>,
    /// Why there may be more, as a sentence.
    pub unseen: Option<String>,
}

/// The bundles that refer to `image`. One that cannot be read hides no other.
pub(super) async fn bundles(
    session: &mut Session<'_>,
    hints: &Hints,
    image: &ImageRef,
) -> Result<Bundles, FetchError> {
    let hex = image.digest().unwrap_or_default().trim_start_matches("sha256:");
    let (mut all, complete) = referrers::referrers(session, hints, hex).await?;
    all.sort_by_key(|referrer| referrer.rank(|predicate| predicate == EVIDENCE_PREDICATE));
    let mut out = Bundles::default();
    for referrer in all.iter().take(MAX_REFERRERS) {
        match of_referrer(session, referrer, &mut out.found).await {
            Err(error) if error.is_final() => return Err(error),
            Err(error) => {
                out.unseen.get_or_insert_with(|| error.to_string());
            }
            Ok(()) => {}
        }
    }
    if !complete || all.len() > MAX_REFERRERS || out.found.len() >= MAX_BUNDLES {
        let registry = session.registry().to_owned();
        let more = FetchError::TooMany { registry, what: "referrers", limit: MAX_REFERRERS };
        out.unseen.get_or_insert_with(|| more.to_string());
    }
    Ok(out)
}

async fn of_referrer(
    session: &mut Session<'_>,
    referrer: &Descriptor,
    found: &mut Vec<Vec<u8>>,
) -> Result<(), FetchError> {
    let manifest = referrers::referring(session, referrer).await?;
    for layer in manifest.layers.iter().filter(|layer| layer.media_type.starts_with(BUNDLE_TYPE)) {
        if found.len() < MAX_BUNDLES {
            found.push(lookup::blob(session, layer, BUNDLE).await?);
        }
    }
    Ok(())
}
