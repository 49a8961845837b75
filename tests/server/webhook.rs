//! The webhook as the product runs it, but for the clock and for where signatures are known from.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use hyper::body::Bytes;
use kube::Client;
use portcullis::cli::check::signatures::Signatures;
use portcullis::controllers::certificates::issue;
use portcullis::gather::cluster::Feed;
use portcullis::gather::world::World;
use portcullis::telemetry::metrics::Metrics;
use portcullis::telemetry::probes::Readiness;
use portcullis::webhook::access::ClusterAuthorizer;
use portcullis::webhook::arrivals::Arrivals;
use portcullis::webhook::body::{BodyLimits, ByteBudget};
use portcullis::webhook::connections::{ConnectionLimits, Connections};
use portcullis::webhook::envelope::uid_of_prefix;
use portcullis::webhook::handler::Handler;
use portcullis::webhook::judge::Judge;
use portcullis::webhook::router::{self, Admission, Peer, ReviewHandler};
use portcullis::webhook::serve::{Drain, serve_tls};
use portcullis::webhook::tls::{Pair, TlsStore};
use portcullis::webhook::wire::Answer;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep};

use super::answers::{Known, Nobody};
use super::cluster::Cluster;
use super::fixtures::now;

const SERVER_NAME: &str = "portcullis-webhook.portcullis-system.svc";

/// What is only tried goes to the judge of the present fixtures; what is stored passes.
struct Switch {
    asked: AtomicUsize,
    judging: Mutex<Option<Arc<Handler>>>,
}

impl ReviewHandler for Switch {
    fn handle(self: Arc<Self>, body: Bytes, peer: Peer, deadline: Instant) -> BoxFuture<'static, Vec<u8>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let handler = self.judging.lock().unwrap().clone();
        match handler {
            Some(handler) if tried(&body) => handler.handle(body, peer, deadline),
            _ => {
                let answer = Answer::allow().to_json(uid_of_prefix(&body).unwrap_or_default());
                Box::pin(async move { answer })
            }
        }
    }
}

fn tried(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| text.contains("\"dryRun\":true"))
}

pub struct Webhook {
    switch: Arc<Switch>,
    client: Client,
    metrics: Arc<Metrics>,
    /// The watches of the present fixtures live here and end with it.
    watching: Mutex<Option<Runtime>>,
}

impl Webhook {
    /// Serves on a port of this machine, under the chart's webhook configuration.
    pub async fn start(cluster: &Cluster) -> Self {
        let authority = issue::authority(jiff::Timestamp::now().as_second()).unwrap();
        let names = [SERVER_NAME.to_owned(), "127.0.0.1".to_owned()];
        let serving =
            issue::serving(&authority, &names, jiff::Timestamp::now().as_second(), i64::MAX).unwrap();
        let metrics = Arc::new(Metrics::default());
        let readiness = Readiness::default();
        let store =
            TlsStore::new(SERVER_NAME, None, Arc::clone(&metrics), readiness.condition("certificate"))
                .unwrap();
        let authorities = authority.certificate.into_bytes();
        let bundle = STANDARD.encode(&authorities);
        let pair = Pair { certificate: serving.certificate.into(), key: serving.key.into(), authorities };
        store.load(&pair).unwrap();

        let switch = Arc::new(Switch { asked: AtomicUsize::new(0), judging: Mutex::default() });
        let admission = Admission {
            handler: Arc::clone(&switch) as Arc<dyn ReviewHandler>,
            attempts: Arc::new(Vec::new),
            budget: Arc::new(ByteBudget::new(BodyLimits::default(), Arc::clone(&metrics))),
            metrics: Arc::clone(&metrics),
            require_api_server: false,
            deadline: router::DEADLINE,
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Connections::new(ConnectionLimits::default(), Arc::clone(&metrics));
        let drain = Drain {
            linger: Duration::ZERO,
            grace: Duration::ZERO,
            accepting: readiness.condition("accepting"),
        };
        let never = std::future::pending();
        tokio::spawn(serve_tls(
            listener,
            router::router(admission),
            Arc::new(store),
            connections,
            drain,
            never,
        ));

        cluster.create(&configuration(port, &bundle)).await.unwrap();
        let webhook = Self { switch, client: cluster.client.clone(), metrics, watching: Mutex::default() };
        webhook.called(cluster).await;
        webhook
    }

    /// Waits until the API server asks us.
    async fn called(&self, cluster: &Cluster) {
        let probe = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "probe", "labels": {"portcullis.dev/environment": "staging"}},
        });
        let begun = Instant::now();
        while self.switch.asked.load(Ordering::SeqCst) == 0 {
            let _ = cluster.dry_run(&probe, "j.doe", false).await;
            assert!(begun.elapsed() < Duration::from_secs(20), "the API server does not call the webhook");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Starts anew, as a replica does: lists and watches what is stored now, and knows the signatures of each namespace.
    pub async fn learn(&self, signatures: BTreeMap<String, Signatures>) {
        let world = Arc::new(RwLock::new(World::default()));
        let synced = Readiness::default().condition("caches synced");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (fed, condition, metrics) = (Arc::clone(&world), synced.clone(), Arc::clone(&self.metrics));
        runtime.spawn(async move {
            let client = Client::try_default().await.unwrap();
            Feed::new(fed, Arc::new(|_| ()), metrics, condition).start(&client);
        });
        if let Some(former) = self.watching.lock().unwrap().replace(runtime) {
            former.shutdown_background();
        }
        let begun = Instant::now();
        while !synced.is_met() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the watches do not sync");
            sleep(Duration::from_millis(5)).await;
        }
        let judge = Judge {
            world,
            signatures: Arc::new(Known(signatures)),
            authorizer: Arc::new(ClusterAuthorizer::new(self.client.clone())),
            sink: Arc::new(Nobody),
            running: Arc::new(Nobody),
            arrivals: Arc::new(Arrivals::default()),
            operator: "operator".to_owned(),
            clock: now,
        };
        let handler = Handler { judge, metrics: Arc::clone(&self.metrics) };
        *self.switch.judging.lock().unwrap() = Some(Arc::new(handler));
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        if let Some(runtime) = self.watching.lock().unwrap().take() {
            runtime.shutdown_background();
        }
    }
}

/// The chart's webhook configuration, calling this process.
fn configuration(port: u16, bundle: &str) -> Value {
    let install =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/install.yaml")).unwrap();
    let mut documents = portcullis::gather::files::documents::Documents::default();
    documents.text("install.yaml", &install);
    let found = documents.objects.into_iter().map(|(_, object)| object);
    let mut object =
        found.into_iter().find(|object| object["kind"] == "ValidatingWebhookConfiguration").unwrap();
    let client = BTreeMap::from([
        ("url", format!("https://127.0.0.1:{port}/validate")),
        ("caBundle", bundle.to_owned()),
    ]);
    for webhook in object["webhooks"].as_array_mut().unwrap() {
        webhook["clientConfig"] = json!(client);
    }
    object
}
