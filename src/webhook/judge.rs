//! From review to answer: which facts a request needs, and who gathers them.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::access::Authorizer;
use super::arrivals::Arrivals;
use super::attempts::RefusalSink;
use super::pods::binding;
use super::running::RunningPods;
use super::wire::{Answer, Request, Review};
use crate::api;
use crate::gather::objects;
use crate::gather::signatures::SignatureSource;
use crate::gather::world::World;
use crate::policy::Decision;
use crate::render::words::{self, Title};

/// Judges reviews.
#[derive(Clone)]
pub struct Judge {
    /// What is known of the cluster.
    pub world: Arc<RwLock<World>>,
    /// Signatures.
    pub signatures: Arc<dyn SignatureSource>,
    /// Rights of users.
    pub authorizer: Arc<dyn Authorizer>,
    /// Where refusals go.
    pub sink: Arc<dyn RefusalSink>,
    /// What runs, asked for a few rare requests.
    pub running: Arc<dyn RunningPods>,
    /// Where requests wait that overtook a watch.
    pub arrivals: Arc<Arrivals>,
    /// User name of the operator's own controller, whose writes of generated objects are not judged.
    pub operator: String,
    /// The clock.
    pub clock: fn() -> Timestamp,
}

impl Judge {
    /// Answers one review.
    ///
    /// Guarantees: always an `AdmissionReview` with the request's uid where one could be read; an error while deciding is a
    /// denial that says so. Returns by `deadline` as far as waiting goes.
    pub async fn review(&self, body: &[u8], deadline: Instant) -> (Answer, Vec<u8>) {
        match serde_json::from_slice::<Review<'_>>(body) {
            Ok(review) => {
                let answer = self.answer(&review.request, deadline).await;
                let json = answer.to_json(&review.request.uid);
                (answer, json)
            }
            Err(error) => {
                let answer = Answer::deny(format!("this is no AdmissionReview: {error}"));
                let json = answer.to_json("");
                (answer, json)
            }
        }
    }

    /// Answers one request.
    pub async fn answer(&self, request: &Request<'_>, deadline: Instant) -> Answer {
        let group = request.resource.group.as_ref();
        match (group, request.resource.resource.as_ref(), request.sub_resource.as_ref()) {
            ("", "pods", "ephemeralcontainers") => {
                let answer = self.pod(request, deadline).await;
                if answer.allowed() { self.entry(request, answer.warnings, deadline).await } else { answer }
            }
            ("", "pods", "" | "resize") => self.pod(request, deadline).await,
            ("", "pods", "exec" | "attach" | "portforward" | "proxy") => {
                self.entry(request, Vec::new(), deadline).await
            }
            ("", "pods", "binding") | ("", "bindings", "") => binding(request),
            ("", "namespaces", _) => self.namespace_labels(request, deadline).await,
            ("networking.k8s.io", "networkpolicies", "") => self.network_policy(request),
            ("", "services", "")
            | ("networking.k8s.io", "ingresses", "")
            | (
                "gateway.networking.k8s.io",
                "httproutes" | "grpcroutes" | "tlsroutes" | "tcproutes" | "udproutes",
                "",
            ) => self.way(request),
            ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings", "") => {
                self.role_binding(request)
            }
            ("", "persistentvolumeclaims", "") if request.operation == "DELETE" => self.claim_goes(request),
            // Roles and what is mounted are judged where they meet a pod.
            ("rbac.authorization.k8s.io", _, "") | ("", "serviceaccounts" | "persistentvolumeclaims", "") => {
                Answer::allow()
            }
            ("", "configmaps", "") => self.config_map(request),
            (api::common::GROUP, _, "") => self.own_kind(request, deadline).await,
            (_, _, "") if objects::carrier(group, &request.kind.kind).is_some() => {
                self.carrier(request, deadline).await
            }
            (_, resource, subresource) => Answer::deny(format!(
                "portcullis was asked about {resource} {subresource:?} of group {group:?}, for which it has no rule; the \
                 webhook configuration and the installed version do not fit together, upgrade portcullis"
            )),
        }
    }

    /// The picture of the cluster, for the length of one evaluation.
    pub(super) fn world(&self) -> RwLockReadGuard<'_, World> {
        // A panic while writing leaves at worst one object out of date; refusing everything would be the outage.
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to a decision: everything in one message.
pub(super) fn concluded(owner: &str, kind: &str, decision: &Decision) -> Answer {
    let title = Title {
        owner: owner.to_owned(),
        what: if kind == "Pod" { "pod".to_owned() } else { kind.to_owned() },
    };
    let warnings = decision.warned.iter().take(8).map(words::warning).collect();
    let denial =
        (!decision.allowed()).then(|| words::denial(&title, decision, crate::policy::evaluate::judged()));
    Answer { denial, warnings, controls: words::control_ids(&decision.refused) }
}

/// Reads an object of a request.
pub(super) fn read<T: DeserializeOwned>(raw: &RawValue) -> Result<T, serde_json::Error> {
    serde_json::from_str(raw.get())
}

pub(super) fn unreadable(request: &Request<'_>, error: &serde_json::Error) -> Answer {
    Answer::deny(format!(
        "{} {:?} cannot be read by this version of portcullis: {error}; correct the object, or upgrade portcullis",
        request.kind.kind, request.name
    ))
}
