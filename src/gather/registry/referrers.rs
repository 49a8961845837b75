//! What refers to an artifact: by the interface for it, or by the tag that stands in where a registry has none. What the
//! list says of an entry only decides what is looked at first.

use super::client::{Answer, Kind, Session};
use super::error::FetchError;
use super::lookup::{ACCEPT_MANIFEST, Hints, MANIFEST, read_manifest};
use super::oci::{Descriptor, INDEX_TYPE, Index, Manifest, object};

const REFERRERS: Kind = Kind { what: "the list of referrers", limit: 4 << 20, redirects: false, from: None };
const ACCEPT_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const MAX_PAGES: usize = 4;

/// The artifact's referrers, and whether these are all.
pub(super) async fn referrers(
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

/// The manifest of a referrer.
pub(super) async fn referring(
    session: &mut Session<'_>,
    referrer: &Descriptor,
) -> Result<Manifest, FetchError> {
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
    read_manifest(session, &answer)
}

fn read_index(session: &Session<'_>, answer: &Answer) -> Result<Vec<Descriptor>, FetchError> {
    if answer.content_type != INDEX_TYPE {
        return Err(session.malformed(REFERRERS.what, "it is of another type"));
    }
    let index: Index =
        object(&answer.body).ok_or_else(|| session.malformed(REFERRERS.what, "it cannot be read"))?;
    Ok(index.manifests.unwrap_or_default())
}
