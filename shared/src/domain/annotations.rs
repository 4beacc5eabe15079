//! Every annotation key, once, and the way from a workload's annotations to its settings, over those of its namespace and of
//! the installation.
//!
//! A key under our prefix that we do not know, or a value that does not parse, is an error for that workload:
//! it never silently becomes a default. Where a workload has no such key, those of other tools count ([`dialect`]); all
//! others are none of our business.

mod dialect;
mod given;
mod kept;
mod key;
mod layer;
mod settings;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use super::workload::Container;

pub use dialect::{Dialect, Migration, Remark, check_now, migration, status_annotations};
pub(super) use kept::TOO_LONG;
pub use kept::{LONGEST, kept};
pub use layer::{Installation, Layer, Namespaces, is_variable};
pub use settings::{
    ByDefault, ContainerSettings, DEFAULT_ROLLOUT_TIMEOUT, MOST_ROLLOUT_TIMEOUT, Settings, settings,
};
pub(super) use value::parse_undo;
pub use value::{Approved, MOST_HOLDS, Mode, Pin, WriteBack, parse_variable_switch};

/// The prefix of all our keys; `CONTAINER.kubefresh.dev/KEY` speaks of one container.
pub const PREFIX: &str = "kubefresh.dev";

/// The annotation that says `key` of one container.
pub(super) fn of_container(container: &str, key: &str) -> String {
    format!("{container}.{key}")
}

/// A setting, and so one of [`key`]'s: what a person agreed to, in mode `approve`; removed when the update starts.
pub const APPROVED: &str = "kubefresh.dev/approved";

/// What is never to be offered: written by people, and by the updater beside what they wrote.
pub const HOLD: &str = "kubefresh.dev/hold";

/// A setting: where an update is written, which also says that it is written although somebody else keeps the image.
pub const WRITE_BACK: &str = "kubefresh.dev/write-back";

/// Asks for a scan at once, whatever its value; removed by the updater once it was made.
pub const CHECK_NOW: &str = "kubefresh.dev/check-now";

/// Asks for the last update to be undone, by what is to be left; removed by the updater once that has begun.
pub const UNDO: &str = "kubefresh.dev/undo";

/// State: written by the updater, never by people.
pub const IN_FLIGHT: &str = "kubefresh.dev/in-flight";
/// What waits to be updated, why, and until when.
pub const PENDING: &str = "kubefresh.dev/pending";
pub const LAST_UPDATE: &str = "kubefresh.dev/last-update";
pub const LAST_CHANGE: &str = "kubefresh.dev/last-change";
pub const LAST_RESULT: &str = "kubefresh.dev/last-result";

/// Who agreed to what on a page, by a link or by a command.
pub const APPROVED_BY: &str = "kubefresh.dev/approved-by";
/// Who decided anything else there.
pub const DECIDED_BY: &str = "kubefresh.dev/decided-by";

/// What the last update did, for whoever undoes it.
pub const LAST_IMAGES: &str = "kubefresh.dev/last-images";

const STATE_KEYS: [&str; 8] = [
    IN_FLIGHT,
    PENDING,
    LAST_UPDATE,
    LAST_CHANGE,
    LAST_RESULT,
    LAST_IMAGES,
    APPROVED_BY,
    DECIDED_BY,
];

/// An annotation, or a default in its place, that cannot be obeyed. It names where it was given and the value, and says what
/// would be right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum AnnotationError {
    #[error(
        "the annotations of Kubefresh and of the tools it understands are longer than 128 KiB in all; remove some"
    )]
    TooMany,
    #[error("{origin} is longer than 32 KiB; shorten it")]
    TooLong { origin: String },
    #[error("annotation {key} is not known; the known ones are {known}")]
    UnknownKey { key: String, known: String },
    #[error(
        "annotation {key} speaks of a container that the pod template does not have; it has {containers}"
    )]
    UnknownContainer { key: String, containers: String },
    #[error("{origin} is no default; those that there are: {known}")]
    NoDefault { origin: String, known: String },
    #[error("{origin}: {value:?} is not valid: {reason}")]
    InvalidValue {
        /// `annotation KEY`, `annotation KEY on namespace NAME`, `variable NAME`.
        origin: String,
        value: String,
        reason: String,
    },
    #[error("and {0} more are wrong")]
    More(usize),
}

/// Everything on a workload that says what is wanted of its images, and the containers that have them.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub annotations: &'a BTreeMap<String, String>,
    /// Ours are none; other tools read them, too.
    pub labels: &'a BTreeMap<String, String>,
    /// Init containers first, and otherwise in the order of the pod template.
    pub containers: &'a [Container],
}

impl<'a> Subject<'a> {
    fn container_names(&self) -> BTreeSet<&'a str> {
        let containers = self.containers.iter();
        containers.map(|container| container.name.as_str()).collect()
    }
}

/// Whether an annotation says anything that is understood here, in our words or in those of another tool.
pub fn is_understood(key: &str) -> bool {
    is_ours(key) || dialect::is_foreign(key)
}

/// Whether a label does, which only other tools' do.
pub fn is_understood_label(key: &str) -> bool {
    dialect::is_foreign_label(key)
}

/// Whether a key is under our prefix, rightly or not; nothing is decided by others.
pub fn is_ours(key: &str) -> bool {
    let prefix = key.split_once('/').map(|(prefix, _)| prefix);
    let rest = prefix.and_then(|prefix| prefix.strip_suffix(PREFIX));
    rest.is_some_and(|container| container.is_empty() || container.ends_with('.'))
}

#[cfg(test)]
mod tests;
