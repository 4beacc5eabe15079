//! The five-field schedules of a `CronJob`, and the `@hourly` sort. A small parser of its own: the sandbox must read
//! schedules as Kubernetes does, where day of month and day of week, both given, mean either.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

/// A parsed schedule: one bit for every minute, hour, day, month and weekday (0 is Sunday).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    any_day: bool,
    any_weekday: bool,
}

/// A schedule that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unable to read the schedule {schedule:?}: {problem}")]
pub struct ScheduleError {
    schedule: String,
    problem: String,
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// Further ahead nobody schedules; February 29th comes within eight years.
const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 366 * 9);

impl std::str::FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(schedule: &str) -> Result<Self, ScheduleError> {
        let expanded = match schedule.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let failed = |problem: String| ScheduleError {
            schedule: schedule.to_owned(),
            problem,
        };
        let fields: Vec<&str> = expanded.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(failed(format!("expected 5 fields, found {}", fields.len())));
        };
        let is_any = |field: &str| field.starts_with('*') || field.starts_with('?');
        let weekday_bits = bits(weekdays, 0, 7, &WEEKDAYS, 0).map_err(failed)?;
        Ok(Self {
            minutes: bits(minutes, 0, 59, &[], 0).map_err(failed)?,
            hours: bits(hours, 0, 23, &[], 0).map_err(failed)?,
            days: bits(days, 1, 31, &[], 0).map_err(failed)?,
            months: bits(months, 1, 12, &MONTHS, 1).map_err(failed)?,
            // 7 is Sunday too.
            weekdays: (weekday_bits | weekday_bits >> 7) & 0x7f,
            any_day: is_any(days),
            any_weekday: is_any(weekdays),
        })
    }
}

fn bits(field: &str, low: u32, high: u32, names: &[&str], first_name: u32) -> Result<u64, String> {
    let number = |text: &str| -> Result<u32, String> {
        let lower = text.to_lowercase();
        if let Some(index) = names.iter().position(|name| *name == lower) {
            return Ok(first_name + u32::try_from(index).unwrap_or_default());
        }
        let value: u32 = text
            .parse()
            .map_err(|_ignored| format!("{text:?} is not a number"))?;
        if (low..=high).contains(&value) {
            Ok(value)
        } else {
            Err(format!("{value} is not between {low} and {high}"))
        }
    };
    let mut set = 0;
    for part in field.split(',') {
        let (range, step) = part
            .split_once('/')
            .map_or((part, None), |(range, step)| (range, Some(step)));
        let every: u32 = step
            .map_or(Ok(1), str::parse)
            .map_err(|_ignored| format!("bad step in {part:?}"))?;
        if every == 0 {
            return Err(format!("a step of 0 in {part:?}"));
        }
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None if range == "*" || range == "?" => (low, high),
            None if step.is_some() => (number(range)?, high),
            None => (number(range)?, number(range)?),
        };
        if first > last {
            return Err(format!("{part:?} ends before it begins"));
        }
        for value in (first..=last).step_by(usize::try_from(every).unwrap_or(usize::MAX)) {
            set |= 1_u64 << value;
        }
    }
    Ok(set)
}

fn has(set: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| set >> value & 1 == 1)
}

impl Schedule {
    /// The first scheduled time after `after`; `None` for a day that never comes.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut time = zone
            .to_datetime(after)
            .with()
            .second(0)
            .subsec_nanosecond(0)
            .build()
            .ok()?;
        let end = zone.to_datetime(after.checked_add(HORIZON).ok()?);
        time = time.checked_add(1.minute()).ok()?;
        while time < end {
            if !has(self.months, time.month()) {
                time = time
                    .first_of_month()
                    .with()
                    .hour(0)
                    .minute(0)
                    .build()
                    .ok()?
                    .checked_add(1.month())
                    .ok()?;
            } else if !self.matches_day(time) {
                time = time
                    .with()
                    .hour(0)
                    .minute(0)
                    .build()
                    .ok()?
                    .checked_add(1.day())
                    .ok()?;
            } else if !has(self.hours, time.hour()) {
                time = time.with().minute(0).build().ok()?.checked_add(1.hour()).ok()?;
            } else if !has(self.minutes, time.minute()) {
                time = time.checked_add(1.minute()).ok()?;
            } else {
                let found = zone.to_zoned(time).ok()?.timestamp();
                if found > after {
                    return Some(found);
                }
                // The clocks were set back: this wall time has been already.
                time = time.checked_add(1.minute()).ok()?;
            }
        }
        None
    }

    /// The last scheduled time in `(after, until]`.
    pub fn latest_between(&self, after: Timestamp, until: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        // Looking back in growing steps keeps a minutely job that slept for a year cheap.
        for hours in [1, 24, 24 * 32, 24 * 366, 24 * 366 * 9] {
            let from = until
                .checked_sub(SignedDuration::from_hours(hours))
                .map_or(after, |from| from.max(after));
            let mut latest = None;
            let mut time = from;
            while let Some(next) = self.next_after(time, zone).filter(|next| *next <= until) {
                latest = Some(next);
                time = next;
            }
            if latest.is_some() || from <= after {
                return latest;
            }
        }
        None
    }

    fn matches_day(&self, time: DateTime) -> bool {
        let day = has(self.days, time.day());
        let weekday = has(self.weekdays, time.weekday().to_sunday_zero_offset());
        if self.any_day || self.any_weekday {
            day && weekday
        } else {
            day || weekday
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::Schedule;

    fn next(schedule: &str, after: &str) -> String {
        let schedule: Schedule = schedule.parse().unwrap();
        schedule
            .next_after(after.parse().unwrap(), &TimeZone::UTC)
            .unwrap()
            .to_string()
    }

    #[test]
    fn the_next_time_is_found_for_every_sort_of_field() {
        let cases = [
            ("* * * * *", "2026-01-01T00:00:30Z", "2026-01-01T00:01:00Z"),
            ("*/15 * * * *", "2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z"),
            ("5/20 * * * *", "2026-01-01T00:06:00Z", "2026-01-01T00:25:00Z"),
            (
                "0 9-17 * * mon-fri",
                "2026-01-02T17:00:00Z",
                "2026-01-05T09:00:00Z",
            ),
            ("30 4 1,15 * *", "2026-01-02T00:00:00Z", "2026-01-15T04:30:00Z"),
            ("0 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            // Day of month and day of week, both given: either.
            ("0 0 13 * fri", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
            ("@monthly", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
            ("@hourly", "2026-12-31T23:10:00Z", "2027-01-01T00:00:00Z"),
        ];
        for (schedule, after, expected) in cases {
            assert_eq!(next(schedule, after), expected, "{schedule} after {after}");
        }
    }

    #[test]
    fn a_time_zone_shifts_the_schedule() {
        let schedule: Schedule = "0 9 * * *".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(5));
        let found = schedule
            .next_after("2026-01-01T00:00:00Z".parse().unwrap(), &zone)
            .unwrap();
        assert_eq!(found.to_string(), "2026-01-01T04:00:00Z");
    }

    #[test]
    fn schedules_that_make_no_sense_are_refused() {
        for schedule in [
            "",
            "* * * *",
            "60 * * * *",
            "* * 0 * *",
            "a * * * *",
            "*/0 * * * *",
            "5-1 * * * *",
        ] {
            assert!(schedule.parse::<Schedule>().is_err(), "{schedule:?}");
        }
    }

    #[test]
    fn a_day_that_never_comes_is_never_due() {
        let schedule: Schedule = "0 0 31 2 *".parse().unwrap();
        assert_eq!(schedule.next_after(Timestamp::UNIX_EPOCH, &TimeZone::UTC), None);
    }

    #[test]
    fn only_the_latest_of_many_missed_times_counts() {
        let schedule: Schedule = "*/5 * * * *".parse().unwrap();
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let latest = |after, until| {
            schedule
                .latest_between(time(after), time(until), &TimeZone::UTC)
                .map(|found| found.to_string())
        };
        assert_eq!(
            latest("2020-01-01T00:00:00Z", "2026-01-01T00:07:00Z").unwrap(),
            "2026-01-01T00:05:00Z"
        );
        assert_eq!(latest("2026-01-01T00:05:00Z", "2026-01-01T00:07:00Z"), None);
        assert_eq!(
            latest("2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z").unwrap(),
            "2026-01-01T00:05:00Z"
        );
    }
}
