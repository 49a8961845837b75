//! How often one says that something goes on failing: at once, then ever more seldom, and once when it is over.

use std::time::Duration;

use tokio::time::Instant;

/// Between the first two times.
const FIRST: Duration = Duration::from_secs(10);
/// Between two times at most.
const LONGEST: Duration = Duration::from_mins(5);

/// Between the first two tries of what is refused.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// Between two tries at most.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Something that may fail again and again. It is tried as often as ever; only the words become rare.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    said: Option<(Instant, Duration)>,
}

impl Trouble {
    /// It failed. Returns whether that is to be said now.
    pub(super) fn is_to_be_said(&mut self) -> bool {
        let pause = match self.said {
            None => FIRST,
            Some((at, pause)) if at.elapsed() >= pause => (pause * 2).min(LONGEST),
            Some(_) => return false,
        };
        self.said = Some((Instant::now(), pause));
        true
    }

    /// It went well. Returns whether it had failed before, which is to be said once.
    pub(super) fn is_over(&mut self) -> bool {
        self.said.take().is_some()
    }
}

/// How long what the API server refuses is left alone: a second at first, then ever longer.
#[derive(Debug, Default)]
pub(super) struct Pause {
    since: Option<(Instant, Duration)>,
}

impl Pause {
    /// It was refused. Whatever else is refused in the same look counts with it.
    pub(super) fn failed(&mut self) {
        if !self.lasts() {
            let pause = self.since.map_or(SHORTEST_PAUSE, |(_, pause)| (pause * 2).min(LONGEST_PAUSE));
            self.since = Some((Instant::now(), pause));
        }
    }

    /// Whether it is to be left alone for now.
    pub(super) fn lasts(&self) -> bool {
        self.since.is_some_and(|(at, pause)| at.elapsed() < pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_lasts_is_said_at_once_then_seldom_and_its_end_once() {
        let mut trouble = Trouble::default();
        assert!(!trouble.is_over());
        let begun = Instant::now();
        let mut said = Vec::new();
        for _ in 0..600 {
            if trouble.is_to_be_said() {
                said.push(begun.elapsed().as_secs());
            }
            tokio::time::advance(Duration::from_secs(3)).await;
        }
        assert_eq!(said, [0, 12, 33, 75, 156, 318, 618, 918, 1218, 1518]);
        assert!(trouble.is_over() && !trouble.is_over());
        assert!(trouble.is_to_be_said(), "a new one is said at once");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_is_tried_ever_more_seldom() {
        let mut pause = Pause::default();
        let begun = Instant::now();
        let mut tried = Vec::new();
        for _ in 0..400 {
            if !pause.lasts() {
                tried.push(begun.elapsed().as_secs());
                // Two writes of one look.
                pause.failed();
                pause.failed();
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(tried, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363]);
    }
}
