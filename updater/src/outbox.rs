//! Enters what other programs are to be told into a record, sends what waits there, and notes what became of it.
//!
//! Entering is part of each look and comes before any patch of it, so that no end of an update is written down that could be
//! forgotten, unless the record cannot be reached for longer than anybody should wait: then it is kept in memory. Sending is no part
//! of it: a receiver that hangs holds up nothing. The write that enters a message also says who sends it (`outbox::sending` of the
//! domain), so that nobody else does. A kill between an answer and our note of it sends a message twice, under the same id.

mod decided;
mod lost;
mod sending;
mod store;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use shared::domain::announcement::briefing::{Briefing, Wait};
use shared::domain::message::{EventType, Message, messages};
use shared::domain::notice::Notice;
use shared::domain::outbox::{self, Answer, Channel, Fate, Waiting};
use shared::domain::plan::{Assessment, Channels, Plan, Snapshot};
use shared::io::clock;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::leader::Leadership;
use crate::metrics::{MessageResult, Metrics};
use crate::receivers::Receivers;
use decided::{Decided, TOO_MANY, dropped, tell};
use lost::Lost;
use sending::{Answered, BEGINS_WITHIN, Sending};
use store::OutboxStore;

/// How long we wait, when told to stop, for answers under way; what has none by then is sent again by the next leader.
const STOP_LIMIT: Duration = Duration::from_millis(500);
/// The least between two writes that only detections are the reason for, of which there can be thousands.
const DETECTIONS_REST: Duration = Duration::from_secs(1);

/// A workload and what people are told of it.
pub type Told<'a> = (&'a Assessment, Vec<Notice>);

/// A message with what it is made from.
type Meant<'a> = (&'a Assessment, Message);

/// What is to be sent, and the sending.
pub struct Outbox {
    receivers: Arc<Receivers>,
    /// What the last look said of who wants to be told where.
    wanted: Channels,
    /// When somebody is to be reminded.
    next_reminder: Option<Timestamp>,
    /// When a message that waits for its notes goes without them.
    held_until: Option<Timestamp>,
    /// How long ends of updates wait for the record.
    patience: Duration,
    leadership: Leadership,
    store: OutboxStore,
    /// As it is stored, with what is yet to be written; `None` where that is not known.
    book: Option<outbox::Outbox>,
    sending: Sending,
    lost: Lost,
    /// Whether all that the last look had to tell is written down.
    is_current: bool,
    /// What ended without having been entered, until it is.
    late: outbox::Outbox,
    /// Whether the last look has kept there all that it could not enter of what ends.
    is_kept: bool,
    /// When the record was written last.
    written_at: Option<Instant>,
    /// Whether something about detections was left to a later look.
    is_resting: bool,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("receivers", &self.receivers)
            .field("book", &self.book)
            .field("sending", &self.sending)
            .finish_non_exhaustive()
    }
}

impl Outbox {
    /// For these; the record is in our own namespace, named by the lease.
    pub fn new(
        client: Client,
        (namespace, lease): (&str, &str),
        (receivers, patience): (Receivers, Duration),
        leadership: Leadership,
        look_again: Arc<Notify>,
    ) -> Self {
        let receivers = Arc::new(receivers);
        Self {
            sending: Sending::new(Arc::clone(&receivers), leadership.clone(), look_again),
            receivers,
            wanted: Channels::new(),
            next_reminder: None,
            held_until: None,
            patience,
            leadership,
            lost: Lost::new(client.clone()),
            store: OutboxStore::new(client, namespace, lease),
            book: None,
            is_current: false,
            late: outbox::Outbox::default(),
            is_kept: false,
            written_at: None,
            is_resting: false,
        }
    }

    /// Takes in the answers that came and what a look at `now` has to tell, writes that down, and sends what is due.
    pub async fn look(
        &mut self,
        work: &[Told<'_>],
        (snapshot, plan): (&Snapshot, &Plan),
        now: Timestamp,
        metrics: &Metrics,
    ) {
        self.wanted.clone_from(&plan.channels);
        self.sending.collect();
        self.is_current = false;
        self.is_kept = false;
        self.held_until = None;
        let is_known = self.load().await;
        if !self.leadership.may_act() {
            return;
        }
        if is_known {
            // Written even if the claim lapses now: what was taken in is not lost, and by its version it is nobody else's yet.
            let receivers = Arc::clone(&self.receivers);
            let briefing = Briefing::new(snapshot, plan, receivers.pages(), now);
            let mut decided = self.take_in(work, &briefing, now);
            decided.extend(self.tell_lost_ends(snapshot, now).await);
            let (begun, written) = (self.begin(&briefing, now), Instant::now());
            self.is_current = self.save(decided, now, metrics).await;
            if self.is_current {
                self.sending.begin(begun, &briefing, written);
            }
        }
        if !self.is_current && self.store.is_overdue(self.patience, Instant::now()) {
            self.keep(work, now, metrics);
        }
    }

    /// Whether all that there is to tell with these notices is entered, so that it may be forgotten.
    pub fn has_entered(&self, notices: &[Notice]) -> bool {
        self.is_current || self.is_kept || !notices.iter().any(|notice| self.receivers.concern(notice))
    }

    /// When a message will be due, after a look at `now`.
    pub fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        let due = self.book.as_ref()?.next(now);
        due.into_iter()
            .chain(self.next_reminder)
            .chain(self.held_until)
            .min()
    }

    /// When to look again, after a look at `now`, for the sake of the record.
    pub fn next_attempt(&self, now: Instant) -> Option<Instant> {
        let rested = self.written_at.filter(|_| self.is_resting);
        let rested = rested.map(|at| at + DETECTIONS_REST);
        let attempt = self.store.next_attempt(self.patience, now);
        let asks = self.lost.next_attempt(now);
        rested.into_iter().chain(attempt).chain(asks).min()
    }

    /// Somebody else leads, and goes on from the record.
    pub fn forget(&mut self) {
        self.sending.forget();
        self.book = None;
        self.held_until = None;
        self.store.forget();
        self.lost.forget();
    }

    /// Waits a little for the answers that are under way, and notes them. Called at the end, before the lease is given back.
    pub async fn finish(&mut self, metrics: &Metrics) {
        if !self.sending.stop(STOP_LIMIT).await {
            tracing::warn!("a receiver has not answered yet; what it was sent may be sent again");
        }
        self.is_resting = false;
        if self.leadership.holds_claim() && self.book.is_some() {
            let mut decided = self.take_answers();
            let now = clock::now();
            decided.extend(self.take_late(now));
            // Whoever leads next need not wait for what we broke off.
            if let Some(book) = &mut self.book {
                book.give_back(self.sending.name(), |_, _| true);
            }
            self.save(decided, now, metrics).await;
        }
        let lost = self.late.waiting().len();
        if lost > 0 {
            tracing::warn!(
                lost,
                "messages that could not be stored are lost with this process"
            );
        }
    }

    /// Whether what is stored is known.
    async fn load(&mut self) -> bool {
        if self.book.is_none() {
            self.book = self.store.load().await;
            if let Some(book) = &mut self.book {
                let sending = &self.sending;
                let goes_on = |channel, id: &str| sending.is_open(channel, id);
                book.read_by(sending.name(), clock::now(), goes_on);
            }
        }
        self.book.is_some()
    }

    fn take_answers(&mut self) -> Vec<Decided> {
        let Some(book) = &mut self.book else {
            return Vec::new();
        };
        let name = self.sending.name();
        let mut decided = Vec::new();
        let all = self.sending.noted().iter().flat_map(|one| {
            let Answered { batch, answer, at } = one;
            batch.iter().map(move |waiting| (waiting, answer, at))
        });
        for (waiting, answer, at) in all {
            let (channel, id) = waiting.key();
            let Some(answer) = answer else {
                book.give_back(name, |of, one| (of, one) == (channel, id));
                continue;
            };
            // Whoever took it from us meanwhile will know by themselves, unless there is nothing left to do.
            if *answer != Answer::Taken && book.is_sent_by_another(channel, id, name) {
                continue;
            }
            let Some(fate) = book.answered(channel, id, answer, self.receivers.retries(channel), *at) else {
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

    /// Those that had to go for what was kept aside.
    fn take_late(&mut self, now: Timestamp) -> Vec<Decided> {
        let book = self.book.as_mut();
        let gone = book.map(|book| book.take_over(&self.late, now));
        gone.into_iter().flatten().map(dropped).collect()
    }

    fn take_in(&mut self, work: &[Told<'_>], briefing: &Briefing<'_>, now: Timestamp) -> Vec<Decided> {
        let all = work.iter().flat_map(|(assessment, notices)| {
            let messages = messages(assessment, notices, now);
            messages.into_iter().map(move |message| (*assessment, message))
        });
        let (told, others): (Vec<Meant<'_>>, Vec<Meant<'_>>) =
            all.partition(|(_, message)| !self.receivers.of(message, &self.wanted).is_empty());
        let spoken_of = told.iter().chain(&others);
        let spoken_of = spoken_of.map(|(_, message)| message.id.clone()).collect();
        self.is_resting = self.may_rest(work, &told, briefing, now);
        if self.is_resting {
            return Vec::new();
        }
        let mut decided = self.take_answers();
        decided.extend(self.take_late(now));
        let Some(book) = &mut self.book else {
            return decided;
        };
        let mut gone = Vec::new();
        if self.receivers.detects() {
            gone.extend(book.detect(Channel::Webhook, &assessments(work), true, now));
        }
        for (assessment, message) in told.iter().chain(&others) {
            let channels = self.receivers.of(message, &self.wanted);
            gone.extend(tell_on(
                &self.receivers,
                book,
                (assessment, message),
                &channels,
                now,
            ));
        }
        let reminders = told.iter();
        let reminders =
            reminders.filter_map(|(_, message)| self.receivers.next_reminder(book, message, &self.wanted));
        self.next_reminder = reminders.min();
        decided.extend(gone.into_iter().map(dropped));
        let stale = book.give_up_stale(now).into_iter();
        decided.extend(stale.map(|waiting| {
            let why = "it is older than a day".to_owned();
            (waiting, MessageResult::GivenUp, why)
        }));
        book.prune(&spoken_of, now);
        decided
    }

    /// Whether the record was written a moment ago and only detections are a reason to write it again. What our own rollouts have
    /// changed is noted by that.
    fn may_rest(
        &mut self,
        work: &[Told<'_>],
        told: &[Meant<'_>],
        briefing: &Briefing<'_>,
        now: Timestamp,
    ) -> bool {
        let Some(book) = &mut self.book else {
            return false;
        };
        let is_fresh = self.written_at.is_some_and(|at| at.elapsed() < DETECTIONS_REST);
        let is_detection = |waiting: &Waiting| waiting.message.event == EventType::DeploymentDetected;
        let mut noted = self.sending.noted().iter().flat_map(|one| &one.batch);
        let is_known = |(_, message): &Meant<'_>| {
            let mut channels = self.receivers.of(message, &self.wanted).into_iter();
            channels.all(|channel| book.knows(channel, &message.id))
        };
        if !is_fresh || !self.receivers.detects() || !noted.all(is_detection) || !told.iter().all(is_known) {
            return false;
        }
        let held = held(book, briefing);
        let due = book.due(now, |id| held.contains_key(id));
        if !due.into_iter().flatten().all(is_detection) {
            return false;
        }
        book.detect(Channel::Webhook, &assessments(work), false, now);
        !book.has_changed()
    }

    /// Writes the record where it has changed, and says what was decided. Whether it is written.
    async fn save(&mut self, decided: Vec<Decided>, now: Timestamp, metrics: &Metrics) -> bool {
        let Some(book) = &mut self.book else {
            return false;
        };
        if self.is_resting {
            return true;
        }
        if !book.has_changed() {
            self.store.is_as_read();
        } else if self.store.save(book).await {
            self.written_at = Some(Instant::now());
        } else {
            // What is stored is not known any more, and what was answered has to be noted again.
            self.book = None;
            return false;
        }
        metrics.messages_waiting(book.waiting().len(), book.overdue(now));
        self.sending.written();
        self.late = outbox::Outbox::default();
        for (waiting, result, why) in decided {
            metrics.message(waiting.channel, result);
            tell(&self.receivers.host(waiting.channel), &waiting, result, &why);
        }
        true
    }

    /// Keeps in memory what nobody would speak of again, so that no end has to wait for the record any longer.
    fn keep(&mut self, work: &[Told<'_>], now: Timestamp, metrics: &Metrics) {
        self.is_kept = true;
        for (assessment, notices) in work {
            if !assessment.ends_its_notices() {
                continue;
            }
            for message in messages(assessment, notices, now) {
                let mut unknown = self.receivers.of(&message, &self.wanted);
                unknown.retain(|channel| !self.late.knows(*channel, &message.id));
                if unknown.is_empty() {
                    continue;
                }
                for channel in unknown {
                    metrics.message(channel, MessageResult::Postponed);
                }
                tracing::warn!(
                    workload = %message.workload, event = %message.event, id = message.id, waited = ?self.patience,
                    "message could not be stored, and what it tells of goes ahead; kept in memory alone until it can be"
                );
                let channels = self.receivers.of(&message, &self.wanted);
                let meant = (*assessment, &message);
                for dropped in tell_on(&self.receivers, &mut self.late, meant, &channels, now) {
                    metrics.message(dropped.channel, MessageResult::Dropped);
                    tell(
                        &self.receivers.host(dropped.channel),
                        &dropped,
                        MessageResult::Dropped,
                        TOO_MANY,
                    );
                }
            }
        }
    }

    /// Enters the ends of rollouts that no look shows, for those who heard of their start.
    async fn tell_lost_ends(&mut self, snapshot: &Snapshot, now: Timestamp) -> Vec<Decided> {
        let Some(book) = self.book.as_mut().filter(|_| !self.is_resting) else {
            return Vec::new();
        };
        let workloads = snapshot.workloads.iter().map(AsRef::as_ref);
        let lost = book.lost(workloads, now);
        let mut gone = Vec::new();
        for (rollout, end) in self.lost.ends(lost, now).await {
            let mut channels = self.receivers.of(&end, &self.wanted);
            channels.retain(|channel| rollout.channels.contains(channel));
            gone.extend(self.receivers.enter(book, &end, &channels, now));
            book.ended(&rollout);
        }
        gone.into_iter().map(dropped).collect()
    }

    /// Notes in the record what is sent once it is written.
    fn begin(&mut self, briefing: &Briefing<'_>, now: Timestamp) -> Vec<Vec<Waiting>> {
        let Some(book) = &mut self.book else {
            return Vec::new();
        };
        let held = held(book, briefing);
        self.held_until = held.values().map(|wait| wait.until).min();
        if self.is_resting || !self.leadership.may_act() {
            return Vec::new();
        }
        let lasts = |channel| {
            let lasts = self.receivers.limit(channel) + BEGINS_WITHIN;
            SignedDuration::try_from(lasts).unwrap_or(SignedDuration::MAX)
        };
        let is_held = |id: &str| held.contains_key(id);
        book.begin(self.sending.name(), lasts, self.sending.room(), now, is_held)
    }
}

/// Enters what is said of a workload for these, and notes of which rollout it tells the start or the end. Returns those that had to
/// go for it.
fn tell_on(
    receivers: &Receivers,
    book: &mut outbox::Outbox,
    (assessment, message): (&Assessment, &Message),
    channels: &[Channel],
    now: Timestamp,
) -> Vec<Waiting> {
    let anew = channels.iter().copied();
    let anew = anew
        .filter(|channel| !book.knows(*channel, &message.id))
        .collect();
    let gone = receivers.enter(book, message, channels, now);
    if let Some(marker) = assessment.action.under_way() {
        book.told(&assessment.workload, marker, message.event, anew);
    }
    gone
}

/// What people are not told yet, by the id of the message.
fn held(book: &outbox::Outbox, briefing: &Briefing<'_>) -> BTreeMap<String, Wait> {
    let waiting = book.waiting().iter();
    let waiting = waiting.filter(|waiting| waiting.channel.is_for_people());
    let held = waiting.filter_map(|waiting| {
        let wait = briefing.wait(&waiting.message)?;
        tracing::debug!(workload = %waiting.message.workload, channel = %waiting.channel, until = %wait.until, why = wait.why, "message held");
        Some((waiting.message.id.clone(), wait))
    });
    held.collect()
}

fn assessments<'a>(work: &[Told<'a>]) -> Vec<&'a Assessment> {
    work.iter().map(|(assessment, _)| *assessment).collect()
}

#[cfg(test)]
mod tests;
