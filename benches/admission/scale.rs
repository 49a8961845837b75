//! A large cluster: start and memory of both servers, and how soon a widened binding shows in a verdict.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use http_body_util::BodyExt as _;
use hyper::Request;
use kube::client::Body;
use kube::{Api, Client};
use portcullis::api::AIWorkload;
use serde_json::{Value, json};

use super::report::{Report, number, spread};
use super::setup::{Stage, apply, workload};

const NAMESPACES: usize = 5_000;
const BINDINGS: usize = 10_000;
const WORKLOADS: usize = 200;
const WRITERS: usize = 48;
const WIDENINGS: usize = 5;
/// The Role that every binding names; it exists in the first namespace, and is widened there.
const ROLE: &str = "team";

pub(crate) async fn measure(stage: &mut Stage, report: &mut Report) -> Result<()> {
    let begun = Instant::now();
    fill(&stage.client).await.context("filling the cluster")?;
    let filled = begun.elapsed();
    let mut ready = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..3 {
        ready.push(stage.start_webhook().await?.as_secs_f64());
        memory.push(stage.webhook()?.memory()?);
    }
    report.table(
        &format!(
            "C. {NAMESPACES} namespaces, {BINDINGS} bindings, {WORKLOADS} governed workloads (written in {} s)",
            filled.as_secs()
        ),
        &["what", "ready or settled, s", "RSS, MiB", "of it anonymous", "peak"],
    );
    let of =
        |value: fn(&super::process::Memory) -> f64| spread(&memory.iter().map(value).collect::<Vec<_>>(), 0);
    report.row(&[
        "webhook".to_owned(),
        spread(&ready, 2),
        of(|m| m.resident),
        of(|m| m.anonymous),
        of(|m| m.peak),
    ]);

    let controller = stage.start_controller()?;
    let workloads: Api<AIWorkload> = Api::namespaced(stage.client.clone(), &space(0));
    let settled = settled(&stage.client, controller.begun).await?;
    let mut seen = Vec::new();
    for _ in 0..WIDENINGS {
        let violated = violated(&workloads).await?;
        ensure!(!violated, "the verdict is bad before the binding is widened");
        apply(&[role(true)])?;
        seen.push(turned(&workloads, true).await?);
        apply(&[role(false)])?;
        turned(&workloads, false).await?;
    }
    let memory = controller.memory()?;
    report.row(&[
        "controller, every status written".to_owned(),
        format!("{settled:.1}"),
        format!("{:.0}", memory.resident),
        format!("{:.0}", memory.anonymous),
        format!("{:.0}", memory.peak),
    ]);
    report
        .table("C. a widened Role is seen in AIWorkload.status, s", &["times", "median (smallest–largest)"]);
    report.row(&[WIDENINGS.to_string(), spread(&seen, 2)]);
    controller.stop()
}

fn space(index: usize) -> String {
    format!("bulk-{index}")
}

/// Creates everything, many at a time.
async fn fill(client: &Client) -> Result<()> {
    let namespaces = (0..NAMESPACES).map(|index| {
        let labels = if index < WORKLOADS {
            json!({"portcullis.dev/environment": "production", "portcullis.dev/sensitivity": "internal"})
        } else {
            json!({"team": format!("team-{}", index % 100)})
        };
        ("/api/v1/namespaces".to_owned(), json!({"metadata": {"name": space(index), "labels": labels}}))
    });
    create_all(client, namespaces.collect()).await?;
    apply(&[role(false)])?;
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces";
    let bindings = (0..BINDINGS).map(|index| {
        let name = format!("app-{}", index / NAMESPACES);
        let account = if index < NAMESPACES { "app" } else { "batch" };
        let namespace = space(index % NAMESPACES);
        let binding = json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ROLE},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        });
        (format!("{rbac}/{namespace}/rolebindings"), binding)
    });
    create_all(client, bindings.collect()).await?;
    let declarations = (0..WORKLOADS).map(|index| {
        let namespace = space(index);
        let mut declaration = workload("app", &namespace);
        declaration["spec"]["identity"] =
            json!({"permissions": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]});
        (format!("/apis/portcullis.dev/v1alpha1/namespaces/{namespace}/aiworkloads"), declaration)
    });
    create_all(client, declarations.collect()).await
}

async fn create_all(client: &Client, objects: Vec<(String, Value)>) -> Result<()> {
    let objects: Arc<[(String, Value)]> = objects.into();
    let next = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (client, objects, next) = (client.clone(), Arc::clone(&objects), Arc::clone(&next));
            tokio::spawn(async move {
                while let Some((path, object)) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let request = Request::post(path)
                        .header("content-type", "application/json")
                        .body(Body::from(object.to_string().into_bytes()))?;
                    let response = client.send(request).await?;
                    let status = response.status();
                    let body = response.into_body().collect().await?.to_bytes();
                    ensure!(status.is_success(), "{path}: {}", String::from_utf8_lossy(&body));
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for writer in writers {
        writer.await??;
    }
    Ok(())
}

/// The Role that the identity of the first workload holds besides its own; the wide one lets it read Secrets.
fn role(wide: bool) -> Value {
    let resources = if wide { json!(["configmaps", "secrets"]) } else { json!(["configmaps"]) };
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": ROLE, "namespace": space(0)},
        "rules": [{"apiGroups": [""], "resources": resources, "verbs": ["get"]}],
    })
}

async fn violated(workloads: &Api<AIWorkload>) -> Result<bool> {
    let workload = workloads.get("app").await?;
    let rows = workload.status.map(|status| status.rows).unwrap_or_default();
    Ok(rows.iter().any(|row| {
        row.control == "least-privilege-rbac" && row.message.as_deref().is_some_and(|m| m.contains("secrets"))
    }))
}

/// Waits until the verdict is as it should be; the seconds that took.
async fn turned(workloads: &Api<AIWorkload>, to: bool) -> Result<f64> {
    let begun = Instant::now();
    while violated(workloads).await? != to {
        ensure!(begun.elapsed() < Duration::from_mins(1), "the widened Role is not seen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// Waits until every workload has a status; the seconds since the start of the controller.
async fn settled(client: &Client, begun: Instant) -> Result<f64> {
    let all: Api<AIWorkload> = Api::all(client.clone());
    loop {
        let list = all.list(&kube::api::ListParams::default()).await?;
        let judged =
            list.items.iter().filter(|w| w.status.as_ref().is_some_and(|s| s.verdict.is_some())).count();
        if judged == list.items.len() {
            return Ok(begun.elapsed().as_secs_f64());
        }
        ensure!(
            begun.elapsed() < Duration::from_secs(150),
            "{:.0} of {:.0} workloads were judged",
            number(judged),
            number(list.items.len())
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
