//! The row of the cluster: everything together, the enforcement itself, and whether the audit can be relied on.

use std::collections::HashSet;

use jiff::Timestamp;
use kube::Resource as _;
use kube::runtime::events::{Event, EventType};
use tokio::time::Instant;

use super::{AuditError, Auditor, PoisonError, Pulse, Written, lock};
use crate::api::AICompliance;
use crate::api::compliance::{AIComplianceSpec, Tombstone};
use crate::controllers::audit::states::States;
use crate::controllers::compliance::rows::cluster_status;
use crate::controllers::conditions::{FRESH, Said, TRAIL_EXPORTED, seconds};
use crate::controllers::export::Export;
use crate::controllers::trail;
use crate::controllers::webhooks::Drift;
use crate::gather::world::World;
use crate::policy::facts::{EnforcementFault, Subject};
use crate::policy::{Enforcement, decide, evaluate};
use crate::render::words;

/// Pods outside governed namespaces that the row names.
const UNDECLARED: usize = 32;

impl Auditor {
    /// Judges the cluster as a whole and writes its row, where it differs or `stale` asks for a sign of life.
    pub(super) async fn cluster(&self, now: Timestamp, pulse: &Pulse, written: &mut Written, stale: bool) {
        let tombstones = trail::tombstones(&written.cluster.tombstones, written.left.iter().cloned());
        let own = self.own(now, &tombstones);
        if pulse.was_still() {
            written.cluster.conditions.clear();
        }
        let namespaces = written.namespaces.values().map(|kept| (&kept.summed, &kept.told));
        let older = self.older();
        let said = [fresh(written, older.as_deref())].into_iter().chain(exported(&self.trail));
        let mut status = cluster_status(namespaces, &own, said, &written.cluster, now);
        status.tombstones = tombstones;
        status.ended = trail::ended(&written.cluster.ended, &written.chains_left);
        let same = {
            let mut former = written.cluster.clone();
            former.last_audit_time.clone_from(&status.last_audit_time);
            former == status
        };
        if (same && !stale) || written.trouble.1.lasts() {
            return;
        }
        match self.put_row("cluster", "Cluster", None, &status).await {
            Ok(()) => {
                written.cluster = status;
                written.left.clear();
                written.chains_left.clear();
                written.cluster_at = Some(Instant::now());
                written.trouble = Default::default();
            }
            Err(error) => {
                let error = AuditError::Row("cluster".to_owned(), error);
                written.trouble.1.failed();
                if self.failing(&error, &mut written.trouble.0) {
                    self.tell_unwritten(&error, older.as_deref()).await;
                }
            }
        }
    }

    /// Where the row of the cluster itself cannot say that it is old, an Event on it does.
    async fn tell_unwritten(&self, error: &AuditError, older: Option<&str>) {
        let row = AICompliance::new("cluster", AIComplianceSpec::default()).object_ref(&());
        if let Err(error) = self.recorder.publish(&unwritten(error, older), &row).await {
            tracing::warn!(%error, "an Event could not be written");
        }
    }

    /// What is found on the cluster itself: its enforcement, its trust policies and profiles.
    fn own(&self, now: Timestamp, tombstones: &[Tombstone]) -> States {
        let undisposed: Vec<(String, String)> = tombstones
            .iter()
            .filter_map(|stone| {
                let (home, name) = (stone.namespace.as_deref().unwrap_or_default(), &stone.name);
                Some((format!("{} {home}/{name}", stone.kind), stone.open.clone()?))
            })
            .collect();
        // A row tells of the first: what still stands open goes before what was repaired, and of that the newest.
        let mut faults: Vec<EnforcementFault> = self.guards.borrow().to_vec();
        faults.extend(self.drifts.borrow().iter().rev().filter(|drift| recent(drift, now)).map(fault));
        if let Some(why) = self.trail.fault() {
            let detail = format!("cannot be exported, {why}");
            let fix = "see that controller.auditExport of the chart names a place that takes what is written";
            faults.push(EnforcementFault { object: "audit trail".to_owned(), detail, fix });
        }
        if let Some(losses) = self.trail.losses(now) {
            let detail = format!("has lost entries within the last day: {losses}");
            let fix = "see what the export lacks: portcullis audit verify FILE --cluster";
            faults.push(EnforcementFault { object: "audit trail".to_owned(), detail, fix });
        }
        let undeclared: Vec<String> = {
            let world = self.world();
            let pods = lock(&self.pods);
            let registered = registered(&world);
            let mounting = pods.artifacts().filter_map(|(namespace, name, digests)| {
                let digest = digests.iter().find(|digest| registered.contains(digest.as_str()))?;
                let short = digest.get(..19).unwrap_or(digest);
                Some((namespace, format!("Pod {namespace}/{name} mounts the registered artifact {short}")))
            });
            pods.undeclared()
                .map(|(namespace, line)| (namespace, line.to_owned()))
                .chain(mounting)
                .filter(|(namespace, _)| !world.namespace(namespace).governed())
                .map(|(_, line)| line)
                .take(UNDECLARED)
                .collect()
        };
        let exported = Some(self.trail.is_on());
        let told = {
            let known = &self.world().cluster;
            known.enforcement_faults == faults
                && known.undeclared == undeclared
                && known.trail_exported == exported
                && known.undisposed == undisposed
        };
        if !told {
            let mut world = self.world.write().unwrap_or_else(PoisonError::into_inner);
            world.cluster.enforcement_faults = faults;
            world.cluster.undeclared = undeclared;
            world.cluster.trail_exported = exported;
            world.cluster.undisposed = undisposed;
        }
        let world = self.world();
        let nowhere = world.namespace("");
        let settings = world.settings(nowhere);
        let enforcement = Enforcement::of(nowhere, &world.cluster, None, now);
        let mut own = States::default();
        let mut judge = |subject: Subject<'_>| {
            let facts = world.facts(now, subject, nowhere, &settings);
            own.take(decide(evaluate(&facts), &enforcement, None, false));
        };
        judge(Subject::Cluster);
        for policy in world.cluster.trust_policies.values() {
            let problems = crate::gather::trust::problems_with(policy, Some(&world.trust_roots));
            judge(Subject::TrustPolicy(policy, &problems, None));
        }
        for supplier in world.cluster.suppliers.values() {
            judge(Subject::Supplier(supplier));
        }
        for organisation in world.cluster.governances.values() {
            judge(Subject::Governance(organisation));
        }
        for profile in world.cluster.profiles.values() {
            judge(Subject::Profile(profile));
        }
        own
    }
}

/// The digests of all models and datasets that are declared anywhere.
fn registered(world: &World) -> HashSet<&str> {
    let namespaces = world.cluster.namespaces.values();
    namespaces
        .flat_map(|namespace| {
            let models = namespace.models.values().filter_map(|model| model.spec.digest.as_deref());
            models.chain(namespace.datasets.values().filter_map(|dataset| dataset.spec.digest.as_deref()))
        })
        .collect()
}

/// The Event that the row of the cluster speaks of the past.
fn unwritten(error: &AuditError, older: Option<&str>) -> Event {
    let older = older.map(|older| format!("{older}: ")).unwrap_or_default();
    Event {
        type_: EventType::Warning,
        reason: "NotWritten".to_owned(),
        note: Some(words::cut(format!("what was found is not shown: {older}{}", error.words()), 1000)),
        action: "Audit".to_owned(),
        secondary: None,
    }
}

/// Whether what the rows say is what was found: a row that could not be written speaks of the past. `older` says that a
/// definition is older than this program.
fn fresh(written: &Written, older: Option<&str>) -> Said {
    let Some((name, why)) = written.unwritten.first_key_value() else {
        return Said::new(FRESH, true, "Audited", "the audit runs, and every row could be written");
    };
    let more = match written.unwritten.len() - 1 {
        0 => String::new(),
        rest => format!(" and of {rest} more namespaces"),
    };
    let older = older.map(|older| format!("{older}: ")).unwrap_or_default();
    Said::new(
        FRESH,
        false,
        "NotWritten",
        format!("what was found of {name:?}{more} could not be written: {older}{why}"),
    )
}

/// Whether what histories tell reaches the export; nothing where there is none.
fn exported(trail: &Export) -> Option<Said> {
    if !trail.is_on() {
        return None;
    }
    Some(match trail.fault() {
        None => Said::new(
            TRAIL_EXPORTED,
            true,
            "Exported",
            "no entry of a history waits for an export that fails",
        ),
        Some(why) => {
            Said::new(TRAIL_EXPORTED, false, "Waits", format!("the export of histories fails: {why}"))
        }
    })
}

fn recent(drift: &Drift, now: Timestamp) -> bool {
    now.duration_since(drift.at).as_hours() < 24
}

fn fault(drift: &Drift) -> EnforcementFault {
    EnforcementFault {
        object: "ValidatingWebhookConfiguration \"portcullis\"".to_owned(),
        detail: format!(
            "was changed at {} by {:?} and repaired: {}",
            seconds(drift.at),
            drift.who.as_deref().unwrap_or("somebody"),
            drift.what.join(", ")
        ),
        fix: "it is as installed again; find out who changed it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_is_not_fresh() {
        let mut written = Written::default();
        let at = Timestamp::UNIX_EPOCH;
        assert_eq!(fresh(&written, None).condition(&[], None, at).status, "True");
        for name in ["b", "a", "c"] {
            written.unwritten.insert(name.to_owned(), "forbidden".to_owned());
        }
        let condition = fresh(&written, None).condition(&[], None, at);
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", "NotWritten"));
        let wanted = "what was found of \"a\" and of 2 more namespaces could not be written: forbidden";
        assert_eq!(condition.message, wanted);
        let message = fresh(&written, Some("D is older; upgrade")).condition(&[], None, at).message;
        assert!(message.ends_with("could not be written: D is older; upgrade: forbidden"), "{message}");
    }

    #[test]
    fn an_event_tells_what_the_row_of_the_cluster_cannot() {
        let said = kube::core::Status::failure("field not declared in schema", "InternalError").boxed();
        let error = AuditError::Row("cluster".to_owned(), kube::Error::Api(said));
        let event = unwritten(&error, Some("D is older; upgrade"));
        assert_eq!(
            event.note.unwrap(),
            "what was found is not shown: D is older; upgrade: the row of \"cluster\" could not be written: field not \
             declared in schema"
        );
    }

    #[tokio::test]
    async fn a_condition_says_that_the_trail_waits() {
        use crate::api::outcome::{HistoryEntry, HistoryKind};
        use crate::controllers::export::Target;
        assert_eq!(exported(&Export::new(Target::Nowhere)), None);
        let folder = tempfile::tempdir().unwrap();
        let trail = Export::new(Target::File(folder.path().join("later").join("trail.jsonl")));
        let entry = HistoryEntry {
            sequence: 1,
            at: "2026-01-01T00:00:00Z".to_owned(),
            kind: HistoryKind::Asset,
            change: "m".to_owned(),
            digest: None,
            previous: "0".repeat(64),
        };
        trail.add("c", [&entry]);
        trail.flush().await;
        let said = exported(&trail).unwrap().condition(&[], None, Timestamp::UNIX_EPOCH);
        assert_eq!((said.status.as_str(), said.reason.as_str()), ("False", "Waits"));
        assert!(said.message.contains("1 entry waits: No such file"), "{}", said.message);
        std::fs::create_dir(folder.path().join("later")).unwrap();
        trail.flush().await;
        assert_eq!(exported(&trail).unwrap().condition(&[], None, Timestamp::UNIX_EPOCH).status, "True");
    }
}
