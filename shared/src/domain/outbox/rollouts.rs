//! Rollouts whose start was told and whose end was not: whoever heard of the one is to hear of the other, also where no look shows
//! it. A workload may be deleted in the middle, and a `kubectl rollout undo` of a Deployment takes the marker away.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Channel, Outbox, STALE, Waiting};
use crate::domain::annotations::LAST_RESULT;
use crate::domain::in_flight::InFlight;
use crate::domain::message::{EventType, Message, ToPeople, changed};
use crate::domain::notice::{NoticeReason, notice_id};
use crate::domain::time::whole_seconds;
use crate::domain::workload::{Workload, WorkloadId};

/// How many bytes they may take. Of those beyond it nothing is told that no look shows.
const MOST_BYTES: usize = 64 << 10;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    pub workload: WorkloadId,
    uid: String,
    /// What the workload carries while it goes on.
    marker: InFlight,
    /// Who was told that it started.
    pub channels: BTreeSet<Channel>,
}

impl Outbox {
    /// Takes in that a message of this event was told of a rollout, `anew` on these channels.
    pub fn told(
        &mut self,
        workload: &Workload,
        marker: &InFlight,
        event: EventType,
        anew: BTreeSet<Channel>,
    ) {
        let is_it = |one: &Rollout| one.uid == workload.uid && one.marker == *marker;
        match event {
            EventType::ImageRolloutStarted if !anew.is_empty() => {
                if let Some(known) = self.rollouts.iter_mut().find(|one| is_it(one)) {
                    known.channels.extend(anew);
                    self.changed = true;
                    return;
                }
                let rollout = Rollout {
                    workload: workload.id.clone(),
                    uid: workload.uid.clone(),
                    marker: marker.clone(),
                    channels: anew,
                };
                let bytes: usize = self.rollouts.iter().map(Rollout::bytes).sum();
                if bytes + rollout.bytes() <= MOST_BYTES {
                    self.rollouts.push(rollout);
                    self.changed = true;
                }
            }
            EventType::ImageRolloutCompleted | EventType::ImageRolloutFailed => {
                self.forget_rollouts(|one| is_it(one));
            }
            EventType::ImageRolloutStarted | EventType::DeploymentDetected | EventType::Notice => {}
        }
    }

    /// The end of one was told.
    pub fn ended(&mut self, rollout: &Rollout) {
        self.forget_rollouts(|one| one == rollout);
    }

    /// Takes over those of another one, without those that have ended by what waits there.
    pub(super) fn take_over_rollouts(&mut self, other: &Self) {
        let is_end = |one: &&Waiting| {
            matches!(
                one.message.event,
                EventType::ImageRolloutCompleted | EventType::ImageRolloutFailed
            )
        };
        let ends = other.waiting.iter().filter(is_end).map(|one| &one.message);
        let ends: BTreeMap<&WorkloadId, Timestamp> = ends.map(|end| (&end.workload, end.at)).collect();
        self.forget_rollouts(|one| {
            ends.get(&one.workload)
                .is_some_and(|end| *end >= one.marker.started)
        });
        let known: BTreeSet<String> = self.rollouts.iter().map(Rollout::key).collect();
        let new = other.rollouts.iter().filter(|one| !known.contains(&one.key()));
        self.rollouts.extend(new.cloned());
    }

    /// Those that do not go on by what a look shows: these are all workloads that are watched. What is older than a day is no news, and
    /// is forgotten.
    pub fn lost<'a>(
        &mut self,
        workloads: impl Iterator<Item = &'a Workload>,
        now: Timestamp,
    ) -> Vec<Rollout> {
        if self.rollouts.is_empty() {
            return Vec::new();
        }
        let asked: BTreeSet<&str> = self.rollouts.iter().map(|one| one.uid.as_str()).collect();
        let shown = workloads.filter(|workload| asked.contains(workload.uid.as_str()));
        let shown: HashMap<&str, &Workload> =
            shown.map(|workload| (workload.uid.as_str(), workload)).collect();
        let goes_on = |one: &Rollout| {
            let workload = shown.get(one.uid.as_str());
            workload.is_some_and(|workload| one.goes_on(&workload.annotations))
        };
        let lost: Vec<Rollout> = self
            .rollouts
            .iter()
            .filter(|one| !goes_on(one))
            .cloned()
            .collect();
        let (old, lost): (Vec<Rollout>, Vec<Rollout>) = lost
            .into_iter()
            .partition(|one| now.duration_since(one.marker.deadline) > STALE);
        self.forget_rollouts(|one| old.contains(one));
        lost
    }

    fn forget_rollouts(&mut self, is_over: impl Fn(&Rollout) -> bool) {
        let before = self.rollouts.len();
        self.rollouts.retain(|one| !is_over(one));
        self.changed |= self.rollouts.len() < before;
    }
}

impl Rollout {
    /// Tells it from any other.
    pub fn key(&self) -> String {
        format!("{} {}", self.uid, self.marker.started)
    }

    /// Whether this is its workload, and not another one of that name.
    pub fn is_of(&self, uid: Option<&str>) -> bool {
        uid == Some(&self.uid)
    }

    /// A marker that nobody can read may be this one.
    fn goes_on(&self, annotations: &BTreeMap<String, String>) -> bool {
        match InFlight::read(annotations) {
            Ok(marker) => marker.as_ref() == Some(&self.marker),
            Err(_) => true,
        }
    }

    /// How it ended, by the annotations that its workload has now, as the API server itself says; `None` for them where it is gone. `None`
    /// where it goes on.
    pub fn end(&self, annotations: Option<&BTreeMap<String, String>>, now: Timestamp) -> Option<Message> {
        let Some(annotations) = annotations else {
            let why = "the workload was deleted in the middle of the rollout";
            return Some(self.ended(NoticeReason::UpdateSuperseded, Some(why), now));
        };
        if self.goes_on(annotations) {
            return None;
        }
        let written = self.marker.written_end(annotations);
        let Some(written) = written.filter(|at| *at >= self.marker.started) else {
            let why = "superseded: somebody took its marker away, as kubectl rollout undo does";
            return Some(self.ended(NoticeReason::UpdateSuperseded, Some(why), now));
        };
        // Only the message of it was lost, with the process that could not store it.
        let result = annotations
            .get(LAST_RESULT)
            .map(String::as_str)
            .unwrap_or_default();
        Some(if result.starts_with("completed") {
            self.ended(NoticeReason::ImageUpdated, None, written)
        } else if result.starts_with("rolled back") {
            self.ended(NoticeReason::RolledBack, Some(result), written)
        } else if result.starts_with("superseded") {
            self.ended(NoticeReason::UpdateSuperseded, Some(result), written)
        } else {
            self.ended(NoticeReason::RolloutFailed, Some(result), written)
        })
    }

    fn ended(&self, reason: NoticeReason, error: Option<&str>, at: Timestamp) -> Message {
        let event = EventType::of(reason);
        let took = at.duration_since(self.marker.started).as_millis();
        let took = u64::try_from(took).unwrap_or_default();
        Message {
            // The same as that of a notice by which a look tells it.
            id: notice_id(&self.uid, reason, &self.marker.to_annotation()),
            event,
            at: whole_seconds(at),
            workload: self.workload.clone(),
            images: changed(&self.marker.containers),
            rollout_millis: (event == EventType::ImageRolloutCompleted).then_some(took),
            error: error.map(str::to_owned),
            remark: None,
            rollback: None,
            to_people: Some(ToPeople {
                reason,
                detail: None,
                awaits_approval: false,
                is_reminder: false,
            }),
        }
    }

    /// About how much it takes in the record.
    fn bytes(&self) -> usize {
        const ALL_ELSE: usize = 300;
        let WorkloadId { namespace, name, .. } = &self.workload;
        ALL_ELSE + namespace.len() + name.len() + self.marker.to_annotation().len()
    }
}
