//! When a repository is to be asked: cron expressions in a time zone.
//!
//! Five fields are read as every crontab is: minute, hour, day of the month, month, day of the week with Sunday as 0 or 7.
//! Six or seven are read as Quartz reads them: seconds first, a year last, Sunday as 1, `?` where a day is not asked for. `L`,
//! `W`, `#`, names of months and days, and `@daily` and its like are understood in both.
//!
//! A schedule is looked at whenever the scanner runs: what fell due since the last scan is due now, once.

use std::sync::LazyLock;
use std::{fmt, iter};

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, Zoned};

use super::hash::short_hash;
use super::reference::Repository;
use super::time::is_of_the_future;

/// The longest expression that is read, in bytes.
const MAX_LENGTH: usize = 200;

/// How much later than its schedule a repository may be asked, so that not everything with the same schedule is asked at
/// the same moment.
const MAX_JITTER: SignedDuration = SignedDuration::from_mins(5);

/// The share of the time between two occurrences that is used for it.
const JITTER_SHARE: i32 = 10;

/// Nobody schedules anything before; a year that is over is as good as a date that never comes.
const FIRST_YEAR: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// How many occurrences are looked at to tell how close they are: more than the hours of a day.
const TELLING_OCCURRENCES: usize = 50;

/// Always the same zones, whatever the image has.
static TIME_ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Points in time that repeat.
#[derive(Debug, Clone)]
pub struct Schedule {
    written: String,
    cron: Cron,
    time_zone: TimeZone,
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        (&self.written, &self.time_zone) == (&other.written, &other.time_zone)
    }
}

impl Eq for Schedule {}

/// A time zone by its IANA name, such as `Europe/Paris`; the error says what is wrong.
pub fn time_zone(name: &str) -> Result<TimeZone, String> {
    TIME_ZONES
        .get(name)
        .map_err(|_| "it is not the name of a time zone; write one such as Europe/Paris or UTC".to_owned())
}

impl Schedule {
    /// Reads an expression; the error says what is wrong with it.
    pub fn parse(written: &str, time_zone: TimeZone) -> Result<Self, String> {
        if written.len() > MAX_LENGTH {
            return Err(format!(
                "it has {} characters, and may have {MAX_LENGTH}",
                written.len()
            ));
        }
        let cron = read(written)?;
        let schedule = Self {
            written: written.to_owned(),
            cron,
            time_zone,
        };
        if schedule.next(FIRST_YEAR).is_none() {
            return Err("no such time will ever come".to_owned());
        }
        Ok(schedule)
    }

    /// The last time at or before `now` that it fell due; `None` before the first.
    pub fn last(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.to_zoned(self.time_zone.clone());
        self.cron
            .find_previous_occurrence(&now, true)
            .ok()
            .map(|found: Zoned| found.timestamp())
    }

    /// The first time after `now` that it will fall due.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.to_zoned(self.time_zone.clone());
        self.cron
            .find_next_occurrence(&now, false)
            .ok()
            .map(|found: Zoned| found.timestamp())
    }

    /// Whether a repository that was last asked then is to be asked now. However often it fell due meanwhile, it is due
    /// once. Nobody knows when it was asked where that was noted by a clock that was ahead, so it is due then.
    pub fn is_due(&self, repository: &Repository, last_asked: Timestamp, now: Timestamp) -> bool {
        if is_of_the_future(last_asked, now) {
            return true;
        }
        let jitter = self.jitter(repository, now);
        let fell_due = now
            .checked_sub(jitter)
            .ok()
            .and_then(|earlier| self.last(earlier));
        fell_due.is_some_and(|fell_due| fell_due + jitter > last_asked)
    }

    /// Whether it ever falls due twice within less than `interval`, as far as its first occurrences tell.
    pub fn is_finer_than(&self, interval: SignedDuration) -> bool {
        let occurrences = iter::successors(self.next(FIRST_YEAR), |last| self.next(*last));
        let occurrences: Vec<Timestamp> = occurrences.take(TELLING_OCCURRENCES).collect();
        let mut pairs = occurrences.windows(2);
        pairs.any(|pair| pair[1].duration_since(pair[0]) < interval)
    }

    /// How much later than the others a repository is asked: always the same, and at most a tenth of the time between two
    /// occurrences.
    fn jitter(&self, repository: &Repository, now: Timestamp) -> SignedDuration {
        let (Some(last), Some(next)) = (self.last(now), self.next(now)) else {
            return SignedDuration::ZERO;
        };
        let room = (next.duration_since(last) / JITTER_SHARE).min(MAX_JITTER);
        let place = u32::from_str_radix(&short_hash(&repository.to_string(), 8), 16).unwrap_or(0);
        let share = f64::from(place) / (f64::from(u32::MAX) + 1.0);
        SignedDuration::from_secs_f64(room.as_secs_f64() * share)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)?;
        match self.time_zone.iana_name() {
            Some(name) => write!(f, " {name}"),
            None => Ok(()),
        }
    }
}

fn read(written: &str) -> Result<Cron, String> {
    let fields: Vec<&str> = written.split_whitespace().collect();
    let is_nickname = written.starts_with('@');
    let is_quartz = match fields.len() {
        1 if is_nickname => false,
        5 => false,
        6 | 7 => true,
        count => {
            return Err(format!(
                "it has {count} fields; write five as in a crontab (\"0 3 * * 1-5\" is weekdays at three), or six or seven \
                 as Quartz has them, with seconds first"
            ));
        }
    };
    if is_quartz {
        let asks_for_day = |field: &str| !matches!(field, "?" | "*");
        if asks_for_day(fields[3]) && asks_for_day(fields[5]) {
            return Err(
                "with seconds, the day of the month or the day of the week must be ?, as Quartz wants it"
                    .to_owned(),
            );
        }
    }
    let parser = CronParser::builder()
        .seconds(if is_quartz {
            Seconds::Required
        } else {
            Seconds::Disallowed
        })
        .year(if is_quartz {
            Year::Optional
        } else {
            Year::Disallowed
        })
        .alternative_weekdays(is_quartz)
        .sloppy_ranges(true)
        .build();
    parser.parse(written).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-21T12:00:00Z";

    fn at(written: &str) -> Timestamp {
        written.parse().unwrap()
    }

    fn schedule(written: &str, zone: &str) -> Schedule {
        Schedule::parse(written, time_zone(zone).unwrap())
            .unwrap_or_else(|error| panic!("{written}: {error}"))
    }

    fn repository(name: &str) -> Repository {
        format!("registry.example/{name}").parse().unwrap()
    }

    /// Expression, zone, when it fell due before [`NOW`], and when it will after.
    const CASES: [(&str, &str, &str, &str); 12] = [
        (
            "*/15 * * * *",
            "UTC",
            "2026-11-21T12:00:00Z",
            "2026-11-21T12:15:00Z",
        ),
        (
            "0 3 * * *",
            "Europe/Paris",
            "2026-11-21T02:00:00Z",
            "2026-11-22T02:00:00Z",
        ),
        ("0 9 * * 1", "UTC", "2026-11-16T09:00:00Z", "2026-11-23T09:00:00Z"),
        (
            "0 9 * * MON",
            "UTC",
            "2026-11-16T09:00:00Z",
            "2026-11-23T09:00:00Z",
        ),
        (
            "0 0 9 ? * 2",
            "UTC",
            "2026-11-16T09:00:00Z",
            "2026-11-23T09:00:00Z",
        ),
        (
            "0 0 9 ? * MON",
            "UTC",
            "2026-11-16T09:00:00Z",
            "2026-11-23T09:00:00Z",
        ),
        (
            "0 */5 * * * ?",
            "UTC",
            "2026-11-21T12:00:00Z",
            "2026-11-21T12:05:00Z",
        ),
        (
            "0 0 0 L * ?",
            "UTC",
            "2026-10-31T00:00:00Z",
            "2026-11-30T00:00:00Z",
        ),
        (
            "0 0 0 ? * 6#3",
            "UTC",
            "2026-11-20T00:00:00Z",
            "2026-12-18T00:00:00Z",
        ),
        ("0 0 12 1 JAN ? 2027", "UTC", "", "2027-01-01T12:00:00Z"),
        (
            "0 0 13 * *",
            "UTC",
            "2026-11-13T00:00:00Z",
            "2026-12-13T00:00:00Z",
        ),
        ("@daily", "UTC", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
    ];

    #[test]
    fn both_dialects_say_when_it_fell_due_and_when_it_will() {
        for (written, zone, last, next) in CASES {
            let schedule = schedule(written, zone);
            let shown = |found: Option<Timestamp>| found.map(|found| found.to_string()).unwrap_or_default();
            assert_eq!(shown(schedule.last(at(NOW))), last, "{written}");
            assert_eq!(shown(schedule.next(at(NOW))), next, "{written}");
        }
    }

    #[test]
    fn what_falls_due_more_often_than_every_so_often_is_finer() {
        let quarter = SignedDuration::from_mins(15);
        for (written, expected) in [
            ("0 */5 * * * ?", true),
            ("*/14 * * * *", true),
            ("0,5 3 * * *", true),
            ("* 3 1 1 *", true),
            ("*/15 * * * *", false),
            ("0 * * * *", false),
            ("0 3 * * 1-5", false),
            ("0 0 12 1 JAN ? 2027", false),
        ] {
            let is_finer = schedule(written, "UTC").is_finer_than(quarter);
            assert_eq!(is_finer, expected, "{written}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused_and_so_is_a_date_that_never_comes() {
        let long = format!("{} * * * *", "1,".repeat(150));
        for written in [
            "",
            "* * * *",
            "* * * * * * * *",
            "61 * * * *",
            "* * * * 8",
            "0 0 0 31 2 ?",
            "0 0 30 2 *",
            "0 0 0 1 1 ? 2020",
            "0 0 12 13 * FRI",
            "@fortnightly",
            "every day",
            "0 25 * * *",
            &long,
        ] {
            let error = Schedule::parse(written, TimeZone::UTC).unwrap_err();
            assert!(error.len() > 10, "{written}: {error}");
        }
        for name in ["", "Paris", "Europe/Atlantis", "../../etc/passwd"] {
            assert!(time_zone(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_first_year_is_2026() {
        assert_eq!(FIRST_YEAR, at("2026-01-01T00:00:00Z"));
    }

    #[test]
    fn an_hour_that_the_clocks_skip_falls_due_once() {
        let schedule = schedule("30 2 * * *", "Europe/Paris");
        let (before, after) = (at("2026-03-29T00:30:00Z"), at("2026-03-29T03:00:00Z"));
        let fell_due = schedule.last(after).unwrap();
        assert!(before < fell_due && fell_due <= after, "{fell_due}");
        assert_eq!(schedule.next(fell_due), Some(at("2026-03-30T00:30:00Z")));
    }

    #[test]
    fn what_fell_due_since_the_last_scan_is_due_once() {
        let (daily, shop) = (schedule("0 3 * * *", "UTC"), repository("shop"));
        let cases = [
            ("2026-11-20T03:10:00Z", "2026-11-21T02:59:00Z", false),
            ("2026-11-20T03:10:00Z", "2026-11-21T03:05:00Z", true),
            ("2026-11-21T03:05:00Z", "2026-11-21T03:20:00Z", false),
            ("2026-11-01T00:00:00Z", "2026-11-21T02:00:00Z", true),
            // Noted by a clock that was a year ahead, and by one that is as good as ours.
            ("2027-11-01T00:00:00Z", "2026-11-21T02:00:00Z", true),
            ("2026-11-21T02:00:30Z", "2026-11-21T02:00:00Z", false),
        ];
        for (last_asked, now, expected) in cases {
            assert_eq!(
                daily.is_due(&shop, at(last_asked), at(now)),
                expected,
                "last asked {last_asked}, now {now}"
            );
        }
    }

    #[test]
    fn repositories_with_one_schedule_are_spread_and_each_keeps_its_place() {
        let hourly = schedule("0 * * * *", "UTC");
        let places: std::collections::BTreeSet<_> = (0..50)
            .map(|number| hourly.jitter(&repository(&number.to_string()), at(NOW)))
            .collect();
        assert!(places.len() > 40, "{places:?}");
        assert!(
            places
                .iter()
                .all(|place| !place.is_negative() && *place <= MAX_JITTER)
        );
        let shop = repository("shop");
        assert_eq!(
            hourly.jitter(&shop, at("2026-11-21T12:00:00Z")),
            hourly.jitter(&shop, at("2026-11-21T17:31:00Z"))
        );
        let often = schedule("* * * * *", "UTC");
        assert!(often.jitter(&shop, at(NOW)) <= SignedDuration::from_secs(6));
    }
}
