//! The statuses of everything that people write for us beside workloads: exemptions, trust policies, profiles, assets
//! and records. Each is computed as a value from the world and written only where it differs.

pub mod abroad;
pub mod asset;
pub mod exemption;
pub mod expiry;
pub mod history;
pub mod profile;
pub mod record;
pub mod trust;
pub mod unusual;

mod ledger;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use kube::core::ObjectMeta;
use kube::core::object::HasStatus;
use kube::runtime::events::{Event, EventType};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use self::ledger::Ledger;
use super::blocked::Told;
use super::trouble::Trouble;
use crate::api;
use crate::api::common::AssetStatus;
use crate::gather::world::{Touched, World};
use crate::policy::facts::{EvidenceFacts, ExemptionFacts, Namespace, Subject};
use crate::policy::{Decision, Enforcement, decide, evaluate};
use crate::telemetry::events::Recorder;
use crate::telemetry::metrics::Metrics;

/// What is stored is read again this often: somebody may have changed or deleted it.
const READ_AGAIN: Duration = Duration::from_mins(5);

/// One object, the status that it should have, and what its readers are told when it gets it.
struct Due<K: HasStatus> {
    metadata: ObjectMeta,
    status: K::Status,
    events: Vec<Event>,
    /// A second object that the Event is about.
    about: Option<k8s_openapi::api::core::v1::ObjectReference>,
}

impl<K: HasStatus> Due<K> {
    fn new(metadata: &ObjectMeta, status: K::Status) -> Self {
        Self { metadata: metadata.clone(), status, events: Vec::new(), about: None }
    }
}

/// A warning on the object that is about to end.
fn warning(reason: &str, note: String) -> Event {
    let note = Some(crate::render::words::cut(note, 1000));
    Event {
        type_: EventType::Warning,
        reason: reason.to_owned(),
        note,
        action: "Expire".to_owned(),
        secondary: None,
    }
}

/// Keeps the statuses, for one term.
pub struct Statuses {
    client: Client,
    world: Arc<RwLock<World>>,
    recorder: Recorder,
    metrics: Arc<Metrics>,
    read_at: Option<Instant>,
    trouble: Trouble,
    exemptions: Ledger<api::AIExemption>,
    trust_policies: Ledger<api::AITrustPolicy>,
    profiles: Ledger<api::AIProfile>,
    models: Ledger<api::AIModel>,
    datasets: Ledger<api::AIDataset>,
    prompts: Ledger<api::AIPrompt>,
    evidence: Ledger<api::AIEvidence>,
    suppliers: Ledger<api::AISupplier>,
    governances: Ledger<api::AIGovernance>,
}

/// What should be written, of every kind.
#[derive(Default)]
struct Dues {
    exemptions: Vec<Due<api::AIExemption>>,
    trust_policies: Vec<Due<api::AITrustPolicy>>,
    profiles: Vec<Due<api::AIProfile>>,
    models: Vec<Due<api::AIModel>>,
    datasets: Vec<Due<api::AIDataset>>,
    prompts: Vec<Due<api::AIPrompt>>,
    evidence: Vec<Due<api::AIEvidence>>,
    suppliers: Vec<Due<api::AISupplier>>,
    governances: Vec<Due<api::AIGovernance>>,
}

/// What assets of every kind have in common: who wrote them, and when that was unusual.
struct Own<'a> {
    told: &'a Told,
    namespace: &'a str,
    now: Timestamp,
}

impl Own<'_> {
    /// The status of an asset of this version, digest and last review: what `judged` makes of the former one, with its history.
    fn due<K>(
        &self,
        ledger: &Ledger<K>,
        metadata: &ObjectMeta,
        (version, digest, reviewed): (&Option<String>, &Option<String>, &Option<String>),
        judged: impl FnOnce(&AssetStatus) -> (AssetStatus, Option<Event>),
    ) -> Due<K>
    where
        K: Resource<DynamicType = ()> + HasStatus<Status = AssetStatus> + Clone + DeserializeOwned + Debug,
    {
        let what = format!("{}/{}", K::kind(&()), metadata.name.as_deref().unwrap_or_default());
        let key = (self.namespace.to_owned(), what);
        let former = ledger.former(metadata);
        let (mut status, event) = judged(&former);
        let seen = history::Seen::of(metadata, version.as_ref(), digest.as_ref());
        let edits = &self.told.edits;
        let told = (edits.of(&key.0, &key.1), edits.lost(&key.0));
        status.history = history::kept(&former.history, ledger.past(metadata), told, &seen, self.now);
        unusual::mark(&mut status, self.told.unusual.get(&key), &former, reviewed.as_deref(), self.now);
        let unusual = unusual::event(&key.1.replacen('/', " ", 1), &status, &former);
        Due { events: event.into_iter().chain(unusual).collect(), ..Due::new(metadata, status) }
    }
}

impl Statuses {
    /// Nothing is known yet of what earlier terms have written.
    #[must_use]
    pub fn new(
        client: &Client,
        world: &Arc<RwLock<World>>,
        recorder: &Recorder,
        metrics: &Arc<Metrics>,
    ) -> Self {
        Self {
            client: client.clone(),
            world: Arc::clone(world),
            recorder: recorder.clone(),
            metrics: Arc::clone(metrics),
            read_at: None,
            trouble: Trouble::default(),
            exemptions: Ledger::default(),
            trust_policies: Ledger::default(),
            profiles: Ledger::default(),
            models: Ledger::default(),
            datasets: Ledger::default(),
            prompts: Ledger::default(),
            evidence: Ledger::default(),
            suppliers: Ledger::default(),
            governances: Ledger::default(),
        }
    }

    /// Brings the statuses of what is touched up to date; exemptions are looked at every time, for they end by
    /// themselves. Returns the namespaces in which an exemption has begun or ceased to count.
    ///
    /// Guarantees: nothing is written before what was written earlier is known, so that no warning is given twice.
    pub async fn round(&mut self, touched: &Touched, told: &Told, now: Timestamp) -> BTreeSet<String> {
        let mut all = touched.all;
        if self.read_at.is_none_or(|at| at.elapsed() > READ_AGAIN) {
            if let Err(error) = self.read().await {
                self.metrics.reconcile_failed("StatusList");
                if self.trouble.is_to_be_said() {
                    tracing::warn!(%error, "what was written of exemptions, policies and assets could not be read");
                }
                return BTreeSet::new();
            }
            if self.trouble.is_over() {
                tracing::info!("what was written of exemptions, policies and assets can be read again");
            }
            self.read_at = Some(Instant::now());
            all = true;
        }
        let dues = self.dues(touched, all, told, now);
        let turned = self.turned(&dues.exemptions);
        let writer =
            ledger::Writer { client: &self.client, recorder: &self.recorder, metrics: &self.metrics };
        let failed = [
            self.exemptions.settle(&writer, dues.exemptions).await,
            self.trust_policies.settle(&writer, dues.trust_policies).await,
            self.profiles.settle(&writer, dues.profiles).await,
            self.models.settle(&writer, dues.models).await,
            self.datasets.settle(&writer, dues.datasets).await,
            self.prompts.settle(&writer, dues.prompts).await,
            self.evidence.settle(&writer, dues.evidence).await,
            self.suppliers.settle(&writer, dues.suppliers).await,
            self.governances.settle(&writer, dues.governances).await,
        ];
        if failed.contains(&true) {
            // Everything is compared again at the next round.
            self.read_at = None;
        }
        turned
    }

    async fn read(&mut self) -> Result<(), kube::Error> {
        self.exemptions.read(&self.client).await?;
        self.trust_policies.read(&self.client).await?;
        self.profiles.read(&self.client).await?;
        self.models.read(&self.client).await?;
        self.datasets.read(&self.client).await?;
        self.prompts.read(&self.client).await?;
        self.evidence.read(&self.client).await?;
        self.suppliers.read(&self.client).await?;
        self.governances.read(&self.client).await
    }

    /// Where an exemption counts that did not at the last look, or the other way round.
    fn turned(&self, exemptions: &[Due<api::AIExemption>]) -> BTreeSet<String> {
        let counts = |status: &api::exemption::AIExemptionStatus| {
            status.state == Some(api::exemption::ExemptionState::Active)
        };
        exemptions
            .iter()
            .filter(|due| counts(&due.status) != counts(&self.exemptions.former(&due.metadata)))
            .filter_map(|due| due.metadata.namespace.clone())
            .collect()
    }

    fn dues(&self, touched: &Touched, all: bool, told: &Told, now: Timestamp) -> Dues {
        let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
        let mut dues = Dues::default();
        let foreign = abroad::abroad(&world.cluster);
        for (name, namespace) in &world.cluster.namespaces {
            // Who uses a dataset from elsewhere stands in its status.
            let every = all
                || touched.namespaces.contains(name)
                || foreign
                    .get(name.as_str())
                    .is_some_and(|of| of.homes.iter().any(|home| touched.namespaces.contains(*home)));
            if every || !namespace.exemptions.is_empty() {
                self.of_namespace(
                    &world,
                    namespace,
                    every,
                    (told, foreign.get(name.as_str())),
                    now,
                    &mut dues,
                );
            }
        }
        if all {
            self.of_cluster(&world, now, &mut dues);
        }
        dues
    }

    fn of_namespace(
        &self,
        world: &World,
        namespace: &Namespace,
        every: bool,
        (told, abroad): (&Told, Option<&abroad::Abroad<'_>>),
        now: Timestamp,
        dues: &mut Dues,
    ) {
        let settings = world.settings(namespace);
        let enforcement = Enforcement::of(namespace, &world.cluster, None, now);
        let judge = |subject: Subject<'_>| -> Decision {
            decide(evaluate(&world.facts(now, subject, namespace, &settings)), &enforcement, None, false)
        };
        for exemption in namespace.exemptions.values() {
            let facts = ExemptionFacts { exemption, former: None, user: None, may_approve: None };
            let decision = judge(Subject::Exemption(facts));
            let former = self.exemptions.former(&exemption.metadata);
            let status = exemption::status(exemption, namespace, &world.cluster, &decision, &former, now);
            let mut due = Due::new(&exemption.metadata, status);
            due.events.extend(exemption::event(exemption, &due.status, &former, now));
            let subject = &exemption.spec.subject;
            let workload = namespace.workloads.get(&subject.name).filter(|_| subject.kind == "AIWorkload");
            due.about = workload.map(|workload| workload.object_ref(&()));
            dues.exemptions.push(due);
        }
        if !every {
            return;
        }
        let own = Own { told, namespace: &namespace.name, now };
        for model in namespace.models.values() {
            let decision = judge(Subject::Model(model));
            let spec = &model.spec;
            let kept = (&spec.version, &spec.digest, &spec.last_reviewed_at);
            dues.models.push(own.due(&self.models, &model.metadata, kept, |former| {
                let status = asset::model(model, namespace, &world.cluster, &decision, former, now);
                let event = asset::model_event(model, &status, former, now);
                (status, event)
            }));
        }
        for dataset in namespace.datasets.values() {
            let decision = judge(Subject::Dataset(dataset));
            let spec = &dataset.spec;
            let kept = (&spec.version, &spec.digest, &spec.last_reviewed_at);
            dues.datasets.push(own.due(&self.datasets, &dataset.metadata, kept, |former| {
                let mut status = asset::dataset(dataset, namespace, &world.cluster, &decision, former, now);
                if let Some(abroad) = abroad {
                    abroad.add(dataset, &mut status);
                }
                let event = asset::dataset_event(dataset, &status, former, now);
                (status, event)
            }));
        }
        for prompt in namespace.prompts.values() {
            let decision = judge(Subject::Prompt(prompt));
            let spec = &prompt.spec;
            let kept = (&spec.version, &spec.digest, &spec.last_reviewed_at);
            dues.prompts.push(own.due(&self.prompts, &prompt.metadata, kept, |former| {
                let status = asset::prompt(prompt, namespace, &decision, former, now);
                let event = asset::prompt_event(prompt, &status, former, now);
                (status, event)
            }));
        }
        for evidence in namespace.evidence.values() {
            let decision = judge(Subject::Evidence(EvidenceFacts::recorded(evidence)));
            let former = self.evidence.former(&evidence.metadata);
            let facts = world.facts(now, Subject::Namespace, namespace, &settings);
            let idle = crate::policy::evidence::idle(&facts, evidence);
            let status = record::evidence(evidence, &settings, (&decision, idle.as_ref()), &former, now);
            let mut due = Due::new(&evidence.metadata, status);
            due.events.extend(record::event(evidence, &settings, &due.status, &former, now));
            dues.evidence.push(due);
        }
    }

    fn of_cluster(&self, world: &World, now: Timestamp, dues: &mut Dues) {
        let nowhere = world.namespace("");
        let settings = world.settings(nowhere);
        let enforcement = Enforcement::of(nowhere, &world.cluster, None, now);
        let judge = |subject: Subject<'_>| -> Decision {
            decide(evaluate(&world.facts(now, subject, nowhere, &settings)), &enforcement, None, false)
        };
        for policy in world.cluster.trust_policies.values() {
            let problems = crate::gather::trust::problems_with(policy, Some(&world.trust_roots));
            let decision = judge(Subject::TrustPolicy(policy, &problems, None));
            let former = self.trust_policies.former(&policy.metadata);
            let all = world.cluster.trust_policies.values().map(AsRef::as_ref);
            let differences = crate::gather::trust::differences(policy, all);
            let status = trust::status(policy, (&problems, &differences), &decision, &former, now);
            dues.trust_policies.push(Due::new(&policy.metadata, status));
        }
        for profile in world.cluster.profiles.values() {
            let decision = judge(Subject::Profile(profile));
            let former = self.profiles.former(&profile.metadata);
            let status = profile::status(profile, &world.cluster, &decision, &former, now);
            dues.profiles.push(Due::new(&profile.metadata, status));
        }
        for supplier in world.cluster.suppliers.values() {
            let decision = judge(Subject::Supplier(supplier));
            let former = self.suppliers.former(&supplier.metadata);
            let status = record::supplier(supplier, &decision, &former, now);
            dues.suppliers.push(Due::new(&supplier.metadata, status));
        }
        for organisation in world.cluster.governances.values() {
            let decision = judge(Subject::Governance(organisation));
            let former = self.governances.former(&organisation.metadata);
            let status = record::governance(organisation, &decision, &former, now);
            dues.governances.push(Due::new(&organisation.metadata, status));
        }
    }
}
