//! Documents and signed statements of evidence: looked at again and again by the leader, and told in the status.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, Resource as _};
use serde_json::json;

use crate::api::AIEvidence;
use crate::api::evidence::AIEvidenceStatus;
use crate::gather::proofs::{Agenda, ClusterMaps, Found};
use crate::gather::signatures::Signatures;
use crate::gather::world::World;
use crate::telemetry::metrics::Metrics;

/// The field manager of what is verified; conditions belong to another.
const VERIFIER: &str = "portcullis-verifier";
/// How long a round rests before the next.
const REST: Duration = Duration::from_secs(5);

/// Looks after the documents and statements of evidence, for one term of leadership.
pub struct Proofs {
    /// To read ConfigMaps and to write statuses.
    pub client: Client,
    /// What there is.
    pub world: Arc<RwLock<World>>,
    /// To ask registries and to verify signatures.
    pub signatures: Arc<Signatures>,
    /// What went wrong.
    pub metrics: Arc<Metrics>,
}

impl Proofs {
    /// Works until it is dropped.
    pub async fn run(self) {
        let mut agenda = Agenda::default();
        let maps = ClusterMaps(self.client.clone());
        loop {
            for found in agenda.round(&self.world, &self.signatures, &maps, Timestamp::now()).await {
                if let Err(error) = self.tell(&found).await {
                    self.metrics.reconcile_failed("EvidenceStatus");
                    tracing::warn!(%error, "what was found of evidence could not be written");
                }
            }
            tokio::time::sleep(REST).await;
        }
    }

    /// Writes what was found, unless it stands there already.
    async fn tell(&self, found: &Found) -> Result<(), kube::Error> {
        if found.is_told() {
            return Ok(());
        }
        let metadata = &found.evidence.metadata;
        let name = metadata.name.as_deref().unwrap_or_default();
        let kind = ApiResource::erase::<AIEvidence>(&());
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &kind);
        // What is left out of what a manager applies is taken away; `null` would be refused.
        let status = AIEvidenceStatus {
            document: found.document.clone(),
            statement: found.statement.clone(),
            ..AIEvidenceStatus::default()
        };
        let patch = json!({
            "apiVersion": AIEvidence::api_version(&()), "kind": AIEvidence::kind(&()),
            "metadata": {"name": name, "uid": metadata.uid},
            "status": status,
        });
        match api.patch_status(name, &PatchParams::apply(VERIFIER).force(), &Patch::Apply(&patch)).await {
            Ok(_) => Ok(()),
            // It has gone, or another one has its name.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
