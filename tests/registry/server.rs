//! A registry of about a hundred lines for tests: serves what it was given, counts requests, and can be told to
//! misbehave.

#![expect(clippy::unwrap_used, reason = "a test registry that cannot start is a failed test")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// One request as the registry saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
}

type Twist = Box<dyn Fn(&Seen) -> Option<Response> + Send + Sync>;

#[derive(Default)]
struct Content {
    /// By `repository reference`.
    manifests: HashMap<String, (String, Vec<u8>)>,
    blobs: HashMap<String, Vec<u8>>,
    /// Whether there is a referrers interface; else a tag stands in.
    referrers: bool,
    twist: Option<Twist>,
    seen: Vec<Seen>,
}

/// A running registry; ends with its runtime.
#[derive(Clone)]
pub(crate) struct Registry {
    pub(crate) address: SocketAddr,
    content: Arc<Mutex<Content>>,
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

impl Registry {
    /// Starts on a free port of an address of the loopback interface.
    pub(crate) async fn start_on(ip: &str, referrers: bool) -> Self {
        let listener = tokio::net::TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let content = Arc::new(Mutex::new(Content { referrers, ..Content::default() }));
        let app = Router::new().fallback(answer).with_state(Arc::clone(&content));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, content }
    }

    pub(crate) async fn start(referrers: bool) -> Self {
        Self::start_on("127.0.0.1", referrers).await
    }

    /// Starts behind TLS with a certificate for `localhost`; the answer's second part is its issuer in PEM.
    pub(crate) async fn start_tls() -> (Self, String) {
        let issuer = {
            let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap()
        };
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let leaf = params.signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key.into())
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let content = Arc::new(Mutex::new(Content { referrers: true, ..Content::default() }));
        let app = Router::new().fallback(answer).with_state(Arc::clone(&content));
        let listener = Tls { listener, acceptor: Arc::new(config).into() };
        tokio::spawn(async move { axum::serve(listener, app).await });
        (Self { address, content }, issuer.pem())
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Answers what `twist` answers, and the ordinary content where it answers nothing.
    pub(crate) fn twist(&self, twist: impl Fn(&Seen) -> Option<Response> + Send + Sync + 'static) {
        self.content.lock().unwrap().twist = Some(Box::new(twist));
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.content.lock().unwrap().seen)
    }

    /// The paths asked for since the last call, for counting.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.path).collect()
    }

    pub(crate) fn put_blob(&self, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        self.content.lock().unwrap().blobs.insert(digest.clone(), bytes.to_vec());
        json!({ "mediaType": "application/octet-stream", "digest": digest, "size": bytes.len() })
    }

    /// Stores a manifest under its digest and optionally a tag; the answer is its descriptor.
    pub(crate) fn put_manifest(
        &self,
        repository: &str,
        tag: Option<&str>,
        kind: &str,
        bytes: &[u8],
    ) -> Value {
        let digest = digest(bytes);
        let mut content = self.content.lock().unwrap();
        for reference in [Some(digest.as_str()), tag].into_iter().flatten() {
            content.manifests.insert(format!("{repository} {reference}"), (kind.to_owned(), bytes.to_vec()));
        }
        json!({ "mediaType": kind, "digest": digest, "size": bytes.len() })
    }

    /// Stores the list of an artifact's referrers, as the tag that stands in for the interface.
    pub(crate) fn put_referrers(&self, repository: &str, digest: &str, referrers: &[Value]) {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": referrers });
        let tag = digest.replace(':', "-");
        self.put_manifest(repository, Some(&tag), INDEX, &serde_json::to_vec(&index).unwrap());
    }

    /// A stored manifest.
    pub(crate) fn manifest(&self, repository: &str, reference: &str) -> Value {
        let content = self.content.lock().unwrap();
        serde_json::from_slice(&content.manifests[&format!("{repository} {reference}")].1).unwrap()
    }

    /// The bytes of a stored manifest.
    pub(crate) fn bytes(&self, repository: &str, reference: &str) -> Vec<u8> {
        self.content.lock().unwrap().manifests[&format!("{repository} {reference}")].1.clone()
    }

    /// Copies everything of one repository into another.
    pub(crate) fn copy_repository(&self, from: &str, to: &str) {
        let mut content = self.content.lock().unwrap();
        let all: Vec<_> = content.manifests.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        for (key, value) in all {
            if let Some(reference) = key.strip_prefix(&format!("{from} ")) {
                content.manifests.insert(format!("{to} {reference}"), value);
            }
        }
    }

    /// Gives a manifest a further tag, if it is there.
    pub(crate) fn copy_tag(&self, repository: &str, from: &str, to: &str) {
        let mut content = self.content.lock().unwrap();
        if let Some(manifest) = content.manifests.get(&format!("{repository} {from}")).cloned() {
            content.manifests.insert(format!("{repository} {to}"), manifest);
        }
    }

    /// Puts what is attached to one artifact beside what is attached to another, as who has push rights can.
    pub(crate) fn steal(&self, from: &str, theirs: &str, to: &str, mine: &str) {
        let mut content = self.content.lock().unwrap();
        let all: Vec<_> = content.manifests.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        for (key, value) in all {
            if let Some(reference) = key.strip_prefix(&format!("{from} sha256:")) {
                content.manifests.insert(format!("{to} sha256:{reference}"), value);
            } else if let Some(tag) = key.strip_prefix(&format!("{from} {}", theirs.replace(':', "-"))) {
                let here = format!("{to} {}{tag}", mine.replace(':', "-"));
                if !tag.is_empty() && content.manifests.contains_key(&here) {
                    continue;
                }
                let bytes = if tag.is_empty() && content.manifests.contains_key(&here) {
                    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
                    let (mut own, other) = (read(&content.manifests[&here].1), read(&value.1));
                    let others = other["manifests"].as_array().unwrap().clone();
                    own["manifests"].as_array_mut().unwrap().extend(others);
                    own.to_string().into_bytes()
                } else {
                    value.1
                };
                content.manifests.insert(here, (value.0, bytes));
            }
        }
    }

    /// Loads one of the committed layouts as `team/<name>`; the answer is the digest of its image.
    pub(crate) fn load(&self, name: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signed").join(name);
        let blob = |digest: &str| std::fs::read(root.join("blobs").join(digest.replace(':', "/"))).unwrap();
        let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let repository = format!("team/{name}");
        let index = read(&std::fs::read(root.join("index.json")).unwrap());
        let mut image = None;
        let mut open: Vec<(Value, Option<String>)> = Vec::new();
        for entry in index["manifests"].as_array().unwrap() {
            let name = entry["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap();
            let tag = name.rsplit(':').next().unwrap().to_owned();
            if tag == "v1" {
                image = entry["digest"].as_str().map(str::to_owned);
            }
            open.push((entry.clone(), Some(tag)));
        }
        while let Some((entry, tag)) = open.pop() {
            let bytes = blob(entry["digest"].as_str().unwrap());
            let kind = entry["mediaType"].as_str().unwrap();
            self.put_manifest(&repository, tag.as_deref(), kind, &bytes);
            let manifest = read(&bytes);
            let children = manifest["manifests"].as_array().into_iter().flatten();
            open.extend(children.map(|child| (child.clone(), None)));
            let layers = manifest["layers"].as_array().into_iter().flatten();
            layers.chain(manifest.get("config")).for_each(|layer| {
                self.put_blob(&blob(layer["digest"].as_str().unwrap()));
            });
        }
        image.unwrap()
    }
}

struct Tls {
    listener: tokio::net::TcpListener,
    acceptor: tokio_rustls::TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((stream, address)) = self.listener.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

async fn answer(State(content): State<Arc<Mutex<Content>>>, request: Request) -> Response {
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let seen = Seen { method: request.method().clone(), path, headers: request.headers().clone() };
    let mut content = content.lock().unwrap();
    content.seen.push(seen.clone());
    if let Some(response) = content.twist.as_ref().and_then(|twist| twist(&seen)) {
        return response;
    }
    let response = content.serve(&seen.path);
    content.part(&seen, response)
}

impl Content {
    /// The part of a blob that a request asks for, from one byte to another.
    fn part(&self, seen: &Seen, whole: Response) -> Response {
        let range = seen.headers.get(RANGE).and_then(|range| range.to_str().ok()?.strip_prefix("bytes="));
        let range = range.and_then(|range| {
            let (from, to) = range.split_once('-')?;
            Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?))
        });
        let digest = seen.path.split_once("/blobs/").map(|(_, digest)| digest);
        let bytes = digest.and_then(|digest| self.blobs.get(digest));
        let (Some((from, to)), Some(bytes)) = (range, bytes) else { return whole };
        if from >= bytes.len() {
            return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
        }
        let to = to.min(bytes.len() - 1);
        let headers = [(CONTENT_RANGE, format!("bytes {from}-{to}/{}", bytes.len()))];
        (StatusCode::PARTIAL_CONTENT, headers, bytes[from..=to].to_vec()).into_response()
    }

    fn serve(&self, path: &str) -> Response {
        let not_found =
            || (StatusCode::NOT_FOUND, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#).into_response();
        if path == "/v2/" {
            return StatusCode::OK.into_response();
        }
        let path = path.trim_start_matches("/v2/");
        if let Some((_, digest)) = path.split_once("/blobs/") {
            return self.blobs.get(digest).map_or_else(not_found, |bytes| bytes.clone().into_response());
        }
        if let Some((repository, digest)) = path.split_once("/referrers/") {
            if !self.referrers {
                return not_found();
            }
            let empty =
                json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }).to_string().into_bytes();
            let found = self.manifests.get(&format!("{repository} {}", digest.replace(':', "-")));
            let bytes = found.map_or(empty, |(_, bytes)| bytes.clone());
            return ([(CONTENT_TYPE, INDEX)], bytes).into_response();
        }
        let Some((repository, reference)) = path.split_once("/manifests/") else { return not_found() };
        if self.referrers && reference.starts_with("sha256-") && !reference.contains('.') {
            return not_found();
        }
        self.manifests.get(&format!("{repository} {reference}")).map_or_else(not_found, |(kind, bytes)| {
            let headers = [("content-type", kind.clone()), ("docker-content-digest", digest(bytes))];
            (headers, bytes.clone()).into_response()
        })
    }
}

/// A body that never ends: `chunk` again and again, `pause` between.
pub(crate) fn endless(chunk: &'static [u8], pause: std::time::Duration) -> Body {
    Body::from_stream(futures::stream::unfold((), move |()| async move {
        tokio::time::sleep(pause).await;
        Some((Ok::<_, std::io::Error>(chunk), ()))
    }))
}

pub(crate) fn authorization(seen: &Seen) -> Option<&str> {
    seen.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok())
}
