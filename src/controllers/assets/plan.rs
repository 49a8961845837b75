//! Which models and datasets are due, which Jobs are to be read and which have become useless; and the status that an answer makes.
//! Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::AIModel;
use crate::api::common::{SeenFormat, Verification, VerificationState};
use crate::gather::model_jobs;
use crate::gather::registry::Contents;
use crate::gather::world::World;
use crate::models::job::{self, Answer, LABEL_VERIFIES, Stored};
use crate::policy::facts::{Namespace, Signature};
use crate::policy::{dates, verified};
use crate::render::words;

/// Verifiers that run in the cluster at the same time: each reads as fast as its disk gives.
pub const AT_ONCE: usize = 4;
/// Of these, how many work for one namespace, so that none can keep all others waiting.
pub const OF_ONE: usize = AT_ONCE / 2;
/// How often bytes are read again, unless a model says otherwise.
const EVERY: SignedDuration = SignedDuration::from_hours(7 * 24);
const AT_LEAST: SignedDuration = SignedDuration::from_hours(1);
/// When what could not be found out is asked again.
const AGAIN: SignedDuration = SignedDuration::from_mins(10);
/// How old the time of a signature's check may become before it is written again.
const SAID_AGAIN: SignedDuration = SignedDuration::from_hours(24);
/// How long a pod that waits to start keeps others from starting.
const HOLDS: SignedDuration = SignedDuration::from_mins(1);
/// What is said of what is due while all verifiers are busy, before the time since when.
const WAITS: &str = "it waits for a free verifier since ";
/// How long a pod may take to start: its volume may be held by another node.
const START: SignedDuration = SignedDuration::from_mins(10);

/// A Job of ours as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// What it verifies.
    pub task: String,
    /// Whether it has ended, and how the Job controller puts it.
    pub ended: Option<String>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Since when it waits for its pod to start; nothing once it has.
    pub waits_since: Option<Timestamp>,
}

impl Running {
    /// Reads a Job; nothing where it is already going away.
    #[must_use]
    pub fn of(job: &Job) -> Option<Self> {
        if job.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let status = job.status.as_ref();
        let ended = status.and_then(|status| {
            let conditions = status.conditions.iter().flatten();
            conditions
                .filter(|c| c.status == "True" && matches!(c.type_.as_str(), "Complete" | "Failed"))
                .map(|c| {
                    let text = |text: &Option<String>| text.clone().unwrap_or_default();
                    format!("{} {}", text(&c.reason), text(&c.message)).trim().to_owned()
                })
                .next()
        });
        let started = status.is_some_and(|status| status.ready.unwrap_or_default() > 0);
        let created = job.metadata.creation_timestamp.as_ref().map(|time| time.0);
        Some(Self {
            name: job.metadata.name.clone()?,
            namespace: job.metadata.namespace.clone()?,
            uid: job.metadata.uid.clone()?,
            task: job.metadata.labels.as_ref()?.get(LABEL_VERIFIES)?.clone(),
            created,
            waits_since: created.filter(|_| ended.is_none() && !started),
            ended,
        })
    }

    /// What to say of what it verifies, until it has ended.
    fn doing(&self) -> String {
        let what = if self.waits_since.is_some() {
            "the pod that reads it waits to start"
        } else {
            "it is being read"
        };
        self.created.map_or_else(|| what.to_owned(), |at| format!("{what} since {}", second(at)))
    }

    /// What to say where no pod of the Job can be read.
    #[must_use]
    pub fn why_without_pod(&self) -> String {
        format!("the verifier left no answer: {}", self.ended.as_deref().unwrap_or("its pod is gone"))
    }
}

/// What is to be done.
#[derive(Debug)]
pub enum Step {
    /// Create this Job for this model or dataset.
    Start(Arc<Stored>, Box<Job>),
    /// Read what the pod of a Job found, write it down and delete the Job.
    Read(Arc<Stored>, Running),
    /// Delete a Job whose answer nobody needs any more.
    Delete(Running),
    /// Write a status without a Job.
    Tell(Arc<Stored>, Box<Verification>),
}

/// What came of a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its pod said so.
    Answered(Answer),
    /// It could not be found out; why.
    Unknown(String),
}

/// Everything to be done now.
#[must_use]
pub fn plan(world: &World, running: &[Running], now: Timestamp) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut wanted: Vec<(Arc<Stored>, String, Job)> = Vec::new();
    for stored in on_volumes(world) {
        let settings = match model_jobs::settings(world, stored.as_ref()) {
            Ok(settings) => settings,
            Err(why) => {
                if is_due(&stored, now) {
                    let told = verification(stored.as_ref(), &Outcome::Unknown(why), now);
                    steps.push(Step::Tell(stored, Box::new(told)));
                }
                continue;
            }
        };
        let Some(pod) = job::build(stored.as_ref(), &settings) else { continue };
        if let Some(job) = job::job(stored.as_ref(), &pod) {
            let task = job::task(stored.as_ref(), &pod);
            wanted.push((stored, task, job));
        }
    }
    let mut busy = Busy::default();
    for job in running {
        let model = wanted
            .iter()
            .find(|(model, task, _)| *task == job.task && model.namespace == job.namespace)
            .map(|(model, ..)| model);
        match model {
            None => steps.push(Step::Delete(job.clone())),
            Some(model) if job.ended.is_some() => steps.push(Step::Read(Arc::clone(model), job.clone())),
            Some(model) if job.waits_since.is_some_and(|since| now.duration_since(since) > START) => {
                let why = "its pod did not start within ten minutes: is the volume held by another node, and can the \
                           verifier's image be pulled in this namespace?";
                let told = verification(model.as_ref(), &Outcome::Unknown(why.to_owned()), now);
                steps.push(Step::Tell(Arc::clone(model), Box::new(told)));
                steps.push(Step::Delete(job.clone()));
            }
            Some(model) => {
                if job.waits_since.is_none_or(|since| now.duration_since(since) <= HOLDS) {
                    busy.take(&job.namespace);
                }
                steps.extend(meanwhile(model, job.doing()));
            }
        }
    }
    // Whoever waited longest goes first; what was never verified before everything else.
    wanted.sort_by_key(|(model, ..)| verified_at(model));
    for (model, task, job) in wanted {
        let has_one =
            running.iter().any(|running| running.task == task && model.namespace == running.namespace);
        if has_one || !is_due(&model, now) {
            continue;
        }
        if !busy.has_room(&model.namespace) {
            steps.extend(meanwhile(&model, waits(&model, now)));
            continue;
        }
        busy.take(&model.namespace);
        steps.push(Step::Start(model, Box::new(job)));
    }
    steps
}

/// Verifiers at work, for each namespace.
#[derive(Default)]
struct Busy(BTreeMap<String, usize>);

impl Busy {
    fn take(&mut self, namespace: &str) {
        *self.0.entry(namespace.to_owned()).or_default() += 1;
    }

    fn has_room(&self, namespace: &str) -> bool {
        self.0.values().sum::<usize>() < AT_ONCE && self.0.get(namespace).is_none_or(|own| *own < OF_ONE)
    }
}

/// The word about what waits for a verifier, with the time since when.
fn waits(stored: &Stored, now: Timestamp) -> String {
    let said = former(stored).and_then(|known| known.message.clone());
    said.filter(|said| said.starts_with(WAITS)).unwrap_or_else(|| format!("{WAITS}{}", second(now)))
}

/// Says what goes on, where nothing is known yet that counts.
fn meanwhile(stored: &Arc<Stored>, what: String) -> Option<Step> {
    let pending = Some(VerificationState::Pending);
    if former(stored).is_some_and(|known| known.bytes_verified != pending) {
        return None;
    }
    let told = Verification {
        digest: stored.digest.clone(),
        basis: stored.basis.clone(),
        signature_verified: pending,
        bytes_verified: pending,
        message: Some(what),
        ..Verification::default()
    };
    (stored.known.as_ref() != Some(&told)).then(|| Step::Tell(Arc::clone(stored), Box::new(told)))
}

fn second(at: Timestamp) -> String {
    crate::policy::dates::second(at).to_string()
}

/// What lies on volumes, in the order of namespaces and names.
fn on_volumes(world: &World) -> impl Iterator<Item = Arc<Stored>> {
    let of = |home: &Namespace| {
        let bound = |stored: Stored| verified::bound(stored, Some(home), &world.cluster);
        let models = home.models.values().map(|model| Stored::from(model.as_ref()));
        let data = home.datasets.values().map(|dataset| Stored::from(dataset.as_ref()));
        let all = models.chain(data).filter(|stored| stored.claim.is_some());
        all.map(|stored| Arc::new(bound(stored))).collect::<Vec<_>>()
    };
    world.cluster.namespaces.values().flat_map(of)
}

/// What is known of the present digest and rests on what holds now.
fn former(stored: &Stored) -> Option<&Verification> {
    stored.known.as_ref().filter(|known| known.digest == stored.digest && known.basis == stored.basis)
}

fn verified_at(stored: &Stored) -> Option<Timestamp> {
    dates::from(former(stored)?.bytes_verified_at.as_deref()?)
}

/// How often the bytes are read.
fn period(stored: &Stored) -> SignedDuration {
    stored.every.as_deref().and_then(dates::duration).map_or(EVERY, |every| every.max(AT_LEAST))
}

/// Whether the bytes are to be read: never read for this digest on this basis, or too long ago.
fn is_due(stored: &Stored, now: Timestamp) -> bool {
    let (Some(known), Some(at)) = (former(stored), verified_at(stored)) else { return true };
    let missed = known.bytes_missed_at.as_deref().and_then(dates::from);
    if missed.is_some_and(|missed| now.duration_since(missed) < AGAIN) {
        return false;
    }
    let unknown = known.bytes_verified == Some(VerificationState::Unknown);
    now.duration_since(at) >= if unknown { AGAIN } else { period(stored) }
}

/// Whether bytes that were verified still count although they could not be read again in time: for one more period. A
/// volume that only one pod may hold is read when that pod ends, and what takes its place is not to wait for it.
fn is_forgiven(stored: &Stored, now: Timestamp) -> bool {
    former(stored).is_some_and(|known| known.bytes_verified == Some(VerificationState::Verified))
        && verified_at(stored).is_some_and(|at| now.duration_since(at) < period(stored) * 2)
}

/// The status that an answer makes. What is not known stays unknown, and a digest that nobody asked about proves nothing.
#[must_use]
pub fn verification(of: impl Into<Stored>, outcome: &Outcome, now: Timestamp) -> Verification {
    let stored = of.into();
    let at = second(now);
    let (digest, basis) = (stored.digest.clone(), stored.basis.clone());
    // Of what waited nothing is known.
    let proven = former(&stored).filter(|known| known.bytes_verified != Some(VerificationState::Pending));
    let unknown = |why: &str| Verification {
        digest: digest.clone(),
        basis: basis.clone(),
        bytes_verified: Some(VerificationState::Unknown),
        bytes_verified_at: Some(at.clone()),
        bytes_missed_at: None,
        message: Some(words::cut(why.to_owned(), 1000)),
        // A look that failed does not undo what an earlier one proved about the signature of the same digest.
        ..proven.cloned().unwrap_or_default()
    };
    match outcome {
        Outcome::Unknown(why) if is_forgiven(&stored, now) => Verification {
            bytes_missed_at: Some(at),
            message: Some(words::cut(format!("the bytes could not be read again: {why}"), 1000)),
            ..former(&stored).cloned().unwrap_or_default()
        },
        Outcome::Unknown(why) => unknown(why),
        Outcome::Answered(answer) if Some(&answer.digest) != digest.as_ref() => {
            unknown("the verifier answered about another digest")
        }
        Outcome::Answered(answer) => Verification {
            digest,
            basis: basis.clone(),
            signature_verified: Some(answer.signature),
            signature_verified_at: Some(at.clone()),
            authority: answer.authorities.first().cloned(),
            bytes_verified: Some(answer.bytes),
            bytes_verified_at: Some(at),
            bytes_missed_at: None,
            // Nobody loads data, so nothing is said of what loading it runs.
            formats_verified: (!stored.is_data).then_some(answer.formats),
            formats_seen: seen(&answer.seen),
            message: (!answer.message.is_empty()).then(|| words::cut(answer.message.clone(), 1000)),
        },
    }
}

/// Formats as the status lists them.
fn seen<K: AsRef<str>>(formats: &BTreeMap<K, u64>) -> Vec<SeenFormat> {
    let of = |(format, count): (&K, &u64)| SeenFormat {
        format: words::cut(format.as_ref().to_owned(), 200),
        files: i64::try_from(*count).unwrap_or(i64::MAX),
    };
    formats.iter().take(32).map(of).collect()
}

/// What begins a word about formats, in the message of a status.
const FORMATS: &str = "formats: ";

/// What was seen in the layers of a model: a state, the formats, and what there is to say.
fn of_contents(
    contents: &Result<Contents, String>,
) -> (Option<VerificationState>, Vec<SeenFormat>, Vec<String>) {
    let contents = match contents {
        Ok(contents) => contents,
        Err(why) => return (None, Vec::new(), vec![format!("{FORMATS}not seen: {why}")]),
    };
    let state = if !contents.code.is_empty() {
        Some(VerificationState::Failed)
    } else if !contents.opaque.is_empty() {
        Some(VerificationState::Unknown)
    } else if contents.unseen.is_empty() {
        Some(VerificationState::Verified)
    } else {
        None
    };
    let wrong = contents.code.lines().into_iter().chain(contents.opaque.lines());
    let unseen = contents.unseen.lines().into_iter().map(|line| format!("not seen: {line}"));
    let lines = wrong.chain(unseen).map(|line| format!("{FORMATS}{line}")).collect();
    (state, seen(&contents.formats), lines)
}

/// Whether anything is said about the formats of this digest.
#[must_use]
pub fn is_looked_at(model: &AIModel) -> bool {
    former(&model.into())
        .is_some_and(|known| known.formats_verified.is_some() || !known.formats_seen.is_empty())
}

/// The status of a model in a registry whose signature was looked up; nothing while nobody has looked. What was seen of its
/// files is said where somebody looked now, and otherwise stays for the same digest.
#[must_use]
pub fn of_signature(
    model: &AIModel,
    signature: &Signature,
    contents: Option<&Result<Contents, String>>,
    now: Timestamp,
) -> Option<Verification> {
    let (state, authority, message) = match signature {
        Signature::Trusted(vouched) if !vouched.is_empty() => {
            (VerificationState::Verified, vouched.authorities.first().cloned(), None)
        }
        Signature::Trusted(_) | Signature::Unasked | Signature::Pending => return None,
        Signature::Missing(why) | Signature::Untrusted(why) | Signature::Refused(why) => {
            (VerificationState::Failed, None, Some(why))
        }
        Signature::Unknown(why) => (VerificationState::Unknown, None, Some(why)),
    };
    let stored = Stored::from(model);
    let (formats_verified, formats_seen, said) = match (contents, former(&stored)) {
        (Some(contents), _) => of_contents(contents),
        (None, Some(known)) => {
            let message = known.message.as_deref().unwrap_or_default();
            let said = message.split("; ").filter(|part| part.starts_with(FORMATS)).map(str::to_owned);
            (known.formats_verified, known.formats_seen.clone(), said.collect())
        }
        (None, None) => (None, Vec::new(), Vec::new()),
    };
    let message: Vec<String> = message.cloned().into_iter().chain(said).collect();
    let told = Verification {
        digest: model.spec.digest.clone(),
        signature_verified: Some(state),
        authority,
        // The digest binds the bytes, and whoever pulls them compares.
        bytes_verified: Some(VerificationState::NotRequired),
        formats_verified,
        formats_seen,
        message: (!message.is_empty()).then(|| words::cut(message.join("; "), 1000)),
        ..Verification::default()
    };
    // The same answer is not written again and again.
    let known = model.status.as_ref().and_then(|status| status.verification.as_ref());
    let at = known.and_then(|known| known.signature_verified_at.clone());
    let recent = at.as_deref().and_then(dates::from).is_some_and(|at| now.duration_since(at) < SAID_AGAIN);
    let same = Verification { signature_verified_at: at.clone(), ..told.clone() };
    if recent && known == Some(&same) {
        return Some(same);
    }
    Some(Verification { signature_verified_at: Some(second(now)), ..told })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
