//! Waiting for what a watch is about to tell: woken by the news itself, bounded in time and in number.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout_at};

/// The longest wait. A watch is behind by milliseconds; what is not known after this is not known.
const PATIENCE: Duration = Duration::from_millis(200);
/// Requests that wait at the same time; further ones are judged at once, so that waiting is no way to hold up others.
const PLACES: usize = 16;

/// Where requests wait for news of the cluster.
#[derive(Debug)]
pub struct Arrivals {
    news: Notify,
    places: Semaphore,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self { news: Notify::new(), places: Semaphore::new(PLACES) }
    }
}

impl Arrivals {
    /// Says that something is known now that was not known before.
    pub fn told(&self) {
        self.news.notify_waiters();
    }

    /// Waits until `met`, which is asked again at all news.
    ///
    /// Guarantees: does not wait where it is met already; returns by `deadline` and within 200 ms; at most 16 wait at the
    /// same time.
    pub(super) async fn until(&self, deadline: Instant, met: impl Fn() -> bool + Send) {
        if met() {
            return;
        }
        let Ok(_place) = self.places.try_acquire() else { return };
        let end = deadline.min(Instant::now() + PATIENCE);
        loop {
            let mut news = pin!(self.news.notified());
            // Listening begins before the question, so that no news falls between the two.
            news.as_mut().enable();
            if met() || timeout_at(end, news).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test]
    async fn news_end_the_wait() {
        let (arrivals, known) = (Arc::new(Arrivals::default()), Arc::new(AtomicBool::new(false)));
        let teller = (Arc::clone(&arrivals), Arc::clone(&known));
        let begun = Instant::now();
        tokio::spawn(async move {
            // Other news do not end it, and this runs only once the request waits.
            teller.0.told();
            teller.1.store(true, Ordering::SeqCst);
            teller.0.told();
        });
        arrivals.until(soon(), || known.load(Ordering::SeqCst)).await;
        assert!(known.load(Ordering::SeqCst) && begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn waiting_in_vain_is_short_and_keeps_nobody_else_waiting() {
        let arrivals = Arc::new(Arrivals::default());
        let begun = Instant::now();
        let waiting: Vec<_> = (0..PLACES)
            .map(|_| {
                let arrivals = Arc::clone(&arrivals);
                tokio::spawn(async move { arrivals.until(soon(), || false).await })
            })
            .collect();
        while arrivals.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        arrivals.until(soon(), || false).await;
        assert!(begun.elapsed() < PATIENCE, "one more is not kept");
        for task in waiting {
            task.await.unwrap();
        }
        assert!(begun.elapsed() >= PATIENCE && begun.elapsed() < 10 * PATIENCE, "{:?}", begun.elapsed());
        let late = Instant::now();
        arrivals.until(begun, || false).await;
        assert!(late.elapsed() < PATIENCE, "a deadline that has passed is no wait");
    }
}
