//! When a repository is to be asked: cron expressions in a time zone.
//!
//! Five fields are read as every crontab is: minute, hour, day of the month, month, day of the week with Sunday as 0 or 7.
//! Six or seven are read as Quartz reads them: the second first, a year last, Sunday as 1, `?` where a day is not asked for. `L`,
//! `W`, `#`, names of months and days, and `@daily` and its like are understood in both.
//!
//! Tenants write them, and they are looked at again and again. So the second is one number, nobody looks beyond certain years, and
//! an hour that the clocks skip is one step, however many minutes of it are named.
//!
//! A schedule is looked at whenever the scanner runs: what fell due since the last scan is due now, once.

mod clock;

use std::ops::RangeInclusive;
use std::sync::LazyLock;
use std::{fmt, iter};

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::{Cron, CronComponent, Direction, JobType};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use self::clock::Clock;
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

/// The years that are looked at. No clock is set to an earlier one, and the rarest that repeats, a leap day on one day of the week,
/// comes again within 40 years.
const YEARS: RangeInclusive<u16> = 1970..=2100;

/// The bit by which croner's tables say that a value is asked for.
const ASKED_FOR: u8 = 1;

/// The least that times of a schedule differ by.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// How often a search may come to a time that the clocks skip, and go on: twice a year, more than which no zone skips.
const MAX_SKIPPED: usize = 300;

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
            let end = *YEARS.end();
            return Err(format!("no such time will come by the end of the year {end}"));
        }
        Ok(schedule)
    }

    /// The last time at or before `now` that it fell due; `None` before the first.
    pub fn last(&self, now: Timestamp) -> Option<Timestamp> {
        self.find(now, Direction::Backward)
    }

    /// The first time after `now` that it will fall due.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        self.find(now, Direction::Forward)
    }

    /// The nearest occurrence: forward after `now`, backward at `now` or before. One that the clocks skip falls due as they go on where
    /// there is one a day; where there are more, it is left out, as the next one is near.
    fn find(&self, now: Timestamp, direction: Direction) -> Option<Timestamp> {
        let once_a_day = self.cron.determine_job_type() == JobType::FixedTime;
        let (mut from, mut inclusive) = (now, direction == Direction::Backward);
        for _ in 0..MAX_SKIPPED {
            let clock = Clock::from(from.to_zoned(self.time_zone.clone()));
            let found = match direction {
                Direction::Forward => self.cron.find_next_occurrence(&clock, inclusive),
                Direction::Backward => self.cron.find_previous_occurrence(&clock, inclusive),
            };
            let found = found.ok()?;
            if once_a_day || !found.is_skipped() {
                return Some(found.timestamp());
            }
            inclusive = true;
            from = match direction {
                Direction::Forward => found.timestamp(),
                Direction::Backward => found.timestamp().checked_sub(SECOND).ok()?,
            };
        }
        None
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
        check_second(&fields)?;
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
    let read = parser.parse(written).and_then(within_years);
    read.map_err(|error| error.to_string())
}

/// Several seconds of a minute would be sixty times the work for the same minutes.
fn check_second(fields: &[&str]) -> Result<(), String> {
    let Some((second, rest)) = fields.split_first() else {
        return Ok(());
    };
    let is_number = second.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && second.parse::<u8>().is_ok_and(|second| second < 60) {
        return Ok(());
    }
    Err(format!(
        "six or seven fields begin with the second, which must be one number from 0 to 59, as nothing is done several times a \
         minute; write \"0 {}\"",
        rest.join(" ")
    ))
}

/// Croner's table of years is five kilobytes, of which most would never be read. A search ends at the edges of ours.
fn within_years(mut cron: Cron) -> Result<Cron, CronError> {
    let mut years = CronComponent::new(*YEARS.start(), *YEARS.end(), 0, 0);
    for year in YEARS {
        if cron.pattern.year_match(i32::from(year))? {
            years.set_bit(year, ASKED_FOR)?;
        }
    }
    cron.pattern.years = years;
    Ok(cron)
}

#[cfg(test)]
mod tests;
