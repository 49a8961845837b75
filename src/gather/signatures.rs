//! What is known of the signatures of images, from the verifier and the trust policies of the world.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures::future::{BoxFuture, join_all};
use k8s_openapi::api::core::v1::PodSpec;
use tokio::time::Instant;

use super::registry::{
    Artifact, CompiledTrust, ImageRef, Question, Refusal, Verification, Verifier, VerifierConfig,
};
use super::trust;
use super::world::World;
use crate::api::AITrustPolicy;
use crate::policy::containers::{containers, images};
use crate::policy::facts::{Signature, Vouched};
use crate::telemetry::metrics::{CacheStat, CacheStats};

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
}

/// The images that a pod would pull, as questions.
#[must_use]
pub fn questions(spec: &PodSpec) -> Vec<ImageQuestion> {
    images(&containers(spec), spec)
        .map(|image| ImageQuestion { reference: image.reference.to_owned(), volume: image.is_volume() })
        .collect()
}

/// Signatures by the trust policies of one world.
#[derive(Debug)]
pub struct Signatures {
    world: Arc<RwLock<World>>,
    verifier: Verifier,
    compiled: Mutex<Compiled>,
}

#[derive(Debug, Default)]
struct Compiled {
    trust: Arc<CompiledTrust>,
    /// What it was compiled from; held, so that an address cannot come to mean another policy.
    policies: Vec<Arc<AITrustPolicy>>,
}

impl Signatures {
    /// Signatures by the trust policies of `world`.
    #[must_use]
    pub fn new(world: Arc<RwLock<World>>, config: VerifierConfig) -> Self {
        Self { world, verifier: Verifier::new(config), compiled: Mutex::default() }
    }

    /// The verifier, for its counters.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The policies of the world, compiled anew only where they changed.
    fn trust(&self) -> Arc<CompiledTrust> {
        let policies: Vec<Arc<AITrustPolicy>> = {
            let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
            world.cluster.trust_policies.values().cloned().collect()
        };
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if !same(&compiled.policies, &policies) {
            let specs: Vec<_> = policies.iter().map(|policy| trust::spec(policy)).collect();
            *compiled = Compiled { trust: Arc::new(CompiledTrust::compile(&specs)), policies };
        }
        Arc::clone(&compiled.trust)
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
            let question = Question { image: &image, artifact, namespace: Some(namespace) };
            self.verifier.verify(question, trust, None, deadline.into_std())
        };
        let mut verification = ask(if question.volume { Artifact::Model } else { Artifact::Image }).await;
        // A volume may hold an ordinary image: a rule about images then speaks for it.
        if question.volume && matches!(*verification, Verification::Refused(Refusal::NoRule(_))) {
            verification = ask(Artifact::Image).await;
        }
        Signature::from(verification.as_ref())
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
        let peek = |artifact| {
            self.verifier.peek(Question { image: &image, artifact, namespace: Some(namespace) }, trust, None)
        };
        let mut known = peek(if question.volume { Artifact::Model } else { Artifact::Image })?;
        if question.volume && matches!(*known, Verification::Refused(Refusal::NoRule(_))) {
            known = peek(Artifact::Image)?;
        }
        Some(Signature::from(known.as_ref()))
    }
}

/// Answers by reference: one that is asked for in two parts has to satisfy both.
fn by_reference(answers: impl Iterator<Item = (ImageQuestion, Signature)>) -> BTreeMap<String, Signature> {
    let mut out = BTreeMap::new();
    let worse = |known: &Signature| !matches!(known, Signature::Trusted(_));
    for (question, answer) in answers {
        if !out.get(&question.reference).is_some_and(worse) {
            out.insert(question.reference, answer);
        }
    }
    out
}

fn same(a: &[Arc<AITrustPolicy>], b: &[Arc<AITrustPolicy>]) -> bool {
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
        vec![CacheStat {
            cache: "signatures",
            hits,
            misses: of(&stats.lookups).saturating_sub(hits).saturating_sub(of(&stats.refused)),
            failures: of(&stats.errors),
            entries: self.verifier.entries(),
            requests: of(&stats.requests),
        }]
    }
}
