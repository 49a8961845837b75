//! Keeps the `ValidatingWebhookConfiguration` as it was installed, and its caBundle current.
//!
//! This is the only writer of that object beside the installer: the caBundle comes from the certificates' controller,
//! everything else from the list that the chart renders a second time for us. Only the caBundle is written in our own
//! name; a repair of the rest is written in the installer's, so that its next upgrade meets no conflict.

pub mod diff;
pub mod plan;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;

use self::plan::{
    Repair, bundles, ca_bundle, desired, entries, installer, last_writer, our_owner, owns_all, patience,
    plan, with_bundle,
};
use super::certificates::LiveBundles;
use super::keep::{Keeper, keep};
use crate::telemetry::events::Recorder;
use crate::telemetry::metrics::Metrics;

/// Our field manager.
const MANAGER: &str = "portcullis";
/// The installer's, where the object does not tell.
const INSTALLER: &str = "helm";
/// Both our Deployment and the `ClusterRole` that owns a recreated configuration have this name.
const OWNER: &str = "portcullis-controller";
/// The ConfigMap that the file is mounted from.
pub(super) const LIST: &str = "portcullis-webhooks";
/// How long a configuration may be away before it is recreated: an uninstall takes us with it before that.
const ABSENT_MAX: Duration = Duration::from_secs(10);
/// The desired list is read again this often.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Drifts that are remembered.
const DRIFTS_MAX: usize = 20;
/// An Event's note holds at most so many bytes.
const NOTE_MAX: usize = 1000;

/// Somebody changed or deleted the configuration, and it was repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// When we saw it.
    pub at: Timestamp,
    /// What differed, a sentence each.
    pub what: Vec<String>,
    /// Who was the last to write, as far as the object tells: manager, operation and time.
    pub who: Option<String>,
}

/// The drifts since this replica leads, oldest first, bounded.
pub type Drifts = Arc<Vec<Drift>>;

/// Why the configuration could not be kept.
#[derive(Debug, Error)]
pub enum WebhookError {
    /// The desired list cannot be read.
    #[error("the desired webhooks cannot be read from {0:?}")]
    File(PathBuf, #[source] std::io::Error),
    /// The desired list is no list of webhooks.
    #[error("the desired webhooks cannot be parsed")]
    Parse(#[source] serde_saphyr::Error),
    /// The desired list is empty or has an entry without a name.
    #[error("the desired webhooks are none, or one has no name")]
    Empty,
    /// The object cannot be read.
    #[error("the webhook configuration cannot be read")]
    Read(#[source] kube::Error),
    /// The object cannot be written.
    #[error("the webhook configuration cannot be written")]
    Write(#[source] kube::Error),
    /// Our own objects cannot be read.
    #[error("our own Deployment or ClusterRole cannot be read")]
    Owner(#[source] kube::Error),
}

impl WebhookError {
    /// The variant's name, for the metric.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::File(..) => "webhooks-file",
            Self::Parse(_) => "webhooks-parse",
            Self::Empty => "webhooks-empty",
            Self::Read(_) => "webhooks-read",
            Self::Write(_) => "webhooks-write",
            Self::Owner(_) => "webhooks-owner",
        }
    }
}

/// The desired list and the authorities to trust.
type Wanted = (Vec<Value>, Option<Arc<[u8]>>);

/// The controller.
pub struct Webhooks {
    client: Client,
    configurations: Api<DynamicObject>,
    kind: ApiResource,
    name: String,
    namespace: String,
    file: PathBuf,
    bundle: watch::Receiver<Option<Arc<[u8]>>>,
    live: watch::Sender<LiveBundles>,
    drifts: watch::Sender<Drifts>,
    recorder: Recorder,
    metrics: Arc<Metrics>,
    absent_since: Option<Instant>,
    /// What was last seen to be live as desired: a difference from it is drift, a difference from anything newer is not.
    settled: Option<Wanted>,
    repaired: VecDeque<Instant>,
}

/// What the controller needs from the outside.
#[derive(Debug)]
pub struct Settings {
    /// Name of the configuration.
    pub name: String,
    /// Our own namespace.
    pub namespace: String,
    /// The file with the desired list.
    pub file: PathBuf,
    /// The authorities to trust.
    pub bundle: watch::Receiver<Option<Arc<[u8]>>>,
    /// Where the live caBundles are told.
    pub live: watch::Sender<LiveBundles>,
    /// Where drifts are told.
    pub drifts: watch::Sender<Drifts>,
}

impl Webhooks {
    /// The controller.
    #[must_use]
    pub fn new(client: Client, settings: Settings, recorder: Recorder, metrics: Arc<Metrics>) -> Self {
        let kind = ApiResource::erase::<ValidatingWebhookConfiguration>(&());
        Self {
            configurations: Api::all_with(client.clone(), &kind),
            client,
            kind,
            name: settings.name,
            namespace: settings.namespace,
            file: settings.file,
            bundle: settings.bundle,
            live: settings.live,
            drifts: settings.drifts,
            recorder,
            metrics,
            absent_since: None,
            settled: None,
            repaired: VecDeque::new(),
        }
    }

    /// Keeps the configuration, for ever.
    pub async fn run(self) {
        let changes =
            watcher::watch_object(self.configurations.clone(), &self.name).default_backoff().boxed();
        let metrics = Arc::clone(&self.metrics);
        keep(self, changes, &metrics).await;
    }

    /// The configuration is not there: recreate it after a while, unless we are being uninstalled.
    async fn absent(&mut self, bundle: Option<Arc<[u8]>>) -> Result<Duration, WebhookError> {
        let since = *self.absent_since.get_or_insert_with(Instant::now);
        let left = ABSENT_MAX.saturating_sub(since.elapsed());
        if !left.is_zero() {
            return Ok(left);
        }
        let Some(owner) = self.owner().await? else { return Ok(LOOK_AGAIN) };
        let desired = match self.newest().await {
            Some(newest) => newest,
            None => self.desired().await?,
        };
        let entries = with_bundle(&desired, bundle.as_deref(), &[]);
        self.patch(INSTALLER, &Patch::Apply(self.object(&entries, Some(&owner)))).await?;
        let created = self.patch(MANAGER, &Patch::Apply(self.object(&bundles(&entries), None))).await?;
        self.absent_since = None;
        self.tell_live(&self::entries(&created));
        self.drifted(vec!["the webhook configuration was deleted".to_owned()], None, &created).await;
        self.settled = Some((desired, bundle));
        Ok(LOOK_AGAIN)
    }

    /// The owner of a recreated configuration; nothing while we are being uninstalled.
    async fn owner(&self) -> Result<Option<Value>, WebhookError> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), &self.namespace);
        let roles: Api<ClusterRole> = Api::all(self.client.clone());
        let (deployment, role) = futures::try_join!(deployments.get_opt(OWNER), roles.get_opt(OWNER))
            .map_err(WebhookError::Owner)?;
        let deployed = deployment.is_some_and(|found| found.metadata.deletion_timestamp.is_none());
        let role = role.filter(|role| role.metadata.deletion_timestamp.is_none());
        let Some(uid) = role.and_then(|role| role.metadata.uid).filter(|_| deployed) else {
            tracing::info!("the webhook configuration is gone and so are we: it is not recreated");
            return Ok(None);
        };
        Ok(Some(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": OWNER, "uid": uid,
        })))
    }

    /// Applies the bundle, or everything; then takes away what others added, which applying cannot do.
    async fn apply(
        &self,
        desired: &[Value],
        bundle: Option<&[u8]>,
        live: &DynamicObject,
        whole: bool,
    ) -> Result<(), WebhookError> {
        let entries = self::entries(live);
        let wanted = with_bundle(desired, bundle, &entries);
        if whole {
            let mut object = self.object(&wanted, our_owner(live).as_ref());
            // What an applier leaves out and owned before is taken away.
            object["metadata"]["labels"] = json!(live.metadata.labels);
            object["metadata"]["annotations"] = json!(live.metadata.annotations);
            self.patch(&installer(live), &Patch::Apply(object)).await?;
        }
        let applied = self.patch(MANAGER, &Patch::Apply(self.object(&bundles(&wanted), None))).await?;
        let applied_entries = self::entries(&applied);
        if plan(desired, bundle, &applied_entries) == Repair::None {
            self.tell_live(&applied_entries);
            return Ok(());
        }
        // A merge patch replaces the list as a whole; the resourceVersion in it makes sure that nobody was in between.
        let exact = json!({"metadata": {"resourceVersion": applied.resource_version()}, "webhooks": wanted});
        let replaced = self.patch(MANAGER, &Patch::Merge(exact)).await?;
        self.tell_live(&self::entries(&replaced));
        Ok(())
    }

    async fn patch<P: serde::Serialize + std::fmt::Debug>(
        &self,
        manager: &str,
        patch: &Patch<P>,
    ) -> Result<DynamicObject, WebhookError> {
        let parameters = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        let parameters = if matches!(patch, Patch::Apply(_)) { parameters.force() } else { parameters };
        self.configurations.patch(&self.name, &parameters, patch).await.map_err(WebhookError::Write)
    }

    fn object(&self, webhooks: &[Value], owner: Option<&Value>) -> Value {
        let mut object = json!({
            "apiVersion": self.kind.api_version, "kind": self.kind.kind,
            "metadata": {"name": self.name}, "webhooks": webhooks,
        });
        if let Some(owner) = owner {
            object["metadata"]["ownerReferences"] = json!([owner]);
        }
        object
    }

    async fn desired(&self) -> Result<Vec<Value>, WebhookError> {
        let text = tokio::fs::read_to_string(&self.file).await;
        desired(&text.map_err(|error| WebhookError::File(self.file.clone(), error))?)
    }

    /// The list as the ConfigMap has it now. An upgrade writes that first, and our file may follow a minute later:
    /// whoever repaired by the file would undo the upgrade meanwhile.
    async fn newest(&self) -> Option<Vec<Value>> {
        let lists: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let list = lists
            .get_opt(LIST)
            .await
            .inspect_err(|error| tracing::warn!(%error, "no newer list can be read"));
        desired(list.ok()??.data?.get(self.file.file_name()?.to_str()?)?).ok()
    }

    fn tell_live(&self, entries: &[Value]) {
        let bundles = match entries {
            [] => LiveBundles::Absent,
            entries => LiveBundles::Entries(
                entries.iter().map(|webhook| ca_bundle(webhook).unwrap_or_default()).collect(),
            ),
        };
        self.live.send_if_modified(|told| {
            let changed = *told != bundles;
            *told = bundles;
            changed
        });
    }

    async fn drifted(&mut self, what: Vec<String>, who: Option<String>, object: &DynamicObject) {
        self.metrics.drift_repaired();
        self.repaired.push_back(Instant::now());
        tracing::warn!(?what, who, "the webhook configuration was changed by somebody else and is repaired");
        let mut note = what.join("; ");
        if let Some(who) = &who {
            note = format!("last written by {who}: {note}");
        }
        note.truncate(note.floor_char_boundary(NOTE_MAX));
        self.drifts.send_modify(|drifts| {
            let kept = drifts.len().saturating_sub(DRIFTS_MAX - 1);
            let mut list: Vec<Drift> = drifts[kept..].to_vec();
            list.push(Drift { at: Timestamp::now(), what, who });
            *drifts = Arc::new(list);
        });
        let event = Event {
            type_: EventType::Warning,
            reason: "WebhookConfigurationRepaired".to_owned(),
            note: Some(note),
            action: "Repair".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &object.object_ref(&self.kind)).await {
            tracing::warn!(%error, "an Event was not written");
        }
    }

    fn recent_repairs(&mut self) -> usize {
        while self.repaired.front().is_some_and(|repaired| repaired.elapsed() > Duration::from_mins(1)) {
            self.repaired.pop_front();
        }
        self.repaired.len()
    }
}

impl Keeper for Webhooks {
    type Error = WebhookError;
    const WATCHES: &'static str = "validatingwebhookconfigurations";

    /// One look at the live object, and the repair it needs; how long to pause then.
    async fn reconcile(&mut self) -> Result<Duration, WebhookError> {
        let bundle = self.bundle.borrow_and_update().clone();
        // Always read afresh: an event may be older than our own last write.
        let Some(live) = self.configurations.get_opt(&self.name).await.map_err(WebhookError::Read)? else {
            self.live.send_replace(LiveBundles::Absent);
            return self.absent(bundle).await;
        };
        self.absent_since = None;
        let entries = entries(&live);
        self.tell_live(&entries);
        let mut desired = self.desired().await?;
        if !diff::diff(&desired, &entries).is_empty() {
            desired = self.newest().await.unwrap_or(desired);
        }
        let state = (desired, bundle);
        let (desired, bundle) = (&state.0, state.1.as_deref());
        let repair = plan(desired, bundle, &entries);
        let undone = self.settled.as_ref() == Some(&state);
        let what: Vec<String> = match &repair {
            Repair::Bundle if undone => vec!["caBundle was changed".to_owned()],
            Repair::None | Repair::Bundle => Vec::new(),
            Repair::Whole(differences) => differences.iter().map(ToString::to_string).collect(),
        };
        match repair {
            Repair::None => {}
            Repair::Bundle => {
                let whole = owns_all(&live);
                self.apply(desired, bundle, &live, whole).await?;
            }
            Repair::Whole(_) => self.apply(desired, bundle, &live, true).await?,
        }
        if !what.is_empty() {
            // A list that changed under us is an upgrade; at the first look nobody knows, so it is told.
            let upgraded = self.settled.as_ref().is_some_and(|(before, _)| before != desired);
            if !upgraded {
                self.drifted(what, last_writer(&live), &live).await;
            }
        }
        self.settled = Some(state);
        Ok(LOOK_AGAIN)
    }

    fn failed(&self, error: &WebhookError) {
        self.metrics.reconcile_failed(error.label());
        tracing::warn!(error = crate::telemetry::chain(error), "the webhook configuration was not kept");
    }

    async fn news(&mut self) {
        if self.bundle.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Somebody who keeps undoing our repairs is met a little later each time, and never with a flood of writes.
    fn breath(&mut self) -> Duration {
        patience(self.recent_repairs())
    }
}

impl std::fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhooks").field("name", &self.name).finish_non_exhaustive()
    }
}
