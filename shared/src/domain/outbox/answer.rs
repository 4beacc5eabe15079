//! What an answer of a receiver means for the message.

use jiff::{SignedDuration, Timestamp};

use serde_json::Value;

use crate::domain::{retry_after, text};

/// How much is repeated of what a service said, in bytes.
const REASON_LENGTH: usize = 200;

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

    /// The same with what the service said beside it: JSON with a wait in seconds, as Discord and Telegram name it, or with a reason, or a
    /// short text. A header goes before.
    #[must_use]
    pub fn explained(self, body: &[u8]) -> Self {
        let said = String::from_utf8_lossy(body);
        let json: Option<Value> = serde_json::from_str(&said).ok();
        let find = |names: &[&str]| {
            let json = json.as_ref()?;
            let parameters = json.get("parameters");
            let mut found = names
                .iter()
                .filter_map(|name| json.get(name).or_else(|| parameters?.get(name)));
            found.next().cloned()
        };
        let reason = match find(&["description", "message", "error"]) {
            Some(Value::String(reason)) => Some(reason),
            _ if json.is_none() && said.len() <= REASON_LENGTH && !said.contains('<') => {
                Some(said.trim().to_owned())
            }
            _ => None,
        };
        let reason = reason.map(|reason| {
            reason
                .chars()
                .filter(|one| text::is_plain(*one))
                .collect::<String>()
        });
        let reason = reason.filter(|reason| !reason.is_empty());
        let reason = reason.map(|reason| format!(": {}", text::cut(&reason, REASON_LENGTH)));
        let reason = reason.unwrap_or_default();
        match self {
            Self::Taken => Self::Taken,
            Self::Refused(why) => Self::Refused(why + &reason),
            Self::TryAgain { why, after } => {
                let named = || {
                    SignedDuration::try_from(retry_after::seconds(&find(&["retry_after"])?.to_string())?).ok()
                };
                Self::TryAgain {
                    why: why + &reason,
                    after: after.or_else(named),
                }
            }
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
    fn what_a_service_says_names_a_wait_where_no_header_does_and_a_reason() {
        let again = |after: Option<i64>| Answer::TryAgain {
            why: "it answered 429".to_owned(),
            after: after.map(SignedDuration::from_secs),
        };
        for (answer, body, why, after) in [
            (
                again(None),
                r#"{"message": "You are being rate limited.", "retry_after": 64.0}"#,
                "it answered 429: You are being rate limited.",
                Some(64),
            ),
            (
                again(None),
                r#"{"ok":false,"description":"Too Many","parameters":{"retry_after":7}}"#,
                "it answered 429: Too Many",
                Some(7),
            ),
            (
                again(Some(3)),
                r#"{"retry_after": 9}"#,
                "it answered 429",
                Some(3),
            ),
            (again(None), r#"{"retry_after": "soon"}"#, "it answered 429", None),
            (again(None), "<html>no</html>", "it answered 429", None),
            (
                Answer::Refused("it answered 404".to_owned()),
                "no_service\u{202e}\n",
                "it answered 404: no_service",
                None,
            ),
        ] {
            let explained = answer.explained(body.as_bytes());
            assert_eq!(explained.problem(), Some(why), "{body}");
            if let Answer::TryAgain { after: named, .. } = explained {
                assert_eq!(named, after.map(SignedDuration::from_secs), "{body}");
            }
        }
        assert_eq!(Answer::Taken.explained(b"ok"), Answer::Taken);
    }

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
