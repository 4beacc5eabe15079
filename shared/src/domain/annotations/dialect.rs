//! The annotations of other tools, in our words.
//!
//! A workload that says nothing lasting under our own prefix is understood in the words of the tool that it was annotated
//! for: the first of [`Dialect`] that says anything is followed, alone. A value that the tool would not understand is an
//! error, as with ours. What cannot be carried over, and keys that the tool does not know, are remarks for those who migrate.

pub(super) mod image_watcher;
mod keel;
mod migration;
mod watch_cluster;

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Zoned;
use serde::Serialize;
use strum::VariantArray as _;

pub use migration::{Migration, migration};

use super::given::{Given, Origin, Place, Said, Word};
use super::key::Setting;
use super::{AnnotationError, CHECK_NOW, Subject};
use crate::domain::in_flight::InFlight;
use crate::domain::reference::{Digest, ImageReference};
use crate::domain::release_notes::source::NotesSetting;

/// A tool whose annotations are understood. Where a workload has those of several, the first counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::Display, strum::VariantArray)]
pub enum Dialect {
    #[strum(serialize = "watch-cluster")]
    WatchCluster,
    #[strum(serialize = "Image-Watcher")]
    ImageWatcher,
    Keel,
}

impl Dialect {
    /// What its keys begin with, before the slash.
    fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::WatchCluster => &[watch_cluster::PREFIX],
            Self::ImageWatcher => &[image_watcher::PREFIX],
            Self::Keel => &keel::PREFIXES,
        }
    }

    fn owns(self, key: &str) -> bool {
        key.split_once('/')
            .is_some_and(|(prefix, _)| self.prefixes().contains(&prefix))
    }

    fn translate<'a>(self, subject: &Subject<'a>) -> Translation<'a> {
        match self {
            Self::WatchCluster => watch_cluster::translate(subject),
            Self::ImageWatcher => image_watcher::translate(subject),
            Self::Keel => keel::translate(subject),
        }
    }
}

/// Whether an annotation is one of another tool.
pub(super) fn is_foreign(key: &str) -> bool {
    Dialect::VARIANTS.iter().any(|dialect| dialect.owns(key))
}

/// Whether a label is: Keel alone reads them.
pub(super) fn is_foreign_label(key: &str) -> bool {
    Dialect::Keel.owns(key)
}

/// A setting in our words.
#[derive(Debug, Clone)]
pub(super) struct Term<'a> {
    pub(super) given: Given<'a>,
    /// Nobody wrote it; the tool does so where nothing is said.
    pub(super) implied: bool,
}

/// Something that is not carried over, or not as it was, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Remark {
    /// `annotation KEY` or `label KEY`.
    pub origin: String,
    pub value: String,
    pub reason: String,
}

/// What a workload says to another tool.
#[derive(Debug)]
pub(super) struct Translation<'a> {
    pub(super) dialect: Dialect,
    pub(super) common: BTreeMap<Setting, Term<'a>>,
    /// By container.
    pub(super) own: BTreeMap<(&'a str, Setting), Term<'a>>,
    pub(super) errors: Vec<AnnotationError>,
    pub(super) remarks: Vec<Remark>,
}

impl<'a> Translation<'a> {
    fn to(dialect: Dialect) -> Self {
        Self {
            dialect,
            common: BTreeMap::new(),
            own: BTreeMap::new(),
            errors: Vec::new(),
            remarks: Vec::new(),
        }
    }

    fn says_anything(&self) -> bool {
        !self.common.is_empty() || !self.errors.is_empty()
    }

    fn say(&mut self, setting: Setting, value: impl Into<Cow<'a, str>>, word: Word<'a>) {
        self.common.insert(setting, term(value, word, false));
    }

    /// What the tool does where nothing is said, because of this word.
    fn imply(&mut self, setting: Setting, value: impl Into<Cow<'a, str>>, word: Word<'a>) {
        let term = term(value, word, true);
        self.common.entry(setting).or_insert(term);
    }

    /// The tool leaves this container alone, because of this word.
    fn spare(&mut self, container: &'a str, word: Word<'a>) {
        let term = term("false", word, false);
        self.own.insert((container, Setting::Watch), term);
    }

    fn refuse(&mut self, word: Word<'a>, reason: impl Into<String>) {
        let error = term(word.written, word, false).given.invalid(reason.into());
        self.errors.push(error);
    }

    fn remark(&mut self, word: Word<'a>, reason: impl Into<String>) {
        self.remarks.push(Remark {
            origin: word.to_string(),
            value: word.written.to_owned(),
            reason: reason.into(),
        });
    }

    fn remark_unknown(&mut self, word: Word<'a>) {
        self.remark(word, format!("{} has no such {}", self.dialect, word.place));
    }
}

fn term<'a>(value: impl Into<Cow<'a, str>>, word: Word<'a>, implied: bool) -> Term<'a> {
    let given = Given {
        value: value.into(),
        origin: Origin::Foreign(word),
    };
    Term { given, implied }
}

/// What a workload says to the tool that counts.
pub(super) fn translate<'a>(subject: &Subject<'a>) -> Option<Translation<'a>> {
    translations(subject).find(Translation::says_anything)
}

/// What the tool that counts would write on a workload whose update is complete now, and take away where there is no value. `now` is in
/// the time zone in which a time is told, and `recorded` says which digest the tag of an image is known by.
pub fn status_annotations(
    subject: &Subject<'_>,
    in_flight: &InFlight,
    recorded: impl Fn(&ImageReference) -> Option<Digest>,
    now: &Zoned,
) -> BTreeMap<String, Option<String>> {
    match followed(subject) {
        Some(Dialect::WatchCluster) => watch_cluster::status(in_flight, recorded, now),
        Some(Dialect::ImageWatcher | Dialect::Keel) | None => BTreeMap::new(),
    }
}

/// The annotations by which a workload asks for a scan at once, in our words and in those of the tool that counts, as keys and
/// values.
pub fn check_now<'a>(subject: &Subject<'a>) -> impl Iterator<Item = (&'static str, &'a str)> + use<'a> {
    let keys = [
        (CHECK_NOW, None),
        (watch_cluster::CHECK_NOW, Some(Dialect::WatchCluster)),
    ];
    let subject = *subject;
    keys.into_iter().filter_map(move |(key, dialect)| {
        let value = subject.annotations.get(key)?;
        let counts = dialect.is_none() || followed(&subject) == dialect;
        counts.then_some((key, value.as_str()))
    })
}

/// Which tool's words count, if not ours.
fn followed(subject: &Subject<'_>) -> Option<Dialect> {
    let has_ours = Said::ours(subject.annotations, &subject.container_names()).is_lasting();
    let translation = if has_ours { None } else { translate(subject) };
    translation.map(|translation| translation.dialect)
}

/// What it says to each tool, in the order in which they count.
fn translations<'a>(subject: &Subject<'a>) -> impl Iterator<Item = Translation<'a>> {
    let maps = [subject.annotations, subject.labels];
    let is_spoken = move |dialect: &Dialect| maps.iter().any(|map| map.keys().any(|key| dialect.owns(key)));
    let spoken = Dialect::VARIANTS.iter().copied().filter(is_spoken);
    let subject = *subject;
    spoken.map(move |dialect| dialect.translate(&subject))
}

/// The annotations of a tool with one prefix, by what follows it.
fn annotations<'a>(subject: &Subject<'a>, prefix: &'static str) -> impl Iterator<Item = (&'a str, Word<'a>)> {
    subject.annotations.iter().filter_map(move |(key, written)| {
        let name = key.strip_prefix(prefix)?.strip_prefix('/')?;
        let word = Word {
            place: Place::Annotation,
            key,
            written,
        };
        Some((name, word))
    })
}

/// Where release notes are, in our words: the address as it is, but of GitHub, and of what its API answers, the repository is
/// enough.
fn release_notes(written: &str) -> Result<String, String> {
    let written = written.trim();
    let path = ["https://api.github.com/repos/", "https://github.com/"]
        .into_iter()
        .find_map(|start| written.strip_prefix(start));
    let repository = path.and_then(|path| {
        let mut words = path.split('/');
        Some(format!("github.com/{}/{}", words.next()?, words.next()?))
    });
    let notes = repository.unwrap_or_else(|| written.to_owned());
    let understood: Result<NotesSetting, String> = notes.parse();
    understood.map(|_| notes)
}
