//! `portcullis controller`: one replica of the controllers, of which one leads.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, RwLock};

use clap::Args;
use kube::runtime::events::Reporter;
use tokio::sync::watch;

use super::serving::{Common, StartError, client, serve_probes, start, stop_signal};
use crate::controllers::assets::Assets;
use crate::controllers::auditor::Auditor;
use crate::controllers::blocked::Book;
use crate::controllers::certificates::{Certificates, LiveBundles, Outputs};
use crate::controllers::collect::{Replicas, collect};
use crate::controllers::dirty::Dirty;
use crate::controllers::export::{Export, Target};
use crate::controllers::guards::{GuardFaults, watch_guards};
use crate::controllers::leader;
use crate::controllers::network::{NetworkProbe, Ports};
use crate::controllers::pods::Pods;
use crate::controllers::probe::Prober;
use crate::controllers::proofs::Proofs;
use crate::controllers::retrieval::Retriever;
use crate::controllers::wake::{Lookout, Waker};
use crate::controllers::watch_pods::watch_pods;
use crate::controllers::webhooks::{self, Drifts, Webhooks};
use crate::gather::cluster::Feed;
use crate::gather::pull_secrets::ClusterSecrets;
use crate::gather::registry::VerifierConfig;
use crate::gather::roots;
use crate::gather::signatures::{SignatureSource, Signatures};
use crate::gather::world::{Touched, World};
use crate::telemetry::events::Recorder;
use crate::telemetry::metrics::{CacheStats, Metrics};
use crate::telemetry::probes::{Condition, Readiness};

/// Name of the Lease, of the reporter of Events and of everything else that the controller calls itself.
const NAME: &str = "portcullis-controller";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Name of the webhook configuration to keep as it was installed
    #[arg(long, env = "PORTCULLIS_WEBHOOK_CONFIGURATION", default_value = "portcullis")]
    webhook_configuration: String,
    /// File with the desired webhooks, as the chart renders them
    #[arg(long, env = "PORTCULLIS_WEBHOOKS_FILE", default_value = "/etc/portcullis/webhooks.yaml")]
    webhooks_file: PathBuf,
    /// Wake owners of refused pods, by an annotation, when what was missing has come
    #[arg(long, env = "PORTCULLIS_WAKE", default_value = "true", action = clap::ArgAction::Set)]
    wake: bool,
    /// Where the audit trail is exported to, as lines of JSON: none, stdout, or the absolute path of a file
    #[arg(long, env = "PORTCULLIS_AUDIT_EXPORT", default_value = "none", value_name = "none|stdout|FILE")]
    audit_export: Target,
    /// Read the declared figures of running pods, to see that they are there and move
    #[arg(long, env = "PORTCULLIS_PROBE_METRICS", default_value = "true", action = clap::ArgAction::Set)]
    probe_metrics: bool,
    /// Port of the webhook's pods that the network policy of this one keeps it from: with it, whether policies are kept is tried
    #[arg(long, env = "PORTCULLIS_PROBE_NETWORK", value_name = "PORT")]
    probe_network: Option<u16>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    // The work of the leader stays on the calling thread, so one other is enough for watches, probes and the Lease; each has
    // memory of its own.
    start(&arguments.common, Some(1), serve(arguments))
}

#[expect(clippy::too_many_lines, reason = "one list, read from top to bottom")]
async fn serve(arguments: &Arguments) -> Result<(), StartError> {
    let stop = stop_signal()?;
    let common = &arguments.common;
    let world = Arc::new(RwLock::new(World::with_verifier(&common.verifier_image)));
    let signatures = Arc::new(Signatures::new(Arc::clone(&world), VerifierConfig::default()));
    let metrics = Arc::new(Metrics::new(vec![Arc::clone(&signatures) as Arc<dyn CacheStats>]));
    let readiness = Readiness::default();
    serve_probes(common.http_listen, &readiness, &metrics).await?;
    let client = client().await?;
    signatures.read_pull_secrets(Arc::new(ClusterSecrets(client.clone())));
    let reporter = Reporter { controller: NAME.to_owned(), instance: Some(common.pod_name.clone()) };
    let recorder = Recorder::new(client.clone(), reporter);

    let gate = Gate::new();
    let known = Known::watch(&client, &metrics, &readiness, world, signatures);
    let dirty = Arc::clone(&known.dirty);
    let listener = Arc::new(move |touched: Touched| dirty.add(touched));
    tokio::spawn(roots::keep(
        client.clone(),
        common.pod_namespace.clone(),
        Arc::clone(&known.world),
        listener,
    ));
    let settings = leader::Settings::new(&common.pod_namespace, NAME, &common.pod_name);
    let (leadership, election) = leader::start(client.clone(), settings, Arc::clone(&metrics), stop);
    leadership
        .while_leading(|| {
            let (certificates, webhooks) = gate.controllers(arguments, &client, &recorder, &metrics);
            let (auditor, waker) = known.controllers(arguments, &client, &gate, &recorder, &metrics);
            let replicas =
                Replicas { namespace: common.pod_namespace.clone(), service: common.service_name.clone() };
            let collecting = collect(
                client.clone(),
                replicas,
                gate.outputs.client.subscribe(),
                Arc::clone(&auditor.book),
                Arc::clone(&auditor.dirty),
            );
            let assets = Assets::new(
                client.clone(),
                Arc::clone(&known.world),
                Arc::clone(&known.signatures),
                known.synced.clone(),
                Arc::clone(&metrics),
            );
            let proofs = Proofs {
                client: client.clone(),
                world: Arc::clone(&known.world),
                signatures: Arc::clone(&known.signatures),
                metrics: Arc::clone(&metrics),
            };
            let prober = Prober {
                world: Arc::clone(&known.world),
                pods: Arc::clone(&known.pods),
                dirty: Arc::clone(&known.dirty),
                observations: Arc::clone(&auditor.observations),
            };
            let guards = watch_guards(
                client.clone(),
                arguments.common.pod_namespace.clone(),
                gate.guards.clone(),
                Arc::clone(&metrics),
            );
            let retriever = Retriever {
                world: Arc::clone(&known.world),
                signatures: Arc::clone(&known.signatures),
                dirty: Arc::clone(&known.dirty),
                found: Arc::clone(&auditor.retrieved),
            };
            let ports =
                arguments.probe_network.map(|outward| Ports { inward: common.http_listen.port(), outward });
            let network = NetworkProbe::new(
                client.clone(),
                Replicas { namespace: common.pod_namespace.clone(), service: common.service_name.clone() },
                ports,
                Arc::clone(&known.world),
                Arc::clone(&known.dirty),
            );
            let probes = arguments.probe_metrics;
            let wakes_owners = arguments.wake;
            Box::pin(async move {
                tokio::join!(
                    certificates.run(),
                    webhooks.run(),
                    auditor.run(),
                    assets.run(),
                    retriever.run(),
                    proofs.run(),
                    collecting,
                    guards,
                    network.run(),
                    async {
                        if probes {
                            prober.run().await;
                        }
                    },
                    async {
                        if wakes_owners {
                            waker.run().await;
                        }
                    }
                );
            })
        })
        .await;
    // An election that panicked has said so already; the process ends either way.
    let _ = election.await;
    Ok(())
}

/// What the controllers of the gate tell each other and the audit; it outlives a term of leadership.
struct Gate {
    outputs: Arc<Outputs>,
    live: watch::Sender<LiveBundles>,
    drifts: watch::Sender<Drifts>,
    guards: watch::Sender<GuardFaults>,
}

impl Gate {
    fn new() -> Self {
        let outputs = Outputs { bundle: watch::Sender::new(None), client: watch::Sender::new(None) };
        Self {
            outputs: Arc::new(outputs),
            live: watch::Sender::new(LiveBundles::Unknown),
            drifts: watch::Sender::new(Drifts::default()),
            guards: watch::Sender::new(GuardFaults::default()),
        }
    }

    /// The controllers that keep the gate itself, for one term.
    fn controllers(
        &self,
        arguments: &Arguments,
        client: &kube::Client,
        recorder: &Recorder,
        metrics: &Arc<Metrics>,
    ) -> (Certificates, Webhooks) {
        let common = &arguments.common;
        let certificates = Certificates::new(
            client.clone(),
            &common.pod_namespace,
            &common.service_name,
            self.live.subscribe(),
            Arc::clone(&self.outputs),
            recorder.clone(),
            Arc::clone(metrics),
        );
        let settings = webhooks::Settings {
            name: arguments.webhook_configuration.clone(),
            namespace: common.pod_namespace.clone(),
            file: arguments.webhooks_file.clone(),
            bundle: self.outputs.bundle.subscribe(),
            live: self.live.clone(),
            drifts: self.drifts.clone(),
        };
        (certificates, Webhooks::new(client.clone(), settings, recorder.clone(), Arc::clone(metrics)))
    }
}

/// What every replica knows, so that a new leader can begin at once.
struct Known {
    world: Arc<RwLock<World>>,
    pods: Arc<Mutex<Pods>>,
    dirty: Arc<Dirty>,
    signatures: Arc<Signatures>,
    synced: Condition,
}

impl Known {
    fn watch(
        client: &kube::Client,
        metrics: &Arc<Metrics>,
        readiness: &Readiness,
        world: Arc<RwLock<World>>,
        signatures: Arc<Signatures>,
    ) -> Self {
        let pods = Arc::new(Mutex::new(Pods::default()));
        let dirty = Arc::new(Dirty::default());
        let listener = {
            let dirty = Arc::clone(&dirty);
            Arc::new(move |touched: Touched| dirty.add(touched))
        };
        let synced = readiness.condition("caches synced");
        Feed::new(Arc::clone(&world), listener, Arc::clone(metrics), synced.clone()).start(client);
        tokio::spawn(watch_pods(
            client.clone(),
            Arc::clone(&pods),
            Arc::clone(&dirty),
            Arc::clone(metrics),
            readiness.condition("pods listed"),
        ));
        Self { world, pods, dirty, signatures, synced }
    }

    /// The audit, for one term.
    fn controllers(
        &self,
        arguments: &Arguments,
        client: &kube::Client,
        gate: &Gate,
        recorder: &Recorder,
        metrics: &Arc<Metrics>,
    ) -> (Auditor, Waker) {
        let book = Arc::new(Mutex::new(Book::default()));
        let lookout = Arc::new(Lookout::new(arguments.wake));
        let signatures = Arc::clone(&self.signatures) as Arc<dyn SignatureSource>;
        let auditor = Auditor {
            client: client.clone(),
            world: Arc::clone(&self.world),
            pods: Arc::clone(&self.pods),
            dirty: Arc::clone(&self.dirty),
            signatures: Arc::clone(&signatures),
            book: Arc::clone(&book),
            lookout: Arc::clone(&lookout),
            drifts: gate.drifts.subscribe(),
            guards: gate.guards.subscribe(),
            recorder: recorder.clone(),
            metrics: Arc::clone(metrics),
            trail: Arc::new(Export::new(arguments.audit_export.clone())),
            observations: Arc::default(),
            retrieved: Arc::default(),
        };
        let waker = Waker {
            client: client.clone(),
            world: Arc::clone(&self.world),
            signatures,
            book,
            lookout,
            dirty: Arc::clone(&self.dirty),
        };
        (auditor, waker)
    }
}
