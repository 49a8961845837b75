//! Documents in registries: the digest of an artifact and of its layers, of which nothing is believed beyond that; and the
//! bundles that refer to an artifact, before anybody looked at their signatures.

use super::client::{Kind, Session};
use super::error::FetchError;
use super::lookup::{self, Hints};
use super::oci::{BUNDLE_TYPE, Manifest, object};
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
const BUNDLE: Kind = Kind { what: "a bundle", limit: 1 << 20, redirects: true, from: None };

/// The bundles that refer to `image`.
pub(super) async fn bundles(
    session: &mut Session<'_>,
    hints: &Hints,
    image: &ImageRef,
) -> Result<Vec<Vec<u8>>, FetchError> {
    let hex = image.digest().unwrap_or_default().trim_start_matches("sha256:");
    let (referrers, _) = lookup::referrers(session, hints, hex).await?;
    let mut out = Vec::new();
    for referrer in referrers.iter().filter_map(|referrer| referrer.sha256()).take(MAX_BUNDLES) {
        let path = format!("manifests/sha256:{referrer}");
        let Some(answer) = session.get(&path, ACCEPT, MANIFEST).await? else { continue };
        if answer.digest() != format!("sha256:{referrer}") {
            return Err(session.malformed(MANIFEST.what, "its bytes are not those of its digest"));
        }
        let layers = object::<Manifest>(&answer.body).map(|manifest| manifest.layers).unwrap_or_default();
        for layer in layers.iter().filter(|layer| layer.media_type.starts_with(BUNDLE_TYPE)) {
            if out.len() < MAX_BUNDLES {
                out.push(lookup::blob(session, layer, BUNDLE).await?);
            }
        }
    }
    Ok(out)
}
