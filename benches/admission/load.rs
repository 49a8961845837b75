//! Loads: many requests over few tasks, each verdict checked, every latency kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::Bytes;
use kube::Client;
use kube::client::Body;

use super::client::Connection;
use super::process;
use super::report::{number, percentile};
use super::setup::Stage;
use super::subjects::Subject;

/// What must come out.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    Allowed,
    /// Refused, and the message holds this.
    Denied(String),
}

/// A request with its verdict.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) path: String,
    pub(crate) body: Bytes,
    pub(crate) expected: Expected,
}

/// What a load took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Sorted.
    pub(crate) took: Vec<Duration>,
    pub(crate) allowed: usize,
    pub(crate) denied: usize,
    pub(crate) wall: Duration,
    /// CPU seconds per 1,000 requests.
    pub(crate) api_server: f64,
    pub(crate) webhook: f64,
}

impl Outcome {
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        percentile(&self.took, percent)
    }

    pub(crate) fn rate(&self) -> f64 {
        number(self.took.len()) / self.wall.as_secs_f64()
    }
}

/// Dry-run creates of `subjects` in `namespace`; `denial` says what a refusal must hold, nothing when all are allowed.
pub(crate) fn creates(
    subjects: &[Subject],
    namespace: &str,
    denial: Option<fn(super::subjects::Rule) -> String>,
) -> Arc<[Prepared]> {
    subjects
        .iter()
        .map(|subject| Prepared {
            path: format!("/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldManager=bench"),
            body: subject.pod.to_string().into(),
            expected: match (denial, subject.breaks) {
                (Some(denial), Some(rule)) => Expected::Denied(denial(rule)),
                _ => Expected::Allowed,
            },
        })
        .collect()
}

/// One create. The answer: status, body, and how long it took.
pub(crate) async fn create(client: &Client, prepared: &Prepared) -> Result<(u16, Bytes, Duration)> {
    let request = Request::post(&prepared.path)
        .header("content-type", "application/json")
        .body(Body::from(prepared.body.to_vec()))?;
    let begun = Instant::now();
    let response = client.send(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, body, begun.elapsed()))
}

/// Whether an answer of the API server is the expected one; an error says what came instead.
pub(crate) fn check(prepared: &Prepared, status: u16, body: &[u8]) -> Result<bool> {
    let text = || String::from_utf8_lossy(body).into_owned();
    match &prepared.expected {
        Expected::Allowed => {
            ensure!(status == 201, "should be allowed: {status} {}", text());
            Ok(true)
        }
        Expected::Denied(word) => {
            ensure!(
                matches!(status, 403 | 422) && text().contains(word),
                "should be denied with {word:?}: {status} {}",
                text()
            );
            Ok(false)
        }
    }
}

/// `total` creates through the API server, `concurrency` at a time; a wrong verdict is an error.
pub(crate) async fn through(
    stage: &Stage,
    prepared: &Arc<[Prepared]>,
    concurrency: usize,
    total: usize,
    webhook: Option<u32>,
) -> Result<Outcome> {
    let api_before = process::cpu_seconds(stage.api_server)?;
    let webhook_before = webhook.map(process::cpu_seconds).transpose()?;
    let begun = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..concurrency)
        .map(|_| {
            let (client, prepared, next) = (stage.client.clone(), Arc::clone(prepared), Arc::clone(&next));
            tokio::spawn(async move {
                let mut took = Vec::new();
                let mut allowed = 0;
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= total {
                        return anyhow::Ok((took, allowed));
                    }
                    let prepared = &prepared[index % prepared.len()];
                    let (status, body, elapsed) = create(&client, prepared).await?;
                    allowed += usize::from(check(prepared, status, &body)?);
                    took.push(elapsed);
                }
            })
        })
        .collect();
    let mut outcome = gather(tasks).await?;
    outcome.wall = begun.elapsed();
    let thousands = number(total) / 1e3;
    outcome.api_server = (process::cpu_seconds(stage.api_server)? - api_before) / thousands;
    if let (Some(pid), Some(before)) = (webhook, webhook_before) {
        outcome.webhook = (process::cpu_seconds(pid)? - before) / thousands;
    }
    Ok(outcome)
}

/// `total` reviews straight to a webhook at `port`, each task on a connection of its own.
pub(crate) async fn straight(
    stage: &Stage,
    prepared: &Arc<[Prepared]>,
    concurrency: usize,
    total: usize,
    (port, pid): (u16, u32),
) -> Result<Outcome> {
    let mut connections = Vec::new();
    for _ in 0..concurrency {
        connections.push(Connection::open(port, &stage.trust).await?);
    }
    let api_before = process::cpu_seconds(stage.api_server)?;
    let before = process::cpu_seconds(pid)?;
    let begun = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|mut connection| {
            let (prepared, next) = (Arc::clone(prepared), Arc::clone(&next));
            tokio::spawn(async move {
                let mut took = Vec::new();
                let mut allowed = 0;
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= total {
                        return anyhow::Ok((took, allowed));
                    }
                    let prepared = &prepared[index % prepared.len()];
                    let answer = connection.review(prepared.body.clone()).await?;
                    allowed += usize::from(right(prepared, &answer)?);
                    took.push(answer.took);
                }
            })
        })
        .collect();
    let mut outcome = gather(tasks).await?;
    outcome.wall = begun.elapsed();
    let thousands = number(total) / 1e3;
    outcome.api_server = (process::cpu_seconds(stage.api_server)? - api_before) / thousands;
    outcome.webhook = (process::cpu_seconds(pid)? - before) / thousands;
    Ok(outcome)
}

/// Whether an answer of the webhook is the expected one; an error says what came instead.
pub(crate) fn right(prepared: &Prepared, answer: &super::client::Answer) -> Result<bool> {
    let allowed = answer.allowed()?;
    let expected = match &prepared.expected {
        Expected::Allowed => allowed,
        Expected::Denied(word) => !allowed && answer.contains(word),
    };
    ensure!(expected, "{:?} was expected: {}", prepared.expected, String::from_utf8_lossy(&answer.body));
    Ok(allowed)
}

type Task = tokio::task::JoinHandle<Result<(Vec<Duration>, usize)>>;

async fn gather(tasks: Vec<Task>) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for task in tasks {
        let (took, allowed) = task.await??;
        outcome.took.extend(took);
        outcome.allowed += allowed;
    }
    outcome.denied = outcome.took.len() - outcome.allowed;
    outcome.took.sort_unstable();
    Ok(outcome)
}
