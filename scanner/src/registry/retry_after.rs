//! When a registry that said 429 or 503 may be asked again.

use std::time::Duration;

use jiff::Timestamp;
use shared::domain::cool_down::LONGEST_NAMED;
use shared::domain::retry_after::{self, seconds};

/// The earliest moment the reply allows: `Retry-After` in seconds or as a date, or GHCR's text in the body.
pub(super) fn retry_at(header: Option<&str>, body: &str, now: Timestamp) -> Option<Timestamp> {
    let wait = header.and_then(|value| retry_after::wait(value, now));
    let wait = wait.or_else(|| from_text(body))?;
    now.checked_add(wait.min(LONGEST_NAMED)).ok()
}

/// `toomanyrequests: retry-after: 985.86µs, allowed: 44000/minute`
fn from_text(body: &str) -> Option<Duration> {
    const MARKER: &str = "retry-after:";
    let start = body.to_ascii_lowercase().find(MARKER)? + MARKER.len();
    let text = body[start..].trim_start();
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '.'))
        .unwrap_or(text.len());
    go_duration(&text[..end]).or_else(|| seconds(&text[..end]))
}

/// A duration as Go prints it: `1m2.5s`, `985.86µs`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let unit = &rest[number_end..];
        let unit_end = unit
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(unit.len());
        let number: f64 = rest[..number_end].parse().ok()?;
        let seconds = match &unit[..unit_end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "µs" | "μs" | "us" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = &unit[unit_end..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: Option<&str>, body: &str) -> Option<f64> {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        retry_at(header, body, now).map(|at| at.duration_since(now).as_secs_f64())
    }

    #[test]
    fn every_way_to_name_a_wait_is_understood() {
        for (header, body, expected) in [
            (Some("120"), "", Some(120.0)),
            (Some(" 0 "), "", Some(0.0)),
            (Some("Fri, 02 Jan 2026 03:05:05 GMT"), "", Some(60.0)),
            (Some("Fri, 02 Jan 2026 03:00:00 GMT"), "", Some(0.0)),
            (
                None,
                "toomanyrequests: retry-after: 250ms, allowed: 44000/minute",
                Some(0.25),
            ),
            (None, "retry-after: 1m2.5s", Some(62.5)),
            (None, "Retry-After: 30", Some(30.0)),
            (Some("soon"), "retry-after: 2s,", Some(2.0)),
            (None, "too many requests", None),
            (Some("soon"), "", None),
            (Some("-5"), "", None),
            (Some("NaN"), "", None),
        ] {
            assert_eq!(check(header, body), expected, "{header:?} {body:?}");
        }
    }

    #[test]
    fn a_wait_shorter_than_a_millisecond_is_understood() {
        let wait = check(None, "retry-after: 985.86µs, allowed: 44000/minute").unwrap();
        assert!((0.000_985..0.000_987).contains(&wait), "{wait}");
    }

    #[test]
    fn no_registry_is_left_alone_for_longer_than_a_day() {
        assert_eq!(check(Some("999999999999"), ""), Some(86_400.0));
        assert_eq!(check(Some("Fri, 02 Jan 2099 03:05:05 GMT"), ""), Some(86_400.0));
    }
}
