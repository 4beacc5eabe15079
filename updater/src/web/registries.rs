//! The scanner's last run: what each registry was asked, and what it has left.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::domain::record::run::RunRecord;
use shared::domain::time::whole_seconds;
use shared::io::terminal::age::age;

use super::Site;
use super::look::View;
use super::refusal::Refusal;
use super::template;

/// Registries in the table. Whoever may name an image may name registries.
const MOST: usize = 200;

#[derive(Debug, Serialize)]
struct Page<'a> {
    at: Timestamp,
    run: Option<&'a RunRecord>,
    started: Option<String>,
    took: Option<String>,
    failed: String,
    registries: Vec<Registry<'a>>,
}

#[derive(Debug, Serialize)]
struct Registry<'a> {
    name: &'a str,
    requests: u64,
    pulls_left: Option<u32>,
    left_alone_until: Option<Timestamp>,
}

/// Registries of which the page of all workloads says what they have left.
const MOST_BUDGETS: usize = 10;

/// What a registry has left.
#[derive(Debug, Serialize)]
pub(super) struct Budget<'a> {
    name: &'a str,
    pulls_left: Option<u32>,
    left_alone_until: Option<Timestamp>,
}

/// Of those that say it.
pub(super) fn budgets(view: &View) -> Vec<Budget<'_>> {
    let run = view.last_run.iter();
    let budgets = run
        .flat_map(|run| run.most_telling(MOST_BUDGETS))
        .map(|(name, used)| Budget {
            name,
            pulls_left: used.pulls_left,
            left_alone_until: used.left_alone_until.filter(|until| *until > view.at),
        });
    budgets
        .filter(|budget| budget.pulls_left.is_some() || budget.left_alone_until.is_some())
        .collect()
}

pub(super) async fn page(State(site): State<Site>) -> Result<Response, Refusal> {
    let view = site.0.looker.view().await?;
    Ok(template::page(StatusCode::OK, "registries.html", &of(&view)))
}

fn of(view: &View) -> Page<'_> {
    let run = view.last_run.as_ref();
    let failed = run.iter().flat_map(|run| &run.failed);
    let failed: Vec<String> = failed.map(|(class, count)| format!("{count} {class}")).collect();
    let registries = run.into_iter().flat_map(|run| run.most_telling(MOST));
    Page {
        at: whole_seconds(view.at),
        run,
        started: run.map(|run| age(view.at.duration_since(run.started_at))),
        took: run.map(|run| {
            let milliseconds = i64::try_from(run.duration_milliseconds).unwrap_or(i64::MAX);
            age(SignedDuration::from_millis(milliseconds))
        }),
        failed: failed.join(", "),
        registries: registries
            .map(|(name, used)| Registry {
                name,
                requests: used.total(),
                pulls_left: used.pulls_left,
                left_alone_until: used.left_alone_until,
            })
            .collect(),
    }
}
