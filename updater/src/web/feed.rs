//! Updates that ended, as an Atom feed: what the annotations of workloads say of their last one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use shared::domain::overview::LastUpdate;
use shared::domain::workload::WorkloadId;

use super::Site;
use super::look::View;
use super::refusal::Refusal;
use super::template;

/// The latest so many.
const ENTRIES: usize = 50;

#[derive(Debug, Serialize)]
struct Feed<'a> {
    namespace: &'a str,
    /// Where people reach the pages; empty where nobody says so.
    base: &'a str,
    updated: Timestamp,
    entries: Vec<Entry<'a>>,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    uid: &'a str,
    kind: String,
    namespace: &'a str,
    name: &'a str,
    at: Timestamp,
    change: &'a str,
    result: &'a str,
}

pub(super) async fn feed(State(site): State<Site>) -> Result<Response, Refusal> {
    let sources = site.0.looker.sources()?;
    let view = site.0.looker.view().await?;
    let base = site.0.settings.base().unwrap_or_default();
    let content = of(&view, &sources.namespace, base);
    let kind = "application/atom+xml; charset=utf-8";
    Ok(template::answer(StatusCode::OK, kind, "feed.xml", &content))
}

fn of<'a>(view: &'a View, namespace: &'a str, base: &'a str) -> Feed<'a> {
    let ended = view
        .lines
        .iter()
        .filter_map(|line| Some((&line.workload, line.last.as_ref()?)));
    // A workload has as many lines as containers, and one last update.
    let ended: BTreeMap<&WorkloadId, &LastUpdate> = ended.collect();
    let mut ended: Vec<_> = ended.into_iter().collect();
    ended.sort_by_key(|(_, last)| Reverse(last.at));
    let entries = ended.into_iter().take(ENTRIES).filter_map(|(id, last)| {
        Some(Entry {
            uid: &view.workload(id)?.uid,
            kind: id.kind.in_lower_case(),
            namespace: &id.namespace,
            name: &id.name,
            at: last.at,
            change: &last.change,
            result: &last.result,
        })
    });
    let entries: Vec<Entry<'_>> = entries.collect();
    Feed {
        namespace,
        base,
        updated: entries.first().map_or(Timestamp::UNIX_EPOCH, |entry| entry.at),
        entries,
    }
}
