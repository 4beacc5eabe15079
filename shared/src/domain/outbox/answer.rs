//! What an answer of a receiver means for the message.

use jiff::{SignedDuration, Timestamp};

use crate::domain::retry_after;

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Taken,
    /// It may be taken another time: `after` what the receiver named, if it did.
    TryAgain {
        why: String,
        after: Option<SignedDuration>,
    },
    /// It would be refused each time.
    Refused(String),
}

impl Answer {
    /// What an HTTP status means, with what `Retry-After` said beside it at `now`.
    pub fn of_status(status: u16, retry_after: Option<&str>, now: Timestamp) -> Self {
        match status {
            200..=299 => Self::Taken,
            300..=399 => Self::Refused(format!(
                "it answered {status}: redirects are not followed, as headers may be secret; give the address that it leads to"
            )),
            408 | 425 | 429 | 500..=599 => Self::TryAgain {
                why: format!("it answered {status}"),
                after: retry_after
                    .and_then(|value| retry_after::wait(value, now))
                    .and_then(|wait| SignedDuration::try_from(wait).ok()),
            },
            _ => Self::Refused(format!("it answered {status}")),
        }
    }

    /// Why it was not taken.
    pub fn problem(&self) -> Option<&str> {
        match self {
            Self::Taken => None,
            Self::TryAgain { why, after: _ } | Self::Refused(why) => Some(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_final_unless_it_is_about_the_moment() {
        let now = "2026-11-21T03:00:00Z".parse().unwrap();
        let again = |seconds: Option<i64>| Some(seconds.map(SignedDuration::from_secs));
        for (status, header, expected) in [
            (408, None, again(None)),
            (425, None, again(None)),
            (429, Some("7"), again(Some(7))),
            (429, Some("Sat, 21 Nov 2026 03:01:00 GMT"), again(Some(60))),
            (429, Some("soon"), again(None)),
            (500, None, again(None)),
            (503, Some("120"), again(Some(120))),
            (100, None, None),
            (301, None, None),
            (307, Some("1"), None),
            (400, Some("1"), None),
            (404, None, None),
            (410, None, None),
        ] {
            let after = match Answer::of_status(status, header, now) {
                Answer::TryAgain { why: _, after } => Some(after),
                Answer::Refused(_) => None,
                Answer::Taken => panic!("{status} is no success"),
            };
            assert_eq!(after, expected, "{status} {header:?}");
        }
        for status in [200, 202, 204] {
            assert_eq!(Answer::of_status(status, None, now), Answer::Taken);
        }
    }
}
