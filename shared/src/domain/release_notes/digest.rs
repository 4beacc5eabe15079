//! What of the notes people should know first, found without a model: sections by their headings, lines by their words.
//!
//! The same form is what a model's answer is read into ([`super::summary`]), and its signals are found here alone: what a model
//! is made to leave out by text that speaks to it is missing in its words and not in the risk.

mod words;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use self::words::{Kind, commit, is_boilerplate, section, signals_of, without_author};
use super::Release;
use super::plain::{Line, LineKind, inline, read};
use crate::domain::text::cut;

/// How many security fixes, and how many breaking changes, are told at most.
const MOST_URGENT: usize = 20;
/// How many of each other kind.
const MOST_OTHERS: usize = 12;
/// How many urgent ones where there is no room for more; no others are told then.
const FEW_URGENT: usize = 3;
/// How long the text of an item is at most, in bytes.
pub const LONGEST_ITEM: usize = 300;
/// How many lines of a release stand for it where it has no list.
const LINES_OF_PROSE: usize = 3;

/// Who made a summary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum MadeBy {
    /// Rules.
    #[default]
    Digest,
    /// A language model, which read plain text and whose answer was read as such.
    Model,
}

impl MadeBy {
    /// As people are told it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Digest => "rules",
            Self::Model => "a language model",
        }
    }
}

/// One change, in plain words: see [`super::plain`] for what holds of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Item {
    pub text: String,
    /// Into the repository of the notes, and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The release that says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
}

/// The first line that tells of each; found by rules whoever made the summary.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signals {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaking: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<String>,
}

impl Signals {
    fn take_in(&mut self, other: Self) {
        let Self {
            breaking,
            migration,
            security,
        } = other;
        self.breaking = self.breaking.take().or(breaking);
        self.migration = self.migration.take().or(migration);
        self.security = self.security.take().or(security);
    }
}

/// What an update brings, most important first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Summary {
    pub made_by: MadeBy,
    /// A sentence or two about all of it; only a model writes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overview: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security: Vec<Item>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaking: Vec<Item>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Item>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<Item>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Item>,
    /// How many items there were beyond those that are told.
    #[serde(default)]
    pub left_out: usize,
    /// Whether it tells of some of the notes alone, as not all of them were read by the model or answered for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_part: bool,
    #[serde(default)]
    pub signals: Signals,
}

impl Summary {
    /// Whether it tells nothing.
    pub fn is_empty(&self) -> bool {
        self.overview.is_none() && self.sections().iter().all(|(_, items)| items.is_empty())
    }

    /// What there is, in the order in which people should read it, with the words that stand above it.
    pub fn sections(&self) -> [(&'static str, &[Item]); 5] {
        [
            ("Security", &self.security),
            ("Breaking changes", &self.breaking),
            ("New", &self.features),
            ("Fixed", &self.fixes),
            ("Other", &self.other),
        ]
    }

    /// Leaves out what is least missed; what speaks of risk stays.
    pub(super) fn shorten(&mut self) {
        for (items, most) in [
            (&mut self.security, FEW_URGENT),
            (&mut self.breaking, FEW_URGENT),
            (&mut self.features, 0),
            (&mut self.fixes, 0),
            (&mut self.other, 0),
        ] {
            let told = items.len();
            items.truncate(most);
            self.left_out += told - items.len();
        }
    }

    pub(super) fn of_kind(&mut self, kind: Kind) -> (&mut Vec<Item>, usize) {
        match kind {
            Kind::Security => (&mut self.security, MOST_URGENT),
            Kind::Breaking => (&mut self.breaking, MOST_URGENT),
            Kind::Feature => (&mut self.features, MOST_OTHERS),
            Kind::Fix => (&mut self.fixes, MOST_OTHERS),
            Kind::Other => (&mut self.other, MOST_OTHERS),
        }
    }

    /// Adds an item where there is room, and counts it otherwise.
    pub(super) fn add(&mut self, kind: Kind, item: Item) {
        let (items, most) = self.of_kind(kind);
        if items.len() < most {
            items.push(item);
        } else {
            self.left_out += 1;
        }
    }
}

pub(super) use self::words::Kind as ItemKind;

/// What rules find in releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    pub summary: Summary,
    /// Whether all of their text was looked at: what is not found in a part may stand in the rest.
    pub is_whole: bool,
}

/// The digest of releases, newest first. Links that begin with `own` are kept.
pub fn digest(releases: &[Release], own: &str) -> Digest {
    let mut summary = Summary::default();
    let mut seen = HashSet::new();
    let mut is_whole = true;
    for release in releases {
        let (name, _) = inline(&release.tag, "");
        let text = read(&release.body, own);
        is_whole &= text.is_whole;
        for (kind, line) in changes(&text.lines, &mut summary.signals) {
            let text = cut(&line.text, LONGEST_ITEM - "…".len());
            if seen.insert(text.to_lowercase()) {
                let release = Some(name.clone()).filter(|name| !name.is_empty());
                summary.add(
                    kind,
                    Item {
                        text,
                        link: line.link,
                        release,
                    },
                );
            }
        }
    }
    Digest { summary, is_whole }
}

/// The changes that the lines of one release tell.
fn changes(lines: &[Line], signals: &mut Signals) -> Vec<(Kind, Line)> {
    let mut found = Vec::new();
    let mut prose = Vec::new();
    let mut current = Some(None);
    for line in lines {
        if line.kind == LineKind::Code {
            continue;
        }
        signals.take_in(signals_of(&line.text));
        if line.kind == LineKind::Rest {
            continue;
        }
        let lifted = words::lifted(&line.text);
        if line.kind == LineKind::Heading {
            current = section(&line.text);
            if current == Some(Some(Kind::Breaking)) {
                signals.take_in(Signals {
                    breaking: Some(line.text.clone()),
                    ..Signals::default()
                });
            }
            if lifted == Some(Kind::Security) && section(&line.text) != Some(Some(Kind::Security)) {
                found.push((Kind::Security, line.clone()));
            }
            continue;
        }
        let Some(section) = current else { continue };
        if is_boilerplate(&line.text) {
            continue;
        }
        let (committed, text, breaks) = commit(&line.text);
        let line = Line {
            text: without_author(text),
            ..line.clone()
        };
        if breaks {
            signals.take_in(Signals {
                breaking: Some(line.text.clone()),
                ..Signals::default()
            });
        }
        let broken = breaks.then_some(Kind::Breaking);
        let urgent = section.filter(|kind| matches!(kind, Kind::Security | Kind::Breaking));
        let kind = lifted.or(broken).or(urgent).or(committed).or(section);
        match (line.kind, kind) {
            (LineKind::Item, kind) => found.push((kind.unwrap_or(Kind::Other), line)),
            (_, Some(kind)) if lifted.is_some() || breaks || urgent.is_some() => found.push((kind, line)),
            _ => prose.push((kind.unwrap_or(Kind::Other), line)),
        }
    }
    if !found.iter().any(|(_, line)| line.kind == LineKind::Item) {
        found.extend(prose.into_iter().take(LINES_OF_PROSE));
    }
    found
}

#[cfg(test)]
mod tests;
