//! What was said, where, before it is understood.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::AnnotationError;
use super::key::{Key, Setting};
use crate::domain::policy::shortened;

/// Where a value was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin<'a> {
    /// In an annotation of the workload itself.
    Annotation(&'a str),
    /// Anywhere else, in words such as `variable KUBEFRESH_MODE`.
    Elsewhere(&'a str),
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Annotation(key) => write!(f, "annotation {key}"),
            Self::Elsewhere(words) => f.write_str(words),
        }
    }
}

/// A value and where it was given.
#[derive(Debug, Clone)]
pub(super) struct Given<'a> {
    pub(super) value: Cow<'a, str>,
    pub(super) origin: Origin<'a>,
}

impl Given<'_> {
    pub(super) fn invalid(&self, reason: String) -> AnnotationError {
        AnnotationError::InvalidValue {
            origin: self.origin.to_string(),
            value: shortened(&self.value),
            reason,
        }
    }
}

/// What is said for one workload alone.
#[derive(Debug, Default)]
pub(super) struct Said<'a> {
    pub(super) common: BTreeMap<Setting, Given<'a>>,
    /// By container.
    pub(super) own: BTreeMap<(&'a str, Setting), Given<'a>>,
    pub(super) errors: Vec<AnnotationError>,
}

impl<'a> Said<'a> {
    /// Reads the annotations of a workload with these containers.
    pub(super) fn read(annotations: &'a BTreeMap<String, String>, containers: &BTreeSet<&str>) -> Self {
        let mut said = Self::default();
        for (key, value) in annotations {
            let given = Given {
                value: Cow::Borrowed(value),
                origin: Origin::Annotation(key),
            };
            match Key::of(key, containers) {
                Ok(Key::Foreign | Key::State) => {}
                Ok(Key::Common(setting)) => drop(said.common.insert(setting, given)),
                Ok(Key::Own(container, setting)) => drop(said.own.insert((container, setting), given)),
                Err(error) => said.errors.push(error),
            }
        }
        said
    }

    /// Takes back what does not count.
    pub(super) fn without(mut self, settings: &BTreeSet<Setting>) -> Self {
        self.common.retain(|setting, _| !settings.contains(setting));
        self.own.retain(|(_, setting), _| !settings.contains(setting));
        self
    }

    /// Whether a setting is said for each of these containers, so that no default is asked for.
    pub(super) fn speaks_for_all(&self, setting: Setting, containers: &BTreeSet<&str>) -> bool {
        let has_own = |container: &&str| self.own.contains_key(&(*container, setting));
        self.common.contains_key(&setting) || (!containers.is_empty() && containers.iter().all(has_own))
    }
}
