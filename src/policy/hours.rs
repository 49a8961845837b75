//! Office hours, as profiles write them: days, hours, and how far the place is ahead of UTC.

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::Offset;

use super::facts::Settings;

/// The parameter of `AIProfile`, such as `Mon-Fri 08:00-18:00 +01:00`; without an offset the hours are of UTC.
pub const PARAMETER: &str = "officeHours";

/// Hours of some days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    first: Weekday,
    last: Weekday,
    /// Minutes of the day: from, and up to.
    from: i16,
    until: i16,
    offset: Offset,
}

impl Hours {
    /// Reads the hours; nothing where the text says none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (first, last) = words.next()?.split_once('-')?;
        let (from, until) = words.next()?.split_once('-')?;
        let offset = match words.next() {
            None => Offset::UTC,
            Some(text) => {
                let minutes = i32::from(minutes(text.get(1..)?)?);
                let signed = match text.as_bytes().first()? {
                    b'+' => minutes,
                    b'-' => -minutes,
                    _ => return None,
                };
                Offset::from_seconds(signed * 60).ok()?
            }
        };
        let hours = Self {
            first: day(first)?,
            last: day(last)?,
            from: minutes(from)?,
            until: minutes(until)?,
            offset,
        };
        (words.next().is_none() && hours.from < hours.until).then_some(hours)
    }

    /// Whether an instant lies within.
    #[must_use]
    pub fn hold(&self, at: Timestamp) -> bool {
        let local = self.offset.to_datetime(at);
        let number = |day: Weekday| day.to_monday_zero_offset();
        let today = number(local.weekday());
        let (first, last) = (number(self.first), number(self.last));
        let day =
            if first <= last { (first..=last).contains(&today) } else { today >= first || today <= last };
        let minute = i16::from(local.hour()) * 60 + i16::from(local.minute());
        day && (self.from..self.until).contains(&minute)
    }
}

/// The hours of an applying profile outside which `at` lies, as they are written; nothing where no profile states any.
#[must_use]
pub fn outside(settings: &Settings, at: Timestamp) -> Option<&str> {
    let stated = settings.parameters.get(PARAMETER).into_iter().flatten();
    stated.map(String::as_str).find(|text| Hours::read(text).is_some_and(|hours| !hours.hold(at)))
}

fn day(name: &str) -> Option<Weekday> {
    Some(match name {
        "Mon" => Weekday::Monday,
        "Tue" => Weekday::Tuesday,
        "Wed" => Weekday::Wednesday,
        "Thu" => Weekday::Thursday,
        "Fri" => Weekday::Friday,
        "Sat" => Weekday::Saturday,
        "Sun" => Weekday::Sunday,
        _ => return None,
    })
}

/// `08:30` in minutes; at most 24 hours.
fn minutes(text: &str) -> Option<i16> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (i16, i16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let all = hours * 60 + minutes;
    ((0..60).contains(&minutes) && (0..=24 * 60).contains(&all)).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(hours: &str, at: &str) -> bool {
        Hours::read(hours).unwrap().hold(at.parse().unwrap())
    }

    #[test]
    fn hours_hold_on_their_days_and_in_their_place() {
        let hours = "Mon-Fri 08:00-18:00 +01:00";
        assert!(holds(hours, "2026-06-01T07:00:00Z"), "Monday, 8 o'clock there");
        assert!(!holds(hours, "2026-06-01T06:59:59Z"));
        assert!(!holds(hours, "2026-06-01T17:00:00Z"), "18 o'clock there");
        assert!(!holds(hours, "2026-05-31T12:00:00Z"), "Sunday");
        assert!(holds("Sun-Thu 08:00-18:00", "2026-05-31T12:00:00Z"));
        assert!(holds("Mon-Sun 00:00-24:00", "2026-05-31T23:59:00Z"));
    }

    #[test]
    fn what_says_no_hours_is_none() {
        for text in [
            "",
            "always",
            "Mon-Fri",
            "Mon-Fri 18:00-08:00",
            "Mo-Fr 08:00-18:00",
            "Mon-Fri 8-18",
            "Mon-Fri 08:00-18:00 CET",
        ] {
            assert_eq!(Hours::read(text), None, "{text}");
        }
    }
}
