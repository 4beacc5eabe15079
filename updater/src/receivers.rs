//! Who is told what: the webhook of other programs, and the channels of people.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::domain::announcement::Announcement;
use shared::domain::announcement::quiet::QuietHours;
use shared::domain::message::{EventType, Message};
use shared::domain::notice::Notice;
use shared::domain::outbox::{Answer, Channel, Outbox, Waiting};
use shared::domain::pages::Pages;
use shared::domain::plan::Channels;

use crate::channels::{ChannelSetupError, Sender, senders};
use crate::cli::Settings;
use crate::webhook::Webhook;

/// How often people are told again what a service did not take: for more than an hour, as nobody else tells them.
const RETRIES: u32 = 8;

/// Everybody who is told.
#[derive(Debug)]
pub struct Receivers {
    webhook: Option<Webhook>,
    /// What it is told.
    events: BTreeSet<EventType>,
    retries: u32,
    /// Whether its template speaks of what only people are told.
    is_templated: bool,
    people: BTreeMap<Channel, Sender>,
    /// How long what people are told waits for more like it.
    gathering: SignedDuration,
    quiet: Option<QuietHours>,
    remind_every: Option<SignedDuration>,
    /// Where people read more and decide.
    pages: Pages,
}

impl Receivers {
    /// Those of the settings. A webhook that is told nothing is none.
    pub fn new(settings: &Settings) -> Result<Self, ChannelSetupError> {
        let webhook = settings.webhook.as_ref();
        if let Some(webhook) = webhook.filter(|webhook| webhook.events.is_empty()) {
            tracing::warn!(
                receiver = webhook.host(),
                "WEBHOOK_URL is set and no WEBHOOK_ENABLE_… is true: nothing is sent"
            );
        }
        let webhook = webhook.filter(|webhook| !webhook.events.is_empty());
        let set_up = webhook.map(Webhook::new).transpose();
        let set_up = set_up.map_err(|source| ChannelSetupError::Http {
            channel: Channel::Webhook,
            source,
        })?;
        let gathering = SignedDuration::try_from(settings.channels.gathering).unwrap_or_default();
        Ok(Self {
            webhook: set_up,
            events: webhook.map(|webhook| webhook.events.clone()).unwrap_or_default(),
            retries: webhook.map_or(RETRIES, |webhook| webhook.retries),
            is_templated: webhook.is_some_and(|webhook| webhook.template.is_some()),
            people: senders(&settings.channels.destinations)?,
            gathering,
            quiet: settings.channels.quiet.clone(),
            remind_every: settings.channels.remind_every,
            pages: settings.page.pages(),
        })
    }

    /// Where people read more and decide.
    pub(crate) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// All of them, with the receiver as it may be shown.
    pub fn channels(&self) -> BTreeMap<Channel, String> {
        let webhook = self
            .webhook
            .iter()
            .map(|webhook| (Channel::Webhook, webhook.host()));
        let people = self
            .people
            .iter()
            .map(|(channel, sender)| (*channel, sender.receiver()));
        webhook.chain(people).collect()
    }

    /// One of them as it may be shown.
    pub(crate) fn host(&self, channel: Channel) -> String {
        let webhook = self.webhook.as_ref().filter(|_| channel == Channel::Webhook);
        let people = self.people.get(&channel).map(Sender::receiver);
        people.or_else(|| webhook.map(Webhook::host)).unwrap_or_default()
    }

    /// Whether the webhook is told of workloads that are new.
    pub(crate) fn detects(&self) -> bool {
        self.events.contains(&EventType::DeploymentDetected)
    }

    /// Who is told of it, people on the channels that their workload names.
    pub(crate) fn of(&self, message: &Message, wanted: &Channels) -> Vec<Channel> {
        let webhook = self.events.contains(&message.event).then_some(Channel::Webhook);
        let wanted = wanted.get(&message.workload);
        let is_wanted = |channel: &&Channel| wanted.is_none_or(|wanted| wanted.contains(*channel));
        let people = self.people.keys().filter(|_| message.to_people.is_some());
        let people = people.filter(is_wanted);
        webhook.into_iter().chain(people.copied()).collect()
    }

    /// Whether anybody is told of it, or has to be looked at for it.
    pub(crate) fn concern(&self, notice: &Notice) -> bool {
        let event = EventType::of(notice.reason);
        !self.people.is_empty()
            || self.events.contains(&event)
            || (self.detects() && event != EventType::Notice)
    }

    /// Enters a message for these. Returns those that had to go for it.
    pub(crate) fn enter(
        &self,
        book: &mut Outbox,
        message: &Message,
        channels: &[Channel],
        now: Timestamp,
    ) -> Vec<Waiting> {
        let mut gone = Vec::new();
        for channel in channels.iter().copied() {
            let mut message = message.clone();
            if !channel.is_for_people() && !self.is_templated {
                message = message.to_programs();
            }
            let reminder = self.reminder(book, channel, &message);
            let not_before = self.not_before(channel, &message, now);
            gone.extend(if reminder.is_some_and(|due| due <= now) {
                book.remind(channel, message, not_before, now)
            } else if channel.is_for_people() {
                book.announce(channel, message, not_before, now)
            } else {
                book.enter(channel, message, now)
            });
        }
        gone
    }

    /// When it is told at the earliest. Programs sleep at no hour, and are told each thing by itself.
    fn not_before(&self, channel: Channel, message: &Message, now: Timestamp) -> Timestamp {
        if !channel.is_for_people() {
            return now;
        }
        let gathered = now.checked_add(self.gathering).unwrap_or(now);
        match (&self.quiet, &message.to_people) {
            (Some(quiet), Some(told)) => quiet.first_loud(told.reason, gathered),
            _ => gathered,
        }
    }

    fn reminder(&self, book: &Outbox, channel: Channel, message: &Message) -> Option<Timestamp> {
        let told = message.to_people.as_ref().filter(|told| told.awaits_approval);
        let every = told.and(self.remind_every)?;
        book.reminder(channel, &message.id, every)
    }

    /// When somebody is to be reminded of it next.
    pub(crate) fn next_reminder(
        &self,
        book: &Outbox,
        message: &Message,
        wanted: &Channels,
    ) -> Option<Timestamp> {
        let channels = self.of(message, wanted).into_iter();
        channels
            .filter_map(|channel| self.reminder(book, channel, message))
            .min()
    }

    /// How often what this channel did not take is sent again.
    pub(crate) fn retries(&self, channel: Channel) -> u32 {
        if channel.is_for_people() {
            RETRIES
        } else {
            self.retries
        }
    }

    /// How long an attempt on this channel takes at most.
    pub(crate) fn limit(&self, channel: Channel) -> Duration {
        let webhook = self.webhook.as_ref().filter(|_| channel == Channel::Webhook);
        let people = self.people.get(&channel).map(Sender::limit);
        people.or_else(|| webhook.map(Webhook::limit)).unwrap_or_default()
    }

    /// Tries once to send what is told at once, with what there is to say of all of it.
    pub(crate) async fn send(&self, batch: &[Waiting], announcement: Option<Announcement>) -> Answer {
        let Some(first) = batch.first() else {
            return Answer::Taken;
        };
        if let (Channel::Webhook, Some(webhook)) = (first.channel, &self.webhook) {
            return webhook.send(&first.message, announcement).await;
        }
        match (self.people.get(&first.channel), announcement) {
            (Some(sender), Some(announcement)) => sender.send(&announcement, &first.message.id).await,
            _ => Answer::Refused(format!("channel {} is not configured any more", first.channel)),
        }
    }
}
