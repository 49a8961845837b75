//! Reads request bodies under one budget of bytes for the whole process, so that padding cannot take its memory.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::Bytes;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::telemetry::metrics::Metrics;

/// Read before anything is reserved, so that a client who only announces a body reserves nothing.
const PROOF_BYTES: usize = 16 * 1024;
/// An oversized body is read to its end (and thrown away) up to this many bytes, because a client that is still
/// sending may not read the answer.
const DISCARD_MAX: u64 = 256 * 1024 * 1024;

/// How many bytes of bodies may be in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// The largest body that is read, in bytes. An update review of the largest legal object reaches 33.6 MB.
    pub body_max: usize,
    /// A body up to this many bytes counts as ordinary and is never held up by large ones.
    pub ordinary_max: usize,
    /// Bytes for ordinary bodies.
    pub ordinary_budget: usize,
    /// Bytes for larger bodies; at least `body_max`.
    pub large_budget: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            body_max: 40 * 1024 * 1024,
            ordinary_max: 512 * 1024,
            ordinary_budget: 24 * 1024 * 1024,
            large_budget: 40 * 1024 * 1024,
        }
    }
}

/// Two budgets of bytes: ordinary bodies have their own, so that a few large ones cannot starve them.
#[derive(Debug)]
pub struct ByteBudget {
    limits: BodyLimits,
    ordinary: Arc<Semaphore>,
    large: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// A body in memory together with its share of the budget, which is given back on drop.
#[derive(Debug)]
pub struct Held {
    bytes: Bytes,
    reservation: Reservation,
}

/// The share of the budget that a body takes.
#[derive(Debug)]
pub struct Reservation {
    _permit: OwnedSemaphorePermit,
    length: i64,
    metrics: Arc<Metrics>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.metrics.bodies_in_flight(-self.length);
    }
}

impl Held {
    /// The body and its reservation, which the caller keeps for as long as the body is in memory.
    #[must_use]
    pub fn into_parts(self) -> (Bytes, Reservation) {
        (self.bytes, self.reservation)
    }
}

/// Why a body was not read.
#[derive(Debug, Error)]
pub enum BodyError {
    /// The header does not say how long the body is.
    #[error("a Content-Length is required")]
    NoLength,
    /// The body is larger than what is read; its first bytes are kept for the uid.
    #[error("a body of {length} bytes, at most {limit} are read")]
    Oversized {
        /// Bytes announced.
        length: u64,
        /// Bytes read at most.
        limit: u64,
        /// The first bytes.
        prefix: Bytes,
    },
    /// The budget had no room until the deadline.
    #[error("too many bytes in flight")]
    OverBudget,
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    Slow,
    /// The connection broke, or the body was longer or shorter than announced.
    #[error("the body could not be read")]
    Broken(#[source] Option<axum::Error>),
}

impl BodyError {
    /// The variant's name, for the metric.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NoLength => "no-length",
            Self::Oversized { .. } => "oversized",
            Self::OverBudget => "over-budget",
            Self::Slow => "slow",
            Self::Broken(_) => "broken",
        }
    }
}

impl ByteBudget {
    /// A budget of `limits`.
    #[must_use]
    pub fn new(limits: BodyLimits, metrics: Arc<Metrics>) -> Self {
        Self {
            limits,
            ordinary: Arc::new(Semaphore::new(limits.ordinary_budget)),
            large: Arc::new(Semaphore::new(limits.large_budget.max(limits.body_max))),
            metrics,
        }
    }

    /// Reads a whole body.
    ///
    /// # Guarantees
    /// At most the two budgets plus [`PROOF_BYTES`] a request are in memory at any time. Waits no longer than `until`.
    ///
    /// # Errors
    /// One variant a reason; in each case the body is gone.
    pub async fn read(&self, headers: &HeaderMap, body: Body, until: Instant) -> Result<Held, BodyError> {
        let length = content_length(headers).ok_or(BodyError::NoLength)?;
        let limit = u64::try_from(self.limits.body_max).unwrap_or(u64::MAX);
        let mut reader = Reader { body, until };
        let Ok(length) = usize::try_from(length) else {
            return Err(BodyError::Oversized { length, limit, prefix: Bytes::new() });
        };
        let mut first = Vec::new();
        reader.fill(&mut first, length.min(PROOF_BYTES)).await?;
        if length > self.limits.body_max {
            reader.discard().await;
            let length = u64::try_from(length).unwrap_or(u64::MAX);
            return Err(BodyError::Oversized { length, limit, prefix: Bytes::from(first) });
        }
        // The last quarter is kept for telling the client: one that is still sending does not read the answer.
        let patience = until.saturating_duration_since(Instant::now()) * 3 / 4;
        let reservation = match self.reserve(length, Instant::now() + patience).await {
            Ok(reservation) => reservation,
            Err(error) => {
                reader.discard().await;
                return Err(error);
            }
        };
        // Reserved in one piece: growing by doubling would hold up to three times the body for a moment.
        first.reserve_exact(length.saturating_sub(first.len()));
        reader.fill(&mut first, length).await?;
        Ok(Held { bytes: Bytes::from(first), reservation })
    }

    async fn reserve(&self, length: usize, until: Instant) -> Result<Reservation, BodyError> {
        let pool = if length <= self.limits.ordinary_max { &self.ordinary } else { &self.large };
        let count = u32::try_from(length).map_err(|_| BodyError::OverBudget)?;
        let permit = timeout_at(until, Arc::clone(pool).acquire_many_owned(count))
            .await
            .map_err(|_| BodyError::OverBudget)?
            .map_err(|_| BodyError::OverBudget)?;
        let length = i64::from(count);
        self.metrics.bodies_in_flight(length);
        Ok(Reservation { _permit: permit, length, metrics: Arc::clone(&self.metrics) })
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

struct Reader {
    body: Body,
    until: Instant,
}

impl Reader {
    /// The next piece, or nothing at the end.
    async fn piece(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let frame = timeout_at(self.until, self.body.frame()).await.map_err(|_| BodyError::Slow)?;
            let Some(frame) = frame else { return Ok(None) };
            // Trailers are not data; nothing here reads them.
            if let Ok(data) = frame.map_err(|error| BodyError::Broken(Some(error)))?.into_data() {
                return Ok(Some(data));
            }
        }
    }

    /// Reads until `into` holds `length` bytes; a piece may carry it a little beyond when more is still to come.
    async fn fill(&mut self, into: &mut Vec<u8>, length: usize) -> Result<(), BodyError> {
        while into.len() < length {
            let Some(piece) = self.piece().await? else { return Err(BodyError::Broken(None)) };
            into.extend_from_slice(&piece);
        }
        Ok(())
    }

    async fn discard(&mut self) {
        let mut discarded = 0_u64;
        while discarded < DISCARD_MAX {
            match self.piece().await {
                Ok(Some(piece)) => discarded += u64::try_from(piece.len()).unwrap_or(u64::MAX),
                // What cannot be read needs no discarding: the answer goes out all the same.
                Ok(None) | Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn small() -> BodyLimits {
        BodyLimits { body_max: 100_000, ordinary_max: 1000, ordinary_budget: 2000, large_budget: 100_000 }
    }

    fn announced(length: usize) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_LENGTH, length.into())])
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_each_other_and_ordinary_ones_pass() {
        let metrics = Arc::new(Metrics::default());
        let budget = ByteBudget::new(small(), Arc::clone(&metrics));
        let held = budget.read(&announced(80_000), Body::from(vec![b'x'; 80_000]), soon()).await.unwrap();
        assert!(metrics.encode().unwrap().contains("portcullis_admission_bodies_in_flight_bytes 80000"));
        let second = budget.read(&announced(80_000), Body::from(vec![b'x'; 80_000]), soon()).await;
        assert!(matches!(second, Err(BodyError::OverBudget)), "{second:?}");
        let ordinary = budget.read(&announced(900), Body::from(vec![b'x'; 900]), soon()).await.unwrap();
        assert_eq!(ordinary.into_parts().0.len(), 900);
        let (bytes, reservation) = held.into_parts();
        drop(bytes);
        drop(reservation);
        assert!(metrics.encode().unwrap().contains("portcullis_admission_bodies_in_flight_bytes 0"));
        budget.read(&announced(80_000), Body::from(vec![b'x'; 80_000]), soon()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn announcing_a_body_reserves_nothing() {
        let budget = Arc::new(ByteBudget::new(small(), Arc::new(Metrics::default())));
        let silent = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let headers = announced(100_000);
        let waiting = budget.read(&headers, silent, Instant::now() + Duration::from_mins(1));
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        budget.read(&announced(100_000), Body::from(vec![b'x'; 100_000]), soon()).await.unwrap();
        assert!(matches!(waiting.await, Err(BodyError::Slow)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_oversized_body_keeps_its_first_bytes() {
        let budget = ByteBudget::new(small(), Arc::new(Metrics::default()));
        let mut body = b"the beginning".to_vec();
        body.resize(100_001, b'x');
        match budget.read(&announced(100_001), Body::from(body), soon()).await {
            Err(BodyError::Oversized { length: 100_001, limit: 100_000, prefix }) => {
                assert!(prefix.starts_with(b"the beginning"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_announced_or_not_delivered_is_an_error() {
        let budget = ByteBudget::new(small(), Arc::new(Metrics::default()));
        let error = budget.read(&HeaderMap::new(), Body::from("x"), soon()).await.unwrap_err();
        assert_eq!(error.label(), "no-length");
        let error = budget.read(&announced(10), Body::from("short"), soon()).await.unwrap_err();
        assert_eq!(error.label(), "broken");
    }
}
