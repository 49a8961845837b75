//! Pull Secrets: whose are used for what, what is said where they cannot be read, and who learns the answers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::IntoResponse as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::ServiceAccount;
use portcullis::api::AITrustPolicy;
use portcullis::gather::pull_secrets::{SecretProblem, SecretReader};
use portcullis::gather::registry::{Keyring, VerifierConfig};
use portcullis::gather::signatures::{ImageQuestion, SignatureSource as _, Signatures};
use portcullis::gather::world::{Object, World};
use portcullis::policy::facts::Signature;
use serde_json::json;
use tokio::time::Instant;

use super::public;
use super::server::{Registry, authorization};

const NAME: &str = "v3-ecdsa-p256";

/// Secrets by namespace and name, and who was read.
#[derive(Default)]
struct Secrets {
    held: BTreeMap<(&'static str, &'static str), String>,
    read: Mutex<Vec<String>>,
    reads: AtomicUsize,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

impl SecretReader for Secrets {
    fn read<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Keyring, SecretProblem>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.read.lock().unwrap().push(format!("{namespace}/{name}"));
        let held = self.held.iter().find(|((ns, n), _)| (*ns, *n) == (namespace, name));
        Box::pin(std::future::ready(match (held, name) {
            (Some((_, config)), _) => Ok(Keyring::from_config_json(config.as_bytes()).unwrap()),
            (None, "unnamed") => Err(SecretProblem::Forbidden),
            (None, _) => Err(SecretProblem::Absent),
        }))
    }
}

fn config(host: &str, password: &str) -> String {
    json!({ "auths": { host: { "username": "robot", "password": password } } }).to_string()
}

/// A registry that wants `robot:right`, and the signatures of a world that trusts it.
fn private(secrets: Arc<Secrets>, registry: &Registry) -> Signatures {
    registry.twist(|seen| {
        // echo -n robot:right | base64
        if authorization(seen) == Some("Basic cm9ib3Q6cmlnaHQ=") {
            return None;
        }
        Some((StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Basic realm=\"x\"")], "").into_response())
    });
    trusting(secrets, registry)
}

fn trusting(secrets: Arc<Secrets>, registry: &Registry) -> Signatures {
    let policy: AITrustPolicy = serde_json::from_value(json!({
        "apiVersion": "portcullis.dev/v1alpha1", "kind": "AITrustPolicy", "metadata": { "name": "default" },
        "spec": {
            "registries": [{ "host": registry.host(), "plainHTTP": true, "allowPrivateAddresses": true }],
            "authorities": [{ "name": "ci", "key": { "pem": public("ecdsa-p256") } }],
            "rules": [{ "match": { "artifact": "image" }, "authorities": ["ci"] }],
        },
    }))
    .unwrap();
    let account: ServiceAccount = serde_json::from_value(json!({
        "metadata": { "namespace": "a", "name": "puller" }, "imagePullSecrets": [{ "name": "regcred" }],
    }))
    .unwrap();
    let mut world = World::default();
    world.apply(Object::TrustPolicy(Box::new(policy)));
    world.apply(Object::ServiceAccount(Box::new(account)));
    let signatures = Signatures::new(Arc::new(RwLock::new(world)), VerifierConfig::default());
    signatures.read_pull_secrets(secrets);
    signatures
}

async fn ask(signatures: &Signatures, namespace: &str, question: ImageQuestion) -> Signature {
    let reference = question.reference.clone();
    let deadline = Instant::now() + Duration::from_secs(5);
    signatures.signatures(namespace, vec![question], deadline).await.remove(&reference).unwrap()
}

fn question(registry: &Registry, digest: &str, secrets: &[&str], account: &str) -> ImageQuestion {
    ImageQuestion {
        reference: format!("{}/team/{NAME}@{digest}", registry.host()),
        volume: false,
        pull_secrets: secrets.iter().map(|name| (*name).to_owned()).collect(),
        account: account.to_owned(),
    }
}

fn trusted() -> Signature {
    Signature::Trusted(vec!["ci".to_owned()].into())
}

#[tokio::test]
async fn the_secrets_of_the_pod_or_of_its_account_open_a_private_registry() {
    let registry = Registry::start(true).await;
    let digest = registry.load(NAME);
    let held = [(("a", "regcred"), config(&registry.host(), "right"))].into();
    let secrets = Arc::new(Secrets { held, ..Secrets::default() });
    let by_pod = private(Arc::clone(&secrets), &registry);
    assert_eq!(ask(&by_pod, "a", question(&registry, &digest, &["regcred"], "default")).await, trusted());
    let by_account = private(Arc::clone(&secrets), &registry);
    assert_eq!(ask(&by_account, "a", question(&registry, &digest, &[], "puller")).await, trusted());
    let without = private(Arc::clone(&secrets), &registry);
    let refused = format!("registry \"{}\" refuses to answer without credentials", registry.host());
    let answer = ask(&without, "a", question(&registry, &digest, &[], "default")).await;
    assert_eq!(answer, Signature::Unknown(refused));
}

#[tokio::test]
async fn a_private_answer_stays_with_those_who_hold_the_credentials() {
    let registry = Registry::start(true).await;
    let digest = registry.load(NAME);
    let held = [
        (("a", "regcred"), config(&registry.host(), "right")),
        (("b", "regcred"), config(&registry.host(), "wrong")),
    ];
    let secrets = Arc::new(Secrets { held: held.into(), ..Secrets::default() });
    let signatures = private(Arc::clone(&secrets), &registry);
    let asked = || question(&registry, &digest, &["regcred"], "default");
    assert_eq!(ask(&signatures, "a", asked()).await, trusted());
    registry.seen();
    // Warm for those who hold them: nothing is asked, and no Secret is read again.
    assert_eq!(ask(&signatures, "a", asked()).await, trusted());
    assert_eq!(registry.paths(), Vec::<String>::new());
    assert_eq!(secrets.reads.load(Ordering::Relaxed), 1);
    // Another namespace, with wrong credentials or none, learns nothing of it.
    for (namespace, names) in [("b", ["regcred"].as_slice()), ("c", &[])] {
        let answer = ask(&signatures, namespace, question(&registry, &digest, names, "default")).await;
        let Signature::Unknown(why) = &answer else { panic!("{namespace}: {answer:?}") };
        assert!(why.contains("refuses to answer without credentials"), "{why}");
    }
    assert_eq!(*secrets.read.lock().unwrap(), ["a/regcred", "b/regcred"], "only those of the own namespace");
}

#[tokio::test]
async fn a_secret_that_may_not_be_read_says_which_right_is_missing() {
    let registry = Registry::start(true).await;
    let digest = registry.load(NAME);
    let signatures = private(Arc::default(), &registry);
    let answer = ask(&signatures, "a", question(&registry, &digest, &["unnamed", "gone"], "default")).await;
    let wanted = format!(
        "registry \"{}\" refuses to answer without credentials; Secret \"unnamed\" may not be read by portcullis: set \
         registry.readPullSecrets and name it in registry.pullSecretNames of the chart; Secret \"gone\" does not exist",
        registry.host()
    );
    assert_eq!(answer, Signature::Unknown(wanted));
    // Where the registry asks for nothing, a Secret that cannot be read is no obstacle.
    let open = Registry::start(true).await;
    let digest = open.load(NAME);
    let signatures = trusting(Arc::default(), &open);
    assert_eq!(ask(&signatures, "a", question(&open, &digest, &["unnamed"], "default")).await, trusted());
}

#[tokio::test]
async fn abuse_081_a_secret_for_another_host_is_not_sent() {
    let registry = Registry::start(true).await;
    let digest = registry.load(NAME);
    let held = [(("a", "regcred"), config("registry.example", "hunter2"))].into();
    let signatures = private(Arc::new(Secrets { held, ..Secrets::default() }), &registry);
    let answer = ask(&signatures, "a", question(&registry, &digest, &["regcred"], "default")).await;
    assert!(matches!(&answer, Signature::Unknown(why) if !why.contains("hunter2")), "{answer:?}");
    assert!(registry.seen().iter().all(|seen| authorization(seen).is_none()), "nothing was sent");
}

#[tokio::test]
async fn what_is_public_is_shared_and_needs_no_secret_the_second_time() {
    let registry = Registry::start(true).await;
    let digest = registry.load(NAME);
    let held = [(("a", "regcred"), config(&registry.host(), "right"))].into();
    let secrets = Arc::new(Secrets { held, ..Secrets::default() });
    let signatures = trusting(Arc::clone(&secrets), &registry);
    assert_eq!(ask(&signatures, "a", question(&registry, &digest, &["regcred"], "default")).await, trusted());
    assert!(registry.seen().iter().all(|seen| authorization(seen).is_none()), "nobody asked for it");
    for namespace in ["a", "b"] {
        let answer = ask(&signatures, namespace, question(&registry, &digest, &["regcred"], "default")).await;
        assert_eq!(answer, trusted());
    }
    assert_eq!(registry.paths(), Vec::<String>::new());
    assert_eq!(secrets.reads.load(Ordering::Relaxed), 1);
}
