//! The plain HTTP listener: `/healthz`, `/readyz` and `/metrics`, and the named conditions behind readiness.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::metrics::Metrics;

/// Named conditions that must all hold before traffic may come. Cheap to clone; clones share the conditions.
#[derive(Clone, Default)]
pub struct Readiness {
    conditions: Arc<Mutex<Vec<Condition>>>,
}

/// One condition of readiness, held by whoever knows whether it is met.
#[derive(Clone)]
pub struct Condition {
    name: &'static str,
    met: Arc<AtomicBool>,
}

impl Condition {
    /// Says whether the condition is met now.
    pub fn set(&self, met: bool) {
        if self.met.swap(met, Ordering::AcqRel) != met {
            tracing::info!(condition = self.name, met, "readiness changed");
        }
    }

    /// Whether the condition is met.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.met.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("name", &self.name).field("met", &self.is_met()).finish()
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("missing", &self.missing()).finish()
    }
}

impl Readiness {
    /// Adds a condition that is not met yet. The name says what holds when it is met, for example `caches synced`.
    #[must_use]
    pub fn condition(&self, name: &'static str) -> Condition {
        let condition = Condition { name, met: Arc::default() };
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner).push(condition.clone());
        condition
    }

    /// The names of the conditions that are not met, in the order they were added; empty means ready.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        conditions.iter().filter(|condition| !condition.is_met()).map(|condition| condition.name).collect()
    }
}

#[derive(Clone)]
struct Probes {
    readiness: Readiness,
    metrics: Arc<Metrics>,
}

/// The router of the plain listener.
pub fn router(readiness: Readiness, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(exposition))
        .with_state(Probes { readiness, metrics })
}

async fn readyz(State(probes): State<Probes>) -> Response {
    let missing = probes.readiness.missing();
    if missing.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready, missing: {}\n", missing.join(", "))).into_response()
}

async fn exposition(State(probes): State<Probes>) -> Response {
    match probes.metrics.encode() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn get_path(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_names_what_is_missing() {
        let readiness = Readiness::default();
        let caches = readiness.condition("caches synced");
        let certificate = readiness.condition("certificate loaded");
        let router = router(readiness, Arc::new(Metrics::default()));
        let (status, text) = get_path(&router, "/readyz").await;
        assert_eq!(
            (status, text.as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "not ready, missing: caches synced, certificate loaded\n")
        );
        caches.set(true);
        let (_, text) = get_path(&router, "/readyz").await;
        assert_eq!(text, "not ready, missing: certificate loaded\n");
        certificate.set(true);
        assert_eq!(get_path(&router, "/readyz").await, (StatusCode::OK, "ok\n".to_owned()));
        assert_eq!(get_path(&router, "/healthz").await.0, StatusCode::OK);
        assert!(get_path(&router, "/metrics").await.1.contains("portcullis_leader 0"));
    }
}
