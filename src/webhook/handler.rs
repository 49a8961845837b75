//! Joins the judge to the server: bytes in, bytes out, and what was decided into metrics and the log.

use std::sync::Arc;

use futures::future::BoxFuture;
use hyper::body::Bytes;
use tokio::time::Instant;

use super::envelope::uid_of_prefix;
use super::judge::Judge;
use super::router::{Identity, Peer, ReviewHandler};
use super::wire::Review;
use crate::gather::objects::CARRIERS;
use crate::telemetry::metrics::Metrics;

/// Judges reviews as the server hands them over.
pub struct Handler {
    /// Who judges.
    pub judge: Judge,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Handler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}

impl ReviewHandler for Handler {
    fn handle(self: Arc<Self>, body: Bytes, peer: Peer, deadline: Instant) -> BoxFuture<'static, Vec<u8>> {
        Box::pin(async move {
            let mut review: Review<'_> = match serde_json::from_slice(&body) {
                Ok(review) => review,
                Err(error) => {
                    tracing::warn!(uid = uid_of_prefix(&body), %error, "a review cannot be read");
                    return self.judge.review(&body, deadline).await.1;
                }
            };
            review.request.from_api_server = peer.identity == Identity::ApiServer;
            let request = &review.request;
            tracing::Span::current().record("uid", request.uid.as_ref());
            let answer = self.judge.answer(request, deadline).await;
            self.metrics.review(operation(&request.operation), kind(&request.kind.kind), answer.allowed());
            for control in &answer.controls {
                self.metrics.denial(control);
            }
            if !answer.allowed() {
                tracing::info!(
                    uid = %request.uid,
                    operation = %request.operation,
                    kind = %request.kind.kind,
                    namespace = %request.namespace,
                    name = %request.name,
                    user = %request.user_info.username,
                    dry_run = !request.real(),
                    controls = answer.controls.join(","),
                    "refused"
                );
            }
            answer.to_json(&request.uid)
        })
    }
}

/// Label values are words of ours, never what a request says.
fn operation(name: &str) -> &'static str {
    ["CREATE", "UPDATE", "DELETE", "CONNECT"].into_iter().find(|known| *known == name).unwrap_or("other")
}

fn kind(name: &str) -> &'static str {
    const OTHERS: [&str; 25] = [
        "Pod",
        "Namespace",
        "Binding",
        "NetworkPolicy",
        "ConfigMap",
        "Service",
        "Ingress",
        "HTTPRoute",
        "GRPCRoute",
        "TLSRoute",
        "TCPRoute",
        "UDPRoute",
        "RoleBinding",
        "ClusterRoleBinding",
        "AIWorkload",
        "AIModel",
        "AIDataset",
        "AIPrompt",
        "AIEvidence",
        "AISupplier",
        "AIGovernance",
        "AITrustPolicy",
        "AIProfile",
        "AIExemption",
        "AICompliance",
    ];
    CARRIERS.iter().map(|carrier| carrier.kind).chain(OTHERS).find(|known| *known == name).unwrap_or("other")
}
