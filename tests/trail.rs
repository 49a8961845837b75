//! The audit trail on a real API server: nothing of it is lost while its sink is away, while no controller is there, and
//! when a workload is deleted.
//!
//! Needs `KUBECONFIG` of a cluster of its own; `e2e/integration.sh` brings an API server up for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::runtime::events::Reporter;
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, ResourceExt as _};
use portcullis::api::outcome::{History, HistoryKind};
use portcullis::api::{AICompliance, AIWorkload};
use portcullis::controllers::auditor::Auditor;
use portcullis::controllers::blocked::Book;
use portcullis::controllers::dirty::Dirty;
use portcullis::controllers::export::{Export, Target};
use portcullis::controllers::guards::GuardFaults;
use portcullis::controllers::wake::Lookout;
use portcullis::controllers::webhooks::Drifts;
use portcullis::gather::registry::VerifierConfig;
use portcullis::gather::signatures::Signatures;
use portcullis::gather::world::{Kind, Object, Touched, World};
use portcullis::policy::trail::{Checked, Checker, Head, of_namespace, of_workload};
use portcullis::telemetry::events::Recorder;
use portcullis::telemetry::metrics::Metrics;
use portcullis::webhook::attempts::{Attempt, Attempts};
use portcullis::webhook::tls::install_provider;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const NAMESPACE: &str = "trail";
/// Whoever audits takes the rows of all that it does not know for left behind: one at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Asks again until the answer is there; fails with `what` after a minute.
async fn until<T, F>(what: &str, mut ask: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await.context(what.to_owned())? {
            return Ok(answer);
        }
        ensure!(start.elapsed() < Duration::from_mins(1), "not within a minute: {what}");
        sleep(Duration::from_millis(100)).await;
    }
}

struct Bench {
    client: Client,
    workloads: Api<AIWorkload>,
    rows: Api<AICompliance>,
    world: Arc<RwLock<World>>,
    dirty: Arc<Dirty>,
    file: PathBuf,
}

impl Bench {
    async fn start(file: &Path) -> Result<Self> {
        install_provider();
        let client = Client::try_default().await.context("KUBECONFIG of a cluster")?;
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        let parameters = PatchParams::apply("trail-test").force();
        for definition in portcullis::api::crds::all_crds()? {
            let name = definition.name_any();
            definitions.patch(&name, &parameters, &Patch::Apply(&definition)).await?;
            await_condition(definitions.clone(), &name, conditions::is_crd_established()).await?;
        }
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {
            "portcullis.dev/environment": "production", "portcullis.dev/sensitivity": "internal"}}});
        let namespace = namespaces.patch(NAMESPACE, &parameters, &Patch::Apply(&namespace)).await?;
        let bench = Self {
            workloads: Api::namespaced(client.clone(), NAMESPACE),
            rows: Api::all(client.clone()),
            client,
            world: Arc::default(),
            dirty: Arc::default(),
            file: file.to_owned(),
        };
        bench.known(|world| world.apply(Object::Namespace(Box::new(namespace))))?;
        // What another test has left says nothing of this one.
        for row in ["cluster", NAMESPACE] {
            let _ = bench.rows.delete(row, &DeleteParams::default()).await;
        }
        Ok(bench)
    }

    fn known(&self, change: impl FnOnce(&mut World) -> Touched) -> Result<()> {
        let touched = change(&mut *self.world.write().map_err(|_| anyhow::anyhow!("a lock"))?);
        self.dirty.add(touched);
        Ok(())
    }

    /// A controller that begins its term.
    fn audit(&self) -> JoinHandle<()> {
        self.audit_with(Arc::default())
    }

    /// A controller that begins its term, with what it hears of the replicas of the webhook.
    fn audit_with(&self, book: Arc<Mutex<Book>>) -> JoinHandle<()> {
        let auditor = Auditor {
            client: self.client.clone(),
            world: Arc::clone(&self.world),
            pods: Arc::default(),
            dirty: Arc::clone(&self.dirty),
            signatures: Arc::new(Signatures::new(Arc::clone(&self.world), VerifierConfig::default())),
            book,
            lookout: Arc::new(Lookout::new(false)),
            drifts: watch::Sender::new(Drifts::default()).subscribe(),
            recorder: Recorder::new(self.client.clone(), Reporter::from("trail-test")),
            metrics: Arc::new(Metrics::default()),
            trail: Arc::new(Export::new(Target::File(self.file.clone()))),
            observations: Arc::default(),
            guards: watch::Sender::new(GuardFaults::default()).subscribe(),
            retrieved: Arc::default(),
        };
        tokio::spawn(auditor.run())
    }

    /// Declares a workload with this value of a setting, and waits until its history has more than `entries` entries.
    async fn declared(&self, name: &str, value: &str, entries: u64) -> Result<(String, History)> {
        let object = json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIWorkload", "metadata": {"name": name},
            "spec": {"type": "supporting", "owners": {"accountable": {"user": "ada"}},
                "selector": {"matchLabels": {"app": name}},
                "settings": [{"name": "rate", "secureDefault": "on", "value": value}]},
        });
        let parameters = PatchParams::apply("trail-test").force();
        let workload = self.workloads.patch(name, &parameters, &Patch::Apply(&object)).await?;
        let uid = workload.uid().unwrap_or_default();
        self.known(|world| world.apply(Object::Workload(Box::new(workload))))?;
        let history = until("the history goes on", async || {
            let status = self.workloads.get(name).await?.status;
            let history = status.and_then(|status| status.history);
            Ok(history.filter(|history| history.length > entries))
        })
        .await?;
        Ok((uid, history))
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.workloads.delete(name, &DeleteParams::default()).await?;
        self.known(|world| world.remove(Kind::Workload, Some(NAMESPACE), name))
    }

    /// Waits until the history of the namespace tells that a workload was deleted.
    async fn told_of(&self, uid: &str) -> Result<String> {
        until("the history of the namespace tells of the deletion", async || {
            let status = self.rows.get_opt(NAMESPACE).await?.and_then(|row| row.status);
            let entries = status.and_then(|status| status.history).map(|h| h.entries).unwrap_or_default();
            Ok(entries.into_iter().map(|entry| entry.change).find(|change| change.starts_with(uid)))
        })
        .await
    }

    /// The history of the namespace, once an entry of it ends like this.
    async fn history_with(&self, end: &str) -> Result<History> {
        until(&format!("the history of the namespace tells {end:?}"), async || {
            let status = self.rows.get_opt(NAMESPACE).await?.and_then(|row| row.status);
            let history = status.and_then(|status| status.history).unwrap_or_default();
            Ok(history.entries.iter().any(|entry| entry.change.ends_with(end)).then_some(history))
        })
        .await
    }

    /// A term that has heard what the webhook remembers of versions up to this one, `once` or a second time.
    fn term(&self, versions: u64) -> Result<(JoinHandle<()>, Arc<Mutex<Book>>)> {
        let book = Arc::new(Mutex::new(Book::default()));
        self.hear(&book, versions)?;
        Ok((self.audit_with(Arc::clone(&book)), book))
    }

    /// Hears all that one replica remembers: each version of a model after the first.
    fn hear(&self, book: &Mutex<Book>, versions: u64) -> Result<()> {
        let report =
            Attempts { replica: "webhook-0".to_owned(), attempts: (2..=versions).map(changed).collect() };
        for namespace in book.lock().map_err(|_| anyhow::anyhow!("a lock"))?.take(&report) {
            self.dirty.add(Touched::namespace(&namespace));
        }
        Ok(())
    }

    /// What was exported of this namespace: the same API server may hold what other tests left.
    fn lines(&self) -> Result<Vec<String>> {
        let text = std::fs::read_to_string(&self.file)?;
        Ok(text.lines().filter(|line| line.contains(NAMESPACE)).map(str::to_owned).collect())
    }
}

fn checked<'l>(lines: impl IntoIterator<Item = &'l String>, heads: &BTreeMap<String, Head>) -> Checked {
    let mut checker = Checker::default();
    lines.into_iter().for_each(|line| checker.line(line));
    checker.finish(Some(heads))
}

/// What the row of the cluster says of the trail.
async fn fault(bench: &Bench) -> Result<Option<String>> {
    let status = bench.rows.get_opt("cluster").await?.and_then(|row| row.status);
    let findings = serde_json::to_value(status.map(|status| status.findings))?;
    let of_trail = |finding: &&Value| finding["object"] == "audit/trail";
    let found = findings.as_array().into_iter().flatten().find(of_trail);
    Ok(found.and_then(|finding| finding["message"].as_str()).map(str::to_owned))
}

#[tokio::test]
async fn the_trail_outlives_its_sink_its_controller_and_its_workloads() -> Result<()> {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir()?;
    let bench = Bench::start(&folder.path().join("later").join("trail.jsonl")).await?;

    // The sink is away, and more happens than a status keeps in quiet times.
    let auditing = bench.audit();
    let (uid, mut history) = bench.declared("chat", "0", 1).await?;
    for n in 1..10 {
        history = bench.declared("chat", &n.to_string(), history.length).await?.1;
    }
    ensure!(history.entries[0].sequence == 1 && history.length > 10, "{history:?}");
    let said =
        until("the row of the cluster tells that the export fails", async || fault(&bench).await).await?;
    ensure!(said.contains("cannot be exported, ") && said.contains("entries wait: No such file"), "{said}");
    auditing.abort();

    // The next controller has a sink, and exports what its predecessor could not.
    std::fs::create_dir(folder.path().join("later"))?;
    let auditing = bench.audit();
    let heads = BTreeMap::from([(of_workload(NAMESPACE, "chat", &uid), Head::of(&history))]);
    until("all of it is exported", async || {
        let found = bench.lines().map(|lines| checked(&lines, &heads)).unwrap_or_default();
        Ok((found.chains > 0 && found.faults.is_empty() && found.open.is_empty()).then_some(()))
    })
    .await?;
    until("the status keeps the newest entries only", async || {
        let history = bench.declared("chat", "9", 0).await?.1;
        Ok((history.entries.len() == 6).then_some(()))
    })
    .await?;

    // A deletion is told with the end of the chain, whether a controller is there or not.
    let length = bench.declared("chat", "9", 0).await?.1.length;
    bench.delete("chat").await?;
    let said = bench.told_of(&uid).await?;
    ensure!(said.ends_with(&format!(" was deleted after {length} entries: chat")), "{said}");
    let (other, history) = bench.declared("other", "0", 1).await?;
    until("the row knows where the other one stands", async || {
        let status = bench.rows.get(NAMESPACE).await?.status.unwrap_or_default();
        Ok(status.chains.into_iter().find(|chain| chain.uid == other && chain.head == history.head))
    })
    .await?;
    auditing.abort();
    bench.delete("other").await?;
    let auditing = bench.audit();
    let said = bench.told_of(&other).await?;
    ensure!(said.ends_with(&format!(" was deleted after {} entries: other", history.length)), "{said}");
    let lines = until("the deletion is exported", async || {
        let lines = bench.lines()?;
        Ok(lines.iter().any(|line| line.contains(&said)).then_some(lines))
    })
    .await?;
    auditing.abort();
    let found = checked(&lines, &BTreeMap::new());
    ensure!(found.faults.is_empty() && found.open.is_empty() && found.chains == 3, "{found:?}");

    // Whoever cuts the chain of a deleted workload out is told of it.
    for (name, uid) in [("chat", &uid), ("other", &other)] {
        let chain = of_workload(NAMESPACE, name, uid);
        let found = checked(lines.iter().filter(|line| !line.contains(&chain)), &BTreeMap::new());
        ensure!(found.faults.len() == 1 && found.faults[0].1.contains("none of them is here"), "{found:?}");
    }
    Ok(())
}

/// What the webhook notes of a model whose version became this one.
fn changed(version: u64) -> Attempt {
    Attempt {
        sequence: version - 1,
        at: jiff::Timestamp::now(),
        namespace: NAMESPACE.to_owned(),
        workload: None,
        object: "AIModel/numbers".to_owned(),
        control: "audit-trail-kept".to_owned(),
        message: format!("AIModel/numbers was changed: version {} -> version {version}", version - 1),
        noted: Some(HistoryKind::Asset),
        digest: None,
        tombstone: None,
        unusual: None,
        edit: None,
        lost: Vec::new(),
    }
}

#[tokio::test]
async fn changes_of_assets_are_told_once_and_all_of_them_whoever_leads() -> Result<()> {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir()?;
    let bench = Bench::start(&folder.path().join("later").join("trail.jsonl")).await?;

    // The sink is away, and the controller is killed after five changes.
    let (auditing, _) = bench.term(6)?;
    bench.history_with("version 5 -> version 6").await?;
    auditing.abort();

    // The next one hears of them again, and of those that came since; some more come while it leads.
    let (auditing, book) = bench.term(8)?;
    bench.history_with("version 7 -> version 8").await?;
    for versions in [9, 15, 30] {
        bench.hear(&book, versions)?;
        bench.history_with(&format!("-> version {versions}")).await?;
    }
    let history = bench.history_with("-> version 30").await?;
    ensure!(history.entries.len() == 16 && history.unexported.is_some(), "{history:?}");
    let waits = until("the row of the cluster says that the export fails", async || {
        let status = bench.rows.get_opt("cluster").await?.and_then(|row| row.status).unwrap_or_default();
        Ok(status.conditions.into_iter().find(|said| said.type_ == "TrailExported" && said.status == "False"))
    })
    .await?;
    ensure!(waits.reason == "Waits" && waits.message.contains("entries wait"), "{waits:?}");
    auditing.abort();

    // More waited than a status has room for: what went with the controller is told of, and nothing is told twice.
    let (auditing, _) = bench.term(31)?;
    bench.history_with("-> version 31").await?;
    std::fs::create_dir(folder.path().join("later"))?;
    let history = bench.history_with("-> version 31").await?;
    let namespaces: Api<Namespace> = Api::all(bench.client.clone());
    let uid = namespaces.get(NAMESPACE).await?.uid().unwrap_or_default();
    let chain = of_namespace(NAMESPACE, &uid);
    let heads = BTreeMap::from([(chain.clone(), Head::of(&history))]);
    let lines = until("all that is left is exported", async || {
        let lines = bench.lines().unwrap_or_default();
        let newest = lines.iter().any(|line| line.contains(&chain) && line.contains("-> version 31"));
        Ok(newest.then_some(lines))
    })
    .await?;
    until("the row of the cluster tells of the loss", async || {
        Ok(fault(&bench).await?.filter(|said| said.contains("has lost entries")))
    })
    .await?;
    auditing.abort();
    let told = lines.iter().filter(|line| line.contains(&chain));
    let found = checked(told.clone(), &heads);
    ensure!(lines.iter().any(|line| line.contains("dropped before known to be exported")), "{lines:#?}");
    for version in 20..=31 {
        let this = format!("-> version {version}\"");
        ensure!(told.clone().filter(|line| line.contains(&this)).count() == 1, "{version}: {lines:#?}");
    }
    for version in 2..=6 {
        let this = format!("-> version {version}\"");
        ensure!(!told.clone().any(|line| line.contains(&this)), "told again: {version}: {lines:#?}");
    }
    ensure!(found.faults.iter().all(|(_, fault)| fault.contains("dropped")), "{found:?}");
    Ok(())
}
