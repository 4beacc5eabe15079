//! The loop that keeps images fresh: look at the cluster, decide, tell, act, and wait for the next change.
//!
//! One look is at everything: what may be done with one workload can depend on all others. Nothing is kept between two
//! looks but what was seen, told and tried, and losing that costs a question, not a mistake.

mod hands;
mod pace;
mod work;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use shared::domain::notice::notices;
use shared::domain::plan::{Action, Assessment, Plan, PlanLimits, Readings, Seen, Snapshot};
use shared::domain::release_notes::book::Waited;
use shared::io::clock;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

pub use self::hands::Hands;
use self::hands::{Begun, Task};
use self::pace::Pace;
use self::work::Work;
use crate::gather::gather;
use crate::leader::Leadership;
use crate::notes::AllWanted;
use crate::outbox::{Outbox, Told};
use crate::pods::PodReader;
use crate::scans::ScanRequester;
use crate::signals::Signals;
use crate::watch::Stores;

/// How often the loop turns when nothing happens, to say that it is alive. It looks at nothing then.
const TURN: Duration = Duration::from_secs(20);

/// Everything the loop needs.
#[derive(Debug)]
pub struct Reconciler {
    pub stores: Stores,
    pub leadership: Leadership,
    pub hands: Arc<Hands>,
    /// What they do.
    pub work: Doing,
    /// Shared with the pages: what pods said is asked for once.
    pub pods: Arc<PodReader>,
    pub scans: ScanRequester,
    /// `None` where nobody else is to be told anything.
    pub outbox: Option<Outbox>,
    /// Whose release notes are wanted; `None` where nobody fetches any.
    pub notes: Option<watch::Sender<AllWanted>>,
    pub limits: PlanLimits,
    pub signals: Signals,
    pub seen: Seen,
    pub readings: Readings,
    pub waited: Waited,
}

/// What was begun, and the updates that came of it.
pub type Doing = Work<Option<Begun>>;

/// What came of a look.
#[derive(Debug)]
struct Look {
    /// When to look again although nothing changed.
    next: Option<Instant>,
    /// How long it took to see and decide, before anything was done.
    decided_in: Duration,
}

impl Reconciler {
    /// Turns until `stop`; calls that are under way then are waited for.
    pub async fn run(&mut self, stop: &CancellationToken) {
        let mut next_look = None;
        let mut pace = Pace::default();
        while self.wait(next_look, stop).await {
            if self.may_look() {
                let look = self.reconcile().await;
                next_look = look.next;
                let pause = pace.pause(look.decided_in);
                stop.run_until_cancelled(tokio::time::sleep(pause)).await;
            } else {
                // Whoever comes to lead is woken by its claim and looks at once.
                self.signals.metrics.forget();
                self.scans.forget();
                if let Some(outbox) = &mut self.outbox {
                    outbox.forget();
                }
                self.seen = Seen::default();
                self.readings = Readings::default();
                self.waited = Waited::default();
                next_look = None;
            }
        }
        while !self.work.is_idle() {
            self.work.next().await;
        }
    }

    /// Notes what came of the last messages. Called at the end, before the lease is given back.
    pub async fn finish(&mut self) {
        if let Some(outbox) = &mut self.outbox {
            outbox.finish(&self.signals.metrics).await;
        }
    }

    /// Waits for a reason to look: a change in the cluster, a claim, a time that has come. `false`: stop.
    async fn wait(&mut self, next_look: Option<Instant>, stop: &CancellationToken) -> bool {
        let acting = self.leadership.may_act();
        loop {
            self.signals.health.turned(Instant::now());
            let turn = Instant::now() + TURN;
            tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                () = self.leadership.no_longer(acting) => return true,
                () = self.signals.look_again.notified() => return true,
                Some(begun) = self.work.next(), if !self.work.is_idle() => {
                    self.take_in_late(begun);
                    return true;
                }
                () = sleep_until(next_look.unwrap_or(turn)), if next_look.is_some() => return true,
                () = sleep_until(turn) => {}
            }
        }
    }

    /// Only a leader looks, and only at the whole: half a cluster is no ground for a decision.
    fn may_look(&self) -> bool {
        self.leadership.may_act() && self.signals.health.missing().is_empty()
    }

    /// One look and everything that follows from it.
    async fn reconcile(&mut self) -> Look {
        let begun = Instant::now();
        let now = clock::now();
        for late in self.work.ended() {
            self.take_in_late(late);
        }
        let (mut snapshot, last_run) = gather(&self.stores);
        snapshot.tried = self.hands.applier.tried(begun);
        self.work.add_tried(&mut snapshot);
        snapshot.seen = std::mem::take(&mut self.seen);
        snapshot.seen.look(now);
        snapshot.notes.waited = std::mem::take(&mut self.waited);
        snapshot.readings = std::mem::take(&mut self.readings).renewed(&snapshot);
        let plan = self
            .pods
            .plan(&mut snapshot, &self.limits, now, Assessment::needs_pods)
            .await;
        self.signals.metrics.looked(&snapshot, &plan);
        self.signals.metrics.scanned(last_run.as_ref());
        self.want_notes(&mut snapshot, &plan, now);
        self.seen = std::mem::take(&mut snapshot.seen);
        self.seen.take_in(&plan);
        let decided_in = begun.elapsed();
        self.carry_out(&snapshot, &plan, now).await;
        self.readings = std::mem::take(&mut snapshot.readings);

        let asked = self
            .scans
            .look(
                &plan,
                self.stores.scanner.as_ref(),
                last_run.as_ref(),
                now,
                &self.signals.metrics,
            )
            .await;
        let checked = asked.checked.into_iter();
        let checked = checked
            .map(|(assessment, annotations)| Task::Checked(assessment, annotations))
            .filter(|task| self.hands.can_begin(task))
            .collect();
        self.begin(checked, now).await;

        self.signals.metrics.reconciled(begun.elapsed());
        let outbox = self.outbox.as_ref();
        let sends = outbox.and_then(|outbox| outbox.next_look(now));
        let looks = plan.next_look.into_iter().chain(asked.next_look).chain(sends);
        let deadline = looks.min().map(|at| begun + until(at, now));
        let retries = [
            self.hands.notifier.next_attempt(begun),
            self.hands.applier.next_attempt(begun),
            self.pods.next_attempt(begun),
            self.scans.next_attempt(begun),
            outbox.and_then(|outbox| outbox.next_attempt(begun)),
        ];
        Look {
            next: retries.into_iter().chain([deadline]).flatten().min(),
            decided_in,
        }
    }

    /// Says whose notes are wanted, which somebody else fetches.
    fn want_notes(&mut self, snapshot: &mut Snapshot, plan: &Plan, now: Timestamp) {
        let Some(notes) = &self.notes else {
            return;
        };
        let wanted = snapshot.notes_wanted(plan);
        let unanswered_since = snapshot.notes.want(&wanted, now);
        self.signals.metrics.notes_unanswered_since(unanswered_since);
        self.waited = std::mem::take(&mut snapshot.notes.waited);
        notes.send_if_modified(|before| {
            let is_new = **before != wanted;
            if is_new {
                *before = Arc::new(wanted);
            }
            is_new
        });
    }

    /// Tells and does what the plan says, as far as there is room for it now.
    async fn carry_out(&mut self, snapshot: &Snapshot, plan: &Plan, now: Timestamp) {
        let told: Vec<Told<'_>> = plan
            .assessments
            .iter()
            .map(|assessment| (assessment, notices(assessment)))
            .collect();
        let hands = &self.hands;
        hands.notifier.prune(told.iter().flat_map(|(_, notices)| notices));
        hands.applier.prune(plan);
        if let Some(outbox) = &mut self.outbox {
            outbox
                .look(&told, (snapshot, plan), now, &self.signals.metrics)
                .await;
        }
        let outbox = self.outbox.as_ref();
        let tasks = told.into_iter().map(|(assessment, notices)| {
            let entered = outbox.is_none_or(|outbox| outbox.has_entered(&notices));
            Task::Tell {
                assessment,
                notices,
                entered,
            }
        });
        let mut tasks: Vec<Task<'_>> = tasks.filter(|task| hands.can_begin(task)).collect();
        // Of what is as urgent, that which never failed: so whatever can be done is done some time.
        tasks.sort_by_cached_key(|task| (task.urgency(), hands.failures(task)));
        tasks.extend(hands.notifier.late().into_iter().map(Task::Late));
        let left = self.begin(tasks, now).await;
        let took_a_turn = |assessment: &Assessment| {
            matches!(assessment.action, Action::Start(_))
                && !snapshot.tried.contains_key(&assessment.workload.uid)
        };
        if left.into_iter().any(took_a_turn) {
            // It is the turn of others meanwhile.
            self.signals.look_again.notify_one();
        }
    }

    /// Returns what there was no room for.
    async fn begin<'p>(&mut self, tasks: Vec<Task<'p>>, now: Timestamp) -> Vec<&'p Assessment> {
        self.signals.health.turned(Instant::now());
        let hands = &self.hands;
        let look = Instant::now();
        let (begun, left) = self
            .work
            .carry_out(tasks, |task| {
                Arc::clone(hands).carry_out(task.into(), (look, now))
            })
            .await;
        for begun in begun.into_iter().flatten() {
            if begun.look == look {
                self.seen.gave(&begun.assessment, &begun.update);
            } else {
                self.take_in_late(Some(begun));
            }
        }
        left.iter().filter_map(Task::assessment).collect()
    }

    /// What began in a look that did not wait for it. Others have followed, and may have seen what it did, and more.
    fn take_in_late(&mut self, begun: Option<Begun>) {
        let begun = begun.filter(|begun| self.seen.shows(&begun.assessment.workload));
        if let Some(Begun {
            assessment, update, ..
        }) = begun
        {
            self.seen.gave(&assessment, &update);
        }
    }
}

/// Nothing for a time that has passed.
fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}
