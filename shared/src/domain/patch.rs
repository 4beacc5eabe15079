//! The bodies of the updater's patches, as small as they can be.
//!
//! Each carries the `resourceVersion` it was computed from, so that of two leaders only one succeeds, and names single
//! fields: containers by name and annotations by key, never a whole list or map. All are strategic merge patches.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::annotations::{IN_FLIGHT, LAST_CHANGE, LAST_IMAGES, LAST_RESULT, LAST_UPDATE, PENDING};
use super::in_flight::{Cause, ImageChange, InFlight, LastImages};
use super::plan::{TakenBack, Update};
use super::rollout::{Completion, RolloutStatus};
use super::time::whole_seconds;
use super::workload::WorkloadKind;

/// A strategic merge patch with its precondition inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchBody(pub Value);

/// How an update ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Completed(Completion),
    Failed(String),
    Superseded(String),
    /// A rollback ended well.
    RolledBack(Cause),
    /// It failed.
    RollbackFailed {
        cause: Cause,
        rollback: String,
    },
}

impl Outcome {
    /// The outcome of a rollout that ended, or `None` while it goes on.
    pub fn of(in_flight: &InFlight, status: &RolloutStatus) -> Option<Self> {
        let undone = in_flight.cause();
        match status {
            RolloutStatus::InProgress(_) => None,
            RolloutStatus::Completed(completion) => {
                Some(undone.map_or(Self::Completed(*completion), Self::RolledBack))
            }
            RolloutStatus::Failed(failure) => {
                let failure = failure.to_string();
                Some(match undone {
                    None => Self::Failed(failure),
                    Some(cause) => Self::RollbackFailed {
                        cause,
                        rollback: failure,
                    },
                })
            }
            RolloutStatus::Superseded {
                container,
                image: Some(image),
                by,
            } => {
                let by = by.as_ref().map(|by| format!(" ({by})")).unwrap_or_default();
                Some(Self::Superseded(format!(
                    "container {container} was set to {image}{by}"
                )))
            }
            RolloutStatus::Superseded {
                container,
                image: None,
                by: _,
            } => Some(Self::Superseded(format!("container {container} was removed"))),
        }
    }

    /// `completed`, with what else has to be known of it, or `failed: …`, as the annotation says it.
    pub fn to_annotation(&self) -> String {
        match self {
            Self::Completed(completion) => completion
                .remark()
                .map_or_else(|| "completed".to_owned(), |remark| format!("completed: {remark}")),
            Self::Failed(reason) => format!("failed: {reason}"),
            Self::Superseded(by) => format!("superseded: {by}"),
            Self::RolledBack(cause) => format!("rolled back: {cause}"),
            Self::RollbackFailed {
                cause: Cause::Failure(update),
                rollback,
            } => format!("failed: {update}; rollback failed: {rollback}"),
            Self::RollbackFailed {
                cause: cause @ Cause::Request(_),
                rollback,
            } => format!("failed: rollback, {cause}: {rollback}"),
        }
    }
}

/// Sets the new images, the in-flight marker and what is held from now on, in one patch and so in one rollout.
pub fn start(kind: WorkloadKind, resource_version: &str, update: &Update) -> PatchBody {
    let Update {
        in_flight,
        init_containers,
        spent,
        holds,
        last_images,
    } = update;
    let mut annotations = Map::from_iter([(IN_FLIGHT.to_owned(), json!(in_flight.to_annotation()))]);
    annotations.insert(PENDING.to_owned(), Value::Null);
    let last_images = last_images.as_ref().map(LastImages::to_annotation);
    annotations.insert(LAST_IMAGES.to_owned(), json!(last_images));
    annotations.extend(spent.iter().map(|(key, value)| (key.clone(), json!(value))));
    annotations.extend(as_annotations(holds));
    let mut pod = Map::new();
    for (field, init) in [("initContainers", true), ("containers", false)] {
        let images = images(&in_flight.containers, init_containers, init);
        if !images.is_empty() {
            pod.insert(field.to_owned(), Value::Array(images));
        }
    }
    PatchBody(json!({
        "metadata": { "resourceVersion": resource_version, "annotations": annotations },
        "spec": kind.spec_with_pod(&Value::Object(pod)),
    }))
}

fn images(
    changes: &BTreeMap<String, ImageChange>,
    init_containers: &BTreeSet<String>,
    init: bool,
) -> Vec<Value> {
    let these = changes
        .iter()
        .filter(|(name, _)| init_containers.contains(*name) == init);
    these
        .map(|(name, change)| json!({ "name": name, "image": change.to }))
        .collect()
}

/// Removes the marker and writes the result down, beside what is `kept` of the update. Annotations alone: a new generation of a
/// Deployment, since its controller copies them to its ReplicaSet, and no second rollout.
pub fn finish(
    resource_version: &str,
    in_flight: &InFlight,
    outcome: &Outcome,
    holds: &BTreeMap<String, String>,
    kept: &BTreeMap<String, Option<String>>,
    now: Timestamp,
) -> PatchBody {
    // It may have begun by a clock that is ahead of this one, and ends no earlier.
    let ended = now.max(in_flight.started);
    let mut annotations = Map::from_iter([
        (IN_FLIGHT.to_owned(), Value::Null),
        (LAST_UPDATE.to_owned(), json!(whole_seconds(ended).to_string())),
        (LAST_CHANGE.to_owned(), json!(in_flight.summary())),
        (LAST_RESULT.to_owned(), json!(outcome.to_annotation())),
    ]);
    annotations.extend(as_annotations(holds));
    annotations.extend(kept.iter().map(|(key, value)| (key.clone(), json!(value))));
    PatchBody(json!({
        "metadata": { "resourceVersion": resource_version, "annotations": annotations },
    }))
}

/// Writes down that somebody went back, and what is held for it. The marker that may be there is one of theirs: of an update
/// that had ended, and which they brought back.
pub fn take_note(resource_version: &str, taken_back: &TakenBack, now: Timestamp) -> PatchBody {
    let mut annotations = Map::from_iter([
        (IN_FLIGHT.to_owned(), Value::Null),
        (PENDING.to_owned(), Value::Null),
    ]);
    if !taken_back.changes.is_empty() {
        annotations.extend([
            (LAST_UPDATE.to_owned(), json!(whole_seconds(now).to_string())),
            (LAST_CHANGE.to_owned(), json!(taken_back.summary())),
            (LAST_RESULT.to_owned(), json!(taken_back.result())),
            (LAST_IMAGES.to_owned(), Value::Null),
        ]);
    }
    let spent = taken_back.spent_approvals.iter();
    annotations.extend(spent.map(|(key, value)| (key.clone(), json!(value))));
    annotations.extend(as_annotations(&taken_back.holds));
    PatchBody(json!({
        "metadata": { "resourceVersion": resource_version, "annotations": annotations },
    }))
}

fn as_annotations(values: &BTreeMap<String, String>) -> impl Iterator<Item = (String, Value)> {
    values.iter().map(|(key, value)| (key.clone(), json!(value)))
}

/// Sets annotations, and removes those that have no value.
pub fn annotate(resource_version: &str, annotations: &BTreeMap<String, Option<String>>) -> PatchBody {
    PatchBody(json!({
        "metadata": { "resourceVersion": resource_version, "annotations": annotations },
    }))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::domain::rollout::{Failure, Waiting};

    fn in_flight() -> InFlight {
        let change = |from: &str, to: &str| ImageChange {
            from: from.to_owned(),
            to: to.to_owned(),
            digest: None,
            ran: None,
        };
        InFlight::new(
            BTreeMap::from([
                ("app".to_owned(), change("shop/app:1", "shop/app:2")),
                ("migrate".to_owned(), change("shop/migrate:1", "shop/migrate:2")),
            ]),
            "2026-11-21T03:00:00Z".parse().unwrap(),
            SignedDuration::from_mins(10),
        )
    }

    fn held() -> BTreeMap<String, String> {
        BTreeMap::from([("kubefresh.dev/hold".to_owned(), "1.5.0".to_owned())])
    }

    #[test]
    fn the_start_patch_sets_images_by_container_name_and_the_marker_and_nothing_else() {
        let update = Update {
            in_flight: in_flight(),
            init_containers: BTreeSet::from(["migrate".to_owned()]),
            spent: BTreeMap::from([("kubefresh.dev/approved".to_owned(), None)]),
            holds: held(),
            last_images: None,
        };
        assert_eq!(
            start(WorkloadKind::StatefulSet, "41", &update).0,
            json!({
                "metadata": {
                    "resourceVersion": "41",
                    "annotations": {
                        "kubefresh.dev/in-flight": in_flight().to_annotation(),
                        "kubefresh.dev/approved": null,
                        "kubefresh.dev/pending": null,
                        "kubefresh.dev/hold": "1.5.0",
                        "kubefresh.dev/last-images": null,
                    },
                },
                "spec": { "template": { "spec": {
                    "initContainers": [{ "name": "migrate", "image": "shop/migrate:2" }],
                    "containers": [{ "name": "app", "image": "shop/app:2" }],
                } } },
            })
        );
    }

    #[test]
    fn the_pods_of_a_cron_job_are_those_of_its_jobs() {
        let update = Update {
            in_flight: in_flight(),
            init_containers: BTreeSet::from(["migrate".to_owned()]),
            spent: BTreeMap::new(),
            holds: BTreeMap::new(),
            last_images: None,
        };
        let of = |kind| start(kind, "41", &update).0["spec"].take();
        assert_eq!(
            of(WorkloadKind::CronJob),
            json!({ "jobTemplate": { "spec": of(WorkloadKind::Deployment) } })
        );
    }

    #[test]
    fn what_has_to_be_known_of_a_completed_update_stands_beside_it() {
        let cases = [
            (Completion::Whole, "completed"),
            (
                Completion::Partition { kept: 1, desired: 3 },
                "completed: the partition keeps 1 of 3 pods back",
            ),
            (
                Completion::OnDelete,
                "completed: template set; pods change when they are deleted (OnDelete)",
            ),
            (
                Completion::NextJob,
                "completed: template set; the next job runs it",
            ),
        ];
        for (completion, expected) in cases {
            assert_eq!(Outcome::Completed(completion).to_annotation(), expected);
        }
    }

    #[test]
    fn what_somebody_took_back_is_noted_in_annotations_and_nothing_else() {
        let change = ImageChange {
            from: "shop/app:2".to_owned(),
            to: "shop/app:1".to_owned(),
            digest: None,
            ran: None,
        };
        let mut taken_back = TakenBack {
            changes: BTreeMap::from([("app".to_owned(), change)]),
            held: BTreeMap::from([("app".to_owned(), "<=2".parse().unwrap())]),
            holds: held(),
            spent_approvals: BTreeMap::from([("kubefresh.dev/approved".to_owned(), None)]),
            after: None,
            by: None,
        };
        let now = "2026-11-21T03:02:00.7Z".parse().unwrap();
        let mut expected = json!({
            "metadata": {
                "resourceVersion": "42",
                "annotations": {
                    "kubefresh.dev/in-flight": null,
                    "kubefresh.dev/pending": null,
                    "kubefresh.dev/approved": null,
                    "kubefresh.dev/last-update": "2026-11-21T03:02:00Z",
                    "kubefresh.dev/last-change": "app: shop/app:2 -> shop/app:1",
                    "kubefresh.dev/last-result": "taken back: <=2 is held",
                    "kubefresh.dev/last-images": null,
                    "kubefresh.dev/hold": "1.5.0",
                },
            },
        });
        assert_eq!(take_note("42", &taken_back, now).0, expected);
        // An update that had ended and whose marker alone was brought back says nothing of the last one.
        taken_back.changes.clear();
        let annotations = expected["metadata"]["annotations"].as_object_mut().unwrap();
        annotations.retain(|key, _| !key.contains("/last-"));
        assert_eq!(take_note("42", &taken_back, now).0, expected);
    }

    #[test]
    fn the_end_of_a_rollback_is_told_from_that_of_an_update() {
        let update = in_flight();
        let undoing = |cause: &Cause| {
            InFlight::undoing(
                &update.containers,
                cause,
                update.deadline,
                SignedDuration::from_mins(10),
            )
        };
        let rollback = undoing(&Cause::Failure("no pod is ready".to_owned()));
        let asked = undoing(&Cause::Request("kubefresh.dev/undo=2".to_owned()));
        let waiting = Waiting::Revision;
        let failed = RolloutStatus::Failed(Failure::RolloutTimeout { waiting, pod: None });
        let completed = RolloutStatus::Completed(Completion::Whole);
        let superseded = RolloutStatus::Superseded {
            container: "app".to_owned(),
            image: None,
            by: None,
        };
        for (in_flight, status, expected) in [
            (&update, &completed, "completed"),
            (&rollback, &completed, "rolled back: no pod is ready"),
            (
                &update,
                &failed,
                "failed: rollout timeout passed: the controller has not yet closed the rollout",
            ),
            (
                &rollback,
                &failed,
                "failed: no pod is ready; rollback failed: rollout timeout passed: the controller has not yet closed the \
                 rollout",
            ),
            (&rollback, &superseded, "superseded: container app was removed"),
            (
                &asked,
                &completed,
                "rolled back: asked for by kubefresh.dev/undo=2",
            ),
            (
                &asked,
                &failed,
                "failed: rollback, asked for by kubefresh.dev/undo=2: rollout timeout passed: the controller has not yet closed \
                 the rollout",
            ),
        ] {
            let outcome = Outcome::of(in_flight, status).unwrap();
            assert_eq!(outcome.to_annotation(), expected);
        }
    }

    #[test]
    fn the_finish_patch_removes_the_marker_with_an_explicit_null_and_touches_no_spec() {
        let now = "2026-11-21T03:02:00.7Z".parse().unwrap();
        let kept = BTreeMap::from([
            (
                "watch-cluster.io/last-update-image".to_owned(),
                Some("shop/app:2".to_owned()),
            ),
            ("watch-cluster.io/last-update-to-digest".to_owned(), None),
        ]);
        let body = finish(
            "42",
            &in_flight(),
            &Outcome::Failed("timed out".to_owned()),
            &held(),
            &kept,
            now,
        )
        .0;
        assert_eq!(
            body,
            json!({
                "metadata": {
                    "resourceVersion": "42",
                    "annotations": {
                        "kubefresh.dev/in-flight": null,
                        "kubefresh.dev/last-update": "2026-11-21T03:02:00Z",
                        "kubefresh.dev/last-change": "app: shop/app:1 -> shop/app:2, migrate: shop/migrate:1 -> shop/migrate:2",
                        "kubefresh.dev/last-result": "failed: timed out",
                        "kubefresh.dev/hold": "1.5.0",
                        "watch-cluster.io/last-update-image": "shop/app:2",
                        "watch-cluster.io/last-update-to-digest": null,
                    },
                },
            })
        );
    }
}
