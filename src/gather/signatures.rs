//! What is known of the signatures of images, from the verifier and the trust policies of the world.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures::future::{BoxFuture, join_all};
use tokio::time::Instant;

use super::registry::{Artifact, CompiledTrust, ImageRef, Refusal, Verification, Verifier, VerifierConfig};
use super::trust;
use super::world::World;
use crate::api::AITrustPolicy;
use crate::api::trust::SignatureFormat;
use crate::policy::facts::Signature;
use crate::webhook::judge::{ImageQuestion, SignatureSource};

/// Policies, by name and by which of their rules concern a namespace.
type Key = Vec<(usize, Vec<bool>)>;

/// Signatures by the trust policies of one world.
#[derive(Debug)]
pub struct Signatures {
    world: Arc<RwLock<World>>,
    verifier: Verifier,
    compiled: Mutex<HashMap<Key, Compiled>>,
}

#[derive(Clone, Debug)]
struct Compiled {
    trust: Arc<CompiledTrust>,
    // Held so that an address in the key cannot come to mean another policy.
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

    /// The policies as they concern `namespace`, compiled once for all namespaces that they concern alike.
    fn trust(&self, namespace: &str) -> Compiled {
        let policies: Vec<Arc<AITrustPolicy>> = {
            let world = self.world.read().unwrap_or_else(PoisonError::into_inner);
            world.cluster.trust_policies.values().cloned().collect()
        };
        let key: Key = policies
            .iter()
            .map(|policy| {
                let concerned =
                    policy.spec.rules.iter().map(|rule| trust::concerns(rule, Some(namespace))).collect();
                (Arc::as_ptr(policy) as usize, concerned)
            })
            .collect();
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = compiled.get(&key) {
            return known.clone();
        }
        // Another set of policies: what was compiled for the former one is of no more use.
        compiled.retain(|_, known| same(&known.policies, &policies));
        let specs: Vec<_> = policies.iter().map(|policy| trust::spec(policy, Some(namespace))).collect();
        let fresh = Compiled { trust: Arc::new(CompiledTrust::compile(&specs)), policies };
        if compiled.len() < 256 {
            compiled.insert(key, fresh.clone());
        }
        fresh
    }

    async fn one(&self, question: &ImageQuestion, compiled: &Compiled, deadline: Instant) -> Signature {
        let Ok(image) = ImageRef::parse(&question.reference) else {
            return Signature::Refused("it is no image reference".to_owned());
        };
        let artifact = if question.volume { Artifact::Model } else { Artifact::Image };
        let ask = |artifact| {
            self.verifier.verify_artifact(&image, artifact, &compiled.trust, None, deadline.into_std())
        };
        let mut verification = ask(artifact).await;
        // A volume may hold an ordinary image: a rule about images then speaks for it.
        if question.volume && matches!(*verification, Verification::Refused(Refusal::NoRule(_))) {
            verification = ask(Artifact::Image).await;
        }
        known(&verification, &compiled.policies)
    }
}

fn same(a: &[Arc<AITrustPolicy>], b: &[Arc<AITrustPolicy>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
}

fn known(verification: &Verification, policies: &[Arc<AITrustPolicy>]) -> Signature {
    match verification {
        Verification::Verified(proof) => {
            let format = match proof.format {
                super::registry::SignatureFormat::SimpleSigning => SignatureFormat::TagAttached,
                super::registry::SignatureFormat::Bundle => SignatureFormat::Bundle,
            };
            let unwanted = policies
                .iter()
                .flat_map(|policy| &policy.spec.authorities)
                .filter(|authority| proof.authorities.contains(&authority.name))
                .find(|authority| !authority.formats.is_empty() && !authority.formats.contains(&format));
            match unwanted {
                Some(authority) => Signature::Untrusted(format!(
                    "it is signed by authority {:?}, but in the format {format}, which that authority does not use",
                    authority.name
                )),
                None => Signature::Trusted(proof.authorities.clone()),
            }
        }
        Verification::NotSigned { reason } => Signature::Missing(reason.clone()),
        Verification::Untrusted { reasons } => Signature::Untrusted(reasons.join("; ")),
        Verification::Refused(refusal) => Signature::Refused(refusal.to_string()),
        Verification::Unknown { reason, .. } => Signature::Unknown(reason.clone()),
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
            let compiled = self.trust(namespace);
            let answers =
                join_all(questions.iter().map(|question| self.one(question, &compiled, deadline))).await;
            let mut out = BTreeMap::new();
            for (question, answer) in questions.iter().zip(answers) {
                // One reference asked for in two parts has to satisfy both.
                let worse = |known: &Signature| !matches!(known, Signature::Trusted(_));
                if !out.get(&question.reference).is_some_and(worse) {
                    out.insert(question.reference.clone(), answer);
                }
            }
            out
        })
    }
}
