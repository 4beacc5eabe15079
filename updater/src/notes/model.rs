//! The texts that wait for the model, and the one question that is under way: notes are fetched meanwhile, however slow it is.
//!
//! What a question may cost is written down before it is asked, and corrected by what it has cost: whoever leads next knows of it,
//! whatever becomes of this process.
//!
//! A server that fails is left alone for a while, and the texts wait meanwhile: nobody but messages waits for them, and those not for long.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use shared::domain::release_notes::book::NotesRecord;
use shared::domain::release_notes::digest::{MadeBy, Summary};
use shared::domain::release_notes::summary::completed;
use shared::domain::release_notes::summary::inquiry::Inquiry;
use shared::domain::release_notes::summary::prompt::Question;
use shared::io::clock;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::store::NotesStore;
use crate::leader::Leadership;
use crate::retry::Retries;
use crate::summarise::{NoAnswer, Reply, Summariser};

/// How many texts are in memory at once. Those beyond are fetched again once there is room; one is hardly longer than 72 KiB.
const MOST_TEXTS: usize = 32;
/// The pause after a failure doubles with each in a row, up to this: what a failed question has cost is not always known.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// How many questions about one text may fail until it is given up, so that none is paid for again and again.
const MOST_FAILURES: u32 = 6;

/// Releases that are to be summarised for a record.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) shard: usize,
    pub(super) key: String,
    /// As the record names it.
    pub(super) content: String,
    /// What rules make of it.
    pub(super) digest: Summary,
    pub(super) inquiry: Inquiry,
    /// How many of its questions the server has failed to answer.
    pub(super) failures: u32,
}

impl Text {
    /// Whether the record is still of this text, and waits for its summary.
    fn is_of(&self, record: &NotesRecord) -> bool {
        record.awaits_model && record.content.as_ref() == Some(&self.content)
    }
}

/// What comes next for a text.
enum Next {
    Ask(Question),
    Done(Outcome),
}

/// What came of a text.
enum Outcome {
    Summary(Box<Summary>),
    /// No answer is of use, nor would be another one.
    Useless,
    /// It is not summarised now, in words.
    Not(String),
    /// Nobody waits for it any more.
    Gone,
}

impl Outcome {
    fn of(summary: Summary) -> Self {
        Self::Summary(Box::new(summary))
    }
}

/// What was set aside for the question that is under way.
#[derive(Debug)]
struct Reserved {
    day: Date,
    tokens: u64,
}

#[derive(Debug)]
pub(super) struct Model {
    summariser: Summariser,
    /// The question that is under way is about the first.
    waiting: VecDeque<Text>,
    /// One at most.
    asked: JoinSet<Reply>,
    reply: Option<Reply>,
    reserved: Option<Reserved>,
    /// What it did not answer.
    tries: Retries<()>,
}

impl Model {
    pub(super) fn new(summariser: Summariser) -> Self {
        let tries = Retries::after(summariser.pause).up_to(LONGEST_PAUSE);
        Self {
            summariser,
            waiting: VecDeque::new(),
            asked: JoinSet::new(),
            reply: None,
            reserved: None,
            tries,
        }
    }

    /// Somebody else leads, and asks.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.summariser.clone());
    }

    /// Names who summarises.
    pub(super) fn reader(&self) -> &str {
        &self.summariser.reader
    }

    /// How many more texts may be brought.
    pub(super) fn room(&self) -> usize {
        MOST_TEXTS.saturating_sub(self.waiting.len())
    }

    /// Whether the text of this record waits here.
    pub(super) fn holds(&self, key: &str) -> bool {
        self.waiting.iter().any(|text| text.key == key)
    }

    /// Has a text wait, where there is room.
    pub(super) fn push(&mut self, text: Text) {
        let is_same = |other: &Text| other.key == text.key && other.content == text.content;
        if self.room() > 0 && !self.waiting.iter().any(is_same) {
            self.waiting.push_back(text);
        }
    }

    /// When a server that has failed may be asked again, where that was not yet so at `now` and a text waits for it.
    pub(super) fn next_attempt(&self, now: Instant) -> Option<Instant> {
        self.tries.next(now).filter(|_| !self.waiting.is_empty())
    }

    /// Waits for the answer to the question that is under way; for ever where none is.
    pub(super) async fn answered(&mut self) {
        match self.asked.join_next().await {
            Some(reply) => self.reply = Some(reply.unwrap_or_else(|_| Reply::lost())),
            None => std::future::pending().await,
        }
    }

    /// Takes in what was answered, and asks the next question unless one is under way. Never waits for an answer.
    pub(super) async fn go_on(
        &mut self,
        store: &mut NotesStore,
        leadership: &Leadership,
        wanted: &BTreeSet<String>,
    ) {
        if let Some(reply) = self.asked.try_join_next() {
            self.reply = Some(reply.unwrap_or_else(|_| Reply::lost()));
        }
        if let Some(reply) = self.reply.take_if(|_| leadership.may_act()) {
            self.take_in(reply, store);
        }
        while self.asked.is_empty() && self.reply.is_none() && leadership.may_act() {
            match self.next(store) {
                None => break,
                Some(Next::Ask(question)) => {
                    if !self.ask(question, store, leadership, wanted).await {
                        break;
                    }
                }
                Some(Next::Done(outcome)) => {
                    if let Some(text) = self.waiting.pop_front() {
                        let shard = text.shard;
                        finish(text, outcome, self.reader(), store);
                        store.save(0, wanted).await;
                        store.save(shard, wanted).await;
                    }
                }
            }
        }
    }

    fn take_in(&mut self, reply: Reply, store: &mut NotesStore) {
        // Where nobody knows what it has cost, what was set aside is gone.
        if let (Some(Reserved { day, tokens }), Some(spent)) = (self.reserved.take(), reply.tokens) {
            store.state_mut().correct(tokens, spent, day);
        }
        let Some(text) = self.waiting.front_mut() else {
            return;
        };
        match reply.answer {
            Ok(answer) => {
                self.tries.succeeded(&());
                text.inquiry.answered(answer);
            }
            Err(why) => {
                tracing::warn!(%why, "a question about release notes has no answer");
                match why {
                    NoAnswer::Useless(_) => {
                        self.tries.succeeded(&());
                        text.inquiry.useless();
                    }
                    NoAnswer::Failed(_) => {
                        self.tries.failed(&(), Instant::now());
                        text.failures += 1;
                        // It may have failed for what this text says, and then the others need not wait for it.
                        self.waiting.rotate_left(1);
                    }
                }
            }
        }
    }

    /// What comes next for the first that waits; nothing while the server is left alone. Nothing is asked that was answered before, or that
    /// cannot be paid for to its end.
    fn next(&mut self, store: &NotesStore) -> Option<Next> {
        let text = self.waiting.front_mut()?;
        let summariser = &self.summariser;
        let record = store.record(text.shard, &text.key);
        if !record.is_some_and(|record| text.is_of(record)) {
            return Some(Next::Done(Outcome::Gone));
        }
        if let Some(before) = store.read_before(&text.content, &summariser.reader) {
            return Some(Next::Done(as_before(before)));
        }
        let Some(question) = text.inquiry.question(&summariser.language) else {
            let summary = text.inquiry.summary();
            return Some(Next::Done(summary.map_or(Outcome::Useless, Outcome::of)));
        };
        let left = store.state().tokens_left(summariser.tokens_per_day, today());
        let problem = if text.failures >= MOST_FAILURES {
            "the model has failed too often to answer about it"
        } else if !self.tries.is_due(&(), Instant::now()) {
            return None;
        } else if text.inquiry.most_tokens(&summariser.language) > left {
            "what is left of the tokens for today does not suffice (SUMMARY_TOKENS_PER_DAY)"
        } else {
            return Some(Next::Ask(question));
        };
        text.inquiry.stop();
        let summary = text.inquiry.summary();
        Some(Next::Done(
            summary.map_or_else(|| Outcome::Not(problem.to_owned()), Outcome::of),
        ))
    }

    /// Asks, once what it may cost is written down. Answers whether it is under way.
    async fn ask(
        &mut self,
        question: Question,
        store: &mut NotesStore,
        leadership: &Leadership,
        wanted: &BTreeSet<String>,
    ) -> bool {
        let (day, tokens) = (today(), question.most_tokens());
        store.state_mut().spend(tokens, day);
        store.save(0, wanted).await;
        if !store.is_written(0) {
            // It is tried again with the record.
            store.state_mut().correct(tokens, 0, day);
            return false;
        }
        if !leadership.may_act() {
            return false;
        }
        self.reserved = Some(Reserved { day, tokens });
        let summariser = self.summariser.clone();
        self.asked.spawn(async move { summariser.ask(&question).await });
        true
    }
}

/// What came of the same text for another record.
fn as_before(record: &NotesRecord) -> Outcome {
    let summary = record.summary.as_ref();
    let by_model = summary.filter(|summary| summary.made_by == MadeBy::Model);
    by_model.cloned().map_or(Outcome::Useless, Outcome::of)
}

/// Notes what came of a text in its record.
fn finish(text: Text, outcome: Outcome, reader: &str, store: &mut NotesStore) {
    let Text {
        shard,
        key,
        content: _,
        digest,
        inquiry: _,
        failures: _,
    } = text;
    let Some(record) = store.record(shard, &key) else {
        return;
    };
    let mut record = NotesRecord::clone(record);
    match outcome {
        Outcome::Gone => return,
        Outcome::Summary(summary) => record.summarised(completed(*summary, &digest), reader),
        Outcome::Useless => {
            tracing::warn!(image = %record.image, to = %record.to, "the model says nothing of use; summarised by rules");
            record.summarised(digest, reader);
        }
        Outcome::Not(why) => {
            tracing::warn!(image = %record.image, to = %record.to, why, "not summarised by the model");
            record.not_summarised();
        }
    }
    store.put(shard, &key, record);
}

/// In UTC.
fn today() -> Date {
    clock::now().to_zoned(TimeZone::UTC).date()
}
