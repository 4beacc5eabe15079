//! What a plan is made from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::PlanLimits;
use super::gate::Unwatched;
use super::readings::Readings;
use super::rollouts::Tried;
use super::seen::{self, Seen};
use crate::domain::annotations::Namespaces;
use crate::domain::in_flight::InFlight;
use crate::domain::nodes::{Nodes, NodesUnread};
use crate::domain::pods::{Moved, Pods};
use crate::domain::policy::Hold;
use crate::domain::record::config_map::{RecordError, record_name};
use crate::domain::record::{ScanRecord, TagRecord};
use crate::domain::reference::{Repository, Tag};
use crate::domain::release_notes::book::NotesBook;
use crate::domain::replica_sets::{ReplicaSets, ReplicaSetsUnread};
use crate::domain::rollout::{Completion, Failure, RolloutStatus, Term};
use crate::domain::workload::Workload;

/// Everything that a plan is made from.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// In an order that stays: of two whose turn is as near, the first has it. Shared with whoever follows the cluster, as there can be
    /// many.
    pub workloads: Vec<Arc<Workload>>,
    /// By the name of their ConfigMap; one that cannot be read stops the workloads that need it and no others. Shared with
    /// whoever read it: a record can be large, and the next snapshot mostly holds the same.
    pub records: HashMap<String, Result<Arc<ScanRecord>, RecordError>>,
    /// What became of the last patches, by the uid of the workload, where it cannot be seen yet.
    pub tried: BTreeMap<String, Tried>,
    /// What the pods of a workload said, by its uid; only those that were asked for have an entry.
    pub pods: BTreeMap<String, PodsRead>,
    /// How far rollouts under way have come by their pods, by the uid of the workload, as far as anybody asked.
    pub moved: BTreeMap<String, Moved>,
    /// Whose pods could not be asked yet although its rollout has outlasted its time, by its uid: it may move still.
    pub asked_later: BTreeSet<String>,
    /// The nodes of the cluster; nothing where nobody has asked for them.
    pub nodes: Option<NodesRead>,
    /// What the `ReplicaSets` of a Deployment know of updates, by its uid; only those that were asked for have an entry.
    pub replica_sets: BTreeMap<String, ReplicaSetsRead>,
    /// What lies beneath the workloads' own annotations.
    pub namespaces: Namespaces,
    /// What the same updater saw before; nothing where it has just come to lead, or does not run at all.
    pub seen: Seen,
    /// The settings as far as they were read before; the rest is read by the plan.
    pub readings: Readings,
    /// What is known of release notes, and where more may be asked.
    pub notes: NotesBook,
    /// In which zone a time is told where another tool promises that of the place; UTC where nobody says.
    pub time_zone: Option<TimeZone>,
    /// What cannot be watched now, however short that has been so.
    pub unwatched: Vec<Arc<Unwatched>>,
}

impl Snapshot {
    /// What has not been watched for so long that no update starts by what was seen of it.
    pub(super) fn unwatched(&self, limits: &PlanLimits, now: Timestamp) -> Option<&Arc<Unwatched>> {
        let first = self.unwatched.iter().min_by_key(|unwatched| unwatched.since)?;
        (now.duration_since(first.since) >= limits.max_unwatched).then_some(first)
    }

    /// What keeps one of a workload's new pods from being ready, as far as anybody asked.
    pub fn trouble(&self, uid: &str) -> Option<&str> {
        self.pods.get(uid)?.as_ref().ok()?.trouble()
    }

    /// How long this rollout may go on. One that was found to have failed has, though a pod became ready before it could be undone.
    pub(super) fn term(&self, workload: &Workload, in_flight: &InFlight) -> Term {
        let sighting = self.seen.of(workload);
        let moved = self.moved.get(&workload.uid).copied();
        Term {
            moved: moved.filter(|_| !seen::was_found_to_fail(in_flight, sighting)),
            ..seen::term(in_flight, workload, &self.seen)
        }
    }

    /// How this rollout was found to have completed, of which people were told or are about to be: what happens before that is written
    /// down is no part of it any more.
    pub(super) fn completion(&self, workload: &Workload, in_flight: &InFlight) -> Option<Completion> {
        seen::found_completion(in_flight, self.seen.of(workload))
    }

    /// A failure with what one of the new pods says of it. That a rollout has taken too long counts only once they were asked.
    pub(super) fn as_pods_say(
        &self,
        workload: &Workload,
        in_flight: &InFlight,
        failure: Failure,
    ) -> RolloutStatus {
        let was_found = seen::was_found_to_fail(in_flight, self.seen.of(workload));
        let is_unsure = !was_found && self.asked_later.contains(&workload.uid);
        match failure {
            Failure::RolloutTimeout { waiting, .. } if is_unsure => RolloutStatus::InProgress(waiting),
            failure @ (Failure::RolloutTimeout { .. } | Failure::ProgressDeadlineExceeded { .. }) => {
                RolloutStatus::Failed(match self.trouble(&workload.uid) {
                    Some(said) => failure.said_by(said),
                    None => failure,
                })
            }
        }
    }

    /// What the policy of a watched container would have as the newest, whatever its mode: what it has where nothing is newer, and
    /// nothing where no scan has looked for it.
    pub(in crate::domain) fn newest(&self, workload: &Arc<Workload>, container: &str) -> Option<Hold> {
        let layer = self.namespaces.layer(&workload.id.namespace)?;
        let read = self.readings.of(workload, layer);
        let watched = read.as_ref().as_ref().ok()?.container(container)?;
        let record = self.records.get(&watched.record)?.as_ref().ok()?;
        let findings = record.findings.as_ref()?;
        let demand = &watched.demand;
        if record.repository != *watched.image.repository() || !findings.covers(demand) {
            return None;
        }
        if !demand.policy.follows_digest() {
            let candidates = findings.candidates(demand);
            let newest = candidates.first().copied().unwrap_or(&demand.tag);
            return Some(Hold::Tag(newest.clone()));
        }
        let published = findings.tag(&demand.tag)?.digest.as_ref()?;
        Some(if watched.image.digest()? == published {
            Hold::Tag(demand.tag.clone())
        } else {
            Hold::Digest(published.clone())
        })
    }

    /// What is recorded of a tag, if anything that can be read is.
    pub(in crate::domain) fn recorded(&self, repository: &Repository, tag: &Tag) -> Option<&TagRecord> {
        let record = self.records.get(&record_name(repository))?.as_ref().ok()?;
        let findings = record.findings.as_ref()?;
        findings.tag(tag).filter(|_| record.repository == *repository)
    }
}

/// What a workload's pods said as it stands now, or why they could not be read.
pub type PodsRead = Result<Arc<Pods>, String>;

/// What a Deployment's `ReplicaSets` say as it stands now, or why they could not be read.
pub type ReplicaSetsRead = Result<Arc<ReplicaSets>, ReplicaSetsUnread>;

/// The nodes, or why they could not be read.
pub type NodesRead = Result<Arc<Nodes>, NodesUnread>;
