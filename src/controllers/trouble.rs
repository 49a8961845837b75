//! How often one says that something goes on failing: at once, then ever more seldom, and once when it is over.

use std::time::Duration;

use tokio::time::Instant;

/// Between the first two times.
const FIRST: Duration = Duration::from_secs(10);
/// Between two times at most.
const LONGEST: Duration = Duration::from_mins(5);

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
}
