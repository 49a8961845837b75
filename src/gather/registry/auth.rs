//! Challenges, tokens and credentials. A credential is bound to one registry; a token is only ever fetched from that
//! registry's own host or one that its entry lists.

use std::fmt;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::trust::Registry;
use crate::policy::image::normalise_registry;

pub(super) const MAX_TOKEN_ANSWER: usize = 64 * 1024;
const MAX_TOKEN: usize = 16 * 1024;
const MAX_CHALLENGE: usize = 4 * 1024;
/// What a token lasts if its service does not say, as the protocol has it.
const DEFAULT_LIFE: Duration = Duration::from_mins(1);
const MAX_LIFE: Duration = Duration::from_mins(5);
/// So that a token does not end between its check and its use.
const MARGIN: Duration = Duration::from_secs(5);
const MAX_TOKENS: u64 = 1024;

/// A user's name and password for one registry. Never shown.
#[derive(Clone)]
pub struct RegistryCredentials {
    registry: String,
    username: String,
    password: String,
}

impl fmt::Debug for RegistryCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryCredentials").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl RegistryCredentials {
    /// Binds a name and a password to one registry, `host` or `host:port`; `None` where that is no registry.
    #[must_use]
    pub fn new(registry: &str, username: &str, password: &str) -> Option<Self> {
        let registry = normalise_registry(registry).ok()?;
        Some(Self { registry, username: username.to_owned(), password: password.to_owned() })
    }

    pub(super) fn is_for(&self, registry: &str) -> bool {
        self.registry == registry
    }

    pub(super) fn basic(&self) -> Option<HeaderValue> {
        let text = STANDARD.encode(format!("{}:{}", self.username, self.password));
        let mut header = HeaderValue::from_str(&format!("Basic {text}")).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// Tells two credentials apart in cache keys without keeping them.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for part in [&self.registry, &self.username, &self.password] {
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().into()
    }
}

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String> },
}

impl Challenge {
    /// The first challenge that can be answered; a token is preferred.
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter().take(4);
        let challenges: Vec<_> = values.filter_map(|value| Self::parse(value.to_str().ok()?)).collect();
        let bearer = challenges.iter().find(|challenge| matches!(challenge, Self::Bearer { .. }));
        bearer.or(challenges.first()).cloned()
    }

    fn parse(value: &str) -> Option<Self> {
        if value.len() > MAX_CHALLENGE {
            return None;
        }
        let (scheme, rest) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut realm = None;
        let mut service = None;
        let mut rest = rest.trim_start();
        while let Some((name, after)) = rest.split_once('=') {
            let (text, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_at(after.find(',').unwrap_or(after.len())),
            };
            match name.trim().to_ascii_lowercase().as_str() {
                "realm" => realm = Some(text.to_owned()),
                "service" => service = Some(text.to_owned()),
                _ => {}
            }
            rest = after.trim_start_matches([',', ' ']);
        }
        Some(Self::Bearer { realm: realm?, service })
    }
}

/// The URL to fetch a token from, if the realm may be asked at all.
///
/// # Errors
/// What is wrong with the realm.
pub(super) fn token_url(
    registry: &Registry,
    base: &Url,
    realm: &str,
    service: Option<&str>,
    repository: &str,
) -> Result<Url, &'static str> {
    let mut url = Url::parse(realm).map_err(|_| "its realm is no address")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the address carries credentials");
    }
    if url.scheme() != "https" && !(url.scheme() == "http" && registry.plain_http) {
        return Err("not over TLS");
    }
    let same = url.host() == base.host() && url.port_or_known_default() == base.port_or_known_default();
    if !same && !is_companion(registry, &url) {
        return Err("another host, which its entry does not list");
    }
    url.set_fragment(None);
    {
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        // Never the scope that the challenge asks for: it might be wider than what is needed.
        query.append_pair("scope", &format!("repository:{repository}:pull"));
    }
    Ok(url)
}

/// Whether the registry's entry lists the URL's host.
pub(super) fn is_companion(registry: &Registry, url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let port = url.port();
    let name = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    (url.scheme() == "https" || registry.plain_http) && registry.companions.contains(&name)
}

/// A token, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) header: HeaderValue,
    until: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Token {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let answer: TokenAnswer = super::oci::object(body)?;
        let text = answer
            .token
            .or(answer.access_token)
            .filter(|text| !text.is_empty() && text.len() <= MAX_TOKEN)?;
        let mut header = HeaderValue::from_str(&format!("Bearer {text}")).ok()?;
        header.set_sensitive(true);
        let life = answer.expires_in.map_or(DEFAULT_LIFE, Duration::from_secs).min(MAX_LIFE);
        Some(Self { header, until: Instant::now() + life.saturating_sub(MARGIN) })
    }
}

/// Tokens by registry, repository and credential. Bounded.
#[derive(Debug)]
pub(super) struct Tokens(moka::sync::Cache<(String, [u8; 32]), Token>);

impl Tokens {
    pub(super) fn new() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(MAX_TOKENS).time_to_live(MAX_LIFE).build())
    }

    pub(super) fn get(
        &self,
        registry: &Registry,
        repository: &str,
        credentials: Option<&RegistryCredentials>,
    ) -> Option<HeaderValue> {
        let token = self.0.get(&key(registry, repository, credentials))?;
        (token.until > Instant::now()).then_some(token.header)
    }

    pub(super) fn put(
        &self,
        registry: &Registry,
        repository: &str,
        credentials: Option<&RegistryCredentials>,
        token: Token,
    ) {
        self.0.insert(key(registry, repository, credentials), token);
    }

    pub(super) fn forget(
        &self,
        registry: &Registry,
        repository: &str,
        credentials: Option<&RegistryCredentials>,
    ) {
        self.0.invalidate(&key(registry, repository, credentials));
    }
}

fn key(
    registry: &Registry,
    repository: &str,
    credentials: Option<&RegistryCredentials>,
) -> (String, [u8; 32]) {
    let who = credentials.map_or([0; 32], RegistryCredentials::fingerprint);
    (format!("{}/{repository}", registry.host), who)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(plain_http: bool, companions: &[&str]) -> Registry {
        let policy = super::super::PolicySpec {
            registries: vec![super::super::RegistrySpec {
                host: "registry.example".to_owned(),
                plain_http,
                companions: companions.iter().map(|host| (*host).to_owned()).collect(),
                ..super::super::RegistrySpec::default()
            }],
            ..super::super::PolicySpec::default()
        };
        let trust = super::super::CompiledTrust::compile(&[policy]);
        trust.registry("registry.example").unwrap().as_ref().clone()
    }

    #[test]
    fn challenges_are_read_as_the_protocol_has_them() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        for (value, wanted) in [
            ("Basic realm=\"x\"", Some(Challenge::Basic)),
            ("BASIC", Some(Challenge::Basic)),
            ("Bearer realm=\"https://a/t\",service=\"s\",scope=\"a,b\"", bearer("https://a/t", Some("s"))),
            ("bearer scope=\"a=b,c\", realm=\"https://a/t?x=y\"", bearer("https://a/t?x=y", None)),
            ("Bearer realm=https://a/t, service=s", bearer("https://a/t", Some("s"))),
            ("Bearer service=\"s\"", None),
            ("Bearer realm=\"open", None),
            ("Negotiate", None),
            ("", None),
        ] {
            assert_eq!(Challenge::parse(value), wanted, "{value}");
        }
        assert_eq!(Challenge::parse(&format!("Bearer realm=\"{}\"", "x".repeat(5000))), None);
    }

    #[test]
    fn abuse_081_a_realm_is_the_registry_or_one_that_its_entry_lists() {
        let base: Url = "https://registry.example/".parse().unwrap();
        let ask = |companions: &[&str], realm: &str| {
            let url = token_url(&registry(false, companions), &base, realm, Some("s p"), "team/app");
            url.map(|url| url.to_string())
        };
        let query = "service=s+p&scope=repository%3Ateam%2Fapp%3Apull";
        assert_eq!(ask(&[], "https://registry.example/t"), Ok(format!("https://registry.example/t?{query}")));
        assert_eq!(
            ask(&["auth.example"], "https://AUTH.example/t?a=b#c"),
            Ok(format!("https://auth.example/t?a=b&{query}"))
        );
        let elsewhere = "another host, which its entry does not list";
        for (realm, wanted) in [
            ("https://auth.example/t", elsewhere),
            ("https://registry.example.evil/t", elsewhere),
            ("https://registry.example:8443/t", elsewhere),
            ("https://evil.example/registry.example", elsewhere),
            ("http://registry.example/t", "not over TLS"),
            ("ftp://registry.example/t", "not over TLS"),
            ("https://registry.example@evil.example/t", "the address carries credentials"),
            ("https://u:p@registry.example/t", "the address carries credentials"),
            ("/t", "its realm is no address"),
        ] {
            assert_eq!(ask(&[], realm), Err(wanted), "{realm}");
        }
        let plain = token_url(
            &registry(true, &[]),
            &"http://registry.example/".parse().unwrap(),
            "http://registry.example/t",
            None,
            "a",
        );
        assert_eq!(plain.unwrap().as_str(), "http://registry.example/t?scope=repository%3Aa%3Apull");
    }

    #[test]
    fn tokens_that_cannot_be_sent_are_none() {
        assert!(Token::parse(br#"{"token":"abc"}"#).is_some());
        assert!(Token::parse(br#"{"access_token":"abc","expires_in":9999999999}"#).is_some());
        let long = format!(r#"{{"token":"{}"}}"#, "x".repeat(MAX_TOKEN + 1));
        for body in [r#"{"token":""}"#, r#"{"token":"a\nb"}"#, "{}", r#"["abc"]"#, "abc", &long] {
            assert!(Token::parse(body.as_bytes()).is_none(), "{}", &body[..body.len().min(20)]);
        }
    }
}
