//! The same for programs, as `openapi.json` describes it.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query as FromQuery, State};
use axum::http::header;
use axum::response::IntoResponse;
use jiff::Timestamp;
use serde::Serialize;
use shared::domain::explanation::Explanation;
use shared::domain::record::run::RunRecord;

use super::Site;
use super::detail::{Subject, subject};
use super::notes::Notes;
use super::overview::question;
use super::question::{Found, Query};
use super::refusal::JsonRefusal;
use crate::commands::json::Entry;

/// One page of the table.
#[derive(Debug, Serialize)]
struct Workloads<'a> {
    at: Timestamp,
    total: usize,
    page: usize,
    pages: usize,
    containers: Vec<Entry<'a>>,
}

#[derive(Debug, Serialize)]
struct Workload<'a> {
    at: Timestamp,
    containers: Vec<Entry<'a>>,
    explanations: Vec<Explanation>,
    /// Of what is offered.
    notes: Vec<Notes>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Registries<'a> {
    at: Timestamp,
    last_run: Option<&'a RunRecord>,
    leader: Option<&'a str>,
}

pub(super) async fn openapi() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        include_str!("../../assets/openapi.json"),
    )
}

pub(super) async fn workloads(
    State(site): State<Site>,
    query: Result<FromQuery<Query>, QueryRejection>,
) -> Result<impl IntoResponse, JsonRefusal> {
    let question = question(query)?;
    let view = site.0.looker.view().await?;
    let Found { lines, total, pages } = question.answer(&view.lines);
    let answer = Workloads {
        at: view.at,
        total,
        page: question.page(),
        pages,
        containers: lines.into_iter().map(Entry::of).collect(),
    };
    Ok(Json(answer).into_response())
}

pub(super) async fn workload(
    State(site): State<Site>,
    Path(address): Path<(String, String, String)>,
) -> Result<impl IntoResponse, JsonRefusal> {
    let sources = site.0.looker.sources()?;
    let view = site.0.looker.view().await?;
    let Subject {
        id: _,
        workload,
        lines,
        explanations,
    } = subject(&view, address, &sources.limits)?;
    let answer = Workload {
        at: view.at,
        notes: lines
            .iter()
            .filter_map(|line| Notes::of_line(&view.snapshot, workload, line))
            .collect(),
        containers: lines.into_iter().map(Entry::of).collect(),
        explanations,
    };
    Ok(Json(answer).into_response())
}

pub(super) async fn registries(State(site): State<Site>) -> Result<impl IntoResponse, JsonRefusal> {
    let view = site.0.looker.view().await?;
    let answer = Registries {
        at: view.at,
        last_run: view.last_run.as_ref(),
        leader: view.leader.as_deref(),
    };
    Ok(Json(answer).into_response())
}
