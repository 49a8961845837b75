//! The audit at work: watches what changes, judges the namespaces it touches, brings about what is declared, and
//! writes what people read. Only the leader runs it; its knowledge outlives nothing but its term.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Client, Resource as _, ResourceExt};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::audit::{AuditedNamespace, States, audit_namespace, control, images_of};
use super::blocked::Book;
use super::compliance::{cluster_status, namespace_status, seconds, workload_status};
use super::dirty::Dirty;
use super::generate::{self, Desired};
use super::pods::Pods;
use super::wake::Waiting;
use super::webhooks::Drifts;
use crate::api::common::MANAGER;
use crate::api::compliance::AIComplianceStatus;
use crate::api::workload::{AIWorkload, AIWorkloadStatus};
use crate::api::{AICompliance, AIProfile, OverallVerdict};
use crate::gather::signatures::{ImageQuestion, SignatureSource};
use crate::gather::world::{Touched, World};
use crate::policy::decide::BUILT_IN;
use crate::policy::facts::{EnforcementFault, Subject};
use crate::policy::{Enforcement, decide, evaluate};
use crate::render::words;
use crate::telemetry::metrics::Metrics;

/// How long the audit rests when nothing changes: then expiries are looked at.
const REST: Duration = Duration::from_secs(30);
/// Everything is looked at again this often, whatever the watches said.
const FULL: Duration = Duration::from_mins(5);
/// How long signatures may take to be looked up for one namespace.
const LOOK_UP: Duration = Duration::from_secs(8);
/// Writes to the API server at the same time.
const WRITES: usize = 8;

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
    pub waiting: Arc<Mutex<Waiting>>,
    /// Repairs of the webhook configuration.
    pub drifts: watch::Receiver<Drifts>,
    /// Events.
    pub recorder: Recorder,
    /// Metrics.
    pub metrics: Arc<Metrics>,
}

/// What was written last, so that nothing is written twice.
#[derive(Default)]
struct Written {
    namespaces: BTreeMap<String, (AuditedNamespace, AIComplianceStatus)>,
    workloads: HashMap<(String, String), AIWorkloadStatus>,
    cluster: AIComplianceStatus,
    faults: HashMap<(String, String), String>,
    cluster_at: Option<Instant>,
}

impl Written {
    /// Forgets what is no longer there, so that it is written again.
    fn compare(&mut self, seen: &Self) {
        self.namespaces.retain(|name, _| seen.namespaces.contains_key(name));
        self.workloads.retain(|key, status| seen.workloads.get(key) == Some(status));
        if seen.cluster != self.cluster {
            self.cluster_at = None;
        }
    }
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
        let mut written = loop {
            match self.restore().await {
                Ok(written) => break written,
                Err(error) => self.failed(&error).await,
            }
        };
        let mut profiles_shown = false;
        self.dirty.add(Touched::everything());
        let mut full = Instant::now();
        loop {
            let mut touched = self.dirty.take(REST).await;
            if full.elapsed() > FULL {
                touched.all = true;
            }
            if full.elapsed() > FULL {
                // Rows that somebody deleted are missed only by looking.
                match self.restore().await {
                    Ok(seen) => written.compare(&seen),
                    Err(error) => self.failed(&error).await,
                }
            }
            if touched.all {
                full = Instant::now();
            }
            self.round(&touched, &mut written).await;
            if touched.all || !profiles_shown {
                // Our own webhook judges them: right after an installation it has to come up first.
                profiles_shown = self.show_profiles().await;
            }
        }
    }

    /// Shows the built-in profiles as objects, so that people can read them and name them as a base.
    /// Returns whether all are shown.
    async fn show_profiles(&self) -> bool {
        let mut shown = true;
        let api: Api<AIProfile> = Api::all(self.client.clone());
        for name in BUILT_IN {
            let object = json!({
                "apiVersion": AIProfile::api_version(&()), "kind": AIProfile::kind(&()),
                "metadata": {"name": name, "labels": {crate::api::common::LABEL_MANAGED_BY: MANAGER}},
                "spec": {"base": name, "catalogueVersion": super::compliance::CATALOGUE},
            });
            if let Err(error) =
                api.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&object)).await
            {
                tracing::warn!(profile = name, %error, "a built-in profile cannot be shown yet");
                shown = false;
            }
        }
        shown
    }

    async fn failed(&self, error: &AuditError) {
        self.metrics.reconcile_failed(error.label());
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        tracing::warn!(%error, cause, "the audit met an error");
        tokio::time::sleep(Duration::from_secs(2)).await;
    }

    /// What earlier terms have written.
    async fn restore(&self) -> Result<Written, AuditError> {
        let mut written = Written::default();
        let rows: Api<AICompliance> = Api::all(self.client.clone());
        let mut pages = ListParams::default().limit(500);
        loop {
            let page = rows.list(&pages).await.map_err(AuditError::List)?;
            for row in page.items {
                let name = row.name_any();
                let status = row.status.unwrap_or_default();
                if name == "cluster" {
                    written.cluster = status;
                } else {
                    if let Some(blocked) = &status.blocked {
                        lock(&self.book).restore((name.clone(), None), blocked.clone());
                    }
                    written.namespaces.insert(name, (AuditedNamespace::default(), status));
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => pages = pages.continue_token(&token),
                None => break,
            }
        }
        let workloads: Api<AIWorkload> = Api::all(self.client.clone());
        let mut pages = ListParams::default().limit(500);
        loop {
            let page = workloads.list(&pages).await.map_err(AuditError::List)?;
            for workload in page.items {
                let key = (workload.namespace().unwrap_or_default(), workload.name_any());
                let status = workload.status.unwrap_or_default();
                if let Some(blocked) = &status.blocked {
                    lock(&self.book).restore((key.0.clone(), Some(key.1.clone())), blocked.clone());
                }
                written.workloads.insert(key, status);
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => pages = pages.continue_token(&token),
                None => break,
            }
        }
        Ok(written)
    }

    async fn round(&self, touched: &Touched, written: &mut Written) {
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
        let gone: Vec<String> =
            written.namespaces.keys().filter(|name| !governed.contains(*name)).cloned().collect();
        for name in &gone {
            self.forget(name, written).await;
        }
        let now = Timestamp::now();
        let mut changed = !gone.is_empty() || touched.all;
        for name in &governed {
            if touched.all || touched.namespaces.contains(name) || !written.namespaces.contains_key(name) {
                changed |= self.namespace(name, now, written).await;
                // The keepers of the gate share this task.
                tokio::task::yield_now().await;
            }
        }
        let stale = written.cluster_at.is_none_or(|at| at.elapsed() > Duration::from_mins(1));
        if changed || stale {
            self.cluster(now, written, stale).await;
        }
    }

    async fn forget(&self, name: &str, written: &mut Written) {
        written.namespaces.remove(name);
        written.workloads.retain(|(namespace, _), _| namespace != name);
        written.faults.retain(|(namespace, _), _| namespace != name);
        lock(&self.book).forget(name);
        let rows: Api<AICompliance> = Api::all(self.client.clone());
        match rows.delete(name, &DeleteParams::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => self.failed(&AuditError::Row(name.to_owned(), error)).await,
        }
    }

    /// One namespace: bring about, judge, write. Returns whether its row has changed.
    async fn namespace(&self, name: &str, now: Timestamp, written: &mut Written) -> bool {
        self.generate(name, written).await;
        let images = images_of(&lock(&self.pods), self.world().namespace(name));
        let questions: Vec<ImageQuestion> = images.into_iter().collect();
        let known = self.signatures.signatures(name, questions, Instant::now() + LOOK_UP).await;
        let since = written
            .namespaces
            .get(name)
            .and_then(|(_, status)| status.conditions.iter().find(|c| c.type_ == "Governed"))
            .map_or_else(|| seconds(now), |c| c.last_transition_time.0);
        let (audited, statuses, mut row, uid) = {
            let world = self.world();
            let pods = lock(&self.pods);
            let audited = audit_namespace(&world, &pods, &known, name, since, &lock(&self.waiting), now);
            let namespace = world.namespace(name);
            let book = lock(&self.book);
            let statuses: Vec<(Arc<AIWorkload>, AIWorkloadStatus)> = audited
                .workloads
                .iter()
                .filter_map(|(workload_name, result)| {
                    let workload = namespace.workloads.get(workload_name)?;
                    let key = (name.to_owned(), workload_name.clone());
                    let former = written.workloads.get(&key).cloned().unwrap_or_default();
                    let generated = written.faults.get(&key).map_or(Ok(()), |why| Err(why.clone()));
                    let blocked = book.of(name, Some(workload_name), now);
                    let status = workload_status(
                        result,
                        workload.metadata.generation,
                        crate::policy::composition::digest(workload),
                        generated,
                        blocked,
                        &former,
                        now,
                    );
                    Some((Arc::clone(workload), status))
                })
                .collect();
            let former = written.namespaces.get(name).map(|(_, status)| status.clone()).unwrap_or_default();
            let row = namespace_status(namespace, &audited, book.of_namespace(name, now), &former, now);
            (audited, statuses, row, namespace.uid.clone())
        };
        let message = format!("governed since {since}");
        row.conditions =
            vec![super::compliance::condition(&[], "Governed", true, "Labelled", message, None, since)];
        self.write_statuses(name, &statuses, written).await;
        self.write_row(name, audited, row, uid, written).await
    }

    async fn write_statuses(
        &self,
        namespace: &str,
        statuses: &[(Arc<AIWorkload>, AIWorkloadStatus)],
        written: &mut Written,
    ) {
        let api: Api<AIWorkload> = Api::namespaced(self.client.clone(), namespace);
        let alive: BTreeSet<String> = statuses.iter().map(|(w, _)| w.name_any()).collect();
        written.workloads.retain(|(ns, name), _| ns != namespace || alive.contains(name));
        written.faults.retain(|(ns, name), _| ns != namespace || name.is_empty() || alive.contains(name));
        let changed: Vec<_> = statuses
            .iter()
            .filter(|(workload, status)| {
                written.workloads.get(&(namespace.to_owned(), workload.name_any())) != Some(status)
            })
            .collect();
        let results: Vec<_> = stream::iter(changed)
            .map(|(workload, status)| {
                let api = api.clone();
                async move {
                    let name = workload.name_any();
                    let patch = json!({
                        "apiVersion": AIWorkload::api_version(&()), "kind": AIWorkload::kind(&()),
                        "metadata": {"name": name}, "status": status,
                    });
                    let parameters = PatchParams::apply(MANAGER).force();
                    (workload, status, api.patch_status(&name, &parameters, &Patch::Apply(&patch)).await)
                }
            })
            .buffer_unordered(WRITES)
            .collect()
            .await;
        for (workload, status, result) in results {
            let name = workload.name_any();
            match result {
                Ok(_) => {
                    let former = written.workloads.insert((namespace.to_owned(), name), status.clone());
                    self.tell(workload, former.as_ref(), status).await;
                }
                Err(kube::Error::Api(error)) if error.code == 404 => {}
                Err(error) => self.failed(&AuditError::Status(format!("{namespace}/{name}"), error)).await,
            }
        }
    }

    /// Tells of a verdict that has turned, on the AIWorkload.
    async fn tell(
        &self,
        workload: &AIWorkload,
        former: Option<&AIWorkloadStatus>,
        status: &AIWorkloadStatus,
    ) {
        let failing = |s: &AIWorkloadStatus| matches!(s.verdict, Some(OverallVerdict::Fail));
        let was = former.is_some_and(failing);
        let running = status.pods.is_some_and(|pods| pods.total > 0);
        let turned =
            if former.is_some() { "runs, and is no longer compliant" } else { "runs, and is not compliant" };
        let event = match (was, failing(status)) {
            (false, true) if running => {
                let row = status.rows.first();
                let id = row.map(|r| r.control.clone()).unwrap_or_default();
                Event {
                    type_: EventType::Warning,
                    reason: control(&id)
                        .map_or_else(|| "NonCompliant".to_owned(), crate::policy::Control::reason),
                    note: Some(words::cut(
                        format!(
                            "{turned}: [{id}] {}",
                            row.and_then(|r| r.message.clone()).unwrap_or_default()
                        ),
                        1000,
                    )),
                    action: "Audit".to_owned(),
                    secondary: None,
                }
            }
            (true, false) => Event {
                type_: EventType::Normal,
                reason: "Compliant".to_owned(),
                note: Some("every enforced control is kept again".to_owned()),
                action: "Audit".to_owned(),
                secondary: None,
            },
            _ => return,
        };
        if let Err(error) = self.recorder.publish(&event, &workload.object_ref(&())).await {
            tracing::warn!(%error, "an Event could not be written");
        }
    }

    async fn write_row(
        &self,
        name: &str,
        audited: AuditedNamespace,
        mut row: AIComplianceStatus,
        uid: Option<String>,
        written: &mut Written,
    ) -> bool {
        let former = written.namespaces.get(name).map(|(_, status)| status);
        // The time alone is no news: unchanged rows are not written.
        let at = std::mem::take(&mut row.last_audit_time);
        let same = former.is_some_and(|former| {
            let mut former = former.clone();
            former.last_audit_time = None;
            former == row
        });
        if same {
            row.last_audit_time = former.and_then(|f| f.last_audit_time.clone());
            written.namespaces.insert(name.to_owned(), (audited, row));
            return false;
        }
        row.last_audit_time = at;
        let owner =
            uid.map(|uid| json!([{"apiVersion": "v1", "kind": "Namespace", "name": name, "uid": uid}]));
        match self.put_row(name, "Namespace", owner, &row).await {
            Ok(()) => {
                written.namespaces.insert(name.to_owned(), (audited, row));
            }
            Err(error) => {
                self.failed(&AuditError::Row(name.to_owned(), error)).await;
                self.dirty.add(Touched::namespace(name));
            }
        }
        true
    }

    async fn put_row(
        &self,
        name: &str,
        scope: &str,
        owner: Option<serde_json::Value>,
        status: &AIComplianceStatus,
    ) -> Result<(), kube::Error> {
        let api: Api<AICompliance> = Api::all(self.client.clone());
        let parameters = PatchParams::apply(MANAGER).force();
        let (version, kind) = (AICompliance::api_version(&()), AICompliance::kind(&()));
        let status_patch =
            json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "status": status});
        let first = api.patch_status(name, &parameters, &Patch::Apply(&status_patch)).await;
        if !matches!(&first, Err(kube::Error::Api(error)) if error.code == 404) {
            return first.map(|_| ());
        }
        let mut metadata = json!({"name": name, "labels": {crate::api::common::LABEL_MANAGED_BY: MANAGER}});
        if let Some(owner) = owner {
            metadata["ownerReferences"] = owner;
        }
        let object =
            json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": {"scope": scope}});
        api.patch(name, &parameters, &Patch::Apply(&object)).await?;
        api.patch_status(name, &parameters, &Patch::Apply(&status_patch)).await.map(|_| ())
    }

    async fn cluster(&self, now: Timestamp, written: &mut Written, stale: bool) {
        let own = {
            let faults: Vec<EnforcementFault> = self
                .drifts
                .borrow()
                .iter()
                .filter(|drift| now.duration_since(drift.at).as_hours() < 24)
                .map(|drift| EnforcementFault {
                    object: "ValidatingWebhookConfiguration \"portcullis\"".to_owned(),
                    detail: format!(
                        "was changed at {} by {:?} and repaired: {}",
                        seconds(drift.at),
                        drift.who.as_deref().unwrap_or("somebody"),
                        drift.what.join(", ")
                    ),
                })
                .collect();
            let undeclared: Vec<String> = {
                let world = self.world();
                let pods = lock(&self.pods);
                let ungoverned = |namespace: &str| !world.namespace(namespace).governed();
                pods.undeclared()
                    .filter(|(ns, _)| ungoverned(ns))
                    .map(|(_, line)| line.to_owned())
                    .take(32)
                    .collect()
            };
            {
                let mut world = self.world.write().unwrap_or_else(PoisonError::into_inner);
                world.cluster.enforcement_faults = faults;
                world.cluster.undeclared = undeclared;
            }
            let world = self.world();
            let nowhere = world.namespace("");
            let settings = world.settings(nowhere);
            let enforcement = Enforcement::of(nowhere, &world.cluster, None, now);
            let mut own = States::default();
            let facts = world.facts(now, Subject::Cluster, nowhere, &settings);
            own.note_all(decide(evaluate(&facts), &enforcement, None, false));
            for policy in world.cluster.trust_policies.values() {
                let problems = crate::gather::trust::problems(policy);
                let facts = world.facts(now, Subject::TrustPolicy(policy, &problems), nowhere, &settings);
                own.note_all(decide(evaluate(&facts), &enforcement, None, false));
            }
            for supplier in world.cluster.suppliers.values() {
                let facts = world.facts(now, Subject::Supplier(supplier), nowhere, &settings);
                own.note_all(decide(evaluate(&facts), &enforcement, None, false));
            }
            for organisation in world.cluster.governances.values() {
                let facts = world.facts(now, Subject::Governance(organisation), nowhere, &settings);
                own.note_all(decide(evaluate(&facts), &enforcement, None, false));
            }
            for profile in world.cluster.profiles.values() {
                let facts = world.facts(now, Subject::Profile(profile), nowhere, &settings);
                own.note_all(decide(evaluate(&facts), &enforcement, None, false));
            }
            own
        };
        let status = cluster_status(&written.namespaces, &own, &written.cluster, now);
        let same = {
            let mut former = written.cluster.clone();
            former.last_audit_time.clone_from(&status.last_audit_time);
            former == status
        };
        if same && !stale {
            return;
        }
        match self.put_row("cluster", "Cluster", None, &status).await {
            Ok(()) => {
                written.cluster = status;
                written.cluster_at = Some(Instant::now());
            }
            Err(error) => self.failed(&AuditError::Row("cluster".to_owned(), error)).await,
        }
    }

    /// Applies what is missing or different in one namespace.
    async fn generate(&self, name: &str, written: &mut Written) {
        let wanted: Vec<Desired> = {
            let world = self.world();
            let namespace = world.namespace(name);
            let of_workloads =
                namespace.workloads.values().flat_map(|w| generate::build(w, world.cluster.has_pod_monitors));
            std::iter::once(generate::build_namespace(namespace))
                .chain(of_workloads)
                .filter(|desired| !generate::present(&world, desired))
                .collect()
        };
        // A binding is refused while its role does not exist: bindings come last.
        let (bindings, others): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|desired| desired.resource == generate::Resource::RoleBinding);
        let mut applied = self.apply_all(others).await;
        applied.extend(self.apply_all(bindings).await);
        written.faults.retain(|(namespace, _), _| namespace != name);
        for (desired, result) in applied {
            let Err(error) = result else { continue };
            self.metrics.reconcile_failed(error.label());
            let source = std::error::Error::source(&error).map(|s| format!(": {s}")).unwrap_or_default();
            tracing::warn!(namespace = name, name = desired.name, "{error}{source}");
            let key = (name.to_owned(), if desired.owner.is_some() { desired.name } else { String::new() });
            written.faults.insert(key, words::cut(format!("{error}{source}"), 300));
        }
    }

    async fn apply_all(&self, wanted: Vec<Desired>) -> Vec<(Desired, Result<(), generate::GenerateError>)> {
        stream::iter(wanted)
            .map(|desired| async move {
                let result = generate::apply(&self.client, &desired).await;
                (desired, result)
            })
            .buffer_unordered(WRITES)
            .collect()
            .await
    }
}
