//! Enters what other programs are to be told into a record, sends what waits there, and notes what became of it.
//!
//! Entering is part of each look and comes before any patch of it, so that no end of an update is written down that could be
//! forgotten. Sending is not: a receiver that hangs holds up nothing. A kill between an answer and our note of it sends a message
//! twice, under the same id.

mod store;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use shared::domain::message::{EventType, messages};
use shared::domain::notice::Notice;
use shared::domain::outbox::{self, Answer, Channel, Fate, Waiting};
use shared::domain::plan::Assessment;
use shared::domain::workload::WorkloadId;
use shared::io::clock;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::cli::webhook::WebhookSettings;
use crate::leader::Leadership;
use crate::metrics::{MessageResult, Metrics};
use crate::webhook::Webhook;
use store::OutboxStore;

/// Messages that are sent at the same time.
const CONCURRENT: usize = 8;
/// How long we wait, when told to stop, for answers under way; what has none by then is sent again by the next leader.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// A workload and what people are told of it.
pub type Told<'a> = (&'a Assessment, Vec<Notice>);

/// What is to be sent, and the sending.
pub struct Outbox {
    webhook: Arc<Webhook>,
    events: BTreeSet<EventType>,
    retries: u32,
    leadership: Leadership,
    store: OutboxStore,
    /// As it is stored, with what is yet to be written; `None` where that is not known.
    book: Option<outbox::Outbox>,
    sending: JoinSet<()>,
    busy: BTreeSet<(Channel, WorkloadId)>,
    answers: mpsc::UnboundedReceiver<Answered>,
    answered: mpsc::UnboundedSender<Answered>,
    /// Whether all that the last look had to tell is written down.
    is_current: bool,
    /// Not yet written down.
    noted: Vec<Answered>,
    look_again: Arc<Notify>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("webhook", &self.webhook)
            .field("book", &self.book)
            .finish_non_exhaustive()
    }
}

/// An attempt and what came of it.
#[derive(Debug)]
struct Answered {
    waiting: Waiting,
    answer: Answer,
    at: Timestamp,
}

/// What was decided about a message, to be said once it is written down.
type Decided = (Waiting, MessageResult, String);

impl Outbox {
    /// For the receiver of the settings; the record is in our own namespace, named by the lease.
    pub fn new(
        client: Client,
        (namespace, lease): (&str, &str),
        settings: &WebhookSettings,
        leadership: Leadership,
        look_again: Arc<Notify>,
    ) -> Result<Self, reqwest::Error> {
        let (answered, answers) = mpsc::unbounded_channel();
        Ok(Self {
            webhook: Arc::new(Webhook::new(settings)?),
            events: settings.events.clone(),
            retries: settings.retries,
            leadership,
            store: OutboxStore::new(client, namespace, lease),
            book: None,
            is_current: false,
            sending: JoinSet::new(),
            busy: BTreeSet::new(),
            answers,
            answered,
            noted: Vec::new(),
            look_again,
        })
    }

    /// Takes in the answers that came and what a look at `now` has to tell, writes that down, and sends what is due.
    pub async fn look(&mut self, work: &[Told<'_>], now: Timestamp, metrics: &Metrics) {
        self.collect();
        self.is_current = false;
        if !self.load().await || !self.leadership.may_act() {
            return;
        }
        // Written even if the claim lapses now: what was taken in is not lost, and by its version it is nobody else's yet.
        let decided = self.take_in(work, now);
        self.is_current = self.save(decided, metrics).await;
        if self.is_current && self.leadership.may_act() {
            self.send_due(now);
        }
    }

    /// Whether all that there is to tell with these notices is entered, so that it may be forgotten.
    pub fn has_entered(&self, notices: &[Notice]) -> bool {
        let detects = self.events.contains(&EventType::DeploymentDetected);
        let concerns = |notice: &Notice| {
            EventType::of(notice.reason).is_some_and(|event| detects || self.events.contains(&event))
        };
        self.is_current || !notices.iter().any(concerns)
    }

    /// When a message will be due, after a look at `now`.
    pub fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        self.book.as_ref()?.next(now)
    }

    /// When to look again, after a look at `now`, for the sake of the record.
    pub fn next_attempt(&self, now: Instant) -> Option<Instant> {
        self.store.next_attempt(now)
    }

    /// Somebody else leads, and goes on from the record.
    pub fn forget(&mut self) {
        self.sending.abort_all();
        self.collect();
        self.noted.clear();
        self.book = None;
    }

    /// Waits a little for the answers that are under way, and notes them. Called at the end, before the lease is given back.
    pub async fn finish(&mut self, metrics: &Metrics) {
        let all = async { while self.sending.join_next().await.is_some() {} };
        if timeout(STOP_LIMIT, all).await.is_err() {
            tracing::warn!("a receiver has not answered yet; what it was sent may be sent again");
        }
        self.collect();
        if self.leadership.holds_claim() && self.book.is_some() {
            let decided = self.take_answers();
            self.save(decided, metrics).await;
        }
    }

    fn collect(&mut self) {
        while self.sending.try_join_next().is_some() {}
        while let Ok(answered) = self.answers.try_recv() {
            self.busy.remove(&answered.waiting.queue());
            self.noted.push(answered);
        }
        if self.sending.is_empty() {
            self.busy.clear();
        }
    }

    /// Whether what is stored is known.
    async fn load(&mut self) -> bool {
        if self.book.is_none() {
            self.book = self.store.load().await;
        }
        self.book.is_some()
    }

    fn take_answers(&mut self) -> Vec<Decided> {
        let Some(book) = &mut self.book else {
            return Vec::new();
        };
        let mut decided = Vec::new();
        for Answered { waiting, answer, at } in &self.noted {
            let id = &waiting.message.id;
            let Some(fate) = book.answered(waiting.channel, id, answer, self.retries, *at) else {
                continue;
            };
            let why = answer.problem().unwrap_or_default();
            let (result, why) = match fate {
                Fate::Sent => (MessageResult::Sent, String::new()),
                Fate::Waits(until) => (MessageResult::Failed, format!("{why}; trying again at {until}")),
                Fate::GivenUp => (MessageResult::GivenUp, why.to_owned()),
            };
            decided.push((waiting.clone(), result, why));
        }
        decided
    }

    fn take_in(&mut self, work: &[Told<'_>], now: Timestamp) -> Vec<Decided> {
        let mut decided = self.take_answers();
        let Some(book) = &mut self.book else {
            return decided;
        };
        let mut gone = Vec::new();
        if self.events.contains(&EventType::DeploymentDetected) {
            let assessments: Vec<&Assessment> = work.iter().map(|(assessment, _)| *assessment).collect();
            gone.extend(book.detect(Channel::Webhook, &assessments, now));
        }
        let mut spoken_of = BTreeSet::new();
        for (assessment, notices) in work {
            for message in messages(assessment, notices, now) {
                spoken_of.insert(message.id.clone());
                if self.events.contains(&message.event) {
                    gone.extend(book.enter(Channel::Webhook, message));
                }
            }
        }
        let gone = gone.into_iter();
        decided.extend(gone.map(|waiting| {
            let why = "too many messages wait, and this is the oldest".to_owned();
            (waiting, MessageResult::Dropped, why)
        }));
        let stale = book.give_up_stale(now).into_iter();
        decided.extend(stale.map(|waiting| {
            let why = "it is older than a day".to_owned();
            (waiting, MessageResult::GivenUp, why)
        }));
        book.prune(&spoken_of, now);
        decided
    }

    /// Writes the record where it has changed, and says what was decided. Whether it is written.
    async fn save(&mut self, decided: Vec<Decided>, metrics: &Metrics) -> bool {
        let Some(book) = &mut self.book else {
            return false;
        };
        if book.has_changed() && !self.store.save(book).await {
            // What is stored is not known any more, and what was answered has to be noted again.
            self.book = None;
            return false;
        }
        metrics.messages_waiting(book.waiting().len());
        self.noted.clear();
        for (waiting, result, why) in decided {
            metrics.message(waiting.channel, result);
            tell(self.webhook.host(), &waiting, result, &why);
        }
        true
    }

    fn send_due(&mut self, now: Timestamp) {
        let Some(book) = &self.book else {
            return;
        };
        for waiting in book.due(now, &self.busy) {
            if self.sending.len() >= CONCURRENT || !self.leadership.may_act() {
                return;
            }
            self.busy.insert(waiting.queue());
            let (webhook, waiting) = (Arc::clone(&self.webhook), waiting.clone());
            let (answered, look_again) = (self.answered.clone(), Arc::clone(&self.look_again));
            self.sending.spawn(async move {
                let answer = match waiting.channel {
                    Channel::Webhook => webhook.send(&waiting.message).await,
                };
                let at = clock::now();
                // Nobody listens any more only where the process ends.
                let _ = answered.send(Answered { waiting, answer, at });
                look_again.notify_one();
            });
        }
    }
}

fn tell(receiver: &str, waiting: &Waiting, result: MessageResult, why: &str) {
    let Waiting {
        channel,
        message,
        attempts: _,
        not_before: _,
    } = waiting;
    let (workload, event, id) = (&message.workload, message.event, &message.id);
    match result {
        MessageResult::Sent => tracing::info!(%workload, %event, id, %channel, receiver, "message sent"),
        MessageResult::Failed => {
            tracing::warn!(%workload, %event, id, %channel, receiver, why, "message not sent yet");
        }
        MessageResult::GivenUp | MessageResult::Dropped => {
            tracing::warn!(%workload, %event, id, %channel, receiver, why, "message given up");
        }
    }
}
