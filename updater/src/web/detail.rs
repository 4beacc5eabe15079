//! The page of one workload: where it stands, and why its policy chose what it chose.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use shared::domain::explanation::{Explanation, explain};
use shared::domain::overview::Line;
use shared::domain::workload::{WorkloadId, WorkloadKind};

use super::Site;
use super::look::View;
use super::refusal::Refusal;
use super::row::{Last, Row, kind};
use super::template;

#[derive(Debug, Serialize)]
struct Page<'a> {
    at: jiff::Timestamp,
    revision: u64,
    kind: String,
    namespace: &'a str,
    name: &'a str,
    rows: Vec<Explained<'a>>,
    last: Option<Last<'a>>,
}

/// A container, and why it is offered what it is offered.
#[derive(Debug, Serialize)]
struct Explained<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    explanation: Option<Explanation>,
}

/// A workload that is shown.
#[derive(Debug)]
pub(super) struct Subject<'v> {
    pub(super) id: WorkloadId,
    pub(super) lines: Vec<&'v Line>,
    pub(super) explanations: Vec<Explanation>,
}

pub(super) async fn page(
    State(site): State<Site>,
    Path(address): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let sources = site.0.looker.sources()?;
    let view = site.0.looker.view().await?;
    let Subject {
        id,
        lines,
        mut explanations,
    } = subject(&view, address, &sources.limits)?;
    let last = lines.iter().find_map(|line| line.last.as_ref());
    let rows = lines.iter().map(|line| {
        let row = Row::new(line, view.at);
        let own = explanations
            .iter()
            .position(|explanation| Some(explanation.container.as_str()) == row.container);
        Explained {
            explanation: own.map(|own| explanations.swap_remove(own)),
            row,
        }
    });
    let content = Page {
        at: view.at,
        revision: view.revision,
        kind: kind(id.kind),
        rows: rows.collect(),
        last: last.map(|last| Last::new(last, view.at)),
        namespace: &id.namespace,
        name: &id.name,
    };
    Ok(template::page(StatusCode::OK, "detail.html", &content))
}

/// The workload at this address.
pub(super) fn subject<'v>(
    view: &'v View,
    address: (String, String, String),
    limits: &shared::domain::plan::PlanLimits,
) -> Result<Subject<'v>, Refusal> {
    let id = identify(address)?;
    let lines: Vec<&Line> = view.lines.iter().filter(|line| line.workload == id).collect();
    let workload = view.workload(&id).filter(|_| !lines.is_empty());
    let workload = workload.ok_or_else(|| {
        let problem = format!("No {id} is watched. It may be gone, or nobody opted it in.");
        Refusal::new(StatusCode::NOT_FOUND, "Not watched", problem)
    })?;
    Ok(Subject {
        explanations: explain(workload, &view.snapshot, limits, view.at),
        lines,
        id,
    })
}

/// The name of a workload by its address.
pub(super) fn identify((written, namespace, name): (String, String, String)) -> Result<WorkloadId, Refusal> {
    let mut kinds = WorkloadKind::ALL.iter().copied();
    let found = kinds.find(|known| written.eq_ignore_ascii_case(&kind(*known)));
    let kind = found.ok_or_else(|| {
        let problem = format!("{written:?} is no kind of workload that is watched.");
        Refusal::new(StatusCode::NOT_FOUND, "Not found", problem)
    })?;
    Ok(WorkloadId {
        kind,
        namespace,
        name,
    })
}
