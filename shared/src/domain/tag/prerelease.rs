//! Prerelease markers in all their spellings (rule 4).

use std::cmp::Ordering;

use super::numbers::leading_digits;
use super::scan::{Word, split};

/// How far from a release a prerelease is. Later kinds are nearer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageKind {
    /// A marker that only a pattern of the user's declares to be one.
    Unknown,
    Development,
    Nightly,
    Snapshot,
    Canary,
    Alpha,
    Beta,
    Milestone,
    EarlyAccess,
    Preview,
    ReleaseCandidate,
}

/// One prerelease marker with its counter: `-rc.1`, `b1`, `-nightly`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stage {
    kind: StageKind,
    /// How an unknown marker is called; empty for the others, which their kind tells apart.
    name: String,
    /// The counter's numbers, most significant first; empty where none is written.
    counter: Vec<u64>,
}

impl Stage {
    /// Digits at the end are its counter, if they fit.
    fn unknown(text: &str) -> Self {
        let name = text.trim_end_matches(|c: char| c.is_ascii_digit());
        let counter = text[name.len()..].parse().ok();
        Self {
            kind: StageKind::Unknown,
            name: if counter.is_some() { name } else { text }.to_owned(),
            counter: counter.into_iter().collect(),
        }
    }

    pub fn kind(&self) -> StageKind {
        self.kind
    }

    /// The counter's numbers; empty in a bare marker such as `-rc` or `-nightly`.
    pub fn counter(&self) -> &[u64] {
        &self.counter
    }
}

/// The order of the markers of two equal versions. The release, with no marker left, comes last.
pub(super) fn compare(ours: &[Stage], theirs: &[Stage]) -> Ordering {
    let differing = ours
        .iter()
        .zip(theirs)
        .map(|(a, b)| a.cmp(b))
        .find(|order| order.is_ne());
    differing.unwrap_or_else(|| theirs.len().cmp(&ours.len()))
}

/// What a word's letters must look like to be a marker.
#[derive(Clone, Copy)]
enum Form {
    /// Alone or with a counter.
    Any,
    /// With a counter only; without one the letters mean something else.
    Counted,
    /// With a counter, and glued to the version numbers, `3.7.0b1`, or to the counter by a dot, `v0.107.0-b.3`. A lone
    /// letter means something else otherwise.
    Glued,
    /// With a counter, and glued or an upper-case letter: `7.0.0M15`, `7.0.0-M15`.
    GluedOrUpper,
}

/// `dev` alone names a variant with development tools far more often than an unfinished version.
const MARKERS: [(&str, StageKind, Form); 18] = [
    ("dev", StageKind::Development, Form::Counted),
    ("nightly", StageKind::Nightly, Form::Any),
    ("snapshot", StageKind::Snapshot, Form::Any),
    ("canary", StageKind::Canary, Form::Any),
    ("alpha", StageKind::Alpha, Form::Any),
    ("a", StageKind::Alpha, Form::Glued),
    ("beta", StageKind::Beta, Form::Any),
    ("b", StageKind::Beta, Form::Glued),
    ("milestone", StageKind::Milestone, Form::Any),
    ("m", StageKind::Milestone, Form::GluedOrUpper),
    ("ea", StageKind::EarlyAccess, Form::Any),
    // OpenShift's engineering candidates.
    ("ec", StageKind::EarlyAccess, Form::Counted),
    ("pre", StageKind::Preview, Form::Any),
    ("preview", StageKind::Preview, Form::Any),
    ("next", StageKind::Preview, Form::Counted),
    ("rc", StageKind::ReleaseCandidate, Form::Any),
    ("cr", StageKind::ReleaseCandidate, Form::Counted),
    ("c", StageKind::ReleaseCandidate, Form::Glued),
];

/// Whether a text that is glued to version numbers starts with a marker.
pub(super) fn starts_glued(text: &str) -> bool {
    let end = text
        .bytes()
        .position(|b| !b.is_ascii_alphanumeric())
        .unwrap_or(text.len());
    read(&[Word {
        separator: None,
        text: &text[..end],
    }])
    .is_some()
}

/// Reads a text that is declared to be prerelease markers and nothing else.
pub(super) fn read_all(text: &str) -> Vec<Stage> {
    let words = split(text);
    let mut stages = Vec::new();
    let mut rest = words.as_slice();
    while let Some((word, following)) = rest.split_first() {
        if let Some((stage, taken)) = read(rest) {
            stages.push(stage);
            rest = &rest[taken..];
        } else {
            stages.push(Stage::unknown(word.text));
            rest = following;
        }
    }
    stages
}

/// Reads a marker and its counter at the start of `words`, with the number of words they take.
pub(super) fn read(words: &[Word<'_>]) -> Option<(Stage, usize)> {
    let (first, following) = words.split_first()?;
    let letters_end = first
        .text
        .bytes()
        .position(|b| !b.is_ascii_alphabetic())
        .unwrap_or(first.text.len());
    if letters_end == 0 {
        return None;
    }
    let (letters, digits) = first.text.split_at(letters_end);
    let &(_, kind, form) = MARKERS
        .iter()
        .find(|(marker, ..)| marker.eq_ignore_ascii_case(letters))?;
    if leading_digits(digits) != digits {
        return None;
    }

    let mut counter = Vec::new();
    let mut taken = 1;
    let is_dotted = following.first().is_some_and(|word| word.separator == Some('.'));
    if !digits.is_empty() {
        counter.push(digits.parse().ok()?);
    } else if let Some(number) = following.first().and_then(Word::number) {
        counter.push(number);
        taken += 1;
    }
    if !counter.is_empty() {
        let dotted = words[taken..]
            .iter()
            .take_while(|word| word.separator == Some('.'))
            .map_while(Word::number);
        counter.extend(dotted);
        taken = taken - 1 + counter.len();
    }

    let is_glued = first.separator.is_none();
    let is_marker = match form {
        Form::Any => true,
        Form::Counted => !counter.is_empty(),
        Form::Glued => {
            !counter.is_empty() && (is_glued && !digits.is_empty() || digits.is_empty() && is_dotted)
        }
        Form::GluedOrUpper => !digits.is_empty() && (is_glued || letters.starts_with(char::is_uppercase)),
    };
    let stage = Stage {
        kind,
        name: String::new(),
        counter,
    };
    is_marker.then_some((stage, taken))
}
