//! Elects one leader among the replicas of the controller, by a Lease that only its holder renews.
//!
//! A replica never compares its own clock with a time that another wrote: it waits until it has not seen the record
//! change for as long as the lease lasts.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use thiserror::Error;
use tokio::sync::{RwLock, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::telemetry::metrics::Metrics;

/// Who competes for which Lease, and how patiently.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// This replica's name: the pod's.
    pub identity: String,
    /// How long the others wait without a renewal before one of them takes over.
    pub lease: Duration,
    /// How long the leader keeps leading without having renewed; shorter than `lease`.
    pub renew_deadline: Duration,
    /// Between two attempts to take or to renew.
    pub retry: Duration,
}

impl Settings {
    /// The usual times: 15 s, 10 s, 2 s.
    #[must_use]
    pub fn new(namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: identity.to_owned(),
            lease: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// What this replica has seen of the Lease, and since when it has not changed.
#[derive(Clone, Debug)]
pub struct Seen {
    record: Option<LeaseSpec>,
    since: Instant,
}

impl Seen {
    /// Nothing seen yet.
    #[must_use]
    pub fn nothing(now: Instant) -> Self {
        Self { record: None, since: now }
    }

    /// Takes note of what the Lease says now.
    pub fn note(&mut self, now: Instant, lease: Option<&LeaseSpec>) {
        if self.record.as_ref() != lease {
            *self = Self { record: lease.cloned(), since: now };
        }
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// There is no Lease: create it.
    Create,
    /// Nobody holds it, or its holder has gone silent: take it.
    Take,
    /// We hold it: renew it.
    Renew,
    /// Somebody else holds it.
    Wait,
}

/// Decides from what was seen, without a call or a clock.
#[must_use]
pub fn decide(now: Instant, seen: &Seen, me: &str, lease: Duration) -> Decision {
    let Some(record) = &seen.record else { return Decision::Create };
    match record.holder_identity.as_deref() {
        None | Some("") => Decision::Take,
        Some(holder) if holder == me => Decision::Renew,
        Some(_) if now.saturating_duration_since(seen.since) >= lease => Decision::Take,
        Some(_) => Decision::Wait,
    }
}

/// The record to write for a decision; nothing where there is nothing to write.
#[must_use]
pub fn record(
    decision: Decision,
    before: Option<&LeaseSpec>,
    me: &str,
    lease: Duration,
    now: Timestamp,
) -> Option<LeaseSpec> {
    let (acquired, transitions) = match (decision, before) {
        (Decision::Wait, _) => return None,
        (Decision::Renew, Some(before)) => (before.acquire_time.clone(), before.lease_transitions),
        (_, Some(before)) => (None, Some(before.lease_transitions.unwrap_or(0).saturating_add(1))),
        (_, None) => (None, Some(0)),
    };
    Some(LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: Some(i32::try_from(lease.as_secs()).unwrap_or(i32::MAX)),
        acquire_time: acquired.or(Some(MicroTime(now))),
        renew_time: Some(MicroTime(now)),
        lease_transitions: transitions,
        ..LeaseSpec::default()
    })
}

/// Why an attempt failed.
#[derive(Debug, Error)]
enum LeaderError {
    #[error("the Lease cannot be read")]
    Read(#[source] kube::Error),
    #[error("the Lease cannot be written")]
    Write(#[source] kube::Error),
    #[error("the API server did not answer in time")]
    Late,
}

/// Whether this replica leads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Leadership {
    leads: watch::Receiver<bool>,
    // Held for reading while work is being done, so that the Lease is given up only after the work has ended.
    busy: Arc<RwLock<()>>,
}

impl Leadership {
    /// Whether this replica leads now.
    #[must_use]
    pub fn leads(&self) -> bool {
        *self.leads.borrow()
    }

    /// Runs `work` each time leadership is gained, and drops it when leadership is lost.
    ///
    /// # Guarantees
    /// The work is dropped before the Lease is released. When it is lost without a release (the API server cannot be
    /// reached), the work is dropped five seconds before anybody else may take over, as soon as it waits for something.
    /// Returns when the election has ended.
    pub async fn while_leading<W, F>(mut self, mut work: W)
    where
        W: FnMut() -> F,
        F: Future<Output = ()>,
    {
        while self.leads.wait_for(|leads| *leads).await.is_ok() {
            let busy = self.busy.read().await;
            let term = async {
                work().await;
                // Work that ends is started again with the next term only.
                std::future::pending::<()>().await;
            };
            let ended = tokio::select! {
                biased;
                lost = self.leads.wait_for(|leads| !*leads) => lost.is_err(),
                () = term => false,
            };
            drop(busy);
            if ended {
                return;
            }
        }
    }
}

/// Competes for leadership until `stop` is ready, then releases the Lease.
pub fn start(
    client: Client,
    settings: Settings,
    metrics: Arc<Metrics>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> (Leadership, JoinHandle<()>) {
    let (sender, leads) = watch::channel(false);
    let busy = Arc::new(RwLock::new(()));
    let election = Election {
        leases: Api::namespaced(client, &settings.namespace),
        settings,
        metrics,
        leads: sender,
        current: None,
        seen: Seen::nothing(Instant::now()),
        renewed: Instant::now(),
    };
    let task = tokio::spawn(election.run(stop, Arc::clone(&busy)));
    (Leadership { leads, busy }, task)
}

struct Election {
    leases: Api<Lease>,
    settings: Settings,
    metrics: Arc<Metrics>,
    leads: watch::Sender<bool>,
    /// The Lease as we wrote it last: the next renewal needs no read.
    current: Option<Lease>,
    seen: Seen,
    renewed: Instant,
}

impl Election {
    async fn run(mut self, stop: impl Future<Output = ()> + Send, busy: Arc<RwLock<()>>) {
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = self.term() => {}
            }
        }
        let led = *self.leads.borrow();
        self.set(false);
        if !led {
            return;
        }
        // The work gets a moment to end; after that the Lease is released all the same, as the process ends.
        let _ = timeout(Duration::from_secs(5), busy.write()).await;
        if let Err(error) = self.release().await {
            tracing::warn!(error = crate::telemetry::chain(&error), "the Lease was not released");
        }
    }

    /// One attempt and the pause behind it.
    async fn term(&mut self) {
        let start = Instant::now();
        let until = if *self.leads.borrow() {
            self.renewed + self.settings.renew_deadline
        } else {
            start + self.settings.renew_deadline
        };
        let attempt = match timeout_at(until, self.attempt()).await {
            Ok(result) => result,
            Err(_) => Err(LeaderError::Late),
        };
        match attempt {
            Ok(true) => {
                // Counted from before the call: the others count from when the write was done.
                self.renewed = start;
                self.set(true);
            }
            Ok(false) => self.set(false),
            Err(error) => {
                self.current = None;
                self.metrics.reconcile_failed(match error {
                    LeaderError::Read(_) => "lease-read",
                    LeaderError::Write(_) => "lease-write",
                    LeaderError::Late => "lease-late",
                });
                tracing::warn!(error = crate::telemetry::chain(&error), "the Lease was not renewed or taken");
                if self.renewed.elapsed() >= self.settings.renew_deadline {
                    self.set(false);
                }
            }
        }
        let pause = jittered(self.settings.retry);
        let pause = if *self.leads.borrow() {
            // Never sleep past the moment at which we must stop leading.
            pause.min((self.renewed + self.settings.renew_deadline).saturating_duration_since(Instant::now()))
        } else {
            pause
        };
        tokio::time::sleep(pause).await;
    }

    /// Whether we hold the Lease after this attempt.
    async fn attempt(&mut self) -> Result<bool, LeaderError> {
        let lease = match self.current.take() {
            Some(lease) => Some(lease),
            None => self.leases.get_opt(&self.settings.name).await.map_err(LeaderError::Read)?,
        };
        let before = lease.as_ref().and_then(|lease| lease.spec.as_ref());
        let empty = LeaseSpec::default();
        // A Lease without a spec is a Lease that nobody holds.
        self.seen.note(Instant::now(), lease.as_ref().map(|_| before.unwrap_or(&empty)));
        let decision = decide(Instant::now(), &self.seen, &self.settings.identity, self.settings.lease);
        let spec = record(decision, before, &self.settings.identity, self.settings.lease, Timestamp::now());
        let Some(spec) = spec else { return Ok(false) };
        let parameters = PostParams::default();
        let written = if let Some(lease) = lease {
            // The resourceVersion of what was read goes back with it: whoever was faster wins.
            let lease = Lease { spec: Some(spec), ..lease };
            self.leases.replace(&self.settings.name, &parameters, &lease).await
        } else {
            let metadata = ObjectMeta { name: Some(self.settings.name.clone()), ..ObjectMeta::default() };
            self.leases.create(&parameters, &Lease { metadata, spec: Some(spec) }).await
        };
        match written {
            Ok(lease) => {
                self.seen.note(Instant::now(), lease.spec.as_ref());
                self.current = Some(lease);
                Ok(true)
            }
            // Somebody else wrote in between. Whoever led before still does until the deadline; the next look tells.
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
                Ok(*self.leads.borrow() && self.holds().await?)
            }
            Err(error) => Err(LeaderError::Write(error)),
        }
    }

    async fn holds(&self) -> Result<bool, LeaderError> {
        let lease = self.leases.get_opt(&self.settings.name).await.map_err(LeaderError::Read)?;
        Ok(lease.as_ref().and_then(holder) == Some(&self.settings.identity))
    }

    /// Gives the Lease up, so that the next leader need not wait.
    async fn release(&mut self) -> Result<(), LeaderError> {
        // An attempt that was cut off by the word to stop leaves nothing behind: then the Lease is read once more.
        let lease = match self.current.take() {
            Some(lease) => lease,
            None => match self.leases.get_opt(&self.settings.name).await.map_err(LeaderError::Read)? {
                Some(lease) if holder(&lease) == Some(&self.settings.identity) => lease,
                _ => return Ok(()),
            },
        };
        let spec = LeaseSpec {
            holder_identity: None,
            renew_time: Some(MicroTime(Timestamp::now())),
            ..lease.spec.clone().unwrap_or_default()
        };
        let lease = Lease { spec: Some(spec), ..lease };
        let parameters = PostParams::default();
        let write = self.leases.replace(&self.settings.name, &parameters, &lease);
        match timeout(self.settings.retry, write).await {
            Ok(result) => result.map(|_| ()).map_err(LeaderError::Write),
            Err(_) => Err(LeaderError::Late),
        }
    }

    fn set(&self, leads: bool) {
        let changed = self.leads.send_if_modified(|now| std::mem::replace(now, leads) != leads);
        if changed {
            self.metrics.leading(leads);
            tracing::info!(leads, identity = self.settings.identity, "leadership changed");
        }
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()
}

/// `base`, up to a fifth longer, so that replicas that started together do not stay in step.
fn jittered(base: Duration) -> Duration {
    let random = u32::try_from(RandomState::new().build_hasher().finish() % 200).unwrap_or(0);
    base + base * random / 1000
}

#[cfg(test)]
#[path = "leader_tests.rs"]
mod tests;
