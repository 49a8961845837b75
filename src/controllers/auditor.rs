//! The audit at work: watches what changes, judges the namespaces it touches, brings about what is declared, and
//! writes what people read. Only the leader runs it; its knowledge outlives nothing but its term.

mod authors;
mod cluster;
mod ended;
mod exporting;
mod faults;
mod gone;
mod life;
mod pulse;
mod restore;
mod stored;
mod texts;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use tokio::sync::watch;
use tokio::time::Instant;

use self::life::{lineage, residue};
use self::pulse::Pulse;
use self::stored::{Kept, Stored, Written};
use super::audit::{Signatures, audit_namespace, referred};
use super::blocked::Book;
use super::compliance::rows::{self, namespace_status, own_conditions};
use super::compliance::workload::{Beside, Held, workload_status};
use super::compliance::{Summed, owners};
use super::conditions::{GOVERNED, Said, seconds};
use super::dirty::Dirty;
use super::export::Export;
use super::generate;
use super::guards::GuardFaults;
use super::pods::Pods;
use super::probe::{Observations, sink};
use super::retrieval::Retrieved;
use super::status::said;
use super::statuses::Statuses;
use super::trail;
use super::trouble::Trouble;
use super::wake::{FRESH as FRESH_REFUSAL, Lookout};
use super::webhooks::Drifts;
use crate::api::compliance::AIComplianceStatus;
use crate::api::workload::{AIWorkload, AIWorkloadStatus};
use crate::gather::signatures::{ImageQuestion, SignatureSource};
use crate::gather::world::{Touched, World};
use crate::policy::records;
use crate::policy::trail as chains;
use crate::telemetry::events::Recorder;
use crate::telemetry::metrics::Metrics;

/// How long the audit rests when nothing changes: then expiries are looked at.
const REST: Duration = Duration::from_secs(30);
/// How long it rests while something could not be written, or waits to be looked at again.
const SHORT_REST: Duration = Duration::from_secs(3);
/// Everything is looked at again this often, whatever the watches said.
const FULL: Duration = Duration::from_mins(5);
/// How long signatures may take to be looked up for one namespace.
const LOOK_UP: Duration = Duration::from_secs(8);
/// How long a new leader waits for a first look at the pods that do not come in.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// What the auditor works with.
pub struct Auditor {
    /// The API server.
    pub client: Client,
    /// What is known.
    pub world: Arc<RwLock<World>>,
    /// The running pods.
    pub pods: Arc<Mutex<Pods>>,
    /// What has changed.
    pub dirty: Arc<Dirty>,
    /// Signatures.
    pub signatures: Arc<dyn SignatureSource>,
    /// Refused attempts.
    pub book: Arc<Mutex<Book>>,
    /// Templates whose pods wait outside.
    pub lookout: Arc<Lookout>,
    /// Repairs of the webhook configuration.
    pub drifts: watch::Receiver<Drifts>,
    /// What is wrong with the guards.
    pub guards: watch::Receiver<GuardFaults>,
    /// Events.
    pub recorder: Recorder,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Where the entries of histories go.
    pub trail: Arc<Export>,
    /// What was seen of figures.
    pub observations: Arc<Observations>,
    /// What was seen of what workloads would go back to.
    pub retrieved: Arc<Retrieved>,
}

/// An object of ours could not be read or written.
#[derive(Debug, thiserror::Error)]
enum AuditError {
    #[error("the rows of the audit could not be listed")]
    List(#[source] kube::Error),
    #[error("the row of {0:?} could not be written")]
    Row(String, #[source] kube::Error),
    #[error("the status of AIWorkload {0} could not be written")]
    Status(String, #[source] kube::Error),
}

impl AuditError {
    fn label(&self) -> &'static str {
        match self {
            Self::List(_) => "List",
            Self::Row(..) => "Row",
            Self::Status(..) => "Status",
        }
    }

    /// The failed act and what the API server said to it, for people.
    fn words(&self) -> String {
        let (Self::List(source) | Self::Row(_, source) | Self::Status(_, source)) = self;
        format!("{self}: {}", said(source))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Auditor {
    fn world(&self) -> RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Audits until it is dropped.
    pub async fn run(self) {
        let pulse = Arc::new(Pulse::default());
        let gone = gone::Gone::default();
        let _rows = gone::watch(
            self.client.clone(),
            Arc::clone(&gone),
            Arc::clone(&self.dirty),
            Arc::clone(&self.metrics),
        );
        let _watcher = pulse::watch(Arc::clone(&pulse), self.client.clone(), Arc::clone(&self.metrics));
        let mut written = self.restored(&pulse).await;
        let mut statuses = Statuses::new(&self.client, &self.world, &self.recorder, &self.metrics);
        if !lock(&self.book).fresh(Timestamp::now(), FRESH_REFUSAL).is_empty() {
            // Nobody has looked yet at the pods that do not come in: without it a refused workload would pass meanwhile.
            self.lookout.look(FIRST_LOOK).await;
        }
        let mut profiles_shown = false;
        let mut profiles = Trouble::default();
        let mut drifts = self.drifts.clone();
        let mut guards = self.guards.clone();
        self.dirty.add(Touched::everything());
        let mut full = Instant::now();
        loop {
            pulse.beat();
            let short = !written.unwritten.is_empty() || !written.held.is_empty() || !profiles_shown;
            let mut drifted = false;
            let mut touched = tokio::select! {
                touched = self.dirty.take(if short { SHORT_REST } else { REST }) => touched,
                Ok(()) = drifts.changed() => {
                    drifted = true;
                    self.dirty.take(Duration::ZERO).await
                }
                Ok(()) = guards.changed() => {
                    drifted = true;
                    self.dirty.take(Duration::ZERO).await
                }
            };
            touched.namespaces.extend(written.unwritten.keys().chain(&written.held).cloned());
            written.missing.append(&mut lock(&gone));
            if written.missing.remove("cluster") {
                written.cluster_at = None;
            }
            if full.elapsed() > FULL {
                touched.all = true;
                // Rows that somebody deleted are missed only by looking.
                match self.restore().await {
                    Ok(seen) => written.compare(&seen),
                    Err(error) => self.failed(&error),
                }
            }
            let begun = Instant::now();
            if touched.all {
                full = begun;
            }
            // An exemption that starts or ends to count changes verdicts.
            let told = lock(&self.book).told_of_assets();
            let turned = statuses.round(&touched, &told, Timestamp::now()).await;
            touched.namespaces.extend(turned);
            self.round(&touched, drifted, &pulse, &mut written).await;
            if touched.all {
                let (namespaces, workloads) = (written.namespaces.len(), written.workloads.len());
                let (pods, seconds) = (lock(&self.pods).len(), begun.elapsed().as_secs_f32());
                tracing::info!(namespaces, workloads, pods, seconds, "everything was audited");
            }
            if touched.all || !profiles_shown {
                // Our own webhook judges them: right after an installation it has to come up first.
                profiles_shown = self.show_profiles(&mut profiles).await;
            }
        }
    }

    async fn round(&self, touched: &Touched, drifted: bool, pulse: &Pulse, written: &mut Written) {
        let governed: BTreeSet<String> = {
            let world = self.world();
            world
                .cluster
                .namespaces
                .values()
                .filter(|n| n.governed() && !n.terminating)
                .map(|n| n.name.clone())
                .collect()
        };
        written.missing.retain(|name| governed.contains(name));
        written.unwritten.retain(|name, _| governed.contains(name) || written.namespaces.contains_key(name));
        let gone: Vec<String> =
            written.namespaces.keys().filter(|name| !governed.contains(*name)).cloned().collect();
        for name in &gone {
            self.forget(name, written).await;
        }
        let left = lock(&self.book).note_only(|name| governed.contains(name));
        let mut changed = !left.is_empty();
        written.left.extend(left);
        let now = Timestamp::now();
        changed |= !gone.is_empty() || touched.all || drifted;
        for name in &governed {
            if touched.all || touched.namespaces.contains(name) || !written.namespaces.contains_key(name) {
                if written.pauses(name) {
                    // It stays among what is not written; what is declared does not wait for its words.
                    self.generate(name, written).await;
                } else {
                    changed |= self.namespace(name, now, pulse, written).await;
                }
                pulse.beat();
                // The keepers of the gate share this task.
                tokio::task::yield_now().await;
            }
        }
        let stale = written.cluster_at.is_none_or(|at| at.elapsed() > Duration::from_mins(1));
        if self.trail.flush().await {
            // What statuses kept while entries waited is taken back.
            self.dirty.add(Touched::everything());
        }
        self.refill(written, now, pulse).await;
        if changed || stale {
            self.cluster(now, pulse, written, stale).await;
        }
    }

    /// What was seen of the figures and of the log sink of a workload.
    fn observed(&self, namespace: &str, workload: &AIWorkload, world: &World) -> Vec<Said> {
        let name = workload.metadata.name.as_deref().unwrap_or_default();
        let figures = self.observations.of(namespace, name);
        let sink = sink::observed(namespace, workload, world, &lock(&self.pods));
        figures.into_iter().chain(sink).chain(self.retrieved.of(namespace, name)).collect()
    }

    /// Puts among the facts what the last row shows to be open for too long.
    fn note_overdue(&self, name: &str, row: &AIComplianceStatus, now: Timestamp) {
        let (late, lost, told) = {
            let world = self.world();
            let namespace = world.namespace(name);
            let late = rows::told(rows::overdue(&row.findings, &world.settings(namespace), now));
            let lost = records::lost(&row.tombstones, namespace);
            let told = namespace.overdue == late && namespace.lost_records == lost;
            (late, lost, told)
        };
        if !told {
            let mut world = self.world.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(namespace) = world.cluster.namespaces.get_mut(name) {
                namespace.overdue = late;
                namespace.lost_records = lost;
            }
        }
    }

    async fn signatures_of(&self, name: &str, images: BTreeSet<ImageQuestion>) -> Signatures {
        let questions: Vec<ImageQuestion> = images.into_iter().collect();
        self.signatures.signatures(name, questions, Instant::now() + LOOK_UP).await
    }

    /// One namespace: bring about, judge, write. Returns whether its row has changed.
    #[expect(clippy::too_many_lines, reason = "one list, read from top to bottom")]
    async fn namespace(&self, name: &str, now: Timestamp, pulse: &Pulse, written: &mut Written) -> bool {
        written.unwritten.remove(name);
        self.generate(name, written).await;
        let named = referred(&lock(&self.pods), name);
        let known = self.signatures_of(name, named.images).await;
        let mut former = written.namespaces.remove(name).unwrap_or_default();
        let texts = self.read_texts(name, named.maps, std::mem::take(&mut former.texts)).await;
        let former_row = former.row.whole();
        let since = former_row
            .conditions
            .iter()
            .find(|c| c.type_ == GOVERNED)
            .map_or_else(|| seconds(now), |c| c.last_transition_time.0);
        self.note_overdue(name, &former_row, now);
        let ended = ended::of(self.world().namespace(name), written, &former_row);
        let mut heard = BTreeMap::new();
        let (kept, mut row, statuses, noted) = {
            let world = self.world();
            let pods = lock(&self.pods);
            let mut audited =
                audit_namespace(&world, &pods, &known, name, since, &self.lookout.waiting(), now);
            drop(pods);
            if audited.hold(&former.blocked, now) {
                written.held.insert(name.to_owned());
            } else {
                written.held.remove(name);
            }
            let namespace = world.namespace(name);
            let settings = world.settings(namespace);
            let book = lock(&self.book);
            let told = book.told_of_assets();
            let statuses: Vec<(Arc<AIWorkload>, AIWorkloadStatus)> = audited
                .workloads
                .iter()
                .filter_map(|(workload_name, result)| {
                    let workload = namespace.workloads.get(workload_name)?;
                    let key = (name.to_owned(), workload_name.clone());
                    let anew = |stored: &&Stored| stored.uid != workload.metadata.uid;
                    let known = written.workloads.get(&key);
                    let stored = known.filter(|stored| !anew(stored));
                    let rest = stored.map(Stored::rest).unwrap_or_default();
                    let before = known.filter(anew).map(|stored| stored.rest().authors);
                    let past = match (stored, &before) {
                        (Some(_), _) => &rest.authors[..],
                        (None, Some(before)) => before,
                        (None, None) => written.authors.of(name, workload_name),
                    };
                    let former = rest.history.as_ref();
                    let composition = crate::policy::composition::digest(workload, namespace, &world.cluster);
                    let reason = result.states.top_reason();
                    let uid = workload.metadata.uid.as_deref().unwrap_or_default();
                    let chain = chains::of_workload(name, workload_name, uid);
                    let standing = self.trail.standing(&chain);
                    let noted = book.noted(name, Some(workload_name));
                    let look = trail::Look {
                        workload,
                        namespace,
                        cluster: &world.cluster,
                        composition: &composition,
                        verdict: result.states.verdict(),
                        former: stored.and_then(|stored| stored.verdict),
                        reason: reason.as_deref(),
                        noted: &noted,
                        standing,
                    };
                    let history = trail::of_workload(former, &chain, &look, now);
                    if !noted.is_empty() {
                        heard.insert(workload_name.clone(), noted.len());
                    }
                    let lineage = lineage(&rest, workload, namespace, &world, &composition, now);
                    let known_good = trail::known_good(
                        rest.known_good.as_ref(),
                        workload,
                        namespace,
                        &composition,
                        result.is_good(),
                        result.images.iter().map(String::as_str),
                        now,
                    );
                    let beside = Beside {
                        namespace: name,
                        generation: workload.metadata.generation,
                        composition,
                        generated: written.faults.of(name, workload_name).map_or_else(
                            || generate::complete(workload, namespace, generate::Kinds::of(&world.cluster)),
                            Err,
                        ),
                        blocked: book.of(name, Some(workload_name), now),
                        held: {
                            let all = trail::held(&history, former, standing);
                            Held {
                                all,
                                waited: all.saturating_sub(trail::fresh(Some(&history), former).len()),
                            }
                        },
                        history: Some(history),
                        warned_days: owners::warned(
                            workload,
                            &settings,
                            stored.and_then(|stored| stored.warned_days),
                            now,
                        ),
                        lineage: Some(lineage),
                        known_good,
                        authors: authors::kept(past, &workload.metadata, &told.edits),
                        residue: residue(workload, namespace, &world, result.pods),
                        observed: self.observed(name, workload, &world),
                        former: &rest.conditions,
                    };
                    Some((Arc::clone(workload), workload_status(result, beside, now)))
                })
                .collect();
            let summed = Summed::of(name, &audited);
            let blocked = book.of_namespace(name, now);
            let mut row =
                namespace_status(namespace, &audited, &summed, blocked, &former_row, &settings, now);
            let chain = chains::of_namespace(name, namespace.uid.as_deref().unwrap_or_default());
            let noted = book.noted(name, None);
            let stones = noted.iter().filter_map(|note| note.tombstone.clone());
            row.tombstones = trail::tombstones(&former_row.tombstones, stones.take(trail::NOTES));
            let standing = self.trail.standing(&chain);
            let look = trail::NamespaceLook { namespace, noted: &noted, ended: &ended, standing };
            row.history = trail::of_namespace(former_row.history.as_ref(), &chain, &look, now);
            row.conditions =
                own_conditions(since, written.faults.of_namespace(name), &former_row.conditions, now);
            (
                Kept {
                    texts,
                    open: trail::left_open(&world, namespace, now),
                    uid: namespace.uid.clone(),
                    summed,
                    row: former.row,
                    told: former.told,
                    blocked: audited.into_blocked(),
                },
                row,
                statuses,
                noted.len(),
            )
        };
        self.write_statuses(name, statuses, heard, pulse, written).await;
        row.chains = ended::chains(name, written, ended.get(trail::NOTES..).unwrap_or_default());
        if !ended.is_empty() {
            written.ended.insert(name.to_owned(), ended);
        }
        let differs = self.write_row(name, kept, (row, former_row), noted, written).await;
        if !written.unwritten.contains_key(name) && written.troubles.remove(name).is_some() {
            tracing::info!(namespace = name, "what was found can be written again");
        }
        differs
    }
}
