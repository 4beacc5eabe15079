//! An image that is not published for a platform on which its pods run.

use super::running::pods_on;
use super::*;
use crate::domain::nodes::{Nodes, NodesUnread};
use crate::domain::record::Described;

const EDGE: &str = "shop.example/edge:edge";
const BOTH: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// A record by which `edge` points at an image for these platforms.
fn edge(platforms: &[&str]) -> (String, Result<Arc<ScanRecord>, RecordError>) {
    let (name, record) = record(
        "shop.example/edge",
        &["edge digest", "edge digest pinned"],
        &["edge"],
    );
    let mut record = ScanRecord::clone(&record.unwrap());
    let tag = &mut record.findings.as_mut().unwrap().tags[0];
    let image = |platform: &&str| ((*platform).to_owned(), digest('d'));
    tag.platforms = platforms.iter().map(image).collect();
    (name, Ok(Arc::new(record)))
}

/// Nodes named by their platform, with a number after a `#` where there are several; with a `!` those that are kept for some.
fn nodes(names: &[&str]) -> Nodes {
    let mut nodes = Nodes::default();
    for name in names {
        let platform = name.split('#').next().unwrap();
        nodes.take_platform(name, platform.trim_end_matches('!'), !platform.ends_with('!'));
    }
    nodes
}

/// What an image was found to be that is published for these.
fn for_platforms(platforms: &[&str]) -> Described {
    let image = |platform: &&str| ((*platform).to_owned(), digest('d'));
    Described {
        at: now(),
        digest: digest('c'),
        platforms: platforms.iter().map(image).collect(),
    }
}

/// The verdict of the only container.
fn verdict(snapshot: &Snapshot) -> String {
    let mut assessment = assessment(snapshot, now()).unwrap();
    assessment.containers.remove(0).verdict.to_string()
}

fn told(platforms: &[&str], pods_on_nodes: &[&str], cluster: Option<NodesRead>) -> String {
    let image = format!("{EDGE}@{}", digest('a'));
    let running = format!("{EDGE}@{}", digest('a'));
    let pods = pods_on(&image, pods_on_nodes.iter().map(|node| (running.as_str(), *node)));
    let snapshot = Snapshot {
        pods: BTreeMap::from([("1234".to_owned(), Ok(Arc::new(pods)))]),
        nodes: cluster,
        ..snapshot(workload(&AUTO, &[("app", &image)]), vec![edge(platforms)])
    };
    verdict(&snapshot)
}

#[test]
fn an_image_that_lacks_a_platform_on_which_its_pods_run_waits_until_it_is_published_for_it() {
    let new = format!("{EDGE}@{}", digest('b'));
    let cluster = || {
        Some(Ok(Arc::new(nodes(&[
            "linux/a",
            "linux/b#1",
            "linux/b#2",
            "linux/b#3",
        ]))))
    };
    let waits = format!("{new} waits until it is published for linux/b, on which nodes run");
    let update = format!("update to {new}");
    for (platforms, pods_on_nodes, expected) in [
        (&["linux/a"][..], &["linux/a", "linux/b#2"][..], &waits),
        (&["linux/a"], &["linux/a"], &update),
        (&["linux/a", "linux/b/v8"], &["linux/a", "linux/b#2"], &update),
        // Nobody knows what it is published for.
        (&[], &["linux/b#1"], &update),
        // A node that is gone again, and a pod that is on none yet.
        (&["linux/a"], &["linux/b#9", ""], &update),
    ] {
        assert_eq!(
            told(platforms, pods_on_nodes, cluster()),
            *expected,
            "{platforms:?} {pods_on_nodes:?}"
        );
    }
}

#[test]
fn nodes_are_asked_only_where_platforms_are_known_and_what_is_not_known_of_them_is_said() {
    let update = format!("update to {EDGE}@{}", digest('b'));
    let on = ["linux/arm64"];
    let unread = |unread: NodesUnread| Some(Err(unread));
    for (platforms, cluster, expected) in [
        (
            &BOTH[..],
            None,
            "nobody has asked yet on which platforms the nodes run",
        ),
        (&[], None, &update),
        (&BOTH, unread(NodesUnread::NotAllowed), &update),
        (
            &BOTH,
            unread(NodesUnread::Unreadable("no answer".to_owned())),
            "it is not known on which platforms the nodes run: no answer",
        ),
    ] {
        assert_eq!(told(platforms, &on, cluster), expected);
    }
    let unreadable = RunningUnknown::NodesUnreadable("no answer".to_owned());
    let waits = |unknown: RunningUnknown| Verdict::RunningUnknown(unknown).waits_for();
    assert_eq!(waits(unreadable), Some("nodes-unreadable"));
    // Asked in the next look, and then known.
    assert_eq!(waits(RunningUnknown::NodesNotAsked), None);
}

#[test]
fn an_older_version_that_runs_everywhere_goes_before_and_the_image_of_now_says_where_that_is() {
    let (name, record) = record("shop.example/app", &["1.4.0 minor"], &["1.4.0", "1.4.1", "1.5.0"]);
    let mut record = ScanRecord::clone(&record.unwrap());
    let told = |record: &ScanRecord, selected: &str| {
        let mut workload = workload(&AUTO, &[("app", "shop.example/app:1.4.0")]);
        let pod = serde_json::json!({ "containers": [], "nodeSelector": { "kubernetes.io/arch": selected } });
        if !selected.is_empty() {
            workload.platforms = PlatformSelector::of(&serde_json::from_value(pod).unwrap());
        }
        let snapshot = Snapshot {
            // No pod says anything: what is published of the present tag does.
            pods: BTreeMap::from([("1234".to_owned(), Ok(Arc::default()))]),
            nodes: Some(Ok(Arc::new(nodes(&BOTH)))),
            ..snapshot(workload, vec![(name.clone(), Ok(Arc::new(record.clone())))])
        };
        verdict(&snapshot)
    };
    for tag in &mut record.findings.as_mut().unwrap().tags {
        tag.described = match tag.tag.as_str() {
            "1.5.0" => Some(Box::new(for_platforms(&["linux/amd64"]))),
            "1.4.0" => Some(Box::new(for_platforms(&BOTH))),
            _ => None,
        };
    }
    assert_eq!(told(&record, ""), "update to shop.example/app:1.4.1");
    assert_eq!(told(&record, "amd64"), "update to shop.example/app:1.5.0");
    record
        .findings
        .as_mut()
        .unwrap()
        .tags
        .retain(|tag| tag.tag.as_str() != "1.4.1");
    let waits = "shop.example/app:1.5.0 waits until it is published for linux/arm64, on which nodes run";
    assert_eq!(told(&record, ""), waits);
}

#[test]
fn a_platform_that_its_pods_cannot_come_onto_or_only_some_may_is_not_waited_for_unless_they_are_there() {
    let (name, record) = record("shop.example/app", &["1.4.0 minor"], &["1.4.0", "1.5.0"]);
    let mut record = ScanRecord::clone(&record.unwrap());
    for tag in &mut record.findings.as_mut().unwrap().tags {
        let is_new = tag.tag.as_str() == "1.5.0";
        let platforms = if is_new { &BOTH[..1] } else { &BOTH };
        tag.described = Some(Box::new(for_platforms(platforms)));
    }
    let image = "shop.example/app:1.4.0";
    let told = |cluster: &[&str], pod: &serde_json::Value, on: &[&str]| {
        let mut workload = workload(&AUTO, &[("app", image)]);
        workload.platforms = PlatformSelector::of(&serde_json::from_value(pod.clone()).unwrap());
        let running = format!("shop.example/app@{}", digest('a'));
        let pods = pods_on(image, on.iter().map(|node| (running.as_str(), *node)));
        verdict(&Snapshot {
            pods: BTreeMap::from([("1234".to_owned(), Ok(Arc::new(pods)))]),
            nodes: Some(Ok(Arc::new(nodes(cluster)))),
            ..snapshot(workload, vec![(name.clone(), Ok(Arc::new(record.clone())))])
        })
    };
    let pod = |selector: &[(&str, &str)]| {
        let selector: BTreeMap<_, _> = selector.iter().copied().collect();
        serde_json::json!({ "containers": [], "nodeSelector": selector })
    };
    let (update, waits) = (
        "update to shop.example/app:1.5.0",
        "shop.example/app:1.5.0 waits until it is published for linux/arm64, on which nodes run",
    );
    let (amd, arm, kept) = ("linux/amd64", "linux/arm64", "linux/arm64!");
    for (cluster, selector, on, expected) in [
        (&[amd, arm][..], &[][..], &[amd][..], waits),
        (&[amd], &[], &[amd], update),
        (&[amd, kept], &[], &[amd], update),
        (&[amd, kept], &[], &[amd, kept], waits),
        (&[amd, arm], &[("kubernetes.io/arch", "amd64")], &[amd], update),
        (&[amd, arm], &[("pool", "old")], &[amd], update),
        (&[amd, arm], &[("pool", "mixed")], &[amd, arm], waits),
        // The present image cannot be there.
        (&[amd, "linux/s390x"], &[], &[amd], update),
    ] {
        assert_eq!(
            told(cluster, &pod(selector), on),
            expected,
            "{cluster:?} {selector:?} {on:?}"
        );
    }
}

#[test]
fn where_no_digest_is_known_of_what_could_go_before_it_is_said_for_which_platform_the_newest_waits() {
    let (name, record) = record(
        "shop.example/app",
        &["1.4.0 minor pinned"],
        &["1.4.0", "1.4.1", "1.5.0"],
    );
    let mut record = ScanRecord::clone(&record.unwrap());
    for tag in &mut record.findings.as_mut().unwrap().tags {
        match tag.tag.as_str() {
            "1.5.0" => tag.platforms = BTreeMap::from([("linux/amd64".to_owned(), digest('d'))]),
            _ => tag.digest = None,
        }
    }
    let image = format!("shop.example/app:1.4.0@{}", digest('a'));
    let running = format!("shop.example/app@{}", digest('a'));
    let mut snapshot = Snapshot {
        pods: BTreeMap::from([(
            "1234".to_owned(),
            Ok(Arc::new(pods_on(&image, [(running.as_str(), "linux/arm64")]))),
        )]),
        nodes: Some(Ok(Arc::new(nodes(&BOTH)))),
        ..snapshot(
            workload(&AUTO, &[("app", &image)]),
            vec![(name, Ok(Arc::new(record)))],
        )
    };
    let waits = format!(
        "shop.example/app:1.5.0@{} waits until it is published for linux/arm64, on which nodes run",
        digest('c')
    );
    assert_eq!(verdict(&snapshot), waits);
    snapshot.nodes = Some(Ok(Arc::new(nodes(&BOTH[..1]))));
    snapshot.pods.clear();
    let update = format!("update to shop.example/app:1.5.0@{}", digest('c'));
    assert_eq!(
        verdict(&snapshot),
        update,
        "nothing is lacking, so that no pods are asked"
    );
}
