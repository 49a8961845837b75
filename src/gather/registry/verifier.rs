//! The front door: answers from memory without waiting, looks up once for all who ask, and never waits beyond the
//! caller's deadline.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use ipnet::IpNet;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use super::address::Names;
use super::auth::RegistryCredentials;
use super::client::{ClientConfig, GuardedClient, Session};
use super::contents::{self, Contents, Within};
use super::demand::Demand;
use super::document::{self, Bundles, Document};
use super::error::FetchError;
use super::lookup::{Hints, look};
use super::memory::{self, Remembered};
use super::specs::Question;
use super::stats::Stats;
use super::trust::CompiledTrust;
use super::verification::{Cause, Refusal, Verification};
use crate::policy::image::ImageRef;

/// Requests for the files of one artifact.
const MOST_REQUESTS: usize = 4_000;

/// How a [`Verifier`] is set up.
#[derive(Debug, Clone)]
pub struct VerifierConfig {
    /// How long a proof is remembered; less where its authority ends sooner.
    pub positive_ttl: Duration,
    /// How long "not signed" and "untrusted" are remembered.
    pub negative_ttl: Duration,
    /// How long "could not look" is remembered.
    pub unknown_ttl: Duration,
    /// How long one look-up may take altogether, whoever waits for it.
    pub lookup_timeout: Duration,
    /// Answers remembered.
    pub capacity: u64,
    /// Look-ups that talk to registries at the same time.
    pub concurrency: usize,
    /// Look-ups under way or waiting; further ones are answered at once with "could not look".
    pub max_in_flight: usize,
    /// PEM bundles of certificate authorities to trust beside the system's.
    pub extra_roots: Vec<Vec<u8>>,
    /// Address ranges of the cluster, refused like private ones.
    pub cluster_ranges: Vec<IpNet>,
    /// Who says which addresses the name of a host has.
    pub names: Names,
}

impl Default for VerifierConfig {
    fn default() -> Self {
        Self {
            positive_ttl: Duration::from_hours(1),
            negative_ttl: Duration::from_secs(30),
            unknown_ttl: Duration::from_secs(5),
            lookup_timeout: Duration::from_secs(10),
            capacity: 20_000,
            concurrency: 32,
            max_in_flight: 512,
            extra_roots: Vec::new(),
            cluster_ranges: Vec::new(),
            names: Names::default(),
        }
    }
}

/// Verifies signatures of artifacts in registries. Cheap to clone; clones share everything.
///
/// Guarantees: no packet leaves for a registry that no policy lists; [`Self::peek`] never waits; one look-up at a time
/// for one question; an answer is remembered under digest, repository and the policies' generation, so that a changed
/// policy is never answered from before the change.
#[derive(Debug, Clone)]
pub struct Verifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: VerifierConfig,
    client: GuardedClient,
    hints: Hints,
    answers: moka::sync::Cache<Key, Remembered>,
    flights: Mutex<HashMap<Key, Flight>>,
    slots: Semaphore,
    stats: Arc<Stats>,
}

type Flight = Shared<BoxFuture<'static, Arc<Verification>>>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    /// `registry/repository@digest`; a tag only where the policy lets an index under it vouch.
    subject: String,
    /// Positions of the rules that were asked about, within their generation.
    rules: Vec<usize>,
    generation: u64,
    /// Whose question it was. What was had with credentials is only for those who have them too; a proof that needed
    /// none is kept for everybody.
    credentials: Option<[u8; 32]>,
}

impl Verifier {
    /// Sets up a verifier. Cannot fail: where no CA certificates can be loaded, each look-up over TLS says so.
    #[must_use]
    pub fn new(config: VerifierConfig) -> Self {
        let stats = Arc::new(Stats::default());
        let client_config = ClientConfig {
            extra_roots: config.extra_roots.clone(),
            cluster: config.cluster_ranges.clone(),
            names: config.names.clone(),
        };
        Self(Arc::new(Inner {
            client: GuardedClient::new(&client_config, Arc::clone(&stats)),
            hints: Hints::new(),
            answers: memory::answers(config.capacity, &stats),
            flights: Mutex::default(),
            slots: Semaphore::new(config.concurrency),
            stats,
            config,
        }))
    }

    /// Counters for the telemetry.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.0.stats
    }

    /// How many answers are remembered, never more than [`VerifierConfig::capacity`].
    #[must_use]
    pub fn entries(&self) -> u64 {
        // What was put in a moment ago may not be counted yet.
        self.0.answers.run_pending_tasks();
        self.0.answers.entry_count()
    }

    pub(super) fn client(&self) -> &GuardedClient {
        &self.0.client
    }

    /// A place among the look-ups that talk to registries at the same time.
    pub(super) async fn slot(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.0.slots.acquire().await.ok()
    }

    /// What is known without asking anybody: a refusal by the policies, or a remembered answer.
    #[must_use]
    pub fn peek(
        &self,
        question: Question<'_>,
        trust: &CompiledTrust,
        credentials: Option<&RegistryCredentials>,
    ) -> Option<Arc<Verification>> {
        match trust.demand(&question) {
            Err(refusal) => Some(Arc::new(Verification::Refused(refusal))),
            Ok(demand) => self.0.remembered(&Key::new(question.image, &demand, trust, credentials)),
        }
    }

    /// Verifies an artifact: from memory if the answer is known, else by one look-up shared by all who ask.
    ///
    /// Guarantees: returns by the deadline. A look-up that takes longer goes on without its callers, within
    /// [`VerifierConfig::lookup_timeout`], and its answer is there for the next question.
    ///
    /// Assumes a tokio runtime with its timer.
    pub async fn verify(
        &self,
        question: Question<'_>,
        trust: &Arc<CompiledTrust>,
        credentials: Option<&RegistryCredentials>,
        deadline: Instant,
    ) -> Arc<Verification> {
        let stats = &self.0.stats;
        stats.lookups.fetch_add(1, Ordering::Relaxed);
        let key = match trust.demand(&question) {
            Ok(demand) => Key::new(question.image, &demand, trust, credentials),
            Err(refusal) => {
                let verification = Verification::Refused(refusal);
                stats.count(&verification);
                return Arc::new(verification);
            }
        };
        let flight = {
            let mut flights = self.0.flights();
            // Under the lock, so that an answer cannot slip in between looking for it and starting a look-up.
            if let Some(known) = self.0.remembered(&key) {
                stats.hits.fetch_add(1, Ordering::Relaxed);
                return known;
            }
            if let Some(flight) = flights.get(&key) {
                stats.joined.fetch_add(1, Ordering::Relaxed);
                flight.clone()
            } else if flights.len() >= self.0.config.max_in_flight {
                let error = FetchError::Internal("too many look-ups are under way".to_owned());
                return Arc::new(error.into_verification());
            } else {
                let flight = self.take_off(key.clone(), question, trust, credentials);
                flights.insert(key, flight.clone());
                flight
            }
        };
        timeout_at(deadline.into(), flight).await.unwrap_or_else(|_| {
            Arc::new(
                FetchError::Timeout { registry: question.image.registry().to_owned() }.into_verification(),
            )
        })
    }

    /// Looks at the files of an artifact, for who is not waited for: it may take minutes.
    ///
    /// Guarantees: no packet leaves for a registry that no policy lists; requests, bytes and memory are bounded, whatever
    /// the registry answers; returns by the deadline. Nothing is remembered.
    ///
    /// # Errors
    /// Why nothing can be told: a refusal by the policies, or what stood in the way.
    pub async fn contents(
        &self,
        question: Question<'_>,
        within: Within<'_>,
        trust: &CompiledTrust,
        credentials: Option<&RegistryCredentials>,
        deadline: Instant,
    ) -> Result<Contents, Verification> {
        let demand = trust.demand(&question).map_err(Verification::Refused)?;
        let session = self.0.client.session(demand.registry, question.image.repository(), credentials);
        let mut session = session.map_err(FetchError::into_verification)?.patient(MOST_REQUESTS);
        let read = contents::read(&mut session, demand.digest, within);
        let timeout = || FetchError::Timeout { registry: question.image.registry().to_owned() };
        let read = timeout_at(deadline.into(), read).await.unwrap_or_else(|_| Err(timeout()));
        read.map_err(FetchError::into_verification)
    }

    /// Reads what lies under `image`, without asking who signed it; `None` where there is nothing. Not remembered.
    ///
    /// # Errors
    /// Why it could not be found out, as a sentence: the registry is on no list, or did not answer in time.
    pub async fn document(
        &self,
        image: &ImageRef,
        trust: &CompiledTrust,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<Option<Document>, String> {
        let mut session = self.session(image, trust, credentials)?;
        self.timed(image, document::read(&mut session, image)).await
    }

    /// Reads the bundles that refer to `image`, which is named by digest. Nothing is believed of them, nor remembered.
    ///
    /// # Errors
    /// As [`Self::document`].
    pub async fn bundles(
        &self,
        image: &ImageRef,
        trust: &CompiledTrust,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<Bundles, String> {
        let mut session = self.session(image, trust, credentials)?;
        self.timed(image, document::bundles(&mut session, &self.0.hints, image)).await
    }

    fn session<'a>(
        &'a self,
        image: &'a ImageRef,
        trust: &'a CompiledTrust,
        credentials: Option<&'a RegistryCredentials>,
    ) -> Result<Session<'a>, String> {
        let host = image.registry();
        let refused = || Refusal::RegistryNotAllowed(host.to_owned()).to_string();
        let registry = trust.registry(host).ok_or_else(refused)?;
        self.0.client.session(registry, image.repository(), credentials).map_err(|error| error.to_string())
    }

    /// What is read within the time of a look-up, one of those that run at the same time.
    async fn timed<T>(
        &self,
        image: &ImageRef,
        read: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, String> {
        let end = tokio::time::Instant::now() + self.0.config.lookup_timeout;
        let read = async {
            let Ok(_slot) = self.0.slots.acquire().await else {
                return Err(FetchError::Internal("look-ups have ended".to_owned()));
            };
            read.await
        };
        let late = |_| FetchError::Timeout { registry: image.registry().to_owned() };
        timeout_at(end, read).await.map_err(late).flatten().map_err(|error| error.to_string())
    }

    /// Starts a look-up on a task of its own, so that no caller's end cuts it short.
    fn take_off(
        &self,
        key: Key,
        question: Question<'_>,
        trust: &Arc<CompiledTrust>,
        credentials: Option<&RegistryCredentials>,
    ) -> Flight {
        let inner = Arc::clone(&self.0);
        let (image, artifact) = (question.image.clone(), question.artifact);
        let namespace = question.namespace.map(str::to_owned);
        let (trust, credentials) = (Arc::clone(trust), credentials.cloned());
        let task = tokio::spawn(async move {
            let landing = Landing { inner: &inner, key: &key };
            inner.stats.in_flight.fetch_add(1, Ordering::Relaxed);
            let end = tokio::time::Instant::now() + inner.config.lookup_timeout;
            let question = Question { image: &image, artifact, namespace: namespace.as_deref() };
            let looked = timeout_at(end, inner.look_up(&question, &trust, credentials.as_ref())).await;
            let (verification, private) = looked.unwrap_or_else(|_| {
                let timeout = FetchError::Timeout { registry: image.registry().to_owned() };
                (timeout.into_verification(), true)
            });
            inner.stats.count(&verification);
            if let Verification::Unknown { cause, reason } = &verification {
                tracing::debug!(image = %image, cause = cause.name(), reason, "signatures could not be looked up");
            }
            let verification = Arc::new(verification);
            inner.remember(&key, &verification, private);
            drop(landing);
            verification
        });
        async move {
            task.await.unwrap_or_else(|_| {
                let reason = "the look-up failed by a fault of its own".to_owned();
                Arc::new(Verification::Unknown { cause: Cause::Internal, reason })
            })
        }
        .boxed()
        .shared()
    }
}

/// Takes a flight off the board however it ends.
struct Landing<'a> {
    inner: &'a Inner,
    key: &'a Key,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.inner.flights().remove(self.key);
        self.inner.stats.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inner {
    fn flights(&self) -> MutexGuard<'_, HashMap<Key, Flight>> {
        // The map is whole at every moment, so a panic elsewhere does not spoil it.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self, key: &Key) -> Option<Arc<Verification>> {
        if key.credentials.is_some() {
            let proven = self.answers.get(&Key { credentials: None, ..key.clone() });
            if let Some(proven) = proven.filter(|proven| proven.verification.is_verified()) {
                return Some(proven.verification);
            }
        }
        self.answers.get(key).map(|remembered| remembered.verification)
    }

    /// `private` says that credentials were used on the way.
    fn remember(&self, key: &Key, verification: &Arc<Verification>, private: bool) {
        let mut key = key.clone();
        let life = match verification.as_ref() {
            Verification::Refused(_) => return,
            Verification::Unknown { .. } => self.config.unknown_ttl,
            Verification::NotSigned { .. } | Verification::Untrusted { .. } => self.config.negative_ttl,
            Verification::Verified(proof) => {
                if !private {
                    key.credentials = None;
                }
                let rest = proof.valid_until.map(|end| end.duration_since(Timestamp::now()));
                let rest = rest.map_or(Duration::MAX, |rest| rest.try_into().unwrap_or_default());
                self.config.positive_ttl.min(rest)
            }
        };
        self.answers.insert(key, Remembered { verification: Arc::clone(verification), life });
    }

    async fn look_up(
        &self,
        question: &Question<'_>,
        trust: &CompiledTrust,
        credentials: Option<&RegistryCredentials>,
    ) -> (Verification, bool) {
        let demand = match trust.demand(question) {
            Ok(demand) => demand,
            Err(refusal) => return (Verification::Refused(refusal), false),
        };
        let Ok(_slot) = self.slots.acquire().await else {
            let ended = FetchError::Internal("look-ups have ended".to_owned());
            return (ended.into_verification(), false);
        };
        match self.client.session(demand.registry, question.image.repository(), credentials) {
            Err(error) => (error.into_verification(), false),
            Ok(mut session) => {
                let answer = look(&mut session, &self.hints, question.image.name(), &demand).await;
                (answer, session.used_credentials())
            }
        }
    }
}

impl Key {
    fn new(
        image: &ImageRef,
        demand: &Demand<'_>,
        trust: &CompiledTrust,
        credentials: Option<&RegistryCredentials>,
    ) -> Self {
        let credentials = credentials.filter(|credentials| credentials.is_for(image.registry()));
        Self {
            subject: match demand.tag.filter(|_| demand.index_may_vouch()) {
                Some(tag) => format!("{}:{tag}@{}", image.name(), demand.digest),
                None => format!("{}@{}", image.name(), demand.digest),
            },
            rules: demand.rules.iter().map(|rule| rule.index).collect(),
            generation: trust.generation(),
            credentials: credentials.map(RegistryCredentials::fingerprint),
        }
    }
}
