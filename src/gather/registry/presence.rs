//! Whether an artifact can still be fetched: its manifest is asked for by digest, and nothing of it is judged.

use std::sync::Arc;
use std::time::Instant;

use tokio::time::timeout_at;

use super::auth::RegistryCredentials;
use super::lookup::{ACCEPT_EITHER, MANIFEST};
use super::specs::Question;
use super::trust::CompiledTrust;
use super::verification::Cause;
use super::verifier::Verifier;

/// Whether an artifact is where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The registry has its manifest, with the bytes of its digest.
    There,
    /// The registry says that it does not have it, or has other bytes in its place.
    Gone,
    /// It could not be found out; why, and whether for want of credentials.
    Unknown(String, bool),
}

impl Verifier {
    /// Asks the registry of an artifact for its manifest. Nothing is remembered.
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
            let mut session =
                self.client().session(demand.registry, question.image.repository(), credentials).ok()?;
            let path = format!("manifests/{}", demand.digest);
            Some(session.get(&path, ACCEPT_EITHER, MANIFEST).await)
        };
        match timeout_at(deadline.into(), asked).await {
            Ok(Some(Ok(Some(answer)))) if answer.digest() == demand.digest => Presence::There,
            Ok(Some(Ok(_))) => Presence::Gone,
            Ok(Some(Err(error))) => {
                Presence::Unknown(error.to_string(), error.cause() == Cause::Unauthorised)
            }
            Ok(None) => Presence::Unknown("no look-up could be started".to_owned(), false),
            Err(_) => Presence::Unknown("the registry did not answer in time".to_owned(), false),
        }
    }
}
