//! The attempts of this process: each begins once the record says so, and only so soon after it that it is over when others
//! take it to be.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use shared::domain::announcement::briefing::Briefing;
use shared::domain::message::Message;
use shared::domain::outbox::{Answer, Channel, Waiting};
use shared::io::clock;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::store::CALL_LIMIT;
use crate::leader::Leadership;
use crate::random;
use crate::receivers::Receivers;

/// Messages that are sent at the same time.
const CONCURRENT: usize = 8;
/// How many are under way or about to be: so many one write of the record is enough for.
const MOST: usize = 100;
/// How long after its write was begun an attempt may begin. What has not by then needs another one.
pub(super) const BEGINS_WITHIN: Duration = CALL_LIMIT;

/// An attempt and what came of it.
#[derive(Debug)]
pub(super) struct Answered {
    /// What was told at once.
    pub(super) batch: Vec<Waiting>,
    /// `None`: it was not begun.
    pub(super) answer: Option<Answer>,
    pub(super) at: Timestamp,
}

/// What is being sent.
pub(super) struct Sending {
    /// Who we are in the record; each start of a process is another one.
    name: String,
    receivers: Arc<Receivers>,
    leadership: Leadership,
    look_again: Arc<Notify>,
    attempts: JoinSet<()>,
    seats: Arc<Semaphore>,
    /// Of what nothing is written down yet.
    open: BTreeSet<(Channel, String)>,
    answers: mpsc::UnboundedReceiver<Answered>,
    answered: mpsc::UnboundedSender<Answered>,
    /// What has come of it and is not written down yet.
    noted: Vec<Answered>,
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("name", &self.name)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl Sending {
    pub(super) fn new(receivers: Arc<Receivers>, leadership: Leadership, look_again: Arc<Notify>) -> Self {
        let (answered, answers) = mpsc::unbounded_channel();
        Self {
            name: format!("{:016x}", random::nonce()),
            receivers,
            leadership,
            look_again,
            attempts: JoinSet::new(),
            seats: Arc::new(Semaphore::new(CONCURRENT)),
            open: BTreeSet::new(),
            answers,
            answered,
            noted: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What has come of attempts and is not written down yet.
    pub(super) fn noted(&self) -> &[Answered] {
        &self.noted
    }

    /// Whether we have begun to send this, and what came of it is not written down.
    pub(super) fn is_open(&self, channel: Channel, id: &str) -> bool {
        self.open.iter().any(|(of, one)| *of == channel && one == id)
    }

    /// How many more may be begun now. None where all would have to wait.
    pub(super) fn room(&self) -> usize {
        if self.seats.available_permits() == 0 {
            return 0;
        }
        MOST.saturating_sub(self.attempts.len())
    }

    /// Sends what the record says since a write that was begun at `written`.
    pub(super) fn begin(&mut self, batches: Vec<Vec<Waiting>>, briefing: &Briefing<'_>, written: Instant) {
        for batch in batches {
            let keys = batch.iter().map(Waiting::key);
            self.open
                .extend(keys.map(|(channel, id)| (channel, id.to_owned())));
            let messages: Vec<&Message> = batch.iter().map(|waiting| &waiting.message).collect();
            let announcement = briefing.announcement(&messages);
            let (receivers, seats) = (Arc::clone(&self.receivers), Arc::clone(&self.seats));
            let (leadership, answered) = (self.leadership.clone(), self.answered.clone());
            let look_again = Arc::clone(&self.look_again);
            self.attempts.spawn(async move {
                let seat = seats.acquire().await;
                // A process that was paused meanwhile is not to begin what somebody else may have begun by now.
                let may_begin = written.elapsed() < BEGINS_WITHIN && leadership.may_act();
                let answer = if seat.is_ok() && may_begin {
                    Some(receivers.send(&batch, announcement).await)
                } else {
                    None
                };
                let at = clock::now();
                // Nobody listens any more only where the process ends.
                let _ = answered.send(Answered { batch, answer, at });
                look_again.notify_one();
            });
        }
    }

    /// Takes in the answers that came.
    pub(super) fn collect(&mut self) {
        while self.attempts.try_join_next().is_some() {}
        while let Ok(answered) = self.answers.try_recv() {
            self.noted.push(answered);
        }
    }

    /// All that came is written down.
    pub(super) fn written(&mut self) {
        for answered in self.noted.drain(..) {
            for waiting in answered.batch {
                self.open.remove(&(waiting.channel, waiting.message.id));
            }
        }
    }

    /// Breaks off what is under way: somebody else leads.
    pub(super) fn forget(&mut self) {
        self.attempts.abort_all();
        self.collect();
        self.noted.clear();
        self.open.clear();
    }

    /// Begins nothing any more, and waits for so long for what is under way. Whether all was answered; the rest is broken off.
    pub(super) async fn stop(&mut self, limit: Duration) -> bool {
        self.seats.close();
        let all = async { while self.attempts.join_next().await.is_some() {} };
        let is_all = timeout(limit, all).await.is_ok();
        self.attempts.shutdown().await;
        self.collect();
        is_all
    }
}
