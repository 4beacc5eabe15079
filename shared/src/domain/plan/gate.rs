//! What keeps an update from starting although it is wanted and agreed to.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Snapshot;
use crate::domain::annotations::{Mode, Settings};
use crate::domain::watched::Watched;
use crate::domain::window::next_open;

/// How long records of one scan are at most thought to be apart. Most scans are over sooner; where one waits longer for a registry,
/// the containers that are known go ahead.
const SCAN_LASTS: SignedDuration = SignedDuration::from_secs(60);

/// A part of the cluster that cannot be watched, so that what is known of it may be wrong by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwatched {
    /// `namespaces`, `deployments in all namespaces`.
    pub what: String,
    /// The first of the failures in a row.
    pub since: Timestamp,
    /// The last one.
    pub reason: String,
}

/// What an update waits for.
#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Gate {
    /// Somebody else keeps the image, and nobody said that it is written all the same.
    Kept,
    /// `kubectl rollout pause`: a new image would change the template and roll nothing.
    Paused,
    /// Its tag has not been known for long enough.
    MinAge,
    /// The same, and the moment that it is, its window will be closed or a freeze on.
    #[strum(serialize = "min-age")]
    MinAgeAndWindow,
    Freeze,
    Window,
    /// A scan has just found something for one of its containers, and may yet do so for another: they go in one rollout.
    Scan,
    /// It is not published for platforms on which its pods would run.
    PlatformMissing {
        /// `linux/arm64`; several are separated by commas.
        platforms: String,
    },
    /// Nobody has asked yet what its `ReplicaSets` know of updates, or what they know is of a newer state than this.
    ReplicaSetsNotAsked,
    /// They could not be read.
    ReplicaSetsUnreadable {
        problem: String,
    },
    /// Its release notes are still to be fetched, and decide whether it needs approval.
    ReleaseNotes,
    /// A freeze, a mode or a rollout elsewhere may not be seen.
    Unwatched(Arc<Unwatched>),
    /// As many rollouts are under way as may be at once.
    MaxRollouts {
        limit: u32,
    },
    /// The same, in its namespace.
    MaxRolloutsPerNamespace {
        limit: u32,
    },
}

impl Gate {
    /// The first gate between an update that is due now and its start, and when it will open. Of a freeze and a window, it opens
    /// when both allow it.
    pub(super) fn closed(settings: &Settings, now: Timestamp) -> Option<(Self, Option<Timestamp>)> {
        let (window, freeze) = (settings.window.as_deref(), settings.freeze.as_deref());
        let open = next_open(window, freeze, now);
        if open == Some(now) {
            return None;
        }
        let is_frozen = freeze.is_some_and(|freeze| freeze.end_at(now).is_some());
        Some((if is_frozen { Self::Freeze } else { Self::Window }, open))
    }

    /// Until when a scan that has written the record of one container may yet write that of another. A record that it finds unchanged
    /// is not written, so that it is waited for in vain, and that is why the time is short. Nobody waits for a registry that failed, nor
    /// for a container that would not start by itself.
    pub(super) fn scan(
        watched: &[Watched],
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Option<(Self, Timestamp)> {
        if watched.len() < 2 {
            return None;
        }
        let record = |watched: &Watched| snapshot.records.get(&watched.record);
        let scanned = |watched: &Watched| Some(record(watched)?.as_ref().ok()?.findings.as_ref()?.scanned_at);
        let newest = watched.iter().filter_map(scanned).max()?;
        let until = newest.checked_add(SCAN_LASTS).ok()?;
        let may_follow = |watched: &Watched| match scanned(watched) {
            Some(scanned) => newest.duration_since(scanned) > SCAN_LASTS,
            None => record(watched).is_none(),
        };
        let mut others = watched
            .iter()
            .filter(|watched| watched.settings.mode == Mode::Auto);
        (now < until && others.any(may_follow)).then_some((Self::Scan, until))
    }

    /// `waits for its window, until …`.
    pub(super) fn tell(&self, until: Option<Timestamp>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Kept => return f.write_str("waits"),
            Self::ReleaseNotes => {
                return f.write_str("waits for its release notes, which decide whether it needs approval");
            }
            Self::ReplicaSetsNotAsked => {
                return f.write_str("waits for what its ReplicaSets say: somebody may have undone it");
            }
            Self::ReplicaSetsUnreadable { problem } => {
                return write!(
                    f,
                    "waits until it is known whether somebody has undone it: {problem}"
                );
            }
            Self::Paused => {
                return f.write_str("waits until the rollout is resumed (kubectl rollout resume)");
            }
            // Not why, which can change with each attempt, and this is written down.
            Self::Unwatched(unwatched) => {
                let Unwatched {
                    what,
                    since,
                    reason: _,
                } = unwatched.as_ref();
                return write!(
                    f,
                    "waits until {what} can be watched again, which has failed since {since}; the updater's log says why"
                );
            }
            Self::MaxRollouts { limit } => {
                return write!(
                    f,
                    "waits for its turn: no more than {limit} rollouts at once (MAX_ROLLOUTS)"
                );
            }
            Self::MaxRolloutsPerNamespace { limit } => {
                return write!(
                    f,
                    "waits for its turn: no more than {limit} rollouts at once in a namespace (MAX_ROLLOUTS_PER_NAMESPACE)"
                );
            }
            // Not on how many, which changes all the time where nodes come and go, and this is written down.
            Self::PlatformMissing { platforms } => {
                return write!(
                    f,
                    "waits until it is published for {platforms}, on which nodes run"
                );
            }
            Self::MinAge => "waits until it is old enough",
            Self::MinAgeAndWindow => "waits until it is old enough and its window is open",
            Self::Freeze => "waits for the end of a freeze",
            Self::Window => "waits for its window",
            Self::Scan => "waits for what the scan finds for its other containers",
        };
        f.write_str(what)?;
        match until {
            Some(until) => write!(f, ", until {until}"),
            None => f.write_str(", with no end in sight"),
        }
    }
}
