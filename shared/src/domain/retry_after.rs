//! The header `Retry-After` (RFC 9110): how long a server wants to be left alone.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// The wait that the header's value names, in seconds or as a date; `None` where it names none. How much of it is obeyed is
/// for the caller to say: a server may name any.
pub fn wait(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    seconds(value).or_else(|| until(value, now))
}

/// A number of seconds, with or without a fraction.
pub fn seconds(value: &str) -> Option<Duration> {
    let seconds: f64 = value.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn until(value: &str, now: Timestamp) -> Option<Duration> {
    let date = rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_number_of_seconds_or_a_date_and_nothing_else() {
        let now = "2026-11-21T03:00:00Z".parse().unwrap();
        for (value, expected) in [
            ("120", Some(120)),
            (" 3 ", Some(3)),
            ("Sat, 21 Nov 2026 03:01:00 GMT", Some(60)),
            ("Sat, 21 Nov 2026 02:00:00 GMT", Some(0)),
            ("soon", None),
            ("-5", None),
            ("NaN", None),
            ("", None),
        ] {
            assert_eq!(wait(value, now), expected.map(Duration::from_secs), "{value:?}");
        }
    }
}
