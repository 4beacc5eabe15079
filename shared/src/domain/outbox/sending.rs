//! What is sent next and who sends it, and what comes of that.
//!
//! Before a message is sent the record says that it is under way. Of two updaters that both believe to lead only one can write
//! that, as each writes the version that it has read; the other one leaves the message alone until the attempt must be over.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Answer, Channel, Outbox, Waiting};
use crate::domain::message::EventType;
use crate::domain::workload::WorkloadId;

/// After a first failure, and the least after any: a receiver that names none at all would be asked without a pause. Each further
/// one waits six times as long, so that three repetitions outlast a receiver's restart.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(5);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(15);
/// The longest wait that a receiver may name.
const LONGEST_NAMED: SignedDuration = SignedDuration::from_hours(1);
/// How many messages become one at most.
const MOST_IN_ONE: usize = 100;

/// That somebody sends a message, or is about to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnderWay {
    /// Which updater; each start of a process is another one.
    by: String,
    /// How long that can go on from the moment at which it was written down. No time of day: whoever reads it counts from then, so
    /// that clocks need not agree.
    seconds: u32,
    /// When it must be over, by the clock of whoever has it in memory.
    #[serde(skip)]
    until: Option<Timestamp>,
}

impl UnderWay {
    fn new(by: &str, lasts: SignedDuration, now: Timestamp) -> Self {
        // Up, so that it is never too short.
        let seconds = u32::try_from(lasts.as_secs().saturating_add(1)).unwrap_or(u32::MAX);
        Self {
            by: by.to_owned(),
            seconds,
            until: None,
        }
        .read_at(now)
    }

    fn read_at(self, now: Timestamp) -> Self {
        let until = now.checked_add(SignedDuration::from_secs(self.seconds.into()));
        Self {
            until: until.ok(),
            ..self
        }
    }
}

/// What became of a message by an answer, or for want of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Sent,
    /// It is tried again then.
    Waits(Timestamp),
    GivenUp,
}

impl Outbox {
    /// What may be tried at `now`, each by itself: of each workload the message that was entered first, and none where one is under
    /// way. People are told one thing after the other, and with it what is like it and waits for no second attempt. Detections come
    /// last, of which there can be many. A message to people that `is_held`, by its id, goes only with another that is like it, or
    /// where the next of its workload waits behind it.
    pub fn due(&self, now: Timestamp, is_held: impl Fn(&str) -> bool) -> Vec<Vec<&Waiting>> {
        let mut due: Vec<&Waiting> = self
            .first_of_each()
            .filter(|waiting| {
                let may_wait = waiting.channel.is_for_people() && is_held(&waiting.message.id);
                !may_wait || self.is_followed(waiting)
            })
            .filter(|waiting| self.time_of(waiting).is_none_or(|time| time <= now))
            .filter(|waiting| !waiting.is_under_way(now))
            .collect();
        due.sort_by_key(|waiting| waiting.message.event == EventType::DeploymentDetected);
        let under_way = self.waiting.iter().filter(|waiting| waiting.is_under_way(now));
        let mut taken: BTreeSet<Channel> = under_way.map(|waiting| waiting.channel).collect();
        let mut batches = Vec::new();
        for waiting in due {
            if !waiting.channel.is_for_people() {
                batches.push(vec![waiting]);
            } else if taken.insert(waiting.channel) {
                batches.push(self.like(waiting, now));
            }
        }
        batches
    }

    /// Notes that `by` sends what is [due](Self::due) from now on, `most` at most, each of which takes no longer than its channel
    /// `lasts`. Once that is written, and not before, it may be sent. Returns what is told at once.
    pub fn begin(
        &mut self,
        by: &str,
        lasts: impl Fn(Channel) -> SignedDuration,
        most: usize,
        now: Timestamp,
        is_held: impl Fn(&str) -> bool,
    ) -> Vec<Vec<Waiting>> {
        let due = self.due(now, is_held).into_iter().take(most);
        let begun: Vec<Vec<Waiting>> = due.map(|batch| batch.into_iter().cloned().collect()).collect();
        let all: BTreeSet<(Channel, &str)> = begun.iter().flatten().map(Waiting::key).collect();
        for waiting in &mut self.waiting {
            if all.contains(&waiting.key()) {
                waiting.under_way = Some(UnderWay::new(by, lasts(waiting.channel), now));
                self.changed = true;
            }
        }
        begun
    }

    /// Takes in that what was under way when this was written may still be so, for as long as that can go on from `now` on. Of what
    /// `by` had begun only that is which `goes_on`: whoever asks knows.
    pub fn read_by(&mut self, by: &str, now: Timestamp, goes_on: impl Fn(Channel, &str) -> bool) {
        for waiting in &mut self.waiting {
            let (channel, id) = (waiting.channel, waiting.message.id.as_str());
            let under_way = waiting.under_way.take();
            let under_way = under_way.filter(|under_way| under_way.by != by || goes_on(channel, id));
            waiting.under_way = under_way.map(|under_way| under_way.read_at(now));
        }
    }

    /// Whether somebody else than `by` has begun to send a message.
    pub fn is_sent_by_another(&self, channel: Channel, id: &str, by: &str) -> bool {
        let waiting = self.waiting.iter().find(|waiting| waiting.key() == (channel, id));
        let under_way = waiting.and_then(|waiting| waiting.under_way.as_ref());
        under_way.is_some_and(|under_way| under_way.by != by)
    }

    /// Notes that nothing is under way any more of what `by` has begun and `is_over`.
    pub fn give_back(&mut self, by: &str, is_over: impl Fn(Channel, &str) -> bool) {
        for waiting in &mut self.waiting {
            let is_ours = waiting.under_way.as_ref().is_some_and(|one| one.by == by);
            if is_ours && is_over(waiting.channel, &waiting.message.id) {
                waiting.under_way = None;
                self.changed = true;
            }
        }
    }

    /// Whether another message of its workload waits behind it.
    fn is_followed(&self, waiting: &Waiting) -> bool {
        let queue = (waiting.channel, &waiting.message.workload);
        let all = self.waiting.iter();
        all.filter(|one| one.queue() == queue).count() > 1
    }

    fn like(&self, first: &Waiting, now: Timestamp) -> Vec<&Waiting> {
        let is_ready =
            |one: &Waiting| one.attempts == 0 || one.not_before.is_none_or(|not_before| not_before <= now);
        let alike = self.first_of_each().filter(|one| {
            one.channel == first.channel && one.message.is_like(&first.message) && is_ready(one)
        });
        alike.take(MOST_IN_ONE).collect()
    }

    /// Before this it is not sent.
    fn time_of(&self, waiting: &Waiting) -> Option<Timestamp> {
        let paused = self.paused.get(&waiting.channel).copied();
        waiting.not_before.max(paused)
    }

    /// When something will be due that is not at `now`.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let times = self.first_of_each().filter_map(|waiting| {
            let over = waiting.under_way.as_ref().and_then(|under_way| under_way.until);
            self.time_of(waiting).max(over)
        });
        times.filter(|time| *time > now).min()
    }

    fn first_of_each(&self) -> impl Iterator<Item = &Waiting> {
        let mut seen = BTreeSet::new();
        self.waiting
            .iter()
            .filter(move |waiting| seen.insert(waiting.queue()))
    }

    /// Takes in an answer that came at `now`; a message is tried again `retries` times. `None` where it does not wait any more.
    pub fn answered(
        &mut self,
        channel: Channel,
        id: &str,
        answer: &Answer,
        retries: u32,
        now: Timestamp,
    ) -> Option<Fate> {
        let index = self
            .waiting
            .iter()
            .position(|waiting| waiting.key() == (channel, id))?;
        let waiting = self.waiting.get_mut(index)?;
        self.changed = true;
        waiting.under_way = None;
        waiting.attempts = waiting.attempts.saturating_add(1);
        let fate = match answer {
            Answer::Taken => Fate::Sent,
            Answer::Refused(_) => Fate::GivenUp,
            Answer::TryAgain { .. } if waiting.attempts > retries => Fate::GivenUp,
            Answer::TryAgain { why: _, after } => {
                let pause = after.unwrap_or_else(|| pause(waiting.attempts));
                let due = now.checked_add(pause.clamp(FIRST_PAUSE, LONGEST_NAMED));
                let due = due.unwrap_or(now);
                waiting.not_before = Some(due);
                if channel.is_for_people() && after.is_some() {
                    self.paused.insert(channel, due);
                }
                Fate::Waits(due)
            }
        };
        self.paused.retain(|_, until| *until > now);
        match fate {
            Fate::Waits(_) => {}
            Fate::Sent | Fate::GivenUp => {
                let settled = self.waiting.remove(index);
                self.settle(&[settled], now);
            }
        }
        Some(fate)
    }
}

impl Waiting {
    /// Which message for whom.
    pub fn key(&self) -> (Channel, &str) {
        (self.channel, &self.message.id)
    }

    /// What must not overtake each other.
    fn queue(&self) -> (Channel, &WorkloadId) {
        (self.channel, &self.message.workload)
    }

    /// Whether somebody may be sending it at `now`.
    fn is_under_way(&self, now: Timestamp) -> bool {
        let under_way = self.under_way.as_ref();
        under_way.is_some_and(|under_way| under_way.until.is_none_or(|until| now < until))
    }
}

/// The pause after so many attempts.
fn pause(attempts: u32) -> SignedDuration {
    let factor = 6_i32.saturating_pow(attempts.saturating_sub(1));
    FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
}
