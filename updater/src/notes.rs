//! Fetches the release notes of what is offered, once an update, and keeps them in records that outlive this process.
//!
//! The leader's loop says what is wanted and never waits: what is learnt comes back to it, and to those who stand by, by the
//! watch of the records. A server that asks to be left alone is, by whoever leads; one that does not answer is for a while, and
//! holds up no other, nor does a model that is slow.

mod model;
mod store;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use shared::domain::cool_down::CoolDown;
use shared::domain::record::release_notes::shard_of;
use shared::domain::release_notes::book::{Answer, NotesRecord, Wanted};
use shared::domain::release_notes::digest::{Summary, digest};
use shared::domain::release_notes::source::NotesSource;
use shared::domain::release_notes::summary::inquiry::Inquiry;
use shared::io::clock;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use self::model::{Model, Text};
use self::store::NotesStore;
use crate::cli::Settings;
use crate::forge::{Asked, ForgeClient, Limit};
use crate::leader::Leadership;
use crate::metrics::{Metrics, NotesResult};
use crate::store::Store;
use crate::summarise::Summariser;
use crate::views::Record;

/// What is wanted now; shared, as it can be many.
pub(crate) type AllWanted = Arc<BTreeSet<Wanted>>;

/// How long a server is left alone that did not say until when.
const SHORTEST_COOL_DOWN: Duration = Duration::from_mins(5);
/// For how long nothing else is asked of a server that did not answer.
const BROKEN: SignedDuration = SignedDuration::from_mins(5);
/// How long all that is asked about one update may take.
const ASK_LIMIT: Duration = Duration::from_mins(1);
/// How often what nothing offers any more is looked for, at least.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The task that fetches.
#[derive(Debug)]
pub(crate) struct NotesWorker {
    wanted: watch::Receiver<AllWanted>,
    leadership: Leadership,
    forges: ForgeClient,
    /// `None`: rules alone.
    model: Option<Model>,
    store: NotesStore,
    /// Servers that did not answer, by host.
    broken: BTreeMap<String, CoolDown>,
    metrics: Arc<Metrics>,
    /// Since when we lead.
    leading: Option<Instant>,
    /// When all records were looked at last since then.
    pruned: Option<Instant>,
}

/// One whose notes are due.
struct Due<'a> {
    wanted: &'a Wanted,
    key: String,
    shard: usize,
}

/// Those that are due, by the server that is asked first. Who has taken least of our time is asked next, so that none that is slow
/// holds up another.
#[derive(Default)]
struct Queue<'a>(BTreeMap<String, (Duration, VecDeque<Due<'a>>)>);

impl<'a> Queue<'a> {
    fn push(&mut self, due: Due<'a>) {
        let (_, waiting) = self.0.entry(due.wanted.host()).or_default();
        waiting.push_back(due);
    }

    fn pop(&mut self) -> Option<(String, Due<'a>)> {
        let servers = self.0.iter_mut().filter(|(_, (_, waiting))| !waiting.is_empty());
        let (host, (_, waiting)) = servers.min_by_key(|(_, (taken, _))| *taken)?;
        Some((host.clone(), waiting.pop_front()?))
    }

    fn took(&mut self, host: &str, time: Duration) {
        if let Some((taken, _)) = self.0.get_mut(host) {
            *taken += time;
        }
    }
}

impl NotesWorker {
    /// Fails where the certificates of the system cannot be used.
    pub(crate) fn new(
        client: Client,
        (namespace, lease): (&str, &str),
        settings: &Settings,
        leadership: Leadership,
        (wanted, records, metrics): (watch::Receiver<AllWanted>, Store<Record>, Arc<Metrics>),
    ) -> Result<Self, reqwest::Error> {
        let summariser = settings.summary.as_ref().map(Summariser::new);
        Ok(Self {
            wanted,
            leadership,
            forges: ForgeClient::new(settings.notes.tokens.clone(), Arc::clone(&metrics))?,
            model: summariser.transpose()?.map(Model::new),
            store: NotesStore::new(client, namespace, lease, records),
            broken: BTreeMap::new(),
            metrics,
            leading: None,
            pruned: None,
        })
    }

    /// Turns until it is dropped. What is under way then is asked again by the next leader.
    pub(crate) async fn run(mut self) {
        loop {
            let leads = self.leadership.may_act();
            let begun = Instant::now();
            let mut again = begun + LONGEST_PAUSE;
            if leads {
                let wanted = Arc::clone(&self.wanted.borrow_and_update());
                let next = self.turn(&wanted).await.map(|next| Instant::now() + until(next));
                let retry = self.store.next_attempt(begun);
                let ask = self.model.as_ref().and_then(|model| model.next_attempt(begun));
                again = [next, retry, ask].into_iter().flatten().fold(again, Instant::min);
            } else {
                self.store.forget();
                self.model.iter_mut().for_each(Model::forget);
                (self.leading, self.pruned) = (None, None);
            }
            let mut leadership = self.leadership.clone();
            tokio::select! {
                () = leadership.no_longer(leads) => {}
                changed = self.wanted.changed(), if leads => {
                    if changed.is_err() {
                        // The loop is gone, and with it the process soon.
                        return std::future::pending().await;
                    }
                }
                () = sleep_until(again), if leads => {}
                () = answered(self.model.as_mut()), if leads => {}
            }
        }
    }

    /// Fetches what is due, and answers when the next is.
    async fn turn(&mut self, wanted: &BTreeSet<Wanted>) -> Option<Timestamp> {
        self.store.look();
        let (mut queue, keys, mut next) = self.sort_out(wanted);
        // What waits to be written goes before anybody is asked for more of it.
        if self.leadership.may_act() {
            self.store.save_all(&keys).await;
        }
        self.go_on_summarising(&keys).await;
        while let Some((host, due)) = queue.pop() {
            if !self.leadership.may_act() {
                return None;
            }
            let begun = Instant::now();
            // What is learnt for a record that cannot be written would be learnt again and again.
            if self.store.may_be_written(due.shard, begun) {
                let again = self.answer(&due, &keys).await;
                next = next.into_iter().chain([again]).min();
                queue.took(&host, begun.elapsed());
                self.go_on_summarising(&keys).await;
            }
        }
        self.prune(&keys);
        if self.leadership.may_act() {
            self.store.save_all(&keys).await;
        }
        next
    }

    /// Those that are due, the keys of all, and when the next of the others is.
    fn sort_out<'w>(
        &mut self,
        wanted: &'w BTreeSet<Wanted>,
    ) -> (Queue<'w>, BTreeSet<String>, Option<Timestamp>) {
        let (mut queue, mut keys, mut next) = (Queue::default(), BTreeSet::new(), None);
        let now = clock::now();
        let mut room = self.model.as_ref().map_or(0, Model::room);
        for wanted in wanted {
            let key = wanted.key();
            let shard = shard_of(&key);
            self.store.is_offered(shard, &key, now);
            match self.store.record(shard, &key) {
                Some(record) if !record.is_due(now) => {
                    next = next.into_iter().chain([record.ask_again]).min();
                    // Who led before may have ended before a model was asked, or there was no room for its text.
                    let is_lost = record.awaits_model && !self.holds(&key);
                    if is_lost && room > 0 {
                        room -= 1;
                        let key = key.clone();
                        queue.push(Due { wanted, key, shard });
                    }
                }
                Some(_) | None => {
                    let key = key.clone();
                    queue.push(Due { wanted, key, shard });
                }
            }
            keys.insert(key);
        }
        (queue, keys, next)
    }

    /// Finds out what is new for one, has it wait to be summarised, and answers when to do so again.
    async fn answer(&mut self, due: &Due<'_>, keys: &BTreeSet<String>) -> Timestamp {
        let Due { wanted, key, shard } = due;
        let mut before = self.store.record(*shard, key).cloned();
        let now = clock::now();
        if let Some(CoolDown { until, reason, .. }) = self.left_alone(wanted, now).cloned() {
            if before.is_some() {
                return until;
            }
            // Somebody may wait for an answer, and this is one.
            let failed = Answer::Failed {
                why: reason,
                not_before: Some(until),
            };
            let record = NotesRecord::answered(wanted, None, failed, now);
            let again = record.ask_again;
            self.store.put(*shard, key, record);
            return again;
        }
        let reader = self.model.as_ref().map(Model::reader);
        let may_be_read = |record: &NotesRecord| reader.is_some_and(|reader| record.may_be_read_by(reader));
        // That nothing has changed would be no text to read.
        if let Some(before) = before.as_mut().filter(|before| may_be_read(before)) {
            Arc::make_mut(before).not_summarised();
        }
        let asked = timeout(ASK_LIMIT, self.forges.ask(wanted, before.as_deref())).await;
        let asked = asked.unwrap_or_else(|_| Asked::too_late(wanted, ASK_LIMIT));
        let now = clock::now();
        tell(wanted, &asked.answer);
        self.count(wanted, &asked.answer);
        self.remember(asked.limit, asked.broken, now);
        let read = self.model.as_ref().and_then(|_| to_read(&asked.answer));
        let mut record = NotesRecord::answered(wanted, before.as_deref(), asked.answer, now);
        let again = record.ask_again;
        if let (Some(model), Some((digest, inquiry))) = (&mut self.model, read)
            && record.may_be_read_by(model.reader())
            && let Some(content) = record.content.clone()
        {
            record.awaits_model = true;
            let (shard, key) = (*shard, key.clone());
            model.push(Text {
                shard,
                key,
                content,
                digest,
                inquiry,
                failures: 0,
            });
        } else {
            record.awaits_model = self.holds(key);
        }
        self.store.put(*shard, key, record);
        for shard in [0, *shard] {
            if self.leadership.may_act() {
                self.store.save(shard, keys).await;
            }
        }
        again
    }

    /// Whether its text waits for the model here.
    fn holds(&self, key: &str) -> bool {
        self.model.as_ref().is_some_and(|model| model.holds(key))
    }

    async fn go_on_summarising(&mut self, keys: &BTreeSet<String>) {
        if let Some(model) = &mut self.model {
            model.go_on(&mut self.store, &self.leadership, keys).await;
        }
    }

    fn count(&self, wanted: &Wanted, answer: &Answer) {
        let result = match answer {
            Answer::Notes { cut: Some(_), .. } => NotesResult::Partial,
            Answer::Notes { cut: None, .. } => NotesResult::Found,
            Answer::Missing { .. } => NotesResult::Missing,
            Answer::Unchanged => NotesResult::Unchanged,
            Answer::Failed { .. } => NotesResult::Failed,
        };
        if let Some(source) = wanted.found.sources.first() {
            self.metrics.asked_for_notes(source.forge(), result);
        }
    }

    /// Why, and until when, one of the servers that would be asked is to be left alone.
    fn left_alone(&self, wanted: &Wanted, now: Timestamp) -> Option<&CoolDown> {
        let hosts = wanted.found.sources.iter().map(NotesSource::host);
        let asked_for = &self.store.state().cool_downs;
        let cool_downs = hosts.flat_map(|host| [asked_for.get(&host), self.broken.get(&host)]);
        let on = cool_downs.flatten().filter(|cool_down| cool_down.is_on(now));
        on.max_by_key(|cool_down| cool_down.until)
    }

    /// Remembers who is to be left alone.
    fn remember(&mut self, limit: Option<Limit>, broken: Option<(String, String)>, now: Timestamp) {
        self.broken.retain(|_, cool_down| cool_down.is_on(now));
        if let (Some((host, why)), Ok(until)) = (broken, now.checked_add(BROKEN)) {
            self.broken.insert(host, CoolDown::until(None, until, why));
        }
        let Some(Limit {
            host,
            until,
            reason,
            refused,
        }) = limit
        else {
            return;
        };
        let cool_downs = &mut self.store.state_mut().cool_downs;
        cool_downs.retain(|_, cool_down| !cool_down.is_forgotten(now));
        let before = cool_downs.get(&host);
        let mut cool_down = match until {
            Some(until) if !refused => CoolDown::until(before, until, reason),
            until => CoolDown::after_refusal(before, until, SHORTEST_COOL_DOWN, reason, now),
        };
        cool_down.correct(now);
        tracing::warn!(host, until = %cool_down.until, reason = cool_down.reason, "a server of release notes is left alone");
        cool_downs.insert(host, cool_down);
    }

    /// What nothing has offered for long is forgotten.
    fn prune(&mut self, keys: &BTreeSet<String>) {
        let leading = *self.leading.get_or_insert_with(Instant::now);
        let is_due = match self.pruned {
            Some(pruned) => pruned.elapsed() >= LONGEST_PAUSE,
            // Who has nothing to ask is in no hurry to look.
            None => !keys.is_empty() || leading.elapsed() >= LONGEST_PAUSE,
        };
        if is_due {
            self.store.prune(keys, clock::now());
            self.pruned = Some(Instant::now());
        }
    }
}

async fn answered(model: Option<&mut Model>) {
    match model {
        Some(model) => model.answered().await,
        None => std::future::pending().await,
    }
}

/// What there is for a model to read, with what rules make of it.
fn to_read(answer: &Answer) -> Option<(Summary, Inquiry)> {
    match answer {
        Answer::Notes { source, range, .. } => {
            let digest = digest(&range.releases, &source.own());
            Some((digest.summary, Inquiry::new(&range.releases)))
        }
        Answer::Missing { .. } | Answer::Unchanged | Answer::Failed { .. } => None,
    }
}

/// Nothing for a time that has passed.
fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(clock::now())).unwrap_or_default()
}

fn tell(wanted: &Wanted, answer: &Answer) {
    let Wanted {
        image,
        from,
        to,
        found: _,
    } = wanted;
    match answer {
        Answer::Notes {
            source,
            range,
            etag: _,
            cut,
        } => {
            let releases = range.releases.len();
            let cut = cut.as_ref().map(|cut| &cut.why);
            tracing::info!(%image, %from, %to, %source, releases, cut, "release notes");
        }
        Answer::Missing { source, reason } => {
            tracing::info!(%image, %from, %to, %source, reason, "no release notes");
        }
        Answer::Unchanged => tracing::debug!(%image, %from, %to, "release notes unchanged"),
        Answer::Failed { why, not_before: _ } => {
            tracing::warn!(%image, %from, %to, why, "release notes cannot be fetched; trying again later");
        }
    }
}
