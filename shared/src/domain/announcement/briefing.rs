//! What goes with a message at the moment when it is sent: what is known of the notes by then, what makes the update risky, and
//! where people read and decide.
//!
//! None of it is stored with a message: it is large, and by then more is known.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::{Announcement, Change, Link, Section, outline};
use crate::domain::approval_link::ApprovalLink;
use crate::domain::message::Message;
use crate::domain::notice::NoticeReason;
use crate::domain::pages::{Pages, page_of};
use crate::domain::plan::{Assessment, Plan, Snapshot, Verdict};
use crate::domain::reference::ImageReference;
use crate::domain::release_notes::digest::{Item, Summary};
use crate::domain::release_notes::news::News;
use crate::domain::workload::WorkloadId;

/// How long what is offered waits for its notes: long enough for a forge and a model that answer, and nobody misses it.
const PATIENCE: SignedDuration = SignedDuration::from_secs(90);
/// For how many workloads a message has a link of their own.
const MOST_DECISIONS: usize = 5;
/// How many pages of notes are linked to.
const MOST_PAGES: usize = 2;

/// A message that waits for what would be missing in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    pub until: Timestamp,
    /// In words.
    pub why: &'static str,
}

/// What is known when messages are sent.
#[derive(Debug)]
pub struct Briefing<'a> {
    snapshot: &'a Snapshot,
    plan: &'a Plan,
    pages: &'a Pages,
    now: Timestamp,
    by_name: OnceCell<HashMap<&'a WorkloadId, &'a Assessment>>,
}

/// How much of the news belongs into a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    All,
    /// Where to read them: they were told before.
    Pages,
    Nothing,
}

impl Extent {
    fn of(reason: Option<NoticeReason>) -> Self {
        let Some(reason) = reason else {
            return Self::Nothing;
        };
        match reason {
            NoticeReason::UpdateAvailable | NoticeReason::UpdateStarted => Self::All,
            NoticeReason::ImageUpdated | NoticeReason::RolloutFailed | NoticeReason::UpdateApproved => {
                Self::Pages
            }
            NoticeReason::RollbackRequested
            | NoticeReason::RolledBack
            | NoticeReason::RollbackFailed
            | NoticeReason::RollbackRefused
            | NoticeReason::UpdateSuperseded
            | NoticeReason::UpdateHeld
            | NoticeReason::UpdatePostponed
            | NoticeReason::HoldReleased
            | NoticeReason::ScanRequested
            | NoticeReason::InvalidSettings
            | NoticeReason::InvalidRecord => Self::Nothing,
        }
    }
}

impl<'a> Briefing<'a> {
    /// With what a plan at `now` was made from.
    pub fn new(snapshot: &'a Snapshot, plan: &'a Plan, pages: &'a Pages, now: Timestamp) -> Self {
        Self {
            snapshot,
            plan,
            pages,
            now,
            by_name: OnceCell::new(),
        }
    }

    /// What these messages tell at once, which are like each other; nothing where there is none.
    pub fn announcement(&self, messages: &[&Message]) -> Option<Announcement> {
        let mut announcement = Announcement::of(messages)?;
        let extent = Extent::of(announcement.reason);
        let mut pages = Vec::new();
        if extent != Extent::Nothing {
            let several = announcement.changes.len() > 1;
            for change in announcement.changes.clone() {
                let Some(news) = self.best_news(messages, &change) else {
                    continue;
                };
                let title = if several {
                    short_name(&change)
                } else {
                    String::new()
                };
                if extent == Extent::All {
                    announcement
                        .risks
                        .extend(news.risks().into_iter().map(|risk| titled(&title, &risk)));
                    announcement.summary.extend(sections(&news, &title));
                }
                pages.extend(notes_link(&news, &title));
            }
        }
        pages.truncate(MOST_PAGES);
        let mut links = self.places(messages, announcement.awaits_approval);
        // Some services have room for the first few alone.
        links.splice(links.len().min(1)..links.len().min(1), pages);
        announcement.links = links;
        Some(announcement)
    }

    /// What a message waits for at this moment, if it is not to be sent yet: what is offered is told with its notes where they come
    /// soon, and without where they do not. What has happened waits for nothing, nor does what is told again.
    pub fn wait(&self, message: &Message) -> Option<Wait> {
        let told = message.to_people.as_ref()?;
        let until = message.at.checked_add(PATIENCE).ok()?;
        if told.reason != NoticeReason::UpdateAvailable || told.is_reminder || until <= self.now {
            return None;
        }
        let mut news = message.images.iter().filter_map(|(container, image)| {
            self.news(message, container, image.previous.as_deref()?, &image.image)
        });
        let why = news.find_map(|news| news.awaits())?;
        Some(Wait { until, why })
    }

    /// Of the workloads that a message speaks of, the same change may be known better in one, which says where its notes are.
    fn best_news(&self, messages: &[&Message], change: &Change) -> Option<News> {
        let from = change.from.as_deref()?;
        let mut best: Option<News> = None;
        for message in messages {
            let containers = message.images.iter();
            let mut containers = containers
                .filter(|(_, image)| image.image == change.to && image.previous == change.from)
                .map(|(container, _)| container);
            let Some(news) = containers.find_map(|container| self.news(message, container, from, &change.to))
            else {
                continue;
            };
            if best.as_ref().is_none_or(|best| best.worth() < news.worth()) {
                best = Some(news);
            }
            if best.as_ref().is_some_and(News::is_whole) {
                break;
            }
        }
        best
    }

    fn news(&self, message: &Message, container: &str, from: &str, to: &str) -> Option<News> {
        let assessment = self.of(&message.workload)?;
        self.snapshot.news(&assessment.workload, container, from, to)
    }

    fn of(&self, id: &WorkloadId) -> Option<&'a Assessment> {
        let by_name = self.by_name.get_or_init(|| {
            let assessments = self.plan.assessments.iter();
            assessments
                .map(|assessment| (&assessment.workload.id, assessment))
                .collect()
        });
        by_name.get(id).copied()
    }

    /// Where people decide, or look.
    fn places(&self, messages: &[&Message], awaits_approval: bool) -> Vec<Link> {
        let Some(base) = &self.pages.base else {
            return Vec::new();
        };
        let mut decisions: Vec<Link> = Vec::new();
        let mut left = 0;
        if awaits_approval && self.pages.key.is_some() {
            let waiting: Vec<(String, ApprovalLink)> = messages
                .iter()
                .flat_map(|message| self.approvals(message))
                .collect();
            let only = waiting.len() == 1;
            left = waiting.len().saturating_sub(MOST_DECISIONS);
            decisions.extend(
                waiting
                    .into_iter()
                    .take(MOST_DECISIONS)
                    .filter_map(|(what, link)| {
                        let text = if only {
                            "Decide".to_owned()
                        } else {
                            format!("Decide: {what}")
                        };
                        Link::new(&text, &self.pages.to_decide(&link)?)
                    }),
            );
        }
        let workloads: BTreeSet<&WorkloadId> = messages.iter().map(|message| &message.workload).collect();
        let look = match (workloads.first(), workloads.len()) {
            (Some(one), 1) if decisions.is_empty() => {
                Link::new("Details", &format!("{base}{}", page_of(one)))
            }
            (Some(_), 2..) if decisions.is_empty() => Link::new("Details", &format!("{base}/")),
            _ if left > 0 => Link::new(&format!("And {left} more"), &format!("{base}/?state=waiting")),
            _ => None,
        };
        decisions.extend(look);
        decisions
    }

    /// What of a message waits for somebody still, each with what people call it.
    fn approvals(&self, message: &Message) -> Vec<(String, ApprovalLink)> {
        let Some(assessment) = self.of(&message.workload) else {
            return Vec::new();
        };
        let workload = &assessment.workload;
        let Ok(expires) = self.now.checked_add(self.pages.expiry) else {
            return Vec::new();
        };
        let waiting = assessment.containers.iter().filter_map(|entry| {
            let Verdict::AwaitingApproval(target) = &entry.verdict else {
                return None;
            };
            let told = message.images.get(&entry.container)?;
            let is_told = told.image == target.image && told.previous.as_ref() == Some(&entry.image);
            let WorkloadId {
                kind: _,
                namespace,
                name,
            } = &workload.id;
            let what = if workload.containers.len() == 1 {
                format!("{namespace}/{name}")
            } else {
                format!("{namespace}/{name}, {}", entry.container)
            };
            is_told.then(|| {
                (
                    what,
                    ApprovalLink::new(&workload.id, &workload.uid, entry, target, expires),
                )
            })
        });
        waiting.collect()
    }
}

fn notes_link(news: &News, title: &str) -> Option<Link> {
    let page = news.page.as_ref()?;
    let text = match news.releases.first() {
        Some(newest) => format!("Release notes of {}", newest.tag),
        None => "Release notes".to_owned(),
    };
    Link::new(&titled(title, &text), page)
}

/// What is new, most important first, and how much of that is known.
fn sections(news: &News, title: &str) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut add = |name: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            sections.push(Section {
                title: titled(title, name),
                lines,
            });
        }
    };
    let summary = news.summary.as_ref();
    let overview = summary.and_then(|summary| summary.overview.clone());
    add(
        "Release notes",
        news.about().into_iter().chain(overview).collect(),
    );
    let is_one = news.releases.len() < 2;
    let line = |item: &Item| match item.release.as_ref().filter(|_| !is_one) {
        Some(release) => format!("{} ({release})", item.text),
        None => item.text.clone(),
    };
    for (name, items) in summary.map(Summary::sections).into_iter().flatten() {
        add(name, items.iter().map(line).collect());
    }
    let left_out = summary.map_or(0, |summary| summary.left_out);
    add(
        "Further changes",
        (left_out > 0)
            .then(|| format!("{left_out} more in the notes"))
            .into_iter()
            .collect(),
    );
    sections
}

fn titled(title: &str, text: &str) -> String {
    if title.is_empty() {
        text.to_owned()
    } else {
        format!("{title}: {text}")
    }
}

/// What people call an image where a message speaks of several.
fn short_name(change: &Change) -> String {
    let image: Option<ImageReference> = change.to.parse().ok();
    image
        .as_ref()
        .and_then(outline::short_name)
        .unwrap_or(&change.to)
        .to_owned()
}

#[cfg(test)]
mod tests;
