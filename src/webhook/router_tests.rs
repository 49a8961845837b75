//! The router called in process.

use super::*;
use crate::webhook::body::BodyLimits;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

/// Answers `allowed`, panics, or never answers, as the review's object says.
struct Scripted;

impl ReviewHandler for Scripted {
    fn handle(self: Arc<Self>, body: Bytes, _: Peer, _: Instant) -> BoxFuture<'static, Vec<u8>> {
        Box::pin(async move {
            let review: Value = serde_json::from_slice(&body).unwrap();
            match review["request"]["object"].as_str() {
                Some("panic") => panic!("as asked"),
                Some("hang") => futures::future::pending().await,
                _ => {
                    json!({"response": {"uid": review["request"]["uid"], "allowed": true}}).to_string().into()
                }
            }
        })
    }
}

fn admission() -> Admission {
    let metrics = Arc::new(Metrics::default());
    let limits =
        BodyLimits { body_max: 50_000, ordinary_max: 5000, ordinary_budget: 20_000, large_budget: 50_000 };
    Admission {
        handler: Arc::new(Scripted),
        attempts: Arc::new(|| b"[]".to_vec()),
        budget: Arc::new(ByteBudget::new(limits, Arc::clone(&metrics))),
        metrics,
        require_api_server: false,
        deadline: Duration::from_millis(200),
    }
}

fn review(object: &str) -> String {
    format!(r#"{{"kind":"AdmissionReview","request":{{"uid":"u-1","object":"{object}"}}}}"#)
}

fn posted(path: &str, body: String) -> Request {
    Request::post(path).header(header::CONTENT_LENGTH, body.len()).body(Body::from(body)).unwrap()
}

async fn call(admission: &Admission, request: Request) -> (StatusCode, String) {
    let response = router(admission.clone()).oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

fn response(text: &str) -> Value {
    serde_json::from_str::<Value>(text).unwrap()["response"].clone()
}

#[tokio::test]
async fn a_review_is_answered() {
    let (status, text) = call(&admission(), posted("/validate?timeout=3s", review(""))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(response(&text), json!({"uid": "u-1", "allowed": true}));
}

#[tokio::test(start_paused = true)]
async fn a_late_review_is_refused_with_its_uid() {
    let admission = admission();
    let (status, text) = call(&admission, posted("/validate", review("hang"))).await;
    assert_eq!(status, StatusCode::OK);
    let response = response(&text);
    assert_eq!(response["uid"], "u-1");
    assert_eq!(response["allowed"], false);
    assert_eq!(response["status"]["reason"], "Timeout");
    let message = response["status"]["message"].as_str().unwrap();
    assert!(message.starts_with("portcullis: no verdict within 200 ms"), "{message}");
    let metrics = admission.metrics.encode().unwrap();
    assert!(metrics.contains("bodies_rejected_total{reason=\"late\"} 1"), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn the_api_servers_own_timeout_counts_where_it_is_smaller() {
    let (_, text) = call(&admission(), posted("/validate?timeout=150ms", review("hang"))).await;
    let message = response(&text)["status"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("portcullis: no verdict within 100 ms"), "{message}");
}

#[tokio::test]
async fn abuse_070_a_panic_is_contained_and_counted() {
    let admission = admission();
    let (status, text) = call(&admission, posted("/validate", review("panic"))).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(text, "portcullis: an internal error, which was counted\n");
    assert!(admission.metrics.encode().unwrap().contains("portcullis_panics_total 1"));
    let (status, _) = call(&admission, posted("/validate", review(""))).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn abuse_089_an_oversized_review_is_refused_with_its_uid() {
    let admission = admission();
    let (status, text) = call(&admission, posted("/validate", review(&"<".repeat(60_000)))).await;
    assert_eq!(status, StatusCode::OK);
    let response = response(&text);
    assert_eq!(response["uid"], "u-1");
    assert_eq!(response["allowed"], false);
    let message = response["status"]["message"].as_str().unwrap();
    assert!(message.contains("bytes and at most 50000 are read"), "{message}");
    assert!(admission.metrics.encode().unwrap().contains("{reason=\"oversized\"} 1"));
}

#[tokio::test]
async fn an_oversized_body_without_uid_is_never_answered_with_an_empty_one() {
    let (status, text) = call(&admission(), posted("/validate", "<".repeat(60_000))).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(text, "portcullis: this is no AdmissionReview with a uid at its beginning\n");
}

#[tokio::test(start_paused = true)]
async fn abuse_067_over_the_byte_budget_waits_and_then_sheds() {
    let admission = admission();
    let padded = format!(r#"{{"request":{{"uid":"u-1","pad":"{}","object":"hang"}}}}"#, "<".repeat(40_000));
    let first = tokio::spawn(call_owned(admission.clone(), posted("/validate", padded.clone())));
    tokio::task::yield_now().await;
    let (status, text) = call(&admission, posted("/validate?timeout=150ms", padded)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text, "portcullis: too many bytes of reviews are in flight, try again\n");
    assert_eq!(first.await.unwrap().0, StatusCode::OK);
    let (status, _) = call(&admission, posted("/validate", review(""))).await;
    assert_eq!(status, StatusCode::OK);
}

async fn call_owned(admission: Admission, request: Request) -> (StatusCode, String) {
    call(&admission, request).await
}

#[tokio::test]
async fn a_body_without_length_is_refused() {
    let body = Body::from_stream(futures::stream::iter([Ok::<_, std::io::Error>("{}")]));
    let (status, text) = call(&admission(), Request::post("/validate").body(body).unwrap()).await;
    assert_eq!(
        (status, text.as_str()),
        (StatusCode::LENGTH_REQUIRED, "portcullis: a Content-Length is required\n")
    );
}

#[tokio::test]
async fn abuse_066_only_the_api_server_may_ask_where_its_certificate_is_required() {
    let admission = Admission { require_api_server: true, ..admission() };
    for (identity, expected) in [
        (Identity::Anonymous, StatusCode::FORBIDDEN),
        (Identity::Controller, StatusCode::FORBIDDEN),
        (Identity::ApiServer, StatusCode::OK),
    ] {
        let mut request = posted("/validate", review(""));
        request.extensions_mut().insert(Peer { address: None, identity });
        let (status, text) = call(&admission, request).await;
        assert_eq!(status, expected, "{identity:?}");
        if expected == StatusCode::FORBIDDEN {
            assert!(text.contains("only the API server may ask for reviews"), "{text}");
        }
    }
}

#[tokio::test]
async fn attempts_are_for_the_controller_alone() {
    for (identity, expected) in [
        (Identity::Anonymous, (StatusCode::FORBIDDEN, "portcullis: only the controller may ask this\n")),
        (Identity::ApiServer, (StatusCode::FORBIDDEN, "portcullis: only the controller may ask this\n")),
        (Identity::Controller, (StatusCode::OK, "[]")),
    ] {
        let mut request = Request::get("/internal/attempts").body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer { address: None, identity });
        let (status, text) = call(&admission(), request).await;
        assert_eq!((status, text.as_str()), expected, "{identity:?}");
    }
    let (status, _) =
        call(&admission(), Request::get("/internal/attempts").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn other_paths_and_methods_are_not_served() {
    let (status, _) = call(&admission(), posted("/mutate", review(""))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = call(&admission(), Request::get("/validate").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn go_durations_are_read_as_go_writes_them() {
    for (text, milliseconds) in [
        ("3s", Some(3000)),
        ("1m0s", Some(60_000)),
        ("500ms", Some(500)),
        ("0s", None),
        ("s", None),
        ("3", None),
        ("-3s", None),
        ("99999999999s", None),
    ] {
        assert_eq!(go_duration(text), milliseconds.map(Duration::from_millis), "{text}");
    }
    assert_eq!(deadline(DEADLINE, Some("timeout=3s")), DEADLINE);
    assert_eq!(
        deadline(DEADLINE, Some("x=1&timeout=1s")),
        Duration::from_millis(666) + Duration::from_nanos(666_666)
    );
    assert_eq!(deadline(DEADLINE, Some("timeout=never")), DEADLINE);
}
