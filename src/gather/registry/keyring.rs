//! Credentials as container runtimes keep them: `config.json` of Docker and the two types of Secrets that hold it. Which
//! entry is for which image is decided as the kubelet decides it, with one difference: a path stands for whole parts of
//! a repository's name, so that `host/team` is not for `host/teammate`.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::auth::RegistryCredentials;
use crate::policy::image::{ImageRef, normalise_registry};

/// Longer files hold no credentials that anybody wrote.
const MAX_BYTES: usize = 1 << 20;
const MAX_ENTRIES: usize = 256;
/// Entries tried for one image.
const MAX_CANDIDATES: usize = 4;

/// The entries of one or more configurations. Never shown.
#[derive(Clone, Default)]
pub struct Keyring {
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    host: Host,
    /// Whole parts of a repository's name, without slashes at its ends; empty for all.
    path: String,
    username: String,
    password: String,
}

#[derive(Clone, PartialEq, Eq)]
enum Host {
    Exact(String),
    /// A star within the parts between dots, as in `*.registry.example`; the port is compared exactly.
    Pattern(Vec<String>, String),
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("entries", &self.entries.len()).finish()
    }
}

/// Why a configuration holds no usable credentials. Nothing of its content is in the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// It is larger than [`MAX_BYTES`].
    #[error("it is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// It is no JSON of the expected form.
    #[error("it cannot be read as a Docker configuration")]
    Unreadable,
    /// It has more entries than anybody needs.
    #[error("it has more than {MAX_ENTRIES} registries")]
    TooMany,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Login>,
}

#[derive(Deserialize)]
struct Login {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
}

impl Keyring {
    /// Reads `config.json`, as in Secrets of type `kubernetes.io/dockerconfigjson`.
    ///
    /// # Errors
    /// Why it cannot be used. An entry without a name and password (a credential helper's, an identity token) is left
    /// out: the image it is for is then asked for without credentials, and the registry refuses.
    pub fn from_config_json(bytes: &[u8]) -> Result<Self, KeyringError> {
        check_length(bytes)?;
        let config: Config = super::oci::object(bytes).ok_or(KeyringError::Unreadable)?;
        Self::of(config.auths)
    }

    /// Reads the older `.dockercfg`, as in Secrets of type `kubernetes.io/dockercfg`.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn from_dockercfg(bytes: &[u8]) -> Result<Self, KeyringError> {
        check_length(bytes)?;
        Self::of(super::oci::object(bytes).ok_or(KeyringError::Unreadable)?)
    }

    fn of(auths: BTreeMap<String, Login>) -> Result<Self, KeyringError> {
        if auths.len() > MAX_ENTRIES {
            return Err(KeyringError::TooMany);
        }
        let entries = auths.into_iter().filter_map(|(key, login)| {
            let (username, password) = login.pair()?;
            let (host, path) = place(&key)?;
            Some(Entry { host, path, username, password })
        });
        let mut keyring = Self { entries: entries.collect() };
        keyring.sort();
        Ok(keyring)
    }

    /// Adds the entries of another configuration.
    pub fn extend(&mut self, other: &Self) {
        self.entries.extend(other.entries.iter().cloned());
        self.sort();
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What may be sent to the image's registry, the most specific first, each bound to that registry alone.
    #[must_use]
    pub fn of_image(&self, image: &ImageRef) -> Vec<RegistryCredentials> {
        let fitting = self.entries.iter().filter(|entry| entry.is_for(image));
        let bound = fitting
            .filter_map(|entry| RegistryCredentials::new(image.registry(), &entry.username, &entry.password));
        bound.take(MAX_CANDIDATES).collect()
    }

    /// Longer paths first, then hosts without a star; otherwise as they came.
    fn sort(&mut self) {
        self.entries.sort_by_key(|entry| {
            (std::cmp::Reverse(entry.path.len()), matches!(entry.host, Host::Pattern(..)))
        });
    }
}

impl Entry {
    fn is_for(&self, image: &ImageRef) -> bool {
        let here = match &self.host {
            Host::Exact(host) => host == image.registry(),
            Host::Pattern(parts, port) => {
                let (name, its_port) = image.registry().rsplit_once(':').unwrap_or((image.registry(), ""));
                let names: Vec<&str> = name.split('.').collect();
                port == its_port
                    && names.len() == parts.len()
                    && parts.iter().zip(names).all(|(pattern, name)| star(pattern, name))
            }
        };
        let below = image.repository().strip_prefix(self.path.as_str());
        here && (self.path.is_empty() || below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
}

impl Login {
    /// Name and password; `auth` speaks where both are there.
    fn pair(self) -> Option<(String, String)> {
        let encoded = self.auth.filter(|auth| !auth.is_empty());
        let (username, password) = match encoded {
            Some(auth) => {
                let text = String::from_utf8(STANDARD.decode(auth.trim()).ok()?).ok()?;
                let (username, password) = text.split_once(':')?;
                (username.to_owned(), password.trim_end_matches('\0').to_owned())
            }
            None => (self.username?, self.password?),
        };
        (!username.is_empty() && !password.is_empty()).then_some((username, password))
    }
}

/// Host and path of an entry's key: `host`, `https://host/v1/`, `host:port/team`.
fn place(key: &str) -> Option<(Host, String)> {
    let key = key.trim();
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let path = path.trim_matches('/');
    // Docker's own index is written with the version of its interface behind it.
    let path = match path.split_once('/').unwrap_or((path, "")) {
        ("v1" | "v2", rest) => rest,
        _ => path,
    };
    let host = if host.contains('*') {
        let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
        Host::Pattern(name.to_ascii_lowercase().split('.').map(str::to_owned).collect(), port.to_owned())
    } else {
        Host::Exact(normalise_registry(host).ok()?)
    };
    Some((host, path.to_owned()))
}

/// Compares one part of a host with a pattern in which a star stands for any characters.
fn star(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let end = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some(at) = text.find(piece) else { return false };
        text = &text[at + piece.len()..];
    }
    text.ends_with(end)
}

const fn check_length(bytes: &[u8]) -> Result<(), KeyringError> {
    if bytes.len() > MAX_BYTES { Err(KeyringError::TooLong) } else { Ok(()) }
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
