//! What probes read, and what is said of it.

use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn target(address: SocketAddr, required: &[&str]) -> Target {
    Target {
        whose: ("a".to_owned(), "chat".to_owned()),
        pod: "chat-1".to_owned(),
        address,
        path: "/metrics".to_owned(),
        tls: false,
        required: required.iter().map(|name| (*name).to_owned()).collect(),
        counters: None,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Answers one request with `answer` and tells what was asked.
async fn served(answer: Vec<u8>) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = vec![0; 4096];
        let read = stream.read(&mut bytes).await.unwrap();
        // A reader that has had enough closes the connection.
        let _ = stream.write_all(&answer).await;
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    });
    (address, asked)
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[tokio::test]
async fn figures_are_read_without_credentials() {
    let (address, asked) = served(answer("200 OK", "up 1\n")).await;
    assert_eq!(read(&target(address, &[])).await.unwrap(), "up 1\n");
    let asked = asked.await.unwrap().to_lowercase();
    assert!(asked.starts_with("get /metrics http/1.1\r\n") && !asked.contains("authorization"), "{asked}");
}

#[tokio::test]
async fn redirects_and_endless_answers_are_not_followed() {
    let moved = b"HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\n\r\n".to_vec();
    let (address, _) = served(moved).await;
    let error = read(&target(address, &[])).await.unwrap_err();
    assert!(error.to_string().contains("302"), "{error}");
    let (address, _) = served(answer("200 OK", &"x 1\n".repeat(LARGEST / 3))).await;
    let error = read(&target(address, &[])).await.unwrap_err();
    assert!(error.to_string().contains("larger than 4 MiB"), "{error}");
}

#[test]
fn only_pods_are_asked() {
    for no in ["127.0.0.1", "169.254.169.254", "::1", "fe80::1", "0.0.0.0", "::ffff:127.0.0.1", "224.0.0.1"] {
        assert!(!of_a_pod(no.parse().unwrap()), "{no}");
    }
    assert!(of_a_pod("10.244.0.7".parse().unwrap()) && of_a_pod("fd00::7".parse().unwrap()));
}

#[test]
fn what_is_required_has_to_be_there_and_to_move() {
    let target = target("10.0.0.1:9090".parse().unwrap(), &["requests"]);
    let page = |n: u32| Ok(format!("requests_total {n}\nother {n}\n"));
    let reason = |seen: &Seen| (seen.said.holds, seen.said.reason.clone());
    let missing = look(&target, None, Ok("other 1\n".to_owned()), at(0));
    assert_eq!(reason(&missing), (Holds::No, "FiguresMissing".to_owned()));
    assert!(missing.said.message.ends_with("lacks requests"), "{}", missing.said.message);
    let first = look(&target, None, page(1), at(0));
    assert_eq!(reason(&first), (Holds::Unknown, "SeenOnce".to_owned()));
    let second = look(&target, Some(&first), page(2), at(60));
    assert_eq!(reason(&second), (Holds::Yes, "FiguresMove".to_owned()));
    let idle = look(&target, Some(&second), page(2), at(120));
    assert_eq!(reason(&idle).0, Holds::Yes, "a minute without a request is none");
    let still = look(&target, Some(&idle), page(2), at(4000));
    assert_eq!(reason(&still), (Holds::Unknown, "StandingStill".to_owned()));
    let gone = look(&target, Some(&still), Err(ProbeError::Late), at(4060));
    assert_eq!(reason(&gone), (Holds::No, "NotServed".to_owned()));
    let other = Target { pod: "chat-2".to_owned(), ..target };
    let another = look(&other, Some(&second), page(9), at(180));
    assert_eq!(reason(&another).1, "FiguresMove", "it was seen of the workload");
    let another = look(&other, Some(&first), page(9), at(180));
    assert_eq!(reason(&another).1, "SeenOnce", "figures of another pod are no movement");
}

#[test]
fn a_new_workload_is_proven_by_the_second_look() {
    let mut target = target("10.0.0.1:9090".parse().unwrap(), &["requests"]);
    target.counters = Some(("requests".to_owned(), "records".to_owned()));
    let observations = Observations::default();
    let reasons = || observations.of("a", "chat").into_iter().map(|said| said.reason).collect::<Vec<_>>();
    let mut now = at(0);
    let mut round = |n: u32| {
        let news = observations.take(&target, Ok(format!("requests {n}\nrecords {n}\n")), now);
        now += SignedDuration::try_from(EVERY).unwrap();
        (news, reasons())
    };
    let says =
        |news: bool, figures: &str, records: &str| (news, vec![figures.to_owned(), records.to_owned()]);
    assert_eq!(round(1), says(true, "SeenOnce", "SeenOnce"));
    // Nobody asked anything: it is said once that it stands still, and not written again each minute.
    assert_eq!(round(1), says(true, "NotMovedYet", "NotGrownYet"));
    assert_eq!(round(1), says(false, "NotMovedYet", "NotGrownYet"));
    // The first request proves it within one round, not within an hour.
    assert_eq!(round(2), says(true, "FiguresMove", "Written"));
    assert_eq!(round(2), says(false, "FiguresMove", "Written"));
    assert!(
        SignedDuration::try_from(EVERY).unwrap() * 5 < STILL,
        "rounds are far shorter than what counts as still"
    );
}

#[test]
fn figures_that_never_moved_are_said_to_stand_still_after_an_hour() {
    let target = target("10.0.0.1:9090".parse().unwrap(), &["requests"]);
    let page = || Ok("requests 1\n".to_owned());
    let first = look(&target, None, page(), at(0));
    let waits = look(&target, Some(&first), page(), at(3599));
    assert_eq!(waits.said.reason, "NotMovedYet");
    assert!(waits.said.message.ends_with("a request shows whether it does"), "{}", waits.said.message);
    let still = look(&target, Some(&waits), page(), at(3600));
    assert_eq!((still.said.holds, still.said.reason.as_str()), (Holds::Unknown, "StandingStill"));
}

#[test]
fn requests_without_records_are_told() {
    let mut target = target("10.0.0.1:9090".parse().unwrap(), &[]);
    target.counters = Some(("requests_total".to_owned(), "records_total".to_owned()));
    let page = |asked: u32, written: u32| Ok(format!("requests_total {asked}\nrecords_total {written}\n"));
    let reason = |seen: &Seen| seen.records.as_ref().map(|said| (said.holds, said.reason.clone())).unwrap();
    let first = look(&target, None, page(5, 5), at(0));
    assert_eq!(reason(&first), (Holds::Unknown, "SeenOnce".to_owned()));
    let grows = look(&target, Some(&first), page(6, 6), at(60));
    assert_eq!(reason(&grows), (Holds::Yes, "Written".to_owned()));
    let idle = look(&target, Some(&grows), page(6, 6), at(4000));
    assert_eq!(reason(&idle).0, Holds::Yes, "nobody asked anything");
    let waits = look(&target, Some(&grows), page(9, 6), at(120));
    assert_eq!(reason(&waits).0, Holds::Yes, "a batch is not written yet");
    let lost = look(&target, Some(&waits), page(9, 6), at(900));
    assert_eq!(reason(&lost), (Holds::No, "NotWritten".to_owned()));
    let again = look(&target, Some(&lost), page(0, 0), at(960));
    assert_eq!(reason(&again).1, "SeenOnce", "a pod that began anew counts anew");
    let bare = look(&target, None, Ok("requests_total 1\n".to_owned()), at(0));
    assert_eq!(reason(&bare), (Holds::No, "CountersMissing".to_owned()));
}

/// Serves one answer behind TLS, with the certificate `shown` and the key `held`.
async fn served_encrypted(
    shown: &rcgen::CertifiedKey<rcgen::KeyPair>,
    held: &rcgen::KeyPair,
    versions: &[&'static rustls::SupportedProtocolVersion],
    body: &'static str,
) -> (SocketAddr, tokio::task::JoinHandle<std::io::Result<String>>) {
    let key = rustls_pki_types::PrivateKeyDer::try_from(held.serialize_der()).unwrap();
    let provider = crate::webhook::tls::provider();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let pair = rustls::sign::CertifiedKey::new(vec![shown.cert.der().clone()], key);
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(pair)));
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await?;
        let mut stream = acceptor.accept(tcp).await?;
        let mut bytes = vec![0; 4096];
        let read = stream.read(&mut bytes).await?;
        stream.write_all(&answer("200 OK", body)).await?;
        stream.flush().await?;
        Ok(String::from_utf8_lossy(&bytes[..read]).into_owned())
    });
    (address, asked)
}

fn self_made() -> rcgen::CertifiedKey<rcgen::KeyPair> {
    rcgen::generate_simple_self_signed(vec!["pod".to_owned()]).unwrap()
}

#[tokio::test]
async fn figures_behind_a_certificate_of_the_pods_own_making_are_read() {
    crate::webhook::tls::install_provider();
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let made = self_made();
        let (address, asked) = served_encrypted(&made, &made.signing_key, versions, "up 1\n").await;
        let target = Target { tls: true, ..target(address, &[]) };
        assert_eq!(read(&target).await.unwrap(), "up 1\n");
        let asked = asked.await.unwrap().unwrap();
        assert!(asked.starts_with("GET /metrics HTTP/1.1\r\n"), "{asked}");
    }
}

#[tokio::test]
async fn whoever_shows_a_certificate_has_to_hold_its_key_and_to_speak_tls() {
    crate::webhook::tls::install_provider();
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let (shown, other) = (self_made(), self_made());
        let (address, asked) = served_encrypted(&shown, &other.signing_key, versions, "up 1\n").await;
        let error = read(&Target { tls: true, ..target(address, &[]) }).await.unwrap_err();
        assert!(matches!(error, ProbeError::Connect(_)), "{error:?}");
        assert!(error.to_string().contains("certificate"), "{error}");
        assert!(asked.await.unwrap().is_err(), "nothing was asked of it");
    }
    let (address, _) = served(answer("200 OK", "up 1\n")).await;
    let error = read(&Target { tls: true, ..target(address, &[]) }).await.unwrap_err();
    assert!(matches!(error, ProbeError::Connect(_)), "{error:?}");
    let made = self_made();
    let (address, _) = served_encrypted(&made, &made.signing_key, &[&rustls::version::TLS13], "up 1\n").await;
    read(&target(address, &[])).await.unwrap_err();
}
