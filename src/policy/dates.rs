//! Dates and durations as the resources write them.

use jiff::{SignedDuration, Span, Timestamp, civil::Date, tz::TimeZone};

/// The last instant at which `text` still holds: an RFC 3339 time is itself, a plain date (`2027-01-31`) is its last
/// second in UTC. `None` when it is neither.
#[must_use]
pub fn until(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let date: Date = text.parse().ok()?;
    // The last days of the year 9999 lie beyond what an instant can be.
    Some(date.at(23, 59, 59, 0).to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp()))
}

/// How far the clocks of others may run ahead.
pub const SKEW: SignedDuration = SignedDuration::from_mins(10);
/// How far ahead of UTC a day begins where it begins first.
const EARLIEST: SignedDuration = SignedDuration::from_hours(14);

/// Whether `text` names a time that is still to come, clocks that run ahead aside: what is said to have happened then has
/// not. A plain date may come from where it is tomorrow already. What is no date does not lie ahead.
#[must_use]
pub fn ahead(text: &str, now: Timestamp) -> bool {
    let tolerance = if text.parse::<Timestamp>().is_ok() { SKEW } else { EARLIEST };
    from(text).is_some_and(|at| at.duration_since(now) > tolerance)
}

/// The instant without its fraction, which is how statuses and the audit trail write times.
#[must_use]
pub fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// The first instant at which `text` holds: an RFC 3339 time is itself, a plain date is its first second in UTC.
#[must_use]
pub fn from(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let date: Date = text.parse().ok()?;
    date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// The length of an ISO 8601 duration such as `P90D` or `PT24H`; calendar units count as 365, 30 and 7 days.
#[must_use]
pub fn duration(text: &str) -> Option<SignedDuration> {
    let span: Span = text.parse().ok()?;
    let days = i64::from(span.get_years()) * 365
        + i64::from(span.get_months()) * 30
        + i64::from(span.get_weeks()) * 7
        + i64::from(span.get_days());
    let seconds = i64::from(span.get_hours()) * 3600 + span.get_minutes() * 60 + span.get_seconds();
    Some(SignedDuration::from_secs(days.checked_mul(86_400)?.checked_add(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_dates_hold_to_their_end() {
        assert_eq!(until("2027-01-31").unwrap().to_string(), "2027-01-31T23:59:59Z");
        assert_eq!(from("2027-01-31").unwrap().to_string(), "2027-01-31T00:00:00Z");
        assert_eq!(until("2027-01-31T10:00:00Z").unwrap().to_string(), "2027-01-31T10:00:00Z");
        assert_eq!(until("soon"), None);
        assert_eq!(until("9999-12-31"), Some(Timestamp::MAX));
        let now = "2027-01-31T10:00:00Z".parse().unwrap();
        assert!(!ahead("2027-01-31", now) && !ahead("2027-01-31T10:05:00Z", now) && !ahead("soon", now));
        assert!(ahead("2027-02-02", now) && ahead("2027-01-31T10:30:00Z", now));
        assert_eq!(duration("P90D").unwrap().as_hours(), 90 * 24);
        assert_eq!(duration("PT24H").unwrap().as_hours(), 24);
        assert_eq!(duration("x"), None);
    }

    #[test]
    fn a_day_has_come_where_it_begins_first() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        // At noon in Kiritimati it is 22:00 of the day before in UTC: whoever writes today's date there is right.
        assert!(!ahead("2027-02-01", at("2027-01-31T10:00:00Z")));
        assert!(ahead("2027-02-01", at("2027-01-31T09:59:00Z")));
        assert!(ahead("2027-02-01T00:00:00Z", at("2027-01-31T10:00:00Z")));
    }

    #[test]
    fn the_fraction_of_a_second_is_cut() {
        assert_eq!(second("2027-01-31T10:00:00.999Z".parse().unwrap()).to_string(), "2027-01-31T10:00:00Z");
    }
}
