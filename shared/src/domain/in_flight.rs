//! The in-flight marker: what an update set out to do, kept on the workload itself.
//!
//! It is written in the same patch as the images, so there is never an update without a marker nor a marker
//! without an update, and whoever leads next can go on from it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::annotations::IN_FLIGHT;
use super::time::whole_seconds;

/// One container's image before and after, both exactly as written in the pod template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageChange {
    pub from: String,
    pub to: String,
}

/// An update that has been applied and whose rollout has not been seen to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// By container name.
    pub containers: BTreeMap<String, ImageChange>,
    /// When the patch was computed. Cut to seconds: it is for people and for deadlines, not for order.
    pub started: Timestamp,
    /// When we stop waiting and call the rollout failed.
    pub deadline: Timestamp,
}

/// A marker that cannot be read: somebody edited it. Nothing is decided for that workload until it is mended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "annotation {IN_FLIGHT}: {value:?} is not a marker of ours ({reason}); remove the annotation if no update is under way"
)]
pub struct InFlightError {
    pub value: String,
    pub reason: String,
}

impl InFlight {
    /// The marker of an update that starts at `now` and may take `timeout`.
    pub fn new(containers: BTreeMap<String, ImageChange>, now: Timestamp, timeout: SignedDuration) -> Self {
        let started = whole_seconds(now);
        // Saturating: a timeout is at most a day, and the far end of time is as good a deadline as any.
        let deadline = started.checked_add(timeout).unwrap_or(Timestamp::MAX);
        Self {
            containers,
            started,
            deadline,
        }
    }

    /// The marker of a workload, if it has one.
    pub fn read(annotations: &BTreeMap<String, String>) -> Result<Option<Self>, InFlightError> {
        annotations
            .get(IN_FLIGHT)
            .map(|value| Self::parse(value))
            .transpose()
    }

    fn parse(value: &str) -> Result<Self, InFlightError> {
        serde_json::from_str(value).map_err(|error| InFlightError {
            value: value.to_owned(),
            reason: error.to_string(),
        })
    }

    /// The annotation's value.
    pub fn to_annotation(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// `checkout: shop/checkout:1.4.0 -> shop/checkout:1.5.0`, one container after the other.
    pub fn summary(&self) -> String {
        let lines = self
            .containers
            .iter()
            .map(|(name, change)| format!("{name}: {} -> {}", change.from, change.to));
        lines.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker() -> InFlight {
        let change = ImageChange {
            from: "shop/checkout:1.4.0".to_owned(),
            to: "shop/checkout:1.5.0".to_owned(),
        };
        InFlight::new(
            BTreeMap::from([("checkout".to_owned(), change)]),
            "2026-11-21T03:00:00.5Z".parse().unwrap(),
            SignedDuration::from_mins(10),
        )
    }

    #[test]
    fn a_marker_survives_the_annotation_it_is_kept_in() {
        let annotations = BTreeMap::from([(IN_FLIGHT.to_owned(), marker().to_annotation())]);
        assert_eq!(InFlight::read(&annotations), Ok(Some(marker())));
        assert_eq!(InFlight::read(&BTreeMap::new()), Ok(None));
    }

    #[test]
    fn the_annotation_is_stable_and_legible() {
        assert_eq!(
            marker().to_annotation(),
            r#"{"containers":{"checkout":{"from":"shop/checkout:1.4.0","to":"shop/checkout:1.5.0"}},"deadline":"2026-11-21T03:10:00Z","started":"2026-11-21T03:00:00Z"}"#
        );
    }

    #[test]
    fn a_marker_that_somebody_edited_is_an_error_that_shows_it() {
        let annotations = BTreeMap::from([(IN_FLIGHT.to_owned(), "soon".to_owned())]);
        assert_eq!(InFlight::read(&annotations).unwrap_err().value, "soon");
    }
}
