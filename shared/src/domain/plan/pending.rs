//! What a workload says of itself while an update waits: what for, and until when or what to do.

use std::fmt::Write as _;

use super::verdict::{ContainerVerdict, Verdict, approval_command};
use super::{Action, Workload};
use crate::domain::annotations::{LONGEST, PENDING};
use crate::domain::text;

/// How many containers are spoken of; an annotation is read by people, and its size is bounded.
const MOST_CONTAINERS: usize = 10;

/// Room for one container, in bytes: text that outgrows its room is copied.
const USUAL_LENGTH: usize = 128;

/// What has to become of the annotation that says what waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pending {
    /// It is right, or there is none and nothing waits.
    Unchanged,
    Write(String),
    /// Nothing waits any more.
    Remove,
}

impl Pending {
    /// Nothing is written while an update is under way, or for one that begins: its own patch takes the annotation away.
    pub(super) fn of(workload: &Workload, containers: &[ContainerVerdict], action: &Action) -> Self {
        // What is known only once pods or nodes are read is not taken back before.
        let is_asked = containers.iter().all(|entry| !entry.verdict.is_unasked());
        let wanted = match action {
            Action::Nothing if !is_asked => return Self::Unchanged,
            Action::Nothing => text(workload, containers),
            Action::Stop(_) => None,
            Action::StopForMarker(_)
            | Action::Start(_)
            | Action::Follow { .. }
            | Action::RollBack { .. }
            | Action::Undo { .. }
            | Action::TakenBack(_) => return Self::Unchanged,
        };
        match (wanted, workload.annotations.get(PENDING)) {
            (Some(wanted), Some(written)) if wanted == *written => Self::Unchanged,
            (Some(wanted), _) => Self::Write(wanted),
            (None, Some(_)) => Self::Remove,
            (None, None) => Self::Unchanged,
        }
    }
}

/// `checkout: shop/checkout:1.5.0 waits for its window, until …`, one container after the other.
fn text(workload: &Workload, containers: &[ContainerVerdict]) -> Option<String> {
    let waiting = || {
        containers
            .iter()
            .filter(|entry| entry.verdict.waits_for().is_some())
    };
    let mut text = String::new();
    for entry in waiting().take(MOST_CONTAINERS) {
        if text.is_empty() {
            text.reserve(USUAL_LENGTH);
        } else {
            text.push_str("; ");
        }
        text.extend([entry.container.as_str(), ": "]);
        // A text takes all that is written to it.
        let _ = write!(text, "{}", entry.verdict);
        if let Verdict::AwaitingApproval(target) = &entry.verdict
            && target.kept_by.is_none()
        {
            text.push_str(": ");
            text.push_str(&approval_command(
                &workload.id,
                entry,
                containers.len() == 1,
                target,
            ));
        }
    }
    let more = waiting().skip(MOST_CONTAINERS).count();
    if more > 0 {
        let _ = write!(text, "; and {more} more");
    }
    // Short enough to be read again, or it would never be right.
    (!text.is_empty()).then(|| text::cut(&text, LONGEST / 2))
}
