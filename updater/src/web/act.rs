//! What people decide on a page, written as their commands would write it: annotations, on exactly what was shown, so that the
//! replica that leads acts on them.

use std::time::Duration;

use axum::http::StatusCode;
use k8s_openapi::api::events::v1::Event;
use kube::api::PostParams;
use kube::{Api, Client};
use shared::domain::annotations::APPROVED_BY;
use shared::domain::approval_link::offer;
use shared::domain::approvals::{Approval, Approvals};
use shared::domain::notice::{Notice, NoticeReason};
use shared::domain::patch;
use shared::domain::plan::{Assessment, ContainerVerdict, Target};
use shared::domain::steer::{self, Change};
use shared::domain::time::whole_seconds;
use shared::domain::workload::{Workload, WorkloadId};
use shared::io::client::explain;
use shared::io::clock;
use tokio::time::{sleep, timeout};

use super::Site;
use super::look::One;
use super::refusal::Refusal;
use crate::answer::{Failure, failure};
use crate::api;
use crate::notify;

/// The name of the pages in `managedFields`: what a person decided is not what the updater did.
const FIELD_MANAGER: &str = "kubefresh-page";
/// How often it is looked at anew where the workload changed meanwhile, and what is waited for the watch in between.
const TRIES: usize = 10;
const PAUSE: Duration = Duration::from_millis(100);
/// How long one request to the API server may take.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// What somebody decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Decision {
    Approve,
    /// Skips the version that is offered.
    Hold,
    Undo,
    CheckNow,
}

/// A decision, and of what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order<'a> {
    pub(super) decision: Decision,
    pub(super) workload: &'a WorkloadId,
    pub(super) container: Option<&'a str>,
    /// What was shown; nothing else is decided on.
    pub(super) offer: Option<&'a str>,
    pub(super) by: &'a str,
    /// By a link, which is good for one decision.
    pub(super) once: bool,
}

/// The container, and what it is offered.
pub(super) fn offered<'a>(
    assessment: &'a Assessment,
    container: &str,
) -> Option<(&'a ContainerVerdict, &'a Target)> {
    let mut entries = assessment.containers.iter();
    let entry = entries.find(|entry| entry.container == container)?;
    Some((entry, entry.verdict.target()?))
}

/// Writes it down. What it means, a sentence each.
pub(super) async fn act(site: &Site, order: Order<'_>) -> Result<Vec<String>, Refusal> {
    site.0.limits.decide()?;
    let sources = site.0.looker.sources()?;
    // Whoever hangs up in the middle ends this, too: what is written then has its author here.
    let decision: &'static str = order.decision.into();
    tracing::info!(workload = %order.workload, decision, by = order.by, "somebody decides");
    for _ in 0..TRIES {
        let one = site.0.looker.one(order.workload).await?;
        let (workload, change) = decide(&one, order)?;
        let body = patch::annotate(&workload.resource_version, &change.annotations);
        let call = api::patch(&sources.client, &workload.id, &body, FIELD_MANAGER);
        match timeout(CALL_LIMIT, call).await {
            Ok(Ok(())) => {
                tell(&sources.client, &sources.pod, workload, &change, order).await;
                site.0.looker.forget().await;
                return Ok(change.meaning);
            }
            Ok(Err(error)) if failure(&error) == Failure::Conflict => sleep(PAUSE).await,
            Ok(Err(error)) => {
                let problem = explain(&format!("patching {}", workload.id), &error);
                return Err(Refusal::new(
                    StatusCode::BAD_GATEWAY,
                    "It could not be written",
                    problem,
                ));
            }
            Err(_) => {
                let problem = "The API server did not answer in time. Look whether it was written before you repeat it.";
                return Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, "Nobody knows", problem));
            }
        }
    }
    let problem = format!(
        "{} keeps changing, so nothing was written; repeat it when its rollout is over.",
        order.workload
    );
    Err(Refusal::new(StatusCode::CONFLICT, "It keeps changing", problem))
}

fn decide<'o>(one: &'o One, order: Order<'_>) -> Result<(&'o Workload, Change), Refusal> {
    let (workload, assessment) = (&one.workload, &one.assessment);
    let stale = || {
        let problem =
            "What you were shown is no longer what is offered, so nothing was changed. Look at it again.";
        Refusal::new(StatusCode::CONFLICT, "This is no longer offered", problem)
    };
    let shown = order
        .container
        .and_then(|container| offered(assessment, container));
    if let Some(expected) = order.offer {
        let (entry, target) = shown.ok_or_else(stale)?;
        if offer(&workload.uid, entry, target) != expected {
            return Err(stale());
        }
    }
    let change = match order.decision {
        Decision::Approve => steer::approve(assessment, order.container),
        Decision::Hold => steer::hold(workload, assessment, order.container, &[]),
        Decision::Undo => steer::rollback(workload, order.container),
        Decision::CheckNow => Ok(steer::check_now(clock::now())),
    };
    let refused = |error: steer::SteerError| {
        Refusal::new(StatusCode::CONFLICT, "This cannot be done now", error.to_string())
    };
    let mut change = change.map_err(refused)?;
    if let (Decision::Approve, Some((entry, target))) = (order.decision, shown) {
        let before = Approvals::read(&workload.annotations);
        let before = before
            .map_err(|problem| Refusal::new(StatusCode::CONFLICT, "This cannot be done now", problem))?;
        let offer = offer(&workload.uid, entry, target);
        if let Some(used) = before.of(&offer).filter(|_| order.once) {
            return Err(used_up(used));
        }
        let approval = Approval {
            by: order.by.to_owned(),
            at: whole_seconds(clock::now()),
            container: entry.container.clone(),
            from: entry.image.clone(),
            to: target.image.clone(),
            offer,
        };
        let value = before.with(approval).to_annotation();
        // Between this and the start a tag could be moved to something that nobody was shown.
        if let Some(digest) = &target.digest {
            for approved in change.annotations.values_mut() {
                *approved = Some(digest.to_string());
            }
        }
        change.annotations.insert(APPROVED_BY.to_owned(), Some(value));
    }
    Ok((workload, change))
}

/// A link that somebody used before.
pub(super) fn used_up(used: &Approval) -> Refusal {
    let problem = format!(
        "{} agreed to {} on {}. Nothing more was changed.",
        used.by, used.to, used.at
    );
    Refusal::new(StatusCode::CONFLICT, "This was agreed to before", problem)
}

/// An Event that says who. What was decided stands whether or not it can be told.
async fn tell(client: &Client, pod: &str, workload: &Workload, change: &Change, order: Order<'_>) {
    let reason = match order.decision {
        Decision::Approve => NoticeReason::UpdateApproved,
        Decision::Hold => NoticeReason::UpdateHeld,
        Decision::Undo => NoticeReason::RollbackRequested,
        Decision::CheckNow => NoticeReason::ScanRequested,
    };
    let now = clock::now();
    let note = format!("{}, by {}", change.meaning.join("; "), order.by);
    let notice = Notice::decided(workload, reason, &note, now);
    let event = notify::event(&notice, &notice.event_name(), pod, now);
    let events: Api<Event> = Api::namespaced(client.clone(), &workload.id.namespace);
    let told = timeout(CALL_LIMIT, events.create(&PostParams::default(), &event)).await;
    let problem = match told {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(explain("telling it as an Event", &error)),
        Err(_) => Some(format!("no answer within {CALL_LIMIT:?}")),
    };
    tracing::info!(workload = %workload.id, note, problem, "somebody decided");
}
