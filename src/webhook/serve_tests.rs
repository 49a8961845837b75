//! The server on a real socket with real TLS: silent and slow clients, reload, client certificates, drain.

use std::time::Instant;

use futures::future::BoxFuture;
use hyper::body::Bytes;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::controllers::certificates::issue::{self, Issued};
use crate::telemetry::probes::Readiness;
use crate::webhook::body::{BodyLimits, ByteBudget};
use crate::webhook::connections::ConnectionLimits;
use crate::webhook::router::{Admission, DEADLINE, Identity, ReviewHandler, router};
use crate::webhook::tls::{ApiServerCertificates, CONTROLLER_NAME, Pair, install_provider, provider};

const NAME: &str = "portcullis-webhook.ns.svc";
const REVIEW: &str = r#"{"request":{"uid":"u-1"}}"#;

/// Answers with who asked; holds reviews that say `hold` until it is let go.
struct Handler {
    release: watch::Sender<bool>,
    holding: watch::Sender<bool>,
}

impl ReviewHandler for Handler {
    fn handle(
        self: Arc<Self>,
        body: Bytes,
        peer: Peer,
        _: tokio::time::Instant,
    ) -> BoxFuture<'static, Vec<u8>> {
        Box::pin(async move {
            if body.windows(4).any(|window| window == b"hold") {
                self.holding.send_replace(true);
                let _ = self.release.subscribe().wait_for(|released| *released).await;
            }
            format!("{:?}", peer.identity).into_bytes()
        })
    }
}

struct Running {
    address: SocketAddr,
    authority: Issued,
    store: Arc<TlsStore>,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    handler: Arc<Handler>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn authority() -> Issued {
    issue::authority(now()).unwrap()
}

fn pair(authority: &Issued, bundle: &[&Issued]) -> Pair {
    let made = issue::serving(authority, &[NAME.to_owned()], now(), i64::MAX).unwrap();
    Pair {
        certificate: made.certificate.into_bytes(),
        key: made.key.into_bytes(),
        authorities: bundle
            .iter()
            .map(|authority| authority.certificate.as_str())
            .collect::<String>()
            .into_bytes(),
    }
}

async fn started(limits: ConnectionLimits, linger: Duration, api_server: Option<&Issued>) -> Running {
    install_provider();
    let metrics = Arc::new(Metrics::default());
    let readiness = Readiness::default();
    let authority = authority();
    let certificates = api_server
        .map(|issuer| ApiServerCertificates::new(issuer.certificate.as_bytes(), Vec::new()).unwrap());
    let loaded = readiness.condition("certificate loaded");
    let store = TlsStore::new(NAME, certificates, Arc::clone(&metrics), loaded).unwrap();
    store.load(&pair(&authority, &[&authority])).unwrap();
    let store = Arc::new(store);
    let handler =
        Arc::new(Handler { release: watch::Sender::new(false), holding: watch::Sender::new(false) });
    let admission = Admission {
        handler: Arc::clone(&handler) as Arc<dyn ReviewHandler>,
        attempts: Arc::new(|| b"[]".to_vec()),
        budget: Arc::new(ByteBudget::new(BodyLimits::default(), Arc::clone(&metrics))),
        metrics: Arc::clone(&metrics),
        require_api_server: api_server.is_some(),
        deadline: DEADLINE,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let drain =
        Drain { linger, grace: Duration::from_secs(5), accepting: readiness.condition("accepting requests") };
    let connections = Connections::new(limits, Arc::clone(&metrics));
    let stopped = async move {
        let _ = stopped.await;
    };
    let task =
        tokio::spawn(serve_tls(listener, router(admission), Arc::clone(&store), connections, drain, stopped));
    Running { address, authority, store, metrics, readiness, handler, stop: Some(stop), task }
}

fn client(trusted: &Issued, identity: Option<&Issued>, protocols: &[&str]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.certificate.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(issued) => {
            let chain =
                CertificateDer::pem_slice_iter(issued.certificate.as_bytes()).collect::<Result<_, _>>();
            let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain.unwrap(), key).unwrap()
        }
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

type Connection = TlsStream<TcpStream>;

async fn connect(address: SocketAddr, config: ClientConfig) -> std::io::Result<Connection> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from(NAME).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

impl Running {
    async fn connect(&self) -> Connection {
        connect(self.address, client(&self.authority, None, &["http/1.1"])).await.unwrap()
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    fn counted(&self, line: &str) -> bool {
        self.metrics.encode().unwrap().lines().any(|have| have == line)
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
}

fn post(body: &str) -> String {
    format!("POST /validate HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Sends a request and reads the whole answer: its header and its body.
async fn ask(connection: &mut Connection, request: &str) -> std::io::Result<(String, String)> {
    connection.write_all(request.as_bytes()).await?;
    answer(connection).await
}

async fn answer(connection: &mut Connection) -> std::io::Result<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = connection.read(&mut piece).await?;
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse().unwrap() {
                return Ok((head, body.to_owned()));
            }
        }
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Waits until the server has closed the connection.
async fn closed(connection: &mut Connection) {
    let mut rest = Vec::new();
    let _ = connection.read_to_end(&mut rest).await;
}

fn limits() -> ConnectionLimits {
    ConnectionLimits::default()
}

#[tokio::test]
async fn a_connection_serves_many_reviews() {
    let running = started(limits(), Duration::ZERO, None).await;
    let mut connection = running.connect().await;
    for _ in 0..3 {
        let (head, body) = ask(&mut connection, &post(REVIEW)).await.unwrap();
        assert!(head.starts_with("http/1.1 200") && !head.contains("connection: close"), "{head}");
        assert_eq!(body, "Anonymous");
    }
    assert_eq!(running.readiness.missing(), Vec::<&str>::new());
    assert!(running.counted("portcullis_connections 1"));
}

#[tokio::test]
async fn abuse_091_silent_clients_do_not_keep_good_ones_out() {
    let limits = ConnectionLimits { connections: 100, ..limits() };
    let running = started(limits, Duration::ZERO, None).await;
    let mut working = running.connect().await;
    ask(&mut working, &post(REVIEW)).await.unwrap();
    let mut silent = Vec::new();
    for round in 0..300 {
        silent.push(running.connect().await);
        if round % 50 == 0 {
            let start = Instant::now();
            let (_, body) = ask(&mut running.connect().await, &post(REVIEW)).await.unwrap();
            assert_eq!(body, "Anonymous");
            assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
            ask(&mut working, &post(REVIEW)).await.unwrap();
        }
    }
    let text = running.metrics.encode().unwrap();
    assert!(text.contains("portcullis_connections_rejected_total{reason=\"evicted\"}"), "{text}");
    // The oldest silent one had to go; the one that works stays.
    closed(&mut silent[0]).await;
    ask(&mut working, &post(REVIEW)).await.unwrap();
}

#[tokio::test]
async fn abuse_065_silence_and_dripping_end_at_the_deadline() {
    let short = Duration::from_millis(300);
    let limits = ConnectionLimits { header: short, handshake: short, ..limits() };
    let running = started(limits, Duration::ZERO, None).await;

    let mut bare = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(bare.read(&mut [0]).await.unwrap_or(0), 0);
    assert!(running.counted("portcullis_connections_rejected_total{reason=\"handshake\"} 1"));

    closed(&mut running.connect().await).await;
    assert!(running.counted("portcullis_connections_rejected_total{reason=\"silent\"} 1"));

    let start = Instant::now();
    let mut dripping = running.connect().await;
    for byte in get("/validate").bytes().cycle() {
        if byte != b'\r' && dripping.write_all(&[byte]).await.is_err() {
            break;
        }
        if let Ok(result) = tokio::time::timeout(Duration::from_millis(20), dripping.read(&mut [0])).await {
            assert_eq!(result.unwrap_or(0), 0);
            break;
        }
    }
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(running.counted("portcullis_connections_rejected_total{reason=\"header\"} 1"));

    // An idle connection that has been answered lives on under its own, longer limit.
    let mut idle = running.connect().await;
    ask(&mut idle, &post(REVIEW)).await.unwrap();
    tokio::time::sleep(short * 3).await;
    ask(&mut idle, &post(REVIEW)).await.unwrap();
}

#[tokio::test]
async fn http_2_is_refused_in_the_handshake() {
    let running = started(limits(), Duration::ZERO, None).await;
    let error = connect(running.address, client(&running.authority, None, &["h2"])).await.unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    let both = connect(running.address, client(&running.authority, None, &["h2", "http/1.1"])).await.unwrap();
    assert_eq!(both.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let mut prior_knowledge = running.connect().await;
    prior_knowledge.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    closed(&mut prior_knowledge).await;
}

#[tokio::test]
async fn abuse_089_an_oversized_body_on_the_wire_gets_its_answer() {
    let running = started(limits(), Duration::ZERO, None).await;
    let mut connection = running.connect().await;
    let length = BodyLimits::default().body_max + 1;
    let head = format!("POST /validate HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
    let mut request = head.into_bytes();
    request.extend_from_slice(br#"{"kind":"AdmissionReview","request":{"uid":"u-9","object":""#);
    request.resize(request.len() + length, b'<');
    let (mut reading, mut writing) = tokio::io::split(&mut connection);
    let _ = tokio::join!(writing.write_all(&request), async {
        let mut text = Vec::new();
        let _ = reading.read_to_end(&mut text).await;
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        assert!(text.contains(r#""uid":"u-9""#) && text.contains("at most 41943040 are read"), "{text}");
    });
}

#[tokio::test]
async fn a_new_certificate_is_served_without_dropping_what_is_open() {
    let running = started(limits(), Duration::ZERO, None).await;
    let mut open = running.connect().await;
    ask(&mut open, &post(REVIEW)).await.unwrap();
    let next = authority();
    running.store.load(&pair(&next, &[&next, &running.authority])).unwrap();
    let (_, body) = ask(&mut open, &post(REVIEW)).await.unwrap();
    assert_eq!(body, "Anonymous");
    let mut fresh = connect(running.address, client(&next, None, &[])).await.unwrap();
    ask(&mut fresh, &post(REVIEW)).await.unwrap();
    let old = connect(running.address, client(&running.authority, None, &[])).await.unwrap_err();
    assert!(old.to_string().contains("UnknownIssuer"), "{old}");
}

#[tokio::test]
async fn abuse_076_a_bad_pair_leaves_the_last_good_one() {
    let running = started(limits(), Duration::ZERO, None).await;
    let good = pair(&running.authority, &[&running.authority]);
    let other = authority();
    let named = issue::serving(&running.authority, &["other.ns.svc".to_owned()], now(), i64::MAX).unwrap();
    let past =
        issue::serving(&running.authority, &[NAME.to_owned()], now() - issue::LEAF_LIFE - 10, i64::MAX)
            .unwrap();
    let with = |certificate: &str, key: &str| Pair {
        certificate: certificate.as_bytes().to_vec(),
        key: key.as_bytes().to_vec(),
        ..good.clone()
    };
    let cases = [
        ("certificate", with("", "")),
        ("pem", with(&running.authority.certificate, "no key")),
        ("unverified", pair(&other, &[&running.authority])),
        ("unverified", with(&named.certificate, &named.key)),
        ("unverified", with(&past.certificate, &past.key)),
        ("key", Pair { key: other.key.clone().into_bytes(), ..good.clone() }),
        ("authorities", Pair { authorities: Vec::new(), ..good.clone() }),
    ];
    for (label, pair) in cases {
        let error = running.store.load(&pair).unwrap_err();
        assert_eq!(error.label(), label, "{error:?}");
        ask(&mut running.connect().await, &post(REVIEW)).await.unwrap();
    }
    assert!(running.counted("portcullis_certificate_failures_total{reason=\"unverified\"} 3"));
    running.store.load(&good).unwrap();
}

#[tokio::test]
async fn attempts_want_our_authority_and_the_controllers_name() {
    let cluster = authority();
    let running = started(limits(), Duration::ZERO, Some(&cluster)).await;
    let controller = issue::client(&running.authority, now()).unwrap();
    let impostor = issue::client(&cluster, now()).unwrap();
    let serving = issue::serving(&running.authority, &[NAME.to_owned()], now(), i64::MAX).unwrap();
    let asked = |identity: Option<Issued>, request: String| {
        let config = client(&running.authority, identity.as_ref(), &[]);
        let address = running.address;
        async move {
            let mut connection = connect(address, config).await?;
            ask(&mut connection, &request).await.map(|(head, body)| (head[9..12].to_owned(), body))
        }
    };
    let refused = ("403".to_owned(), "portcullis: only the controller may ask this\n".to_owned());
    let attempts = || get("/internal/attempts");
    assert_eq!(
        asked(Some(controller.clone()), attempts()).await.unwrap(),
        ("200".to_owned(), "[]".to_owned())
    );
    assert_eq!(asked(None, attempts()).await.unwrap(), refused);
    // The name alone opens nothing: the cluster's authority signs for whoever asks it.
    assert_eq!(asked(Some(impostor.clone()), attempts()).await.unwrap(), refused);
    // What an unknown authority signed, and a certificate that is not for clients, end the handshake.
    let stranger = issue::client(&authority(), now()).unwrap();
    asked(Some(stranger), attempts()).await.unwrap_err();
    asked(Some(serving), attempts()).await.unwrap_err();

    assert_eq!(asked(Some(impostor), post(REVIEW)).await.unwrap().1, "ApiServer");
    for other in [Some(controller), None] {
        let (status, body) = asked(other, post(REVIEW)).await.unwrap();
        assert_eq!(status, "403");
        assert!(body.contains("only the API server may ask for reviews"), "{body}");
    }
}

#[test]
fn a_name_is_asked_for_where_the_authority_signs_for_others_too() {
    install_provider();
    let (ours, cluster) = (authority(), authority());
    let identify = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let certificates = ApiServerCertificates::new(cluster.certificate.as_bytes(), names).unwrap();
        let readiness = Readiness::default();
        let store =
            TlsStore::new(NAME, Some(certificates), Arc::new(Metrics::default()), readiness.condition("x"))
                .unwrap();
        store.load(&pair(&ours, &[&ours])).unwrap();
        let shown = issue::client(&cluster, now()).unwrap();
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(shown.certificate.as_bytes()).map(Result::unwrap).collect();
        store.current().unwrap().identify(Some(&chain))
    };
    assert_eq!(identify(&[CONTROLLER_NAME]), Identity::ApiServer);
    assert_eq!(identify(&["kube-apiserver"]), Identity::Anonymous);
    assert_eq!(identify(&[]), Identity::ApiServer);
}

#[tokio::test]
async fn draining_serves_on_and_finishes_what_runs() {
    let mut running = started(limits(), Duration::from_millis(500), None).await;
    let mut open = running.connect().await;
    ask(&mut open, &post(REVIEW)).await.unwrap();
    let mut waiting = running.connect().await;
    waiting.write_all(post(r#"{"request":{"uid":"hold"}}"#).as_bytes()).await.unwrap();
    running.handler.holding.subscribe().wait_for(|holding| *holding).await.unwrap();
    running.stop();
    while running.readiness.missing().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(running.readiness.missing(), ["accepting requests"]);

    // Both old and new connections are served, and told to go elsewhere.
    let (head, _) = ask(&mut open, &post(REVIEW)).await.unwrap();
    assert!(head.starts_with("http/1.1 200") && head.contains("connection: close"), "{head}");
    closed(&mut open).await;
    let (head, _) = ask(&mut running.connect().await, &post(REVIEW)).await.unwrap();
    assert!(head.contains("connection: close"), "{head}");

    // After the linger time nobody is accepted any more, and the held review is still answered.
    while TcpStream::connect(running.address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!running.task.is_finished());
    running.handler.release.send_replace(true);
    let (_, body) = answer(&mut waiting).await.unwrap();
    assert_eq!(body, "Anonymous");
    running.task.await.unwrap();
}
