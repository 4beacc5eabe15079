//! What people decide on a page, written as their commands write it, on exactly what was shown, so that the replica that
//! leads acts on it.

use std::sync::Arc;

use axum::http::StatusCode;
use jiff::Timestamp;
use shared::domain::approval_link::offer;
use shared::domain::decision::{Decider, Decision, Entry, Journal};
use shared::domain::plan::{Assessment, ContainerVerdict, Target};
use shared::domain::steer::{self, Change, Exactness, Word};
use shared::domain::workload::{Workload, WorkloadId};
use shared::io::clock;

use super::Site;
use super::look::One;
use super::refusal::Refusal;
use crate::decisions::{Pen, Unwritten};

const FIELD_MANAGER: &str = "kubefresh-page";

/// A decision, and of what.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) decision: Decision,
    pub(super) workload: WorkloadId,
    pub(super) container: Option<String>,
    /// What was shown; nothing else is decided on.
    pub(super) shown: Option<String>,
    pub(super) by: Decider,
    /// The end of the link, which is good for one decision.
    pub(super) link_until: Option<Timestamp>,
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

/// Writes it down and tells it, to the end, also when whoever asked hangs up. What it means, a sentence each.
pub(super) async fn act(site: &Site, order: Order) -> Result<Vec<String>, Refusal> {
    site.0.limits.decide()?;
    let task = site.0.tasks.spawn(written(site.clone(), order));
    task.await.map_err(|error| {
        tracing::error!(%error, "a decision ended in the middle");
        unknown()
    })?
}

async fn written(site: Site, order: Order) -> Result<Vec<String>, Refusal> {
    let sources = site.0.looker.sources()?;
    let pen = Pen {
        client: &sources.client,
        manager: FIELD_MANAGER,
        pod: &sources.pod,
    };
    // Were the program to end between the writing and the telling, the log has who it was.
    let decision: &'static str = order.decision.into();
    tracing::info!(workload = %order.workload, decision, by = %order.by, "somebody decides");
    let look = || async {
        let one = site.0.looker.one(&order.workload).await?;
        decide(&one, &order)
    };
    let meaning = pen.write(order.decision, &order.by, look).await;
    let meaning = meaning.map_err(|unwritten| refusal(unwritten, &order.workload))?;
    site.0.looker.forget().await;
    Ok(meaning)
}

fn refusal(unwritten: Unwritten<Refusal>, workload: &WorkloadId) -> Refusal {
    match unwritten {
        Unwritten::Refused(refusal) => refusal,
        Unwritten::KeepsChanging => {
            let problem = format!(
                "{workload} keeps changing, so nothing was written; repeat it when its rollout is over."
            );
            Refusal::new(StatusCode::CONFLICT, "It keeps changing", problem)
        }
        Unwritten::Failed(problem) => {
            Refusal::new(StatusCode::BAD_GATEWAY, "It could not be written", problem)
        }
        Unwritten::Unanswered => unknown(),
    }
}

fn unknown() -> Refusal {
    let problem = "Nobody answered in time. Look whether it was written before you repeat it.";
    Refusal::new(StatusCode::GATEWAY_TIMEOUT, "Nobody knows", problem)
}

fn decide(one: &One, order: &Order) -> Result<(Arc<Workload>, Change), Refusal> {
    let (workload, assessment) = (&one.assessment.workload, &one.assessment);
    let container = order.container.as_deref();
    if let Some(shown) = &order.shown
        && is_shown(one, order.decision, container).as_ref() != Some(shown)
    {
        let problem =
            "What you were shown is no longer what there is, so nothing was changed. Look at it again.";
        return Err(Refusal::new(
            StatusCode::CONFLICT,
            "This is no longer offered",
            problem,
        ));
    }
    if let (Some(until), Some(shown), Some(container)) = (order.link_until, &order.shown, container) {
        let journal = Journal::read(&workload.annotations).map_err(|error| refused(&error))?;
        if let Some(used) = used(&journal, one, container, &order.by, (shown, until)) {
            return Err(used_up(used));
        }
    }
    let change = match order.decision {
        Decision::Approve => steer::approve(assessment, container, Exactness::Digest, &order.by),
        Decision::Hold => steer::hold(assessment, container, &[]),
        Decision::Release => steer::release(workload, container, &[]),
        Decision::Undo => steer::rollback(workload, container),
        Decision::CheckNow => steer::check_now(assessment, clock::now()),
        Decision::NotNow => steer::not_now(assessment, container),
    };
    let word = Word {
        decision: order.decision,
        by: &order.by,
        link_until: order.link_until,
    };
    let change = change.and_then(|change| change.signed(workload, word, clock::now()));
    Ok((Arc::clone(workload), change.map_err(|error| refused(&error))?))
}

/// What their link was used for. Where several people have to agree it is good for one decision of each.
pub(super) fn used<'j>(
    journal: &'j Journal,
    one: &One,
    container: &str,
    by: &Decider,
    (offer, until): (&str, Timestamp),
) -> Option<&'j Entry> {
    let target = offered(&one.assessment, container).map(|(_, target)| target);
    let is_shared = target.is_some_and(|target| target.approvals().is_some());
    let mut used = journal.used(offer, until);
    used.find(|entry| !is_shared || entry.by.identity() == by.identity())
}

/// The name of what a person is shown before they decide this.
fn is_shown(one: &One, decision: Decision, container: Option<&str>) -> Option<String> {
    match decision {
        Decision::Approve | Decision::Hold | Decision::NotNow => {
            let (entry, target) = offered(&one.assessment, container?)?;
            Some(offer(&one.assessment.workload.uid, entry, target))
        }
        Decision::Undo => Some(steer::last_update(&one.assessment.workload)),
        Decision::Release | Decision::CheckNow => None,
    }
}

pub(super) fn refused(error: &impl ToString) -> Refusal {
    Refusal::new(StatusCode::CONFLICT, "This cannot be done now", error.to_string())
}

/// A link that somebody used before.
pub(super) fn used_up(used: &Entry) -> Refusal {
    let problem = format!(
        "It was used on {} by {}: {}. Nothing more was changed.",
        used.at, used.by, used.what
    );
    Refusal::new(StatusCode::CONFLICT, "This link was used before", problem)
}
