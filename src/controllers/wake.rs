//! Wakes owners whose pods were refused for something that has come since.
//!
//! `ReplicaSets` and their like wait minutes after refusals. One annotation on the owner makes its controller try at once;
//! it is written only where the template would be admitted now, and never often.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DaemonSet, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::blocked::Book;
use super::dirty::Dirty;
use crate::gather::objects::PodObject;
use crate::gather::signatures::{SignatureSource, questions};
use crate::gather::world::{Touched, World};
use crate::policy::facts::{Matched, Stage, Subject};
use crate::policy::{Decision, Enforcement, decide, evaluate};

/// Annotation that wakes an owner; its value is the time.
pub const ANNOTATION: &str = "portcullis.dev/woken-at";
/// Between two rounds.
const EVERY: Duration = Duration::from_secs(2);
/// A refusal older than so many seconds no longer keeps its namespace on the list.
pub const FRESH: i64 = 3600;
/// Owners of one kind that are read at a time: of more than these, none but what waits stays in memory.
const PAGE: u32 = 500;
/// Pages of one kind that one look reads of a namespace. What stands behind them is tried again by its own controller.
const PAGES: u32 = 40;
/// Decisions that are kept of one workload: its verdict is the worst of them.
const MOST_KEPT: usize = 500;
/// Pauses between two wakings of one owner: doubled each time, at most this.
const LONGEST: Duration = Duration::from_mins(2);

/// Wakes owners until it is dropped.
pub struct Waker {
    /// The API server.
    pub client: Client,
    /// What is known.
    pub world: Arc<RwLock<World>>,
    /// Signatures.
    pub signatures: Arc<dyn SignatureSource>,
    /// Which namespaces had refusals.
    pub book: Arc<Mutex<Book>>,
    /// What waits and why, for the audit.
    pub lookout: Arc<Lookout>,
    /// Hears of namespaces where what waits has changed.
    pub dirty: Arc<Dirty>,
}

/// Decisions on templates whose pods do not come in, by namespace and workload.
pub type Waiting = BTreeMap<(String, String), Vec<Decision>>;

/// What is known of pods that do not come in, between the waker that looks and the audit that judges.
#[derive(Debug)]
pub struct Lookout {
    waiting: Mutex<Waiting>,
    /// Rounds that were asked for and rounds that ended; `None` where nobody looks.
    rounds: Option<watch::Sender<u64>>,
    asked: Notify,
}

impl Lookout {
    /// Nothing is known yet; `looks` says whether anybody will look.
    #[must_use]
    pub fn new(looks: bool) -> Self {
        let rounds = looks.then(|| watch::Sender::new(0));
        Self { waiting: Mutex::default(), rounds, asked: Notify::new() }
    }

    /// What waits, by workload.
    pub fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a look and waits until it has ended, at most for `patience`.
    pub async fn look(&self, patience: Duration) {
        let Some(rounds) = &self.rounds else { return };
        let mut rounds = rounds.subscribe();
        // A round under way may have passed by already.
        let wanted = *rounds.borrow_and_update() + 2;
        self.asked.notify_one();
        let done = async {
            while *rounds.borrow_and_update() < wanted {
                self.asked.notify_one();
                if rounds.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(patience, done).await;
    }

    fn round_ended(&self) {
        if let Some(rounds) = &self.rounds {
            rounds.send_modify(|count| *count += 1);
        }
    }
}

type Woken = HashMap<String, (Instant, Duration)>;

impl Waker {
    /// Looks at namespaces with fresh refusals, again and again.
    pub async fn run(self) {
        let mut woken: Woken = HashMap::new();
        let mut resting: HashMap<String, Instant> = HashMap::new();
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                () = self.lookout.asked.notified() => {}
            }
            woken.retain(|_, (at, _)| at.elapsed() < 4 * LONGEST);
            resting.retain(|_, until| *until > Instant::now());
            let namespaces = {
                let now = Timestamp::now();
                self.book.lock().unwrap_or_else(PoisonError::into_inner).fresh(now, FRESH)
            };
            for namespace in namespaces {
                if resting.contains_key(&namespace) {
                    continue;
                }
                match self.look(&namespace, &mut woken).await {
                    // Whoever has many owners is looked at less often: no namespace costs more than a page a round.
                    Ok(pages) if pages > 1 => drop(resting.insert(namespace, Instant::now() + EVERY * pages)),
                    Ok(_) => {}
                    Err(error) => tracing::warn!(namespace, %error, "owners that wait could not be listed"),
                }
            }
            self.lookout.round_ended();
        }
    }

    /// Wakes what waits in a namespace and would be admitted, and keeps what would not. Returns how many pages of the kind
    /// with the most owners were read.
    ///
    /// Errors: the API server does not answer, or a list grew too old between two pages; the next look begins anew.
    async fn look(&self, namespace: &str, woken: &mut Woken) -> Result<u32, kube::Error> {
        let mut waiting = Waiting::new();
        let pages = [
            self.sweep::<ReplicaSet>(namespace, woken, &mut waiting).await?,
            self.sweep::<StatefulSet>(namespace, woken, &mut waiting).await?,
            self.sweep::<DaemonSet>(namespace, woken, &mut waiting).await?,
            self.sweep::<Job>(namespace, woken, &mut waiting).await?,
        ];
        self.report(namespace, waiting);
        Ok(pages.into_iter().max().unwrap_or_default())
    }

    /// Looks at every owner of a kind, page by page.
    async fn sweep<K: Waits>(
        &self,
        namespace: &str,
        woken: &mut Woken,
        waiting: &mut Waiting,
    ) -> Result<u32, kube::Error> {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let mut pages = ListParams::default().limit(PAGE);
        for read in 1..=PAGES {
            let page = api.list(&pages).await?;
            self.wake(&api, namespace, page.items, woken, waiting).await;
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => pages = pages.continue_token(&token),
                None => return Ok(read),
            }
        }
        let (kind, most) = (K::kind(&()), PAGE * PAGES);
        tracing::warn!(namespace, %kind, most, "there are more owners than are looked at: the others wait for their controller");
        Ok(PAGES)
    }

    async fn wake<K: Waits>(
        &self,
        api: &Api<K>,
        namespace: &str,
        owners: Vec<K>,
        woken: &mut Woken,
        waiting: &mut Waiting,
    ) {
        for owner in owners.into_iter().filter(Waits::waits) {
            let Some(template) = owner.template() else { continue };
            let Some((workload, decision)) = self.judged(namespace, template).await else { continue };
            let admitted = decision.allowed();
            if let Some(workload) = workload.filter(|_| !admitted) {
                let known = waiting.entry((namespace.to_owned(), workload)).or_default();
                if known.len() < MOST_KEPT {
                    known.push(decision);
                }
            }
            if !admitted {
                continue;
            }
            let uid = owner.uid().unwrap_or_default();
            let pause = match woken.get(&uid) {
                Some((at, pause)) if at.elapsed() < *pause => continue,
                Some((_, pause)) => (*pause * 2).min(LONGEST),
                None => Duration::from_secs(4),
            };
            woken.insert(uid, (Instant::now(), pause));
            let patch = json!({"metadata": {"annotations": {ANNOTATION: Timestamp::now().to_string()}}});
            let name = owner.name_any();
            match api.patch_metadata(&name, &PatchParams::default(), &Patch::Merge(&patch)).await {
                Ok(_) => {
                    tracing::info!(namespace, kind = %K::kind(&()), name, "woken: what its pods were refused for has come");
                }
                Err(error) => tracing::warn!(namespace, name, %error, "an owner could not be woken"),
            }
        }
    }

    /// Keeps what waits in a namespace, and tells the audit where that has changed.
    fn report(&self, namespace: &str, now: Waiting) {
        let names = |waiting: &Waiting| -> Vec<(String, Vec<&'static str>)> {
            let of = waiting.iter().filter(|((ns, _), _)| ns == namespace);
            of.map(|((_, workload), decisions)| {
                let ids =
                    decisions.iter().flat_map(|d| crate::render::words::control_ids(&d.refused)).collect();
                (workload.clone(), ids)
            })
            .collect()
        };
        let mut known = self.lookout.waiting();
        let changed = names(&known) != names(&now);
        known.retain(|(ns, _), _| ns != namespace);
        known.extend(now);
        drop(known);
        if changed {
            self.dirty.add(Touched::namespace(namespace));
        }
    }

    /// What would become of a pod of this template now, and the workload it belongs to; `None` without a specification.
    async fn judged(&self, namespace: &str, template: PodTemplateSpec) -> Option<(Option<String>, Decision)> {
        let (spec, metadata) = (template.spec?, template.metadata.unwrap_or_default());
        let object = PodObject {
            prefix: String::new(),
            labels: metadata.labels.unwrap_or_default(),
            annotations: metadata.annotations.unwrap_or_default(),
            spec,
            unknown_fields: Vec::new(),
            around: crate::policy::facts::Around::default(),
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        let known = self.signatures.signatures(namespace, questions(&object.spec), deadline).await;
        let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
        let now = Timestamp::now();
        let home = world.namespace(namespace);
        let settings = world.settings(home);
        let mut pod = world.pod_facts(home, &object, Stage::Entering);
        pod.signatures = known.iter().map(|(image, signature)| (image.as_str(), signature.clone())).collect();
        let workload = match &pod.matched {
            Matched::One(workload) => Some(Arc::clone(workload)),
            _ => None,
        };
        let facts = world.facts(now, Subject::Pod(pod), home, &settings);
        let enforcement = Enforcement::of(home, &world.cluster, workload.as_deref(), now);
        let name = workload.as_ref().and_then(|w| w.metadata.name.as_deref());
        let decision = decide(evaluate(&facts), &enforcement, name, false);
        Some((name.map(str::to_owned), decision))
    }
}

/// An owner that creates pods and may wait for them.
trait Waits:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + DeserializeOwned
    + std::fmt::Debug
    + Send
    + Sync
{
    /// Whether it wants more pods than it has.
    fn waits(&self) -> bool;
    /// Its template.
    fn template(&self) -> Option<PodTemplateSpec>;
}

impl Waits for ReplicaSet {
    fn waits(&self) -> bool {
        let wanted = self.spec.replicas.unwrap_or(1);
        self.status.as_ref().map_or(0, |s| s.replicas) < wanted
    }
    fn template(&self) -> Option<PodTemplateSpec> {
        self.spec.template.clone()
    }
}

impl Waits for StatefulSet {
    fn waits(&self) -> bool {
        let wanted = self.spec.replicas.unwrap_or(1);
        self.status.as_ref().map_or(0, |s| s.replicas) < wanted
    }
    fn template(&self) -> Option<PodTemplateSpec> {
        Some(self.spec.template.clone())
    }
}

impl Waits for DaemonSet {
    fn waits(&self) -> bool {
        self.status.as_ref().is_some_and(|s| s.current_number_scheduled < s.desired_number_scheduled)
    }
    fn template(&self) -> Option<PodTemplateSpec> {
        Some(self.spec.template.clone())
    }
}

impl Waits for Job {
    fn waits(&self) -> bool {
        let status = self.status.as_ref();
        let ended = status.is_some_and(|s| {
            s.completion_time.is_some()
                || s.conditions.iter().flatten().any(|c| c.type_ == "Failed" && c.status == "True")
        });
        let suspended = self.spec.as_ref().and_then(|s| s.suspend) == Some(true);
        !ended && !suspended && status.is_none_or(|s| s.active.unwrap_or(0) == 0)
    }
    fn template(&self) -> Option<PodTemplateSpec> {
        Some(self.spec.as_ref()?.template.clone())
    }
}

#[cfg(test)]
#[path = "wake_tests.rs"]
mod tests;
