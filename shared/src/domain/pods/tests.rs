use serde_json::{Value, json};

use super::*;
use crate::domain::plan::tests::workload;
use crate::domain::rollout::RolloutFacts;
use crate::domain::workload::WorkloadKind;

const IMAGE: &str = "shop.example/edge:edge";

fn digest(fill: char) -> String {
    format!("sha256:{}", fill.to_string().repeat(64))
}

/// A running pod of the Deployment `checkout`, with changes.
fn pod(image_id: &str, change: impl Fn(&mut Value)) -> Pod {
    let mut pod = json!({
        "metadata": {
            "name": "checkout-abc-1",
            "labels": { "pod-template-hash": "abc" },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "checkout-abc", "uid": "rs", "controller": true,
            }],
        },
        "spec": {
            "initContainers": [{ "name": "migrate", "image": IMAGE }],
            "containers": [{ "name": "app", "image": IMAGE }, { "name": "proxy", "image": "mesh:1" }],
        },
        "status": {
            "phase": "Running",
            "containerStatuses": [
                { "name": "app", "image": IMAGE, "imageID": image_id, "ready": true, "restartCount": 0 },
            ],
            "initContainerStatuses": [
                { "name": "migrate", "image": IMAGE, "imageID": format!("shop.example/edge@{}", digest('e')),
                  "ready": true, "restartCount": 0 },
            ],
        },
    });
    change(&mut pod);
    serde_json::from_value(pod).unwrap()
}

fn named(fill: char) -> String {
    format!("shop.example/edge@{}", digest(fill))
}

/// The digests of `app`, and whether some are untold.
fn running(pods: &[Pod]) -> Option<(Vec<String>, bool)> {
    let workload = workload(&[], &[("migrate", IMAGE), ("app", IMAGE)]);
    let mut seen = Pods::default();
    for pod in pods {
        seen.take(&workload, pod);
    }
    let running = seen.running("app")?;
    let digests = running.digests.iter().map(ToString::to_string).collect();
    Some((digests, running.untold))
}

#[test]
fn every_digest_that_runs_is_seen_once_and_one_that_is_not_told_is_no_digest() {
    let same = |_: &mut Value| {};
    let pods = [
        pod(&named('a'), same),
        pod(&named('b'), same),
        pod(&named('a'), same),
    ];
    assert_eq!(running(&pods), Some((vec![digest('a'), digest('b')], false)));
    assert_eq!(running(&[pod(&digest('a'), same)]), Some((Vec::new(), true)));
    assert_eq!(running(&[pod("", same)]), None);
}

#[test]
fn only_pods_of_the_workload_count_that_stay_and_have_its_image() {
    type Change = fn(&mut Value);
    let foreign: [(&str, Change); 9] = [
        ("no owner", |pod| {
            pod["metadata"]["ownerReferences"] = json!([]);
        }),
        ("no controller", |pod| {
            pod["metadata"]["ownerReferences"][0]["controller"] = json!(false);
        }),
        ("a ReplicaSet of another Deployment", |pod| {
            pod["metadata"]["ownerReferences"][0]["name"] = json!("checkout-api-abc");
        }),
        ("a ReplicaSet of a Deployment with a longer name", |pod| {
            pod["metadata"]["ownerReferences"][0]["name"] = json!("checkou-abc");
        }),
        ("a ReplicaSet that stands alone", |pod| {
            pod["metadata"]["labels"] = json!({});
        }),
        ("a StatefulSet", |pod| {
            pod["metadata"]["ownerReferences"][0]["kind"] = json!("StatefulSet");
        }),
        ("on its way out", |pod| {
            pod["metadata"]["deletionTimestamp"] = json!("2026-11-21T03:00:00Z");
        }),
        ("ended", |pod| pod["status"]["phase"] = json!("Failed")),
        ("another image", |pod| {
            pod["spec"]["containers"][0]["image"] = json!("shop.example/edge:1.0");
        }),
    ];
    for (what, change) in foreign {
        assert_eq!(running(&[pod(&named('a'), change)]), None, "{what}");
    }
    let own = running(&[pod(&named('a'), |_| {})]);
    assert_eq!(own, Some((vec![digest('a')], false)));
}

#[test]
fn what_became_of_an_image_at_admission_says_what_runs_once_no_rollout_is_under_way() {
    let mirrored = pod(&format!("mirror.example/shop/edge@{}", digest('a')), |pod| {
        pod["spec"]["containers"][0]["image"] = json!("mirror.example/shop/edge:edge");
        pod["status"]["containerStatuses"][0]["ready"] = json!(false);
        pod["status"]["containerStatuses"][0]["state"] =
            json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off" } });
    });
    let mut workload = workload(&[], &[("app", IMAGE)]);
    for (observed_generation, expected) in [(0, None), (1, Some(digest('a')))] {
        let RolloutFacts::Deployment(facts) = &mut workload.rollout else {
            unreachable!()
        };
        facts.generation = 1;
        facts.observed_generation = observed_generation;
        let mut seen = Pods::default();
        seen.take(&workload, &mirrored);
        let running = seen.running("app").and_then(Running::only);
        assert_eq!(running.map(ToString::to_string), expected);
        assert!(seen.trouble().unwrap().contains("CrashLoopBackOff"));
    }
}

#[test]
fn a_rollout_moved_when_the_last_of_the_new_pods_became_ready() {
    let ready_since = |at: &'static str, image: &'static str, restarts: i32| {
        pod(&named('a'), move |pod| {
            pod["spec"]["containers"][0]["image"] = json!(image);
            pod["status"]["containerStatuses"][0]["restartCount"] = json!(restarts);
            pod["status"]["conditions"] =
                json!([{ "type": "Ready", "status": "True", "lastTransitionTime": at }]);
        })
    };
    let pods = [
        ready_since("2026-11-21T03:02:00Z", IMAGE, 0),
        ready_since("2026-11-21T03:01:00Z", IMAGE, 0),
        ready_since("2026-11-21T03:09:00Z", "shop.example/edge:1.0", 0),
        // It has come so far, too, and when is not known any more.
        ready_since("2026-11-21T03:08:00Z", IMAGE, 1),
        pod(&named('a'), |_| {}),
    ];
    let workload = workload(&[], &[("app", IMAGE)]);
    let mut seen = Pods::default();
    for pod in &pods {
        seen.take(&workload, pod);
    }
    let moved = |at: &str, (ready, steady, missing)| Moved {
        at: at.parse().unwrap(),
        ready,
        steady,
        missing,
    };
    let facts = |desired| {
        let mut workload = workload.clone();
        if let RolloutFacts::Deployment(facts) = &mut workload.rollout {
            facts.desired = desired;
        }
        workload
    };
    let expected = moved("2026-11-21T03:02:00Z", (3, 2, 7));
    assert_eq!(seen.moved(&facts(10), Timestamp::MAX), Some(expected));
    // By a clock that is ahead.
    let asked = "2026-11-21T03:01:30Z";
    let found = seen.moved(&facts(2), asked.parse().unwrap());
    assert_eq!(found.map(|found| found.at), Some(asked.parse().unwrap()));
    let mut restarted = Pods::default();
    restarted.take(&workload, &pods[3]);
    assert_eq!(restarted.moved(&workload, Timestamp::MAX), None);
}

#[test]
fn a_rollout_moves_where_more_are_ready_than_ever_before_or_fewer_are_missing() {
    let moved = |at: &str, (ready, steady, missing)| Moved {
        at: at.parse().unwrap(),
        ready,
        steady,
        missing,
    };
    let before = moved("2026-11-21T03:02:00Z", (3, 2, 7));
    let (early, late) = ("2026-11-21T03:01:00Z", "2026-11-21T03:09:00Z");
    for (found, then) in [
        // One is ready again, or another one in its place.
        (moved(late, (3, 2, 7)), before),
        (moved(late, (2, 2, 8)), before),
        (moved(late, (4, 3, 6)), moved(late, (4, 3, 6))),
        (moved(early, (4, 3, 6)), moved("2026-11-21T03:02:00Z", (4, 3, 6))),
        // One that was ready at times is not now, and another one is to stay so.
        (moved(late, (3, 3, 7)), moved(late, (3, 3, 7))),
        // Fewer are wanted, and more of these are there; or more, as of the rest.
        (moved(late, (2, 2, 3)), moved(late, (3, 2, 3))),
        (moved(late, (4, 3, 20)), moved(late, (4, 3, 7))),
    ] {
        assert_eq!(before.then(found), then, "{found:?}");
    }
}

#[test]
fn pods_of_other_kinds_are_known_by_their_owners_uid() {
    let owned_by = |uid: &'static str| {
        pod(&named('a'), move |pod| {
            pod["metadata"]["ownerReferences"][0] = json!({ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "checkout", "uid": uid, "controller": true });
        })
    };
    let mut set = workload(&[], &[("app", IMAGE)]);
    set.id.kind = WorkloadKind::StatefulSet;
    let mut seen = Pods::default();
    seen.take(&set, &owned_by("other"));
    assert_eq!(seen, Pods::default());
    seen.take(&set, &owned_by("1234"));
    assert_eq!(
        seen.running("app").unwrap().only().unwrap().to_string(),
        digest('a')
    );
}

#[test]
fn init_containers_are_read_where_they_stand() {
    let workload = workload(&[], &[("migrate", IMAGE), ("app", IMAGE)]);
    let mut seen = Pods::default();
    seen.take(&workload, &pod("", |_| {}));
    let init = seen.running("migrate").unwrap();
    assert_eq!(init.only().unwrap().to_string(), digest('e'));
}

#[test]
fn the_name_of_a_replica_set_is_cut_where_it_would_be_too_long() {
    let long = "c".repeat(253);
    let mut workload = workload(&[], &[("app", IMAGE)]);
    workload.id.name.clone_from(&long);
    let name = format!("{}-abc", "c".repeat(249));
    let pod = pod(&named('a'), |pod| {
        pod["metadata"]["ownerReferences"][0]["name"] = json!(name);
    });
    let mut seen = Pods::default();
    seen.take(&workload, &pod);
    assert!(seen.running("app").is_some());
}
