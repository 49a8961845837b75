//! Names of hosts that lead inside: what a name service says is judged at each connection, by the guard that dials.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use portcullis::gather::registry::{
    Cause, CompiledTrust, ImageRef, Names, PolicySpec, Question, Verification, Verifier, VerifierConfig,
};

use super::server::Registry;
use super::{authority, policy, public, soon};

const NAME: &str = "v3-ecdsa-p256";

/// A name service that gives these answers, one after the other, and then the last one for ever; and what it was asked.
fn service(answers: &[&[&str]]) -> (Names, Arc<Mutex<Vec<String>>>) {
    let parse = |answer: &&[&str]| answer.iter().map(|one| one.parse().unwrap()).collect::<Vec<IpAddr>>();
    let answers = Mutex::new(answers.iter().map(parse).collect::<VecDeque<_>>());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    let names = Names::by(move |host| {
        heard.lock().unwrap().push(host);
        let mut left = answers.lock().unwrap();
        let next = if left.len() > 1 { left.pop_front() } else { left.front().cloned() };
        async move { Ok(next.unwrap_or_default()) }.boxed()
    });
    (names, asked)
}

fn verifier(names: Names) -> Verifier {
    let cluster_ranges = vec!["34.118.224.0/20".parse().unwrap()];
    Verifier::new(VerifierConfig { names, cluster_ranges, ..VerifierConfig::default() })
}

async fn ask(verifier: &Verifier, host: &str, digest: &str, private: bool) -> Verification {
    let mut spec: PolicySpec = policy(host, vec![authority("ci", &public("ecdsa-p256"))]);
    spec.registries[0].allow_private_addresses = private;
    let image = ImageRef::parse(&format!("{host}/team/{NAME}@{digest}")).unwrap();
    let trust = Arc::new(CompiledTrust::compile(&[spec]));
    verifier.verify(Question::image(&image), &trust, None, soon()).await.as_ref().clone()
}

fn guarded(host: &str, class: &str) -> Verification {
    let name = host.split(':').next().unwrap();
    let reason = format!("registry \"{host}\" must not be dialled: host \"{name}\" resolves to {class}");
    Verification::Unknown { cause: Cause::Guarded, reason }
}

#[tokio::test]
async fn abuse_082_a_name_that_resolves_inside_is_not_dialled() {
    let registry = Registry::start(true).await;
    let (port, digest) = (registry.address.port(), registry.load(NAME));
    let host = format!("registry.example:{port}");
    let loopback = "a loopback address, which its entry does not allow";
    let inside = "a private address, which its entry does not allow";
    let metadata = "a link-local or metadata address";
    for (answer, private, class) in [
        (&["127.0.0.1"][..], false, loopback),
        (&["::1"], false, loopback),
        (&["::ffff:127.0.0.1"], false, loopback),
        (&["10.96.0.1"], false, inside),
        (&["34.118.225.7"], false, inside),
        (&["fd12::1"], false, inside),
        // One bad address among good ones, in either place.
        (&["1.1.1.1", "127.0.0.1"], false, loopback),
        (&["127.0.0.1", "1.1.1.1"], false, loopback),
        (&["169.254.169.254"], false, metadata),
        // These are refused whatever the entry allows.
        (&["169.254.169.254"], true, metadata),
        (&["fe80::1"], true, metadata),
        (&["fd00:ec2::254"], true, metadata),
        (&["100.100.100.200"], true, metadata),
        (&["::ffff:169.254.169.254"], true, metadata),
        (&["127.0.0.1", "169.254.169.254"], true, metadata),
        (&["0.0.0.0"], true, "an address that is no single host"),
    ] {
        let (names, asked) = service(&[answer]);
        let got = ask(&verifier(names), &host, &digest, private).await;
        assert_eq!(got, guarded(&host, class), "{answer:?} {private}");
        assert_eq!(registry.paths(), Vec::<String>::new(), "{answer:?}: not one packet");
        assert!(asked.lock().unwrap().iter().all(|name| name == "registry.example"), "{answer:?}");
    }
    // The same name with an address that its entry allows is dialled there, so that it is the address that is refused.
    let (names, asked) = service(&[&["127.0.0.1"]]);
    assert!(ask(&verifier(names), &host, &digest, true).await.is_verified());
    assert!(!asked.lock().unwrap().is_empty() && !registry.paths().is_empty());
}

#[tokio::test]
async fn abuse_082_a_name_that_turns_inward_after_a_good_answer_is_not_dialled() {
    let registry = Registry::start(true).await;
    let (port, digest) = (registry.address.port(), registry.load(NAME));
    let host = format!("rebind.example:{port}");
    // Good when it was first asked, and the metadata service when it is asked again: what was allowed once is no pass.
    for later in ["169.254.169.254", "fe80::1"] {
        let (names, asked) = service(&[&["127.0.0.1"], &[later]]);
        let verifier = verifier(names);
        assert!(ask(&verifier, &host, &digest, true).await.is_verified());
        assert_eq!(asked.lock().unwrap().len(), 1, "the answer that was judged is the one that is dialled");
        registry.paths();
        // Under a narrower entry nothing is kept of the connection that the wider one was allowed to make.
        let got = ask(&verifier, &host, &digest, false).await;
        assert_eq!(got, guarded(&host, "a link-local or metadata address"), "{later}");
        assert_eq!(registry.paths(), Vec::<String>::new(), "{later}: not one packet");
    }
    // A public answer first: what comes second is judged by itself.
    let (names, _) = service(&[&["127.0.0.1"], &["127.0.0.1"], &["127.0.0.1"]]);
    let verifier = verifier(names);
    assert!(ask(&verifier, &host, &digest, true).await.is_verified());
    registry.paths();
    let loopback = "a loopback address, which its entry does not allow";
    assert_eq!(ask(&verifier, &host, &digest, false).await, guarded(&host, loopback));
    assert_eq!(registry.paths(), Vec::<String>::new());
}

#[tokio::test]
async fn abuse_082_a_redirect_to_a_name_that_resolves_inside_is_not_followed() {
    let registry = Registry::start(true).await;
    let (port, digest) = (registry.address.port(), registry.load(NAME));
    let host = format!("registry.example:{port}");
    super::hostile::redirect_blobs(&registry, "https://storage.example/blob".to_owned());
    let names = Names::by(|host| {
        let address: IpAddr =
            if host == "storage.example" { [169, 254, 169, 254] } else { [127, 0, 0, 1] }.into();
        async move { Ok(vec![address]) }.boxed()
    });
    let got = ask(&verifier(names), &host, &digest, true).await;
    let reason = format!(
        "registry \"{host}\" must not be dialled: host \"storage.example\" resolves to a link-local or metadata address"
    );
    assert_eq!(got, Verification::Unknown { cause: Cause::Guarded, reason });
}
