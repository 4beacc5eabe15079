use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Observed, compute, deadline_time, find};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn deployment(status: &Value) -> Value {
    json!({"metadata":{"name":"shop","generation":2},"spec":{"replicas":2,"progressDeadlineSeconds":60},"status":status})
}

fn observed(replicas: i64, updated: i64, available: i64) -> Observed {
    Observed {
        new_set: Some("shop-5f".into()),
        created: false,
        wanted: replicas.max(2),
        replicas,
        updated,
        ready: available,
        available,
    }
}

fn reason<'a>(status: &'a Value, kind: &str) -> &'a str {
    find(status, kind).unwrap()["reason"].as_str().unwrap()
}

#[test]
fn a_rollout_passes_the_reasons_of_a_real_one() {
    let finished = json!({"observedGeneration":1,"replicas":2,"updatedReplicas":2,"readyReplicas":2,"availableReplicas":2,
        "conditions":[{"type":"Progressing","status":"True","reason":"NewReplicaSetAvailable",
            "lastUpdateTime":"2026-01-01T00:00:00Z","lastTransitionTime":"2026-01-01T00:00:00Z"}]});
    // (Pods, of the new set, available, new set made just now) and the reason that follows.
    let steps = [
        ((2, 0, 2), true, "NewReplicaSetCreated"),
        ((3, 1, 2), false, "ReplicaSetUpdated"),
        ((3, 2, 3), false, "ReplicaSetUpdated"),
        ((2, 2, 2), false, "NewReplicaSetAvailable"),
        ((2, 2, 1), false, "NewReplicaSetAvailable"),
    ];
    let mut status = finished;
    for (second, ((replicas, updated, available), created, expected)) in (0..).zip(steps) {
        let counts = Observed {
            created,
            ..observed(replicas, updated, available)
        };
        status = compute(&deployment(&status), &counts, at(second));
        assert_eq!(
            reason(&status, "Progressing"),
            expected,
            "step {second}: {status}"
        );
        assert_eq!(status["observedGeneration"], 2);
        let transition = &find(&status, "Progressing").unwrap()["lastTransitionTime"];
        assert_eq!(
            transition, "2026-01-01T00:00:00Z",
            "the condition stayed True all the time"
        );
    }
}

#[test]
fn a_rollout_without_progress_exceeds_its_deadline_once_it_has_passed() {
    let start = compute(
        &deployment(&json!({})),
        &Observed {
            created: true,
            ..observed(3, 0, 2)
        },
        at(0),
    );
    let stuck = observed(3, 1, 2);
    let running = compute(&deployment(&start), &stuck, at(1));
    assert_eq!(reason(&running, "Progressing"), "ReplicaSetUpdated");
    let deadline = deadline_time(&deployment(&running), &running).unwrap();
    assert_eq!(deadline, at(62));
    let waiting = compute(&deployment(&running), &stuck, at(60));
    assert_eq!(waiting, running, "nothing changes while the deadline runs");
    let late = compute(&deployment(&waiting), &stuck, deadline);
    assert_eq!(reason(&late, "Progressing"), "ProgressDeadlineExceeded");
    let condition = find(&late, "Progressing").unwrap();
    assert_eq!(condition["status"], "False");
    assert_eq!(
        condition["message"],
        r#"ReplicaSet "shop-5f" has timed out progressing."#
    );
    assert_eq!(deadline_time(&deployment(&late), &late), None);
}

#[test]
fn a_late_rollout_that_completes_after_all_is_available() {
    let late = json!({"replicas":3,"updatedReplicas":1,"conditions":[{"type":"Progressing","status":"False",
        "reason":"ProgressDeadlineExceeded","lastUpdateTime":"2026-01-01T00:00:00Z"}]});
    let status = compute(&deployment(&late), &observed(2, 2, 2), at(0));
    assert_eq!(reason(&status, "Progressing"), "NewReplicaSetAvailable");
    assert_eq!(find(&status, "Progressing").unwrap()["status"], "True");
}

#[test]
fn availability_counts_against_what_the_strategy_may_leave_unavailable() {
    let mut subject = deployment(&json!({}));
    let status = compute(&subject, &observed(2, 2, 1), at(0));
    assert_eq!(reason(&status, "Available"), "MinimumReplicasUnavailable");
    assert_eq!(status["unavailableReplicas"], 1);
    subject["spec"]["strategy"] = json!({"rollingUpdate":{"maxUnavailable":1}});
    assert_eq!(
        reason(&compute(&subject, &observed(2, 2, 1), at(0)), "Available"),
        "MinimumReplicasAvailable"
    );
}

#[test]
fn a_paused_deployment_says_so_and_its_deadline_does_not_run() {
    let mut subject = deployment(&json!({}));
    subject["spec"]["paused"] = json!(true);
    let status = compute(&subject, &observed(2, 0, 2), at(0));
    assert_eq!(reason(&status, "Progressing"), "DeploymentPaused");
    assert_eq!(deadline_time(&subject, &status), None);
    let resumed = compute(&deployment(&status), &observed(2, 0, 2), at(10));
    assert_eq!(reason(&resumed, "Progressing"), "DeploymentResumed");
    for status in [&status, &resumed] {
        assert_eq!(find(status, "Progressing").unwrap()["status"], "Unknown");
    }
}

#[test]
fn zero_counts_are_left_out_as_the_real_server_does() {
    let status = compute(&deployment(&json!({})), &observed(0, 0, 0), at(0));
    assert!(status.get("replicas").is_none() && status.get("availableReplicas").is_none());
    assert_eq!(status["unavailableReplicas"], 2);
}
