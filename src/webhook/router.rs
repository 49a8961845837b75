//! The routes of the HTTPS listener as a plain router, without TLS, so that tests call it in process.

use std::any::Any;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures::future::BoxFuture;
use hyper::body::Bytes;
use tokio::time::{Instant, timeout_at};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use super::body::{BodyError, ByteBudget};
use super::envelope::{Unjudged, refuse, uid_of_prefix};
use crate::telemetry::metrics::Metrics;

/// The own deadline: below the API server's three seconds, so that the answer is ours and not a timeout's.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// Who is at the other end of the connection, as far as TLS says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// No client certificate, or one that nobody here vouches for.
    Anonymous,
    /// Our own controller: a certificate of our own authority with its name.
    Controller,
    /// The API server: a certificate of the authority that was configured for it.
    ApiServer,
}

/// The other end of a connection; the server puts it into every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address, where the connection has one.
    pub address: Option<IpAddr>,
    /// Who it is.
    pub identity: Identity,
}

impl Peer {
    /// A peer about which nothing is known.
    pub const UNKNOWN: Self = Self { address: None, identity: Identity::Anonymous };
}

/// Judges reviews: bytes of a review in, bytes of an answered review out.
pub trait ReviewHandler: Send + Sync + 'static {
    /// Answers one review.
    ///
    /// # Assumptions
    /// `deadline` is when the caller stops waiting; an answer is worth something only before. The future is dropped
    /// then. `body` is whatever the peer sent, at most the limit of the budget.
    fn handle(self: Arc<Self>, body: Bytes, peer: Peer, deadline: Instant) -> BoxFuture<'static, Vec<u8>>;
}

/// Gives the denied attempts that this replica remembers, as JSON.
pub type Attempts = Arc<dyn Fn() -> Vec<u8> + Send + Sync>;

/// All that the routes need.
#[derive(Clone)]
pub struct Admission {
    /// Who judges.
    pub handler: Arc<dyn ReviewHandler>,
    /// What `/internal/attempts` answers.
    pub attempts: Attempts,
    /// The budget of bytes of bodies.
    pub budget: Arc<ByteBudget>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Whether `/validate` wants the API server's client certificate.
    pub require_api_server: bool,
    /// The longest time that a review may take.
    pub deadline: Duration,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("require_api_server", &self.require_api_server)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// The routes: `POST /validate` and `GET /internal/attempts`.
pub fn router(state: Admission) -> Router {
    let metrics = Arc::clone(&state.metrics);
    let contain = CatchPanicLayer::custom(move |_: Box<dyn Any + Send>| {
        metrics.panicked();
        text(StatusCode::INTERNAL_SERVER_ERROR, "portcullis: an internal error, which was counted\n")
    });
    Router::new()
        .route("/validate", post(validate))
        .route("/internal/attempts", get(attempts))
        .with_state(state)
        .layer(contain)
}

async fn attempts(State(state): State<Admission>, peer: Option<Extension<Peer>>) -> Response {
    if identity(peer) != Identity::Controller {
        return text(StatusCode::FORBIDDEN, "portcullis: only the controller may ask this\n");
    }
    json((state.attempts)())
}

async fn validate(
    State(state): State<Admission>,
    peer: Option<Extension<Peer>>,
    request: Request,
) -> Response {
    let start = Instant::now();
    let peer = peer.map_or(Peer::UNKNOWN, |Extension(peer)| peer);
    if state.require_api_server && peer.identity != Identity::ApiServer {
        state.metrics.body_rejected("not-the-api-server");
        let why = "portcullis: only the API server may ask for reviews, and it did not show its client certificate\n";
        return text(StatusCode::FORBIDDEN, why);
    }
    let allowed = deadline(state.deadline, request.uri().query());
    let until = start + allowed;
    let (parts, body) = request.into_parts();
    let held = match state.budget.read(&parts.headers, body, until).await {
        Ok(held) => held,
        Err(error) => return unread(&state, error),
    };
    let (body, reservation) = held.into_parts();
    let handler = Arc::clone(&state.handler);
    let copy = body.clone();
    // A task of its own: a handler that computes without pausing, or panics, cannot keep this one from answering in time.
    let judging = async move {
        let answer = handler.handle(copy, peer, until).await;
        // The memory is in use until here, also when nobody waits any more.
        drop(reservation);
        answer
    };
    // Every line that is logged on the way carries the request's id, once it has been read.
    let span = tracing::info_span!("review", uid = tracing::field::Empty);
    let mut task = tokio::spawn(judging.instrument(span));
    let response = match timeout_at(until, &mut task).await {
        Ok(Ok(answer)) => json(answer),
        Ok(Err(error)) => {
            state.metrics.panicked();
            tracing::error!(uid = uid_of_prefix(&body), %error, "the review ended in a panic");
            text(StatusCode::INTERNAL_SERVER_ERROR, "portcullis: an internal error, which was counted\n")
        }
        Err(_) => {
            task.abort();
            state.metrics.body_rejected("late");
            unjudged(&body, Unjudged::Late { milliseconds: allowed.as_millis() }, StatusCode::GATEWAY_TIMEOUT)
        }
    };
    state.metrics.review_took(start.elapsed());
    response
}

/// The answer where the body was not read.
///
/// Overload is an HTTP error: each webhook entry's own failure policy then decides, which is to refuse everywhere but
/// in the entries that must never stand in the way. Anything a client can bring about with one request's size is a
/// refusal that names its uid.
fn unread(state: &Admission, error: BodyError) -> Response {
    state.metrics.body_rejected(error.label());
    match error {
        BodyError::NoLength => {
            text(StatusCode::LENGTH_REQUIRED, "portcullis: a Content-Length is required\n")
        }
        BodyError::Oversized { length, limit, prefix } => {
            let why = Unjudged::Oversized { length, limit };
            closing(unjudged(&prefix, why, StatusCode::PAYLOAD_TOO_LARGE))
        }
        BodyError::OverBudget => {
            let why = "portcullis: too many bytes of reviews are in flight, try again\n";
            closing(text(StatusCode::SERVICE_UNAVAILABLE, why))
        }
        BodyError::Slow => {
            closing(text(StatusCode::REQUEST_TIMEOUT, "portcullis: the body did not arrive in time\n"))
        }
        BodyError::Broken(error) => {
            tracing::debug!(?error, "a body broke off");
            closing(text(StatusCode::BAD_REQUEST, "portcullis: the body broke off\n"))
        }
    }
}

/// A refusal with the uid where the bytes tell it; otherwise `status`, because a refusal without uid is no answer.
fn unjudged(bytes: &[u8], why: Unjudged, status: StatusCode) -> Response {
    match uid_of_prefix(bytes) {
        Some(uid) => json(refuse(uid, why)),
        None => text(status, "portcullis: this is no AdmissionReview with a uid at its beginning\n"),
    }
}

fn identity(peer: Option<Extension<Peer>>) -> Identity {
    peer.map_or(Identity::Anonymous, |Extension(peer)| peer.identity)
}

fn json(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], Body::from(bytes)).into_response()
}

fn text(status: StatusCode, words: &'static str) -> Response {
    (status, words).into_response()
}

/// Ends the connection after this answer: what is left of the body is not read.
fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}

/// The smaller of our own deadline and two thirds of the API server's `timeout` parameter.
fn deadline(own: Duration, query: Option<&str>) -> Duration {
    let given = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|pair| pair.strip_prefix("timeout="))
        .and_then(go_duration);
    given.map_or(own, |given| own.min(given * 2 / 3))
}

/// Reads a Go duration of the forms the API server writes: `3s`, `1m0s`, `500ms`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u32 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let length = match rest.get(..unit)? {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            _ => return None,
        };
        total = total.checked_add(length.checked_mul(number)?)?;
        rest = rest.get(unit..)?;
    }
    (total > Duration::ZERO).then_some(total)
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
