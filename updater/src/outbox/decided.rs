//! What was decided about messages, and how the log says it.

use shared::domain::outbox::Waiting;

use crate::metrics::MessageResult;

/// Why a message goes that is not to be told any more.
pub(super) const TOO_MANY: &str = "too many messages wait, and this is the oldest";

/// What was decided about a message, to be said once it is written down.
pub(super) type Decided = (Waiting, MessageResult, String);

pub(super) fn dropped(waiting: Waiting) -> Decided {
    (waiting, MessageResult::Dropped, TOO_MANY.to_owned())
}

/// Says what became of a message for this receiver.
pub(super) fn tell(receiver: &str, waiting: &Waiting, result: MessageResult, why: &str) {
    let Waiting {
        channel,
        message,
        attempts: _,
        not_before: _,
        under_way: _,
    } = waiting;
    let (workload, event, id) = (&message.workload, message.event, &message.id);
    match result {
        MessageResult::Sent => tracing::info!(%workload, %event, id, %channel, receiver, "message sent"),
        MessageResult::Failed => {
            tracing::warn!(%workload, %event, id, %channel, receiver, why, "message not sent yet");
        }
        MessageResult::GivenUp | MessageResult::Dropped | MessageResult::Postponed => {
            tracing::warn!(%workload, %event, id, %channel, receiver, why, "message given up");
        }
    }
}
