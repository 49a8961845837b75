//! Every fixture through a real API server: the objects are stored, what carries pods is sent with `dryRun=All`, and the
//! answer has to be what `portcullis check` says of the same files.
//!
//! The webhook is the real one, with its TLS listener, watches and the chart's webhook configuration; only its clock is that
//! of the fixtures, and signatures come from the fixture's document instead of a registry.
//! Needs `KUBECONFIG` of a cluster of its own without Pod Security admission; `e2e/integration.sh` brings one up for it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot read its input has failed")]

#[expect(unreachable_pub, reason = "several tests share it")]
mod answers;
#[expect(unreachable_pub, reason = "a part of this test")]
#[path = "server/cluster.rs"]
mod cluster;
#[expect(dead_code, unreachable_pub, reason = "several tests share it, and each uses a part")]
mod fixtures;
#[expect(unreachable_pub, reason = "a part of this test")]
#[path = "server/webhook.rs"]
mod webhook;

use std::collections::BTreeSet;
use std::time::Duration;

use answers::differs;
use cluster::{Cluster, key};
use fixtures::{Documented, Said, all, base, carried, named};
use futures::future::join_all;
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
];

/// Pods, and the kinds that carry them and that the API server itself reads.
const BUILT_IN: &str = "pods of built-in kinds";

fn excepted(fixture: &str, on: &str) -> bool {
    let (kind, _) = on.split_once('/').unwrap();
    let built_in = kind == "Pod" || CARRIERS.iter().any(|c| c.kind == kind && !c.group.contains('.'));
    NOT_THROUGH
        .iter()
        .any(|(name, which, _)| *name == fixture && (*which == on || *which == BUILT_IN && built_in))
}

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

/// What is stored before the pods come: all that is no pod, carries none and does not only describe the files.
fn stored(world: &Documented) -> Vec<Value> {
    let carries = |object: &Value| {
        let kind = object["kind"].as_str().unwrap_or_default();
        kind == "Pod" || CARRIERS.iter().any(|carrier| carrier.kind == kind)
    };
    let mut objects: Vec<Value> =
        world.objects.iter().filter(|object| !carries(object)).map(complete).collect();
    // The files' PodMonitors and their definition stand for a cluster that has the Prometheus operator.
    let monitors = |object: &Value| {
        object["kind"] == "PodMonitor"
            || named(object) == "CustomResourceDefinition/podmonitors.monitoring.coreos.com"
    };
    let has_monitors = objects.iter().any(monitors);
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
    if has_monitors {
        objects.insert(0, cluster::definition("monitoring.coreos.com", "PodMonitor"));
    }
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
async fn compare_second(cluster: &Cluster, webhook: &Webhook, said: &Said, object: &Value) -> Option<String> {
    webhook.open(true);
    cluster.replace(&steps(object).0).await.unwrap();
    webhook.open(false);
    let wrong = compare(cluster, said, object, PATIENCE).await;
    webhook.open(true);
    cluster.replace(object).await.unwrap();
    webhook.open(false);
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_api_server_answers_what_the_command_line_says() {
    let cluster = Cluster::connect().await;
    let webhook = Webhook::start(&cluster).await;
    let worlds = all().into_iter().map(|f| (format!("{}/{}", f.control, f.name), f.world));
    let worlds: Vec<(String, Documented)> = worlds.chain([("base".to_owned(), base())]).collect();
    let mut wrong = Vec::new();
    let (mut compared, mut refused) = (0, 0);
    for (name, world) in &worlds {
        let world = carried(world);
        webhook.open(true);
        if let Err(error) = cluster.hold(stored(&world)).await {
            wrong.push(format!("{name} cannot be stored: {error}"));
            continue;
        }
        webhook.learn(world.known()).await;
        webhook.open(false);
        let judged = world.judged();
        let objects = judged.iter().map(|said| {
            let on = format!("{}/{}", said.kind, said.name);
            (said, world.objects.iter().find(|object| named(object) == on).unwrap())
        });
        let (plain, two_steps): (Vec<_>, Vec<_>) =
            objects.partition(|(_, object)| steps(object).0 == **object);
        let mut answers = join_all(plain.into_iter().map(async |(said, object)| {
            let on = named(object);
            let patience = if excepted(name, &on) { Duration::ZERO } else { PATIENCE };
            (said, on, compare(&cluster, said, object, patience).await)
        }))
        .await;
        for (said, object) in two_steps {
            answers.push((said, named(object), compare_second(&cluster, &webhook, said, object).await));
        }
        for (said, on, found) in answers {
            compared += 1;
            refused += usize::from(said.denial.is_some());
            match (excepted(name, &on), found) {
                (false, Some(text)) => wrong.push(format!("{name} {on}: {text}")),
                (true, None) => wrong.push(format!("{name} {on} goes through and needs no exception")),
                _ => {}
            }
        }
    }
    println!("{} worlds, {compared} objects, {refused} of them refused", worlds.len());
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 2000 && refused > 1000, "only {compared} objects were compared, {refused} refused");
    let stale = NOT_THROUGH.iter().find(|(name, ..)| worlds.iter().all(|(known, _)| known != name));
    assert!(stale.is_none(), "no such fixture: {stale:?}");
}
