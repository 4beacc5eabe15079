//! What is known of the notes of an update, the same on a page and for programs.
//!
//! A link leads to a release of the repository that the settings or the image name, and nowhere else.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use shared::domain::overview::Line;
use shared::domain::plan::Snapshot;
use shared::domain::release_notes::digest::{Item, MadeBy, Summary};
use shared::domain::release_notes::news::{News, NotesKnown};
use shared::domain::release_notes::risk::RiskFlag;
use shared::domain::text::is_web_address;
use shared::domain::workload::Workload;

/// Of one container.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Notes {
    pub(super) container: String,
    known: NotesKnown,
    /// How much is known, in a line; `None` where nobody fetches any.
    about: Option<String>,
    /// Where people read them.
    page: Option<String>,
    releases: Vec<Release>,
    more_releases: usize,
    made_by: Option<MadeBy>,
    overview: Option<String>,
    /// Most important first.
    sections: Vec<Section>,
    left_out: usize,
    /// Whether the summary tells of some of the notes alone.
    of_part: bool,
    flags: Vec<RiskFlag>,
    /// Those of which nobody knows.
    unknown: Vec<RiskFlag>,
    /// The reasons of both, a line each.
    risks: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Release {
    tag: String,
    url: Option<String>,
    published_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct Section {
    title: &'static str,
    items: Vec<Change>,
}

#[derive(Debug, Serialize)]
struct Change {
    text: String,
    link: Option<String>,
    release: Option<String>,
}

impl Notes {
    /// Of giving a container of this workload another image; nothing where that is no step between two tags.
    pub(super) fn of(
        snapshot: &Snapshot,
        workload: &Arc<Workload>,
        container: &str,
        (from, to): (&str, &str),
    ) -> Option<Self> {
        let news = snapshot
            .news(workload, container, from, to)
            .filter(|_| from != to)?;
        Some(Self::new(container, news))
    }

    /// Of what a line offers.
    pub(super) fn of_line(snapshot: &Snapshot, workload: &Arc<Workload>, line: &Line) -> Option<Self> {
        let (container, from, to) = (
            line.container.as_ref()?,
            line.image.as_ref()?,
            line.target.as_ref()?,
        );
        Self::of(snapshot, workload, container, (from, to))
    }

    fn new(container: &str, news: News) -> Self {
        let (about, risks) = (news.about(), news.risks());
        let News {
            versions: _,
            known,
            why: _,
            page,
            releases,
            more_releases,
            summary,
            risk,
            awaits_model: _,
        } = news;
        let releases = releases.into_iter().map(|release| Release {
            tag: release.tag,
            url: safe(release.url),
            published_at: release.published_at,
        });
        let sections = summary.iter().flat_map(Summary::sections);
        let sections = sections.filter(|(_, items)| !items.is_empty());
        let sections = sections.map(|(title, items)| Section {
            title,
            items: items.iter().map(Change::new).collect(),
        });
        Self {
            container: container.to_owned(),
            known,
            about,
            page,
            releases: releases.collect(),
            more_releases,
            made_by: summary.as_ref().map(|summary| summary.made_by),
            overview: summary.as_ref().and_then(|summary| summary.overview.clone()),
            sections: sections.collect(),
            left_out: summary.as_ref().map_or(0, |summary| summary.left_out),
            of_part: summary.as_ref().is_some_and(|summary| summary.of_part),
            flags: risk.flags.into_keys().collect(),
            unknown: risk.unknown.into_keys().collect(),
            risks,
        }
    }
}

impl Change {
    fn new(item: &Item) -> Self {
        Self {
            text: item.text.clone(),
            link: safe(item.link.clone()),
            release: item.release.clone(),
        }
    }
}

/// An address that a page may link to.
fn safe(url: Option<String>) -> Option<String> {
    url.filter(|url| is_web_address(url))
}
