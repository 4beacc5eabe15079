//! The page of all watched containers.

use std::collections::BTreeSet;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as FromQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use shared::domain::overview::State as Standing;
use shared::domain::time::whole_seconds;

use super::Site;
use super::look::View;
use super::question::{Found, Query, Question, ROWS, Sort, Written};
use super::refusal::Refusal;
use super::registries::{Budget, budgets};
use super::row::Row;
use super::template;
use crate::commands::words;

/// Namespaces to choose from; with more of them people write the name.
const NAMESPACES: usize = 500;

#[derive(Debug, Serialize)]
struct Page<'a> {
    at: jiff::Timestamp,
    revision: u64,
    summary: String,
    counts: Vec<Count>,
    namespaces: BTreeSet<&'a str>,
    sorts: Vec<&'static str>,
    question: Written<'a>,
    rows: Vec<Row<'a>>,
    /// Which of them all.
    shown: String,
    nothing: &'static str,
    pages: usize,
    previous: Option<String>,
    next: Option<String>,
    budgets: Vec<Budget<'a>>,
    leader: String,
}

/// So many containers are in this state.
#[derive(Debug, Serialize)]
struct Count {
    state: &'static str,
    words: String,
    containers: usize,
}

pub(super) async fn page(
    State(site): State<Site>,
    query: Result<FromQuery<Query>, QueryRejection>,
) -> Result<Response, Refusal> {
    let question = question(query)?;
    let view = site.0.looker.view().await?;
    let content = of(&view, &question, site.0.looker.leads());
    Ok(template::page(StatusCode::OK, "overview.html", &content))
}

/// What is asked for.
pub(super) fn question(query: Result<FromQuery<Query>, QueryRejection>) -> Result<Question, Refusal> {
    let read = query
        .map_err(|rejection| rejection.body_text())
        .and_then(|FromQuery(query)| query.read());
    read.map_err(Refusal::meaningless)
}

fn of<'a>(view: &'a View, question: &'a Question, leads: bool) -> Page<'a> {
    let Found { lines, total, pages } = question.answer(&view.lines);
    let page = question.page();
    let first = (page - 1).saturating_mul(ROWS);
    let shown = match lines.len() {
        0 => String::new(),
        shown => format!("Containers {} to {} of {total}", first + 1, first + shown),
    };
    let counts = Standing::ALL.iter().map(|state| Count {
        state: (*state).into(),
        words: words::state(*state),
        containers: view.lines.iter().filter(|line| line.state == *state).count(),
    });
    let namespaces = view.lines.iter().map(|line| line.workload.namespace.as_str());
    let namespaces: BTreeSet<&str> = namespaces.collect();
    Page {
        at: whole_seconds(view.at),
        revision: view.revision,
        summary: words::summary(&view.lines, view.lines.len()),
        counts: counts.filter(|count| count.containers > 0).collect(),
        namespaces: namespaces.into_iter().take(NAMESPACES).collect(),
        sorts: Sort::ALL.iter().map(Into::into).collect(),
        question: question.written(),
        rows: lines.into_iter().map(|line| Row::new(line, view.at)).collect(),
        shown,
        nothing: if view.lines.is_empty() {
            "Nothing is watched yet. kubectl annotate deployment/NAME kubefresh.dev/watch=true opts a workload in."
        } else {
            "Nothing is like that."
        },
        pages,
        previous: (page > 1).then(|| question.address_of(page.min(pages + 1) - 1)),
        next: (page < pages).then(|| question.address_of(page + 1)),
        budgets: budgets(view),
        leader: leader(view, leads),
    }
}

/// Who acts.
fn leader(view: &View, leads: bool) -> String {
    match (&view.leader, leads) {
        (_, true) => "This replica leads and acts.".to_owned(),
        (Some(pod), false) => format!("{pod} leads and acts; this replica stands by."),
        (None, false) => "It is not known which replica leads; this one does not.".to_owned(),
    }
}
