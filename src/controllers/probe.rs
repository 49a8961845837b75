//! Reads the declared figures of running pods, to see that they are there and move.
//!
//! A probe goes to the address of a ready pod and to its declared port and path, and nowhere else: no redirect, no
//! credential, a bounded answer in a bounded time. It decides nothing about pods that run.

mod series;
pub mod sink;
mod tls;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use self::series::Sums;
use super::conditions::{Holds, MONITORING_OBSERVED, RECORDS_OBSERVED, Said};
use super::dirty::Dirty;
use super::pods::Pods;
use crate::api::AIWorkload;
use crate::api::workload::MetricsScheme;
use crate::gather::world::{Touched, World, matched};
use crate::policy::facts::Matched;

/// Between two rounds.
const EVERY: Duration = Duration::from_mins(1);
/// For one answer, from the connection to its last byte.
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest answer that is read.
const LARGEST: usize = 4 * 1024 * 1024;
/// Probes at the same time.
const TOGETHER: usize = 8;
/// Figures that stood still for so long are said to.
const STILL: SignedDuration = SignedDuration::from_hours(1);
/// Requests of which no record was written for so long are not recorded: a log may be written in batches.
const UNWRITTEN: SignedDuration = SignedDuration::from_mins(10);
/// Names that a message tells.
const NAMES: usize = 5;

/// Whose figures: namespace and workload.
type Whose = (String, String);

/// What was seen of the figures of one workload.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    pod: String,
    sums: Sums,
    since: Timestamp,
    moved: Option<Timestamp>,
    said: Said,
    /// Requests and records at the last time that records grew, or that the counting began; and when that was.
    counted: Option<(f64, f64, Timestamp)>,
    records: Option<Said>,
}

/// What was seen, shared with the audit.
#[derive(Debug, Default)]
pub struct Observations {
    seen: Mutex<BTreeMap<Whose, Seen>>,
}

impl Observations {
    /// What is to be said of the figures of a workload; nothing where nobody looked.
    #[must_use]
    pub fn of(&self, namespace: &str, workload: &str) -> Vec<Said> {
        let all = self.lock();
        let seen = all.get(&(namespace.to_owned(), workload.to_owned()));
        seen.into_iter()
            .flat_map(|seen| std::iter::once(seen.said.clone()).chain(seen.records.clone()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Whose, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the answer of one pod. Returns whether something else is to be said than before.
    fn take(&self, target: &Target, answer: Result<String, ProbeError>, now: Timestamp) -> bool {
        let mut all = self.lock();
        let former = all.get(&target.whose);
        let seen = look(target, former, answer, now);
        let news = former.is_none_or(|former| former.said != seen.said || former.records != seen.records);
        all.insert(target.whose.clone(), seen);
        news
    }
}

/// One endpoint to read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    whose: Whose,
    pod: String,
    address: SocketAddr,
    path: String,
    tls: bool,
    required: Vec<String>,
    /// The counters of requests and of records, where both are named.
    counters: Option<(String, String)>,
}

/// Why figures could not be read.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("it did not answer in 5 seconds")]
    Late,
    #[error("no connection: {0}")]
    Connect(#[from] std::io::Error),
    #[error("no HTTP answer: {0}")]
    Http(#[from] hyper::Error),
    #[error("the request could not be made: {0}")]
    Request(#[from] hyper::http::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("the answer is larger than 4 MiB or broke off: {0}")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Reads figures of declared workloads.
pub struct Prober {
    /// What is known.
    pub world: Arc<RwLock<World>>,
    /// The running pods.
    pub pods: Arc<Mutex<Pods>>,
    /// What has changed.
    pub dirty: Arc<Dirty>,
    /// Where it is remembered.
    pub observations: Arc<Observations>,
}

impl Prober {
    /// Probes, round after round, until it is dropped.
    pub async fn run(self) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.round().await;
        }
    }

    async fn round(&self) {
        let targets = self.targets();
        self.observations.lock().retain(|whose, _| targets.iter().any(|target| target.whose == *whose));
        let mut answers = stream::iter(targets)
            .map(|target| async move {
                let answer = tokio::time::timeout(PATIENCE, read(&target)).await;
                (target, answer.unwrap_or(Err(ProbeError::Late)))
            })
            .buffer_unordered(TOGETHER);
        while let Some((target, answer)) = answers.next().await {
            if self.observations.take(&target, answer, Timestamp::now()) {
                self.dirty.add(Touched::namespace(&target.whose.0));
            }
        }
    }

    /// One ready pod of each workload that declares figures; the one that was read before, so that its figures can be
    /// compared.
    fn targets(&self) -> Vec<Target> {
        let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
        let pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = self.observations.lock();
        let mut out: BTreeMap<Whose, Target> = BTreeMap::new();
        for namespace in world.cluster.namespaces.values().filter(|n| n.governed() && !n.terminating) {
            for (name, pod) in pods.of(&namespace.name).filter(|(_, pod)| pod.ready) {
                let Matched::One(workload) = matched(namespace, &pod.made_of.labels) else { continue };
                let Some(workload_name) = &workload.metadata.name else { continue };
                let whose = (namespace.name.clone(), workload_name.clone());
                let known = seen.get(&whose).is_some_and(|seen| seen.pod == *name);
                if out.contains_key(&whose) && !known {
                    continue;
                }
                if let Some(target) = target(whose.clone(), workload, name, pod) {
                    out.insert(whose, target);
                }
            }
        }
        out.into_values().collect()
    }
}

fn target(whose: Whose, workload: &AIWorkload, name: &str, pod: &super::pods::RunningPod) -> Option<Target> {
    let monitoring = workload.spec.monitoring.as_ref()?;
    let (metrics, log) = (monitoring.metrics.as_ref()?, monitoring.io_log.as_ref());
    let address = pod.address.filter(|address| of_a_pod(*address))?;
    let port = pod.made_of.port(&metrics.port)?;
    let path = metrics.path.as_deref().unwrap_or("/metrics");
    Some(Target {
        whose,
        pod: name.to_owned(),
        address: SocketAddr::new(address, port),
        path: if path.starts_with('/') { path.to_owned() } else { format!("/{path}") },
        tls: metrics.scheme == Some(MetricsScheme::Https),
        required: metrics.required.clone(),
        counters: log.and_then(|log| log.requests.clone().zip(log.counter.clone())),
    })
}

/// Whether a pod can have this address: whoever may write the status of a pod must not send us to the node or to its
/// cloud's services.
fn of_a_pod(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(local || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

async fn read(target: &Target) -> Result<String, ProbeError> {
    let tcp = TcpStream::connect(target.address).await?;
    if target.tls {
        let stream = tls::encrypted(tcp, target.address.ip()).await?;
        ask(stream, target).await
    } else {
        ask(tcp, target).await
    }
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    target: &Target,
) -> Result<String, ProbeError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = AbortOnDrop(tokio::spawn(connection));
    let request = Request::get(&target.path)
        .header(HOST, target.address.to_string())
        .header(ACCEPT, "text/plain;version=0.0.4")
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::OK {
        return Err(ProbeError::Status(response.status()));
    }
    let body = Limited::new(response.into_body(), LARGEST).collect().await.map_err(ProbeError::Body)?;
    drop(driver);
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

/// A connection goes when nobody waits for its answer any more.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is to be said after one more answer. Pure.
fn look(target: &Target, former: Option<&Seen>, answer: Result<String, ProbeError>, now: Timestamp) -> Seen {
    let place = format!("Pod {} port {} {}", target.pod, target.address.port(), target.path);
    let says =
        |holds: Holds, reason: &str, message: String| Said::new(MONITORING_OBSERVED, holds, reason, message);
    let body = match answer {
        Ok(body) => body,
        Err(error) => {
            let said = says(Holds::No, "NotServed", format!("{place}: {error}"));
            let sums = Sums::default();
            let pod = target.pod.clone();
            return Seen { pod, sums, since: now, moved: None, said, counted: None, records: None };
        }
    };
    let (sums, missing) = series::sums(&body, &target.required);
    let (counted, records) = recorded(target, former, &body, now);
    // Only figures of the same pod can be compared.
    let same = former.filter(|former| former.pod == target.pod && !former.sums.is_empty());
    let moved = match same {
        Some(former) if former.sums != sums => Some(now),
        // Another pod of the same workload: what was seen of the workload holds until it is seen otherwise.
        _ => former.and_then(|former| former.moved),
    };
    let since = same.map_or(now, |former| former.since);
    let said = if !missing.is_empty() {
        let more = missing.len().saturating_sub(NAMES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let names: Vec<&str> = missing.iter().take(NAMES).map(String::as_str).collect();
        says(Holds::No, "FiguresMissing", format!("{place} lacks {}{more}", names.join(", ")))
    } else if sums.is_empty() {
        says(Holds::No, "NoFigures", format!("{place} serves no figures in the text format of Prometheus"))
    } else if moved.is_some_and(|at| now.duration_since(at) < STILL) {
        says(Holds::Yes, "FiguresMove", format!("{place} serves what is required, and it moves"))
    } else if same.is_some() && now.duration_since(moved.unwrap_or(since)) >= STILL {
        says(
            Holds::Unknown,
            "StandingStill",
            format!("{place} serves what is required, and nothing of it has moved for an hour"),
        )
    } else if same.is_some() {
        // A minute later: figures that count work stand still until some comes.
        says(
            Holds::Unknown,
            "NotMovedYet",
            format!(
                "{place} serves what is required, and nothing of it has moved since it was first read: a request shows whether it does"
            ),
        )
    } else {
        says(
            Holds::Unknown,
            "SeenOnce",
            format!("{place} serves what is required; whether it moves is not known yet"),
        )
    };
    Seen { pod: target.pod.clone(), sums, since, moved, said, counted, records }
}

/// What was counted, and what is to be said of it: records that stand still while requests come are not written.
fn recorded(
    target: &Target,
    former: Option<&Seen>,
    body: &str,
    now: Timestamp,
) -> (Option<(f64, f64, Timestamp)>, Option<Said>) {
    let Some((requests, records)) = &target.counters else { return (None, None) };
    let says = |holds: Holds, reason: &str, message: String| {
        Some(Said::new(RECORDS_OBSERVED, holds, reason, message))
    };
    let count = |name: &String| {
        let (sums, missing) = series::sums(body, std::slice::from_ref(name));
        missing.is_empty().then(|| sums.values().map(|bits| f64::from_bits(*bits)).sum::<f64>())
    };
    let (Some(asked), Some(written)) = (count(requests), count(records)) else {
        let message = format!("Pod {} lacks {requests} or {records}", target.pod);
        return (None, says(Holds::No, "CountersMissing", message));
    };
    let before = former.filter(|former| former.pod == target.pod).and_then(|former| former.counted);
    match before {
        // A counter that fell began anew.
        Some((was, known, at)) if asked >= was && written <= known && written >= known => {
            let still = now.duration_since(at) >= UNWRITTEN;
            let said = if asked > was && still {
                let more = asked - was;
                let message = format!("{more} requests came to Pod {} since {records} grew", target.pod);
                says(Holds::No, "NotWritten", message)
            } else {
                let known = former.and_then(|former| former.records.clone());
                known.filter(|known| known.reason != "SeenOnce").or_else(|| {
                    let message =
                        format!("{records} of Pod {} has not grown since it was first read", target.pod);
                    says(Holds::Unknown, "NotGrownYet", message)
                })
            };
            (before, said)
        }
        Some((_, known, _)) if written > known => {
            let message = format!("{records} of Pod {} grows", target.pod);
            (Some((asked, written, now)), says(Holds::Yes, "Written", message))
        }
        _ => {
            let message = format!("{records} of Pod {} was seen once", target.pod);
            (Some((asked, written, now)), says(Holds::Unknown, "SeenOnce", message))
        }
    }
}

#[cfg(test)]
#[path = "probe/tests.rs"]
mod tests;
