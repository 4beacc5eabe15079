//! What was said, where, before it is understood.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::dialect::{self, Term, Translation};
use super::kept::unkept;
use super::key::{Key, Setting};
use super::{AnnotationError, Layer, Subject};
use crate::domain::policy::shortened;

/// Where another tool's word stands on a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub(super) enum Place {
    Annotation,
    Label,
}

/// What is said to another tool, as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) place: Place,
    pub(super) key: &'a str,
    pub(super) written: &'a str,
}

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.key)
    }
}

/// Where a value was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin<'a> {
    /// In an annotation of the workload itself.
    Annotation(&'a str),
    /// There as well, in the words of another tool, of which the value is a translation.
    Foreign(Word<'a>),
    /// Anywhere else, in words such as `variable KUBEFRESH_MODE`.
    Elsewhere(&'a str),
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Annotation(key) => write!(f, "annotation {key}"),
            Self::Foreign(word) => word.fmt(f),
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
        let written = match self.origin {
            Origin::Foreign(word) => word.written,
            Origin::Annotation(_) | Origin::Elsewhere(_) => &self.value,
        };
        AnnotationError::InvalidValue {
            origin: self.origin.to_string(),
            value: shortened(written),
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
    /// Reads what a workload says over a layer: in our words, or where it says nothing lasting in them, in another tool's.
    pub(super) fn read(subject: &Subject<'a>, containers: &BTreeSet<&str>, layer: &Layer) -> Self {
        let mut said = Self::ours(subject.annotations, containers);
        if !said.is_lasting()
            && let Some(translation) = dialect::translate(subject)
        {
            said.add(translation, layer);
        }
        said
    }

    /// Only what is said in our words.
    pub(super) fn ours(annotations: &'a BTreeMap<String, String>, containers: &BTreeSet<&str>) -> Self {
        let mut said = Self::default();
        for (key, value) in annotations {
            let given = Given {
                value: Cow::Borrowed(value),
                origin: Origin::Annotation(key),
            };
            if let Some(error) = unkept(key, value, || given.origin.to_string()) {
                said.errors.push(error);
                continue;
            }
            match Key::of(key, containers) {
                Ok(Key::Foreign | Key::State) => {}
                Ok(Key::Common(setting)) => drop(said.common.insert(setting, given)),
                Ok(Key::Own(container, setting)) => drop(said.own.insert((container, setting), given)),
                Err(error) => said.errors.push(error),
            }
        }
        said
    }

    /// Whether any of it is more than a word that the updater, or a person for its sake, wrote beside another tool's.
    pub(super) fn is_lasting(&self) -> bool {
        let mut settings = self
            .common
            .keys()
            .chain(self.own.keys().map(|(_, setting)| setting));
        !self.errors.is_empty() || settings.any(|setting| setting.is_lasting())
    }

    /// Takes in what another tool would understand. What it would only take for granted, a layer may know better.
    fn add(&mut self, translation: Translation<'a>, layer: &Layer) {
        let counts = |setting: Setting, term: &Term<'_>| !term.implied || layer.given(setting).is_none();
        let common = translation.common.into_iter();
        for (setting, term) in common.filter(|(setting, term)| counts(*setting, term)) {
            self.common.entry(setting).or_insert(term.given);
        }
        let own = translation.own.into_iter();
        for (place, term) in own.filter(|((_, setting), term)| counts(*setting, term)) {
            self.own.entry(place).or_insert(term.given);
        }
        self.errors.extend(translation.errors);
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
