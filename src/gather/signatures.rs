//! What is known of the signatures of images, from the verifier and the trust policies of the world.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use futures::future::{BoxFuture, join_all};
use k8s_openapi::api::core::v1::PodSpec;
use tokio::time::Instant;

use super::pull_secrets::{PullSecrets, SecretReader};
use super::registry::{
    Artifact, Bundles, Cause, CompiledTrust, Contents, Document, ImageRef, Presence, Question, Refusal,
    RegistryCredentials, Verification, Verifier, VerifierConfig, Within,
};
use super::trust::{self, TrustRoots};
use super::world::World;
use crate::api::{AISupplier, AITrustPolicy};
use crate::policy::containers::{containers, images};
use crate::policy::facts::{Signature, Vouched};
use crate::telemetry::metrics::{CacheStat, CacheStats};

/// The longest time for the pull Secrets of a document.
const DOCUMENT: std::time::Duration = std::time::Duration::from_secs(5);

/// Answers what is known of the signatures of images.
pub trait SignatureSource: Send + Sync {
    /// What is known of each image of `images` that a pod of `namespace` would pull, by the reference as written.
    ///
    /// Guarantees: returns by `deadline`; an answer that did not come in time is [`Signature::Unknown`] with the reason.
    /// What was verified before is answered without any packet.
    fn signatures<'a>(
        &'a self,
        namespace: &'a str,
        images: Vec<ImageQuestion>,
        deadline: Instant,
    ) -> BoxFuture<'a, BTreeMap<String, Signature>>;

    /// What is remembered of `images`, without asking anybody; those of which nothing is remembered are absent.
    fn remembered(&self, namespace: &str, images: &[ImageQuestion]) -> BTreeMap<String, Signature>;
}

/// An image whose signature is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageQuestion {
    /// The reference as written.
    pub reference: String,
    /// True for an image volume, which holds a model or data and is judged by rules about these.
    pub volume: bool,
    /// Names of the pull Secrets of the pod itself.
    pub pull_secrets: Vec<String>,
    /// The ServiceAccount of the pod, whose pull Secrets count where the pod names none.
    pub account: String,
}

/// The images that a pod would pull, as questions.
#[must_use]
pub fn questions(spec: &PodSpec) -> Vec<ImageQuestion> {
    let named = spec.image_pull_secrets.iter().flatten();
    let pull_secrets: Vec<String> = named.map(|secret| secret.name.clone()).collect();
    let account = spec.service_account_name.as_ref().or(spec.service_account.as_ref());
    let account = account.filter(|name| !name.is_empty()).map_or("default", String::as_str);
    images(&containers(spec), spec)
        .map(|image| ImageQuestion {
            reference: image.reference.to_owned(),
            volume: image.is_volume(),
            pull_secrets: pull_secrets.clone(),
            account: account.to_owned(),
        })
        .collect()
}

/// Signatures by the trust policies of one world.
#[derive(Debug)]
pub struct Signatures {
    world: Arc<RwLock<World>>,
    verifier: Verifier,
    compiled: Mutex<Compiled>,
    pull_secrets: OnceLock<PullSecrets>,
}

#[derive(Debug, Default)]
struct Compiled {
    trust: Arc<CompiledTrust>,
    /// What it was compiled from; held, so that an address cannot come to mean another policy.
    policies: Vec<Arc<AITrustPolicy>>,
    suppliers: Vec<Arc<AISupplier>>,
    roots: Arc<TrustRoots>,
}

impl Signatures {
    /// Signatures by the trust policies of `world`.
    #[must_use]
    pub fn new(world: Arc<RwLock<World>>, config: VerifierConfig) -> Self {
        let verifier = Verifier::new(config);
        Self { world, verifier, compiled: Mutex::default(), pull_secrets: OnceLock::new() }
    }

    /// Reads the pull Secrets of pods through `reader` from now on; before, registries are asked without credentials. A
    /// second call has no effect.
    pub fn read_pull_secrets(&self, reader: Arc<dyn SecretReader>) {
        let _ = self.pull_secrets.set(PullSecrets::new(reader));
    }

    /// The verifier, for its counters.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Changes whenever an answer may, because trust policies changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.trust().generation()
    }

    /// The policies of the world, compiled anew only where they changed.
    pub(super) fn trust(&self) -> Arc<CompiledTrust> {
        let (policies, suppliers, roots) = {
            let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
            let policies: Vec<_> = world.cluster.trust_policies.values().cloned().collect();
            let suppliers: Vec<_> = world.cluster.suppliers.values().cloned().collect();
            (policies, suppliers, Arc::clone(&world.trust_roots))
        };
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let known = same(&compiled.policies, &policies)
            && same(&compiled.suppliers, &suppliers)
            && Arc::ptr_eq(&compiled.roots, &roots);
        if !known {
            let specs: Vec<_> = policies.iter().map(|policy| trust::spec(policy, &roots)).collect();
            let sources: Vec<_> = suppliers.iter().map(|one| trust::supplier(one)).collect();
            let trust = Arc::new(CompiledTrust::compile_with(&specs, &sources));
            *compiled = Compiled { trust, policies, suppliers, roots };
        }
        Arc::clone(&compiled.trust)
    }

    /// What lies under a reference, read with the credentials that the namespace holds for it, then without.
    ///
    /// # Errors
    /// Why it could not be found out.
    pub(super) async fn document(
        &self,
        namespace: &str,
        image: &ImageRef,
    ) -> Result<Option<Document>, String> {
        let trust = self.trust();
        for credentials in self.held(namespace, image).await {
            if let Ok(read) = self.verifier.document(image, &trust, Some(&credentials)).await {
                return Ok(read);
            }
        }
        self.verifier.document(image, &trust, None).await
    }

    /// The bundles that refer to an artifact, read in the same way. Nothing is believed of them.
    ///
    /// # Errors
    /// Why they could not be had.
    pub(super) async fn bundles(&self, namespace: &str, image: &ImageRef) -> Result<Bundles, String> {
        let trust = self.trust();
        for credentials in self.held(namespace, image).await {
            if let Ok(read) = self.verifier.bundles(image, &trust, Some(&credentials)).await {
                return Ok(read);
            }
        }
        self.verifier.bundles(image, &trust, None).await
    }

    /// What the default account of a namespace holds for a registry.
    async fn held(&self, namespace: &str, image: &ImageRef) -> Vec<RegistryCredentials> {
        let question = ImageQuestion {
            reference: image.to_string(),
            volume: false,
            pull_secrets: Vec::new(),
            account: "default".to_owned(),
        };
        let names = self.secret_names(namespace, &question);
        match self.pull_secrets.get().filter(|_| !names.is_empty()) {
            Some(secrets) => {
                secrets.find(namespace, &names, Instant::now() + DOCUMENT).await.keyring.of_image(image)
            }
            None => Vec::new(),
        }
    }

    async fn one(
        &self,
        namespace: &str,
        question: &ImageQuestion,
        trust: &Arc<CompiledTrust>,
        deadline: Instant,
    ) -> Signature {
        let Ok(image) = ImageRef::parse(&question.reference) else {
            return Signature::Refused("it is no image reference".to_owned());
        };
        let ask = |artifact| {
            let asked = Question { image: &image, artifact, namespace: Some(namespace) };
            self.ask(asked, question, trust, deadline)
        };
        let mut answer = ask(if question.volume { Artifact::Model } else { Artifact::Image }).await;
        // A volume may hold an ordinary image: a rule about images then speaks for it.
        if question.volume && matches!(*answer.0, Verification::Refused(Refusal::NoRule(_))) {
            answer = ask(Artifact::Image).await;
        }
        let (verification, problems) = answer;
        match (Signature::from(verification.as_ref()), problems.is_empty()) {
            (Signature::Unknown(why), false) => Signature::Unknown(format!("{why}; {}", problems.join("; "))),
            (signature, _) => signature,
        }
    }

    /// Asks with the credentials that the pod's pull Secrets hold for the image, then without. The second part says what
    /// is wrong with the Secrets, where the registry wants credentials.
    async fn ask(
        &self,
        asked: Question<'_>,
        question: &ImageQuestion,
        trust: &Arc<CompiledTrust>,
        deadline: Instant,
    ) -> (Arc<Verification>, Vec<String>) {
        let without = || self.verifier.verify(asked, trust, None, deadline.into_std());
        let namespace = asked.namespace.unwrap_or_default();
        let names = self.secret_names(namespace, question);
        let Some(pull_secrets) = self.pull_secrets.get().filter(|_| !names.is_empty()) else {
            return (without().await, Vec::new());
        };
        // What is proven or refused for everybody needs no Secret.
        let known = self.verifier.peek(asked, trust, None);
        if known.is_some_and(|known| matches!(*known, Verification::Verified(_) | Verification::Refused(_))) {
            return (without().await, Vec::new());
        }
        let found = pull_secrets.find(namespace, &names, deadline).await;
        for credentials in found.keyring.of_image(asked.image) {
            let answer = self.verifier.verify(asked, trust, Some(&credentials), deadline.into_std()).await;
            if !wants_credentials(&answer) {
                return (answer, Vec::new());
            }
        }
        let answer = without().await;
        let problems = if wants_credentials(&answer) { found.problems } else { Vec::new() };
        (answer, problems)
    }

    /// Looks at the files of an artifact as who asks for it could pull it. It may take minutes: never in an admission.
    ///
    /// # Errors
    /// Why nothing can be told, as a sentence.
    pub async fn contents(
        &self,
        namespace: &str,
        question: &ImageQuestion,
        within: Within<'_>,
        deadline: Instant,
    ) -> Result<Contents, String> {
        let trust = self.trust();
        let image = ImageRef::parse(&question.reference).map_err(|error| error.to_string())?;
        let mut credentials = Vec::new();
        if let Some(pull_secrets) = self.pull_secrets.get() {
            let names = self.secret_names(namespace, question);
            credentials = pull_secrets.find(namespace, &names, deadline).await.keyring.of_image(&image);
        }
        let artifact = if question.volume { Artifact::Model } else { Artifact::Image };
        let mut said = String::new();
        for artifact in [artifact, Artifact::Image] {
            let asked = Question { image: &image, artifact, namespace: Some(namespace) };
            for held in credentials.iter().map(Some).chain([None]) {
                match self.verifier.contents(asked, within, &trust, held, deadline.into_std()).await {
                    Ok(contents) => return Ok(contents),
                    Err(Verification::Refused(Refusal::NoRule(name))) => {
                        said = Refusal::NoRule(name).to_string();
                        break;
                    }
                    Err(why) if wants_credentials(&why) => said = why.to_string(),
                    Err(why) => return Err(why.to_string()),
                }
            }
        }
        Err(said)
    }

    /// Whether an artifact that a workload of `namespace` would go back to can still be fetched whole, with the credentials that its
    /// account has, then without. Asks the registry each time.
    ///
    /// Guarantees: returns by `deadline`.
    pub async fn presence(&self, namespace: &str, question: &ImageQuestion, deadline: Instant) -> Presence {
        let Ok(image) = ImageRef::parse(&question.reference) else {
            return Presence::Unknown("it is no image reference".to_owned(), false);
        };
        let trust = self.trust();
        let artifact = if question.volume { Artifact::Model } else { Artifact::Image };
        let asked = Question { image: &image, artifact, namespace: Some(namespace) };
        let names = self.secret_names(namespace, question);
        if let Some(pull_secrets) = self.pull_secrets.get().filter(|_| !names.is_empty()) {
            let found = pull_secrets.find(namespace, &names, deadline).await;
            for credentials in found.keyring.of_image(&image) {
                let answer =
                    self.verifier.presence(asked, &trust, Some(&credentials), deadline.into_std()).await;
                if !matches!(answer, Presence::Unknown(_, true)) {
                    return answer;
                }
            }
        }
        self.verifier.presence(asked, &trust, None, deadline.into_std()).await
    }

    /// As the API server fills them in: those of the pod, or else of its ServiceAccount.
    fn secret_names(&self, namespace: &str, question: &ImageQuestion) -> Vec<String> {
        let mut names = question.pull_secrets.clone();
        if names.is_empty() {
            let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
            let account = world.namespace(namespace).service_accounts.get(&question.account);
            names.extend(account.into_iter().flat_map(|account| account.pull_secrets.iter().cloned()));
        }
        // A name from a pod becomes part of a request's path.
        names.retain(|name| is_name(name));
        names.dedup();
        names
    }

    fn remembered_one(
        &self,
        namespace: &str,
        question: &ImageQuestion,
        trust: &CompiledTrust,
    ) -> Option<Signature> {
        let Ok(image) = ImageRef::parse(&question.reference) else {
            return Some(Signature::Refused("it is no image reference".to_owned()));
        };
        let names = self.secret_names(namespace, question);
        let keyring = self.pull_secrets.get().map(|secrets| secrets.known(namespace, &names));
        let held = keyring.map(|keyring| keyring.of_image(&image)).unwrap_or_default();
        let peek = |artifact| {
            let asked = Question { image: &image, artifact, namespace: Some(namespace) };
            let mut with = held.iter().filter_map(|one| self.verifier.peek(asked, trust, Some(one)));
            with.find(|known| !wants_credentials(known)).or_else(|| self.verifier.peek(asked, trust, None))
        };
        let mut known = peek(if question.volume { Artifact::Model } else { Artifact::Image })?;
        if question.volume && matches!(*known, Verification::Refused(Refusal::NoRule(_))) {
            known = peek(Artifact::Image)?;
        }
        Some(Signature::from(known.as_ref()))
    }
}

/// Whether the registry refused for want of credentials.
fn wants_credentials(verification: &Verification) -> bool {
    matches!(verification, Verification::Unknown { cause: Cause::Unauthorised, .. })
}

/// Whether a text can be the name of a Secret.
fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    !name.is_empty() && name.len() <= 253 && name.bytes().all(fits) && name != "." && name != ".."
}

/// Answers by reference. One that is asked for in two parts has to satisfy both; where pods with and without pull
/// Secrets ask in the same part, the one that could find out speaks for all.
fn by_reference(answers: impl Iterator<Item = (ImageQuestion, Signature)>) -> BTreeMap<String, Signature> {
    let mut parts: BTreeMap<(String, bool), Signature> = BTreeMap::new();
    for (question, answer) in answers {
        let part = (question.reference, question.volume);
        if parts.get(&part).is_none_or(|known| matches!(known, Signature::Unknown(_))) {
            parts.insert(part, answer);
        }
    }
    let mut out: BTreeMap<String, Signature> = BTreeMap::new();
    for ((reference, _), answer) in parts {
        if out.get(&reference).is_none_or(|known| matches!(known, Signature::Trusted(_))) {
            out.insert(reference, answer);
        }
    }
    out
}

fn same<T>(a: &[Arc<T>], b: &[Arc<T>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
}

impl From<&Verification> for Signature {
    fn from(verification: &Verification) -> Self {
        match verification {
            Verification::Verified(proof) => Self::Trusted(Vouched {
                authorities: proof.authorities.clone(),
                attestations: proof.attestations.clone(),
            }),
            Verification::NotSigned { reason } => Self::Missing(reason.clone()),
            Verification::Untrusted { .. } => Self::Untrusted(verification.to_string()),
            Verification::Refused(_) => Self::Refused(verification.to_string()),
            Verification::Unknown { reason, .. } => Self::Unknown(reason.clone()),
        }
    }
}

impl SignatureSource for Signatures {
    fn signatures<'a>(
        &'a self,
        namespace: &'a str,
        questions: Vec<ImageQuestion>,
        deadline: Instant,
    ) -> BoxFuture<'a, BTreeMap<String, Signature>> {
        Box::pin(async move {
            let trust = self.trust();
            let answers =
                join_all(questions.iter().map(|question| self.one(namespace, question, &trust, deadline)))
                    .await;
            by_reference(questions.into_iter().zip(answers))
        })
    }

    fn remembered(&self, namespace: &str, images: &[ImageQuestion]) -> BTreeMap<String, Signature> {
        let trust = self.trust();
        by_reference(images.iter().filter_map(|question| {
            Some((question.clone(), self.remembered_one(namespace, question, &trust)?))
        }))
    }
}

impl CacheStats for Signatures {
    fn stats(&self) -> Vec<CacheStat> {
        let stats = self.verifier.stats();
        let of = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
        let hits = of(&stats.hits);
        // Counted first, which also settles what was evicted.
        let entries = self.verifier.entries();
        vec![CacheStat {
            cache: "signatures",
            hits,
            evictions: of(&stats.evicted),
            misses: of(&stats.lookups).saturating_sub(hits).saturating_sub(of(&stats.refused)),
            failures: of(&stats.errors),
            entries,
            requests: of(&stats.requests),
        }]
    }
}
