use serde_json::{Value, json};

use super::*;
use crate::domain::annotations::IN_FLIGHT;
use crate::domain::plan::plan;
use crate::domain::plan::tests::{AUTO, LIMITS, app, now, record, snapshot, workload};
use crate::domain::pods::Pods;

const OLD: &str = "shop.example/app:1.4.0";
const NEW: &str = "shop.example/app:1.5.0";

fn overview_of(annotations: &[(&str, &str)], image: &str) -> Line {
    overview_with(annotations, image, None)
}

/// The same where the container of the workload's only pod is in this state.
fn overview_with(annotations: &[(&str, &str)], image: &str, state: Option<&Value>) -> Line {
    let all = [AUTO.as_slice(), annotations].concat();
    let workload = workload(&all, &[("app", image)]);
    let pods = state.map(|state| {
        let pod = json!({
            "metadata": {
                "name": "checkout-abc-1",
                "labels": { "pod-template-hash": "abc" },
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "checkout-abc", "uid": "rs", "controller": true,
                }],
            },
            "spec": { "containers": [{ "name": "app", "image": image }] },
            "status": { "containerStatuses": [{
                "name": "app", "image": image, "imageID": "", "ready": false, "restartCount": 0, "state": state,
            }] },
        });
        let mut pods = Pods::default();
        pods.take(&workload, &serde_json::from_value(pod).unwrap());
        (workload.uid.clone(), Ok(Arc::new(pods)))
    });
    let mut snapshot = snapshot(workload, vec![app()]);
    snapshot.pods.extend(pods);
    let mut lines = overview(&snapshot, &plan(&snapshot, &LIMITS, now()));
    assert_eq!(lines.len(), 1);
    lines.remove(0)
}

/// State, target, and whether it is known since when.
fn shown(annotations: &[(&str, &str)], image: &str) -> (State, Option<String>, bool) {
    let line = overview_of(annotations, image);
    assert!(!line.why.is_empty());
    (line.state, line.target, line.since.is_some())
}

#[test]
fn each_container_stands_somewhere_and_what_is_newer_has_an_age() {
    let new = || Some(NEW.to_owned());
    let mode = |mode| [("kubefresh.dev/mode", mode)];
    assert_eq!(shown(&[], OLD), (State::Starting, new(), true));
    assert_eq!(shown(&mode("approve"), OLD), (State::Waiting, new(), true));
    assert_eq!(shown(&mode("notify"), OLD), (State::Offered, new(), true));
    assert_eq!(shown(&mode("off"), OLD), (State::Off, None, false));
    assert_eq!(shown(&mode("never"), OLD), (State::Stopped, None, false));
    assert_eq!(
        shown(&[("kubefresh.dev/policy", "digest")], OLD),
        (State::Unknown, None, false)
    );
    assert_eq!(
        shown(&[("kubefresh.dev/hold", "1.5.0")], OLD),
        (State::Waiting, None, false)
    );
    assert_eq!(
        shown(&[], "other.example/app:1.4.0"),
        (State::Unknown, None, false)
    );
    assert_eq!(shown(&[], NEW), (State::UpToDate, None, false));
    assert_eq!(
        shown(&[], "shop.example/app:2.0.0"),
        (State::Unknown, None, false)
    );
}

/// What is said of the newest, for a workload and a record that was asked for what it wants.
fn newest(annotations: &[(&str, &str)], image: &str, demand: &str) -> Option<String> {
    let all = [AUTO.as_slice(), annotations].concat();
    let record = record(
        "shop.example/app",
        &[demand],
        &["1.4.0", "1.5.0", "2.0.0", "edge"],
    );
    let snapshot = snapshot(workload(&all, &[("app", image)]), vec![record]);
    let line = overview(&snapshot, &plan(&snapshot, &LIMITS, now())).remove(0);
    assert_eq!(line.target, None);
    line.newest.map(|newest| newest.to_string())
}

#[test]
fn what_is_newest_is_known_where_it_is_no_target_too() {
    let off = ("kubefresh.dev/mode", "off");
    let hold = |held| ("kubefresh.dev/hold", held);
    let digest = |fill: char| format!("sha256:{}", fill.to_string().repeat(64));
    let edge = |fill| format!("shop.example/app:edge@{}", digest(fill));
    let (old_edge, new_edge, published) = (edge('a'), edge('b'), digest('b'));
    for (annotations, image, demand, expected) in [
        (&[hold("1.5.0")][..], OLD, "1.4.0 minor", Some("1.5.0")),
        (&[off], OLD, "1.4.0 minor", Some("1.5.0")),
        (&[off], NEW, "1.5.0 minor", Some("1.5.0")),
        (&[off], OLD, "1.4.0 patch", None),
        (&[], NEW, "1.5.0 minor", Some("1.5.0")),
        (
            &[hold(&published)],
            &old_edge,
            "edge digest pinned",
            Some(published.as_str()),
        ),
        (&[off], &old_edge, "edge digest pinned", Some(published.as_str())),
        (&[off], &new_edge, "edge digest pinned", Some("edge")),
        (&[off], "shop.example/app:edge", "edge digest", None),
        (&[], &new_edge, "edge digest pinned", Some("edge")),
        // Nobody can tell what is newer.
        (
            &[("kubefresh.dev/policy", "minor")],
            "shop.example/app:stable",
            "stable minor",
            None,
        ),
    ] {
        assert_eq!(
            newest(annotations, image, demand).as_deref(),
            expected,
            "{annotations:?} {image}"
        );
    }
}

#[test]
fn an_update_under_way_says_what_it_waits_for() {
    let marker = format!(
        r#"{{"containers":{{"app":{{"from":"{OLD}","to":"{NEW}"}}}},"started":"2026-11-21T02:59:00Z","deadline":"2026-11-21T03:09:00Z"}}"#
    );
    let line = overview_of(&[(IN_FLIGHT, marker.as_str())], NEW);
    assert_eq!(
        (line.state, line.target.as_deref()),
        (State::RollingOut, Some(NEW))
    );
    assert_eq!(line.since.unwrap().to_string(), "2026-11-21T02:59:00Z");
    assert_eq!(line.why, "the controller has not yet seen the new image");
    let pulls = json!({ "waiting": { "reason": "ImagePullBackOff" } });
    let line = overview_with(&[(IN_FLIGHT, marker.as_str())], NEW, Some(&pulls));
    assert_eq!(
        line.why,
        "the controller has not yet seen the new image; pod checkout-abc-1: container app: ImagePullBackOff"
    );
    let late = marker.replace("T03:09", "T02:59");
    let line = overview_of(&[(IN_FLIGHT, late.as_str())], NEW);
    assert_eq!(
        (line.state, line.target.as_deref()),
        (State::RollingOut, Some(OLD))
    );
    assert!(
        line.why.starts_with("going back: rollout timeout passed"),
        "{}",
        line.why
    );
    let back = format!(
        r#"{{"containers":{{"app":{{"from":"{NEW}","to":"{OLD}"}}}},"rollback":"late","started":"2026-11-21T02:59:00Z","deadline":"2026-11-21T03:09:00Z"}}"#
    );
    let line = overview_of(&[(IN_FLIGHT, back.as_str())], OLD);
    assert_eq!(
        line.why,
        "rolling back: the controller has not yet seen the new image"
    );
    let stopped = overview_of(&[(IN_FLIGHT, "{}")], NEW);
    assert_eq!((stopped.state, stopped.container), (State::Stopped, None));
}

#[test]
fn the_last_update_is_shown_and_its_failure_while_its_image_is_there() {
    let of = |change: &'static str, result| {
        [
            (LAST_UPDATE, "2026-11-20T03:00:00Z"),
            (LAST_CHANGE, change),
            (LAST_RESULT, result),
            ("kubefresh.dev/policy", "minor"),
        ]
    };
    let change = "app: shop.example/app:1.3.0 -> shop.example/app:1.4.0";
    let line = overview_of(&of(change, "failed: 0 of 1 pods available"), OLD);
    assert_eq!(line.state, State::Starting, "what is newer may mend it");
    assert_eq!(line.last.unwrap().result, "failed: 0 of 1 pods available");

    let newest = "app: shop.example/app:1.3.0 -> shop.example/app:2.0.0";
    let major = |result| {
        let snapshot = snapshot(
            workload(
                &[AUTO.as_slice(), &of(newest, result)].concat(),
                &[("app", "shop.example/app:2.0.0")],
            ),
            vec![record("shop.example/app", &["2.0.0 minor"], &["1.4.0", "2.0.0"])],
        );
        overview(&snapshot, &plan(&snapshot, &LIMITS, now())).remove(0)
    };
    let failed = major("failed: 0 of 1 pods available");
    assert_eq!(
        (failed.state, failed.why.as_str()),
        (State::Failed, "failed: 0 of 1 pods available")
    );
    assert_eq!(failed.since.unwrap().to_string(), "2026-11-20T03:00:00Z");
    assert_eq!(major("completed").state, State::UpToDate);
}

#[test]
fn what_was_rolled_back_and_is_held_stands_so_since_then() {
    let held = |change: &str, result: &str| {
        let said = [
            (LAST_UPDATE, "2026-11-20T03:00:00Z"),
            (LAST_CHANGE, change),
            (LAST_RESULT, result),
            ("kubefresh.dev/hold", "<=1.5.0"),
        ];
        let line = overview_of(&said, OLD);
        assert_eq!(line.state, State::Waiting, "{}", line.why);
        line.since.map(|since| since.to_string())
    };
    let back = "app: shop.example/app:1.5.0 -> shop.example/app:1.4.0";
    let failed = "rolled back: 0 of 1 pods available";
    assert_eq!(held(back, failed).as_deref(), Some("2026-11-20T03:00:00Z"));
    // Somebody held it since.
    assert_eq!(held(back, "completed"), None);
    let another = "app: shop.example/app:1.2.0 -> shop.example/app:1.3.0";
    assert_eq!(held(another, failed), None);
}
