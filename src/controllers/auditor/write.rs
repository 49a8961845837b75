//! What the audit writes: generated objects, statuses, rows and Events, each only where it differs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource as _, ResourceExt as _};
use serde_json::{Value, json};

use super::faults::Of;
use super::pulse::Pulse;
use super::stored::{Kept, Packed, Stored, Written};
use super::{AuditError, Auditor, lock};
use crate::api::common::{LABEL_MANAGED_BY, MANAGER};
use crate::api::compliance::{AIComplianceStatus, Tombstone};
use crate::api::outcome::{HistoryEntry, HistoryKind};
use crate::api::workload::{AIWorkload, AIWorkloadStatus};
use crate::api::{AICompliance, OverallVerdict};
use crate::controllers::audit::states::control;
use crate::controllers::compliance::owners;
use crate::controllers::compliance::rows::Told;
use crate::controllers::conditions::seconds;
use crate::controllers::definitions::first_older;
use crate::controllers::generate::{self, Desired, Surplus};
use crate::controllers::status::put_status;
use crate::controllers::trail;
use crate::controllers::trouble::Trouble;
use crate::gather::world::Touched;
use crate::policy::facts::EnforcementFault;
use crate::policy::trail as chains;
use crate::render::words;

/// Writes to the API server at the same time.
const WRITES: usize = 8;

impl Auditor {
    /// Takes back what was written of a namespace that is governed no more.
    pub(super) async fn forget(&self, name: &str, written: &mut Written) {
        written.workloads.retain(|(namespace, _), _| namespace != name);
        written.faults.forget(name);
        written.authors.forget(name);
        written.strange.retain(|(_, (namespace, _))| namespace != name);
        written.held.remove(name);
        written.ended.remove(name);
        written.unwritten.remove(name);
        written.left_behind(name, self.world().namespace(name).uid.as_deref());
        lock(&self.book).forget(name);
        // What is left of its assets outlives its row.
        if let Some(kept) = written.namespaces.get_mut(name) {
            let mut row = kept.row.whole();
            written.left.append(&mut row.tombstones);
            kept.row = Packed::of(&row);
            let ended =
                self.world().cluster.namespaces.get(name).is_none_or(|namespace| namespace.terminating);
            if ended {
                // What was seen last is told with the time at which it was missed.
                let at = seconds(Timestamp::now()).to_string();
                let open = kept.open.drain(..);
                written.left.extend(open.map(|stone| Tombstone { disposed_at: Some(at.clone()), ..stone }));
            }
        }
        let rows: Api<AICompliance> = Api::all(self.client.clone());
        match rows.delete(name, &DeleteParams::default()).await {
            Ok(_) => {
                written.gone(name);
            }
            Err(kube::Error::Api(status)) if status.code == 404 => {
                written.gone(name);
            }
            Err(error) => self.not_written(name, &AuditError::Row(name.to_owned(), error), written),
        }
    }

    pub(super) fn failed(&self, error: &AuditError) {
        self.failing(error, &mut Trouble::default());
    }

    /// Counts that something failed, and says it as often as `trouble` lets. Returns whether it was said.
    pub(super) fn failing(&self, error: &AuditError, trouble: &mut Trouble) -> bool {
        self.metrics.reconcile_failed(error.label());
        let says = trouble.is_to_be_said();
        if says {
            tracing::warn!(error = error.words(), older = self.older(), "the audit met an error");
        }
        says
    }

    /// That a definition is older than this program, which is why writing fails, and the way out.
    pub(super) fn older(&self) -> Option<String> {
        let faults = self.guards.borrow();
        first_older(&faults)
            .map(|EnforcementFault { object, detail, fix }| format!("{object} {detail}; {fix}"))
    }

    /// Remembers that something of a namespace could not be written: it is tried again, and the cluster's row says so.
    fn not_written(&self, namespace: &str, error: &AuditError, written: &mut Written) {
        let (trouble, pause) = written.troubles.entry(namespace.to_owned()).or_default();
        pause.failed();
        self.failing(error, trouble);
        written.unwritten.insert(namespace.to_owned(), words::cut(error.words(), 300));
    }

    /// Writes the statuses of a namespace's workloads that differ from what was written last. `heard` says how many things
    /// that were noted of each workload its status tells now.
    pub(super) async fn write_statuses(
        &self,
        namespace: &str,
        statuses: Vec<(Arc<AIWorkload>, AIWorkloadStatus)>,
        mut heard: BTreeMap<String, usize>,
        pulse: &Pulse,
        written: &mut Written,
    ) {
        let alive: BTreeSet<String> = statuses.iter().map(|(w, _)| w.name_any()).collect();
        let gone = |(ns, name): &(String, String)| ns == namespace && !alive.contains(name);
        for (key, stored) in written.workloads.extract_if(|key, _| gone(key)) {
            written.authors.note(&key, stored.rest().authors);
        }
        written.faults.keep_workloads(namespace, &alive);
        let changed: Vec<_> = statuses
            .into_iter()
            .filter(|(workload, status)| {
                let stored = written.workloads.get(&(namespace.to_owned(), workload.name_any()));
                !stored.is_some_and(|stored| stored.is(workload.metadata.uid.as_ref(), status))
            })
            .collect();
        let mut results = stream::iter(changed)
            .map(|(workload, status)| async move {
                let name = workload.name_any();
                let result = put_status::<AIWorkload>(&self.client, Some(namespace), &name, &status).await;
                (workload, status, result)
            })
            .buffer_unordered(WRITES);
        while let Some((workload, status, result)) = results.next().await {
            let name = workload.name_any();
            pulse.beat();
            match result {
                Ok(true) => {
                    let key = (namespace.to_owned(), name);
                    let uid = workload.uid();
                    let former = written.workloads.get(&key).filter(|stored| stored.uid == uid);
                    self.tell(&workload, former, &status).await;
                    self.warn(&workload, former, &status).await;
                    let known = former.and_then(|stored| stored.rest().history);
                    let fresh = trail::fresh(status.history.as_ref(), known.as_ref());
                    let chain = chains::of_workload(&key.0, &key.1, uid.as_deref().unwrap_or_default());
                    if status.history.as_ref().is_some_and(|history| history.unexported.is_some()) {
                        self.trail.alone(&chain);
                    }
                    self.export(&chain, &fresh);
                    written.workloads.insert(key, Stored::of(uid, status));
                }
                Ok(false) => {}
                Err(error) => {
                    heard.remove(&name);
                    let error = AuditError::Status(format!("{namespace}/{name}"), error);
                    self.not_written(namespace, &error, written);
                }
            }
        }
        for (name, count) in heard {
            self.told(namespace, Some(&name), count);
        }
    }

    /// Forgets what was noted of one and is told by the history that is stored, whether this look told of it or an earlier
    /// one: what stayed would stand before all that is noted later.
    fn told(&self, namespace: &str, workload: Option<&str>, count: usize) {
        if lock(&self.book).told(namespace, workload, count) {
            self.dirty.add(Touched::namespace(namespace));
        }
    }

    /// Exports entries that stand in a status now.
    fn export(&self, chain: &str, fresh: &[HistoryEntry]) {
        if fresh.is_empty() {
            return;
        }
        self.trail.add(chain, fresh);
        if fresh.iter().any(|entry| entry.kind == HistoryKind::Trail) {
            self.trail.told(chain);
        }
    }

    /// Tells of a verdict that has turned, on the AIWorkload.
    async fn tell(&self, workload: &AIWorkload, former: Option<&Stored>, status: &AIWorkloadStatus) {
        let was = former.is_some_and(|stored| stored.verdict == Some(OverallVerdict::Fail));
        let fails = status.verdict == Some(OverallVerdict::Fail);
        let running = status.pods.is_some_and(|pods| pods.total > 0);
        let turned =
            if former.is_some() { "runs, and is no longer compliant" } else { "runs, and is not compliant" };
        let event = match (was, fails) {
            (false, true) if running => {
                let row = status.rows.first();
                let id = row.map(|r| r.control.clone()).unwrap_or_default();
                Event {
                    type_: EventType::Warning,
                    reason: control(&id)
                        .map_or_else(|| "NonCompliant".to_owned(), crate::policy::Control::reason),
                    note: Some(words::cut(
                        format!(
                            "{turned}: [{id}] {}{}",
                            row.and_then(|r| r.message.clone()).unwrap_or_default(),
                            takes_over(workload)
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

    /// Warns that the owners of a workload have to be confirmed again.
    async fn warn(&self, workload: &AIWorkload, former: Option<&Stored>, status: &AIWorkloadStatus) {
        let marks = (status.warned_days, former.and_then(|stored| stored.warned_days));
        let event = {
            let world = self.world();
            let namespace = world.namespace(workload.metadata.namespace.as_deref().unwrap_or_default());
            owners::event(workload, &world.settings(namespace), marks, Timestamp::now())
        };
        let Some(event) = event else { return };
        if let Err(error) = self.recorder.publish(&event, &workload.object_ref(&())).await {
            tracing::warn!(%error, "an Event could not be written");
        }
    }

    /// Writes the row of a namespace where it differs from `former`. Returns whether it does. The row tells of the first
    /// `noted` things that were noted of the namespace.
    pub(super) async fn write_row(
        &self,
        name: &str,
        mut kept: Kept,
        (mut row, former): (AIComplianceStatus, AIComplianceStatus),
        noted: usize,
        written: &mut Written,
    ) -> bool {
        // The time alone is no news: unchanged rows are not written.
        let at = std::mem::replace(&mut row.last_audit_time, former.last_audit_time.clone());
        let differs = row != former || written.missing.contains(name);
        let mut stands = true;
        if differs {
            row.last_audit_time = at;
            let chain = chains::of_namespace(name, kept.uid.as_deref().unwrap_or_default());
            let owner = kept
                .uid
                .as_ref()
                .map(|uid| json!([{"apiVersion": "v1", "kind": "Namespace", "name": name, "uid": uid}]));
            if let Err(error) = self.put_row(name, "Namespace", owner, &row).await {
                self.not_written(name, &AuditError::Row(name.to_owned(), error), written);
                // What was found counts for the row of the cluster; what is compared with next is what is stored.
                row = former;
                stands = false;
            } else {
                written.missing.remove(name);
                if row.history.as_ref().is_some_and(|history| history.unexported.is_some()) {
                    self.trail.alone(&chain);
                }
                self.ends_told(name, written);
                let fresh = trail::fresh(row.history.as_ref(), former.history.as_ref());
                self.export(&chain, &fresh);
            }
        }
        if stands {
            self.told(name, None, noted);
        }
        if differs {
            (kept.told, kept.row) = (Told::of(&row), Packed::of(&row));
        }
        written.namespaces.insert(name.to_owned(), kept);
        differs
    }

    /// Forgets the ends of workloads that the history of a namespace tells of now; the others are told at the next look.
    fn ends_told(&self, name: &str, written: &mut Written) {
        let Some(ended) = written.ended.get_mut(name) else { return };
        ended.drain(..trail::NOTES.min(ended.len()));
        if ended.is_empty() {
            written.ended.remove(name);
        } else {
            self.dirty.add(Touched::namespace(name));
        }
    }

    /// Writes a row, and creates its object where there is none.
    pub(super) async fn put_row(
        &self,
        name: &str,
        scope: &str,
        owner: Option<Value>,
        status: &AIComplianceStatus,
    ) -> Result<(), kube::Error> {
        if put_status::<AICompliance>(&self.client, None, name, status).await? {
            return Ok(());
        }
        let mut metadata = json!({"name": name, "labels": {LABEL_MANAGED_BY: MANAGER}});
        if let Some(owner) = owner {
            metadata["ownerReferences"] = owner;
        }
        let object = json!({
            "apiVersion": AICompliance::api_version(&()), "kind": AICompliance::kind(&()),
            "metadata": metadata, "spec": {"scope": scope},
        });
        let rows: Api<AICompliance> = Api::all(self.client.clone());
        rows.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&object)).await?;
        put_status::<AICompliance>(&self.client, None, name, status).await.map(drop)
    }

    /// Applies what is missing or different in one namespace, and takes away what is asked for no more.
    pub(super) async fn generate(&self, name: &str, written: &mut Written) {
        let (wanted, surplus) = {
            let world = self.world();
            let namespace = world.namespace(name);
            let kinds = generate::Kinds::of(&world.cluster);
            let mut wanted = vec![generate::build_namespace(namespace)];
            let mut surplus = Vec::new();
            for workload in namespace.workloads.values() {
                let desired = generate::build(workload, namespace, kinds);
                surplus.extend(generate::surplus(&world, workload, &desired));
                wanted.extend(desired);
            }
            wanted.retain(|desired| !generate::present(&world, desired));
            (wanted, surplus)
        };
        // A binding is refused while its role does not exist: bindings come last, and to no role that is somebody else's.
        let (mut bindings, others): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|desired| desired.resource == generate::Resource::RoleBinding);
        let mut applied = self.apply_all(others).await;
        let held = bindings.extract_if(.., |binding| {
            let its_role =
                |role: &Desired| role.resource == generate::Resource::Role && role.name == binding.name;
            applied.iter().any(|(desired, result)| result.is_err() && its_role(desired))
        });
        let of = |desired: Desired| {
            let workload = if desired.owner.is_some() { desired.name } else { String::new() };
            (desired.resource, (name.to_owned(), workload))
        };
        // What was in the way of one that waits for its role may still be.
        let mut failed: BTreeSet<_> = held.map(of).collect();
        applied.extend(self.apply_all(bindings).await);
        for (desired, result) in applied {
            let of = of(desired);
            match result {
                Err(error) => {
                    self.not_generated(&of, &error, written);
                    failed.insert(of);
                }
                Ok(()) => {
                    written.strange.remove(&of);
                }
            }
        }
        failed.extend(self.settle(surplus, written).await);
        for (resource, (namespace, name)) in written.faults.keep(name, &failed) {
            tracing::info!(namespace, name, "nothing stands in the way of its {} any more", resource.kind());
        }
    }

    /// Takes away what is asked for no more. What turns out to be somebody else's is not looked at again. Returns what could
    /// not be taken away.
    async fn settle(&self, surplus: Vec<Surplus>, written: &mut Written) -> Vec<Of> {
        let mut failed = Vec::new();
        for one in surplus {
            let of = (one.resource, (one.namespace.clone(), one.name.clone()));
            if written.strange.contains(&of) {
                continue;
            }
            match generate::settle(&self.client, &one).await {
                Ok(true) => {}
                Ok(false) => {
                    written.strange.insert(of);
                }
                Err(error) => {
                    self.not_generated(&of, &error, written);
                    failed.push(of);
                }
            }
        }
        failed
    }

    fn not_generated(&self, of: &Of, error: &generate::GenerateError, written: &mut Written) {
        self.metrics.reconcile_failed(error.label());
        let source = std::error::Error::source(error).map(|s| format!(": {s}")).unwrap_or_default();
        let words = format!("{error}{source}");
        if written.faults.note(of, &words) {
            tracing::warn!(namespace = of.1.0, name = of.1.1, "{words}");
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

/// What is declared to take over, as the end of a sentence; nothing where nothing is.
fn takes_over(workload: &AIWorkload) -> String {
    let failover = workload.spec.recovery.as_ref().and_then(|recovery| recovery.failover.as_ref());
    failover.map_or_else(String::new, |failover| {
        let name = failover.ref_.as_deref().unwrap_or(failover.kind.as_str());
        format!("; declared to take over: {name}")
    })
}
