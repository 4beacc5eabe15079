//! What an updater has seen while it led without a break: the images that workloads had, or got from it, and the updates that it
//! saw end.
//!
//! Losing it costs no update and does none twice; only what somebody did while nobody watched may go unnoticed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Action, Assessment, Plan, Update};
use crate::domain::annotations::IN_FLIGHT;
use crate::domain::in_flight::InFlight;
use crate::domain::workload::Workload;

/// How many updates that ended are remembered of a workload; the oldest go.
const MOST_OVER: usize = 20;

/// The workloads as they were when nothing of them was left to be noted, by their uid.
#[derive(Debug, Clone, Default)]
pub struct Seen(BTreeMap<String, Sighting>);

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Sighting {
    /// Shared with whoever follows the cluster, as there can be many.
    pub(super) workload: Arc<Workload>,
    over: Vec<InFlight>,
    /// The version that a patch of ours was made from, which a watch that lags still shows.
    patched: Option<String>,
}

impl Seen {
    pub(super) fn of(&self, workload: &Workload) -> Option<&Sighting> {
        let sighting = self.0.get(&workload.uid);
        sighting.filter(|sighting| !sighting.is_before(workload))
    }

    /// Takes in what the patch of an update has made of a workload: somebody may take that back before a look shows it, and with
    /// it the marker.
    pub fn gave(&mut self, uid: &str, update: &Update) {
        let Some(sighting) = self.0.get_mut(uid) else {
            return;
        };
        sighting.patched = Some(sighting.workload.resource_version.clone());
        let patched = Arc::make_mut(&mut sighting.workload);
        for container in &mut patched.containers {
            if let Some(change) = update.in_flight.containers.get(&container.name) {
                container.image.clone_from(&change.to);
            }
        }
        let marker = (IN_FLIGHT.to_owned(), update.in_flight.to_annotation());
        patched.annotations.extend([marker]);
    }

    /// Takes in the workloads that `plan` was made from. What has yet to be noted of one is not forgotten by that.
    pub fn take_in(&mut self, workloads: &[Arc<Workload>], plan: &Plan) {
        let workloads = workloads.iter();
        let workloads: HashMap<&str, &Arc<Workload>> = workloads
            .map(|workload| (workload.uid.as_str(), workload))
            .collect();
        let assessments = plan.assessments.iter();
        let assessments: HashMap<&str, &Assessment> = assessments
            .map(|assessment| (assessment.uid.as_str(), assessment))
            .collect();
        self.0.retain(|uid, _| assessments.contains_key(uid.as_str()));
        for (uid, assessment) in assessments {
            match &assessment.action {
                // What it is refused for may be what was seen before.
                _ if !assessment.refused.is_empty() => {}
                Action::Stop(_) | Action::StopForMarker(_) | Action::TakenBack(_) => {}
                Action::Nothing
                | Action::Start(_)
                | Action::Follow { .. }
                | Action::RollBack { .. }
                | Action::Undo { .. } => {
                    if let Some(workload) = workloads.get(uid) {
                        self.see(workload);
                    }
                }
            }
        }
    }

    fn see(&mut self, workload: &Arc<Workload>) {
        let Some(sighting) = self.0.get_mut(&workload.uid) else {
            let sighting = Sighting::of(Arc::clone(workload));
            self.0.insert(workload.uid.clone(), sighting);
            return;
        };
        if Arc::ptr_eq(&sighting.workload, workload) || sighting.is_before(workload) {
            return;
        }
        let before = marker(&sighting.workload);
        if let Some(ended) = before.filter(|before| marker(workload).as_ref() != Some(before)) {
            let dropped = (sighting.over.len() + 1).saturating_sub(MOST_OVER);
            sighting.over.drain(..dropped);
            sighting.over.push(ended);
        }
        sighting.workload = Arc::clone(workload);
        sighting.patched = None;
    }
}

impl Sighting {
    /// Nothing but how it stands.
    pub(super) fn of(workload: Arc<Workload>) -> Self {
        Self {
            workload,
            over: Vec::new(),
            patched: None,
        }
    }

    /// Whether this is the workload as it was before our patch.
    fn is_before(&self, workload: &Workload) -> bool {
        self.patched.as_ref() == Some(&workload.resource_version)
    }

    /// Whether the update of this marker was seen to end: then the marker is a copy that `kubectl rollout undo` of a Deployment
    /// brought back. Whoever saw nothing has to follow it, as it looks like an update whose updater died.
    pub(super) fn is_over(&self, marker: &InFlight) -> bool {
        self.over.contains(marker)
    }
}

fn marker(workload: &Workload) -> Option<InFlight> {
    InFlight::read(&workload.annotations).ok().flatten()
}
