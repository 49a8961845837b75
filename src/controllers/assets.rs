//! Models and datasets on volumes: a Job of ours for each that is due, and what its pod found in the status. Models in
//! registries: whether they are signed and what their layers hold, in the same place.
//!
//! One Job a model, a few in the cluster. A Job is named after what it verifies, so that a changed digest, claim, image
//! or trust policy makes another one. The answer counts only from a pod that is exactly the one we would build.

mod layers;
pub mod plan;

use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, Resource as _};
use serde_json::json;

use self::layers::Layers;
use self::plan::{Outcome, Running, Step};
use crate::api::common::Verification;
use crate::api::{AIDataset, AIModel};
use crate::gather::ahead::Agenda;
use crate::gather::model_jobs;
use crate::gather::signatures::Signatures;
use crate::gather::world::World;
use crate::models::job::{self, Answer, LABEL_VERIFIES, Stored};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::probes::Condition;

/// The field manager of what is verified; conditions belong to another.
const VERIFIER: &str = "portcullis-verifier";

/// What went wrong in a round.
#[derive(Debug, thiserror::Error)]
enum AssetError {
    #[error("the Jobs that verify models could not be listed")]
    List(#[source] kube::Error),
    #[error("Job {0:?} could not be created")]
    Create(String, #[source] kube::Error),
    #[error("Job {0:?} could not be deleted")]
    Delete(String, #[source] kube::Error),
    #[error("the pods of Job {0:?} could not be listed")]
    Pods(String, #[source] kube::Error),
    #[error("the status of {0} could not be written")]
    Status(String, #[source] kube::Error),
}

impl AssetError {
    const fn label(&self) -> &'static str {
        match self {
            Self::List(_) => "VerifierList",
            Self::Create(..) => "VerifierCreate",
            Self::Delete(..) => "VerifierDelete",
            Self::Pods(..) => "VerifierPods",
            Self::Status(..) => "VerifierStatus",
        }
    }
}

/// Verifies models, for one term of leadership.
pub struct Assets {
    client: Client,
    world: Arc<RwLock<World>>,
    signatures: Arc<Signatures>,
    synced: Condition,
    metrics: Arc<Metrics>,
    agenda: Agenda,
    layers: Layers,
}

impl Assets {
    /// Nothing is asked of the cluster yet, and nothing is told before `synced`: a model that is judged while trust policies
    /// are still on their way would be called unsigned.
    #[must_use]
    pub fn new(
        client: Client,
        world: Arc<RwLock<World>>,
        signatures: Arc<Signatures>,
        synced: Condition,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            client,
            world,
            signatures,
            synced,
            metrics,
            agenda: Agenda::default(),
            layers: Layers::default(),
        }
    }

    /// Works until it is dropped.
    pub async fn run(mut self) {
        loop {
            let in_registries = self.in_registries().await;
            for result in [in_registries, self.on_volumes().await] {
                let Err(error) = result else { continue };
                self.metrics.reconcile_failed(error.label());
                tracing::warn!(error = crate::telemetry::chain(&error), "a model could not be verified");
            }
            self.agenda.rest(&self.signatures).await;
        }
    }

    /// Whether the models in registries are signed, as far as it is known by now.
    async fn in_registries(&mut self) -> Result<(), AssetError> {
        if !self.synced.is_met() {
            return Ok(());
        }
        let known = self.agenda.round(&self.world, &self.signatures).await;
        let now = Timestamp::now();
        let mut first_error = None;
        self.layers.collect();
        self.layers.forget(&known);
        for (declared, signature) in known {
            self.layers.want(&declared, &signature, &self.signatures);
            let contents = self.layers.of(&declared);
            let Some(told) = plan::of_signature(&declared.model, &signature, contents, now) else {
                continue;
            };
            if let Err(error) = self.tell(&declared.model.as_ref().into(), &told).await {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// One look: what is due is started, what ended is read.
    async fn on_volumes(&self) -> Result<(), AssetError> {
        if !self.synced.is_met() {
            return Ok(());
        }
        // Who has no verifier may not look at Jobs, and says so of what is due.
        let without = self.world.read().unwrap_or_else(PoisonError::into_inner).verifier_image.is_empty();
        let running = if without { Vec::new() } else { self.jobs().await? };
        let now = Timestamp::now();
        let steps = {
            let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
            plan::plan(&world, &running, now)
        };
        let mut first_error = None;
        for step in steps {
            if let Err(error) = self.take(step, now).await {
                tracing::debug!(error = crate::telemetry::chain(&error), "a step failed");
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Our Jobs.
    async fn jobs(&self) -> Result<Vec<Running>, AssetError> {
        let ours = ListParams::default().labels(LABEL_VERIFIES);
        let jobs: Api<Job> = Api::all(self.client.clone());
        let jobs = jobs.list(&ours).await.map_err(AssetError::List)?.items;
        Ok(jobs.iter().filter_map(Running::of).collect())
    }

    async fn take(&self, step: Step, now: Timestamp) -> Result<(), AssetError> {
        match step {
            Step::Start(model, job) => self.start(&model, *job).await,
            Step::Delete(job) => self.delete(&job).await,
            Step::Tell(model, verification) => self.tell(&model, &verification).await,
            Step::Read(model, job) => {
                let outcome = self.read(&model, &job).await?;
                self.tell(&model, &plan::verification(model.as_ref(), &outcome, now)).await?;
                tracing::info!(
                    kind = model.kind(),
                    name = model.name,
                    namespace = model.namespace,
                    outcome = ?outcome,
                    "what lies on a volume was verified"
                );
                self.delete(&job).await
            }
        }
    }

    async fn start(&self, model: &Stored, job: Job) -> Result<(), AssetError> {
        let name = job.metadata.name.clone().unwrap_or_default();
        let namespace = model.namespace.as_str();
        let api: Api<Job> = Api::namespaced(self.client.clone(), namespace);
        match api.create(&PostParams::default(), &job).await {
            Ok(_) => {
                tracing::info!(
                    namespace,
                    kind = model.kind(),
                    name = model.name,
                    job = name,
                    "verifying what lies on a volume"
                );
                Ok(())
            }
            // Another term began it.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(AssetError::Create(name, error)),
        }
    }

    async fn delete(&self, job: &Running) -> Result<(), AssetError> {
        let api: Api<Job> = Api::namespaced(self.client.clone(), &job.namespace);
        let parameters = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        match api.delete(&job.name, &parameters).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(AssetError::Delete(job.name.clone(), error)),
        }
    }

    /// What the pod of a finished Job left behind.
    async fn read(&self, model: &Stored, job: &Running) -> Result<Outcome, AssetError> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &job.namespace);
        let of = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={}", job.name));
        let pods = api.list(&of).await.map_err(|error| AssetError::Pods(job.name.clone(), error))?.items;
        let settings = {
            let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
            model_jobs::settings(&world, model)
        };
        let settings = match settings {
            Ok(settings) => settings,
            Err(why) => return Ok(Outcome::Unknown(why)),
        };
        let ours = pods.iter().filter(|pod| {
            let owner = pod.metadata.owner_references.iter().flatten().any(|owner| owner.uid == job.uid);
            owner && pod.spec.as_ref().is_some_and(|spec| job::is_ours(spec, model, &settings))
        });
        let answers: Vec<Outcome> = ours.filter_map(answer).collect();
        Ok(match <[Outcome; 1]>::try_from(answers) {
            Ok([outcome]) => outcome,
            Err(answers) if answers.is_empty() => Outcome::Unknown(job.why_without_pod()),
            Err(answers) => Outcome::Unknown(format!("{} pods gave an answer", answers.len())),
        })
    }

    async fn tell(&self, of: &Stored, verification: &Verification) -> Result<(), AssetError> {
        if of.known.as_ref() == Some(verification) {
            return Ok(());
        }
        let kind = if of.is_data {
            ApiResource::erase::<AIDataset>(&())
        } else {
            ApiResource::erase::<AIModel>(&())
        };
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &of.namespace, &kind);
        let patch = json!({
            "apiVersion": AIModel::api_version(&()), "kind": of.kind(),
            "metadata": {"name": of.name}, "status": {"verification": verification},
        });
        let parameters = PatchParams::apply(VERIFIER).force();
        match api.patch_status(&of.name, &parameters, &Patch::Apply(&patch)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => {
                Err(AssetError::Status(format!("{} {}/{}", of.kind(), of.namespace, of.name), error))
            }
        }
    }
}

/// What one pod says, once its only container has ended.
fn answer(pod: &Pod) -> Option<Outcome> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let [status] = statuses.as_slice() else { return None };
    let ended = status.state.as_ref()?.terminated.as_ref()?;
    let said = ended.message.as_deref().unwrap_or_default();
    Some(match Answer::read(said) {
        Some(answer) => Outcome::Answered(answer),
        None => Outcome::Unknown(format!(
            "the verifier ended with code {} and left no answer: {}",
            ended.exit_code,
            ended.reason.as_deref().unwrap_or("no reason is given")
        )),
    })
}
