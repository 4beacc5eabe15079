//! Dates in tags (rule 7): a date counts on a ladder of its own and must not enter one of small numbers.

/// The first year that a version number is taken for.
const FIRST_YEAR: u64 = 2000;
const LAST_YEAR: u64 = 2099;
/// Seconds since 1970 have ten digits from 2001 to 2286; so does no counter that began at one.
const UNIX_SECONDS: std::ops::RangeInclusive<u64> = 1_000_000_000..=1_999_999_999;

/// How exact a date is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Precision {
    Month,
    Day,
    Hour,
    Minute,
    Second,
    /// Seconds since 1970.
    UnixSecond,
}

/// Whether a number, written with `digits` digits, is a point in time, and how exact: `20241001`, `20241001120000`, seconds
/// since 1970, or `202410` where it stands alone (next to other numbers that is more likely a build).
pub(super) fn precision(digits: usize, value: u64, alone: bool) -> Option<Precision> {
    let (precision, is_date) = match digits {
        6 => (Precision::Month, alone && is_year_and_month(value)),
        8 => (Precision::Day, is_day(value)),
        10 if UNIX_SECONDS.contains(&value) => (Precision::UnixSecond, true),
        10 => (Precision::Hour, is_hour(value)),
        12 => (Precision::Minute, is_minute(value)),
        14 => (Precision::Second, is_minute(value / 100) && value % 100 < 60),
        _ => return None,
    };
    is_date.then_some(precision)
}

/// Whether a number is a point in time.
pub(super) fn is_date(digits: usize, value: u64, alone: bool) -> bool {
    precision(digits, value, alone).is_some()
}

/// Whether a number can be a year of this century.
pub(super) fn is_year(value: u64) -> bool {
    (FIRST_YEAR..=LAST_YEAR).contains(&value)
}

/// Whether three numbers are a year, a month and a day.
pub(super) fn is_year_month_day(year: u64, month: u64, day: u64) -> bool {
    is_year(year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

fn is_year_and_month(value: u64) -> bool {
    is_year_month_day(value / 100, value % 100, 1)
}

fn is_day(value: u64) -> bool {
    is_year_month_day(value / 10_000, value / 100 % 100, value % 100)
}

fn is_hour(value: u64) -> bool {
    is_day(value / 100) && value % 100 < 24
}

fn is_minute(value: u64) -> bool {
    is_hour(value / 100) && value % 100 < 60
}
