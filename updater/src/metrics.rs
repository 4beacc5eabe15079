//! Every metric of the updater, registered once.
//!
//! Labels come from closed sets, never from names of workloads or images: those are in the log and in Events. Only `scans` names
//! registries, so many and no more.

mod notes;
mod results;
mod scans;
mod views;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use shared::domain::outbox::Channel;
use shared::domain::plan::{Plan, Snapshot};
use shared::domain::record::run::RunRecord;
use shared::domain::release_notes::source::Forge;
use shared::domain::scan_request::Reason;
use shared::domain::workload::WorkloadKind;
use strum::VariantNames as _;

use self::notes::Notes;
pub use self::results::{MessageResult, NotesResult, NoticeResult, PatchResult, UpdateResult};
use self::scans::Scans;
use self::views::Views;

/// The type of what `encode` returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpdateLabels {
    kind: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NoticeLabels {
    reason: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MessageLabels {
    channel: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResourceLabel {
    resource: &'static str,
}

/// For a metric that is one number, and at times none.
type NoLabels = [(&'static str, &'static str); 0];

/// The metrics, and the registry they are encoded from.
pub struct Metrics {
    registry: Registry,
    leader: Gauge,
    reconciles: Counter,
    reconcile_seconds: Histogram,
    updates: Family<UpdateLabels, Counter>,
    patches: Family<ResultLabel, Counter>,
    notices: Family<NoticeLabels, Counter>,
    messages: Family<MessageLabels, Counter>,
    messages_waiting: Family<NoLabels, Gauge>,
    messages_overdue: Family<NoLabels, Gauge>,
    watch_failures: Family<ResourceLabel, Counter>,
    watch_broken: Gauge,
    scans_requested: Family<ReasonLabel, Counter>,
    views: Views,
    scans: Scans,
    notes: Notes,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("kubefresh"),
            leader: Gauge::default(),
            reconciles: Counter::default(),
            // From a look at an empty cluster to a pass with several writes that time out.
            reconcile_seconds: Histogram::new(exponential_buckets(0.001, 4.0, 8)),
            updates: Family::default(),
            patches: Family::default(),
            notices: Family::default(),
            messages: Family::default(),
            messages_waiting: Family::default(),
            messages_overdue: Family::default(),
            watch_failures: Family::default(),
            watch_broken: Gauge::default(),
            scans_requested: Family::default(),
            views: Views::default(),
            scans: Scans::default(),
            notes: Notes::default(),
        };
        metrics.register();
        // A counter that is there from the start can be seen to grow by its first event.
        for result in PatchResult::VARIANTS {
            metrics.patches.get_or_create_owned(&ResultLabel { result });
        }
        for reason in Reason::VARIANTS {
            metrics
                .scans_requested
                .get_or_create_owned(&ReasonLabel { reason });
        }
        for kind in WorkloadKind::ALL {
            for result in UpdateResult::VARIANTS {
                let kind = kind.into();
                metrics
                    .updates
                    .get_or_create_owned(&UpdateLabels { kind, result });
            }
        }
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let Self { registry, .. } = self;
        registry.register(
            "leader",
            "Whether this updater may act: 1 or 0",
            self.leader.clone(),
        );
        registry.register(
            "reconciles",
            "Looks at the whole cluster",
            self.reconciles.clone(),
        );
        registry.register_with_unit(
            "reconcile_duration",
            "How long a look took, with everything it led to",
            Unit::Seconds,
            self.reconcile_seconds.clone(),
        );
        registry.register(
            "updates",
            "Updates that came to an end, by kind of workload and how",
            self.updates.clone(),
        );
        registry.register(
            "patches",
            "Patches to workloads, by what became of them",
            self.patches.clone(),
        );
        registry.register(
            "notices",
            "Notices to people, by reason and what became of them",
            self.notices.clone(),
        );
        registry.register(
            "messages",
            "Messages to other programs, by channel and what became of them; failed ones are tried again",
            self.messages.clone(),
        );
        registry.register(
            "messages_waiting",
            "Messages that are still to be sent",
            self.messages_waiting.clone(),
        );
        registry.register(
            "messages_overdue",
            "Messages that wait for a receiver that does not take them, and not for the end of quiet hours",
            self.messages_overdue.clone(),
        );
        registry.register(
            "scans_requested",
            "Scans that were asked for beside the schedule, by reason; one with several counts for each",
            self.scans_requested.clone(),
        );
        register_watches(registry, &self.watch_failures, &self.watch_broken);
        self.views.register(registry);
        self.scans.register(registry);
        self.notes.register(registry);
    }

    /// What the scanner says of its last run, if it has had one.
    pub fn scanned(&self, run: Option<&RunRecord>) {
        self.scans.set(run);
    }

    /// A pass of the reconciler took this long.
    pub fn reconciled(&self, took: Duration) {
        self.reconciles.inc();
        self.reconcile_seconds.observe(took.as_secs_f64());
    }

    /// A patch was tried.
    pub fn patched(&self, result: PatchResult) {
        self.patches
            .get_or_create(&ResultLabel {
                result: result.into(),
            })
            .inc();
    }

    /// An update came to an end, and the API server confirmed that the workload says so.
    pub fn updated(&self, kind: WorkloadKind, result: UpdateResult) {
        self.updates
            .get_or_create(&UpdateLabels {
                kind: kind.into(),
                result: result.into(),
            })
            .inc();
    }

    /// A notice was tried.
    pub fn noticed(&self, reason: &'static str, result: NoticeResult) {
        self.notices
            .get_or_create(&NoticeLabels {
                reason,
                result: result.into(),
            })
            .inc();
    }

    /// Something became of a message.
    pub fn message(&self, channel: Channel, result: MessageResult) {
        self.messages.get_or_create(&labels(channel, result.into())).inc();
    }

    /// So many messages are still to be sent, and so many of them should have been.
    pub fn messages_waiting(&self, waiting: usize, overdue: usize) {
        for (gauge, count) in [
            (&self.messages_waiting, waiting),
            (&self.messages_overdue, overdue),
        ] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            gauge.get_or_create(&[]).set(count);
        }
    }

    /// Messages are sent on this channel, so that its counters are there from the start.
    pub fn sends_on(&self, channel: Channel) {
        for result in MessageResult::VARIANTS {
            self.messages.get_or_create_owned(&labels(channel, result));
        }
    }

    /// A Job was made, for these reasons.
    pub fn scan_requested(&self, reasons: &[&'static str]) {
        for reason in reasons {
            self.scans_requested.get_or_create(&ReasonLabel { reason }).inc();
        }
    }

    /// A watch begins, which has not broken yet.
    pub fn watches(&self, resource: &'static str) {
        self.watch_failures
            .get_or_create_owned(&ResourceLabel { resource });
    }

    /// A watch broke.
    pub fn watch_failed(&self, resource: &'static str) {
        self.watch_failures
            .get_or_create(&ResourceLabel { resource })
            .inc();
    }

    /// Since when there has been a watch that is broken at `now`, if there is one.
    pub fn watches_broken_since(&self, since: Option<Timestamp>, now: Timestamp) {
        let seconds = since.map(|since| now.duration_since(since).as_secs().max(0));
        self.watch_broken.set(seconds.unwrap_or_default());
    }

    /// Release notes are fetched here, so that their counters are there from the start.
    pub fn fetches_notes(&self) {
        self.notes.begin();
    }

    /// A server of this kind was asked for the release notes of an update.
    pub fn asked_for_notes(&self, forge: Forge, result: NotesResult) {
        self.notes.asked(forge, result);
    }

    /// A server of this kind said how many requests it allows for now.
    pub fn notes_requests_left(&self, forge: Forge, left: i64) {
        self.notes.set_requests_left(forge, left);
    }

    /// Release notes that nobody has answered for are wanted since then; `None` where there are none.
    pub fn notes_unanswered_since(&self, since: Option<Timestamp>) {
        self.notes.set_oldest_unanswered(since);
    }

    /// What a look at the cluster found.
    pub fn looked(&self, snapshot: &Snapshot, plan: &Plan) {
        self.views.set(snapshot, plan);
        self.scans.set(None);
    }

    /// Only the leader looks: what a former one saw last is no longer true.
    pub fn forget(&self) {
        self.messages_waiting.clear();
        self.messages_overdue.clear();
        self.notes.clear();
        self.views.clear();
        self.scans.set(None);
    }

    /// Everything in the text format, with what depends on the moment worked out for `now`.
    pub fn encode(&self, leading: bool, now: Timestamp) -> Result<String, fmt::Error> {
        self.leader.set(i64::from(leading));
        self.views.grow_to(now);
        self.notes.grow_to(now);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn register_watches(registry: &mut Registry, failures: &Family<ResourceLabel, Counter>, broken: &Gauge) {
    registry.register(
        "watch_failures",
        "Watches that broke and were begun anew, by resource",
        failures.clone(),
    );
    registry.register_with_unit(
        "watch_broken",
        "For how long the watch has been broken that has been so the longest; after five minutes no update starts",
        Unit::Seconds,
        broken.clone(),
    );
}

fn labels(channel: Channel, result: &'static str) -> MessageLabels {
    let channel = channel.into();
    MessageLabels { channel, result }
}

#[cfg(test)]
mod tests;
