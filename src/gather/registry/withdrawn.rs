//! What was withdrawn of an artifact besides its own digest: a platform of an index, a layer, or the index that lists it
//! under the tag. Asked only where some digest is revoked at all.

use super::client::Session;
use super::demand::Demand;
use super::error::FetchError;
use super::lookup::{ACCEPT_EITHER, MANIFEST, listed, read_manifest};
use super::oci::{DOCKER_LIST_TYPE, INDEX_TYPE, Index, object};
use super::signature::cut;

/// Why a signed artifact does not count all the same, as a sentence.
pub(super) async fn part(
    session: &mut Session<'_>,
    demand: &Demand<'_>,
) -> Result<Option<String>, FetchError> {
    if let Some(tag) = demand.tag
        && let Some(index) = listed(session, tag, demand.digest).await?
        && let Some(reason) = demand.revoked.get(&index)
    {
        return Ok(Some(format!("index {index}, which lists it, is revoked: {}", cut(reason))));
    }
    let Some(answer) = session.get(&format!("manifests/{}", demand.digest), ACCEPT_EITHER, MANIFEST).await?
    else {
        return Err(session.malformed(MANIFEST.what, "it is not there"));
    };
    if answer.digest() != demand.digest {
        return Err(session.malformed(MANIFEST.what, "its bytes are not those of its digest"));
    }
    let (what, parts) = if [INDEX_TYPE, DOCKER_LIST_TYPE].contains(&answer.content_type.as_str()) {
        let index: Index =
            object(&answer.body).ok_or_else(|| session.malformed(MANIFEST.what, "it cannot be read"))?;
        ("platform", index.manifests.unwrap_or_default())
    } else {
        let manifest = read_manifest(session, &answer)?;
        ("layer", manifest.layers.into_iter().chain(manifest.config).collect())
    };
    let gone = parts.iter().find_map(|part| Some((&part.digest, demand.revoked.get(&part.digest)?)));
    Ok(gone.map(|(digest, reason)| format!("{what} {digest} of it is revoked: {}", cut(reason))))
}
