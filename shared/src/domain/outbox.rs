//! What is still to be sent to other programs, what was, and when what is tried again.
//!
//! It is stored (`record::outbox`), so that whoever leads next goes on from it: a message is entered once, by its identity,
//! before the patch that ends what it speaks of; it is tried until somebody took it or it is given up; and it is remembered for
//! as long as anybody could enter it again. Nothing here waits for a receiver.

mod answer;
mod detection;
mod partly_read;
mod rollouts;
mod room;
mod sending;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::answer::Answer;
pub use self::partly_read::PartlyRead;
pub use self::rollouts::Rollout;
pub use self::sending::{Fate, UnderWay};
pub use super::channel::Channel;
use super::message::{Message, ToPeople};
use super::time::whole_seconds;

/// What is older than this is no news: it was left by an updater that stopped, or waits for a receiver that is gone.
const STALE: SignedDuration = SignedDuration::from_hours(24);
/// For how long what was settled is remembered after nothing speaks of it any more: as long as an Event lives by default, so that
/// a leader with an old view, or a marker that `kubectl rollout undo` brought back, tells nobody twice.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(1);
/// How many of those are remembered; the oldest go.
const MOST_REMEMBERED: usize = 500;

/// A message that nobody took yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    pub channel: Channel,
    pub message: Message,
    /// How often it was tried.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// Before this it is not tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Who tries to send it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_way: Option<UnderWay>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Everything that is stored of messages. A later version's may say more, of which nothing is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outbox {
    /// In the order in which they were entered.
    #[serde(default)]
    waiting: Vec<Waiting>,
    /// When each message was sent or given up, by its id.
    #[serde(default)]
    settled: BTreeMap<Channel, BTreeMap<String, Timestamp>>,
    /// Of which the start was told and the end was not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rollouts: Vec<Rollout>,
    /// Until when a channel named that it wants to be left alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    paused: BTreeMap<Channel, Timestamp>,
    /// What workloads looked like when they were detected: a hash of their images by one of their uid.
    #[serde(default)]
    detected: BTreeMap<String, String>,
    /// Whether anything has to be written.
    #[serde(skip)]
    changed: bool,
    /// How many messages were stored and could not be read.
    #[serde(skip)]
    unread: usize,
}

impl Outbox {
    /// Whether it is not what was read or written last.
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// It was written.
    pub fn stored(&mut self) {
        self.changed = false;
    }

    /// How many messages were stored that this version cannot read; they are lost when it writes.
    pub fn unread(&self) -> usize {
        self.unread
    }

    /// What waits, in the order in which it was entered.
    pub fn waiting(&self) -> &[Waiting] {
        &self.waiting
    }

    /// How many of those wait for a receiver that does not take them. What waits for the end of quiet hours does not.
    pub fn overdue(&self, now: Timestamp) -> usize {
        let is_due = |waiting: &Waiting| waiting.not_before.is_none_or(|not_before| not_before <= now);
        let overdue = self.waiting.iter();
        overdue
            .filter(|waiting| waiting.attempts > 0 || is_due(waiting))
            .count()
    }

    /// Whether a message was entered, whatever became of it.
    pub fn knows(&self, channel: Channel, id: &str) -> bool {
        let settled = self.settled.get(&channel);
        settled.is_some_and(|settled| settled.contains_key(id))
            || self
                .waiting
                .iter()
                .any(|waiting| waiting.channel == channel && waiting.message.id == id)
    }

    /// Enters a message at `now`, unless it is known. Returns those that had to go for it.
    pub fn enter(&mut self, channel: Channel, message: Message, now: Timestamp) -> Vec<Waiting> {
        self.push(channel, message, None, now)
    }

    /// Enters what people are told, to be sent from `not_before` on.
    pub fn announce(
        &mut self,
        channel: Channel,
        message: Message,
        not_before: Timestamp,
        now: Timestamp,
    ) -> Vec<Waiting> {
        if self.knows(channel, &message.id) {
            return Vec::new();
        }
        let workload = message.workload.clone();
        let gone = self.push(channel, message, Some(not_before), now);
        // What it follows upon does not keep it waiting.
        let before = self
            .waiting
            .iter_mut()
            .filter(|one| one.channel == channel && one.message.workload == workload && one.attempts == 0);
        for waiting in before {
            waiting.not_before = waiting.not_before.min(Some(not_before));
        }
        gone
    }

    /// When people are to be reminded of a message that was told before; `None`: it was not, or waits.
    pub fn reminder(&self, channel: Channel, id: &str, every: SignedDuration) -> Option<Timestamp> {
        let told = self.settled.get(&channel)?.get(id)?;
        told.checked_add(every).ok()
    }

    /// Enters again what was told before, or leaves that to a later look where there is no room.
    pub fn remind(
        &mut self,
        channel: Channel,
        message: Message,
        not_before: Timestamp,
        now: Timestamp,
    ) -> Vec<Waiting> {
        if let Some(settled) = self.settled.get_mut(&channel)
            && let Some(told) = settled.remove(&message.id)
            && !self.has_room_for(&message)
        {
            self.settled.entry(channel).or_default().insert(message.id, told);
            return Vec::new();
        }
        let to_people = message.to_people.map(|told| ToPeople {
            is_reminder: true,
            ..told
        });
        let reminder = Message {
            to_people,
            at: now,
            ..message
        };
        self.announce(channel, reminder, not_before, now)
    }

    fn push(
        &mut self,
        channel: Channel,
        message: Message,
        not_before: Option<Timestamp>,
        now: Timestamp,
    ) -> Vec<Waiting> {
        if self.knows(channel, &message.id) || !self.has_room_for(&message) {
            return Vec::new();
        }
        self.changed = true;
        self.waiting.push(Waiting {
            channel,
            message,
            attempts: 0,
            not_before,
            under_way: None,
        });
        self.make_room(now)
    }

    /// Enters what waits in another one, which keeps it.
    pub fn take_over(&mut self, other: &Self, now: Timestamp) -> Vec<Waiting> {
        self.take_over_rollouts(other);
        let waiting = other.waiting.iter().cloned();
        let entered = waiting.map(|one| self.push(one.channel, one.message, one.not_before, now));
        entered.flatten().collect()
    }

    /// Nobody enters these again.
    fn settle(&mut self, gone: &[Waiting], now: Timestamp) {
        for Waiting { channel, message, .. } in gone {
            let settled = self.settled.entry(*channel).or_default();
            settled.insert(message.id.clone(), whole_seconds(now));
        }
    }

    /// Gives up what is too old to be told.
    pub fn give_up_stale(&mut self, now: Timestamp) -> Vec<Waiting> {
        let is_stale = |waiting: &Waiting| {
            let wanted = waiting
                .not_before
                .map_or(waiting.message.at, |time| time.max(waiting.message.at));
            now.duration_since(wanted) > STALE
        };
        let stale: Vec<Waiting> = self.waiting.extract_if(.., |waiting| is_stale(waiting)).collect();
        self.changed |= !stale.is_empty();
        self.settle(&stale, now);
        stale
    }

    /// Forgets what was settled a while before `now` and nothing speaks of any more, `spoken_of` being the ids of all that could
    /// be entered. That alone is no reason to write.
    pub fn prune(&mut self, spoken_of: &BTreeSet<String>, now: Timestamp) {
        for settled in self.settled.values_mut() {
            let unspoken = settled.iter().filter(|(id, _)| !spoken_of.contains(*id));
            let mut unspoken: Vec<(Timestamp, String)> =
                unspoken.map(|(id, time)| (*time, id.clone())).collect();
            unspoken.sort_unstable_by(|one, other| other.cmp(one));
            let is_remembered = |(index, (time, _)): (usize, &(Timestamp, String))| {
                index < MOST_REMEMBERED && now.duration_since(*time) <= REMEMBERED
            };
            let first_forgotten = unspoken.iter().enumerate().position(|one| !is_remembered(one));
            for (_, id) in unspoken.drain(first_forgotten.unwrap_or(unspoken.len())..) {
                settled.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
