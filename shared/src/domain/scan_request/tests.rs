mod check_now;

use std::sync::Arc;

use k8s_openapi::api::batch::v1::{CronJob, Job};
use serde_json::{Value, json};

use super::*;
use crate::domain::plan::tests::{AUTO, LIMITS, now, record, workload};
use crate::domain::plan::{Snapshot, plan};

const IMAGE: &str = "registry.example/shop/checkout:1.4.0";
/// Half an hour past the last run of the schedule, and half an hour before the next.
const NOON: &str = "2026-11-21T12:00:00Z";

fn at(written: &str) -> Timestamp {
    written.parse().unwrap()
}

fn cron_job(change: impl FnOnce(&mut Value)) -> CronJob {
    let mut object = json!({
        "metadata": { "name": "kubefresh-scanner", "namespace": "kubefresh", "uid": "cron-job" },
        "spec": {
            "schedule": "30 * * * *",
            "jobTemplate": {
                "metadata": { "labels": { "component": "scanner" }, "annotations": { "team": "shop" } },
                "spec": { "backoffLimit": 0, "template": { "spec": {
                    "restartPolicy": "Never", "containers": [{ "name": "scanner", "image": "kubefresh-scanner:1" }],
                } } },
            },
        },
    });
    change(&mut object);
    serde_json::from_value(object).unwrap()
}

fn scanner() -> Scanner {
    Scanner::of(&cron_job(|_| {})).unwrap()
}

/// A scheduled Job, finished or not.
fn job(created_at: &str, is_finished: bool) -> ScanJob {
    ScanJob {
        uid: format!("job of {created_at}"),
        owner: "cron-job".to_owned(),
        created_at: at(created_at),
        is_finished,
        is_requested: false,
        requested_for: BTreeSet::new(),
        fruitless: 0,
    }
}

/// The Job that the API server makes of a request.
fn made(request: &ScanRequest, created_at: &str) -> ScanJob {
    let mut job = request.job.clone();
    job.metadata.uid = Some(format!("job of {created_at}"));
    job.metadata.creation_timestamp = Some(serde_json::from_value(json!(created_at)).unwrap());
    let job: Job = serde_json::from_value(serde_json::to_value(job).unwrap()).unwrap();
    ScanJob::of(&job).unwrap()
}

/// A cluster with one workload, with a record or without.
fn cluster(annotations: &[(&str, &str)], image: &str, is_recorded: bool) -> Snapshot {
    let annotations = [&AUTO[..], annotations].concat();
    let mut snapshot = Snapshot {
        workloads: vec![Arc::new(workload(&annotations, &[("app", image)]))],
        ..Snapshot::default()
    };
    if is_recorded {
        let known = record("registry.example/shop/checkout", &["1.4.0 minor"], &["1.4.0"]);
        snapshot.records.extend([known]);
    }
    snapshot
}

fn new_workload() -> Snapshot {
    cluster(&[], IMAGE, false)
}

fn look(wishes: &mut Wishes, snapshot: &Snapshot, seen: &Seen<'_>, time: &str) -> Decision {
    wishes.look(&plan(snapshot, &LIMITS, now()), seen, at(time));
    wishes.decide(seen, None, at(time))
}

fn reasons(decision: &Decision) -> Vec<&'static str> {
    match decision {
        Decision::Request(request) => request.reasons.iter().map(|reason| (*reason).into()).collect(),
        Decision::Nothing | Decision::Wait { .. } => Vec::new(),
    }
}

fn request(decision: Decision) -> ScanRequest {
    match decision {
        Decision::Request(request) => *request,
        other @ (Decision::Nothing | Decision::Wait { .. }) => panic!("{other:?}"),
    }
}

#[test]
fn what_waits_for_a_scan_is_a_reason_for_one() {
    let scanner = scanner();
    let seen = Seen {
        scanner: Some(&scanner),
        ..Seen::default()
    };
    let check_now = ("kubefresh.dev/check-now", "");
    let unwatched = Snapshot {
        workloads: vec![Arc::new(workload(&[check_now], &[("app", IMAGE)]))],
        ..Snapshot::default()
    };
    let other_tag = cluster(&[("kubefresh.dev/policy", "major")], IMAGE, true);
    for (name, snapshot, expected) in [
        ("all is known", cluster(&[], IMAGE, true), &[][..]),
        ("nothing is known", new_workload(), &["new-workload"]),
        ("another policy than before", other_tag, &["new-workload"]),
        ("check-now", cluster(&[check_now], IMAGE, true), &["check-now"]),
        (
            "check-now, and new",
            cluster(&[check_now], IMAGE, false),
            &["check-now", "new-workload"],
        ),
        ("check-now that nobody watches", unwatched, &[]),
    ] {
        let decision = look(&mut Wishes::default(), &snapshot, &seen, NOON);
        assert_eq!(reasons(&decision), expected, "{name}: {decision:?}");
    }
}

#[test]
fn nothing_is_asked_for_while_the_cron_job_cannot_or_a_scan_is_under_way() {
    let suspended = Scanner::of(&cron_job(|object| object["spec"]["suspend"] = json!(true))).unwrap();
    let scanner = scanner();
    let before = job("2026-11-21T11:30:00Z", true);
    let running = [before.clone(), job("2026-11-21T11:30:00Z", false)];
    let foreign = [ScanJob {
        owner: "another".to_owned(),
        ..job("2026-11-21T11:59:00Z", false)
    }];
    let none: &[ScanJob] = &[];
    for (name, scanner, jobs, expected) in [
        ("no CronJob", None, none, Some(Obstacle::NoCronJob)),
        ("suspended", Some(&suspended), none, Some(Obstacle::Suspended)),
        ("running", Some(&scanner), &running[..], Some(Obstacle::Running)),
        ("another CronJob's", Some(&scanner), &foreign[..], None),
        ("a while after the last", Some(&scanner), &running[..1], None),
    ] {
        let seen = Seen {
            scanner,
            jobs,
            last_run: None,
        };
        let decision = look(&mut Wishes::default(), &new_workload(), &seen, NOON);
        match expected {
            Some(obstacle) => assert_eq!(
                decision,
                Decision::Wait {
                    obstacle,
                    until: None
                },
                "{name}"
            ),
            None => assert_eq!(reasons(&decision), ["new-workload"], "{name}: {decision:?}"),
        }
    }
}

#[test]
fn what_a_clock_ends_says_until_when() {
    let scanner = scanner();
    let requested = [ScanJob {
        is_requested: true,
        ..job("2026-11-21T11:59:30Z", true)
    }];
    let none: &[ScanJob] = &[];
    let until = |obstacle, written: &str| {
        Some(Decision::Wait {
            obstacle,
            until: Some(at(written)),
        })
    };
    let scheduled = || {
        until(
            Obstacle::Scheduled(at("2026-11-21T12:30:00Z")),
            "2026-11-21T12:30:30Z",
        )
    };
    let pause = until(Obstacle::Pause, "2026-11-21T12:00:30Z");
    for (name, jobs, time, expected) in [
        ("just after a request", &requested[..], NOON, pause),
        ("later", &requested[..], "2026-11-21T12:00:30Z", None),
        ("just before a run", none, "2026-11-21T12:29:00Z", scheduled()),
        ("just after its time", none, "2026-11-21T12:30:10Z", scheduled()),
        ("it never came", none, "2026-11-21T12:30:30Z", None),
    ] {
        let seen = Seen {
            scanner: Some(&scanner),
            jobs,
            last_run: None,
        };
        let decision = look(&mut Wishes::default(), &new_workload(), &seen, time);
        match expected {
            Some(expected) => assert_eq!(decision, expected, "{name}"),
            None => assert_eq!(reasons(&decision), ["new-workload"], "{name}: {decision:?}"),
        }
    }
}

#[test]
fn a_scan_that_brings_no_answer_causes_no_other_and_not_after_a_restart_either() {
    let scanner = scanner();
    let snapshot = new_workload();
    let mut wishes = Wishes::default();
    let none = Seen {
        scanner: Some(&scanner),
        ..Seen::default()
    };

    let first = request(look(&mut wishes, &snapshot, &none, NOON));
    let jobs = [made(&first, NOON)];
    assert_eq!(
        look(
            &mut wishes,
            &snapshot,
            &Seen { jobs: &jobs, ..none },
            "2026-11-21T12:00:01Z"
        ),
        Decision::Nothing
    );
    let jobs = jobs.map(|job| ScanJob {
        is_finished: true,
        ..job
    });
    for time in [
        "2026-11-21T12:00:20Z",
        "2026-11-21T12:05:00Z",
        "2026-11-22T12:05:00Z",
    ] {
        assert_eq!(
            look(&mut wishes, &snapshot, &Seen { jobs: &jobs, ..none }, time),
            Decision::Nothing,
            "{time}"
        );
        let mut successor = Wishes::default();
        assert_eq!(
            look(&mut successor, &snapshot, &Seen { jobs: &jobs, ..none }, time),
            Decision::Nothing,
            "{time}"
        );
    }
}

#[test]
fn the_pause_doubles_while_requests_bring_nothing_and_ends_with_an_answer() {
    let yearly = |object: &mut Value| object["spec"]["schedule"] = json!("0 0 1 1 *");
    let scanner = Scanner::of(&cron_job(yearly)).unwrap();
    let mut wishes = Wishes::default();
    let mut jobs = Vec::new();
    let mut pauses = Vec::new();
    let mut time = at(NOON);
    // Each time there is one more that nobody can answer.
    let mut snapshot = Snapshot::default();
    for number in 0..9 {
        let image = format!("registry.example/shop/none-{number}:1.0.0");
        let mut added = workload(&AUTO, &[("app", &image)]);
        added.uid = number.to_string();
        snapshot.workloads.push(Arc::new(added));
        let begun = time;
        loop {
            let seen = Seen {
                scanner: Some(&scanner),
                jobs: &jobs,
                last_run: None,
            };
            match look(&mut wishes, &snapshot, &seen, &time.to_string()) {
                Decision::Request(request) => {
                    jobs.push(ScanJob {
                        is_finished: true,
                        ..made(&request, &time.to_string())
                    });
                    break;
                }
                Decision::Wait {
                    until: Some(until), ..
                } => time = until,
                other @ (Decision::Nothing | Decision::Wait { .. }) => panic!("{other:?}"),
            }
        }
        pauses.push(time.duration_since(begun).as_secs() / 60);
        time += SignedDuration::from_secs(1);
    }
    assert_eq!(pauses, [0, 1, 3, 7, 15, 31, 63, 63, 63]);
    // The last one can be had after all.
    let answered = cluster(&[("kubefresh.dev/check-now", "")], IMAGE, true);
    let seen = Seen {
        scanner: Some(&scanner),
        jobs: &jobs,
        last_run: None,
    };
    time += SignedDuration::from_mins(2);
    let decision = look(&mut wishes, &answered, &seen, &time.to_string());
    assert_eq!(reasons(&decision), ["check-now"], "{decision:?}");
}

#[test]
fn whoever_sees_the_same_asks_by_the_same_name_and_for_the_next_scan_by_another() {
    let scanner = scanner();
    let ask = |jobs: &[ScanJob], snapshot: &Snapshot| {
        let seen = Seen {
            scanner: Some(&scanner),
            jobs,
            last_run: None,
        };
        request(look(&mut Wishes::default(), snapshot, &seen, NOON))
            .job
            .metadata
            .name
            .unwrap()
    };
    let check_now = cluster(&[("kubefresh.dev/check-now", "")], IMAGE, true);
    let before = [
        job("2026-11-21T10:30:00Z", true),
        job("2026-11-21T11:30:00Z", true),
    ];
    let name = ask(&before, &new_workload());
    assert_eq!(ask(&before, &check_now), name);
    assert_ne!(ask(&before[..1], &check_now), name);
    assert_ne!(ask(&[], &check_now), name);
}

#[test]
fn a_request_is_a_job_as_kubectl_makes_one_from_the_cron_job() {
    let scanner = scanner();
    let seen = Seen {
        scanner: Some(&scanner),
        ..Seen::default()
    };
    let request = request(look(&mut Wishes::default(), &new_workload(), &seen, NOON));
    let mut job = serde_json::to_value(&request.job).unwrap();
    let annotations = job["metadata"]["annotations"].take();
    let name = job["metadata"]["name"].take();
    assert!(name.as_str().unwrap().starts_with("kubefresh-scanner-"), "{name}");
    assert_eq!(name.as_str().unwrap().len(), "kubefresh-scanner".len() + 11);
    assert_eq!(annotations["cronjob.kubernetes.io/instantiate"], "manual");
    assert_eq!(annotations["kubefresh.dev/requested-because"], "new-workload");
    assert_eq!(annotations["team"], "shop");
    let template = serde_json::to_value(cron_job(|_| {})).unwrap()["spec"]["jobTemplate"].take();
    assert_eq!(
        job,
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": null,
                "annotations": null,
                "labels": template["metadata"]["labels"],
                "ownerReferences": [{
                    "apiVersion": "batch/v1", "kind": "CronJob", "name": "kubefresh-scanner", "uid": "cron-job", "controller": true,
                }],
            },
            "spec": template["spec"],
        })
    );
}

#[test]
fn a_start_is_a_reason_unless_a_scan_began_shortly_before_or_since() {
    let scanner = scanner();
    let decide = |jobs: &[ScanJob], last_run: Option<&str>| {
        let seen = Seen {
            scanner: Some(&scanner),
            jobs,
            last_run: last_run.map(at),
        };
        let mut wishes = Wishes::default();
        let snapshot = cluster(&[], IMAGE, true);
        wishes.look(&plan(&snapshot, &LIMITS, now()), &seen, at(NOON));
        reasons(&wishes.decide(&seen, Some(at(NOON)), at(NOON)))
    };
    assert_eq!(decide(&[], None), ["start"]);
    assert_eq!(
        decide(&[job("2026-11-21T11:54:59Z", true)], Some("2026-11-21T11:54:59Z")),
        ["start"]
    );
    assert!(decide(&[job("2026-11-21T11:55:00Z", true)], None).is_empty());
    assert!(decide(&[], Some("2026-11-21T11:55:00Z")).is_empty());
}
