//! Declared models in registries, asked about before a pod names them: so that admission finds the answer in memory, and a
//! model's status says whether it is signed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use super::registry::ImageRef;
use super::signatures::{ImageQuestion, SignatureSource as _, Signatures};
use super::world::World;
use crate::api::AIModel;
use crate::api::model::ModelSourceKind;
use crate::policy::facts::{Namespace, Signature};

/// How long the look-ups of one round may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a round rests before the next.
const REST: Duration = Duration::from_secs(10);
/// How soon a changed trust policy ends the rest.
const NOTICE: Duration = Duration::from_secs(1);
/// Asked in one round; the others wait for the next.
const AT_ONCE: usize = 64;
/// Models that are looked after; more than these are looked up when a pod names them.
const MOST: usize = 5_000;
/// ServiceAccounts whose pull Secrets are tried for one model.
const ACCOUNTS: usize = 4;
/// When a model that is not signed is looked up again.
const UNSIGNED: Duration = Duration::from_mins(2);
/// When a registry that could not be asked is asked again.
const UNANSWERED: Duration = Duration::from_secs(15);

/// A declared model that lies in a registry.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Its namespace.
    pub namespace: String,
    /// The model.
    pub model: Arc<AIModel>,
    /// What pods that use it would be asked, by each identity that may pull it.
    pub questions: Vec<ImageQuestion>,
}

/// The models of the cluster that lie in registries under a digest.
#[must_use]
pub fn declared(world: &World) -> Vec<Declared> {
    let namespaces = world.cluster.namespaces.values().filter(|namespace| !namespace.terminating);
    let of = |namespace: &'_ Namespace| {
        let models = namespace.models.values();
        let declared = models.filter_map(|model| {
            let questions = questions(namespace, model);
            let (namespace, model) = (namespace.name.clone(), Arc::clone(model));
            (!questions.is_empty()).then_some(Declared { namespace, model, questions })
        });
        declared.collect::<Vec<_>>()
    };
    namespaces.flat_map(of).take(MOST).collect()
}

fn questions(namespace: &Namespace, model: &AIModel) -> Vec<ImageQuestion> {
    let Some(source) = model.spec.source.as_ref() else { return Vec::new() };
    let volume = match source.kind {
        ModelSourceKind::Oci => true,
        ModelSourceKind::Image => false,
        _ => return Vec::new(),
    };
    let reference = source.reference.as_deref().unwrap_or_default();
    if ImageRef::parse(reference).is_ok_and(|image| image.digest().is_none()) {
        return Vec::new();
    }
    // A generated identity has the name of its AIWorkload.
    let name = model.metadata.name.as_deref().unwrap_or_default();
    let users =
        namespace.workloads.iter().filter(|(_, w)| w.spec.models.iter().any(|used| used.name == name));
    let mut accounts: BTreeSet<&str> = users.map(|(user, _)| user.as_str()).take(ACCOUNTS).collect();
    if accounts.is_empty() {
        accounts.insert("default");
    }
    let ask = |account: &str| ImageQuestion {
        reference: reference.to_owned(),
        volume,
        pull_secrets: Vec::new(),
        account: account.to_owned(),
    };
    accounts.into_iter().map(ask).collect()
}

/// When which model is asked about again.
#[derive(Debug, Default)]
pub struct Agenda {
    /// What the times below are true for.
    generation: u64,
    due: HashMap<(String, String), Instant>,
}

impl Agenda {
    /// One round over all declared models: those of which something is known, with what it is.
    ///
    /// Guarantees: a model whose answer is remembered costs no packet; what failed is asked again only after a while,
    /// unless trust policies changed.
    pub async fn round(
        &mut self,
        world: &RwLock<World>,
        signatures: &Signatures,
    ) -> Vec<(Declared, Signature)> {
        let all = declared(&world.read().unwrap_or_else(PoisonError::into_inner));
        let (now, generation) = (Instant::now(), signatures.generation());
        if self.generation != generation {
            self.generation = generation;
            self.due.clear();
        }
        let key =
            |one: &Declared| (one.namespace.clone(), one.model.metadata.name.clone().unwrap_or_default());
        let there: BTreeSet<_> = all.iter().map(key).collect();
        self.due.retain(|key, _| there.contains(key));
        let mut known = Vec::new();
        let mut open: BTreeMap<String, Vec<Declared>> = BTreeMap::new();
        let mut asked = 0;
        for one in all {
            let remembered = signatures.remembered(&one.namespace, &one.questions).into_values().next();
            if let Some(signature) = remembered {
                known.push((one, signature));
            } else if asked < AT_ONCE && self.due.get(&key(&one)).is_none_or(|due| *due <= now) {
                asked += 1;
                open.entry(one.namespace.clone()).or_default().push(one);
            }
        }
        for (namespace, models) in open {
            let questions = models.iter().flat_map(|one| one.questions.iter().cloned()).collect();
            let mut answers = signatures.signatures(&namespace, questions, now + PATIENCE).await;
            for one in models {
                let reference = one.questions.first().map_or("", |question| question.reference.as_str());
                let Some(answer) = answers.remove(reference) else { continue };
                let pause = match answer {
                    Signature::Trusted(_) => Duration::ZERO,
                    Signature::Unknown(_) | Signature::Pending | Signature::Unasked => UNANSWERED,
                    Signature::Missing(_) | Signature::Untrusted(_) | Signature::Refused(_) => UNSIGNED,
                };
                self.due.insert(key(&one), Instant::now() + pause);
                known.push((one, answer));
            }
        }
        known
    }
}

impl Agenda {
    /// Rests until the next round: shorter where trust policies change meanwhile.
    pub async fn rest(&self, signatures: &Signatures) {
        let end = Instant::now() + REST;
        while Instant::now() < end && signatures.generation() == self.generation {
            tokio::time::sleep(NOTICE).await;
        }
    }
}

/// Keeps what is declared in the memory of `signatures`, for as long as it is polled.
pub async fn keep(world: Arc<RwLock<World>>, signatures: Arc<Signatures>) {
    let mut agenda = Agenda::default();
    loop {
        agenda.round(&world, &signatures).await;
        agenda.rest(&signatures).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gather::registry::VerifierConfig;
    use crate::gather::world::Object;
    use serde_json::{Value, json};

    const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn put(world: &mut World, kind: &str, name: &str, spec: &Value) {
        let object = json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": "chat"}, "spec": spec});
        let object = match kind {
            "AIModel" => Object::Model(serde_json::from_value(object).unwrap()),
            _ => Object::Workload(serde_json::from_value(object).unwrap()),
        };
        world.apply(object);
    }

    fn model(world: &mut World, name: &str, source: &Value) {
        put(world, "AIModel", name, &json!({"digest": DIGEST, "source": source}));
    }

    #[test]
    fn what_lies_in_a_registry_is_asked_about_as_its_users_would_be() {
        let mut world = World::default();
        let reference = format!("r.example/m@{DIGEST}");
        model(&mut world, "artifact", &json!({"kind": "oci", "reference": reference}));
        model(&mut world, "inside", &json!({"kind": "image", "reference": reference}));
        model(&mut world, "tagged", &json!({"kind": "oci", "reference": "r.example/m:v1"}));
        model(&mut world, "claim", &json!({"kind": "pvc", "claimName": "w"}));
        put(
            &mut world,
            "AIWorkload",
            "web",
            &json!({"selector": {"matchLabels": {"app": "web"}}, "type": "inference", "models": [{"name": "artifact"}],
                "owners": {"accountable": {"user": "j"}}}),
        );
        let asked: Vec<_> = declared(&world)
            .into_iter()
            .flat_map(|one| one.questions)
            .map(|question| (question.volume, question.account))
            .collect();
        assert_eq!(asked, [(true, "web".to_owned()), (false, "default".to_owned())]);
    }

    #[tokio::test]
    async fn what_policies_refuse_is_known_without_a_packet() {
        let mut world = World::default();
        model(&mut world, "artifact", &json!({"kind": "oci", "reference": format!("r.example/m@{DIGEST}")}));
        let world = Arc::new(RwLock::new(world));
        let signatures = Signatures::new(Arc::clone(&world), VerifierConfig::default());
        let known = Agenda::default().round(&world, &signatures).await;
        let said: Vec<_> = known.into_iter().map(|(_, signature)| signature).collect();
        assert_eq!(said, [Signature::Refused("no trust policy lists any registry".to_owned())]);
        assert_eq!(signatures.verifier().stats().requests.load(std::sync::atomic::Ordering::Relaxed), 0);
    }
}
