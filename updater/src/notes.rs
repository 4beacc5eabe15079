//! Fetches the release notes of what is offered, once an update, and keeps them in records that outlive this process.
//!
//! The leader's loop says what is wanted and never waits: what is learnt comes back to it, and to those who stand by, by the
//! watch of the records. A server that asks to be left alone is, by whoever leads.

mod store;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use shared::domain::cool_down::CoolDown;
use shared::domain::record::release_notes::{SHARDS, shard_of};
use shared::domain::release_notes::book::{Answer, NotesRecord, Wanted};
use shared::domain::release_notes::source::NotesSource;
use shared::io::clock;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use self::store::NotesStore;
use crate::cli::notes::NotesSettings;
use crate::forge::{Asked, ForgeClient, Limit};
use crate::leader::Leadership;

/// What is wanted now; shared, as it can be many.
pub(crate) type AllWanted = Arc<BTreeSet<Wanted>>;

/// How long a server is left alone that did not say until when.
const SHORTEST_COOL_DOWN: Duration = Duration::from_mins(5);
/// How often what nothing offers any more is looked for, at least.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// The pause after a record could not be read or written.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// The task that fetches.
#[derive(Debug)]
pub(crate) struct NotesWorker {
    wanted: watch::Receiver<AllWanted>,
    leadership: Leadership,
    forges: ForgeClient,
    store: NotesStore,
    /// Since when we lead.
    leading: Option<Instant>,
    /// When all records were looked at last since then.
    pruned: Option<Instant>,
    /// How many turns in a row ended as a record could be neither read nor written.
    failures: u32,
}

/// When a turn has to be repeated though nothing new is wanted.
type Next = Option<Timestamp>;

impl NotesWorker {
    /// Fails where the certificates of the system cannot be used.
    pub(crate) fn new(
        client: Client,
        (namespace, lease): (&str, &str),
        settings: &NotesSettings,
        leadership: Leadership,
        wanted: watch::Receiver<AllWanted>,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self {
            wanted,
            leadership,
            forges: ForgeClient::new(settings.tokens.clone())?,
            store: NotesStore::new(client, namespace, lease),
            leading: None,
            pruned: None,
            failures: 0,
        })
    }

    /// Turns until it is dropped. What is under way then is asked again by the next leader.
    pub(crate) async fn run(mut self) {
        loop {
            let leads = self.leadership.may_act();
            let mut pause = LONGEST_PAUSE;
            if leads {
                let wanted = Arc::clone(&self.wanted.borrow_and_update());
                pause = if let Ok(next) = self.turn(&wanted).await {
                    self.failures = 0;
                    next.map_or(pause, |next| until(next).min(pause))
                } else {
                    // A server is asked before its answer is kept, so that this must not go on at one pace.
                    let longer = 2_u32.saturating_pow(self.failures);
                    self.failures = self.failures.saturating_add(1);
                    TRY_AGAIN.saturating_mul(longer).min(pause)
                };
            } else {
                self.store.forget();
                (self.leading, self.pruned) = (None, None);
            }
            let again = Instant::now() + pause;
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

    /// Fetches what is due, one after the other. Errs where a record could be neither read nor written.
    async fn turn(&mut self, wanted: &BTreeSet<Wanted>) -> Result<Next, ()> {
        if !wanted.is_empty() {
            // What servers asked for stands in the first.
            self.store.load(0).await?;
        }
        let mut next: Next = None;
        for wanted in wanted {
            if !self.leadership.may_act() {
                return Ok(next);
            }
            let key = wanted.key();
            let shard = shard_of(&key);
            self.store.load(shard).await?;
            let now = clock::now();
            let due = match self.store.record(shard, &key) {
                Some(record) if !record.is_due(now) => record.ask_again,
                Some(_) | None => match self.left_alone_until(wanted, now) {
                    Some(until) => until,
                    None => self.fetch(wanted, shard, &key).await?,
                },
            };
            if self.store.is_offered(shard, &key, now) {
                self.store.save(shard).await?;
            }
            next = Some(next.map_or(due, |next| next.min(due)));
        }
        let leading = *self.leading.get_or_insert_with(Instant::now);
        let is_due = match self.pruned {
            Some(pruned) => pruned.elapsed() >= LONGEST_PAUSE,
            // Who has nothing to ask is in no hurry to look.
            None => !wanted.is_empty() || leading.elapsed() >= LONGEST_PAUSE,
        };
        if is_due {
            self.prune(wanted).await?;
        }
        Ok(next)
    }

    /// Fetches one, and answers when it is due again.
    async fn fetch(&mut self, wanted: &Wanted, shard: usize, key: &str) -> Result<Timestamp, ()> {
        let before = self.store.record(shard, key).cloned();
        let Asked { answer, limit } = self.forges.ask(wanted, before.as_ref()).await;
        let now = clock::now();
        tell(wanted, &answer);
        let record = NotesRecord::answered(wanted, before.as_ref(), answer, now);
        let due = record.ask_again;
        self.store.put(shard, key, record);
        if self.remember(limit, now) {
            self.store.save(0).await?;
        }
        self.store.save(shard).await?;
        Ok(due)
    }

    /// Until when the server that would be asked first is to be left alone.
    fn left_alone_until(&self, wanted: &Wanted, now: Timestamp) -> Option<Timestamp> {
        let sources = wanted.found.sources.iter();
        let cool_downs = sources.filter_map(|source| self.store.state().cool_downs.get(&host(source)?));
        let on = cool_downs.filter(|cool_down| cool_down.is_on(now));
        on.map(|cool_down| cool_down.until).max()
    }

    /// Whether there is something new to remember.
    fn remember(&mut self, limit: Option<Limit>, now: Timestamp) -> bool {
        let Some(Limit {
            host,
            until,
            reason,
            refused,
        }) = limit
        else {
            return false;
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
        true
    }

    /// What nothing has offered for long is forgotten.
    async fn prune(&mut self, wanted: &BTreeSet<Wanted>) -> Result<(), ()> {
        let wanted: BTreeSet<String> = wanted.iter().map(Wanted::key).collect();
        for shard in 0..SHARDS {
            if !self.leadership.may_act() {
                return Ok(());
            }
            self.store.load(shard).await?;
            if self.store.prune(shard, &wanted, clock::now()) {
                self.store.save(shard).await?;
            }
        }
        self.pruned = Some(Instant::now());
        Ok(())
    }
}

fn host(source: &NotesSource) -> Option<String> {
    match source {
        NotesSource::Repository { server, .. } => Some(server.host().to_owned()),
        NotesSource::Template { url, .. } => url.address().split_once("://").map(|(_, host)| host.to_owned()),
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
        } => {
            let releases = range.releases.len();
            tracing::info!(%image, %from, %to, %source, releases, "release notes");
        }
        Answer::Missing {
            source,
            reason,
            etag: _,
        } => {
            tracing::info!(%image, %from, %to, %source, reason, "no release notes");
        }
        Answer::Unchanged => tracing::debug!(%image, %from, %to, "release notes unchanged"),
        Answer::Failed { why, not_before: _ } => {
            tracing::warn!(%image, %from, %to, why, "release notes cannot be fetched; trying again later");
        }
    }
}
