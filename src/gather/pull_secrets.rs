//! Pull Secrets: those that the pod itself and its ServiceAccount name, of their own namespace only, read by name when
//! an image is looked up for the first time and kept for a minute.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use tokio::time::{Instant, timeout_at};

use super::registry::Keyring;

/// Secrets read for one pod; a pod that needs more is an attempt to keep us busy.
const MAX_SECRETS: usize = 8;
const KEEP: Duration = Duration::from_mins(1);
const KEEP_PROBLEM: Duration = Duration::from_secs(10);
const CAPACITY: u64 = 1024;

/// Reads Secrets. The cluster in the product.
pub trait SecretReader: Send + Sync + fmt::Debug {
    /// The credentials in a Secret.
    fn read<'a>(&'a self, namespace: &'a str, name: &'a str)
    -> BoxFuture<'a, Result<Keyring, SecretProblem>>;
}

/// Why a Secret gives no credentials. Completes the sentence `Secret "..." ...`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretProblem {
    /// The operator lacks the right.
    #[error(
        "may not be read by portcullis: set registry.readPullSecrets and name it in registry.pullSecretNames of the chart"
    )]
    Forbidden,
    /// There is none.
    #[error("does not exist")]
    Absent,
    /// Its type is not one that holds registry credentials.
    #[error("is of type {0:?}, which holds no registry credentials")]
    Type(String),
    /// Its content is no configuration.
    #[error("cannot be used: {0}")]
    Content(String),
    /// The API server did not answer in time or with an error.
    #[error("could not be read from the API server")]
    Unreachable,
    /// More Secrets than are read.
    #[error("is not read: a pod's first {MAX_SECRETS} Secrets are")]
    TooMany,
    /// Nobody can read Secrets here: the command line.
    #[error("is not read outside a cluster")]
    NoCluster,
}

/// Credentials for a pod's images, with what stood in the way of having more.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// What was read.
    pub keyring: Keyring,
    /// One sentence for each Secret that gave nothing.
    pub problems: Vec<String>,
}

/// The Secrets of the cluster, remembered for a short while.
#[derive(Debug)]
pub struct PullSecrets {
    reader: Arc<dyn SecretReader>,
    known: moka::sync::Cache<(String, String), Known>,
}

#[derive(Clone, Debug)]
struct Known {
    read: Result<Keyring, SecretProblem>,
}

struct Life;

impl moka::Expiry<(String, String), Known> for Life {
    fn expire_after_create(
        &self,
        _: &(String, String),
        known: &Known,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(if known.read.is_ok() { KEEP } else { KEEP_PROBLEM })
    }
}

impl PullSecrets {
    /// Reads through `reader`.
    #[must_use]
    pub fn new(reader: Arc<dyn SecretReader>) -> Self {
        let known = moka::sync::Cache::builder().max_capacity(CAPACITY).expire_after(Life).build();
        Self { reader, known }
    }

    /// What the Secrets `names` of `namespace` hold.
    ///
    /// Guarantees: returns by `deadline`; no other namespace is read.
    pub async fn find(&self, namespace: &str, names: &[String], deadline: Instant) -> Found {
        let mut found = Found::default();
        for (position, name) in names.iter().enumerate() {
            let read = if position < MAX_SECRETS {
                self.one(namespace, name, deadline).await
            } else {
                Err(SecretProblem::TooMany)
            };
            match read {
                Ok(keyring) => found.keyring.extend(&keyring),
                Err(problem) => found.problems.push(format!("Secret {name:?} {problem}")),
            }
        }
        found
    }

    /// The same from memory alone, without asking anybody.
    #[must_use]
    pub fn known(&self, namespace: &str, names: &[String]) -> Keyring {
        let mut keyring = Keyring::default();
        for name in names {
            let known = self.known.get(&(namespace.to_owned(), name.clone()));
            if let Some(Known { read: Ok(held) }) = known {
                keyring.extend(&held);
            }
        }
        keyring
    }

    async fn one(&self, namespace: &str, name: &str, deadline: Instant) -> Result<Keyring, SecretProblem> {
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(known) = self.known.get(&key) {
            return known.read;
        }
        let read = timeout_at(deadline, self.reader.read(namespace, name)).await;
        let read = read.unwrap_or(Err(SecretProblem::Unreachable));
        self.known.insert(key, Known { read: read.clone() });
        read
    }
}

/// Reads from the API server, one Secret at a time, by name.
pub struct ClusterSecrets(pub Client);

impl fmt::Debug for ClusterSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecrets")
    }
}

impl SecretReader for ClusterSecrets {
    fn read<'a>(
        &'a self,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Keyring, SecretProblem>> {
        Box::pin(async move {
            match Api::<Secret>::namespaced(self.0.clone(), namespace).get_opt(name).await {
                Ok(Some(secret)) => keyring(&secret),
                Ok(None) => Err(SecretProblem::Absent),
                Err(kube::Error::Api(status)) if status.code == 403 => Err(SecretProblem::Forbidden),
                Err(error) => {
                    tracing::warn!(namespace, secret = name, %error, "a pull secret could not be read");
                    Err(SecretProblem::Unreachable)
                }
            }
        })
    }
}

/// The credentials in a Secret of either type.
fn keyring(secret: &Secret) -> Result<Keyring, SecretProblem> {
    type Read = fn(&[u8]) -> Result<Keyring, super::registry::KeyringError>;
    let kind = secret.type_.as_deref().unwrap_or_default();
    let (key, read): (_, Read) = match kind {
        "kubernetes.io/dockerconfigjson" => (".dockerconfigjson", Keyring::from_config_json),
        "kubernetes.io/dockercfg" => (".dockercfg", Keyring::from_dockercfg),
        other => return Err(SecretProblem::Type(other.chars().take(64).collect())),
    };
    let bytes = secret.data.as_ref().and_then(|data| data.get(key));
    let bytes = bytes.ok_or_else(|| SecretProblem::Content(format!("it has no key {key:?}")))?;
    read(&bytes.0).map_err(|error| SecretProblem::Content(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    fn secret(kind: &str, key: &str, bytes: &str) -> Secret {
        let data = [(key.to_owned(), ByteString(bytes.as_bytes().to_vec()))];
        Secret { type_: Some(kind.to_owned()), data: Some(data.into()), ..Secret::default() }
    }

    #[test]
    fn both_types_of_secrets_are_read_and_no_other() {
        let config = r#"{"auths":{"a.example":{"username":"u","password":"p"}}}"#;
        let modern = secret("kubernetes.io/dockerconfigjson", ".dockerconfigjson", config);
        assert!(!keyring(&modern).unwrap().is_empty());
        let old = r#"{"a.example":{"username":"u","password":"p"}}"#;
        assert!(!keyring(&secret("kubernetes.io/dockercfg", ".dockercfg", old)).unwrap().is_empty());
        for (secret, wanted) in [
            (
                secret("Opaque", ".dockerconfigjson", config),
                "is of type \"Opaque\", which holds no registry credentials",
            ),
            (
                secret("kubernetes.io/dockerconfigjson", "config", config),
                "cannot be used: it has no key \".dockerconfigjson\"",
            ),
            (
                secret("kubernetes.io/dockerconfigjson", ".dockerconfigjson", "hunter2"),
                "cannot be used: it cannot be read as a Docker configuration",
            ),
        ] {
            assert_eq!(keyring(&secret).unwrap_err().to_string(), wanted);
        }
    }
}
