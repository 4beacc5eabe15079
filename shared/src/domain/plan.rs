//! What to do now, for every workload, and why: the whole decision, as a function of what was seen.
//!
//! Nothing here reads a clock or a cluster. The same plan serves the updater's run and everything that explains it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

pub use self::assessment::{Action, Assessment, Update};
pub(super) use self::decide::choice;
use self::decide::{Consent, decide};
pub use self::gate::{Gate, Unwatched};
use self::part::Part;
pub use self::pending::Pending;
pub use self::readings::Readings;
pub use self::rollouts::Tried;
pub use self::running::RunningUnknown;
pub use self::seen::Seen;
pub use self::snapshot::{NodesRead, PodsRead, ReplicaSetsRead, Snapshot};
pub use self::taken_back::TakenBack;
use self::undo::Requests;
pub use self::undo::{Asked, RefusedUndo, Unfit, ask};
pub use self::verdict::{
    ContainerVerdict, Target, Terms, Verdict, approval, approval_annotation, approval_command,
};
use super::annotations::{APPROVED, Mode, PENDING, of_container};
use super::channel::Channel;
use super::decision::spend;
use super::in_flight::{ImageChange, InFlight, begins, that_fit};
use super::rollout::{self, RolloutStatus};
use super::watched::{self, Problem, Reading, Watched};
use super::workload::{Workload, WorkloadId};

mod assessment;
mod decide;
mod gate;
mod notes;
mod part;
mod pending;
mod readings;
mod remembered;
mod rollback;
mod rollouts;
mod running;
mod seen;
mod snapshot;
mod stride;
mod taken_back;
mod undo;
mod verdict;

/// Bounds that hold for the whole installation, and for the making of a plan.
#[derive(Debug, Clone, Copy)]
pub struct PlanLimits {
    /// Findings older than this are no grounds for a decision.
    pub max_record_age: SignedDuration,
    /// How many rollouts may be under way at once; `None`: any number.
    pub max_rollouts: Option<u32>,
    /// The same, in each namespace.
    pub max_rollouts_per_namespace: Option<u32>,
    /// No update starts while some part of the cluster that decisions need has not been watched for so long.
    pub max_unwatched: SignedDuration,
    /// How many threads may share the work. Nothing is decided by it.
    pub threads: usize,
}

/// What to do, one entry a workload that is watched, in flight or wrong; the others have none.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub assessments: Vec<Assessment>,
    /// When to look again although nothing changed: the next deadline.
    pub next_look: Option<Timestamp>,
    /// On which channels people are told of a workload, where it is not on all.
    pub channels: Channels,
}

/// By workload.
pub type Channels = BTreeMap<WorkloadId, Arc<BTreeSet<Channel>>>;

/// What is to become of a workload, were it the only one.
struct Assessed {
    containers: Vec<ContainerVerdict>,
    action: Action,
    /// Whether an update of it may start: that is made once its turn has come.
    may_start: bool,
}

impl Assessed {
    fn new(containers: Vec<ContainerVerdict>, action: Action) -> Self {
        Self {
            containers,
            action,
            may_start: false,
        }
    }
}

/// Plans for everything in the snapshot.
pub fn plan(snapshot: &Snapshot, limits: &PlanLimits, now: Timestamp) -> Plan {
    finish(Part::whole(snapshot, limits, now), snapshot, limits, now)
}

/// What depends on all the others: whose turn it is.
fn finish(whole: Part<'_>, snapshot: &Snapshot, limits: &PlanLimits, now: Timestamp) -> Plan {
    let Part {
        mut assessments,
        mut starts,
        turns,
        channels,
        next_look,
    } = whole;
    turns.hold_back(&mut assessments, &mut starts, limits);
    for (assessment, start) in assessments.iter_mut().zip(starts) {
        if let Some(Ok(reading)) = start.as_deref() {
            // Only those whose turn it is are asked about.
            if let Some(gate) = remembered::unknown(&assessment.workload, snapshot) {
                wait(&mut assessment.containers, &gate, None);
                continue;
            }
            let update = update(&assessment.workload, reading, &assessment.containers, now);
            assessment.action = Action::Start(Box::new(update));
        }
    }
    Plan {
        assessments,
        next_look,
        channels,
    }
}

/// When there will be something else to do with a workload although nothing changed.
fn next_look(
    workload: &Workload,
    containers: &[ContainerVerdict],
    action: &Action,
    snapshot: &Snapshot,
) -> Option<Timestamp> {
    match action {
        Action::Follow {
            in_flight,
            status: RolloutStatus::InProgress(_),
            holds: _,
            kept: _,
        } => {
            // Whoever is to ask its pods comes back for that.
            let term = snapshot.term(workload, in_flight);
            rollout::deadline(workload, term).filter(|_| !snapshot.asked_later.contains(&workload.uid))
        }
        Action::Follow {
            status: RolloutStatus::Completed(_) | RolloutStatus::Failed(_) | RolloutStatus::Superseded { .. },
            ..
        }
        | Action::RollBack { .. }
        | Action::Undo { .. }
        | Action::TakenBack(_)
        | Action::Stop(_)
        | Action::StopForMarker(_) => None,
        Action::Nothing | Action::Start(_) => {
            let verdicts = containers.iter().map(|entry| &entry.verdict);
            verdicts.filter_map(Verdict::holds_until).min()
        }
    }
}

/// `None` for a workload that has nothing to do with us. What it says is not there where nobody knows what lies beneath it.
fn assess(
    workload: &Workload,
    read: Option<&Result<Reading, Vec<Problem>>>,
    requests: &Requests,
    snapshot: &Snapshot,
    limits: &PlanLimits,
    now: Timestamp,
) -> Option<Assessed> {
    if read.is_none() && !snapshot.seen.knows(workload) {
        // Nobody is to look into its namespace, where another installation may. What was begun before that was so is followed.
        return None;
    }
    let is_over = |marker: &InFlight| seen::is_over(marker, workload, snapshot.seen.of(workload));
    let mut over = false;
    match InFlight::read(&workload.annotations) {
        Ok(None) => {}
        Ok(Some(in_flight)) if in_flight.is_of_the_future(now) => {
            let error = in_flight.begun_in_the_future();
            return Some(Assessed::new(Vec::new(), Action::StopForMarker(error)));
        }
        Ok(Some(in_flight)) if is_over(&in_flight) => over = true,
        Ok(Some(in_flight)) => return Some(follow(workload, read, requests, in_flight, snapshot, now)),
        Err(error) => return Some(Assessed::new(Vec::new(), Action::StopForMarker(error))),
    }
    if let Some(in_flight) = seen::taken_away(workload, snapshot.seen.of(workload)) {
        return Some(follow(workload, read, requests, in_flight, snapshot, now));
    }
    let reading = match read? {
        Ok(reading) => reading,
        Err(problems) => return Some(Assessed::new(Vec::new(), Action::Stop(problems.clone()))),
    };
    if reading.watched.is_empty() && reading.passed_over.is_empty() {
        // What we wrote before it opted out is not left behind, and what we did can be undone.
        let is_ours = workload.annotations.contains_key(PENDING) || undo::is_asked(workload);
        let action = undo::undo(workload, requests, reading, snapshot, now).map_or(Action::Nothing, |undo| {
            Action::Undo {
                undo: Box::new(undo),
                abandoned: None,
            }
        });
        return is_ours.then(|| Assessed::new(Vec::new(), action));
    }
    if let Some(taken_back) = taken_back::taken_back(workload, reading, snapshot, over) {
        let noted = taken_back.noted(workload);
        let read_anew = watched::read(&noted, snapshot.namespaces.layer(&workload.id.namespace)?);
        let reading = read_anew.as_ref().unwrap_or(reading);
        let containers = verdicts(&reading.watched, |watched| {
            decide(&noted, watched, snapshot, limits, now)
        });
        return Some(Assessed::new(containers, Action::TakenBack(Box::new(taken_back))));
    }
    if let Some(undo) = undo::undo(workload, requests, reading, snapshot, now) {
        let containers = verdicts(&reading.watched, |_| Verdict::InFlight);
        let (undo, abandoned) = (Box::new(undo), None);
        return Some(Assessed::new(containers, Action::Undo { undo, abandoned }));
    }
    let containers = offered(workload, reading, snapshot, limits, now);
    let is_update = |entry: &ContainerVerdict| matches!(entry.verdict, Verdict::Update(_));
    let may_start = containers.iter().any(is_update);
    Some(Assessed {
        may_start,
        ..Assessed::new(containers, Action::Nothing)
    })
}

/// The verdicts on a workload that nothing else is to be done with.
fn offered(
    workload: &Workload,
    reading: &Reading,
    snapshot: &Snapshot,
    limits: &PlanLimits,
    now: Timestamp,
) -> Vec<ContainerVerdict> {
    let mut containers = verdicts(&reading.watched, |watched| {
        decide(workload, watched, snapshot, limits, now)
    });
    for (entry, watched) in containers.iter_mut().zip(&reading.watched) {
        // What has to be asked about is asked the moment that it is old enough, whenever it may start then.
        if let Some(target) = entry.verdict.matures()
            && decide::consent(workload, watched, snapshot, target, now).0 == Consent::Given
        {
            entry.verdict.wait_for_window(&reading.settings);
        }
    }
    if containers
        .iter()
        .any(|entry| matches!(entry.verdict, Verdict::Update(_)))
        && let Some((gate, until)) = closed(workload, reading, snapshot, limits, now)
    {
        wait(&mut containers, &gate, until);
    }
    containers.extend(reading.passed_over.iter().map(ContainerVerdict::from));
    containers
}

/// Puts a gate in the way of every update.
fn wait(containers: &mut [ContainerVerdict], gate: &Gate, until: Option<Timestamp>) {
    for entry in containers {
        entry.verdict.wait(gate.clone(), until);
    }
}

/// What keeps any update of a workload from starting now, and until when.
fn closed(
    workload: &Workload,
    reading: &Reading,
    snapshot: &Snapshot,
    limits: &PlanLimits,
    now: Timestamp,
) -> Option<(Gate, Option<Timestamp>)> {
    let unwatched = snapshot.unwatched(limits, now);
    let unwatched = unwatched.map(|unwatched| (Gate::Unwatched(Arc::clone(unwatched)), None));
    unwatched
        .or_else(|| Gate::closed(&reading.settings, now))
        .or_else(|| Gate::scan(&reading.watched, snapshot, now).map(|(gate, until)| (gate, Some(until))))
        .or_else(|| remembered::unreadable(workload, snapshot).map(|gate| (gate, None)))
}

/// The update of all containers of a workload that have one.
fn update(workload: &Workload, reading: &Reading, containers: &[ContainerVerdict], now: Timestamp) -> Update {
    let changes = that_fit(changes(containers));
    let begins = begins(&workload.annotations, now);
    Update {
        init_containers: init_containers(workload, &changes),
        spent: spent_approvals(workload, &reading.watched, &changes),
        in_flight: InFlight::new(changes, begins, reading.settings.rollout_timeout)
            .replacing(&workload.rollout),
        holds: BTreeMap::new(),
        last_images: None,
    }
}

/// An update under way is followed to its end even when somebody broke the settings or opted out meanwhile.
fn follow(
    workload: &Workload,
    read: Option<&Result<Reading, Vec<Problem>>>,
    requests: &Requests,
    in_flight: InFlight,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Assessed {
    let term = snapshot.term(workload, &in_flight);
    let completion = snapshot.completion(workload, &in_flight);
    let status = match (rollout::evaluate(workload, &in_flight, term, now), completion) {
        (RolloutStatus::InProgress(_) | RolloutStatus::Failed(_), Some(completion)) => {
            RolloutStatus::Completed(completion)
        }
        (RolloutStatus::Failed(failure), None) => snapshot.as_pods_say(workload, &in_flight, failure),
        (
            status @ (RolloutStatus::InProgress(_)
            | RolloutStatus::Completed(_)
            | RolloutStatus::Superseded { .. }),
            _,
        ) => status,
    };
    // Nobody is shown a verdict where the settings cannot be read.
    let reading = read.and_then(|read| read.as_ref().ok());
    let watched = reading.map(|reading| reading.watched.as_slice());
    let containers = verdicts(watched.unwrap_or_default(), |_| Verdict::InFlight);
    let undo = reading
        .filter(|_| matches!(status, RolloutStatus::InProgress(_)))
        .and_then(|reading| undo::undo(workload, requests, reading, snapshot, now));
    let action = match undo {
        Some(undo) => Action::Undo {
            undo: Box::new(undo),
            abandoned: Some(Box::new(in_flight)),
        },
        None => rollback::follow(workload, in_flight, status, reading, snapshot, now),
    };
    Assessed::new(containers, action)
}

/// The verdict on each watched container.
fn verdicts(watched: &[Watched], decide: impl Fn(&Watched) -> Verdict) -> Vec<ContainerVerdict> {
    let verdict = |watched: &Watched| ContainerVerdict {
        container: watched.container.clone(),
        image: watched.image.text(),
        mode: watched.settings.mode,
        verdict: decide(watched),
    };
    watched.iter().map(verdict).collect()
}

fn changes(containers: &[ContainerVerdict]) -> BTreeMap<String, ImageChange> {
    let change = |entry: &ContainerVerdict| {
        let Verdict::Update(target) = &entry.verdict else {
            return None;
        };
        Some((entry.container.clone(), target.change(&entry.image)))
    };
    containers.iter().filter_map(change).collect()
}

fn init_containers(workload: &Workload, changes: &BTreeMap<String, ImageChange>) -> BTreeSet<String> {
    let init = workload
        .containers
        .iter()
        .filter(|container| container.init && changes.contains_key(&container.name));
    init.map(|container| container.name.clone()).collect()
}

/// The approval of the whole workload is left where nothing went by it and a container may still be waiting for it.
fn spent_approvals(
    workload: &Workload,
    watched: &[Watched],
    changes: &BTreeMap<String, ImageChange>,
) -> BTreeMap<String, Option<String>> {
    let own = changes.keys().map(|container| of_container(container, APPROVED));
    let asks = |watched: &&Watched| {
        let settings = &watched.settings;
        settings.mode == Mode::Approve
            || (settings.mode == Mode::Auto && !settings.require_approval.is_empty())
    };
    let used = watched
        .iter()
        .filter_map(|watched| Some((watched, changes.get(&watched.container)?)))
        .any(|(watched, change)| asks(&watched) || decide::taken_back(workload, watched, &change.to));
    let common = (used || !watched.iter().any(|watched| asks(&watched))).then(|| APPROVED.to_owned());
    let there = own
        .chain(common)
        .filter(|key| workload.annotations.contains_key(key));
    let gone = there.map(|key| (key, None));
    gone.chain(spend(&workload.annotations, changes.keys().map(String::as_str)))
        .collect()
}

#[cfg(test)]
pub(super) mod tests;
