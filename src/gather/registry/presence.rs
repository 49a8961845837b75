//! Whether an artifact can still be fetched: its manifest is asked for by digest, and of its layers the first byte each. Nothing
//! of it is judged.

use std::sync::Arc;
use std::time::Instant;

use tokio::time::timeout_at;

use super::auth::RegistryCredentials;
use super::client::{Answer, Kind, Session};
use super::error::FetchError;
use super::lookup::{ACCEPT_ANY, ACCEPT_EITHER, MANIFEST};
use super::oci::{DOCKER_LIST_TYPE, Descriptor, INDEX_TYPE, Index, Manifest, object};
use super::specs::Question;
use super::trust::CompiledTrust;
use super::verification::Cause;
use super::verifier::Verifier;

/// Whether an artifact is where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The registry has its manifest, with the bytes of its digest, and each of its layers; of an index, all that for one platform.
    There,
    /// The registry says that it does not have it, or has other bytes in its place; the digest of what is missing.
    Gone(String),
    /// It could not be found out; why, and whether for want of credentials.
    Unknown(String, bool),
}

/// The beginning of a layer, from wherever the registry keeps it.
const BEGINNING: Kind = Kind { what: "a layer", limit: 1, redirects: true, from: Some(0) };
/// Requests for one artifact.
const MAX_REQUESTS: usize = 512;
/// Platforms of an index that are looked at.
const MAX_PLATFORMS: usize = 8;

/// The digest of the first part of an artifact that is missing.
async fn missing(session: &mut Session<'_>, digest: &str) -> Result<Option<String>, FetchError> {
    let Some(answer) = manifest(session, digest).await? else { return Ok(Some(digest.to_owned())) };
    if ![INDEX_TYPE, DOCKER_LIST_TYPE].contains(&answer.content_type.as_str()) {
        return missing_layer(session, &answer).await;
    }
    let index: Option<Index> = object(&answer.body);
    let children = index.ok_or_else(|| unread(session))?.manifests.unwrap_or_default();
    let mut first = None;
    for child in children.iter().filter(|child| !child.is_about_another()).take(MAX_PLATFORMS) {
        let gone = match manifest(session, &child.digest).await? {
            Some(answer) => missing_layer(session, &answer).await?,
            None => Some(child.digest.clone()),
        };
        // Which platform the nodes have is not known here, and mirrors often hold one of many.
        match gone {
            None => return Ok(None),
            Some(gone) => drop(first.get_or_insert(gone)),
        }
    }
    Ok(first)
}

/// The manifest of this digest, where the registry has it and not another one in its place.
async fn manifest(session: &mut Session<'_>, digest: &str) -> Result<Option<Answer>, FetchError> {
    let answer = session.get(&format!("manifests/{digest}"), ACCEPT_EITHER, MANIFEST).await?;
    Ok(answer.filter(|answer| answer.digest() == digest))
}

fn unread(session: &Session<'_>) -> FetchError {
    session.malformed(MANIFEST.what, "it cannot be read")
}

async fn missing_layer(session: &mut Session<'_>, manifest: &Answer) -> Result<Option<String>, FetchError> {
    let manifest: Manifest = object(&manifest.body).ok_or_else(|| unread(session))?;
    // A registry may leave out what its publisher does not let it hand on, and of nothing there is no first byte.
    let is_kept = |layer: &&Descriptor| {
        !["foreign", "nondistributable"].iter().any(|word| layer.media_type.contains(word)) && layer.size > 0
    };
    for layer in manifest.config.iter().chain(&manifest.layers).filter(is_kept) {
        let path = format!("blobs/{}", layer.digest);
        if session.get(&path, ACCEPT_ANY, BEGINNING).await?.is_none() {
            return Ok(Some(layer.digest.clone()));
        }
    }
    Ok(None)
}

impl Verifier {
    /// Asks the registry of an artifact for its manifest and for each of its layers. Nothing is remembered.
    ///
    /// Guarantees: no packet leaves for a registry that no policy lists; returns by the deadline; counts among the look-ups
    /// that talk to registries at the same time.
    pub async fn presence(
        &self,
        question: Question<'_>,
        trust: &Arc<CompiledTrust>,
        credentials: Option<&RegistryCredentials>,
        deadline: Instant,
    ) -> Presence {
        let Ok(demand) = trust.demand(&question) else {
            return Presence::Unknown("the trust policies refuse it".to_owned(), false);
        };
        let asked = async {
            let _slot = self.slot().await?;
            let session =
                self.client().session(demand.registry, question.image.repository(), credentials).ok()?;
            Some(missing(&mut session.patient(MAX_REQUESTS), demand.digest).await)
        };
        match timeout_at(deadline.into(), asked).await {
            Ok(Some(Ok(None))) => Presence::There,
            Ok(Some(Ok(Some(gone)))) => Presence::Gone(gone),
            Ok(Some(Err(error))) => {
                Presence::Unknown(error.to_string(), error.cause() == Cause::Unauthorised)
            }
            Ok(None) => Presence::Unknown("no look-up could be started".to_owned(), false),
            Err(_) => Presence::Unknown("the registry did not answer in time".to_owned(), false),
        }
    }
}
