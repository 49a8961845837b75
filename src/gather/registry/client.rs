//! The one HTTP client for registries. Whatever a tenant writes into an image reference, and whatever a hostile
//! registry answers, no request leaves for a host that no trust policy lists, no credential goes anywhere but to the
//! registry it is for, and no answer is read beyond its bound.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, LINK,
    LOCATION, RANGE,
};
use reqwest::{Client, Response, StatusCode, Url};
use sha2::{Digest, Sha256};

use super::address::{AddressPolicy, GuardedResolver, Names};
use super::auth::{self, RegistryCredentials, Tokens};
use super::error::FetchError;
use super::stats::Stats;
use super::trust::Registry;

const MAX_REDIRECTS: usize = 3;
/// No look-up needs nearly as many.
const MAX_REQUESTS: usize = 64;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const POOL_IDLE: Duration = Duration::from_mins(1);
const POOL_PER_HOST: usize = 8;

/// How the client is set up.
#[derive(Debug, Clone, Default)]
pub(super) struct ClientConfig {
    /// PEM bundles of further certificate authorities.
    pub(super) extra_roots: Vec<Vec<u8>>,
    /// Address ranges of the cluster, refused like private ones.
    pub(super) cluster: Vec<IpNet>,
    /// Who says which addresses a name has.
    pub(super) names: Names,
}

/// The guarded client. One underlying client for each pair of permissions, so that a connection made under a wide
/// permission is never used under a narrow one.
#[derive(Debug)]
pub(super) struct GuardedClient {
    public: Lane,
    private: Lane,
    tokens: Tokens,
    stats: Arc<Stats>,
}

#[derive(Debug)]
struct Lane {
    policy: AddressPolicy,
    /// Absent where no CA certificates could be loaded; every use then says so.
    tls: Result<Client, String>,
    plain: Result<Client, String>,
}

/// One artifact's conversation with its registry.
pub(super) struct Session<'a> {
    client: &'a GuardedClient,
    registry: &'a Registry,
    credentials: Option<&'a RegistryCredentials>,
    repository: &'a str,
    base: Url,
    requests: usize,
    most_requests: usize,
    /// Whether a credential, or a token had for one, was sent: what came back may then be a secret.
    used_credentials: bool,
}

/// A body with what its headers said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    pub(super) content_type: String,
    /// The next page, as a path of the same registry.
    pub(super) next: Option<String>,
    /// Whether it is the part that was asked for. Without, it is the beginning of the whole, cut at the bound.
    pub(super) is_part: bool,
}

impl Answer {
    /// `sha256:<hex>` of the body, computed here.
    pub(super) fn digest(&self) -> String {
        format!("sha256:{}", hex::encode(Sha256::digest(&self.body)))
    }
}

/// What is fetched, in words, with its bound and whether it may come from elsewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) what: &'static str,
    pub(super) limit: usize,
    pub(super) redirects: bool,
    /// Where only a part is wanted: its first byte. Its length is the bound.
    pub(super) from: Option<u64>,
}

impl GuardedClient {
    /// Builds all clients. A client that cannot be built is kept as its error and named at each use.
    pub(super) fn new(config: &ClientConfig, stats: Arc<Stats>) -> Self {
        let cluster: Arc<[IpNet]> = config.cluster.clone().into();
        let lane = |allow_private| {
            let policy = AddressPolicy { allow_private, cluster: Arc::clone(&cluster) };
            Lane { tls: build(config, &policy, true), plain: build(config, &policy, false), policy }
        };
        Self { public: lane(false), private: lane(true), tokens: Tokens::new(), stats }
    }

    /// Starts a conversation about one repository of a registry that the trust policies allow.
    pub(super) fn session<'a>(
        &'a self,
        registry: &'a Registry,
        repository: &'a str,
        credentials: Option<&'a RegistryCredentials>,
    ) -> Result<Session<'a>, FetchError> {
        let scheme = if registry.plain_http { "http" } else { "https" };
        let host = if registry.host == "docker.io" { "registry-1.docker.io" } else { &registry.host };
        let base = Url::parse(&format!("{scheme}://{host}/"))
            .map_err(|_| FetchError::Internal(format!("registry {host:?} makes no address")))?;
        let credentials = credentials.filter(|credentials| credentials.is_for(&registry.host));
        Ok(Session {
            client: self,
            registry,
            credentials,
            repository,
            base,
            requests: 0,
            most_requests: MAX_REQUESTS,
            used_credentials: false,
        })
    }
}

fn build(config: &ClientConfig, policy: &AddressPolicy, tls: bool) -> Result<Client, String> {
    let mut builder = Client::builder()
        .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_PER_HOST)
        .dns_resolver(GuardedResolver { policy: policy.clone(), names: config.names.clone() });
    if tls {
        builder = builder.https_only(true);
        let mut extra = Vec::new();
        for bundle in &config.extra_roots {
            extra.extend(
                reqwest::Certificate::from_pem_bundle(bundle)
                    .map_err(|_| "a given CA certificate cannot be read".to_owned())?,
            );
        }
        if !extra.is_empty() {
            builder = builder.tls_certs_merge(extra);
        }
    } else {
        // Without any root no TLS connection can come about, and nothing is looked for on disk.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| {
        tracing::warn!(%error, "registries cannot be asked over TLS");
        "no CA certificates could be loaded, so no registry's TLS certificate can be checked".to_owned()
    })
}

impl Session<'_> {
    /// Whether anything was asked for in somebody's name. Then the answers are for those alone who have it too.
    pub(super) const fn used_credentials(&self) -> bool {
        self.used_credentials
    }

    /// Allows more requests, for who reads large artifacts and nobody waits for.
    pub(super) const fn patient(mut self, requests: usize) -> Self {
        self.most_requests = requests;
        self
    }

    pub(super) fn registry(&self) -> &str {
        &self.registry.host
    }

    /// Fetches a path of the repository, `manifests/...`; `None` where the registry says 404.
    pub(super) async fn get(
        &mut self,
        path: &str,
        accept: &'static str,
        kind: Kind,
    ) -> Result<Option<Answer>, FetchError> {
        let path = format!("v2/{}/{path}", self.repository);
        let url =
            self.base.join(&path).map_err(|_| self.malformed(kind.what, "its path makes no address"))?;
        let response = self.authorised(&url, accept, kind).await?;
        self.read(response, kind).await
    }

    /// Fetches the next page that an answer named.
    pub(super) async fn get_page(
        &mut self,
        next: &str,
        accept: &'static str,
        kind: Kind,
    ) -> Result<Option<Answer>, FetchError> {
        let url =
            self.base.join(next).map_err(|_| self.malformed(kind.what, "its next page has no address"))?;
        let prefix = format!("/v2/{}/", self.repository);
        if url.origin() != self.base.origin() || !url.path().starts_with(&prefix) {
            return Err(self.redirect(kind.what, "its next page is elsewhere"));
        }
        let response = self.authorised(&url, accept, kind).await?;
        self.read(response, kind).await
    }

    /// Sends a request, answers one challenge, and follows what may be followed.
    async fn authorised(
        &mut self,
        url: &Url,
        accept: &'static str,
        kind: Kind,
    ) -> Result<Response, FetchError> {
        let cached = self.client.tokens.get(self.registry, self.repository, self.credentials);
        let mut response = self.send(url, accept, cached.as_ref(), kind).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let challenge = auth::Challenge::from_headers(response.headers());
            drop(response);
            let authorization = self.answer(challenge).await?;
            response = self.send(url, accept, Some(&authorization), kind).await?;
        }
        if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            self.client.tokens.forget(self.registry, self.repository, self.credentials);
            return Err(self.unauthorised());
        }
        if kind.redirects {
            response = self.follow(response, accept, kind).await?;
        }
        Ok(response)
    }

    /// Answers a challenge with an `Authorization` header for this registry.
    async fn answer(&mut self, challenge: Option<auth::Challenge>) -> Result<HeaderValue, FetchError> {
        let registry = self.registry.host.clone();
        match challenge {
            None => Err(FetchError::Challenge { registry }),
            Some(auth::Challenge::Basic) => {
                self.credentials.and_then(RegistryCredentials::basic).ok_or_else(|| self.unauthorised())
            }
            Some(auth::Challenge::Bearer { realm, service }) => {
                let url =
                    auth::token_url(self.registry, &self.base, &realm, service.as_deref(), self.repository)
                        .map_err(|detail| FetchError::Realm { registry: registry.clone(), detail })?;
                let kind =
                    Kind { what: "the token", limit: auth::MAX_TOKEN_ANSWER, redirects: false, from: None };
                let basic = self.credentials.and_then(RegistryCredentials::basic);
                self.client.stats.token_requests.fetch_add(1, Ordering::Relaxed);
                let response = self.send(&url, "application/json", basic.as_ref(), kind).await?;
                if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                    return Err(self.unauthorised());
                }
                let answer = self.read(response, kind).await?;
                let answer = answer.ok_or(FetchError::Status { registry, what: kind.what, status: 404 })?;
                let token = auth::Token::parse(&answer.body)
                    .ok_or_else(|| self.malformed(kind.what, "it holds no token"))?;
                let header = token.header.clone();
                self.client.tokens.put(self.registry, self.repository, self.credentials, token);
                Ok(header)
            }
        }
    }

    /// Follows redirects of blobs: a few, over TLS or to the same origin, never with credentials, every hop through
    /// the checks of addresses.
    async fn follow(
        &mut self,
        mut response: Response,
        accept: &'static str,
        kind: Kind,
    ) -> Result<Response, FetchError> {
        let mut hops = 0;
        while is_redirect(response.status()) {
            hops += 1;
            if hops > MAX_REDIRECTS {
                return Err(self.redirect(kind.what, "too many redirects"));
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let location = location.and_then(|location| response.url().join(location).ok());
            let Some(url) = location else {
                return Err(self.malformed(kind.what, "a redirect without a place"));
            };
            drop(response);
            if !url.username().is_empty() || url.password().is_some() {
                return Err(self.redirect(kind.what, "the address carries credentials"));
            }
            if url.scheme() != "https" && url.origin() != self.base.origin() {
                return Err(self.redirect(kind.what, "not over TLS"));
            }
            response = self.send(&url, accept, None, kind).await?;
        }
        Ok(response)
    }

    /// Sends one request. The only place from which packets leave.
    async fn send(
        &mut self,
        url: &Url,
        accept: &'static str,
        authorization: Option<&HeaderValue>,
        kind: Kind,
    ) -> Result<Response, FetchError> {
        self.requests += 1;
        if self.requests > self.most_requests {
            return Err(FetchError::TooManyRequests {
                registry: self.registry.host.clone(),
                limit: self.most_requests,
            });
        }
        let own = self.is_own(url);
        let lane =
            if own && self.registry.allow_private { &self.client.private } else { &self.client.public };
        // The resolver is never asked about literals.
        let Some(host) = url.host_str() else {
            return Err(self.malformed(kind.what, "an address without a host"));
        };
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            lane.policy
                .check(host, address)
                .map_err(|refused| FetchError::Address { registry: self.registry.host.clone(), refused })?;
        }
        let plain = url.scheme() == "http" && own && self.registry.plain_http;
        let client = if plain { &lane.plain } else { &lane.tls };
        let client = client.as_ref().map_err(|problem| FetchError::Internal(problem.clone()))?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if let Some(from) = kind.from
            && let Ok(range) = HeaderValue::try_from(format!("bytes={from}-{}", from + kind.limit as u64 - 1))
        {
            headers.insert(RANGE, range);
        }
        if let Some(authorization) = authorization.filter(|_| own) {
            self.used_credentials |= self.credentials.is_some();
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        self.client.stats.requests.fetch_add(1, Ordering::Relaxed);
        let request = client.get(url.clone()).headers(headers);
        request.send().await.map_err(|error| FetchError::from_client(&self.registry.host, &error))
    }

    /// Whether a URL is the registry itself or one of its listed companions.
    fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin() || auth::is_companion(self.registry, url)
    }

    /// Reads an answer up to its bound.
    async fn read(&self, mut response: Response, kind: Kind) -> Result<Option<Answer>, FetchError> {
        let registry = || self.registry.host.clone();
        match response.status() {
            StatusCode::OK => {}
            StatusCode::PARTIAL_CONTENT if kind.from.is_some() => {}
            StatusCode::NOT_FOUND => return Ok(None),
            StatusCode::TOO_MANY_REQUESTS => return Err(FetchError::RateLimited { registry: registry() }),
            status if is_redirect(status) => {
                return Err(self.redirect(kind.what, "redirects are not followed"));
            }
            status => {
                return Err(FetchError::Status {
                    registry: registry(),
                    what: kind.what,
                    status: status.as_u16(),
                });
            }
        }
        let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        if header(CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
            return Err(self.malformed(kind.what, "it is compressed, which nobody asked for"));
        }
        let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
        let starts = header(CONTENT_RANGE).and_then(|range| range.strip_prefix("bytes ")?.split('-').next());
        if is_part && starts.and_then(|start| start.parse().ok()) != kind.from {
            return Err(self.malformed(kind.what, "it is another part than the one asked for"));
        }
        let is_cut = kind.from.is_some() && !is_part;
        let content_type = header(CONTENT_TYPE).unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let next = header(LINK).and_then(next_page);
        let promised =
            header(reqwest::header::HeaderName::from_static("docker-content-digest")).map(str::to_owned);
        let too_long = || FetchError::TooLong { registry: registry(), what: kind.what, limit: kind.limit };
        if !is_cut && response.content_length().is_some_and(|length| length > kind.limit as u64) {
            return Err(too_long());
        }
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| FetchError::from_client(&self.registry.host, &error))?
        {
            let room = kind.limit - body.len();
            if is_cut && chunk.len() >= room {
                body.extend_from_slice(&chunk[..room]);
                break;
            }
            if chunk.len() > room {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        let answer = Answer { body, content_type, next, is_part };
        let promised = promised.filter(|_| kind.from.is_none());
        if promised.is_some_and(|promised| promised.starts_with("sha256:") && promised != answer.digest()) {
            return Err(self.malformed(kind.what, "its bytes are not those of the digest in its header"));
        }
        Ok(Some(answer))
    }

    pub(super) fn malformed(&self, what: &'static str, detail: &'static str) -> FetchError {
        FetchError::Malformed { registry: self.registry.host.clone(), what, detail }
    }

    fn redirect(&self, what: &'static str, detail: &'static str) -> FetchError {
        FetchError::Redirect { registry: self.registry.host.clone(), what, detail }
    }

    fn unauthorised(&self) -> FetchError {
        FetchError::Unauthorised {
            registry: self.registry.host.clone(),
            with_credentials: self.credentials.is_some(),
        }
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The target of `Link: <...>; rel="next"`.
fn next_page(link: &str) -> Option<String> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let parameters = parameters.replace([' ', '"'], "").to_ascii_lowercase();
    parameters.split(';').any(|parameter| parameter == "rel=next").then(|| target.to_owned())
}
