//! What every form has in common: the title, the facts beneath it, and plain lines in place of strangers' text.

use std::collections::BTreeSet;

use super::{Announcement, Change, Concerned, Section};
use crate::domain::notice::NoticeReason;
use crate::domain::reference::ImageReference;
use crate::domain::text;

/// How long one line may be, in bytes.
const LINE_LENGTH: usize = 500;
const MOST_WORKLOADS: usize = 10;
const MOST_CHANGES: usize = 10;
const MOST_NOTES: usize = 5;
const MOST_RISKS: usize = 10;
const MOST_SECTIONS: usize = 16;
const MOST_LINES: usize = 12;
const MOST_LINKS: usize = 8;

/// How urgent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Neutral,
    Question,
    Bad,
}

/// An announcement as plain text: no line has a control character, turns its direction or calls anybody.
#[derive(Debug, Clone)]
pub(super) struct Outline {
    pub(super) title: String,
    pub(super) tone: Tone,
    /// Images, workloads, risks, and what else is to be known.
    pub(super) facts: Vec<Section>,
    pub(super) summary: Vec<Section>,
    /// Text and address, which needs no escaping.
    pub(super) links: Vec<(String, String)>,
    /// As people read it.
    pub(super) at: String,
}

impl Outline {
    pub(super) fn of(announcement: &Announcement) -> Self {
        let Announcement {
            reason,
            awaits_approval,
            is_reminder,
            at,
            changes,
            concerned,
            risks,
            summary,
            links,
        } = announcement;
        let facts = [
            section("Image", "Images", changes.iter().map(describe), MOST_CHANGES),
            section(
                "Workload",
                "Workloads",
                concerned.iter().map(|one| one.workload.to_string()),
                MOST_WORKLOADS,
            ),
            section("Risk", "Risks", risks.iter().cloned(), MOST_RISKS),
            section("Note", "Notes", notes(concerned).into_iter(), MOST_NOTES),
        ];
        let summary = summary.iter().take(MOST_SECTIONS).filter_map(|one| {
            let title = plain(&one.title);
            section(&title, &title, one.lines.iter().cloned(), MOST_LINES)
        });
        let links = links.iter().take(MOST_LINKS);
        Self {
            title: title(*reason, *awaits_approval, *is_reminder, changes, concerned),
            tone: tone(*reason, *awaits_approval),
            facts: facts.into_iter().flatten().collect(),
            summary: summary.collect(),
            links: links.map(|link| (plain(&link.text), link.url.clone())).collect(),
            at: at.to_string(),
        }
    }

    /// What is said of it where there is room for nothing else.
    pub(super) fn sections(&self) -> impl Iterator<Item = &Section> {
        self.facts.iter().chain(&self.summary)
    }
}

fn section(
    one: &str,
    many: &str,
    lines: impl ExactSizeIterator<Item = String>,
    most: usize,
) -> Option<Section> {
    let all = lines.len();
    let mut lines: Vec<String> = lines.take(most).map(|line| plain(&line)).collect();
    if all > most {
        lines.push(format!("and {} more", all - most));
    }
    let title = if all == 1 { one } else { many };
    (!lines.is_empty()).then(|| Section {
        title: title.to_owned(),
        lines,
    })
}

/// What is said of each, once where it is the same for all.
fn notes(concerned: &[Concerned]) -> Vec<String> {
    let different: BTreeSet<&Option<String>> = concerned.iter().map(|one| &one.note).collect();
    if different.len() == 1 {
        return different.into_iter().flatten().cloned().collect();
    }
    let noted = concerned
        .iter()
        .filter_map(|one| Some(format!("{}: {}", one.workload, one.note.as_ref()?)));
    noted.collect()
}

fn title(
    reason: Option<NoticeReason>,
    awaits_approval: bool,
    is_reminder: bool,
    changes: &[Change],
    concerned: &[Concerned],
) -> String {
    let reminder = if is_reminder { "Reminder: " } else { "" };
    let what = heading(reason, awaits_approval);
    let subject = match changes {
        [] => String::new(),
        [change] => format!(" {}", in_short(change)),
        several => format!(" {} images", several.len()),
    };
    let place = match concerned {
        [] => String::new(),
        [one] => format!(" in {}/{}", one.workload.namespace, one.workload.name),
        several => format!(" in {} workloads", several.len()),
    };
    plain(&format!("{reminder}{what}:{subject}{place}"))
}

fn heading(reason: Option<NoticeReason>, awaits_approval: bool) -> &'static str {
    let Some(reason) = reason else {
        return "Workload detected";
    };
    match reason {
        NoticeReason::UpdateAvailable if awaits_approval => "Update waits for approval",
        NoticeReason::UpdateAvailable => "Update available",
        NoticeReason::UpdateStarted => "Update started",
        NoticeReason::ImageUpdated => "Update completed",
        NoticeReason::RolloutFailed => "Update failed",
        NoticeReason::RollbackRequested => "Rollback started",
        NoticeReason::RolledBack => "Rolled back",
        NoticeReason::RollbackFailed => "Rollback failed",
        NoticeReason::RollbackRefused => "Rollback refused",
        NoticeReason::UpdateSuperseded => "Update abandoned",
        NoticeReason::UpdateHeld => "Version held",
        NoticeReason::UpdateApproved => "Update approved",
        NoticeReason::UpdatePostponed => "Update postponed",
        NoticeReason::HoldReleased => "Hold released",
        NoticeReason::ScanRequested => "Scan requested",
        NoticeReason::InvalidSettings => "Invalid settings",
        NoticeReason::InvalidRecord => "Unreadable scan record",
    }
}

fn tone(reason: Option<NoticeReason>, awaits_approval: bool) -> Tone {
    let Some(reason) = reason else {
        return Tone::Neutral;
    };
    match reason {
        NoticeReason::UpdateAvailable if awaits_approval => Tone::Question,
        NoticeReason::ImageUpdated | NoticeReason::RolledBack => Tone::Good,
        NoticeReason::UpdateAvailable
        | NoticeReason::UpdateStarted
        | NoticeReason::RollbackRequested
        | NoticeReason::UpdateSuperseded
        | NoticeReason::UpdateHeld
        | NoticeReason::UpdateApproved
        | NoticeReason::UpdatePostponed
        | NoticeReason::HoldReleased
        | NoticeReason::ScanRequested => Tone::Neutral,
        NoticeReason::RolloutFailed
        | NoticeReason::RollbackFailed
        | NoticeReason::RollbackRefused
        | NoticeReason::InvalidSettings
        | NoticeReason::InvalidRecord => Tone::Bad,
    }
}

fn describe(change: &Change) -> String {
    match &change.from {
        Some(from) => format!("{from} -> {}", change.to),
        None => change.to.clone(),
    }
}

/// `checkout 1.4.0 -> 1.5.0`, or where that would say too little the whole images.
fn in_short(change: &Change) -> String {
    let short = || {
        let to: ImageReference = change.to.parse().ok()?;
        let from: ImageReference = change.from.as_ref()?.parse().ok()?;
        let (before, after) = (from.effective_tag()?, to.effective_tag()?);
        let name = short_name(&to)?;
        let differs = before != after && from.repository() == to.repository();
        differs.then(|| format!("{name} {} -> {}", before.as_str(), after.as_str()))
    };
    short().unwrap_or_else(|| describe(change))
}

/// The last part of an image's name.
pub(super) fn short_name(image: &ImageReference) -> Option<&str> {
    image.repository().path().rsplit('/').next()
}

/// A stranger's text on one line, bounded, and with nothing in it that a service takes for calling somebody: a mark that nobody
/// sees comes after an `@` or a `#` that begins a word.
pub(super) fn plain(written: &str) -> String {
    let mut line = String::new();
    let mut before = ' ';
    for character in written.chars() {
        let shown = match character {
            _ if character.is_whitespace() || character.is_control() => ' ',
            _ if text::is_plain(character) => character,
            _ => continue,
        };
        if shown == ' ' && before == ' ' {
            continue;
        }
        line.push(shown);
        if matches!(shown, '@' | '＠') && !before.is_alphanumeric() {
            line.push(DEFUSED);
        }
        before = shown;
    }
    text::cut(line.trim_end(), LINE_LENGTH)
}

/// Joins what stands beside it without being seen; no name can have it.
pub(super) const DEFUSED: char = '\u{2060}';
