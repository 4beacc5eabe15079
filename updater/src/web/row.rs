//! A container in a row, as templates show it.

use jiff::Timestamp;
use serde::Serialize;
use shared::domain::overview::{LastUpdate, Line};
use shared::io::terminal::age::age;

use crate::commands::words;

#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    kind: String,
    namespace: &'a str,
    name: &'a str,
    pub(super) container: Option<&'a str>,
    /// With no more of its digest than people look at.
    image: Option<String>,
    full_image: Option<&'a str>,
    /// What is new about the target, or the newest that is known.
    newest: Option<String>,
    target: Option<&'a str>,
    mode: Option<String>,
    /// The name of the state for machines.
    state: &'static str,
    words: String,
    since: Option<Moment>,
    why: &'a str,
    last: Option<Last<'a>>,
}

/// A time, and how long ago that is.
#[derive(Debug, Serialize)]
pub(super) struct Moment {
    at: Timestamp,
    age: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Last<'a> {
    at: Moment,
    change: &'a str,
    result: &'a str,
}

impl Moment {
    fn new(at: Timestamp, now: Timestamp) -> Self {
        Self {
            at,
            age: age(now.duration_since(at)),
        }
    }
}

impl<'a> Last<'a> {
    pub(super) fn new(last: &'a LastUpdate, now: Timestamp) -> Self {
        Self {
            at: Moment::new(last.at, now),
            change: &last.change,
            result: &last.result,
        }
    }
}

impl<'a> Row<'a> {
    pub(super) fn new(line: &'a Line, now: Timestamp) -> Self {
        Self {
            kind: line.workload.kind.in_lower_case(),
            namespace: &line.workload.namespace,
            name: &line.workload.name,
            container: line.container.as_deref(),
            image: line.image.as_deref().map(words::shortened),
            full_image: line.image.as_deref(),
            newest: words::newest(line),
            target: line.target.as_deref(),
            mode: line.mode.map(|mode| mode.to_string()),
            state: line.state.into(),
            words: words::state(line.state),
            since: line.since.map(|since| Moment::new(since, now)),
            why: &line.why,
            last: line.last.as_ref().map(|last| Last::new(last, now)),
        }
    }
}
