//! What people on a channel are told of one happening, and the form that each channel gives it.
//!
//! An announcement groups the workloads that the same happened to with the same images: ten workloads and one image are one
//! message. Every text in it may be a stranger's: an image of a pod template, a heading of release notes, the error of a registry.
//! Each form keeps within its service's documented limits, and nothing of such a text is markup or a mention in it.

pub mod discord;
pub mod email;
mod fit;
pub mod ntfy;
mod outline;
pub mod slack;
pub mod teams;
pub mod telegram;
pub mod template;

use jiff::Timestamp;

use super::notice::NoticeReason;
use super::workload::WorkloadId;

/// How long an address may be that is linked to, in bytes: some buttons allow no more.
const LINK_LENGTH: usize = 1000;

/// What people are told of one happening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    pub reason: NoticeReason,
    /// Whether somebody's approval is what it waits for.
    pub awaits_approval: bool,
    /// Whether it was told before and still is so.
    pub is_reminder: bool,
    /// When it happened.
    pub at: Timestamp,
    pub changes: Vec<Change>,
    /// Whom it concerns.
    pub concerned: Vec<Concerned>,
    /// What makes the change risky, in a word each.
    pub risks: Vec<String>,
    /// What is new about the image, if anybody knows.
    pub summary: Vec<Section>,
    pub links: Vec<Link>,
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
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"))?;
        let is_safe =
            |character: char| character.is_ascii_alphanumeric() || "-._~:/?#@!$&+,;=%".contains(character);
        let is_sound = url.len() <= LINK_LENGTH
            && rest.starts_with(|first: char| first.is_ascii_alphanumeric())
            && rest.chars().all(is_safe);
        is_sound.then(|| Self {
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
