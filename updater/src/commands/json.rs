//! The same for other programs. Every field is there.

use jiff::Timestamp;
use serde::Serialize;
use shared::domain::overview::{LastUpdate, Line, State};

use super::View;
use super::words::newest_in_full;

#[derive(Debug, Serialize)]
pub(super) struct Answer<'a> {
    at: Timestamp,
    containers: Vec<Entry<'a>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Entry<'a> {
    workload: Workload<'a>,
    container: Option<&'a str>,
    image: Option<&'a str>,
    target: Option<&'a str>,
    newest: Option<String>,
    mode: Option<String>,
    state: State,
    since: Option<Timestamp>,
    why: &'a str,
    last: Option<&'a LastUpdate>,
}

#[derive(Debug, Serialize)]
struct Workload<'a> {
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
}

impl<'a> Answer<'a> {
    pub(super) fn of(view: &'a View) -> Self {
        Self {
            at: view.now,
            containers: view.lines.iter().map(Entry::of).collect(),
        }
    }
}

impl<'a> Entry<'a> {
    pub(crate) fn of(line: &'a Line) -> Self {
        Self {
            workload: Workload {
                kind: line.workload.kind.into(),
                namespace: &line.workload.namespace,
                name: &line.workload.name,
            },
            container: line.container.as_deref(),
            image: line.image.as_deref(),
            target: line.target.as_deref(),
            newest: newest_in_full(line),
            mode: line.mode.map(|mode| mode.to_string()),
            state: line.state,
            since: line.since,
            why: &line.why,
            last: line.last.as_ref(),
        }
    }
}
