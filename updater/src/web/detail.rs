//! The page of one workload: where it stands, and why its policy chose what it chose.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::domain::approval_link::offer;
use shared::domain::decision::Decision;
use shared::domain::explanation::{Explanation, explain};
use shared::domain::overview::Line;
use shared::domain::steer::last_update;
use shared::domain::time::whole_seconds;
use shared::domain::workload::{Workload, WorkloadId, WorkloadKind};

use super::Site;
use super::look::{One, View};
use super::notes::Notes;
use super::person::{Person, Visitor};
use super::refusal::Refusal;
use super::row::{Last, Row};
use super::template;

#[derive(Debug, Serialize)]
struct Page<'a> {
    at: jiff::Timestamp,
    revision: u64,
    kind: String,
    namespace: &'a str,
    name: &'a str,
    /// What somebody has just decided.
    done: Option<&'static str>,
    /// Who is signed in.
    person: Option<String>,
    /// What their forms carry.
    form: Option<String>,
    offers: Vec<Offer>,
    /// The name of exactly the last update, for the form that undoes it.
    undoes: Option<String>,
    rows: Vec<Explained<'a>>,
    last: Option<Last<'a>>,
}

/// A container, and why it is offered what it is offered.
#[derive(Debug, Serialize)]
struct Explained<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    explanation: Option<Explanation>,
    notes: Option<Notes>,
}

/// An update that somebody may decide on.
#[derive(Debug, Serialize)]
struct Offer {
    container: String,
    from: String,
    to: String,
    tag: String,
    /// Whether somebody may agree to it.
    waits: bool,
    /// Why the approval of whoever looks would make no difference, if it would make none.
    objection: Option<String>,
    /// The name of exactly this.
    hash: String,
}

/// What the address says was done.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Said {
    done: Option<String>,
}

fn said(done: &str) -> Option<&'static str> {
    Some(match done.parse().ok()? {
        Decision::Approve => {
            "It is approved. The replica that leads starts it once enough people have agreed, in its window if it has one."
        }
        Decision::Hold => "It is skipped: this version is not offered again, and what is newer is.",
        Decision::Undo => {
            "The last update is asked to be undone. The replica that leads goes back at its next look."
        }
        Decision::CheckNow => "Its registries are asked at once.",
        Decision::NotNow => "Nothing is updated. It waits on.",
        Decision::Release => return None,
    })
}

fn offers<'a>(one: &'a One, person: &'a Person) -> impl Iterator<Item = Offer> + 'a {
    one.assessment.containers.iter().filter_map(|entry| {
        let target = entry.verdict.target()?;
        Some(Offer {
            container: entry.container.clone(),
            from: entry.image.clone(),
            to: target.image.clone(),
            tag: target.tag.to_string(),
            waits: entry.verdict.approvable().is_some(),
            objection: target
                .approvals()
                .and_then(|approvals| Some(approvals.objection(&person.by)?.to_string())),
            hash: offer(&one.assessment.workload.uid, entry, target),
        })
    })
}

/// A workload that is shown.
#[derive(Debug)]
pub(super) struct Subject<'v> {
    pub(super) id: WorkloadId,
    pub(super) workload: &'v Arc<Workload>,
    pub(super) lines: Vec<&'v Line>,
    pub(super) explanations: Vec<Explanation>,
}

pub(super) async fn page(
    State(site): State<Site>,
    Visitor(person): Visitor,
    Path(address): Path<(String, String, String)>,
    Query(Said { done }): Query<Said>,
) -> Result<Response, Refusal> {
    let sources = site.0.looker.sources()?;
    let view = site.0.looker.view().await?;
    let Subject {
        id,
        workload,
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
            notes: Notes::of_line(&view.snapshot, workload, line),
            row,
        }
    });
    let one = match &person {
        Some(_) => site.0.looker.one(&id).await.ok(),
        None => None,
    };
    let content = Page {
        done: done.as_deref().and_then(said),
        person: person.as_ref().map(|person| person.by.name.clone()),
        form: person
            .as_ref()
            .and_then(|person| person.form_token(&site.0.settings)),
        offers: one
            .iter()
            .zip(&person)
            .flat_map(|(one, person)| offers(one, person))
            .collect(),
        undoes: one.as_ref().map(|one| last_update(&one.assessment.workload)),
        at: whole_seconds(view.at),
        revision: view.revision,
        kind: id.kind.in_lower_case(),
        rows: rows.collect(),
        last: last.map(|last| Last::new(last, view.at)),
        namespace: &id.namespace,
        name: &id.name,
    };
    Ok(template::form(StatusCode::OK, "detail.html", &content))
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
    let workload = workload.ok_or_else(|| Refusal::not_watched(&id))?;
    Ok(Subject {
        explanations: explain(workload, &view.snapshot, limits, view.at),
        workload,
        lines,
        id,
    })
}

/// The name of a workload by its address.
pub(super) fn identify((written, namespace, name): (String, String, String)) -> Result<WorkloadId, Refusal> {
    let mut kinds = WorkloadKind::ALL.iter().copied();
    let found = kinds.find(|known| written.eq_ignore_ascii_case(&known.in_lower_case()));
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
