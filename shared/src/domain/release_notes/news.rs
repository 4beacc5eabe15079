//! What people should know of an update before they decide on it: wherever they are told of it, it is the same.

use serde::Serialize;

use super::book::{Known, NamedRelease, NotesRecord};
use super::digest::Summary;
use super::risk::{Notes, Risk};
use super::source::NotesSource;
use crate::domain::reference::Tag;
use crate::domain::text::is_web_address;

/// How much of the notes is known.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::Display, strum::IntoStaticStr, strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum NotesKnown {
    /// All of them.
    All,
    /// These, and others may be missing.
    Part,
    /// There are none, as far as anybody could find out.
    None,
    /// They could not be fetched; that is tried again.
    Failed,
    /// They are still to be fetched.
    Coming,
    /// Nobody fetches any here.
    NotFetched,
}

/// What there is to know of going from one tag of an image to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Of a tag that stays the same, from which version to which it goes, by what its images say of themselves.
    pub versions: Option<(Tag, Tag)>,
    pub known: NotesKnown,
    /// Why they are not all, in words.
    pub why: Option<String>,
    /// Where people read them: of the newest release.
    pub page: Option<String>,
    /// Newest first.
    pub releases: Vec<NamedRelease>,
    /// How many more there are between the two tags.
    pub more_releases: usize,
    pub summary: Option<Summary>,
    pub risk: Risk,
    /// Whether a model is yet to be asked for a better summary.
    pub awaits_model: bool,
}

impl News {
    /// Of what is known of the notes, with the risk that follows from it.
    pub fn new(known: &Known, fetched: bool, to: &Tag, risk: Risk) -> Self {
        let nothing = |known, why: Option<String>, source: Option<&NotesSource>| Self {
            versions: None,
            known,
            why,
            page: source.and_then(|source| template_page(source, to)),
            releases: Vec::new(),
            more_releases: 0,
            summary: None,
            risk: Risk::default(),
            awaits_model: false,
        };
        let news = match known {
            Known::Record(record) => Self::recorded(record, to),
            Known::NotYet(wanted) => {
                let known = if fetched {
                    NotesKnown::Coming
                } else {
                    NotesKnown::NotFetched
                };
                nothing(known, None, wanted.found.sources.first())
            }
            Known::NoSource(why) => nothing(NotesKnown::None, Some(why.to_string()), None),
        };
        Self { risk, ..news }
    }

    fn recorded(record: &NotesRecord, to: &Tag) -> Self {
        let (known, why) = match (record.notes(), &record.missing) {
            (Notes::Known(_), _) => (NotesKnown::All, None),
            (Notes::Part(_, why), _) => (NotesKnown::Part, Some(why)),
            (Notes::Unknown(why), Some(_)) => (NotesKnown::None, Some(why)),
            (Notes::Unknown(why), None) => (NotesKnown::Failed, Some(why)),
        };
        let newest = record.releases.first().and_then(|release| release.url.clone());
        Self {
            versions: None,
            known,
            why: why.map(str::to_owned),
            page: newest
                .filter(|url| is_web_address(url))
                .or_else(|| template_page(&record.source, to)),
            releases: record.releases.clone(),
            more_releases: record.more_releases,
            summary: record.summary.clone(),
            risk: Risk::default(),
            awaits_model: record.awaits_model,
        }
    }

    /// What is still on its way, in words; nothing where waiting would bring nothing.
    pub fn awaits(&self) -> Option<&'static str> {
        match self.known {
            NotesKnown::Coming => Some("its release notes are still to be fetched"),
            NotesKnown::All | NotesKnown::Part if self.awaits_model => {
                Some("its release notes are still to be summarised")
            }
            NotesKnown::All
            | NotesKnown::Part
            | NotesKnown::None
            | NotesKnown::Failed
            | NotesKnown::NotFetched => None,
        }
    }

    /// Which releases there are and how much of what they say is known, in a line; nothing where nobody asked for any.
    pub fn about(&self) -> Option<String> {
        let why = self.why.as_deref().unwrap_or_default();
        let about = match self.known {
            NotesKnown::All => self.named(),
            NotesKnown::Part => format!("{}; not all is known: {why}", self.named()),
            NotesKnown::None => format!("no notes found: {why}"),
            NotesKnown::Failed => format!("no notes yet: {why}"),
            NotesKnown::Coming => "no notes yet: they are still to be fetched".to_owned(),
            NotesKnown::NotFetched => return None,
        };
        let versions = self.versions.as_ref();
        let versions = versions.map(|(from, to)| format!("{from} to {to} by the images' labels: "));
        Some(versions.unwrap_or_default() + &about)
    }

    fn named(&self) -> String {
        const MOST: usize = 5;
        let mut named: Vec<&str> = self
            .releases
            .iter()
            .take(MOST)
            .map(|release| release.tag.as_str())
            .collect();
        let more = self.releases.len().saturating_sub(MOST) + self.more_releases;
        let more = (more > 0).then(|| format!("{more} more"));
        named.extend(more.as_deref());
        let summary = self.summary.as_ref();
        let said = match summary {
            Some(summary) if summary.is_empty() => "; they say nothing of what has changed".to_owned(),
            Some(summary) if summary.of_part => {
                format!("; only a part of them summarised by {}", summary.made_by.words())
            }
            Some(summary) => format!("; summarised by {}", summary.made_by.words()),
            None => String::new(),
        };
        named.join(", ") + &said
    }

    /// What speaks against taking it without a look, and of which nobody knows, a line each.
    pub fn risks(&self) -> Vec<String> {
        let Risk { flags, unknown } = &self.risk;
        let mut lines: Vec<String> = flags
            .iter()
            .map(|(flag, reason)| format!("{flag}: {reason}"))
            .collect();
        let mut reasons: Vec<&String> = Vec::new();
        for reason in unknown.values() {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        lines.extend(reasons.into_iter().map(|reason| {
            let flags = unknown.iter().filter(|(_, why)| *why == reason);
            let flags: Vec<String> = flags.map(|(flag, _)| flag.to_string()).collect();
            format!("nobody knows whether it is {}: {reason}", flags.join(" or "))
        }));
        lines
    }

    /// Whether nothing more can be learnt.
    pub fn is_whole(&self) -> bool {
        self.known == NotesKnown::All
    }

    /// How much is known, so that the one that tells most can be chosen; more is more.
    pub fn worth(&self) -> u8 {
        match self.known {
            NotesKnown::All => 5,
            NotesKnown::Part => 4,
            NotesKnown::None => 3,
            NotesKnown::Failed => 2,
            NotesKnown::Coming => 1,
            NotesKnown::NotFetched => 0,
        }
    }
}

/// A page of a template is there for people whether or not anybody may read it for them.
fn template_page(source: &NotesSource, to: &Tag) -> Option<String> {
    match source {
        NotesSource::Template { url, .. } => Some(url.page(to.as_str())).filter(|url| is_web_address(url)),
        NotesSource::Repository { .. } => None,
    }
}

#[cfg(test)]
mod tests;
