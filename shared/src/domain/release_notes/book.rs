//! What is known of the notes of each update that is offered, by the repository of the image, its source and the two tags: they
//! are asked for once, however many workloads are offered the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Release;
use super::digest::{Digest, Summary, digest};
use super::plain::inline;
use super::range::{MOST_RELEASES, Range, Step};
use super::risk::Notes;
use super::source::{Forges, Found, FoundBy, NoSource, NotesSource};
use crate::domain::hash::short_hash;
use crate::domain::reference::{Repository, Tag};
use crate::domain::text::{cut, is_plain};
use crate::domain::time::whole_seconds;

/// How long an update waits for its notes where they decide whether it needs approval: then it needs it, as they could not be had.
pub const PATIENCE: SignedDuration = SignedDuration::from_mins(15);
/// How many releases a record names; the others are counted.
const MOST_NAMED: usize = 20;
/// How many it names where there is no room for more.
const FEW_NAMED: usize = 5;
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

    /// The server that is asked first; empty where none is.
    pub fn host(&self) -> String {
        let first = self.found.sources.first();
        first.map(NotesSource::host).unwrap_or_default()
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
    /// What is missing, in words: why there are no notes, or why those that are there are not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// Whether all of the notes were read, up to those of the offered version itself. Its name in the record is older than the
    /// first half of that: who knows it by that name takes a part for notes that are not published yet, and not for the whole.
    #[serde(default, rename = "hasTarget")]
    pub is_complete: bool,
    /// Names the text that was read, so that nothing is summarised twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Names the model, the language and the prompt with which that text was asked about, so that it is no second time. A summary by
    /// rules says that nothing of use came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_by: Option<String>,
    /// Whether a model is yet to be asked for its summary.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaits_model: bool,
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

/// Why not all was read that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// In words.
    pub why: String,
    /// When the rest may be asked for, if somebody said so.
    pub not_before: Option<Timestamp>,
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// These releases lie between.
    Notes {
        source: NotesSource,
        range: Range,
        etag: Option<String>,
        /// They may not be all.
        cut: Option<Cut>,
    },
    /// There is a source, and it has no notes for this, in words.
    Missing { source: NotesSource, reason: String },
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
        let mut named = None;
        match answer {
            Answer::Notes {
                source,
                range,
                etag,
                cut,
            } => {
                named = cut.as_ref().and_then(|cut| cut.not_before);
                record.take_in(source, range, etag, cut);
            }
            Answer::Missing { source, reason } => {
                record.etag = None;
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
                record.ask_again = not_earlier(later(now, TRY_AGAIN, record.vain), not_before, now);
                return record;
            }
        }
        if record.error.take().is_some() {
            record.vain = 0;
        }
        record.fetched_at = Some(now);
        if record.is_complete {
            record.vain = 0;
            record.ask_again = now.checked_add(ASK_AGAIN).unwrap_or(now);
        } else {
            record.vain = record.vain.saturating_add(1);
            let first = named.map_or(ASK_AGAIN_SOON, |_| TRY_AGAIN);
            record.ask_again = not_earlier(later(now, first, record.vain), named, now);
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
            is_complete: false,
            content: None,
            read_by: None,
            awaits_model: false,
            etag: None,
            fetched_at: None,
            error: None,
            vain: 0,
            ask_again: now,
            offered_at: now,
        }
    }

    fn take_in(&mut self, source: NotesSource, range: Range, etag: Option<String>, cut: Option<Cut>) {
        let Digest { summary, is_whole } = digest(&range.releases, &source.own());
        let unread = cut.map(|cut| cut.why).or_else(|| unread(&range, is_whole));
        let Range {
            releases,
            left_out,
            has_target,
            has_start: _,
        } = range;
        let content = content(&releases);
        if self.content.as_ref() != Some(&content) {
            self.summary = Some(summary);
            self.content = Some(content);
            self.read_by = None;
        }
        let named = releases.iter().take(MOST_NAMED).map(|release| NamedRelease {
            tag: inline(&release.tag, "").0,
            url: Some(source.page(&release.tag)).filter(|url| url.len() <= LONGEST_TEXT),
            published_at: release.published_at.map(whole_seconds),
        });
        self.releases = named.collect();
        self.more_releases = releases.len().saturating_sub(MOST_NAMED) + left_out;
        self.is_complete = has_target && unread.is_none();
        // That nothing has changed would be said of the part that was read alone.
        let etag = etag.filter(|_| unread.is_none());
        self.etag = etag.filter(|etag| etag.len() <= LONGEST_TEXT && etag.chars().all(is_plain));
        self.missing = unread.map(|why| sentence(&why));
        self.source = source;
    }

    /// Whether this reader, a model with its language and its prompt, could say better what is new, and was not asked yet.
    pub fn may_be_read_by(&self, reader: &str) -> bool {
        let summary = self.summary.as_ref();
        summary.is_some_and(|summary| !summary.is_empty()) && self.read_by.as_deref() != Some(reader)
    }

    /// Takes in what a reader made of the same text, or where that is of no use, what rules make of it.
    pub fn summarised(&mut self, summary: Summary, reader: &str) {
        self.summary = Some(summary);
        self.read_by = Some(reader.to_owned());
        self.awaits_model = false;
    }

    /// No model has answered: the text is fetched again with the next question, so that one may.
    pub fn not_summarised(&mut self) {
        self.etag = None;
        self.awaits_model = false;
    }

    /// Whether somebody should ask now.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.ask_again
    }

    /// The record that says that it is offered still, where this one does so no more.
    pub fn renewed(&self, now: Timestamp) -> Option<Self> {
        let is_old = now.duration_since(self.offered_at) >= RENEWED;
        is_old.then(|| Self {
            offered_at: whole_seconds(now),
            ..self.clone()
        })
    }

    /// Leaves out what is least missed, so that there is room for others.
    pub fn shorten(&mut self) {
        if let Some(summary) = &mut self.summary {
            summary.shorten();
        }
        let named = self.releases.len();
        self.releases.truncate(FEW_NAMED);
        self.more_releases += named - self.releases.len();
    }

    /// Whether anybody has ever answered: with notes, or that there are none.
    fn is_answered(&self) -> bool {
        self.summary.is_some() || self.missing.is_some()
    }

    /// Until when an answer may still be expected, where there never was one: a server that fails for a moment is no reason to ask
    /// people, and one that fails for long, or wants to be left alone for long, is.
    fn expected_until(&self, now: Timestamp) -> Option<Timestamp> {
        let since = self.error.as_ref().filter(|_| !self.is_answered())?.since;
        let end = since.checked_add(PATIENCE).ok()?;
        (since <= now && now < end && self.ask_again <= end).then_some(end)
    }

    /// Whether nothing has offered it for so long that it can go.
    pub fn is_out_of_use(&self, now: Timestamp) -> bool {
        now.duration_since(self.offered_at) >= KEPT
    }

    /// As grounds for a decision.
    pub fn notes(&self) -> Notes<'_> {
        match (&self.summary, &self.missing, &self.error) {
            (Some(summary), _, _) if self.is_complete => Notes::Known(summary),
            (Some(summary), Some(why), _) => Notes::Part(summary, why),
            (Some(summary), None, _) => {
                Notes::Part(summary, "the notes of the version itself are not published yet")
            }
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

/// Nor before the time that somebody named, unless that is too far away.
fn not_earlier(than: Timestamp, named: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let longest = now.checked_add(LONGEST_NAMED).unwrap_or(now);
    named.map_or(than, |named| whole_seconds(named.min(longest)).max(than))
}

/// Why not all of the releases between two tags were looked at, where they were not.
fn unread(range: &Range, is_whole: bool) -> Option<String> {
    if !range.has_start {
        return Some("the running tag is no version, so that nobody knows where its notes begin".to_owned());
    }
    if range.left_out > 0 {
        let left_out = range.left_out;
        return Some(format!(
            "{left_out} releases beyond the newest {MOST_RELEASES} were not read"
        ));
    }
    (!is_whole).then(|| "its notes are too long to be read as a whole".to_owned())
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

/// What is known, by key. Shared with whoever follows the records, as there can be many.
pub type Records = BTreeMap<String, Arc<NotesRecord>>;

/// Since when notes are wanted of which there is no record, by key, as far as the updater that leads has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waited(BTreeMap<String, Timestamp>);

/// All that is known, and of which servers more may be learnt.
#[derive(Debug, Clone, Default)]
pub struct NotesBook {
    /// Those that may be asked.
    pub forges: Arc<Forges>,
    /// Whether anybody asks them.
    pub fetched: bool,
    /// Each by key; no key is in two of them.
    pub records: Vec<Arc<Records>>,
    pub waited: Waited,
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
            Ok(wanted) => match self.record(&wanted.key()) {
                Some(record) => Known::Record(Arc::clone(record)),
                None => Known::NotYet(wanted),
            },
        }
    }

    fn record(&self, key: &str) -> Option<&Arc<NotesRecord>> {
        self.records.iter().find_map(|records| records.get(key))
    }

    /// Until when more may be known soon, where nothing is yet and somebody still tries.
    pub fn expected_until(&self, known: &Known, now: Timestamp) -> Option<Timestamp> {
        match known {
            _ if !self.fetched => None,
            Known::Record(record) => record.expected_until(now),
            Known::NotYet(wanted) => {
                let since = self.waited.0.get(&wanted.key()).copied().unwrap_or(now);
                since.checked_add(PATIENCE).ok().filter(|end| now < *end)
            }
            Known::NoSource(_) => None,
        }
    }

    /// Notes what is wanted at `now`, and forgets what is no more. Since when the first of it waits that nobody has answered.
    pub fn want(&mut self, wanted: &BTreeSet<Wanted>, now: Timestamp) -> Option<Timestamp> {
        let before = std::mem::take(&mut self.waited).0;
        let mut oldest: Option<Timestamp> = None;
        for key in wanted.iter().map(Wanted::key) {
            let since = match self.record(&key) {
                Some(record) if record.is_answered() => continue,
                Some(record) => record.error.as_ref().map_or(now, |error| error.since),
                None => {
                    let since = before.get(&key).copied().unwrap_or(now);
                    self.waited.0.insert(key, since);
                    since
                }
            };
            oldest = Some(oldest.map_or(since, |oldest| oldest.min(since)));
        }
        oldest
    }
}

#[cfg(test)]
mod tests;
