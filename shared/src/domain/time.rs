//! Times as they are stored, and lengths of time as they are written.

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// How far the clocks of two nodes may be apart. A time that another program wrote, or will be read by one, means no more than this.
pub const SKEW: SignedDuration = SignedDuration::from_mins(1);

/// Whether a time that another program wrote is one that has yet to come, by more than clocks may differ: its clock was wrong.
pub fn is_of_the_future(time: Timestamp, now: Timestamp) -> bool {
    time.duration_since(now) > SKEW
}

/// The second that a time lies in. Times are stored in whole seconds, because people read them and nothing is ordered by them.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// `90s`, `4h`, `1h30m`, `7d`: longer than nothing and at most `most`. A day is 24 hours. The error says what is wrong.
pub fn duration(written: &str, most: SignedDuration) -> Result<SignedDuration, String> {
    let span: Option<Span> = written.parse().ok();
    let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let duration = duration.ok_or("it must be a duration such as 90s, 10m, 1h30m or 7d")?;
    if duration <= SignedDuration::ZERO || duration > most {
        let (hours, days) = (most.as_hours(), most.as_hours() / 24);
        let most = if days > 1 {
            format!("{days}d")
        } else {
            format!("{hours}h")
        };
        return Err(format!("it must be longer than nothing and at most {most}"));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_units_and_a_bound() {
        let week = SignedDuration::from_hours(7 * 24);
        for (written, hours) in [
            ("4h", 4),
            ("1d", 24),
            ("7d", 168),
            ("1w", 168),
            ("1d12h", 36),
            ("PT4H", 4),
        ] {
            assert_eq!(
                duration(written, week),
                Ok(SignedDuration::from_hours(hours)),
                "{written}"
            );
        }
        assert_eq!(duration("90s", week), Ok(SignedDuration::from_secs(90)));
        for written in ["", "4", "soon", "1mo", "-4h", "0s", "4h ago", "8d", "99999999d"] {
            assert!(duration(written, week).is_err(), "{written}");
        }
        let error = duration("8d", week).unwrap_err();
        assert!(error.ends_with("at most 7d"), "{error}");
        let error = duration("25h", SignedDuration::from_hours(24)).unwrap_err();
        assert!(error.ends_with("at most 24h"), "{error}");
    }
}
