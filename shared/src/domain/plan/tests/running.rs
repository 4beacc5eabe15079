//! Moving tags without a digest: what the pods run decides.

use serde_json::json;

use super::*;
use crate::domain::pods::Pods;
use crate::domain::record::Former;

const EDGE: &str = "shop.example/edge:edge";

/// A pod of the Deployment `checkout` whose container `app` has this image, and runs this on this node.
fn pod(image: &str, image_id: &str, node: &str) -> k8s_openapi::api::core::v1::Pod {
    let pod = json!({
        "metadata": {
            "labels": { "pod-template-hash": "abc" },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "checkout-abc", "uid": "rs", "controller": true,
            }],
        },
        "spec": { "nodeName": node, "containers": [{ "name": "app", "image": image }] },
        "status": { "containerStatuses": [
            { "name": "app", "image": image, "imageID": image_id, "ready": true, "restartCount": 0 },
        ] },
    });
    serde_json::from_value(pod).unwrap()
}

/// What such pods say, each with what it runs and its node.
pub(super) fn pods_on<'a>(image: &str, pods: impl IntoIterator<Item = (&'a str, &'a str)>) -> Pods {
    let workload = workload(&AUTO, &[("app", image)]);
    let mut seen = Pods::default();
    for (image_id, node) in pods {
        seen.take(&workload, &pod(image, image_id, node));
    }
    seen
}

fn edge_workload(annotations: &[(&str, &str)]) -> Workload {
    workload(&[AUTO.as_slice(), annotations].concat(), &[("app", EDGE)])
}

/// What is decided where the pods run these, the tag points at b… and its manifest for one platform is d….
fn decided(image_ids: &[&str], pending: bool) -> (Verdict, Action) {
    let pods = pods_on(EDGE, image_ids.iter().map(|image_id| (*image_id, "node")));
    decided_with(edge_workload(&[]), Some(Ok(Arc::new(pods))), pending)
}

fn decided_with(workload: Workload, pods: Option<PodsRead>, pending: bool) -> (Verdict, Action) {
    let (name, record) = record("shop.example/edge", &["edge digest"], &["edge"]);
    let mut record = record.unwrap().as_ref().clone();
    let tag = &mut record.findings.as_mut().unwrap().tags[0];
    tag.platforms.insert("linux/amd64".to_owned(), digest('d'));
    tag.platforms_pending = pending;
    let mut snapshot = snapshot(workload, vec![(name, Ok(Arc::new(record)))]);
    snapshot.nodes = Some(Ok(Arc::default()));
    snapshot.pods.extend(pods.map(|pods| ("1234".to_owned(), pods)));
    let Assessment {
        mut containers,
        action,
        ..
    } = assessment(&snapshot, now()).unwrap();
    (containers.remove(0).verdict, action)
}

fn named(fill: char) -> String {
    format!("shop.example/edge@{}", digest(fill))
}

#[test]
fn a_moving_tag_is_followed_by_what_the_pods_run() {
    let (old, new, platform, bare) = (named('a'), named('b'), named('d'), digest('b').to_string());
    for (image_ids, pending, expected) in [
        (&[old.as_str()][..], false, "update"),
        (&[&new], false, "up-to-date"),
        (&[&platform], false, "up-to-date"),
        (&[&new, &platform], false, "up-to-date"),
        // One pod that is behind is enough.
        (&[&new, &old], false, "update"),
        (&[&bare, &old], false, "update"),
        // What is not known is no ground, neither for an update nor for none.
        (&[&bare], false, "running-unknown"),
        (&[&new, &bare], false, "running-unknown"),
        (&[], false, "running-unknown"),
        (&[""], false, "running-unknown"),
        (&[&platform], true, "up-to-date"),
        (&[&old], true, "running-unknown"),
        (&[&new], true, "up-to-date"),
    ] {
        let (verdict, _) = decided(image_ids, pending);
        let name: &str = (&verdict).into();
        assert_eq!(name, expected, "{image_ids:?} {pending}: {verdict}");
        if let Verdict::Update(target) = verdict {
            assert_eq!(target.image, format!("{EDGE}@{}", digest('b')));
        }
    }
}

#[test]
fn only_pods_that_were_not_asked_are_asked_and_what_waits_is_not_taken_back_before() {
    for (pods, needs_pods, pending) in [
        (None, true, Pending::Unchanged),
        (Some(Err("forbidden".to_owned())), false, Pending::Remove),
        (Some(Ok(Arc::default())), false, Pending::Remove),
    ] {
        let edge = record("shop.example/edge", &["edge digest"], &["edge"]);
        let mut snapshot = snapshot(
            edge_workload(&[("kubefresh.dev/pending", "app: waits")]),
            vec![edge],
        );
        snapshot
            .pods
            .extend(pods.clone().map(|pods| ("1234".to_owned(), pods)));
        let assessment = assessment(&snapshot, now()).unwrap();
        assert_eq!(assessment.needs_pods(), needs_pods, "{pods:?}");
        assert_eq!(assessment.pending, pending, "{pods:?}");
    }
}

#[test]
fn where_nothing_runs_and_nothing_is_meant_to_the_digest_is_written() {
    let mut asleep = edge_workload(&[]);
    let RolloutFacts::Deployment(facts) = &mut asleep.rollout else {
        unreachable!()
    };
    facts.desired = 0;
    let mut job = edge_workload(&[]);
    job.rollout = RolloutFacts::CronJob;
    for workload in [asleep, job] {
        let (verdict, _) = decided_with(workload, None, false);
        let expected = format!("{EDGE}@{}", digest('b'));
        assert_eq!(target_image(&verdict), Some(expected.as_str()), "{verdict}");
    }
}

#[test]
fn what_ran_is_remembered_so_that_an_undo_does_not_go_back_to_a_tag_that_has_moved() {
    let back = |image_ids: &[&str]| {
        let (_, action) = decided(image_ids, false);
        let Action::Start(update) = action else {
            panic!("{action:?}")
        };
        let undone = rollback::undone(&update.in_flight);
        undone.containers["app"].to.clone()
    };
    let (a, b, c, platform, bare) = (
        named('a'),
        named('b'),
        named('c'),
        named('d'),
        digest('b').to_string(),
    );
    let exact = format!("{EDGE}@{}", digest('a'));
    assert_eq!(back(&[&a, &a]), exact);
    // A pod that was made anew runs what the update gives, under either name.
    assert_eq!(back(&[&a, &b]), exact);
    assert_eq!(back(&[&b, &a, &platform]), exact);
    // Nobody knows which of the two is meant, or what the third runs.
    assert_eq!(back(&[&a, &c]), EDGE);
    assert_eq!(back(&[&a, &b, &c]), EDGE);
    assert_eq!(back(&[&a, &b, &bare]), EDGE);
}

#[test]
fn of_several_that_ran_the_one_comes_back_that_the_tag_pointed_at_last() {
    let (name, record) = record("shop.example/edge", &["edge digest"], &["edge"]);
    let mut record = record.unwrap().as_ref().clone();
    let former = |fill| Former {
        digest: digest(fill),
        version: None,
        platforms: BTreeMap::new(),
    };
    record.findings.as_mut().unwrap().tags[0].former = Box::new(['d', 'c', 'a'].map(former));
    let record = Arc::new(record);
    for (ran, expected) in [
        (&['a', 'c'][..], Some('c')),
        (&['a', 'c', 'b'], Some('c')),
        // The record knows one of them alone, and none.
        (&['a', 'e'], Some('a')),
        (&['e', 'f'], None),
    ] {
        let pods: Vec<String> = ran.iter().map(|fill| named(*fill)).collect();
        let pods = pods_on(EDGE, pods.iter().map(|image_id| (image_id.as_str(), "node")));
        let records = vec![(name.clone(), Ok(Arc::clone(&record)))];
        let mut snapshot = snapshot(edge_workload(&[]), records);
        snapshot.nodes = Some(Ok(Arc::default()));
        snapshot.pods.insert("1234".to_owned(), Ok(Arc::new(pods)));
        let Action::Start(update) = assessment(&snapshot, now()).unwrap().action else {
            panic!("{ran:?}")
        };
        assert_eq!(
            update.in_flight.containers["app"].ran,
            expected.map(digest),
            "{ran:?}"
        );
    }
}

#[test]
fn what_a_tag_pointed_at_before_is_known_by_its_platforms_too() {
    let (name, record) = record("shop.example/edge", &["edge digest"], &["edge"]);
    let mut record = record.unwrap().as_ref().clone();
    record.findings.as_mut().unwrap().tags[0].former = Box::new([Former {
        digest: digest('a'),
        version: None,
        platforms: [("linux/amd64", '1'), ("linux/arm64", '2')]
            .map(|(platform, fill)| (platform.to_owned(), digest(fill)))
            .into(),
    }]);
    let pods = [named('1'), named('2')];
    let pods = pods_on(EDGE, pods.iter().map(|image_id| (image_id.as_str(), "node")));
    let mut snapshot = snapshot(edge_workload(&[]), vec![(name, Ok(Arc::new(record)))]);
    snapshot.nodes = Some(Ok(Arc::default()));
    snapshot.pods.insert("1234".to_owned(), Ok(Arc::new(pods)));
    let action = assessment(&snapshot, now()).unwrap().action;
    let Action::Start(update) = action else {
        panic!("{action:?}")
    };
    assert_eq!(update.in_flight.containers["app"].ran, Some(digest('a')));
}

#[test]
fn what_is_new_of_an_image_without_a_tag_is_agreed_to_by_its_digest() {
    let target = Target {
        tag: "latest".parse().unwrap(),
        digest: Some(digest('b')),
        image: format!("shop.example/app:latest@{}", digest('b')),
        superseded_at: None,
        ran: None,
        kept_by: None,
        terms: None,
    };
    for image in ["shop.example/app", "shop.example/app:latest"] {
        assert_eq!(
            approval("app", true, image, &target),
            format!("kubefresh.dev/approved={}", digest('b'))
        );
    }
}
