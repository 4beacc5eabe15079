//! What an annotation of ours must be like to be acted on. Whoever may annotate a workload can write one by hand, and what it says is
//! written into the pod template and told to others: it names nothing that no update of ours would.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{ImageChange, InFlight, InFlightError, SHOWN_LENGTH};
use crate::domain::annotations::MOST_ROLLOUT_TIMEOUT;
use crate::domain::reference::{ImageReference, Repository};
use crate::domain::text;

/// How far in the future a marker may have begun by our clock. Clocks of nodes differ by seconds, and where they differ by more, no
/// update should be given up for it.
const MOST_AHEAD: SignedDuration = SignedDuration::from_hours(1);

impl InFlight {
    /// Whether it was written by an update of ours, as far as can be told by itself: the deadline bounds for how long it is followed.
    pub(super) fn check(&self) -> Result<(), String> {
        let (started, deadline) = (self.started, self.deadline);
        if deadline < started || deadline.duration_since(started) > MOST_ROLLOUT_TIMEOUT {
            let hours = MOST_ROLLOUT_TIMEOUT.as_hours();
            return Err(format!("its deadline is not within {hours} hours of its start"));
        }
        check(&self.containers)
    }

    /// Whether it claims to have begun when `now` is long before that.
    pub fn is_of_the_future(&self, now: Timestamp) -> bool {
        self.started.duration_since(now) > MOST_AHEAD
    }

    /// What is wrong with such a one.
    pub fn begun_in_the_future(&self) -> InFlightError {
        InFlightError {
            value: text::cut(&self.to_annotation(), SHOWN_LENGTH),
            reason: format!("it began at {}, which is in the future", self.started),
        }
    }
}

/// An update leaves an image for another of the same repository.
pub(super) fn check(changes: &BTreeMap<String, ImageChange>) -> Result<(), String> {
    for (container, change) in changes {
        let (from, to) = (repository(&change.from)?, repository(&change.to)?);
        if from != to {
            return Err(format!(
                "container {container} would go from repository {from} to {to}, which no update does"
            ));
        }
    }
    Ok(())
}

fn repository(image: &str) -> Result<Repository, String> {
    let image: ImageReference = image.parse().map_err(|error| format!("{error}"))?;
    Ok(image.repository().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::annotations::{IN_FLIGHT, LAST_IMAGES};
    use crate::domain::in_flight::LastImages;

    fn marker(from: &str, to: &str, started: &str, deadline: &str) -> String {
        format!(
            r#"{{"containers":{{"app":{{"from":"{from}","to":"{to}"}}}},"started":"{started}","deadline":"{deadline}"}}"#
        )
    }

    #[test]
    fn a_marker_that_no_update_writes_is_an_error_that_says_why() {
        let (at, hour) = ("2026-11-21T03:00:00Z", "2026-11-21T04:00:00Z");
        let (old, new) = ("shop/app:1.4.0", "docker.io/shop/app:1.5.0");
        for (marker, expected) in [
            (marker(old, new, at, hour), None),
            (
                marker("evil/app:1.4.0", new, at, hour),
                Some("from repository docker.io/evil/app to docker.io/shop/app"),
            ),
            (marker("", new, at, hour), Some("empty")),
            (marker(old, "shop/app:1 5", at, hour), Some("1 5")),
            (
                marker(old, new, at, "9999-01-01T00:00:00Z"),
                Some("not within 24 hours of its start"),
            ),
            (marker(old, new, hour, at), Some("not within 24 hours")),
        ] {
            let annotations = BTreeMap::from([(IN_FLIGHT.to_owned(), marker.clone())]);
            let error = InFlight::read(&annotations).err().map(|error| error.reason);
            match expected {
                None => assert_eq!(error, None, "{marker}"),
                Some(part) => assert!(
                    error.as_ref().is_some_and(|error| error.contains(part)),
                    "{error:?}"
                ),
            }
        }
    }

    #[test]
    fn what_was_given_last_is_read_with_the_same_care() {
        let last = |from: &str| {
            let value = format!(r#"{{"containers":{{"app":{{"from":"{from}","to":"shop/app:1.5.0"}}}}}}"#);
            LastImages::read(&BTreeMap::from([(LAST_IMAGES.to_owned(), value)]))
        };
        assert!(last("shop/app:1.4.0").unwrap().is_some());
        let error = last("evil.example/app:1.4.0").unwrap_err();
        assert!(error.contains("evil.example/app"), "{error}");
    }

    #[test]
    fn a_marker_from_a_clock_that_is_a_minute_ahead_counts_and_one_of_next_year_does_not() {
        let now: Timestamp = "2026-11-21T03:00:00Z".parse().unwrap();
        for (ahead, expected) in [
            (SignedDuration::from_mins(-600), false),
            (SignedDuration::from_mins(1), false),
            (SignedDuration::from_hours(24 * 365), true),
        ] {
            let begun = InFlight::new(BTreeMap::new(), now + ahead, SignedDuration::from_mins(10));
            assert_eq!(begun.is_of_the_future(now), expected, "{ahead:?}");
        }
    }
}
