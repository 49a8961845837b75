//! Keeps the table of open connections: how long each may be silent, and which one goes when there are too many.
//!
//! A client that connects and says nothing is the cheapest attack there is. hyper counts the silence before a request
//! and the idle time between two requests with one clock, but the first must be short and the second long: a server
//! that closes an idle connection just as the API server uses it again fails that review.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::telemetry::metrics::Metrics;

/// How long a connection may take for what, and how many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections open at once.
    pub connections: usize,
    /// From the accepted connection to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the end of the handshake to the first byte, and from a request's first byte to the end of its header.
    pub header: Duration,
    /// Between an answer and the next request. Longer than the 90 seconds after which the API server closes by itself.
    pub idle: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            handshake: Duration::from_secs(5),
            header: Duration::from_secs(5),
            idle: Duration::from_mins(2),
        }
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Handshake,
    Silent,
    Header,
    Serving,
    Idle,
}

#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    since: Instant,
}

/// One connection's pulse: its phase, and the way to end it.
#[derive(Debug)]
pub struct Pulse {
    state: Mutex<State>,
    close: Notify,
}

impl Pulse {
    fn new() -> Self {
        Self {
            state: Mutex::new(State { phase: Phase::Handshake, since: Instant::now() }),
            close: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, phase: Phase) {
        *self.lock() = State { phase, since: Instant::now() };
    }

    /// The handshake is done; a request must come now.
    pub fn shaken(&self) {
        self.enter(Phase::Silent);
    }

    /// A request's header was read; its handler has deadlines of its own.
    pub fn serving(&self) {
        self.enter(Phase::Serving);
    }

    /// A request was answered.
    pub fn answered(&self) {
        self.enter(Phase::Idle);
    }

    /// Waits until the table wants this connection closed.
    pub async fn closed(&self) {
        self.close.notified().await;
    }

    fn bytes_came(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Silent | Phase::Idle) {
            *state = State { phase: Phase::Header, since: Instant::now() };
        }
    }
}

/// The table. Cheap to share; a task of [`Connections::watch`] closes what is overdue.
#[derive(Debug)]
pub struct Connections {
    limits: ConnectionLimits,
    table: Mutex<HashMap<u64, Arc<Pulse>>>,
    next: AtomicU64,
    metrics: Arc<Metrics>,
}

/// A place in the table, given back on drop.
#[derive(Debug)]
pub struct Place {
    id: u64,
    pulse: Arc<Pulse>,
    connections: Arc<Connections>,
}

impl Place {
    /// The pulse of this connection.
    #[must_use]
    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.id);
        self.connections.metrics.connections_open(-1);
    }
}

impl Connections {
    /// An empty table.
    #[must_use]
    pub fn new(limits: ConnectionLimits, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { limits, table: Mutex::default(), next: AtomicU64::new(0), metrics })
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> ConnectionLimits {
        self.limits
    }

    /// Where the server counts.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Pulse>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a new connection.
    ///
    /// When the table is full, the connection that waits longest without having asked anything goes first, then the
    /// one that is idle longest. Nothing is returned when all of them are being served: then the new one goes.
    #[must_use]
    pub fn admit(self: &Arc<Self>) -> Option<Place> {
        let mut table = self.lock();
        if table.len() >= self.limits.connections {
            let Some(victim) = victim(&table) else {
                drop(table);
                self.metrics.connection_rejected("full");
                return None;
            };
            if let Some(pulse) = table.remove(&victim) {
                pulse.close.notify_one();
                self.metrics.connection_rejected("evicted");
            }
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let pulse = Arc::new(Pulse::new());
        table.insert(id, Arc::clone(&pulse));
        drop(table);
        self.metrics.connections_open(1);
        Some(Place { id, pulse, connections: Arc::clone(self) })
    }

    /// Closes what is overdue, for ever.
    pub async fn watch(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(Duration::from_millis(250));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.close_overdue(Instant::now());
        }
    }

    fn close_overdue(&self, now: Instant) {
        self.lock().retain(|_, pulse| {
            let state = *pulse.lock();
            let (limit, reason) = match state.phase {
                Phase::Handshake => (self.limits.handshake, "handshake"),
                Phase::Silent => (self.limits.header, "silent"),
                Phase::Header => (self.limits.header, "header"),
                Phase::Idle => (self.limits.idle, "idle"),
                Phase::Serving => return true,
            };
            let overdue = now.saturating_duration_since(state.since) >= limit;
            if overdue {
                self.metrics.connection_rejected(reason);
                pulse.close.notify_one();
            }
            !overdue
        });
    }
}

fn victim(table: &HashMap<u64, Arc<Pulse>>) -> Option<u64> {
    table
        .iter()
        .filter_map(|(id, pulse)| {
            let state = *pulse.lock();
            let rank = match state.phase {
                Phase::Handshake | Phase::Silent | Phase::Header => 0_u8,
                Phase::Idle => 1,
                Phase::Serving => return None,
            };
            Some((rank, state.since, *id))
        })
        .min()
        .map(|(_, _, id)| id)
}

/// A stream that tells its pulse when bytes come in.
#[derive(Debug)]
pub struct Pulsed<S> {
    inner: S,
    pulse: Arc<Pulse>,
}

impl<S> Pulsed<S> {
    /// Wraps `inner`.
    pub fn new(inner: S, pulse: Arc<Pulse>) -> Self {
        Self { inner, pulse }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Pulsed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let result = Pin::new(&mut this.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            this.pulse.bytes_came();
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Pulsed<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(connections: usize) -> Arc<Connections> {
        let limits = ConnectionLimits { connections, ..ConnectionLimits::default() };
        Connections::new(limits, Arc::new(Metrics::default()))
    }

    fn open(table: &Connections, place: &Place) -> bool {
        table.lock().contains_key(&place.id)
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_silent_goes_first_then_the_longest_idle_and_never_the_served() {
        let table = table(3);
        let idle = table.admit().unwrap();
        idle.pulse.answered();
        tokio::time::advance(Duration::from_secs(1)).await;
        let silent = table.admit().unwrap();
        silent.pulse.shaken();
        tokio::time::advance(Duration::from_secs(1)).await;
        let served = table.admit().unwrap();
        served.pulse.serving();
        let new = table.admit().unwrap();
        assert!(open(&table, &idle) && !open(&table, &silent) && open(&table, &served));
        silent.pulse.closed().await;
        new.pulse.serving();
        let newer = table.admit().unwrap();
        assert!(!open(&table, &idle));
        newer.pulse.serving();
        assert!(table.admit().is_none());
        assert!(table.metrics.encode().unwrap().contains("connections_rejected_total{reason=\"full\"} 1"));
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_own_patience() {
        let table = table(8);
        let places: Vec<Place> = (0..4).map(|_| table.admit().unwrap()).collect();
        places[1].pulse.shaken();
        places[2].pulse.answered();
        places[3].pulse.serving();
        table.close_overdue(Instant::now() + Duration::from_millis(4900));
        assert!(places.iter().all(|place| open(&table, place)));
        table.close_overdue(Instant::now() + Duration::from_secs(5));
        assert_eq!(
            places.iter().map(|place| open(&table, place)).collect::<Vec<_>>(),
            [false, false, true, true]
        );
        table.close_overdue(Instant::now() + Duration::from_mins(2));
        assert_eq!(
            places.iter().map(|place| open(&table, place)).collect::<Vec<_>>(),
            [false, false, false, true]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn dripping_a_header_does_not_buy_time() {
        let table = table(8);
        let place = table.admit().unwrap();
        place.pulse.shaken();
        for _ in 0..10 {
            place.pulse.bytes_came();
            tokio::time::advance(Duration::from_millis(500)).await;
        }
        table.close_overdue(Instant::now());
        assert!(!open(&table, &place));
    }
}
