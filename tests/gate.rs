//! The gate itself on a real API server: who leads, certificates made and rotated, and a webhook configuration that
//! comes back whatever is done to it.
//!
//! Needs `KUBECONFIG` of a cluster of its own; `e2e/integration.sh` brings an API server up for it.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::events::Reporter;
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, Resource, ResourceExt as _};
use portcullis::api::{AICompliance, AIEvidence};
use portcullis::controllers::auditor::Auditor;
use portcullis::controllers::certificates::{
    AUTHORITY_SECRET, Certificates, LiveBundles, Outputs, SERVING_SECRET, observe,
};
use portcullis::controllers::dirty::Dirty;
use portcullis::controllers::export::{Export, Target};
use portcullis::controllers::guards::GuardFaults;
use portcullis::controllers::leader::{self, Leadership};
use portcullis::controllers::proofs::Proofs;
use portcullis::controllers::wake::Lookout;
use portcullis::controllers::webhooks::{Drifts, Settings, Webhooks};
use portcullis::gather::registry::VerifierConfig;
use portcullis::gather::signatures::Signatures;
use portcullis::gather::world::{Object, World};
use portcullis::telemetry::events::Recorder;
use portcullis::telemetry::metrics::Metrics;
use portcullis::telemetry::probes::Readiness;
use portcullis::webhook::tls::{TlsStore, install_provider};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

const CONFIGURATION: &str = "portcullis-gate-test";
const SERVICE: &str = "portcullis-webhook";

/// Asks again until the answer is yes; fails with `what` after a minute.
async fn until<F>(what: &str, mut ask: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = Result<bool>>,
{
    let start = Instant::now();
    while !ask().await.context(what.to_owned())? {
        ensure!(start.elapsed() < Duration::from_mins(1), "not within a minute: {what}");
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Asks all along; fails at the first error within `time`. That nothing happens has no end that could be awaited.
async fn throughout<F>(time: Duration, mut ask: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let start = Instant::now();
    while start.elapsed() < time {
        ask().await?;
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn cluster(namespace: &str) -> Result<Client> {
    install_provider();
    let client = Client::try_default().await.context("KUBECONFIG of a cluster")?;
    let object: Namespace = serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
    match Api::all(client.clone()).create(&PostParams::default(), &object).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        other => drop(other?),
    }
    Ok(client)
}

struct Candidate {
    leadership: Leadership,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

fn candidate(client: &Client, namespace: &str, identity: &str) -> Candidate {
    let mut settings = leader::Settings::new(namespace, "election", identity);
    settings.lease = Duration::from_secs(3);
    settings.renew_deadline = Duration::from_secs(2);
    settings.retry = Duration::from_millis(300);
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async move {
        let _ = stopped.await;
    };
    let (leadership, task) = leader::start(client.clone(), settings, Arc::new(Metrics::default()), stopped);
    Candidate { leadership, stop, task }
}

#[tokio::test]
async fn one_candidate_leads_and_another_follows() -> Result<()> {
    let namespace = "gate-election";
    let client = cluster(namespace).await?;
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let candidates: Vec<Candidate> =
        ["one", "two", "three"].map(|identity| candidate(&client, namespace, identity)).into();
    let leaders =
        |candidates: &[Candidate]| candidates.iter().filter(|candidate| candidate.leadership.leads()).count();
    until("somebody leads", async || Ok(leaders(&candidates) == 1)).await?;
    // For longer than a Lease lasts it stays one, and the same.
    let holder = async || {
        Ok::<_, anyhow::Error>(leases.get("election").await?.spec.and_then(|spec| spec.holder_identity))
    };
    let first = holder().await?;
    throughout(Duration::from_secs(4), async || {
        ensure!(leaders(&candidates) == 1, "{} lead at once", leaders(&candidates));
        ensure!(holder().await? == first, "the leader changed without a reason");
        Ok(())
    })
    .await?;

    // One that ends releases the Lease: the next leads before it could have run out.
    let (leading, mut others): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|candidate| candidate.leadership.leads());
    let leading = leading.into_iter().next().context("a leader")?;
    drop(leading.stop);
    leading.task.await?;
    let released = Instant::now();
    until("the next leads", async || Ok(leaders(&others) == 1)).await?;
    ensure!(released.elapsed() < Duration::from_secs(2), "the release took {:?}", released.elapsed());

    // One that vanishes is waited out.
    let index = others.iter().position(|candidate| candidate.leadership.leads()).context("a leader")?;
    let vanished = others.remove(index);
    vanished.task.abort();
    let gone = Instant::now();
    until("the last leads", async || Ok(leaders(&others) == 1)).await?;
    ensure!(gone.elapsed() > Duration::from_secs(2), "the Lease was taken after {:?}", gone.elapsed());
    let transitions = leases.get("election").await?.spec.and_then(|spec| spec.lease_transitions);
    ensure!(transitions == Some(2), "{transitions:?} transitions");
    Ok(())
}

struct Gate {
    client: Client,
    namespace: String,
    configurations: Api<ValidatingWebhookConfiguration>,
    secrets: Api<Secret>,
    drifts: watch::Receiver<Drifts>,
    bundle: watch::Receiver<Option<Arc<[u8]>>>,
    store: Arc<TlsStore>,
    readiness: Readiness,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

/// The list as a chart would render it.
fn list(namespace: &str) -> Value {
    let client = json!({"service": {"name": SERVICE, "namespace": namespace, "path": "/validate"}});
    let rules = json!([{
        "apiGroups": ["gate-test.portcullis.dev"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["nothing"],
    }]);
    json!([
        {"name": "pods.gate-test.portcullis.dev", "clientConfig": client, "admissionReviewVersions": ["v1"],
         "sideEffects": "None", "timeoutSeconds": 3, "rules": rules},
        {"name": "kinds.gate-test.portcullis.dev", "clientConfig": client, "admissionReviewVersions": ["v1"],
         "sideEffects": "None", "failurePolicy": "Ignore", "rules": rules,
         "matchConditions": [{"name": "any", "expression": "true"}]},
    ])
}

impl Gate {
    async fn start(namespace: &str) -> Result<Self> {
        let client = cluster(namespace).await?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("webhooks.yaml");
        std::fs::write(&file, list(namespace).to_string())?;
        let metrics = Arc::new(Metrics::default());
        let recorder = Recorder::new(client.clone(), Reporter::from("gate-test"));
        let outputs =
            Arc::new(Outputs { bundle: watch::Sender::new(None), client: watch::Sender::new(None) });
        let live = watch::Sender::new(LiveBundles::Unknown);
        let drifts = watch::Sender::new(Drifts::default());
        let told = drifts.subscribe();
        let bundle = outputs.bundle.subscribe();
        let settings = Settings {
            name: CONFIGURATION.to_owned(),
            namespace: namespace.to_owned(),
            file,
            bundle: outputs.bundle.subscribe(),
            live: live.clone(),
            drifts,
        };
        let webhooks = Webhooks::new(client.clone(), settings, recorder.clone(), Arc::clone(&metrics));
        let certificates = Certificates::new(
            client.clone(),
            namespace,
            SERVICE,
            live.subscribe(),
            outputs,
            recorder,
            Arc::clone(&metrics),
        );
        let readiness = Readiness::default();
        let loaded = readiness.condition("certificate loaded");
        let store = Arc::new(TlsStore::new(&format!("{SERVICE}.{namespace}.svc"), None, metrics, loaded)?);
        let (watching, name) = (Arc::clone(&store), namespace.to_owned());
        let reader = client.clone();
        let tasks = vec![
            tokio::spawn(async move { watching.watch(reader, &name, SERVING_SECRET).await }),
            tokio::spawn(webhooks.run()),
            tokio::spawn(certificates.run()),
        ];
        Ok(Self {
            configurations: Api::all(client.clone()),
            secrets: Api::namespaced(client.clone(), namespace),
            namespace: namespace.to_owned(),
            client,
            drifts: told,
            bundle,
            store,
            readiness,
            tasks,
            _folder: folder,
        })
    }

    async fn live(&self) -> Result<Option<Value>> {
        let live = self.configurations.get_opt(CONFIGURATION).await?;
        Ok(live.map(serde_json::to_value).transpose()?)
    }

    /// Whether the live object is the list and trusts what the certificates' controller says.
    async fn whole(&self) -> Result<bool> {
        let (Some(live), Some(bundle)) = (self.live().await?, self.bundle.borrow().clone()) else {
            return Ok(false);
        };
        let (webhooks, wanted) = (live["webhooks"].as_array(), list(&self.namespace));
        let webhooks = webhooks.cloned().unwrap_or_default();
        let wanted = wanted.as_array().cloned().unwrap_or_default();
        let found = portcullis::controllers::webhooks::diff::diff(&wanted, &webhooks);
        let text = serde_json::to_value(ByteString(bundle.to_vec()))?;
        Ok(found.is_empty() && webhooks.iter().all(|webhook| webhook["clientConfig"]["caBundle"] == text))
    }

    async fn versions(&self) -> Result<Vec<Option<String>>> {
        Ok(vec![
            self.configurations.get(CONFIGURATION).await?.resource_version(),
            self.secrets.get(AUTHORITY_SECRET).await?.resource_version(),
            self.secrets.get(SERVING_SECRET).await?.resource_version(),
        ])
    }

    fn authorities(&self) -> usize {
        self.bundle.borrow().as_ref().map_or(0, |bundle| observe::certificates(bundle).len())
    }

    async fn evil(&self, patch: Value) -> Result<()> {
        let parameters = PatchParams { field_manager: Some("evil".to_owned()), ..PatchParams::default() };
        self.configurations.patch(CONFIGURATION, &parameters, &Patch::Merge(patch)).await?;
        Ok(())
    }
}

async fn ensure_created<K>(api: &Api<K>, object: Value) -> Result<()>
where
    K: Resource + Clone + serde::de::DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    match api.create(&PostParams::default(), &serde_json::from_value(object)?).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        other => other.map(|_| ()).map_err(Into::into),
    }
}

/// 071: whatever somebody changes, adds or takes away is repaired within seconds, and told.
async fn repairs(gate: &Gate) -> Result<()> {
    let namespace = gate.namespace.as_str();
    let mut weakened = list(namespace);
    weakened[0]["failurePolicy"] = json!("Ignore");
    weakened[0]["objectSelector"] = json!({"matchLabels": {"never": "there"}});
    weakened[0]["matchConditions"] = json!([{"name": "never", "expression": "false"}]);
    let foreign = json!({
        "name": "evil.example.com", "clientConfig": {"url": "https://127.0.0.1:1/"}, "sideEffects": "None",
        "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore",
    });
    if let Some(list) = weakened.as_array_mut() {
        list.push(foreign);
    }
    let start = Instant::now();
    gate.evil(json!({"webhooks": weakened})).await?;
    until("the changes are repaired", async || gate.whole().await).await?;
    ensure!(start.elapsed() < Duration::from_secs(5), "the repair took {:?}", start.elapsed());
    timeout(Duration::from_secs(5), gate.drifts.clone().wait_for(|drifts| drifts.len() == 1)).await??;
    let drift = gate.drifts.borrow()[0].clone();
    let told = drift.what.join("\n");
    for part in
        ["failurePolicy \"Ignore\"", "objectSelector", "matchConditions", "\"evil.example.com\" is not ours"]
    {
        ensure!(told.contains(part), "{part} is not in {told}");
    }
    ensure!(drift.who.as_deref().is_some_and(|who| who.starts_with("\"evil\"")), "{:?}", drift.who);
    let events: Api<Event> = Api::namespaced(gate.client.clone(), "default");
    until("an Event tells it", async || {
        let events = events.list(&ListParams::default()).await?;
        Ok(events.items.iter().any(|event| {
            event.reason.as_deref() == Some("WebhookConfigurationRepaired")
                && event.note.as_deref().is_some_and(|note| note.contains("\"evil\""))
        }))
    })
    .await?;
    Ok(())
}

/// A repair is found on the row of the cluster, as a row that the API server takes, within seconds.
async fn shows(gate: &Gate) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(gate.client.clone());
    for definition in portcullis::api::crds::all_crds()? {
        let name = definition.name_any();
        let parameters = PatchParams::apply("gate-test").force();
        definitions.patch(&name, &parameters, &Patch::Apply(&definition)).await?;
        await_condition(definitions.clone(), &name, conditions::is_crd_established()).await?;
    }
    let world = Arc::new(RwLock::new(World::default()));
    let (known, dirty) = (Arc::clone(&world), Arc::<Dirty>::default());
    let auditor = Auditor {
        client: gate.client.clone(),
        world: Arc::clone(&world),
        pods: Arc::default(),
        dirty: Arc::clone(&dirty),
        signatures: Arc::new(Signatures::new(world, VerifierConfig::default())),
        book: Arc::default(),
        lookout: Arc::new(Lookout::new(false)),
        drifts: gate.drifts.clone(),
        recorder: Recorder::new(gate.client.clone(), Reporter::from("gate-test")),
        metrics: Arc::new(Metrics::default()),
        trail: Arc::new(Export::new(Target::Nowhere)),
        observations: Arc::default(),
        guards: watch::Sender::new(GuardFaults::default()).subscribe(),
        retrieved: Arc::default(),
    };
    let auditing = tokio::spawn(auditor.run());
    let rows: Api<AICompliance> = Api::all(gate.client.clone());
    let status = async || Ok::<_, anyhow::Error>(rows.get_opt("cluster").await?.and_then(|row| row.status));
    until("the row of the cluster tells of the repair", async || {
        let findings = status().await?.map(|status| status.findings).unwrap_or_default();
        Ok(findings.iter().any(|finding| {
            finding.control == "enforcement-integrity"
                && finding.object == "ValidatingWebhookConfiguration/portcullis"
                && finding.message.as_deref().is_some_and(|message| message.contains("and repaired: "))
        }))
    })
    .await?;
    let fresh = status().await?.map(|status| status.conditions).unwrap_or_default();
    ensure!(fresh.iter().any(|c| c.type_ == "Fresh" && c.status == "True"), "{fresh:?}");
    // The next one is there at once, without a minute's wait.
    let begun = Instant::now();
    gate.evil(json!({"webhooks": [list(&gate.namespace)[0]]})).await?;
    until("the row tells of the second repair too", async || {
        let findings = status().await?.map(|status| status.findings).unwrap_or_default();
        Ok(findings.iter().any(|f| f.message.as_deref().is_some_and(|m| m.contains("was missing"))))
    })
    .await?;
    ensure!(begun.elapsed() < Duration::from_secs(15), "the row told of it after {:?}", begun.elapsed());
    deleted_rows_come_back(gate, &rows, &known, &dirty).await?;
    auditing.abort();
    documents_are_told(gate, &known).await
}

/// A row that somebody deletes is there again within seconds, with what it said before.
async fn deleted_rows_come_back(
    gate: &Gate,
    rows: &Api<AICompliance>,
    known: &Arc<RwLock<World>>,
    dirty: &Dirty,
) -> Result<()> {
    let name = "gate-rows";
    drop(cluster(name).await?);
    let namespaces: Api<Namespace> = Api::all(gate.client.clone());
    let mut governed = namespaces.get(name).await?;
    governed.metadata.labels = Some(
        [("portcullis.dev/environment", "production"), ("portcullis.dev/sensitivity", "internal")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
    );
    let touched =
        known.write().map_err(|_| anyhow::anyhow!("a lock"))?.apply(Object::Namespace(Box::new(governed)));
    dirty.add(touched);
    let row = async || Ok::<_, anyhow::Error>(rows.get_opt(name).await?.filter(|row| row.status.is_some()));
    until("the row of the namespace is there", async || Ok(row().await?.is_some())).await?;
    // Since when the namespace is governed is known from the row alone.
    let since = |row: Option<AICompliance>| row.and_then(|row| row.status).map(|status| status.conditions);
    let before = row().await?;
    // Times are written in whole seconds: only in a later one than all of these could one that was made up be told.
    let latest =
        since(before.clone()).into_iter().flatten().map(|c| c.last_transition_time.0.as_second()).max();
    until("the second of the row is over", async || {
        Ok(Some(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs().cast_signed())
            > latest)
    })
    .await?;
    let uid = before.as_ref().and_then(|row| row.metadata.uid.clone());
    rows.delete(name, &DeleteParams::default()).await?;
    let deleted = Instant::now();
    until("the row comes back", async || Ok(row().await?.is_some_and(|row| row.metadata.uid != uid))).await?;
    ensure!(deleted.elapsed() < Duration::from_secs(10), "it took {:?}", deleted.elapsed());
    let (before, after) = (since(before), since(row().await?));
    ensure!(before.is_some() && before == after, "{before:?} became {after:?}");
    let uid = rows.get("cluster").await?.metadata.uid;
    rows.delete("cluster", &DeleteParams::default()).await?;
    until("the row of the cluster comes back", async || {
        Ok(rows.get_opt("cluster").await?.is_some_and(|row| row.metadata.uid != uid && row.status.is_some()))
    })
    .await?;
    ensure!(deleted.elapsed() < Duration::from_secs(20), "it took {:?}", deleted.elapsed());
    Ok(())
}

/// What is found of the document behind evidence stands in its status, as the definition lets it.
async fn documents_are_told(gate: &Gate, known: &Arc<RwLock<World>>) -> Result<()> {
    let namespace = "gate-rows";
    let maps: Api<ConfigMap> = Api::namespaced(gate.client.clone(), namespace);
    ensure_created(&maps, json!({"metadata": {"name": "doc"}, "data": {"text": "hello"}})).await?;
    let all: Api<AIEvidence> = Api::namespaced(gate.client.clone(), namespace);
    let right = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let wrong = format!("sha256:{}", "1".repeat(64));
    for (name, document, digest) in
        [("right", "doc/text", right), ("wrong", "doc/text", &wrong), ("none", "gone/text", right)]
    {
        let spec = json!({
            "type": "ThreatModel", "subject": {"kind": "AIWorkload", "name": "chat"}, "result": "pass",
            "issuedAt": "2026-01-01", "attestedBy": "ada", "ref": format!("configmap://{document}"), "digest": digest,
        });
        ensure_created(&all, json!({"metadata": {"name": name}, "spec": spec})).await?;
        let stored = all.get(name).await?;
        drop(known.write().map_err(|_| anyhow::anyhow!("a lock"))?.apply(Object::Evidence(Box::new(stored))));
    }
    let proofs = Proofs {
        client: gate.client.clone(),
        world: Arc::clone(known),
        signatures: Arc::new(Signatures::new(Arc::clone(known), VerifierConfig::default())),
        metrics: Arc::new(Metrics::default()),
    };
    let proving = tokio::spawn(proofs.run());
    for (name, state) in [("right", "Same"), ("wrong", "Altered"), ("none", "Missing")] {
        until("what was found stands in the status", async || {
            let status = serde_json::to_value(all.get(name).await?.status)?;
            Ok(status["document"]["state"] == state)
        })
        .await
        .with_context(|| name.to_owned())?;
    }
    proving.abort();
    Ok(())
}

/// 071: a deleted configuration comes back, unless we are being uninstalled.
async fn recreates(gate: &Gate) -> Result<()> {
    let namespace = gate.namespace.as_str();
    // Deleted while we are being uninstalled: it stays away.
    gate.configurations.delete(CONFIGURATION, &DeleteParams::default()).await?;
    throughout(Duration::from_secs(13), async || {
        ensure!(gate.live().await?.is_none(), "it was recreated although our Deployment is gone");
        Ok(())
    })
    .await?;

    // Deleted while we are installed: it comes back, owned so that an uninstall takes it along.
    let roles: Api<ClusterRole> = Api::all(gate.client.clone());
    ensure_created(&roles, json!({"metadata": {"name": "portcullis-controller"}})).await?;
    let deployments: Api<Deployment> = Api::namespaced(gate.client.clone(), namespace);
    let template =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}});
    let spec = json!({"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template});
    ensure_created(&deployments, json!({"metadata": {"name": "portcullis-controller"}, "spec": spec}))
        .await?;
    until("it is recreated", async || gate.whole().await).await?;
    let recreated = gate.configurations.get(CONFIGURATION).await?;
    ensure!(recreated.owner_references().iter().any(|owner| owner.kind == "ClusterRole"), "nobody owns it");
    // A repair of the recreated one keeps its owner and its rules.
    gate.evil(json!({"webhooks": [list(namespace)[0]]})).await?;
    until("it is repaired once more", async || gate.whole().await).await?;
    let repaired = gate.configurations.get(CONFIGURATION).await?;
    ensure!(repaired.owner_references() == recreated.owner_references(), "the owner was lost");
    Ok(())
}

/// 076: a damaged authority is replaced; what is served stays trusted until everybody knows the new one.
async fn rotates(gate: &Gate) -> Result<()> {
    let serving = gate.store.current().context("a certificate is served")?.expires();
    let leaf = |secret: &Secret| observe::data(Some(secret), "tls.crt").map(<[u8]>::to_vec);
    let old = leaf(&gate.secrets.get(SERVING_SECRET).await?);
    let broken = BTreeMap::from([("tls.crt", ByteString(b"broken".to_vec()))]);
    let damage = Patch::Merge(json!({"data": broken}));
    let damaged = Instant::now();
    gate.secrets.patch(AUTHORITY_SECRET, &PatchParams::default(), &damage).await?;
    until("both authorities are trusted", async || Ok(gate.authorities() == 2 && gate.whole().await?))
        .await?;
    ensure!(leaf(&gate.secrets.get(SERVING_SECRET).await?) == old, "the certificate was switched at once");
    until("the certificate is switched", async || Ok(leaf(&gate.secrets.get(SERVING_SECRET).await?) != old))
        .await?;
    ensure!(damaged.elapsed() > Duration::from_secs(29), "it was switched after {:?}", damaged.elapsed());
    until("the new one is served", async || {
        Ok(gate.store.current().is_some_and(|current| current.expires() != serving))
    })
    .await?;
    ensure!(gate.authorities() == 2 && gate.whole().await?, "the old authority was dropped too early");

    // The serving Secret vanishes: it is back within seconds.
    gate.secrets.delete(SERVING_SECRET, &DeleteParams::default()).await?;
    until("the serving Secret is back", async || Ok(gate.secrets.get_opt(SERVING_SECRET).await?.is_some()))
        .await?;
    Ok(())
}

#[tokio::test]
async fn the_gate_comes_up_stays_quiet_and_comes_back() -> Result<()> {
    let namespace = "gate-keeping";
    let gate = Gate::start(namespace).await?;
    // As the installer leaves it: without caBundle.
    let object = json!({"metadata": {"name": CONFIGURATION}, "webhooks": list(namespace)});
    ensure_created(&gate.configurations, object).await?;
    until("certificates and configuration are there", async || {
        Ok(gate.whole().await? && gate.readiness.missing().is_empty())
    })
    .await?;
    let first = gate.configurations.get(CONFIGURATION).await?;
    let ours = first.managed_fields().iter().find(|entry| entry.manager.as_deref() == Some("portcullis"));
    let owned = serde_json::to_string(&ours.context("our fields")?.fields_v1)?;
    ensure!(
        owned.contains("f:caBundle") && !owned.contains("f:rules"),
        "in quiet times too much is owned: {owned}"
    );

    // Nothing is written when nothing differs.
    let before = gate.versions().await?;
    throughout(Duration::from_secs(3), async || {
        ensure!(gate.versions().await? == before, "something was written although nothing differed");
        Ok(())
    })
    .await?;
    ensure!(gate.drifts.borrow().is_empty(), "{:?}", gate.drifts.borrow());

    repairs(&gate).await?;
    shows(&gate).await?;
    recreates(&gate).await?;
    rotates(&gate).await?;
    for task in &gate.tasks {
        ensure!(!task.is_finished(), "a controller ended");
        task.abort();
    }
    gate.configurations.delete(CONFIGURATION, &DeleteParams::default()).await?;
    let roles: Api<ClusterRole> = Api::all(gate.client.clone());
    roles.delete("portcullis-controller", &DeleteParams::default()).await?;
    Ok(())
}
