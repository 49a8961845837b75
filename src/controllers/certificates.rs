//! Keeps the certificates of the webhook: an authority and a serving certificate in two Secrets, replaced in time and
//! with an overlap, so that the API server never meets a certificate that it does not trust yet.
//!
//! Only the leader runs this. Every write carries the resourceVersion of what it was decided on.

pub mod issue;
pub mod observe;
pub mod plan;
mod secrets;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::events::{Event, EventType};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use thiserror::Error;
use tokio::sync::watch;

use self::issue::IssueError;
use self::observe::{certificates, data, fingerprint};
use self::plan::{Act, Fingerprint, Observed, Plan, Published, Waiting, Why};
use self::secrets::{Read, bundle, client_config, issuer, pem, previous, still_trusted, texts};
use super::keep::{Keeper, keep};
use crate::telemetry::events::Recorder;
use crate::telemetry::metrics::Metrics;

/// The Secret with the authority; only the controller reads it.
pub const AUTHORITY_SECRET: &str = "portcullis-ca";
/// The Secret with the serving certificate; every replica of the webhook watches it.
pub const SERVING_SECRET: &str = "portcullis-webhook-tls";
/// More acts than a whole rotation needs; a plan that wants more is going in circles.
const ACTS_MAX: usize = 8;

/// The caBundles of the live webhook configuration, as the controller that watches it sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LiveBundles {
    /// Not read yet.
    #[default]
    Unknown,
    /// There is no configuration, or it has no entry.
    Absent,
    /// One PEM text an entry.
    Entries(Vec<Vec<u8>>),
}

/// Why a look at the certificates ended early.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A Secret cannot be read.
    #[error("a Secret cannot be read")]
    Read(#[source] kube::Error),
    /// A Secret cannot be written.
    #[error("a Secret cannot be written")]
    Write(#[source] kube::Error),
    /// A certificate cannot be made.
    #[error("a certificate cannot be made")]
    Issue(#[from] IssueError),
    /// The client configuration cannot be made.
    #[error("the client configuration cannot be made")]
    Client(#[source] rustls::Error),
    /// The authority's text, which was just read, is not UTF-8 or not PEM.
    #[error("the authority cannot be used")]
    Authority,
    /// The plan does not come to an end.
    #[error("the plan does not come to an end")]
    Circles,
}

impl CertificateError {
    /// The variant's name, for the metric.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Read(_) => "read",
            Self::Write(_) => "write",
            Self::Issue(_) => "issue",
            Self::Client(_) => "client",
            Self::Authority => "authority",
            Self::Circles => "circles",
        }
    }
}

/// Where the controller's results go.
#[derive(Debug)]
pub struct Outputs {
    /// The authorities to trust, PEM: what the webhook configuration's caBundle should be.
    pub bundle: watch::Sender<Option<Arc<[u8]>>>,
    /// How to call the replicas of the webhook as the controller.
    pub client: watch::Sender<Option<Arc<rustls::ClientConfig>>>,
}

/// The controller.
pub struct Certificates {
    secrets: Api<Secret>,
    names: Vec<String>,
    live: watch::Receiver<LiveBundles>,
    outputs: Arc<Outputs>,
    recorder: Recorder,
    metrics: Arc<Metrics>,
    seen: Option<(Vec<Fingerprint>, i64)>,
    client_made: Option<(Fingerprint, i64)>,
}

impl Certificates {
    /// The controller for the Service `service` in `namespace`.
    #[must_use]
    pub fn new(
        client: Client,
        namespace: &str,
        service: &str,
        live: watch::Receiver<LiveBundles>,
        outputs: Arc<Outputs>,
        recorder: Recorder,
        metrics: Arc<Metrics>,
    ) -> Self {
        let name = format!("{service}.{namespace}.svc");
        Self {
            secrets: Api::namespaced(client, namespace),
            names: vec![name.clone(), format!("{name}.cluster.local")],
            live,
            outputs,
            recorder,
            metrics,
            seen: None,
            client_made: None,
        }
    }

    /// Keeps the certificates, for ever.
    pub async fn run(self) {
        let watched = [AUTHORITY_SECRET, SERVING_SECRET]
            .map(|name| watcher::watch_object(self.secrets.clone(), name).default_backoff().boxed());
        let metrics = Arc::clone(&self.metrics);
        keep(self, futures::stream::select_all(watched), &metrics).await;
    }

    async fn read(&self) -> Result<Read, CertificateError> {
        let (authority, serving) =
            futures::try_join!(self.secrets.get_opt(AUTHORITY_SECRET), self.secrets.get_opt(SERVING_SECRET))
                .map_err(CertificateError::Read)?;
        Ok(Read { authority, serving })
    }

    fn observe(&mut self, read: &Read, now: i64) -> Observed {
        let authority = observe::authority(read.authority.as_ref());
        let previous = previous(read);
        let current = authority.as_ref().ok().map(|(certificate, _)| certificate);
        let leaf = observe::leaf(read.serving.as_ref(), current, previous.as_ref(), &self.names);
        let bundled = data(read.serving.as_ref(), "ca.crt").map(certificates).unwrap_or_default();
        let live = self.live.borrow_and_update().clone();
        Observed {
            authority: authority.map(|(_, validity)| validity),
            previous: previous.as_ref().and_then(observe::validity),
            leaf,
            bundled: bundled.iter().map(fingerprint).collect(),
            published: self.published(&live, now),
            witnessed: [&read.authority, &read.serving]
                .into_iter()
                .flatten()
                .filter_map(observe::witnessed)
                .max(),
        }
    }

    fn published(&mut self, live: &LiveBundles, now: i64) -> Published {
        let entries = match live {
            LiveBundles::Unknown => return Published::Unknown,
            LiveBundles::Absent => return Published::Absent,
            LiveBundles::Entries(entries) => entries,
        };
        let mut sets =
            entries.iter().map(|pem| certificates(pem).iter().map(fingerprint).collect::<Vec<_>>());
        let mut common = sets.next().unwrap_or_default();
        for set in sets {
            common.retain(|fingerprint| set.contains(fingerprint));
        }
        common.sort_unstable();
        let since = match &self.seen {
            Some((seen, since)) if *seen == common => *since,
            _ => now,
        };
        self.seen = Some((common.clone(), since));
        Published::Authorities { fingerprints: common, since }
    }

    /// Tells the others what to trust and how to call, where that has changed.
    fn hand_out(&mut self, read: &Read, observed: &Observed, now: i64) -> Result<(), CertificateError> {
        let Ok(authority) = observed.authority else { return Ok(()) };
        let bundle: Arc<[u8]> = bundle(read, observed).into_bytes().into();
        self.outputs.bundle.send_if_modified(|sent| {
            let changed = sent.as_ref() != Some(&bundle);
            if changed {
                *sent = Some(Arc::clone(&bundle));
            }
            changed
        });
        if let Ok(leaf) = observed.leaf {
            self.metrics.certificate_expires(leaf.validity.not_after);
        }
        let fresh = self.client_made.is_some_and(|(by, made)| {
            by == authority.fingerprint && (made..made.saturating_add(issue::CLIENT_LIFE / 2)).contains(&now)
        });
        if !fresh && (authority.not_before..authority.not_after).contains(&now) {
            let config = client_config(&issuer(read)?, &bundle, now)?;
            self.outputs.client.send_replace(Some(Arc::new(config)));
            self.client_made = Some((authority.fingerprint, now));
        }
        Ok(())
    }

    async fn act(
        &self,
        act: Act,
        read: &Read,
        observed: &Observed,
        now: i64,
    ) -> Result<(), CertificateError> {
        match act {
            Act::NewAuthority(why) => {
                let made = issue::authority(now)?;
                let mut content = BTreeMap::from([("tls.crt", made.certificate), ("tls.key", made.key)]);
                if let Some(previous) = still_trusted(read, now) {
                    content.insert("previous.crt", pem(&previous));
                }
                self.write(AUTHORITY_SECRET, read.authority.as_ref(), content).await?;
                self.say(read.authority.as_ref(), "AuthorityReplaced", "a new authority was made", why).await;
            }
            Act::NewLeaf(why) => {
                let until = observed.authority.map_or(now, |authority| authority.not_after);
                let made = issue::serving(&issuer(read)?, &self.names, now, until)?;
                let content = BTreeMap::from([
                    ("tls.crt", made.certificate),
                    ("tls.key", made.key),
                    ("ca.crt", bundle(read, observed)),
                ]);
                self.write(SERVING_SECRET, read.serving.as_ref(), content).await?;
                let what = "a new serving certificate was made";
                self.say(read.serving.as_ref(), "CertificateReplaced", what, why).await;
            }
            Act::WriteBundle => {
                let mut content = texts(read.serving.as_ref());
                content.insert("ca.crt", bundle(read, observed));
                self.write(SERVING_SECRET, read.serving.as_ref(), content).await?;
            }
            Act::RetirePrevious => {
                let mut content = texts(read.authority.as_ref());
                content.remove("previous.crt");
                self.write(AUTHORITY_SECRET, read.authority.as_ref(), content).await?;
                tracing::info!("the previous authority is trusted no longer");
            }
        }
        Ok(())
    }

    /// Writes the whole content of a Secret on top of what was read; a conflict is no error, the next look decides anew.
    async fn write(
        &self,
        name: &str,
        read: Option<&Secret>,
        content: BTreeMap<&'static str, String>,
    ) -> Result<(), CertificateError> {
        let data =
            content.into_iter().map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes()))).collect();
        let parameters = PostParams { field_manager: Some("portcullis".to_owned()), ..PostParams::default() };
        let result = if let Some(read) = read {
            let secret = Secret { data: Some(data), string_data: None, ..read.clone() };
            self.secrets.replace(name, &parameters, &secret).await
        } else {
            let labels =
                BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "portcullis".to_owned())]);
            let metadata =
                ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
            let type_ = Some("kubernetes.io/tls".to_owned());
            let secret = Secret { metadata, data: Some(data), type_, ..Secret::default() };
            self.secrets.create(&parameters, &secret).await
        };
        match result {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(()),
            Err(error) => Err(CertificateError::Write(error)),
        }
    }

    async fn say(&self, secret: Option<&Secret>, reason: &str, what: &str, why: Why) {
        if why.is_routine() {
            tracing::info!(%why, "{what}");
        } else {
            tracing::warn!(%why, "{what}");
        }
        let Some(secret) = secret else { return };
        let event = Event {
            type_: if why.is_routine() { EventType::Normal } else { EventType::Warning },
            reason: reason.to_owned(),
            note: Some(format!("{what}: {why}")),
            action: "Rotate".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &secret.object_ref(&())).await {
            tracing::warn!(%error, "an Event was not written");
        }
    }
}

impl Keeper for Certificates {
    type Error = CertificateError;
    const WATCHES: &'static str = "secrets";

    async fn reconcile(&mut self) -> Result<Duration, CertificateError> {
        for _ in 0..ACTS_MAX {
            let read = self.read().await?;
            let now = Timestamp::now().as_second();
            let observed = self.observe(&read, now);
            self.hand_out(&read, &observed, now)?;
            match plan::plan(now, &observed) {
                Plan::Act(act) => self.act(act, &read, &observed, now).await?,
                Plan::Wait(waiting, seconds) => {
                    if waiting == Waiting::ClockBehind {
                        tracing::error!("our clock is behind the API server's; no certificate is touched");
                    }
                    return Ok(Duration::from_secs(u64::try_from(seconds).unwrap_or(1)));
                }
            }
        }
        Err(CertificateError::Circles)
    }

    fn failed(&self, error: &CertificateError) {
        self.metrics.certificate_failed(error.label());
        tracing::warn!(error = crate::telemetry::chain(error), "the certificates could not be kept");
    }

    async fn news(&mut self) {
        if self.live.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("names", &self.names).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "certificates/tests.rs"]
mod tests;
