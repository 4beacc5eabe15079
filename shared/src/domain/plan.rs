//! What to do now, for every workload, and why: the whole decision, as a function of what was seen.
//!
//! Nothing here reads a clock or a cluster. The same plan serves the updater's run and everything that explains it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::annotations::{APPROVED, Approved, Mode, PREFIX};
use super::in_flight::{ImageChange, InFlight, InFlightError, last_given};
use super::policy::{SelectionReason, SelectionRequest, select};
use super::record::config_map::{RecordError, record_name};
use super::record::{Findings, ScanRecord};
use super::reference::{Digest, ImageReference, Tag};
use super::rollout::{self, RolloutStatus};
use super::schedule::Schedule;
use super::watched::{self, Problem, Watched};
use super::workload::{Workload, WorkloadId};

/// Everything that a plan is made from.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Shared with whoever follows the cluster, as there can be many.
    pub workloads: Vec<Arc<Workload>>,
    /// By the name of their ConfigMap; one that cannot be read stops the workloads that need it and no others. Shared with
    /// whoever read it: a record can be large, and the next snapshot mostly holds the same.
    pub records: BTreeMap<String, Result<Arc<ScanRecord>, RecordError>>,
}

/// Bounds that hold for the whole installation.
#[derive(Debug, Clone, Copy)]
pub struct PlanLimits {
    /// Findings older than this are no grounds for a decision.
    pub max_record_age: SignedDuration,
}

/// What to do, one entry a workload that is watched, in flight or wrong; the others have none.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub assessments: Vec<Assessment>,
    /// When to look again although nothing changed: the next deadline.
    pub next_look: Option<Timestamp>,
}

/// One workload's part of the plan.
#[derive(Debug, Clone)]
pub struct Assessment {
    pub workload: WorkloadId,
    pub uid: String,
    pub resource_version: String,
    /// One for each watched container.
    pub containers: Vec<ContainerVerdict>,
    pub action: Action,
}

/// What to do with a workload.
#[derive(Debug, Clone)]
pub enum Action {
    /// Nothing; each container's verdict says why.
    Nothing,
    /// Nothing until somebody mends what is wrong.
    Stop(Vec<Problem>),
    /// The in-flight marker cannot be read, so nobody knows whether an update is under way.
    StopForMarker(InFlightError),
    /// Apply this update.
    Start(Update),
    /// An update is under way: this is where it stands.
    Follow {
        in_flight: InFlight,
        status: RolloutStatus,
    },
}

/// An update of one workload, all its containers in one patch and so in one rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    pub in_flight: InFlight,
    /// Which of the containers stand under `initContainers`.
    pub init_containers: BTreeSet<String>,
    /// Annotations that agreed to this update and are used up by it.
    pub spent_approvals: BTreeSet<String>,
}

/// A watched container, its image as written, and what was decided.
#[derive(Debug, Clone)]
pub struct ContainerVerdict {
    pub container: String,
    pub image: String,
    pub verdict: Verdict,
}

/// What was decided for one container, and why.
#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Verdict {
    /// Nothing newer that the policy accepts.
    UpToDate {
        reason: SelectionReason,
        /// The newest tag where the current family has ended and another goes on (rules 15 and 1).
        successor: Option<Tag>,
    },
    Update(Target),
    AwaitingApproval(Target),
    /// Mode `notify`: people are told, nothing is done.
    Notify(Target),
    ModeOff,
    /// `kubectl rollout pause`.
    Paused,
    NoRecord,
    RecordUnreadable(RecordError),
    NeverScanned,
    RecordStale {
        scanned_at: Timestamp,
    },
    /// The record does not speak of this tag and policy: nobody asked for them before, or this is why they have no answer.
    NotScannedFor {
        error: Option<String>,
    },
    /// The image is written with a digest, and that of the new tag is not in the record.
    DigestNotRecorded {
        tag: Tag,
    },
    /// The container waits while the workload's own update is under way.
    InFlight,
}

/// Where a container would go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub tag: Tag,
    pub digest: Option<Digest>,
    /// The image to write, in the spelling of the present one.
    pub image: String,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UpToDate {
                reason,
                successor: None,
            } => write!(f, "up to date: {reason}"),
            Self::UpToDate {
                reason,
                successor: Some(newest),
            } => write!(
                f,
                "up to date: {reason}; this variant has ended, and {newest} goes on"
            ),
            Self::Update(target) => write!(f, "update to {}", target.image),
            Self::AwaitingApproval(target) => write!(f, "{} waits for approval", target.image),
            Self::Notify(target) => write!(
                f,
                "{} is available; mode notify leaves it to people",
                target.image
            ),
            Self::ModeOff => f.write_str("mode is off"),
            Self::Paused => f.write_str("the rollout is paused"),
            Self::NoRecord => f.write_str("not scanned yet"),
            Self::RecordUnreadable(error) => write!(f, "{error}"),
            Self::NeverScanned => f.write_str("no scan was complete yet"),
            Self::RecordStale { scanned_at } => write!(f, "the last complete scan is too old ({scanned_at})"),
            Self::NotScannedFor { error: None } => {
                f.write_str("the next scan will look for this tag and policy")
            }
            Self::NotScannedFor { error: Some(error) } => write!(f, "the last scan found no answer: {error}"),
            Self::DigestNotRecorded { tag } => write!(f, "the digest of {tag} is not recorded yet"),
            Self::InFlight => f.write_str("an update is under way"),
        }
    }
}

/// Plans for everything in the snapshot.
pub fn plan(snapshot: &Snapshot, limits: &PlanLimits, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    for workload in &snapshot.workloads {
        if workload.deleted_at.is_some() {
            continue;
        }
        let Some((containers, action)) = assess(workload, snapshot, limits, now) else {
            continue;
        };
        if let Action::Follow {
            in_flight,
            status: RolloutStatus::InProgress(_),
        } = &action
        {
            plan.next_look = [plan.next_look, Some(in_flight.deadline)]
                .into_iter()
                .flatten()
                .min();
        }
        plan.assessments.push(Assessment {
            workload: workload.id.clone(),
            uid: workload.uid.clone(),
            resource_version: workload.resource_version.clone(),
            containers,
            action,
        });
    }
    plan
}

/// `None` for a workload that has nothing to do with us.
fn assess(
    workload: &Workload,
    snapshot: &Snapshot,
    limits: &PlanLimits,
    now: Timestamp,
) -> Option<(Vec<ContainerVerdict>, Action)> {
    // An update under way is followed to its end even when somebody broke the settings or opted out meanwhile.
    match InFlight::read(&workload.annotations) {
        Ok(None) => {}
        Ok(Some(in_flight)) => {
            let status = rollout::evaluate(workload, &in_flight, now);
            // Nobody is shown a verdict where the settings cannot be read.
            let watched = watched::read(workload).map(|reading| reading.watched);
            let containers = verdicts(&watched.unwrap_or_default(), |_| Verdict::InFlight);
            return Some((containers, Action::Follow { in_flight, status }));
        }
        Err(error) => return Some((Vec::new(), Action::StopForMarker(error))),
    }
    let reading = match watched::read(workload) {
        Ok(reading) => reading,
        Err(problems) => return Some((Vec::new(), Action::Stop(problems))),
    };
    if reading.watched.is_empty() {
        return None;
    }
    let containers = verdicts(&reading.watched, |watched| {
        decide(workload, watched, snapshot, limits, now)
    });
    let changes = changes(&containers);
    if changes.is_empty() {
        return Some((containers, Action::Nothing));
    }
    let update = Update {
        init_containers: init_containers(&reading.watched, &changes),
        spent_approvals: spent_approvals(workload, &reading.watched, &changes),
        in_flight: InFlight::new(changes, now, reading.settings.rollout_timeout),
    };
    Some((containers, Action::Start(update)))
}

/// The verdict on each watched container.
fn verdicts(watched: &[Watched], decide: impl Fn(&Watched) -> Verdict) -> Vec<ContainerVerdict> {
    let verdict = |watched: &Watched| ContainerVerdict {
        container: watched.container.clone(),
        image: watched.image.to_string(),
        verdict: decide(watched),
    };
    watched.iter().map(verdict).collect()
}

fn changes(containers: &[ContainerVerdict]) -> BTreeMap<String, ImageChange> {
    let change = |entry: &ContainerVerdict| {
        let Verdict::Update(target) = &entry.verdict else {
            return None;
        };
        Some((
            entry.container.clone(),
            ImageChange {
                from: entry.image.clone(),
                to: target.image.clone(),
            },
        ))
    };
    containers.iter().filter_map(change).collect()
}

fn init_containers(watched: &[Watched], changes: &BTreeMap<String, ImageChange>) -> BTreeSet<String> {
    let init = watched
        .iter()
        .filter(|watched| watched.init && changes.contains_key(&watched.container));
    init.map(|watched| watched.container.clone()).collect()
}

/// The approval of the whole workload is left where nothing went by it and a container may still be waiting for it.
fn spent_approvals(
    workload: &Workload,
    watched: &[Watched],
    changes: &BTreeMap<String, ImageChange>,
) -> BTreeSet<String> {
    let own = changes.keys().map(|container| format!("{container}.{APPROVED}"));
    let asks = |watched: &&Watched| watched.settings.mode == Mode::Approve;
    let used = watched
        .iter()
        .filter_map(|watched| Some((watched, changes.get(&watched.container)?)))
        .any(|(watched, change)| asks(&watched) || taken_back(workload, watched, &change.to));
    let common = (used || !watched.iter().any(|watched| asks(&watched))).then(|| APPROVED.to_owned());
    own.chain(common)
        .filter(|key| workload.annotations.contains_key(key))
        .collect()
}

/// The decision for one container.
fn decide(
    workload: &Workload,
    watched: &Watched,
    snapshot: &Snapshot,
    limits: &PlanLimits,
    now: Timestamp,
) -> Verdict {
    if watched.settings.mode == Mode::Off {
        return Verdict::ModeOff;
    }
    let target = match findings(watched, snapshot, limits, now).and_then(|findings| target(watched, findings))
    {
        Ok(target) => target,
        Err(verdict) => return verdict,
    };
    match watched.settings.mode {
        Mode::Off => Verdict::ModeOff,
        Mode::Notify => Verdict::Notify(target),
        Mode::Approve | Mode::Auto if !may_start(workload, watched, &target) => {
            Verdict::AwaitingApproval(target)
        }
        Mode::Auto | Mode::Approve if workload.paused => Verdict::Paused,
        Mode::Auto | Mode::Approve => Verdict::Update(target),
    }
}

/// What the record says, if it may be relied on.
fn findings<'a>(
    watched: &Watched,
    snapshot: &'a Snapshot,
    limits: &PlanLimits,
    now: Timestamp,
) -> Result<&'a Findings, Verdict> {
    let repository = watched.image.repository();
    let name = record_name(repository);
    let record = match snapshot.records.get(&name) {
        None => return Err(Verdict::NoRecord),
        Some(Err(error)) => return Err(Verdict::RecordUnreadable(error.clone())),
        Some(Ok(record)) if record.repository != *repository => {
            let (found, expected) = (record.repository.clone(), repository.clone());
            return Err(Verdict::RecordUnreadable(RecordError::OtherRepository {
                name,
                found,
                expected,
            }));
        }
        Some(Ok(record)) => record,
    };
    let findings = record.findings.as_ref().ok_or(Verdict::NeverScanned)?;
    if !is_fresh(findings.scanned_at, watched.schedule.as_ref(), limits, now) {
        return Err(Verdict::RecordStale {
            scanned_at: findings.scanned_at,
        });
    }
    if findings.covers(&watched.demand) {
        Ok(findings)
    } else {
        let error = record.last_error.as_ref();
        Err(Verdict::NotScannedFor {
            error: error.map(|error| error.message.clone()),
        })
    }
}

/// Whether findings are new enough: by their age, or because no scan of their schedule was missed for that long.
fn is_fresh(scanned_at: Timestamp, schedule: Option<&Schedule>, limits: &PlanLimits, now: Timestamp) -> bool {
    let is_recent = |time: Timestamp| now.duration_since(time) <= limits.max_record_age;
    let is_on_schedule = |schedule: &Schedule| {
        let fell_due = schedule.last(now);
        fell_due.is_none_or(|fell_due| fell_due <= scanned_at || is_recent(fell_due))
    };
    is_recent(scanned_at) || schedule.is_some_and(is_on_schedule)
}

/// Where the policy would go by these findings.
fn target(watched: &Watched, findings: &Findings) -> Result<Target, Verdict> {
    let Watched { image, demand, .. } = watched;
    let remote_digest = findings
        .tag(&demand.tag)
        .and_then(|record| record.digest.as_ref());
    let request = SelectionRequest {
        current_digest: image.digest(),
        remote_digest,
        ..demand.request()
    };
    let selection = select(&request, &findings.tags);
    let Some(tag) = selection.update().cloned() else {
        return Err(Verdict::UpToDate {
            reason: selection.reason,
            successor: selection.successor.map(|successor| successor.newest.clone()),
        });
    };
    let digest = findings.tag(&tag).and_then(|record| record.digest.clone());
    let image = written(
        image,
        demand.pinned || demand.policy.follows_digest(),
        &tag,
        digest.as_ref(),
    )
    .ok_or_else(|| Verdict::DigestNotRecorded { tag: tag.clone() })?;
    Ok(Target { tag, digest, image })
}

/// The new image in the spelling of the old one: with a digest where that has one.
fn written(image: &ImageReference, pin: bool, tag: &Tag, digest: Option<&Digest>) -> Option<String> {
    if pin {
        digest.map(|digest| image.with_tag_and_digest(tag, digest).to_string())
    } else {
        Some(image.with_tag(tag).to_string())
    }
}

fn may_start(workload: &Workload, watched: &Watched, target: &Target) -> bool {
    let asks = watched.settings.mode == Mode::Approve || taken_back(workload, watched, &target.image);
    !asks || approves(watched.settings.approved.as_ref(), watched, target)
}

/// Whether the container was given this image by us before and somebody, a person or another controller, set another
/// since. Giving it again by ourselves would be a fight that nobody wins.
fn taken_back(workload: &Workload, watched: &Watched, target: &str) -> bool {
    let meaning = |image: &str| {
        let image: ImageReference = image.parse().ok()?;
        Some((
            image.repository().clone(),
            image.effective_tag(),
            image.digest().cloned(),
        ))
    };
    last_given(&workload.annotations, &watched.container)
        .and_then(meaning)
        .is_some_and(|given| Some(given) == meaning(target))
}

fn approves(approved: Option<&Approved>, watched: &Watched, target: &Target) -> bool {
    match approved {
        None => false,
        // Under the policy `digest` the tag stays the same for ever: agreeing to it would agree to everything to come.
        Some(Approved::Tag(tag)) => !watched.demand.policy.follows_digest() && *tag == target.tag,
        Some(Approved::Digest(digest)) => target.digest.as_ref() == Some(digest),
    }
}

/// The annotation that would agree to `target`, as `KEY=VALUE` for `kubectl annotate`.
pub fn approval(container: &str, only_container: bool, current: &str, target: &Target) -> String {
    let same_tag = current
        .split('@')
        .next()
        .is_some_and(|name| name.ends_with(&format!(":{}", target.tag)));
    let value = match &target.digest {
        Some(digest) if same_tag => digest.to_string(),
        _ => target.tag.to_string(),
    };
    if only_container {
        format!("{APPROVED}={value}")
    } else {
        format!("{container}.{PREFIX}/approved={value}")
    }
}

#[cfg(test)]
mod tests;
