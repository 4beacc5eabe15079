//! What people on a channel are told of one happening, and the form that each channel gives it.
//!
//! An announcement groups the workloads that the same happened to with the same images: ten workloads and one image are one
//! message. Every text in it may be a stranger's: an image of a pod template, a heading of release notes, the error of a registry.
//! Each form keeps within its service's documented limits, and nothing of such a text is markup or a mention in it.

pub mod briefing;
pub mod discord;
pub mod email;
mod fit;
pub mod ntfy;
mod outline;
pub mod quiet;
pub mod slack;
pub mod teams;
pub mod telegram;
pub mod template;

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::message::Message;
use super::notice::NoticeReason;
use super::text::is_web_address;
use super::workload::{WorkloadId, WorkloadKind};

/// What people are told of one happening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Nothing where a workload was detected, which only other programs are told.
    pub reason: Option<NoticeReason>,
    /// Whether somebody's approval is what it waits for.
    pub awaits_approval: bool,
    /// Whether it was told before and still is so.
    pub is_reminder: bool,
    /// When it happened.
    pub at: Timestamp,
    pub changes: Vec<Change>,
    /// Whom it concerns.
    pub concerned: Vec<Concerned>,
    /// What makes the change risky, and why, a line each.
    pub risks: Vec<String>,
    /// What is new about the image, if anybody knows.
    pub summary: Vec<Section>,
    pub links: Vec<Link>,
}

impl Announcement {
    /// One with something in each field, to try a template with.
    pub fn example() -> Self {
        let concerned = |name: &str| Concerned {
            workload: WorkloadId {
                kind: WorkloadKind::Deployment,
                namespace: "shop".to_owned(),
                name: name.to_owned(),
            },
            note: None,
        };
        Self {
            reason: Some(NoticeReason::UpdateAvailable),
            awaits_approval: true,
            is_reminder: false,
            at: Timestamp::UNIX_EPOCH,
            changes: vec![Change {
                from: Some("registry.example/shop/checkout:1.4.0".to_owned()),
                to: "registry.example/shop/checkout:1.5.0".to_owned(),
            }],
            concerned: vec![concerned("checkout"), concerned("checkout-worker")],
            risks: vec!["breaking: the notes say \"BREAKING: the port\"".to_owned()],
            summary: vec![Section {
                title: "Security".to_owned(),
                lines: vec!["CVE-2026-1 is fixed".to_owned()],
            }],
            links: Link::new("Decide", "https://kubefresh.example.com/approve?token=a.b-c_d")
                .into_iter()
                .collect(),
        }
    }

    /// What these messages tell at once, which are like each other; nothing where there is none.
    pub fn of(messages: &[&Message]) -> Option<Self> {
        let first = messages.first()?;
        let told = first.to_people.as_ref();
        let changes: BTreeSet<Change> = first
            .images
            .values()
            .map(|image| Change {
                from: image.previous.clone(),
                to: image.image.clone(),
            })
            .collect();
        let concerned = messages.iter().map(|message| {
            let detail = message.to_people.as_ref().and_then(|told| told.detail.as_ref());
            let note = message.error.as_ref().or(message.remark.as_ref()).or(detail);
            Concerned {
                workload: message.workload.clone(),
                note: note.cloned(),
            }
        });
        Some(Self {
            reason: told.map(|told| told.reason),
            awaits_approval: told.is_some_and(|told| told.awaits_approval),
            is_reminder: told.is_some_and(|told| told.is_reminder),
            at: first.at,
            changes: changes.into_iter().collect(),
            concerned: concerned.collect(),
            risks: Vec::new(),
            summary: Vec::new(),
            links: Vec::new(),
        })
    }
}

/// One image's change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// What there was before, where that is known.
    pub from: Option<String>,
    pub to: String,
}

/// A workload, and what is to be known about it alone: why something failed, or what there is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concerned {
    pub workload: WorkloadId,
    pub note: Option<String>,
}

/// A heading with plain lines beneath it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub title: String,
    pub lines: Vec<String>,
}

/// An address that people can open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    text: String,
    url: String,
}

impl Link {
    /// `None` where `url` is no plain address on the web, or could end a form's link and begin something else.
    pub fn new(text: &str, url: &str) -> Option<Self> {
        is_web_address(url).then(|| Self {
            text: text.to_owned(),
            url: url.to_owned(),
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

#[cfg(test)]
mod tests;
