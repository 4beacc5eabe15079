//! The words by which notes are understood.

use super::Signals;
use crate::domain::text::cut;

/// What a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    Security,
    Breaking,
    Feature,
    Fix,
    Other,
}

/// How much of a line is kept to say why, in bytes.
const LONGEST_REASON: usize = 160;

/// Headings, by words in them; the first that is found counts.
const SECTIONS: [(&str, Option<Kind>); 38] = [
    ("contributor", None),
    ("full changelog", None),
    ("checksum", None),
    ("sha256", None),
    ("download", None),
    ("assets", None),
    ("installation", None),
    ("docker image", None),
    ("thanks", None),
    ("sponsor", None),
    ("security", Some(Kind::Security)),
    ("vulnerabilit", Some(Kind::Security)),
    ("cve-", Some(Kind::Security)),
    ("non-breaking", Some(Kind::Other)),
    ("breaking", Some(Kind::Breaking)),
    ("incompatib", Some(Kind::Breaking)),
    ("removed", Some(Kind::Breaking)),
    ("removal", Some(Kind::Breaking)),
    ("action required", Some(Kind::Breaking)),
    ("urgent upgrade", Some(Kind::Breaking)),
    ("upgrade note", Some(Kind::Breaking)),
    ("upgrading", Some(Kind::Breaking)),
    ("migration", Some(Kind::Breaking)),
    ("bug", Some(Kind::Fix)),
    ("fix", Some(Kind::Fix)),
    ("feature", Some(Kind::Feature)),
    ("enhancement", Some(Kind::Feature)),
    ("improvement", Some(Kind::Feature)),
    ("added", Some(Kind::Feature)),
    ("what's new", Some(Kind::Feature)),
    ("new", Some(Kind::Feature)),
    ("performance", Some(Kind::Feature)),
    ("deprecat", Some(Kind::Other)),
    ("change", Some(Kind::Other)),
    ("dependenc", Some(Kind::Other)),
    ("documentation", Some(Kind::Other)),
    ("chore", Some(Kind::Other)),
    ("other", Some(Kind::Other)),
];

/// What stands beneath a heading: nothing worth telling (`None`), something of which the heading does not tell the kind, or what
/// it says.
#[expect(
    clippy::option_option,
    reason = "the outer one says whether to read on, the inner one whether the kind is known"
)]
pub(super) fn section(heading: &str) -> Option<Option<Kind>> {
    let lower = heading.to_lowercase();
    if lower.contains("what's changed") || lower.contains("what’s changed") {
        return Some(None);
    }
    let found = SECTIONS.iter().find(|(word, _)| contains_word(&lower, word));
    match found {
        Some((_, None)) => None,
        Some((_, kind)) => Some(*kind),
        None => Some(None),
    }
}

/// Whether a text has a word that begins so.
fn contains_word(lower: &str, word: &str) -> bool {
    let mut places = lower.match_indices(word);
    places.any(|(at, _)| !lower[..at].ends_with(char::is_alphanumeric))
}

/// The kind of a line that is told wherever it stands.
pub(super) fn lifted(text: &str) -> Option<Kind> {
    let found = signals_of(text);
    let lower = text.to_lowercase();
    let is_asked = [
        "action required",
        "you must",
        "must be migrated",
        "manual migration",
        "manually migrate",
        "requires a migration",
    ];
    if found.security.is_some() {
        return Some(Kind::Security);
    }
    let is_breaking = found.breaking.is_some() || is_asked.iter().any(|words| lower.contains(words));
    is_breaking.then_some(Kind::Breaking)
}

/// What a line tells of risk, by its words. That nothing breaks is no break.
pub(super) fn signals_of(text: &str) -> Signals {
    let lower = text.to_lowercase();
    let reason = || Some(cut(text, LONGEST_REASON));
    let denies = [
        "no breaking",
        "not breaking",
        "non-breaking",
        "non breaking",
        "without breaking",
        "no known breaking",
        "breaking changes: none",
    ];
    let says_breaking = text.contains("BREAKING")
        || [
            "breaking change",
            "backwards incompatible",
            "backward incompatible",
            "backwards-incompatible",
            "not backward",
            "breaks compat",
        ]
        .iter()
        .any(|words| lower.contains(words));
    let is_denied = denies.iter().any(|words| lower.contains(words));
    let is_id = |id: &str| {
        lower.match_indices(id).any(|(at, _)| {
            let rest = &lower[at + id.len()..];
            !lower[..at].ends_with(char::is_alphanumeric)
                && rest.starts_with(|first: char| first.is_ascii_alphanumeric())
        })
    };
    let is_security = is_id("cve-")
        || is_id("ghsa-")
        || contains_word(&lower, "vulnerab")
        || lower.contains("security fix");
    let is_migration = [
        "migrat",
        "action required",
        "upgrade guide",
        "upgrade note",
        "upgrading from",
    ]
    .iter()
    .any(|words| contains_word(&lower, words));
    Signals {
        breaking: (says_breaking && !is_denied).then(reason).flatten(),
        migration: is_migration.then(reason).flatten(),
        security: is_security.then(reason).flatten(),
    }
}

/// `feat(web)!: text`: the kind, the text, and whether it breaks something.
pub(super) fn commit(text: &str) -> (Option<Kind>, &str, bool) {
    let Some((head, rest)) = text.split_once(':') else {
        return (None, text, false);
    };
    let breaks = head.ends_with('!');
    let head = head.trim_end_matches('!');
    let (word, scope) = head.split_once('(').unwrap_or((head, ")"));
    if !scope.ends_with(')') || rest.trim().is_empty() {
        return (None, text, false);
    }
    let kind = match word.to_ascii_lowercase().as_str() {
        "feat" | "feature" | "perf" => Kind::Feature,
        "fix" | "bugfix" | "hotfix" => Kind::Fix,
        "security" | "sec" => Kind::Security,
        "breaking" | "breaking change" => return (Some(Kind::Breaking), rest.trim(), true),
        "docs" | "chore" | "build" | "ci" | "test" | "tests" | "style" | "refactor" | "revert" | "deps" => {
            Kind::Other
        }
        _ => return (None, text, false),
    };
    (Some(kind), rest.trim(), breaks)
}

/// `text by ＠somebody in #12` as `text (#12)`: who wrote it is not what people ask.
pub(super) fn without_author(text: &str) -> String {
    let Some((before, after)) = text.rsplit_once(" by ＠") else {
        return text.to_owned();
    };
    let mut words = after.split_whitespace();
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(_), Some("in"), Some(issue), None) => format!("{before} ({issue})"),
        (Some(_), None, None, None) => before.to_owned(),
        _ => text.to_owned(),
    }
}

/// Lines that forges write by themselves.
pub(super) fn is_boilerplate(text: &str) -> bool {
    let lower = text.to_lowercase();
    lower.starts_with("full changelog") || lower.contains("made their first contribution") || text == "(link)"
}
