//! A moment as croner reads it off the clocks of a time zone.
//!
//! Croner goes through the hours that the clocks skip minute by minute, and for a time of the day even second by second. Whoever writes
//! a schedule chooses both the hours and the zone, and could make every look at it take long. Here a time that is skipped is the moment
//! at which the clocks go on, and the one who searches decides what becomes of it.

use std::cmp::Ordering;

use croner::errors::CronError;
use croner::{CivilDateTime, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::{Timestamp, Zoned};

/// A moment in a time zone.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    moment: Zoned,
    /// What the clocks show then, or a time that they skip then.
    shown: CivilDateTime,
}

impl From<Zoned> for Clock {
    fn from(moment: Zoned) -> Self {
        let shown = moment.to_civil();
        Self { moment, shown }
    }
}

impl Clock {
    pub(super) fn timestamp(&self) -> Timestamp {
        self.moment.timestamp()
    }

    /// Whether the clocks never show the time that it stands for.
    pub(super) fn is_skipped(&self) -> bool {
        self.shown != self.moment.to_civil()
    }

    /// The moment at which the clocks go on, past a time that they skip.
    fn after(&self, skipped: CivilDateTime) -> Option<Zoned> {
        let number = |number: u32| i8::try_from(number).ok();
        let year = i16::try_from(skipped.year()).ok()?;
        let (month, day) = (number(skipped.month())?, number(skipped.day())?);
        let (hour, minute) = (number(skipped.hour())?, number(skipped.minute())?);
        let second = number(skipped.second())?;
        let skipped = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
        let zone = self.moment.time_zone();
        let before = zone.to_ambiguous_timestamp(skipped).earlier().ok()?;
        let change = zone.following(before).next()?;
        Some(change.timestamp().to_zoned(zone.clone()))
    }
}

impl CronDateTime for Clock {
    fn to_civil(&self) -> CivilDateTime {
        self.shown
    }

    fn civil_weekday(&self) -> Weekday {
        self.moment.civil_weekday()
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let clock = |moment: Zoned| Self { moment, shown: civil };
        Ok(match self.moment.resolve_civil(civil)? {
            Resolution::Single(moment) => Resolution::Single(clock(moment)),
            Resolution::Ambiguous(earlier, later) => Resolution::Ambiguous(clock(earlier), clock(later)),
            Resolution::Gap => match self.after(civil) {
                Some(moment) => Resolution::Single(clock(moment)),
                None => Resolution::Gap,
            },
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.moment.checked_add_seconds(seconds).map(Self::from)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.moment.cmp_instant(&other.moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::schedule::time_zone;

    /// A zone, what its clocks would show, and when they do.
    const TIMES: [(&str, &str, &str); 9] = [
        ("Europe/Paris", "2026-03-29T01:59:59", "once 2026-03-29T00:59:59Z"),
        (
            "Europe/Paris",
            "2026-03-29T02:00:00",
            "skipped 2026-03-29T01:00:00Z",
        ),
        (
            "Europe/Paris",
            "2026-03-29T02:59:59",
            "skipped 2026-03-29T01:00:00Z",
        ),
        ("Europe/Paris", "2026-03-29T03:00:00", "once 2026-03-29T01:00:00Z"),
        (
            "Europe/Paris",
            "2026-10-25T02:30:00",
            "twice 2026-10-25T00:30:00Z 2026-10-25T01:30:00Z",
        ),
        // Two hours at once, the last one of a day, and a whole day.
        (
            "Antarctica/Troll",
            "2099-03-29T01:30:00",
            "skipped 2099-03-29T01:00:00Z",
        ),
        (
            "America/Nuuk",
            "2026-03-28T23:30:00",
            "skipped 2026-03-29T01:00:00Z",
        ),
        (
            "Pacific/Apia",
            "2011-12-30T12:00:00",
            "skipped 2011-12-30T10:00:00Z",
        ),
        ("UTC", "2026-03-29T02:30:00", "once 2026-03-29T02:30:00Z"),
    ];

    #[test]
    fn a_time_that_is_skipped_is_the_moment_at_which_the_clocks_go_on() {
        let start: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (zone, written, expected) in TIMES {
            let civil = written.parse::<DateTime>().unwrap().to_civil();
            let clock = Clock::from(start.to_zoned(time_zone(zone).unwrap()));
            assert!(!clock.is_skipped(), "{zone}");
            let found = match clock.resolve_civil(civil).unwrap() {
                Resolution::Single(found) => {
                    assert_eq!(found.to_civil(), civil, "{zone} {written}");
                    let word = if found.is_skipped() { "skipped" } else { "once" };
                    format!("{word} {}", found.timestamp())
                }
                Resolution::Ambiguous(earlier, later) => {
                    assert!(!earlier.is_skipped() && !later.is_skipped(), "{zone} {written}");
                    format!("twice {} {}", earlier.timestamp(), later.timestamp())
                }
                Resolution::Gap => "nowhere".to_owned(),
            };
            assert_eq!(found, expected, "{zone} {written}");
        }
    }
}
