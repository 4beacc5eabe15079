//! Fetches the release notes of what is offered, once an update, and keeps them in records that outlive this process.
//!
//! The leader's loop says what is wanted and never waits: what is learnt comes back to it, and to those who stand by, by the
//! watch of the records. A server that asks to be left alone is, by whoever leads; one that does not answer is for a while, and
//! holds up no other.

mod store;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use shared::domain::cool_down::CoolDown;
use shared::domain::record::release_notes::shard_of;
use shared::domain::release_notes::Release;
use shared::domain::release_notes::book::{Answer, NotesRecord, Wanted};
use shared::domain::release_notes::source::NotesSource;
use shared::io::clock;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use self::store::NotesStore;
use crate::cli::Settings;
use crate::forge::{Asked, ForgeClient, Limit};
use crate::leader::Leadership;
use crate::metrics::{Metrics, NotesResult};
use crate::store::Store;
use crate::summarise::{NoSummary, Purse, Summariser};
use crate::views::Record;

/// What is wanted now; shared, as it can be many.
pub(crate) type AllWanted = Arc<BTreeSet<Wanted>>;

/// How long a server is left alone that did not say until when.
const SHORTEST_COOL_DOWN: Duration = Duration::from_mins(5);
/// For how long nothing else is asked of a server that did not answer.
const BROKEN: SignedDuration = SignedDuration::from_mins(5);
/// How long all that is asked about one update may take.
const ASK_LIMIT: Duration = Duration::from_mins(1);
/// How many texts are in memory for the model at once.
const MOST_TEXTS: usize = 4;
/// How often what nothing offers any more is looked for, at least.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The task that fetches.
#[derive(Debug)]
pub(crate) struct NotesWorker {
    wanted: watch::Receiver<AllWanted>,
    leadership: Leadership,
    forges: ForgeClient,
    /// `None`: rules alone.
    summariser: Option<Summariser>,
    store: NotesStore,
    /// Servers that did not answer, by host.
    broken: BTreeMap<String, CoolDown>,
    metrics: Arc<Metrics>,
    /// Since when we lead.
    leading: Option<Instant>,
    /// When all records were looked at last since then.
    pruned: Option<Instant>,
    /// Whether the model was asked in vain in this turn.
    model_failed: bool,
}

/// One whose notes are due.
struct Due<'a> {
    wanted: &'a Wanted,
    key: String,
    shard: usize,
}

/// Releases that are to be summarised for a record.
struct Text {
    shard: usize,
    key: String,
    releases: Vec<Release>,
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
        Ok(Self {
            wanted,
            leadership,
            forges: ForgeClient::new(settings.notes.tokens.clone(), Arc::clone(&metrics))?,
            summariser: settings.summary.as_ref().map(Summariser::new).transpose()?,
            store: NotesStore::new(client, namespace, lease, records),
            broken: BTreeMap::new(),
            metrics,
            leading: None,
            pruned: None,
            model_failed: false,
        })
    }

    /// Turns until it is dropped. What is under way then is asked again by the next leader.
    pub(crate) async fn run(mut self) {
        loop {
            let leads = self.leadership.may_act();
            let mut again = Instant::now() + LONGEST_PAUSE;
            if leads {
                let wanted = Arc::clone(&self.wanted.borrow_and_update());
                let next = self.turn(&wanted).await.map(|next| Instant::now() + until(next));
                let retry = self.store.next_attempt(Instant::now());
                again = [next, retry].into_iter().flatten().fold(again, Instant::min);
            } else {
                self.store.forget();
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
            }
        }
    }

    /// Fetches what is due, and answers when the next is.
    async fn turn(&mut self, wanted: &BTreeSet<Wanted>) -> Option<Timestamp> {
        self.store.look();
        self.model_failed = false;
        let (mut queue, keys, mut next) = self.sort_out(wanted);
        let mut texts = Vec::new();
        // What waits to be written goes before anybody is asked for more of it.
        if self.leadership.may_act() {
            self.store.save_all(&keys).await;
        }
        while let Some((host, due)) = queue.pop() {
            if !self.leadership.may_act() {
                return None;
            }
            let begun = Instant::now();
            // What is learnt for a record that cannot be written would be learnt again and again.
            if self.store.may_be_written(due.shard, begun) {
                let (again, releases) = self.answer(&due, &keys).await;
                next = next.into_iter().chain([again]).min();
                queue.took(&host, begun.elapsed());
                let Due {
                    wanted: _,
                    key,
                    shard,
                } = due;
                let text = Text { shard, key, releases };
                texts.extend(Some(text).filter(|text| !text.releases.is_empty()));
                if texts.len() >= MOST_TEXTS {
                    self.summarise_all(&mut texts, &keys).await;
                }
            }
        }
        self.summarise_all(&mut texts, &keys).await;
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
        let has_model = self.summariser.is_some();
        for wanted in wanted {
            let key = wanted.key();
            let shard = shard_of(&key);
            self.store.is_offered(shard, &key, now);
            match self.store.record(shard, &key) {
                // Who led before may have ended before a model was asked.
                Some(record) if !(record.is_due(now) || has_model && record.awaits_model) => {
                    next = next.into_iter().chain([record.ask_again]).min();
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

    /// Finds out what is new for one, and answers when to do so again, and what there is to summarise.
    async fn answer(&mut self, due: &Due<'_>, keys: &BTreeSet<String>) -> (Timestamp, Vec<Release>) {
        let Due { wanted, key, shard } = due;
        let mut before = self.store.record(*shard, key).cloned();
        let now = clock::now();
        if let Some(CoolDown { until, reason, .. }) = self.left_alone(wanted, now).cloned() {
            if before.is_some() {
                return (until, Vec::new());
            }
            // Somebody may wait for an answer, and this is one.
            let failed = Answer::Failed {
                why: reason,
                not_before: Some(until),
            };
            let record = NotesRecord::answered(wanted, None, failed, now);
            let again = record.ask_again;
            self.store.put(*shard, key, record);
            return (again, Vec::new());
        }
        if let Some(before) = before
            .as_mut()
            .filter(|before| self.summariser.is_some() && before.is_digest())
        {
            Arc::make_mut(before).not_summarised();
        }
        let asked = timeout(ASK_LIMIT, self.forges.ask(wanted, before.as_deref())).await;
        let asked = asked.unwrap_or_else(|_| Asked::too_late(wanted, ASK_LIMIT));
        let now = clock::now();
        tell(wanted, &asked.answer);
        self.count(wanted, &asked.answer);
        self.remember(asked.limit, asked.broken, now);
        let releases = match &asked.answer {
            Answer::Notes { range, .. } if self.summariser.is_some() => range.releases.clone(),
            Answer::Notes { .. } | Answer::Missing { .. } | Answer::Unchanged | Answer::Failed { .. } => {
                Vec::new()
            }
        };
        let mut record = NotesRecord::answered(wanted, before.as_deref(), asked.answer, now);
        record.awaits_model = !releases.is_empty() && record.is_digest();
        let again = record.ask_again;
        self.store.put(*shard, key, record);
        for shard in [0, *shard] {
            if self.leadership.may_act() {
                self.store.save(shard, keys).await;
            }
        }
        (again, releases)
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

    /// A model that fails is not asked any more in this turn, so that the notes of others do not wait for it.
    async fn summarise_all(&mut self, texts: &mut Vec<Text>, keys: &BTreeSet<String>) {
        for text in texts.drain(..) {
            self.summarise(text, keys).await;
        }
    }

    /// Has a text summarised by the model, unless that was paid for before. What the rules made of it is stored by now, and
    /// stands where the model does not answer.
    async fn summarise(&mut self, text: Text, keys: &BTreeSet<String>) {
        let Text { shard, key, releases } = text;
        let Some(record) = self.store.record(shard, &key).filter(|record| record.is_digest()) else {
            return;
        };
        let (Some(summariser), Some(digest)) = (self.summariser.clone(), record.summary.clone()) else {
            return;
        };
        let known = self.store.summary_of(record.content.as_deref());
        let mut purse = Purse::new(self.store.state().tokens_left(summariser.tokens_per_day, today()));
        let (summary, spent) = if let Some(known) = known {
            (Ok(known), 0)
        } else if self.model_failed {
            (Err(NoSummary::Failed("it has failed a moment ago".to_owned())), 0)
        } else {
            let summary = summariser.summarise(&releases, &digest, &mut purse).await;
            (summary, purse.spent)
        };
        if !self.leadership.may_act() {
            return;
        }
        if spent > 0 {
            self.store.state_mut().spend(spent, today());
            self.store.save(0, keys).await;
        }
        let Some(mut record) = self
            .store
            .record(shard, &key)
            .map(|record| NotesRecord::clone(record))
        else {
            return;
        };
        match summary {
            Ok(summary) => record.summarised(summary),
            Err(why) => {
                self.model_failed |= matches!(why, NoSummary::Failed(_));
                tracing::warn!(image = %record.image, to = %record.to, %why, "summarised by rules alone");
                record.not_summarised();
            }
        }
        self.store.put(shard, &key, record);
        self.store.save(shard, keys).await;
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

/// In UTC.
fn today() -> jiff::civil::Date {
    clock::now().to_zoned(TimeZone::UTC).date()
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
