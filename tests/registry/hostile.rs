//! Registries that want time, memory, credentials or a way inside.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LINK, LOCATION, WWW_AUTHENTICATE};
use axum::response::{IntoResponse as _, Response};
use portcullis::gather::registry::{
    Cause, CompiledTrust, ImageRef, PolicySpec, Question, RegistryCredentials, Verification, Verifier,
    VerifierConfig,
};
use serde_json::json;

use super::server::{INDEX, MANIFEST, Registry, authorization, digest, endless};
use super::{ask, authority, image, policy, public, soon, trust, verifier};

/// What an endless body is made of.
static CHUNK: [u8; 65536] = [b' '; 65536];

const NAME: &str = "v3-ecdsa-p256";

/// What came of a look-up at a registry with a twist: the kind of obstacle and the words.
async fn obstacle(registry: &Registry) -> (Cause, String) {
    let digest = registry.load(NAME);
    let answer = ask(&image(registry, NAME, &digest), &trust(&registry.host(), &["ecdsa-p256"])).await;
    let Verification::Unknown { cause, reason } = answer else { panic!("{answer:?}") };
    (cause, reason.replace(&registry.host(), "HOST"))
}

fn answered(cause: Cause, reason: &str) -> (Cause, String) {
    (cause, reason.to_owned())
}

#[tokio::test]
async fn abuse_054_an_endless_list_is_cut_at_its_bound() {
    let registry = Registry::start(true).await;
    registry.twist(|seen| {
        let hit = seen.path.contains("/referrers/");
        hit.then(|| ([(CONTENT_TYPE, INDEX)], endless(&CHUNK, Duration::ZERO)).into_response())
    });
    let wanted = answered(
        Cause::LimitExceeded,
        "the list of referrers of registry \"HOST\" is longer than 4194304 bytes",
    );
    assert_eq!(obstacle(&registry).await, wanted);
}

#[tokio::test]
async fn abuse_054_a_huge_promise_is_refused_before_it_is_read() {
    let registry = Registry::start(true).await;
    registry.twist(|seen| {
        let hit = seen.path.contains("/manifests/sha256:");
        hit.then(|| {
            let headers = [(CONTENT_TYPE, MANIFEST), (CONTENT_LENGTH, "99999999999")];
            (headers, endless(b" ", Duration::from_secs(1))).into_response()
        })
    });
    let wanted =
        answered(Cause::LimitExceeded, "a manifest of registry \"HOST\" is longer than 4194304 bytes");
    let start = Instant::now();
    assert_eq!(obstacle(&registry).await, wanted);
    assert!(start.elapsed() < Duration::from_millis(900), "nothing was waited for");
}

#[tokio::test]
async fn abuse_054_a_slow_drip_ends_with_the_deadline() {
    let registry = Registry::start(true).await;
    registry
        .twist(|_| Some(([(CONTENT_TYPE, INDEX)], endless(b" ", Duration::from_millis(50))).into_response()));
    let digest = registry.load(NAME);
    let (subject, trust) = (image(&registry, NAME, &digest), trust(&registry.host(), &["ecdsa-p256"]));
    let verifier = verifier();
    let start = Instant::now();
    let answer =
        verifier.verify(Question::image(&subject), &trust, None, start + Duration::from_millis(400)).await;
    assert!(
        (Duration::from_millis(390)..Duration::from_millis(900)).contains(&start.elapsed()),
        "the caller's"
    );
    let wanted = format!("registry \"{}\" did not answer in time", registry.host());
    assert_eq!(*answer, Verification::Unknown { cause: Cause::Timeout, reason: wanted.clone() });
    // And the look-up's own, for whoever waits longer.
    let answer =
        verifier.verify(Question::image(&subject), &trust, None, start + Duration::from_secs(20)).await;
    assert!(start.elapsed() < Duration::from_millis(3600), "{:?}", start.elapsed());
    assert_eq!(*answer, Verification::Unknown { cause: Cause::Timeout, reason: wanted });
}

#[tokio::test]
async fn abuse_054_a_registry_that_accepts_and_is_silent_ends_with_the_deadline() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let subject = ImageRef::parse(&format!("{host}/team/app@{}", digest(b"x"))).unwrap();
    let start = Instant::now();
    let verifier = Verifier::new(VerifierConfig {
        lookup_timeout: Duration::from_millis(300),
        ..VerifierConfig::default()
    });
    let answer = verifier.verify(Question::image(&subject), &trust(&host, &["other"]), None, soon()).await;
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(matches!(answer.as_ref(), Verification::Unknown { cause: Cause::Timeout, .. }), "{answer:?}");
}

#[tokio::test]
async fn abuse_054_thousands_of_referrers_are_not_all_looked_at() {
    let registry = Registry::start(true).await;
    let signed = registry.load(NAME);
    let junk: Vec<_> = (0..3000)
        .map(|number| {
            let bytes = format!("{{\"schemaVersion\":2,\"layers\":[],\"number\":{number}}}");
            registry.put_manifest(&format!("team/{NAME}"), None, MANIFEST, bytes.as_bytes())
        })
        .collect();
    registry.put_referrers(&format!("team/{NAME}"), &signed, &junk);
    let answer = ask(&image(&registry, NAME, &signed), &trust(&registry.host(), &["ecdsa-p256"])).await;
    let wanted = format!("registry \"{}\" lists more than 20 referrers for one artifact", registry.host());
    assert_eq!(answer, Verification::Unknown { cause: Cause::LimitExceeded, reason: wanted });
    assert_eq!(registry.paths().len(), 22, "list, twenty of them, and the tag");
}

#[tokio::test]
async fn the_right_bundle_is_found_among_many_when_the_registry_says_what_they_are() {
    let registry = Registry::start(true).await;
    let signed = registry.load(NAME);
    let repository = format!("team/{NAME}");
    let index = registry.manifest(&repository, &signed.replace(':', "-"));
    let mut referrers: Vec<_> = (0..40)
        .map(|number| {
            let bytes = format!("{{\"schemaVersion\":2,\"layers\":[],\"number\":{number}}}");
            let mut entry = registry.put_manifest(&repository, None, MANIFEST, bytes.as_bytes());
            entry["artifactType"] = json!("application/spdx+json");
            entry
        })
        .collect();
    referrers.extend(index["manifests"].as_array().unwrap().iter().cloned());
    registry.put_referrers(&repository, &signed, &referrers);
    assert!(
        ask(&image(&registry, NAME, &signed), &trust(&registry.host(), &["ecdsa-p256"])).await.is_verified()
    );
}

#[tokio::test]
async fn pages_of_referrers_are_followed_on_the_same_registry_only() {
    let registry = Registry::start(true).await;
    registry.twist(|seen| {
        let hit = seen.path.contains("/referrers/");
        let link = "<http://127.0.0.9:1/v2/team/v3-ecdsa-p256/referrers/x>; rel=\"next\"";
        let body = json!({ "schemaVersion": 2, "manifests": [] }).to_string();
        hit.then(|| ([(CONTENT_TYPE, INDEX), (LINK, link)], body).into_response())
    });
    let wanted = answered(
        Cause::Guarded,
        "registry \"HOST\" redirects the list of referrers to a place that is not allowed: its next page is elsewhere",
    );
    assert_eq!(obstacle(&registry).await, wanted);

    registry.twist(|seen| {
        let hit = seen.path.contains("/referrers/") && !seen.path.contains("page=2");
        let link = format!("<{}?page=2>; rel=\"next\"", seen.path);
        let body = json!({ "schemaVersion": 2, "manifests": [] }).to_string();
        hit.then(|| ([(CONTENT_TYPE, INDEX.to_owned()), (LINK, link)], body).into_response())
            .or_else(|| seen.path.contains("page=2").then(|| StatusCode::IM_A_TEAPOT.into_response()))
    });
    let wanted =
        answered(Cause::RegistryError, "registry \"HOST\" answered the list of referrers with status 418");
    assert_eq!(obstacle(&registry).await, wanted, "the second page was asked for");
}

/// Answers every blob with a redirect.
pub(crate) fn redirect_blobs(registry: &Registry, location: String) {
    registry.twist(move |seen| {
        let hit = seen.path.contains("/blobs/");
        hit.then(|| (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, location.clone())]).into_response())
    });
}

#[tokio::test]
async fn abuse_082_redirects_lead_nowhere_inside() {
    let trap = Registry::start_on("127.0.0.2", false).await;
    let registry = Registry::start(true).await;
    let not_allowed = "redirects a bundle to a place that is not allowed";
    for (location, cause, reason) in [
        (
            format!("http://{}/x", trap.host()),
            Cause::Guarded,
            format!("registry \"HOST\" {not_allowed}: not over TLS"),
        ),
        (
            "http://169.254.169.254/latest".to_owned(),
            Cause::Guarded,
            format!("registry \"HOST\" {not_allowed}: not over TLS"),
        ),
        (
            format!("https://{}/x", trap.host()),
            Cause::Guarded,
            "registry \"HOST\" must not be dialled: host \"127.0.0.2\" resolves to a loopback address, \
             which its entry does not allow"
                .to_owned(),
        ),
        (
            format!("https://localhost:{}/x", trap.address.port()),
            Cause::Guarded,
            "registry \"HOST\" must not be dialled: host \"localhost\" resolves to a loopback address, \
             which its entry does not allow"
                .to_owned(),
        ),
        (
            "https://[::ffff:169.254.169.254]/x".to_owned(),
            Cause::Guarded,
            "registry \"HOST\" must not be dialled: host \"[::ffff:a9fe:a9fe]\" resolves to a link-local or \
             metadata address"
                .to_owned(),
        ),
        (
            "https://user:pass@registry.example/x".to_owned(),
            Cause::Guarded,
            format!("registry \"HOST\" {not_allowed}: the address carries credentials"),
        ),
    ] {
        redirect_blobs(&registry, location.clone());
        assert_eq!(obstacle(&registry).await, (cause, reason), "{location}");
    }
    assert!(trap.seen().is_empty(), "not one packet");

    redirect_blobs(&registry, "/v2/team/x/blobs/again".to_owned());
    let wanted = answered(Cause::Guarded, &format!("registry \"HOST\" {not_allowed}: too many redirects"));
    assert_eq!(obstacle(&registry).await, wanted);
}

#[tokio::test]
async fn manifests_are_never_redirected() {
    let registry = Registry::start(true).await;
    registry.twist(|seen| {
        let hit = seen.path.contains("/referrers/");
        hit.then(|| (StatusCode::FOUND, [(LOCATION, "/v2/other")]).into_response())
    });
    let wanted = answered(
        Cause::Guarded,
        "registry \"HOST\" redirects the list of referrers to a place that is not allowed: redirects are not followed",
    );
    assert_eq!(obstacle(&registry).await, wanted);
}

fn bearer(realm: &str) -> Response {
    let challenge = format!("Bearer realm=\"{realm}\",service=\"reg\",scope=\"repository:secret:pull,push\"");
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)]).into_response()
}

#[tokio::test]
async fn abuse_081_credentials_go_to_no_other_host() {
    let trap = Registry::start_on("127.0.0.2", false).await;
    let registry = Registry::start(true).await;
    let signed = registry.load(NAME);
    let subject = image(&registry, NAME, &signed);
    let trust = trust(&registry.host(), &["ecdsa-p256"]);
    let mine = RegistryCredentials::new(&registry.host(), "robot", "hunter2").unwrap();

    let realm = format!("http://{}/token", trap.host());
    registry.twist(move |_| Some(bearer(&realm)));
    let answer = verifier().verify(Question::image(&subject), &trust, Some(&mine), soon()).await;
    let wanted = format!(
        "registry \"{}\" sends token requests to a place that is not allowed: another host, which its entry does not list",
        registry.host()
    );
    assert_eq!(*answer, Verification::Unknown { cause: Cause::Guarded, reason: wanted });
    assert!(trap.seen().is_empty(), "not one packet");

    // Credentials for another registry are not sent here either.
    let other = RegistryCredentials::new(&trap.host(), "robot", "hunter2").unwrap();
    let own = format!("http://{}/token", registry.host());
    registry.twist(move |seen| (!seen.path.starts_with("/token")).then(|| bearer(&own)));
    registry.seen();
    let answer = verifier().verify(Question::image(&subject), &trust, Some(&other), soon()).await;
    assert!(matches!(answer.as_ref(), Verification::Unknown { .. }), "{answer:?}");
    assert!(registry.seen().iter().all(|seen| authorization(seen).is_none()));
    assert!(!format!("{other:?}").contains("hunter2"));

    // A redirect of a blob gets no token.
    let (host, stolen) = (registry.host(), Arc::new(std::sync::Mutex::new(Vec::new())));
    let log = Arc::clone(&stolen);
    registry.twist(move |seen| {
        if seen.path.starts_with("/token") {
            return Some(json!({ "token": "t0k3n" }).to_string().into_response());
        }
        if seen.path.contains("/elsewhere") {
            log.lock().unwrap().push(seen.headers.contains_key(AUTHORIZATION));
            return Some(StatusCode::NOT_FOUND.into_response());
        }
        if authorization(seen) != Some("Bearer t0k3n") {
            return Some(bearer(&format!("http://{host}/token")));
        }
        let hit = seen.path.contains("/blobs/");
        hit.then(|| (StatusCode::FOUND, [(LOCATION, "/elsewhere")]).into_response())
    });
    let answer = verifier().verify(Question::image(&subject), &trust, Some(&mine), soon()).await;
    assert!(matches!(answer.as_ref(), Verification::Unknown { cause: Cause::Malformed, .. }), "{answer:?}");
    assert_eq!(*stolen.lock().unwrap(), [false]);
}

#[tokio::test]
async fn a_token_is_fetched_once_with_the_narrowest_scope() {
    let registry = Registry::start(true).await;
    let signed = registry.load(NAME);
    let subject = image(&registry, NAME, &signed);
    let trust = trust(&registry.host(), &["ecdsa-p256"]);
    let mine = RegistryCredentials::new(&registry.host(), "robot", "hunter2").unwrap();
    let host = registry.host();
    registry.twist(move |seen| {
        if seen.path.starts_with("/token") {
            let authorised = authorization(seen) == Some("Basic cm9ib3Q6aHVudGVyMg==");
            let status = if authorised { StatusCode::OK } else { StatusCode::FORBIDDEN };
            return Some(
                (status, json!({ "access_token": "t0k3n", "expires_in": 300 }).to_string()).into_response(),
            );
        }
        (authorization(seen) != Some("Bearer t0k3n")).then(|| bearer(&format!("http://{host}/token")))
    });
    let verifier = verifier();
    assert!(verifier.verify(Question::image(&subject), &trust, Some(&mine), soon()).await.is_verified());
    let paths = registry.paths();
    assert_eq!(paths.len(), 5, "challenge, token, and three: {paths:?}");
    assert_eq!(paths[1], "/token?service=reg&scope=repository%3Ateam%2Fv3-ecdsa-p256%3Apull");
    // What credentials opened is remembered for those who hold them.
    assert!(verifier.verify(Question::image(&subject), &trust, Some(&mine), soon()).await.is_verified());
    assert_eq!(registry.paths(), Vec::<String>::new());
    let anonymous = verifier.verify(Question::image(&subject), &trust, None, soon()).await;
    let wanted = format!("registry \"{}\" refuses to answer without credentials", registry.host());
    assert_eq!(*anonymous, Verification::Unknown { cause: Cause::Unauthorised, reason: wanted });
}

#[tokio::test]
async fn a_token_service_that_the_entry_lists_is_asked_and_gets_no_more_than_it_needs() {
    let service = Registry::start_on("127.0.0.2", false).await;
    let registry = Registry::start(true).await;
    let signed = registry.load(NAME);
    let mine = RegistryCredentials::new(&registry.host(), "robot", "hunter2").unwrap();
    let realm = format!("http://{}/token", service.host());
    service.twist(|_| Some(json!({ "token": "t0k3n" }).to_string().into_response()));
    registry.twist(move |seen| (authorization(seen) != Some("Bearer t0k3n")).then(|| bearer(&realm)));
    let mut spec = policy(&registry.host(), vec![authority("ci", &public("ecdsa-p256"))]);
    spec.registries[0].companions = vec![service.host()];
    let (subject, trust) = (image(&registry, NAME, &signed), Arc::new(CompiledTrust::compile(&[spec])));
    let answer = verifier().verify(Question::image(&subject), &trust, Some(&mine), soon()).await;
    assert!(answer.is_verified(), "{answer:?}");
    let asked: Vec<_> = service.seen().iter().map(|seen| authorization(seen).map(str::to_owned)).collect();
    assert_eq!(asked, [Some("Basic cm9ib3Q6aHVudGVyMg==".to_owned())]);
    let basic =
        |seen: &super::server::Seen| authorization(seen).is_some_and(|text| text.starts_with("Basic"));
    assert!(!registry.seen().iter().any(basic), "the registry asked for a token, not for the password");
}

#[tokio::test]
async fn failures_with_bad_credentials_are_not_handed_to_others() {
    let registry = Registry::start(true).await;
    let signed = registry.load(NAME);
    let subject = image(&registry, NAME, &signed);
    let trust = trust(&registry.host(), &["ecdsa-p256"]);
    let good = RegistryCredentials::new(&registry.host(), "robot", "hunter2").unwrap();
    let bad = RegistryCredentials::new(&registry.host(), "robot", "guess").unwrap();
    registry.twist(|seen| {
        let authorised = authorization(seen) == Some("Basic cm9ib3Q6aHVudGVyMg==");
        (!authorised)
            .then(|| (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Basic realm=\"r\"")]).into_response())
    });
    let verifier = verifier();
    let answer = verifier.verify(Question::image(&subject), &trust, Some(&bad), soon()).await;
    let wanted = format!("registry \"{}\" refuses to answer with these credentials", registry.host());
    assert_eq!(*answer, Verification::Unknown { cause: Cause::Unauthorised, reason: wanted });
    assert!(verifier.verify(Question::image(&subject), &trust, Some(&good), soon()).await.is_verified());
}

#[tokio::test]
async fn abuse_043_bytes_that_are_not_those_of_their_digest_are_not_believed() {
    let registry = Registry::start(true).await;
    registry.twist(|seen| {
        let hit = seen.path.contains("/manifests/sha256:");
        hit.then(|| ([(CONTENT_TYPE, MANIFEST)], r#"{"schemaVersion":2,"layers":[]}"#).into_response())
    });
    let wanted = answered(
        Cause::Malformed,
        "a manifest of registry \"HOST\" is malformed: its bytes are not those of its digest",
    );
    assert_eq!(obstacle(&registry).await, wanted);
    registry.twist(|seen| seen.path.contains("/blobs/").then(|| "{}".into_response()));
    let wanted = answered(
        Cause::Malformed,
        "a bundle of registry \"HOST\" is malformed: its bytes are not those of its digest",
    );
    assert_eq!(obstacle(&registry).await, wanted);
    registry.twist(|seen| {
        let headers = [("content-type", MANIFEST.to_owned()), ("docker-content-digest", digest(b"other"))];
        seen.path.contains("/manifests/sha256:").then(|| (headers, "{}").into_response())
    });
    let wanted = answered(
        Cause::Malformed,
        "a manifest of registry \"HOST\" is malformed: its bytes are not those of the digest in its header",
    );
    assert_eq!(obstacle(&registry).await, wanted);
}

#[tokio::test]
async fn abuse_043_no_head_request_is_ever_sent() {
    let registry = Registry::start(false).await;
    let signed = registry.load(NAME);
    assert!(
        ask(&image(&registry, NAME, &signed), &trust(&registry.host(), &["ecdsa-p256"])).await.is_verified()
    );
    assert!(registry.seen().iter().all(|seen| seen.method == axum::http::Method::GET));
}

#[tokio::test]
async fn errors_of_a_registry_are_not_taken_for_unsigned() {
    let registry = Registry::start(true).await;
    for (status, cause, reason) in [
        (500, Cause::RegistryError, "registry \"HOST\" answered the list of referrers with status 500"),
        (503, Cause::RegistryError, "registry \"HOST\" answered the list of referrers with status 503"),
        (429, Cause::RegistryError, "registry \"HOST\" limits requests (status 429)"),
        (403, Cause::Unauthorised, "registry \"HOST\" refuses to answer without credentials"),
        (401, Cause::Unauthorised, "registry \"HOST\" asks for an authentication that is not supported"),
        (204, Cause::RegistryError, "registry \"HOST\" answered the list of referrers with status 204"),
    ] {
        registry.twist(move |_| Some(StatusCode::from_u16(status).unwrap().into_response()));
        assert_eq!(obstacle(&registry).await, answered(cause, reason));
    }
    // One part that fails keeps the other's "not signed" from being said, and not a proof.
    registry.twist(|seen| {
        seen.path.contains("/manifests/sha256-").then(|| StatusCode::BAD_GATEWAY.into_response())
    });
    let unsigned = registry.load("unsigned");
    let trust = trust(&registry.host(), &["ecdsa-p256"]);
    let answer = ask(&image(&registry, "unsigned", &unsigned), &trust).await;
    let wanted = format!("registry \"{}\" answered a manifest with status 502", registry.host());
    assert_eq!(answer, Verification::Unknown { cause: Cause::RegistryError, reason: wanted });
    let signed = registry.load(NAME);
    assert!(ask(&image(&registry, NAME, &signed), &trust).await.is_verified());
}

#[tokio::test]
async fn nonsense_is_malformed_and_not_unsigned() {
    let registry = Registry::start(true).await;
    for (body, detail) in [
        ("<html>", "it cannot be read"),
        ("[]", "it cannot be read"),
        ("", "it cannot be read"),
        ("{}", "it cannot be read"),
    ] {
        registry.twist(move |seen| {
            seen.path.contains("/referrers/").then(|| ([(CONTENT_TYPE, INDEX)], body).into_response())
        });
        let wanted = format!("the list of referrers of registry \"HOST\" is malformed: {detail}");
        assert_eq!(obstacle(&registry).await, answered(Cause::Malformed, &wanted), "{body}");
    }
    registry.twist(|seen| {
        let headers = [("content-type", INDEX), ("content-encoding", "gzip")];
        seen.path.contains("/referrers/").then(|| (headers, "\x1f").into_response())
    });
    let wanted =
        "the list of referrers of registry \"HOST\" is malformed: it is compressed, which nobody asked for";
    assert_eq!(obstacle(&registry).await, answered(Cause::Malformed, wanted));
}

#[tokio::test]
async fn a_registry_that_is_down_is_not_an_unsigned_image() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let subject = ImageRef::parse(&format!("{free}/team/app@{}", digest(b"x"))).unwrap();
    let answer = ask(&subject, &trust(&free, &["other"])).await;
    let reason = format!("registry \"{free}\" cannot be reached: the connection was refused");
    assert_eq!(answer, Verification::Unknown { cause: Cause::Unreachable, reason });

    let host = "registry.invalid:5000";
    let subject = ImageRef::parse(&format!("{host}/team/app@{}", digest(b"x"))).unwrap();
    let answer = ask(&subject, &trust(host, &["other"])).await;
    let reason = format!("registry \"{host}\" cannot be reached: its name could not be resolved");
    assert_eq!(answer, Verification::Unknown { cause: Cause::Unreachable, reason });
}

#[tokio::test]
async fn abuse_082_a_name_or_literal_that_leads_inside_needs_permission() {
    let registry = Registry::start(true).await;
    let port = registry.address.port();
    let signed = registry.load(NAME);
    for (host, literal) in [(format!("localhost:{port}"), "localhost"), (registry.host(), "127.0.0.1")] {
        let mut strict: PolicySpec = policy(&host, vec![authority("ci", &public("ecdsa-p256"))]);
        strict.registries[0].allow_private_addresses = false;
        let subject = ImageRef::parse(&format!("{host}/team/{NAME}@{signed}")).unwrap();
        let answer = ask(&subject, &Arc::new(CompiledTrust::compile(&[strict.clone()]))).await;
        let reason = format!(
            "registry \"{host}\" must not be dialled: host \"{literal}\" resolves to a loopback address, \
             which its entry does not allow"
        );
        assert_eq!(answer, Verification::Unknown { cause: Cause::Guarded, reason });
        assert!(registry.seen().is_empty(), "not one packet");
        strict.registries[0].allow_private_addresses = true;
        assert!(ask(&subject, &Arc::new(CompiledTrust::compile(&[strict]))).await.is_verified());
        registry.seen();
    }
    // Metadata services are out of reach even with it.
    let host = "169.254.169.254";
    let subject = ImageRef::parse(&format!("{host}/team/app@{signed}")).unwrap();
    let answer = ask(&subject, &trust(host, &["other"])).await;
    let reason = format!(
        "registry \"{host}\" must not be dialled: host \"{host}\" resolves to a link-local or metadata address"
    );
    assert_eq!(answer, Verification::Unknown { cause: Cause::Guarded, reason });
}

#[tokio::test]
async fn a_registry_without_tls_is_not_spoken_to_in_the_clear_unasked() {
    let registry = Registry::start(true).await;
    let signed = registry.load(NAME);
    let mut secure = policy(&registry.host(), vec![authority("ci", &public("ecdsa-p256"))]);
    secure.registries[0].plain_http = false;
    let answer = ask(&image(&registry, NAME, &signed), &Arc::new(CompiledTrust::compile(&[secure]))).await;
    let reason = format!("registry \"{}\" cannot be trusted on TLS: it does not speak TLS", registry.host());
    assert_eq!(answer, Verification::Unknown { cause: Cause::Unreachable, reason });
    assert!(registry.seen().is_empty());
}

/// A policy for a registry behind TLS on loopback.
fn secure(host: &str) -> Arc<CompiledTrust> {
    let mut spec = policy(host, vec![authority("ci", &public("ecdsa-p256"))]);
    spec.registries[0].plain_http = false;
    Arc::new(CompiledTrust::compile(&[spec]))
}

#[tokio::test]
async fn tls_is_checked_and_further_authorities_can_be_given() {
    let (registry, issuer) = Registry::start_tls().await;
    let signed = registry.load(NAME);
    let host = format!("localhost:{}", registry.address.port());
    let subject = ImageRef::parse(&format!("{host}/team/{NAME}@{signed}")).unwrap();
    let answer = ask(&subject, &secure(&host)).await;
    let reason =
        format!("registry \"{host}\" cannot be trusted on TLS: its certificate is by an unknown issuer");
    assert_eq!(answer, Verification::Unknown { cause: Cause::Unreachable, reason });

    let config =
        VerifierConfig { extra_roots: vec![issuer.clone().into_bytes()], ..VerifierConfig::default() };
    let verifier = Verifier::new(config.clone());
    let answer = verifier.verify(Question::image(&subject), &secure(&host), None, soon()).await;
    assert!(answer.is_verified(), "{answer:?}");

    let host = registry.host();
    let subject = ImageRef::parse(&format!("{host}/team/{NAME}@{signed}")).unwrap();
    let answer = Verifier::new(config).verify(Question::image(&subject), &secure(&host), None, soon()).await;
    let reason = format!("registry \"{host}\" cannot be trusted on TLS: its certificate is for another name");
    assert_eq!(*answer, Verification::Unknown { cause: Cause::Unreachable, reason });
}

#[tokio::test]
async fn without_certificate_authorities_it_is_said_and_nothing_panics() {
    const CHILD: &str = "PORTCULLIS_TEST_WITHOUT_ROOTS";
    if std::env::var_os(CHILD).is_none() {
        // An image FROM scratch has none: this very test again, in a process that cannot find any.
        let name = "hostile::without_certificate_authorities_it_is_said_and_nothing_panics";
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .envs([(CHILD, "1"), ("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/dev/null")])
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && output.contains("1 passed"), "{output}");
        return;
    }
    let host = "registry.example";
    let subject = ImageRef::parse(&format!("{host}/team/app@{}", digest(b"x"))).unwrap();
    let answer = ask(&subject, &secure(host)).await;
    let reason =
        "no CA certificates could be loaded, so no registry's TLS certificate can be checked".to_owned();
    assert_eq!(answer, Verification::Unknown { cause: Cause::Internal, reason });
    // What needs none still works.
    let registry = Registry::start(true).await;
    let signed = registry.load(NAME);
    assert!(
        ask(&image(&registry, NAME, &signed), &trust(&registry.host(), &["ecdsa-p256"])).await.is_verified()
    );
}
