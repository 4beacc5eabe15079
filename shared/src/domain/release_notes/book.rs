//! What is known of the notes of each update that is offered, by the repository of the image, its source and the two tags: they
//! are asked for once, however many workloads are offered the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Release;
use super::digest::{Summary, digest};
use super::plain::inline;
use super::range::{Range, Step};
use super::risk::Notes;
use super::source::{Forges, Found, FoundBy, NoSource, NotesSource};
use crate::domain::hash::short_hash;
use crate::domain::reference::{Repository, Tag};
use crate::domain::text::{cut, is_plain};
use crate::domain::time::whole_seconds;

/// How many releases a record names; the others are counted.
const MOST_NAMED: usize = 20;
/// The longest text of a record that is none of the summary, in bytes.
const LONGEST_TEXT: usize = 300;
/// When to ask again whether the notes were changed, while the update is still offered.
const ASK_AGAIN: SignedDuration = SignedDuration::from_hours(24);
/// When to ask again first where there are none yet, or not those of the version itself: many are published after the image.
const ASK_AGAIN_SOON: SignedDuration = SignedDuration::from_hours(1);
/// When to try again first where there was no answer.
const TRY_AGAIN: SignedDuration = SignedDuration::from_mins(5);
/// The longest wait that a server may name.
const LONGEST_NAMED: SignedDuration = SignedDuration::from_hours(24);
/// For how long records are kept that nothing offers.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How old the time may grow at which something was offered last.
const RENEWED: SignedDuration = SignedDuration::from_hours(24);

/// Notes that somebody should have: those of going from one tag of an image to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    pub image: Repository,
    pub from: Tag,
    pub to: Tag,
    pub found: Found,
}

impl Wanted {
    /// What its record stands under: 16 hexadecimal digits.
    pub fn key(&self) -> String {
        let source = self.found.sources.first().map(NotesSource::page_of_nothing);
        let source = source.unwrap_or_default();
        short_hash(&format!("{} {source} {} {}", self.image, self.from, self.to), 16)
    }

    /// As a question about releases.
    pub fn step(&self) -> Step<'_> {
        let Self {
            image,
            from,
            to,
            found: _,
        } = self;
        Step { image, from, to }
    }
}

/// A release, as it is named beside the summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamedRelease {
    /// In plain text.
    pub tag: String,
    /// Into the repository of the notes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
}

/// An attempt that brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotesError {
    /// A sentence for people.
    pub message: String,
    /// When it began to fail.
    pub since: Timestamp,
}

/// What is known of the notes of one update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotesRecord {
    pub image: Repository,
    pub from: Tag,
    pub to: Tag,
    pub found_by: FoundBy,
    /// The one that had notes, or the first that was asked.
    pub source: NotesSource,
    /// Newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub releases: Vec<NamedRelease>,
    /// How many more there are between the two tags.
    #[serde(default)]
    pub more_releases: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// Why there are no notes, where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// Whether the offered version itself is among the releases.
    #[serde(default)]
    pub has_target: bool,
    /// Names the text that was read, so that nothing is summarised twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// What the forge calls the state of its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When there was an answer last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<NotesError>,
    /// How often in a row it was asked without getting what was looked for.
    #[serde(default)]
    pub vain: u32,
    /// Not to be asked before.
    pub ask_again: Timestamp,
    /// When something offered this update last, to the day.
    pub offered_at: Timestamp,
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// These releases lie between.
    Notes {
        source: NotesSource,
        range: Range,
        etag: Option<String>,
    },
    /// There is a source, and it has no notes for this, in words.
    Missing {
        source: NotesSource,
        reason: String,
        etag: Option<String>,
    },
    /// Nothing has changed since.
    Unchanged,
    /// Nobody knows, in words, and when it may be tried again if somebody said so.
    Failed {
        why: String,
        not_before: Option<Timestamp>,
    },
}

impl NotesRecord {
    /// The record after an answer. `before` is what was known, if anything.
    pub fn answered(wanted: &Wanted, before: Option<&Self>, answer: Answer, now: Timestamp) -> Self {
        let now = whole_seconds(now);
        let mut record = before.cloned().unwrap_or_else(|| Self::new(wanted, now));
        record.offered_at = now;
        match answer {
            Answer::Notes { source, range, etag } => record.take_in(source, range, etag),
            Answer::Missing { source, reason, etag } => {
                record.etag = etag;
                // What was there once is not forgotten because it is there no more.
                if record.summary.is_none() {
                    record.source = source;
                    record.missing = Some(sentence(&reason));
                }
            }
            Answer::Unchanged => {}
            Answer::Failed { why, not_before } => {
                let since = record.error.as_ref().map_or(now, |error| error.since);
                record.error = Some(NotesError {
                    message: sentence(&why),
                    since,
                });
                record.vain = record.vain.saturating_add(1);
                let pause = later(now, TRY_AGAIN, record.vain);
                let longest = now.checked_add(LONGEST_NAMED).unwrap_or(now);
                record.ask_again =
                    not_before.map_or(pause, |named| whole_seconds(named.min(longest)).max(pause));
                return record;
            }
        }
        if record.error.take().is_some() {
            record.vain = 0;
        }
        record.fetched_at = Some(now);
        if record.has_target {
            record.vain = 0;
            record.ask_again = now.checked_add(ASK_AGAIN).unwrap_or(now);
        } else {
            record.vain = record.vain.saturating_add(1);
            record.ask_again = later(now, ASK_AGAIN_SOON, record.vain);
        }
        record
    }

    fn new(wanted: &Wanted, now: Timestamp) -> Self {
        let Wanted {
            image,
            from,
            to,
            found,
        } = wanted;
        let source = found.sources.first().cloned();
        Self {
            image: image.clone(),
            from: from.clone(),
            to: to.clone(),
            found_by: found.by,
            source: source.unwrap_or_else(NotesSource::nowhere),
            releases: Vec::new(),
            more_releases: 0,
            summary: None,
            missing: None,
            has_target: false,
            content: None,
            etag: None,
            fetched_at: None,
            error: None,
            vain: 0,
            ask_again: now,
            offered_at: now,
        }
    }

    fn take_in(&mut self, source: NotesSource, range: Range, etag: Option<String>) {
        let Range {
            releases,
            left_out,
            has_target,
        } = range;
        let content = content(&releases);
        if self.content.as_ref() != Some(&content) {
            self.summary = Some(digest(&releases, &source.own()));
            self.content = Some(content);
        }
        let named = releases.iter().take(MOST_NAMED).map(|release| NamedRelease {
            tag: inline(&release.tag, "").0,
            url: Some(source.page(&release.tag)).filter(|url| url.len() <= LONGEST_TEXT),
            published_at: release.published_at.map(whole_seconds),
        });
        self.releases = named.collect();
        self.more_releases = releases.len().saturating_sub(MOST_NAMED) + left_out;
        self.missing = None;
        self.has_target = has_target;
        self.source = source;
        self.etag = etag.filter(|etag| etag.len() <= LONGEST_TEXT && etag.chars().all(is_plain));
    }

    /// Whether somebody should ask now.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.ask_again
    }

    /// Notes that it is offered still. Whether that changed it.
    pub fn is_offered(&mut self, now: Timestamp) -> bool {
        let is_old = now.duration_since(self.offered_at) >= RENEWED;
        if is_old {
            self.offered_at = whole_seconds(now);
        }
        is_old
    }

    /// Whether nothing has offered it for so long that it can go.
    pub fn is_out_of_use(&self, now: Timestamp) -> bool {
        now.duration_since(self.offered_at) >= KEPT
    }

    /// As grounds for a decision.
    pub fn notes(&self) -> Notes<'_> {
        match (&self.summary, &self.missing, &self.error) {
            (Some(summary), _, _) if self.has_target => Notes::Known(summary),
            (Some(_), _, _) => Notes::Unknown("the notes of the version itself are not published yet"),
            (None, Some(reason), _) => Notes::Unknown(reason),
            (None, None, Some(error)) => Notes::Unknown(&error.message),
            (None, None, None) => Notes::Unknown("its notes are still to be fetched"),
        }
    }
}

/// Doubling, up to a day.
fn later(now: Timestamp, first: SignedDuration, vain: u32) -> Timestamp {
    let factor = 2_i32.saturating_pow(vain.saturating_sub(1).min(12));
    let pause = first.checked_mul(factor).unwrap_or(ASK_AGAIN).min(ASK_AGAIN);
    now.checked_add(pause).unwrap_or(now)
}

fn sentence(text: &str) -> String {
    let plain: String = text.chars().filter(|character| is_plain(*character)).collect();
    cut(&plain, LONGEST_TEXT)
}

fn content(releases: &[Release]) -> String {
    let mut text = String::new();
    for release in releases {
        text.push_str(&release.tag);
        text.push('\n');
        text.push_str(&release.body);
        text.push('\n');
    }
    short_hash(&text, 16)
}

/// All that is known, and of which servers more may be learnt.
#[derive(Debug, Clone, Default)]
pub struct NotesBook {
    /// Those that may be asked.
    pub forges: Arc<Forges>,
    /// Whether anybody asks them.
    pub fetched: bool,
    /// By key.
    pub records: BTreeMap<String, Arc<NotesRecord>>,
}

/// What is known of an update's notes.
#[derive(Debug, Clone)]
pub enum Known {
    Record(Arc<NotesRecord>),
    /// They are still to be fetched.
    NotYet(Wanted),
    /// Nobody knows where they would be.
    NoSource(NoSource),
}

impl NotesBook {
    /// What is known of the notes of going from an image to a tag.
    pub fn of(&self, wanted: Result<Wanted, NoSource>) -> Known {
        match wanted {
            Err(none) => Known::NoSource(none),
            Ok(wanted) => match self.records.get(&wanted.key()) {
                Some(record) => Known::Record(Arc::clone(record)),
                None => Known::NotYet(wanted),
            },
        }
    }
}

#[cfg(test)]
mod tests;
