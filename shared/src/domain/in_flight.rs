//! The in-flight marker: what an update set out to do, kept on the workload itself.
//!
//! It is written in the same patch as the images, so there is never an update without a marker nor a marker
//! without an update, and whoever leads next can go on from it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::annotations::{IN_FLIGHT, LAST_CHANGE, LAST_IMAGES, LAST_UPDATE, TOO_LONG};
use super::policy::Hold;
use super::reference::{Digest, ImageReference, Tag};
use super::rollout::RolloutFacts;
use super::text;
use super::time::{is_of_the_future, whole_seconds};

mod trust;

/// One container's image before and after, both exactly as written in the pod template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageChange {
    pub from: String,
    pub to: String,
    /// What the tag of `to` pointed at by the record, where `to` does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What ran before by what the pods said, where `from` does not say it, as far as anybody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran: Option<Digest>,
}

impl ImageChange {
    /// What brings back what ran before: a tag that moved points elsewhere by now, and any other is written as it was.
    pub fn image_before(&self) -> String {
        let moved = self.exact_before().filter(|_| self.keeps_its_tag());
        moved.map_or_else(|| self.from.clone(), |exact| exact.to_string())
    }

    /// The very image that ran before, its tag with its digest, where `from` is a tag alone and the pods said what it was.
    pub fn exact_before(&self) -> Option<ImageReference> {
        let from: ImageReference = self.from.parse().ok()?;
        let ran = self.ran.as_ref().filter(|_| from.digest().is_none())?;
        let tag = from.effective_tag()?;
        Some(from.with_tag_and_digest(&tag, ran))
    }

    fn keeps_its_tag(&self) -> bool {
        tag_of(&self.from).is_some_and(|tag| tag_of(&self.to).as_ref() == Some(&tag))
    }

    /// What is new about `to`: its tag, or where that stays the same, which says nothing then, the tag with its digest. `None`
    /// where it is no image.
    pub fn what_is_new(&self) -> Option<Hold> {
        let tag = tag_of(&self.to).filter(|_| !self.keeps_its_tag());
        tag.map(Hold::Tag).or_else(|| self.hold())
    }

    /// Whether this names what is new about `to`.
    pub fn is_named_by(&self, named: &Hold) -> bool {
        let digest_of = |hold: Option<Hold>| match hold {
            Some(Hold::Digest(digest) | Hold::Image(_, digest)) => Some(digest),
            Some(Hold::Tag(_) | Hold::UpTo(_)) | None => None,
        };
        match named {
            Hold::Tag(_) => self.what_is_new().as_ref() == Some(named),
            Hold::Digest(digest) => digest_of(self.hold()).as_ref() == Some(digest),
            Hold::Image(..) => self.hold().as_ref() == Some(named),
            Hold::UpTo(_) => false,
        }
    }

    /// What has to be held so that `to` is not offered again; `None` where it is no image.
    pub fn hold(&self) -> Option<Hold> {
        let to: ImageReference = self.to.parse().ok()?;
        let digest = to.digest().or(self.digest.as_ref()).cloned();
        match (to.effective_tag(), digest) {
            (Some(tag), Some(digest)) => Some(Hold::Image(tag, digest)),
            (Some(tag), None) => Some(Hold::Tag(tag)),
            (None, digest) => digest.map(Hold::Digest),
        }
    }
}

/// When an update begins that is begun at `now`: not before the one that ended last, which another clock may have told, so that it does
/// not seem to have ended already. What lies further ahead than clocks do no updater of ours has written.
pub(super) fn begins(annotations: &BTreeMap<String, String>, now: Timestamp) -> Timestamp {
    let ended = annotations.get(LAST_UPDATE).and_then(|at| at.parse().ok());
    let ended = ended.filter(|ended| !is_of_the_future(*ended, now));
    ended.map_or(now, |ended: Timestamp| ended.max(now))
}

fn tag_of(image: &str) -> Option<Tag> {
    image.parse::<ImageReference>().ok()?.effective_tag()
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
    /// Set where this undoes an update: why that one failed, or what asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<String>,
    /// Whether somebody asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    asked: bool,
    /// Which revision of the pod template it replaced, where the kind counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<i64>,
    /// When the controller came to the verdict that stood there when this began, by its clock: the rollout before had failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict_before: Option<Timestamp>,
}

/// Why an update is undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It failed, for this reason.
    Failure(String),
    /// Somebody asked for it, by this annotation.
    Request(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failure(reason) => f.write_str(reason),
            Self::Request(annotation) => write!(f, "asked for by {annotation}"),
        }
    }
}

/// What the last update did, as exactly as it was known, so that it can be undone later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastImages {
    /// By container name.
    pub containers: BTreeMap<String, ImageChange>,
    /// Which revision of the pod template it made, where the kind counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
}

impl LastImages {
    /// `None` where no update is written down that could be undone.
    pub fn read(annotations: &BTreeMap<String, String>) -> Result<Option<Self>, String> {
        let Some(value) = annotations.get(LAST_IMAGES) else {
            return Ok(None);
        };
        if value.len() > LONGEST_MARKER {
            return Err("it is longer than what we write".to_owned());
        }
        let read = serde_json::from_str(value);
        let last: Self =
            read.map_err(|error: serde_json::Error| text::cut(&error.to_string(), SHOWN_LENGTH))?;
        trust::check(&last.containers)?;
        Ok(Some(last))
    }

    /// The annotation's value.
    pub fn to_annotation(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

/// How much of the reason for a rollback is kept, in bytes.
const REASON_LENGTH: usize = 500;
/// How much of a marker that cannot be read is shown, in bytes.
const SHOWN_LENGTH: usize = 500;

/// How long a marker may be, in bytes: what is read of annotations leaves room for it beside all else that we write.
const LONGEST_MARKER: usize = 16 << 10;

/// What a marker says beside its changes takes no more bytes: its reason, of which a byte may become six, and times.
const ROOM: usize = 4 << 10;

/// Of these changes as many as have room in a marker, and in that of their undoing: the marker is read only up to a length. The
/// others are made by the next update.
pub fn that_fit(changes: BTreeMap<String, ImageChange>) -> BTreeMap<String, ImageChange> {
    let mut left = LONGEST_MARKER - ROOM;
    let has_room = |(name, change): &(String, ImageChange)| {
        let rest = left.checked_sub(serde_json::json!({ name: change }).to_string().len());
        left = rest.unwrap_or_default();
        rest.is_some()
    };
    changes.into_iter().take_while(has_room).collect()
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
            rollback: None,
            asked: false,
            replaced: None,
            verdict_before: None,
        }
    }

    /// The same, of a workload that said this of its rollout when it began.
    #[must_use]
    pub fn replacing(self, rollout: &RolloutFacts) -> Self {
        Self {
            replaced: rollout.revision(),
            verdict_before: rollout.failed_at(),
            ..self
        }
    }

    /// The marker of the update that undoes these changes: each container gets back what it had.
    pub fn undoing(
        changes: &BTreeMap<String, ImageChange>,
        cause: &Cause,
        now: Timestamp,
        timeout: SignedDuration,
    ) -> Self {
        let back = |change: &ImageChange| ImageChange {
            from: change.to.clone(),
            to: change.image_before(),
            digest: None,
            ran: None,
        };
        let containers = changes.iter();
        let containers = containers.map(|(name, change)| (name.clone(), back(change)));
        let (Cause::Failure(reason) | Cause::Request(reason)) = cause;
        Self {
            rollback: Some(text::cut(reason, REASON_LENGTH)),
            asked: matches!(cause, Cause::Request(_)),
            ..Self::new(containers.collect(), now, timeout)
        }
    }

    /// Why this undoes an update, if it does.
    pub fn cause(&self) -> Option<Cause> {
        let cause = if self.asked {
            Cause::Request
        } else {
            Cause::Failure
        };
        self.rollback.clone().map(cause)
    }

    /// The marker of a workload, if an update is under way.
    ///
    /// A marker beside the result of the same update is no such one: the Deployment controller copies annotations to the
    /// ReplicaSet and never takes one away, and `kubectl rollout undo` brings that copy back.
    pub fn read(annotations: &BTreeMap<String, String>) -> Result<Option<Self>, InFlightError> {
        let marker = annotations.get(IN_FLIGHT).map(|value| Self::parse(value));
        Ok(marker
            .transpose()?
            .filter(|marker| !marker.has_ended(annotations)))
    }

    fn has_ended(&self, annotations: &BTreeMap<String, String>) -> bool {
        self.written_end(annotations).is_some_and(|at| at > self.started)
    }

    /// When the last update with these changes ended, this one or one before it, if it is the last that is written down.
    pub(super) fn written_end(&self, annotations: &BTreeMap<String, String>) -> Option<Timestamp> {
        if annotations.get(LAST_CHANGE) != Some(&self.summary()) {
            return None;
        }
        annotations.get(LAST_UPDATE)?.parse().ok()
    }

    fn parse(value: &str) -> Result<Self, InFlightError> {
        let wrong = |reason: String| InFlightError {
            value: text::cut(value, SHOWN_LENGTH),
            reason: text::cut(&reason, SHOWN_LENGTH),
        };
        if value == TOO_LONG {
            return Err(wrong("no marker is so long".to_owned()));
        }
        let marker: Result<Self, String> = serde_json::from_str(value).map_err(|error| error.to_string());
        let checked = marker.and_then(|marker| marker.check().map(|()| marker));
        checked.map_err(wrong)
    }

    /// The annotation's value.
    pub fn to_annotation(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// `checkout: shop/checkout:1.4.0 -> shop/checkout:1.5.0`, one container after the other.
    pub fn summary(&self) -> String {
        summary(&self.containers)
    }
}

/// The same of any changes, by container.
pub fn summary(changes: &BTreeMap<String, ImageChange>) -> String {
    let lines = changes
        .iter()
        .map(|(name, change)| format!("{name}: {} -> {}", change.from, change.to));
    lines.collect::<Vec<_>>().join(", ")
}

/// The image that the last update which ended gave to a container, by the summary that is kept of it.
pub fn last_given<'a>(annotations: &'a BTreeMap<String, String>, container: &str) -> Option<&'a str> {
    last_change(annotations, container).map(|(_, to)| to)
}

/// The image that a container had before its last change, if that led to the `present` one.
pub fn last_left<'a>(
    annotations: &'a BTreeMap<String, String>,
    container: &str,
    present: &str,
) -> Option<&'a str> {
    let (from, _) = last_change(annotations, container).filter(|(_, to)| *to == present)?;
    Some(from)
}

fn last_change<'a>(annotations: &'a BTreeMap<String, String>, container: &str) -> Option<(&'a str, &'a str)> {
    let mut changes = annotations
        .get(LAST_CHANGE)?
        .split(", ")
        .filter_map(|change| change.split_once(": "));
    let (_, images) = changes.find(|(name, _)| *name == container)?;
    images.split_once(" -> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker() -> InFlight {
        let change = ImageChange {
            from: "shop/checkout:1.4.0".to_owned(),
            to: "shop/checkout:1.5.0".to_owned(),
            digest: None,
            ran: None,
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
    fn a_marker_that_is_no_marker_is_told_of_in_few_words() {
        for (value, expected) in [
            (TOO_LONG.to_owned(), "no marker is so long"),
            ("x".repeat(20_000), "expected value"),
            (
                format!("{{\"containers\":\"{}\"}}", "x".repeat(20_000)),
                "invalid type",
            ),
        ] {
            let annotations = BTreeMap::from([(IN_FLIGHT.to_owned(), value)]);
            let error = InFlight::read(&annotations).unwrap_err().to_string();
            assert!(error.contains(expected) && error.len() < 1500, "{error}");
        }
    }

    #[test]
    fn no_update_has_more_changes_than_its_marker_and_that_of_its_undoing_have_room_for() {
        let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let repository = format!("registry.example/{}", "a".repeat(250));
        let image = |tag: char| format!("{repository}:{}", tag.to_string().repeat(128));
        let change = ImageChange {
            from: image('b'),
            to: format!("{}@{digest}", image('c')),
            digest: Some(digest.clone()),
            ran: Some(digest),
        };
        let many = |count: usize| -> BTreeMap<String, ImageChange> {
            let name = |number: usize| format!("{number:0>63}");
            (0..count).map(|number| (name(number), change.clone())).collect()
        };
        let now: Timestamp = "2026-11-21T03:00:00Z".parse().unwrap();
        let (fit, timeout) = (that_fit(many(50)), SignedDuration::from_mins(10));
        assert!((5..50).contains(&fit.len()), "{}", fit.len());
        let cause = Cause::Failure("\u{1}".repeat(1000));
        let undone = InFlight::undoing(&fit, &cause, now, timeout);
        for marker in [InFlight::new(fit.clone(), now, timeout), undone] {
            assert!(marker.to_annotation().len() <= LONGEST_MARKER);
        }
        let last = LastImages {
            containers: fit,
            revision: Some(i64::MAX),
        };
        let annotations = BTreeMap::from([(LAST_IMAGES.to_owned(), last.to_annotation())]);
        assert_eq!(LastImages::read(&annotations), Ok(Some(last)));
        assert_eq!(that_fit(many(2)), many(2));
    }

    #[test]
    fn a_rollback_gives_back_what_was_written_before_and_says_why() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let mut update = marker();
        let change = update.containers.get_mut("checkout").unwrap();
        change.from = format!("shop/checkout:1.4.0@{digest}");
        let later = "2026-11-21T03:05:00Z".parse().unwrap();
        let cause = Cause::Failure("no pod is ready ".repeat(100));
        let undone = InFlight::undoing(&update.containers, &cause, later, SignedDuration::from_mins(1));
        let change = &undone.containers["checkout"];
        assert_eq!(change.to, format!("shop/checkout:1.4.0@{digest}"));
        assert_eq!(change.from, "shop/checkout:1.5.0");
        assert_eq!(undone.deadline, later + SignedDuration::from_mins(1));
        assert!(undone.rollback.as_ref().unwrap().len() < 510);
        let annotations = BTreeMap::from([(IN_FLIGHT.to_owned(), undone.to_annotation())]);
        assert_eq!(InFlight::read(&annotations), Ok(Some(undone)));
    }

    #[test]
    fn what_ran_is_written_out_only_where_its_tag_points_elsewhere_by_now() {
        let ran = format!("sha256:{}", "a".repeat(64));
        for (from, to, expected) in [
            ("shop/app:edge", "shop/app:edge", format!("shop/app:edge@{ran}")),
            ("shop/app", "shop/app:latest", format!("shop/app:latest@{ran}")),
            ("shop/app:1.4.0", "shop/app:1.5.0", "shop/app:1.4.0".to_owned()),
        ] {
            let change = ImageChange {
                from: from.to_owned(),
                to: to.to_owned(),
                digest: None,
                ran: Some(ran.parse().unwrap()),
            };
            assert_eq!(change.image_before(), expected, "{from} -> {to}");
        }
    }

    #[test]
    fn what_is_held_of_an_update_is_as_exact_as_what_is_known() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (to, recorded, expected) in [
            ("shop/app:1.5.0", None, Some("1.5.0".to_owned())),
            ("shop/app:1.5.0", Some(&digest), Some(format!("1.5.0@{digest}"))),
            (
                &format!("shop/app:1.5.0@{digest}"),
                None,
                Some(format!("1.5.0@{digest}")),
            ),
            (&format!("shop/app@{digest}"), None, Some(digest.clone())),
            ("Not An Image", None, None),
        ] {
            let change = ImageChange {
                from: "shop/app:1.4.0".to_owned(),
                to: to.to_owned(),
                digest: recorded.map(|digest| digest.parse().unwrap()),
                ran: None,
            };
            assert_eq!(change.hold().map(|hold| hold.to_string()), expected, "{to}");
        }
    }

    #[test]
    fn what_is_new_of_an_image_is_its_tag_or_its_digest_where_only_that_is() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let pinned = format!("shop/app:1.5.0@{digest}");
        let image = format!("1.5.0@{digest}");
        let latest = format!("shop/app:latest@{digest}");
        for (from, to, recorded, expected) in [
            ("shop/app:1.4.0", "shop/app:1.5.0", None, "1.5.0"),
            ("shop/app:1.4.0", pinned.as_str(), None, "1.5.0"),
            ("shop/app:1.5.0", &pinned, None, &image),
            ("shop/app:1.5.0", "shop/app:1.5.0", Some(&digest), &image),
            ("shop/app", &latest, None, &format!("latest@{digest}")),
        ] {
            let change = ImageChange {
                from: from.to_owned(),
                to: to.to_owned(),
                digest: recorded.map(|digest| digest.parse().unwrap()),
                ran: None,
            };
            let new = change.what_is_new().unwrap();
            assert_eq!(new.to_string(), expected, "{from} -> {to}");
            assert!(change.is_named_by(&new), "{new}");
            let by_digest = Hold::Digest(digest.parse().unwrap());
            let has_digest = to.contains('@') || recorded.is_some();
            assert_eq!(change.is_named_by(&by_digest), has_digest, "{from} -> {to}");
        }
    }

    #[test]
    fn a_marker_that_an_undo_brought_back_beside_its_own_result_is_over() {
        let over = |change: &str, ended: &str| {
            let annotations = BTreeMap::from([
                (IN_FLIGHT.to_owned(), marker().to_annotation()),
                (LAST_CHANGE.to_owned(), change.to_owned()),
                (LAST_UPDATE.to_owned(), ended.to_owned()),
            ]);
            InFlight::read(&annotations) == Ok(None)
        };
        let change = marker().summary();
        assert!(over(&change, "2026-11-21T03:02:00Z"));
        // The result of the update before this one, and of the same update once before.
        assert!(!over(
            "checkout: shop/checkout:1.3.0 -> shop/checkout:1.4.0",
            "2026-11-21T03:02:00Z"
        ));
        assert!(!over(&change, "2026-11-21T02:00:00Z"));
        assert!(!over(&change, "yesterday"));
    }

    #[test]
    fn an_update_that_is_made_once_more_by_a_clock_that_is_behind_has_not_ended_before_it_began() {
        let now: Timestamp = "2026-11-21T03:00:00Z".parse().unwrap();
        for (ended, begun) in [
            ("2026-11-21T02:00:00Z", "2026-11-21T03:00:00Z"),
            ("2026-11-21T03:01:00Z", "2026-11-21T03:01:00Z"),
            // No clock of ours.
            ("2026-11-21T05:00:00Z", "2026-11-21T03:00:00Z"),
            ("yesterday", "2026-11-21T03:00:00Z"),
        ] {
            let mut annotations = BTreeMap::from([
                (LAST_CHANGE.to_owned(), marker().summary()),
                (LAST_UPDATE.to_owned(), ended.to_owned()),
            ]);
            let begins = begins(&annotations, now);
            assert_eq!(begins.to_string(), begun, "{ended}");
            let again = InFlight::new(marker().containers, begins, SignedDuration::from_mins(10));
            annotations.insert(IN_FLIGHT.to_owned(), again.to_annotation());
            let is_under_way = InFlight::read(&annotations) == Ok(Some(again));
            assert_eq!(is_under_way, !ended.contains("T05:"), "{ended}");
        }
    }

    /// What is stored is also read by the version before this one, which knows neither digests nor rollbacks.
    #[test]
    fn the_annotation_is_stable_and_legible() {
        assert_eq!(
            marker().to_annotation(),
            r#"{"containers":{"checkout":{"from":"shop/checkout:1.4.0","to":"shop/checkout:1.5.0"}},"deadline":"2026-11-21T03:10:00Z","started":"2026-11-21T03:00:00Z"}"#
        );
    }

    #[test]
    fn the_summary_of_an_update_says_which_image_a_container_was_given() {
        let annotations = BTreeMap::from([(
            LAST_CHANGE.to_owned(),
            format!("{}, side: x:5000/y:1 -> x:5000/y:2", marker().summary()),
        )]);
        let cases = [
            ("checkout", Some("shop/checkout:1.5.0")),
            ("side", Some("x:5000/y:2")),
            ("other", None),
        ];
        for (container, expected) in cases {
            assert_eq!(last_given(&annotations, container), expected, "{container}");
        }
        assert_eq!(last_given(&BTreeMap::new(), "checkout"), None);
    }

    #[test]
    fn a_marker_that_somebody_edited_is_an_error_that_shows_it() {
        let annotations = BTreeMap::from([(IN_FLIGHT.to_owned(), "soon".to_owned())]);
        assert_eq!(InFlight::read(&annotations).unwrap_err().value, "soon");
    }
}
