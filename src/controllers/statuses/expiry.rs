//! What ends on a day, and who is warned how long before. Pure.

use jiff::Timestamp;

/// Days before an end at which somebody is warned, the last one being the end itself.
pub const DAYS: [u8; 4] = [0, 1, 7, 30];

/// The nearest mark that has been passed on the way to `until`; `None` while the end is far away.
#[must_use]
pub fn mark(until: Timestamp, now: Timestamp) -> Option<u8> {
    let left = until.as_second() - now.as_second();
    DAYS.into_iter().find(|days| left < i64::from(*days) * 86_400)
}

/// Whether passing `mark` is news to somebody who was warned at `warned` last.
#[must_use]
pub fn is_news(mark: Option<u8>, warned: Option<u8>) -> bool {
    match (mark, warned) {
        (Some(mark), Some(warned)) => mark < warned,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// `in 6 days`, `within a day`, or `is over`.
#[must_use]
pub fn left(until: Timestamp, now: Timestamp) -> String {
    let seconds = until.as_second() - now.as_second();
    match seconds / 86_400 {
        _ if seconds < 0 => "is over".to_owned(),
        0 => "ends within a day".to_owned(),
        1 => "ends in 1 day".to_owned(),
        days => format!("ends in {days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_is_news_once() {
        let now = Timestamp::from_second(1_000_000_000).unwrap();
        let until = |hours: i64| Timestamp::from_second(1_000_000_000 + hours * 3600).unwrap();
        let marks = [744, 719, 192, 167, 36, 23, -1].map(|hours| mark(until(hours), now));
        assert_eq!(marks, [None, Some(30), Some(30), Some(7), Some(7), Some(1), Some(0)]);
        let mut warned = None;
        let mut told = Vec::new();
        for mark in marks {
            if is_news(mark, warned) {
                told.push(mark);
                warned = mark;
            }
        }
        assert_eq!(told, [Some(30), Some(7), Some(1), Some(0)]);
        assert_eq!(left(until(156), now), "ends in 6 days");
        assert_eq!(left(until(12), now), "ends within a day");
    }
}
