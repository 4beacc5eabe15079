//! Stretches of time that repeat or stand alone: when changes may be applied, and when they may not.
//!
//! One that repeats is written as when it begins, how long it lasts and in which time zone: `0 22 * * 1-5 4h Europe/Paris`.
//! One that stands alone is an interval: `2026-12-24T00:00/2027-01-02T00:00 Europe/Paris`. Several are separated by `;`. The
//! zone is UTC where none is written. What lasts four hours does so by a stopwatch, also in the night when the clocks change.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::schedule::{Schedule, time_zone};
use super::time::duration;

/// The longest value that is read, in bytes.
const MAX_LENGTH: usize = 1000;

/// How many stretches one value may name.
const MAX_STRETCHES: usize = 20;

/// The longest that one which repeats may last.
const MAX_LENGTH_OF_STRETCH: SignedDuration = SignedDuration::from_hours(366 * 24);

/// How many beginnings and ends are looked at to find the next time at which something is open: a freeze day after day is
/// followed for some months, and nobody can make a look at the cluster take long.
const MAX_STEPS: usize = 200;

/// One or several stretches of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows(Vec<Window>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Window {
    /// From each occurrence, for so long.
    Repeated {
        begins: Box<Schedule>,
        lasts: SignedDuration,
    },
    /// Once; `until` is the first moment outside.
    Once { from: Timestamp, until: Timestamp },
}

impl Windows {
    /// Reads a value; the error says what is wrong with it.
    pub fn parse(written: &str) -> Result<Self, String> {
        if written.len() > MAX_LENGTH {
            let length = written.len();
            return Err(format!("it has {length} characters, and may have {MAX_LENGTH}"));
        }
        let windows: Vec<Window> = written.split(';').map(Window::parse).collect::<Result<_, _>>()?;
        if windows.len() > MAX_STRETCHES {
            let count = windows.len();
            return Err(format!(
                "it names {count} stretches of time, and may name {MAX_STRETCHES}"
            ));
        }
        Ok(Self(windows))
    }

    /// Where a time lies inside: the end of the stretch that goes on the longest. Another may begin before that.
    pub fn end_at(&self, time: Timestamp) -> Option<Timestamp> {
        self.0.iter().filter_map(|window| window.end_at(time)).max()
    }

    /// The next beginning after a time, inside or outside; `None`: there is none any more.
    pub fn next_begin(&self, time: Timestamp) -> Option<Timestamp> {
        self.0.iter().filter_map(|window| window.next_begin(time)).min()
    }
}

impl Window {
    fn parse(written: &str) -> Result<Self, String> {
        let words: Vec<&str> = written.split_whitespace().collect();
        match words.as_slice() {
            [] => Err("a stretch of time is missing, such as 0 22 * * 1-5 4h Europe/Paris".to_owned()),
            [interval, zone @ ..] if is_interval(interval) => once(interval, zone),
            words => repeated(words),
        }
    }

    fn end_at(&self, time: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Repeated { begins, lasts } => {
                let end = begins.last(time)?.checked_add(*lasts).unwrap_or(Timestamp::MAX);
                Some(end).filter(|end| time < *end)
            }
            Self::Once { from, until } => Some(*until).filter(|until| (*from..*until).contains(&time)),
        }
    }

    fn next_begin(&self, time: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Repeated { begins, .. } => begins.next(time),
            Self::Once { from, .. } => Some(*from).filter(|from| time < *from),
        }
    }
}

/// The first time from `now` on that lies in a window, where there are any, and in no freeze. `None`: there is none, or none
/// for months.
pub fn next_open(window: Option<&Windows>, freeze: Option<&Windows>, now: Timestamp) -> Option<Timestamp> {
    let mut time = now;
    for _ in 0..MAX_STEPS {
        let frozen_until = freeze.and_then(|freeze| freeze.end_at(time));
        let closed = window.filter(|window| window.end_at(time).is_none());
        time = match (frozen_until, closed) {
            (Some(end), _) => end,
            (None, Some(window)) => window.next_begin(time)?,
            (None, None) => return Some(time),
        };
    }
    None
}

/// Whether it begins as a date does, which no cron expression can.
fn is_interval(word: &str) -> bool {
    let (year, rest) = word.split_at_checked(4).unwrap_or_default();
    year.bytes().all(|byte| byte.is_ascii_digit()) && rest.starts_with('-')
}

fn once(interval: &str, zone: &[&str]) -> Result<Window, String> {
    let example = "write an interval such as 2026-12-24T00:00/2027-01-02T00:00 Europe/Paris";
    let (from, until) = interval.split_once('/').ok_or(example)?;
    let (from, until) = match zone {
        [] if from.ends_with('Z') || until.ends_with('Z') => {
            let time = |written: &str| written.parse::<Timestamp>().map_err(|_| example.to_owned());
            (time(from)?, time(until)?)
        }
        [] => (local(from, &TimeZone::UTC)?, local(until, &TimeZone::UTC)?),
        [name] => {
            let zone = time_zone(name).map_err(|error| format!("{name}: {error}"))?;
            (local(from, &zone)?, local(until, &zone)?)
        }
        _ => return Err(example.to_owned()),
    };
    if until <= from {
        return Err("it ends before it begins".to_owned());
    }
    Ok(Window::Once { from, until })
}

/// A time on the clocks of a zone. A day alone is refused: nobody can see whether the last one is meant to be inside.
fn local(written: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let refused = || {
        format!(
            "{written} is no date with a time, such as 2026-12-24T00:00; the time zone is a word of its own"
        )
    };
    let is_plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'T');
    let is_whole = written
        .get(10..)
        .is_some_and(|time| time.starts_with('T') && !time.contains('-'));
    if !is_whole || !written.bytes().all(is_plain) {
        return Err(refused());
    }
    let time: DateTime = written.parse().map_err(|_| refused())?;
    let instant = zone.to_ambiguous_timestamp(time).compatible();
    instant.map_err(|_| refused())
}

fn repeated(words: &[&str]) -> Result<Window, String> {
    let length = |word: &str| duration(word, MAX_LENGTH_OF_STRETCH);
    let (cron, lasts, zone) = match words {
        [cron @ .., lasts] if looks_like_duration(lasts) => (cron, length(lasts)?, TimeZone::UTC),
        [cron @ .., lasts, zone] if looks_like_duration(lasts) => {
            let zone = time_zone(zone).map_err(|error| format!("{zone}: {error}"))?;
            (cron, length(lasts)?, zone)
        }
        _ => {
            return Err(
                "it does not say how long it lasts; write when it begins, how long it lasts and in which time zone, such \
                 as 0 22 * * 1-5 4h Europe/Paris"
                    .to_owned(),
            );
        }
    };
    let begins = Box::new(Schedule::parse(&cron.join(" "), zone)?);
    Ok(Window::Repeated { begins, lasts })
}

/// Numbers with units, which neither a field of a cron expression nor a time zone is.
fn looks_like_duration(word: &str) -> bool {
    let starts = word.starts_with(|first: char| first.is_ascii_digit());
    starts
        && word.ends_with(|last: char| last.is_ascii_lowercase())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests;
