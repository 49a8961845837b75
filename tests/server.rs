//! Every fixture through a real API server: the objects are stored, what carries pods is sent with `dryRun=All`, and the
//! answer has to be what `portcullis check` says of the same files, under a profile that enforces all there is.
//!
//! Worlds that differ only within their own namespace stand side by side, each in a lane of its own. Reviews of what is
//! stored pass; what is only tried is judged.
//!
//! The webhook is the real one, with its TLS listener, watches and the chart's webhook configuration; only its clock is that
//! of the fixtures, and signatures come from the fixture's document instead of a registry.
//! Needs `KUBECONFIG` of a cluster of its own without Pod Security admission; `e2e/integration.sh` brings one up for it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot read its input has failed")]
#![expect(clippy::print_stdout, reason = "a test that tells how much it compared")]

#[expect(unreachable_pub, reason = "several tests share it")]
mod answers;
#[expect(unreachable_pub, reason = "a part of this test")]
#[path = "server/cluster.rs"]
mod cluster;
#[expect(dead_code, unreachable_pub, reason = "several tests share it, and each uses a part")]
mod fixtures;
#[expect(unreachable_pub, reason = "a part of this test")]
#[path = "server/updates.rs"]
mod updates;
#[expect(unreachable_pub, reason = "a part of this test")]
#[path = "server/webhook.rs"]
mod webhook;

use std::collections::BTreeSet;
use std::time::Duration;

use answers::differs;
use cluster::{Cluster, key};
use fixtures::{Documented, Said, all, base, carried, named};
use futures::{StreamExt as _, stream};
use portcullis::gather::objects::CARRIERS;
use portcullis::webhook::wire::Answer;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use webhook::Webhook;

/// What an API server refuses or alters before it asks us: fixture, which of its objects, why. Each has to differ.
const NOT_THROUGH: &[(&str, &str, &str)] = &[
    (
        "declared-workloads-only/deny-label-not-selected",
        "Job/chat",
        "labels of its own are added to the template",
    ),
    (
        "enforcement-integrity/deny-expired",
        "AIExemption/later",
        "approving what is past is refused, having approved is not",
    ),
    ("image-digest-pinned/deny-ephemeral-container", BUILT_IN, "comes by a subresource of a pod that runs"),
    ("pod-hardened/deny-ephemeral-container", BUILT_IN, "comes by a subresource of a pod that runs"),
    ("pod-hardened/deny-host-network", "Pod/chat", "ports become host ports, one more finding"),
    ("pod-hardened/deny-privileged", BUILT_IN, "privileged without escalation is invalid"),
    ("pod-hardened/deny-windows-host-process", BUILT_IN, "invalid without the host's network"),
    (
        "pod-hardened/unknown-field-of-the-future",
        BUILT_IN,
        "a field that the API server does not know is dropped",
    ),
    (
        "resource-bounds/allow-limit-of-the-pod",
        "Pod/chat",
        "the LimitRange's defaults exceed the pod's own limit",
    ),
    ("resource-bounds/deny-device-not-limited", BUILT_IN, "a device without a limit is invalid"),
    ("resource-bounds/deny-init-container", "Pod/chat", "the LimitRange fills in what is missing"),
    ("resource-bounds/deny-no-limits", "Pod/chat", "the LimitRange fills in what is missing"),
    ("resource-bounds/deny-no-memory-limit", "Pod/chat", "the LimitRange fills in what is missing"),
    (
        "asset-documentation-complete/allow-linked-card",
        ALL,
        "the controller reads documents, and none runs here",
    ),
    (
        "asset-documentation-complete/deny-linked-card-altered",
        ALL,
        "the controller reads documents, and none runs here",
    ),
    ("user-guidance-published/deny-page-altered", ALL, "the controller reads documents, and none runs here"),
    ("human-oversight-designed/deny-group-without-the-right", ALL, "the group has the right here"),
    ("owners-accountable/deny-not-confirmed-again", ALL, "it was created just now"),
    ("dataset-integrity/deny-other-bytes", "AIDataset/manual", "what is written comes without its status"),
    (
        "dataset-integrity/unknown-not-readable",
        "AIDataset/manual",
        "what is written comes without its status",
    ),
    (
        "safe-model-loading/deny-kind-that-can-carry-code",
        "AIModel/chat-7b",
        "what is written comes without its status",
    ),
    (
        "safe-model-loading/deny-pickle-in-the-layers",
        "AIModel/chat-7b",
        "what is written comes without its status",
    ),
    (
        "safe-model-loading/unknown-opaque-layer",
        "AIModel/chat-7b",
        "what is written comes without its status",
    ),
    (
        "model-digest-pinned/deny-signed-late",
        "AIModel/chat-7b",
        "who writes it has to be on the roster, and files do not tell who",
    ),
    (
        "provenance-and-sbom/allow-own-model-with-evidence",
        "AIModel/chat-7b",
        "who writes it has to be on the roster, and files do not tell who",
    ),
    (
        "provenance-and-sbom/deny-own-model-without-provenance",
        "AIModel/chat-7b",
        "who writes it has to be on the roster, and files do not tell who",
    ),
];

/// Every object of the fixture; one that goes through needs no exception.
const ALL: &str = "all objects";

/// Pods, and the kinds that carry them and that the API server itself reads.
const BUILT_IN: &str = "pods of built-in kinds";

fn excepted(fixture: &str, on: &str) -> bool {
    let (kind, _) = on.split_once('/').unwrap();
    let built_in = kind == "Pod" || CARRIERS.iter().any(|c| c.kind == kind && !c.group.contains('.'));
    NOT_THROUGH
        .iter()
        .any(|(name, which, _)| *name == fixture && (*which == on || *which == BUILT_IN && built_in))
        || everywhere(fixture)
}

fn everywhere(fixture: &str) -> bool {
    NOT_THROUGH.iter().any(|(name, which, _)| *name == fixture && *which == ALL)
}

/// The lane of what lies outside of every world's own namespace.
const AROUND: usize = usize::MAX;

/// How long the API server's own caches may lag behind what was stored.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What an object becomes in two steps: the first is stored, the second asked, by whom.
fn steps(object: &Value) -> (Value, &str) {
    let spec = &object["spec"];
    match (object["kind"].as_str(), spec["requestedBy"].as_str(), spec["approvedBy"].as_str()) {
        (Some("AIExemption"), Some(_), Some(approver)) => {
            let mut former = object.clone();
            former["spec"].as_object_mut().unwrap().remove("approvedBy");
            (former, approver)
        }
        (Some("AIExemption"), Some(requester), None) => (object.clone(), requester),
        // Nobody vouches in the name of another.
        (Some("AIEvidence"), ..) => (object.clone(), spec["attestedBy"].as_str().unwrap_or("j.doe")),
        _ => (object.clone(), "j.doe"),
    }
}

/// The object as a user has to write it: with what the API server demands and no control asks for.
fn complete(object: &Value) -> Value {
    let mut object = object.clone();
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    match object["kind"].as_str() {
        Some("Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => {
            object["spec"]["selector"] = json!({"matchLabels": labels});
        }
        Some("ReplicationController") => object["spec"]["selector"] = labels,
        Some("Job") => object["spec"]["template"]["spec"]["restartPolicy"] = "Never".into(),
        Some("CronJob") => {
            object["spec"]["schedule"] = "@daily".into();
            object["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] = "Never".into();
        }
        Some("PersistentVolumeClaim") if object["spec"]["resources"].is_null() => {
            object["spec"]["resources"] = json!({"requests": {"storage": "1Gi"}});
        }
        _ => {}
    }
    object
}

/// Whether it is a pod or carries some.
fn carries(object: &Value) -> bool {
    let kind = object["kind"].as_str().unwrap_or_default();
    kind == "Pod" || CARRIERS.iter().any(|carrier| carrier.kind == kind)
}

/// Kinds that a cluster may have: group, version, kind.
const OPTIONAL: &[(&str, &str, &str)] = &[
    ("gateway.envoyproxy.io", "v1alpha1", "BackendTrafficPolicy"),
    ("gateway.networking.k8s.io", "v1", "Gateway"),
    ("gateway.networking.k8s.io", "v1", "GRPCRoute"),
    ("gateway.networking.k8s.io", "v1", "HTTPRoute"),
    ("gateway.networking.k8s.io", "v1beta1", "ReferenceGrant"),
    ("gateway.networking.k8s.io", "v1alpha2", "TCPRoute"),
    ("monitoring.coreos.com", "v1", "PodMonitor"),
    ("monitoring.coreos.com", "v1", "PrometheusRule"),
    ("monitoring.coreos.com", "v1", "ServiceMonitor"),
];

/// Definitions of the optional kinds that the files show the cluster to have: by an object, or by a definition.
fn definitions(objects: &[Value]) -> Vec<Value> {
    let optional = OPTIONAL.iter().map(|(group, version, kind)| cluster::definition(group, version, kind));
    let shown = |definition: &Value| {
        objects.iter().any(|object| {
            object["kind"] == definition["spec"]["names"]["kind"] || named(object) == named(definition)
        })
    };
    optional.filter(shown).collect()
}

/// Whether the API server itself does not read the kind.
fn is_foreign(object: &Value) -> bool {
    let kind = object["kind"].as_str().unwrap_or_default();
    CARRIERS.iter().any(|carrier| carrier.kind == kind && carrier.group.contains('.'))
}

/// What is stored before the pods come: all that is no pod, carries none and does not only describe the files.
fn stored(world: &Documented) -> Vec<Value> {
    let mut objects: Vec<Value> =
        world.objects.iter().filter(|object| !carries(object)).map(complete).collect();
    let definitions = definitions(&objects);
    objects.retain(|object| object["kind"] != "CustomResourceDefinition");
    let namespaces: Vec<Value> =
        objects.iter().filter(|object| object["kind"] == "Namespace").cloned().collect();
    // Every namespace of a cluster has this account.
    objects.extend(namespaces.iter().map(|namespace| {
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": namespace["metadata"]["name"]},
        })
    }));
    objects.splice(0..0, definitions);
    let known: BTreeSet<String> = objects.iter().map(key).collect();
    objects.extend(cluster::generated(world).into_iter().filter(|object| !known.contains(&key(object))));
    objects
}

/// What differs in the answer to one object; asks again for as long as the API server's caches may lag behind.
async fn compare(cluster: &Cluster, said: &Said, object: &Value, patience: Duration) -> Option<String> {
    let (former, user) = steps(object);
    let begun = Instant::now();
    loop {
        let wrong = match cluster.dry_run(&complete(object), user, former != *object).await {
            Err(other) => Some(format!("the API server: {other}")),
            // The webhook guards changes of labels; what a namespace lacks is shown on its row in the audit.
            Ok(answer) if said.kind == "Namespace" => (answer.denial.is_some() && said.denial.is_none())
                .then(|| format!("only the webhook refuses: {answer:#?}")),
            Ok(answer) => differs(said, &answer),
        };
        if wrong.is_none() || begun.elapsed() > patience {
            return wrong;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// The same for an object that comes about in two steps: the second is asked while the first is stored.
async fn compare_second(cluster: &Cluster, said: &Said, object: &Value) -> Option<String> {
    cluster.replace(&steps(object).0).await.unwrap();
    let wrong = compare(cluster, said, object, PATIENCE).await;
    cluster.replace(object).await.unwrap();
    wrong
}

/// The namespace of the base, which a lane has for itself.
const HOME: &str = "chat-prod";

/// Worlds that stand side by side in one cluster, at most.
const LANES: usize = 24;

/// Lanes that store or ask at a time, and questions of each.
const BUSY: (usize, usize) = (4, 8);

/// A fixture's world.
struct World {
    name: String,
    documents: Documented,
    /// What it stores outside of its own namespace, as text: worlds with the same may stand side by side.
    around: String,
    /// `Kind/name` of what the base does not have, or has otherwise.
    own: BTreeSet<String>,
    /// Whether kinds that the API server itself does not read are asked about too.
    foreign: bool,
}

/// Whether an object lies in the lane's own namespace, or is it.
fn at_home(object: &Value, home: &str) -> bool {
    let metadata = &object["metadata"];
    metadata["namespace"] == home || (object["kind"] == "Namespace" && metadata["name"] == home)
}

/// Every fixture, under a profile that enforces what can be enforced, so that the answers tell all.
fn worlds() -> Vec<World> {
    let base = base();
    let mut seen = BTreeSet::new();
    let fixtures = all().into_iter().map(|f| (format!("{}/{}", f.control, f.name), f.world));
    let mut worlds: Vec<World> = fixtures
        .chain([("base".to_owned(), base.clone())])
        .map(|(name, mut world)| {
            if world.objects.iter().all(|object| object["kind"] != "AIProfile") {
                world.objects.push(json!({
                    "apiVersion": "portcullis.dev/v1alpha1", "kind": "AIProfile",
                    "metadata": {"name": "all"}, "spec": {"base": "strict"},
                }));
            }
            let mut around: Vec<String> = world
                .objects
                .iter()
                .filter(|object| !carries(object) && !at_home(object, HOME))
                .map(Value::to_string)
                .collect();
            around.sort();
            around.extend(definitions(&world.objects).iter().map(named));
            let around = around.join("\n");
            let same = |object: &Value| name != "base" && base.objects.contains(object);
            let own = world.objects.iter().filter(|object| !same(object)).map(named).collect();
            let control = name.split('/').next().unwrap_or_default();
            let foreign = seen.insert(control.to_owned());
            World { name, documents: world, around, own, foreign }
        })
        .collect();
    worlds.sort_by(|one, other| (&one.around, &one.name).cmp(&(&other.around, &other.name)));
    worlds
}

/// The world with a namespace of the lane's own.
fn in_lane(world: &Documented, home: &str) -> Documented {
    let mut world = world.clone();
    let text = Value::Array(world.objects).to_string().replace(HOME, home);
    world.objects = serde_json::from_str(&text).unwrap();
    let mut world = carried(&world.resolved());
    // Under its own name, which a verification rests on too.
    world.rest();
    world
}

/// What went wrong in one world, how many objects were compared, and how many of them refused.
#[derive(Default)]
struct Tally {
    wrong: Vec<String>,
    compared: usize,
    refused: usize,
}

/// Asks about the objects of one world. What is as in the base, carries no pod and has nothing said of it is asked about in
/// the base alone, and the kinds that the API server passes on as they are in one world of each control: that they fare alike
/// in all of them is held without an API server, by the test of parity.
async fn ask(cluster: &Cluster, of: &World, world: &Documented, said: &[Said]) -> Tally {
    let name = of.name.as_str();
    let mut tally = Tally::default();
    let objects = said
        .iter()
        .map(|said| {
            let on = format!("{}/{}", said.kind, said.name);
            (said, world.objects.iter().find(|object| named(object) == on).unwrap())
        })
        .filter(|(said, object)| {
            if carries(object) {
                of.foreign || !is_foreign(object)
            } else {
                of.own.contains(&named(object)) || said.findings().next().is_some()
            }
        });
    let (plain, two_steps): (Vec<_>, Vec<_>) = objects.partition(|(_, object)| steps(object).0 == **object);
    let asked = plain.into_iter().map(async |(said, object)| {
        let on = named(object);
        let patience = if excepted(name, &on) { Duration::ZERO } else { PATIENCE };
        (said, on, compare(cluster, said, object, patience).await)
    });
    let mut answers: Vec<_> = stream::iter(asked).buffer_unordered(BUSY.1).collect().await;
    for (said, object) in two_steps {
        answers.push((said, named(object), compare_second(cluster, said, object).await));
    }
    for (said, on, found) in answers {
        tally.compared += 1;
        tally.refused += usize::from(said.denial.is_some());
        match (excepted(name, &on), found) {
            (false, Some(text)) => tally.wrong.push(format!("{name} {on}: {text}")),
            (true, None) if !everywhere(name) => {
                tally.wrong.push(format!("{name} {on} goes through and needs no exception"));
            }
            _ => {}
        }
    }
    tally
}

/// Worlds that stand side by side: stores them, lets the webhook learn, asks.
async fn side_by_side(cluster: &Cluster, webhook: &Webhook, worlds: &[&World]) -> Vec<Tally> {
    let home = |lane: usize| if lane == 0 { HOME.to_owned() } else { format!("{HOME}-{lane}") };
    let lanes = worlds.iter().enumerate().map(async |(lane, world)| {
        let (home, documented) = (home(lane), world.documents.clone());
        let read = tokio::task::spawn_blocking(move || {
            let world = in_lane(&documented, &home);
            let said = world.judged();
            (world, said)
        });
        let (documented, said) = read.await.unwrap();
        (lane, *world, documented, said)
    });
    let lanes: Vec<_> = stream::iter(lanes).buffered(BUSY.0).collect().await;
    let around = stored(&lanes[0].2).into_iter().filter(|object| !at_home(object, HOME));
    let mut wrong = Vec::new();
    if let Err(error) = cluster.hold(AROUND, around).await {
        wrong.push(format!("{} cannot be stored: {error}", lanes[0].1.name));
    }
    let kept = lanes.iter().map(async |(lane, of, world, _)| {
        let own = stored(world).into_iter().filter(|object| at_home(object, &home(*lane)));
        cluster.hold(*lane, own).await.err().map(|error| format!("{} cannot be stored: {error}", of.name))
    });
    let failed: Vec<_> = stream::iter(kept).buffer_unordered(BUSY.0).collect().await;
    wrong.extend(failed.into_iter().flatten());
    if let Err(error) = cluster.found().await {
        wrong.push(format!("what the operator would have found out cannot be stored: {error}"));
    }
    webhook.learn(lanes.iter().map(|(lane, _, world, _)| (home(*lane), world.known())).collect()).await;
    let asked = lanes.iter().map(|(_, of, world, said)| ask(cluster, of, world, said));
    let mut tallies: Vec<Tally> = stream::iter(asked).buffer_unordered(BUSY.0).collect().await;
    tallies.push(Tally { wrong, ..Tally::default() });
    tallies
}

/// The group in charge of the base may stop it. Files do not tell what people may do; a cluster does.
fn overseers() -> [Value; 2] {
    let (group, name) = ("rbac.authorization.k8s.io", json!({"name": "overseers"}));
    [
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": name,
            "rules": [{"apiGroups": ["portcullis.dev"], "resources": ["aiworkloads"], "verbs": ["patch"]}]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": name,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "overseers"},
            "subjects": [{"apiGroup": group, "kind": "Group", "name": "chat-ops"}]}),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_api_server_answers_what_the_command_line_says() {
    let cluster = Cluster::connect().await;
    for right in overseers() {
        cluster.create(&right).await.unwrap();
    }
    let webhook = Webhook::start(&cluster).await;
    let worlds = worlds();
    let mut sum = Tally::default();
    for around in worlds.chunk_by(|one, other| one.around == other.around) {
        // What lies outside and names a world's own namespace belongs to that world alone.
        let most = if around[0].around.contains(HOME) { 1 } else { LANES };
        for some in around.chunks(most) {
            for tally in side_by_side(&cluster, &webhook, &some.iter().collect::<Vec<_>>()).await {
                sum.wrong.extend(tally.wrong);
                sum.compared += tally.compared;
                sum.refused += tally.refused;
            }
        }
    }
    let base = worlds.iter().find(|world| world.name == "base").unwrap();
    for tally in side_by_side(&cluster, &webhook, &[base]).await {
        sum.wrong.extend(tally.wrong);
    }
    updates::answer_for_what_they_bring(&cluster, &in_lane(&base.documents, HOME)).await;
    let Tally { wrong, compared, refused } = sum;
    println!("{} worlds, {compared} objects, {refused} of them refused", worlds.len());
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 2000 && refused > 1000, "only {compared} objects were compared, {refused} refused");
    let stale = NOT_THROUGH.iter().find(|(name, ..)| worlds.iter().all(|known| known.name != *name));
    assert!(stale.is_none(), "no such fixture: {stale:?}");
}
