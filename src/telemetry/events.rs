//! Events in the cluster, told by a recorder that remembers a bounded number of them.

use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{self, Event, Reporter};

/// Events that one memory holds: each takes more than a kilobyte, and they are kept for six minutes and longer.
const REMEMBERED: usize = 128;

/// Writes Events, and counts up those that are repeated within a few minutes (KEP-383). Clones share what they remember.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    client: Client,
    reporter: Reporter,
    kept: Mutex<(events::Recorder, usize)>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("reporter", &self.0.reporter).finish_non_exhaustive()
    }
}

impl Recorder {
    /// Speaks as `reporter`.
    #[must_use]
    pub fn new(client: Client, reporter: Reporter) -> Self {
        let recorder = events::Recorder::new(client.clone(), reporter.clone());
        Self(Arc::new(Inner { client, reporter, kept: Mutex::new((recorder, 0)) }))
    }

    /// Writes `event` about `reference`; one that is still remembered is counted instead.
    ///
    /// Errors: what the API server answered, or that it could not be reached.
    pub async fn publish(&self, event: &Event, reference: &ObjectReference) -> Result<(), kube::Error> {
        self.remembering().publish(event, reference).await
    }

    /// The recorder whose memory has room: a full one is left to go with all that it holds.
    fn remembering(&self) -> events::Recorder {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (recorder, told) = &mut *kept;
        if *told >= REMEMBERED {
            *recorder = events::Recorder::new(self.0.client.clone(), self.0.reporter.clone());
            *told = 0;
        }
        *told += 1;
        recorder.clone()
    }
}
