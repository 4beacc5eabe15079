//! Every metric of the updater, registered once.
//!
//! Labels come from closed sets, never from names of workloads or images: those are in the log and in Events. Only `scans` names
//! registries, so many and no more.

mod scans;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
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
use shared::domain::plan::{Action, Plan, Snapshot};
use shared::domain::record::run::RunRecord;
use shared::domain::rollout::RolloutStatus;
use shared::domain::scan_request::Reason;
use shared::domain::workload::WorkloadKind;
use strum::VariantNames as _;

use self::scans::Scans;

/// The type of what `encode` returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What became of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum PatchResult {
    /// Accepted.
    Sent,
    /// The workload had changed since it was read.
    Conflict,
    /// The API server will not have it, now or later.
    Refused,
    /// No answer that says whether it was applied.
    Unknown,
}

/// What became of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum NoticeResult {
    Told,
    /// The Event was there: an earlier attempt or another updater told it.
    AlreadyTold,
    Refused,
    /// To be tried again.
    Failed,
    /// What it speaks of went ahead without it; it is told as soon as it can be.
    Postponed,
}

/// What became of a message to another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum MessageResult {
    Sent,
    /// To be tried again.
    Failed,
    /// Refused, or not taken within its repetitions or a day.
    GivenUp,
    /// Too many waited.
    Dropped,
    /// It could not be entered in time, and what it speaks of went ahead without it.
    Postponed,
}

/// How an update ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum UpdateResult {
    Completed,
    Failed,
    Superseded,
    /// It failed, and what was there before is back.
    RolledBack,
    /// Somebody asked for what was there before, and it is back.
    RolledBackOnRequest,
    /// It failed, or was to be undone, and the way back failed.
    RollbackFailed,
    /// It had ended, and somebody went back to an older image.
    TakenBack,
}

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
struct WorkloadLabels {
    kind: &'static str,
    state: &'static str,
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
struct StateLabel {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabel {
    verdict: &'static str,
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
    watch_failures: Family<ResourceLabel, Counter>,
    scans_requested: Family<ReasonLabel, Counter>,
    workloads: Family<WorkloadLabels, Gauge>,
    containers: Family<VerdictLabel, Gauge>,
    updates_waiting: Family<ReasonLabel, Gauge>,
    records: Family<StateLabel, Gauge>,
    oldest_scan_age: Family<NoLabels, Gauge>,
    scans: Scans,
    /// The age grows between two looks, so it is worked out when somebody asks.
    oldest_scan: Mutex<Option<Timestamp>>,
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
            watch_failures: Family::default(),
            scans_requested: Family::default(),
            workloads: Family::default(),
            containers: Family::default(),
            updates_waiting: Family::default(),
            records: Family::default(),
            oldest_scan_age: Family::default(),
            scans: Scans::default(),
            oldest_scan: Mutex::new(None),
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
            "watch_failures",
            "Watches that broke and were begun anew, by resource",
            self.watch_failures.clone(),
        );
        registry.register(
            "scans_requested",
            "Scans that were asked for beside the schedule, by reason; one with several counts for each",
            self.scans_requested.clone(),
        );
        self.register_views();
    }

    /// What the last look found.
    fn register_views(&mut self) {
        let Self { registry, .. } = self;
        registry.register(
            "workloads",
            "Workloads that are watched, by kind and what is done with them",
            self.workloads.clone(),
        );
        registry.register(
            "containers",
            "Watched containers, by the verdict on them",
            self.containers.clone(),
        );
        registry.register(
            "updates_waiting",
            "Containers that wait to be updated, by what for",
            self.updates_waiting.clone(),
        );
        registry.register(
            "records",
            "Scan records, by whether they can be read",
            self.records.clone(),
        );
        registry.register_with_unit(
            "oldest_complete_scan_age",
            "How long ago the most outdated repository was last scanned completely",
            Unit::Seconds,
            self.oldest_scan_age.clone(),
        );
        self.scans.register(registry);
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

    /// So many messages are still to be sent.
    pub fn messages_waiting(&self, count: usize) {
        self.messages_waiting
            .get_or_create(&[])
            .set(i64::try_from(count).unwrap_or(i64::MAX));
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

    /// What a look at the cluster found.
    pub fn looked(&self, snapshot: &Snapshot, plan: &Plan) {
        self.forget_views();
        let (readable, unreadable) =
            snapshot
                .records
                .values()
                .fold((0, 0), |(readable, unreadable), record| {
                    if record.is_ok() {
                        (readable + 1, unreadable)
                    } else {
                        (readable, unreadable + 1)
                    }
                });
        self.records
            .get_or_create(&StateLabel { state: "readable" })
            .set(readable);
        self.records
            .get_or_create(&StateLabel { state: "unreadable" })
            .set(unreadable);
        let scans = snapshot
            .records
            .values()
            .flatten()
            .filter_map(|record| record.findings.as_ref());
        self.set_oldest_scan(scans.map(|findings| findings.scanned_at).min());
        let mut states: BTreeMap<(WorkloadKind, &'static str), i64> = BTreeMap::new();
        let mut verdicts: BTreeMap<&'static str, i64> = BTreeMap::new();
        let mut waiting: BTreeMap<&'static str, i64> = BTreeMap::new();
        for assessment in &plan.assessments {
            *states
                .entry((assessment.workload.kind, state(&assessment.action)))
                .or_default() += 1;
            for entry in &assessment.containers {
                *verdicts.entry((&entry.verdict).into()).or_default() += 1;
                if let Some(reason) = entry.verdict.waits_for() {
                    *waiting.entry(reason).or_default() += 1;
                }
            }
        }
        for ((kind, state), count) in states {
            let kind = kind.into();
            self.workloads
                .get_or_create(&WorkloadLabels { kind, state })
                .set(count);
        }
        for (verdict, count) in verdicts {
            self.containers
                .get_or_create(&VerdictLabel { verdict })
                .set(count);
        }
        for (reason, count) in waiting {
            self.updates_waiting
                .get_or_create(&ReasonLabel { reason })
                .set(count);
        }
    }

    /// Only the leader looks: what a former one saw last is no longer true.
    pub fn forget(&self) {
        self.messages_waiting.clear();
        self.forget_views();
    }

    fn forget_views(&self) {
        self.workloads.clear();
        self.containers.clear();
        self.updates_waiting.clear();
        self.records.clear();
        self.oldest_scan_age.clear();
        self.scans.set(None);
        self.set_oldest_scan(None);
    }

    /// Everything in the text format, with what depends on the moment worked out for `now`.
    pub fn encode(&self, leading: bool, now: Timestamp) -> Result<String, fmt::Error> {
        self.leader.set(i64::from(leading));
        if let Some(oldest) = *self
            .oldest_scan
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
        {
            self.oldest_scan_age
                .get_or_create(&[])
                .set(now.duration_since(oldest).as_secs());
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn set_oldest_scan(&self, oldest: Option<Timestamp>) {
        *self
            .oldest_scan
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = oldest;
    }
}

fn labels(channel: Channel, result: &'static str) -> MessageLabels {
    let channel = channel.into();
    MessageLabels { channel, result }
}

/// What is done with a workload, in one word.
fn state(action: &Action) -> &'static str {
    match action {
        Action::Nothing => "settled",
        Action::Stop(_) | Action::StopForMarker(_) => "stopped",
        Action::Start(_) => "starting",
        Action::RollBack { .. } | Action::Undo { .. } => "rolling-back",
        Action::TakenBack(_) => "taken-back",
        Action::Follow {
            status: RolloutStatus::InProgress(_),
            in_flight,
            ..
        } if in_flight.rollback.is_some() => "rolling-back",
        Action::Follow {
            status: RolloutStatus::InProgress(_),
            ..
        } => "rolling-out",
        Action::Follow {
            status: RolloutStatus::Completed(_) | RolloutStatus::Failed(_) | RolloutStatus::Superseded { .. },
            ..
        } => "finishing",
    }
}

#[cfg(test)]
mod tests {
    use shared::domain::plan::{Assessment, ContainerVerdict, Pending, Verdict};
    use shared::domain::workload::WorkloadId;

    use super::*;
    use shared::domain::annotations::Mode;

    fn plan() -> Plan {
        let id = WorkloadId {
            kind: WorkloadKind::Deployment,
            namespace: "shop".to_owned(),
            name: "checkout".to_owned(),
        };
        let entry = ContainerVerdict {
            container: "app".to_owned(),
            image: "shop/checkout:1.4.0".to_owned(),
            mode: Mode::Auto,
            verdict: Verdict::NoRecord,
        };
        let assessment = Assessment {
            workload: id,
            uid: "uid".to_owned(),
            resource_version: "7".to_owned(),
            containers: vec![entry],
            action: Action::Nothing,
            pending: Pending::Unchanged,
            prospect: None,
            refused: Vec::new(),
        };
        Plan {
            assessments: vec![assessment],
            next_look: None,
        }
    }

    #[test]
    fn every_metric_has_our_prefix_and_an_end_marker_closes_the_text() {
        let metrics = Metrics::default();
        metrics.patched(PatchResult::Conflict);
        metrics.noticed("ImageUpdated", NoticeResult::AlreadyTold);
        metrics.updated(WorkloadKind::CronJob, UpdateResult::Completed);
        metrics.watch_failed("deployments");
        metrics.sends_on(Channel::Webhook);
        metrics.message(Channel::Webhook, MessageResult::GivenUp);
        metrics.messages_waiting(2);
        metrics.looked(&Snapshot::default(), &plan());
        let text = metrics.encode(true, Timestamp::UNIX_EPOCH).unwrap();
        for line in [
            "kubefresh_leader 1",
            "kubefresh_patches_total{result=\"conflict\"} 1",
            "kubefresh_notices_total{reason=\"ImageUpdated\",result=\"already-told\"} 1",
            "kubefresh_updates_total{kind=\"CronJob\",result=\"completed\"} 1",
            "kubefresh_watch_failures_total{resource=\"deployments\"} 1",
            "kubefresh_messages_total{channel=\"webhook\",result=\"given-up\"} 1",
            "kubefresh_messages_total{channel=\"webhook\",result=\"sent\"} 0",
            "kubefresh_messages_waiting{} 2",
            "kubefresh_workloads{kind=\"Deployment\",state=\"settled\"} 1",
            "kubefresh_containers{verdict=\"no-record\"} 1",
            "kubefresh_records{state=\"readable\"} 0",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is missing in\n{text}"
            );
        }
        let names = text.lines().filter(|line| !line.starts_with('#'));
        assert!(
            names.into_iter().all(|line| line.starts_with("kubefresh_")),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_former_leader_forgets_what_it_saw_and_keeps_what_it_did() {
        let metrics = Metrics::default();
        metrics.looked(&Snapshot::default(), &plan());
        metrics.patched(PatchResult::Sent);
        metrics.forget();
        let text = metrics.encode(false, Timestamp::UNIX_EPOCH).unwrap();
        assert!(!text.contains("kubefresh_containers{"), "{text}");
        assert!(
            text.contains("kubefresh_patches_total{result=\"sent\"} 1"),
            "{text}"
        );
        assert!(text.contains("kubefresh_leader 0"), "{text}");
    }

    #[test]
    fn the_age_of_the_oldest_scan_is_that_at_the_moment_of_asking() {
        let metrics = Metrics::default();
        metrics.set_oldest_scan(Some(Timestamp::UNIX_EPOCH));
        let text = metrics.encode(true, Timestamp::from_second(90).unwrap()).unwrap();
        assert!(
            text.contains("kubefresh_oldest_complete_scan_age_seconds{} 90"),
            "{text}"
        );
    }
}
