//! The controller under measurement, and what can be seen of its work.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use kube::api::ListParams;
use kube::core::DynamicObject;
use kube::{Api, Client, Resource};
use portcullis::api::{AICompliance, AIWorkload};
use serde_json::Value;

use super::fill::{Size, space};
use super::process::{Memory, Running, cpu_seconds, free_port, program};
use super::report::number;

/// The line of a full audit.
const AUDITED: &str = "everything was audited";

/// A controller and its log.
pub(crate) struct Controller {
    running: Running,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

impl Controller {
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let list = folder.path().join("webhooks.yaml");
        std::fs::write(&list, "[]\n")?;
        let log = folder.path().join("controller.log");
        let mut command = Command::new(program());
        command.args([
            "controller",
            "--http-listen",
            &format!("127.0.0.1:{}", free_port()?),
            "--webhooks-file",
        ]);
        command.arg(list).env("POD_NAMESPACE", "portcullis-system").env("POD_NAME", "bench-audit");
        Ok(Self { running: Running::start(&mut command, &log)?, log, _folder: folder })
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        self.running.memory()
    }

    pub(crate) fn cpu(&self) -> Result<f64> {
        cpu_seconds(self.running.pid())
    }

    pub(crate) fn stop(self) -> Result<()> {
        self.running.stop()
    }

    fn lines(&self) -> Result<Vec<Value>> {
        let text = std::fs::read_to_string(&self.log)?;
        Ok(text
            .lines()
            .filter(|line| line.contains(AUDITED))
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// How many full audits it has told of.
    pub(crate) fn audits(&self) -> Result<usize> {
        Ok(self.lines()?.len())
    }

    /// Waits for the full audit of this number; the seconds that it took.
    pub(crate) async fn audited(&self, count: usize, patience: Duration) -> Result<f64> {
        let begun = Instant::now();
        loop {
            if let Some(line) = self.lines()?.get(count - 1) {
                let seconds = find(line, "seconds").and_then(Value::as_f64);
                return seconds.context("the log does not say how long the audit took");
            }
            let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
            ensure!(begun.elapsed() < patience, "no full audit within {patience:?}:\n{}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A field of a log line, wherever its format puts it.
fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let map = value.as_object()?;
    map.get(key).or_else(|| map.values().find_map(|inner| find(inner, key)))
}

/// Waits until every workload was judged with its pods and nothing more is written.
pub(crate) async fn settled(client: &Client, controller: &Controller, size: &Size) -> Result<()> {
    let begun = Instant::now();
    let rows: Api<AICompliance> = Api::all(client.clone());
    loop {
        let row = rows.get_opt("cluster").await?;
        let counted = row
            .and_then(|row| row.status)
            .and_then(|status| status.summary)
            .map_or(0, |summary| summary.workloads as usize);
        let (writes, cpu) = (writes(client).await?, controller.cpu()?);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let quiet = self::writes(client).await? == writes && controller.cpu()? - cpu < 0.1;
        if counted == size.workloads() && quiet {
            return Ok(());
        }
        ensure!(
            begun.elapsed() < Duration::from_mins(15),
            "{counted} of {} workloads are counted",
            size.workloads()
        );
    }
}

async fn raw<K: Resource<DynamicType = ()>>(client: &Client) -> Result<Vec<DynamicObject>> {
    let kind = kube::core::ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    let mut pages = ListParams::default().limit(500);
    let mut objects = Vec::new();
    loop {
        let page = api.list(&pages).await?;
        objects.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => pages = pages.continue_token(&token),
            None => return Ok(objects),
        }
    }
}

/// Bytes of the workloads as they are stored.
pub(crate) struct Look {
    /// Of a status.
    pub(crate) average: f64,
    /// Of the largest status.
    pub(crate) largest: usize,
    /// Of a whole object.
    pub(crate) whole: f64,
}

pub(crate) async fn bytes(client: &Client) -> Result<Look> {
    let objects = raw::<AIWorkload>(client).await?;
    let (mut statuses, mut largest, mut whole) = (0, 0, 0);
    for object in &objects {
        let status = object.data["status"].to_string().len();
        statuses += status;
        largest = largest.max(status);
        whole += serde_json::to_vec(object)?.len();
    }
    let count = number(objects.len());
    Ok(Look { average: number(statuses) / count, largest, whole: number(whole) / count })
}

/// How often the API server was asked to write objects of ours.
pub(crate) async fn writes(client: &Client) -> Result<u64> {
    let request = hyper::Request::get("/metrics").body(Vec::new())?;
    let text = client.request_text(request).await?;
    let mut sum = 0;
    for line in text.lines().filter(|line| {
        line.starts_with("apiserver_request_total{")
            && line.contains("group=\"portcullis.dev\"")
            && ["APPLY", "PATCH", "POST", "PUT"].iter().any(|verb| line.contains(&format!("verb=\"{verb}\"")))
    }) {
        let count: f64 = line.rsplit(' ').next().context("a count")?.parse()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter")]
        let count = count as u64;
        sum += count;
    }
    Ok(sum)
}

/// The same once none has come for some seconds: the last change is written of all whom it concerns.
pub(crate) async fn still(client: &Client) -> Result<u64> {
    const STILL: Duration = Duration::from_secs(20);
    let mut before = writes(client).await?;
    loop {
        tokio::time::sleep(STILL).await;
        let now = writes(client).await?;
        if now == before {
            return Ok(now);
        }
        before = now;
    }
}

/// Whether the verdict on the first workload names the Secrets that its identity may read.
pub(crate) async fn widened(client: &Client) -> Result<bool> {
    let workloads: Api<AIWorkload> = Api::namespaced(client.clone(), &space(0));
    let rows = workloads.get("app-0").await?.status.map(|status| status.rows).unwrap_or_default();
    Ok(rows.iter().any(|row| {
        row.control == "least-privilege-rbac" && row.message.as_deref().is_some_and(|m| m.contains("secrets"))
    }))
}

/// Waits until the verdict is as it should be; the seconds that took.
pub(crate) async fn turned(client: &Client, to: bool) -> Result<f64> {
    let begun = Instant::now();
    while widened(client).await? != to {
        ensure!(begun.elapsed() < Duration::from_mins(1), "the widened Role is not seen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(begun.elapsed().as_secs_f64())
}
