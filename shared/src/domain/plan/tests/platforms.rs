//! An image that is not published for a platform on which its pods run.

use super::running::pods_on;
use super::*;
use crate::domain::nodes::{Nodes, NodesUnread};

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

/// Nodes named by their platform, with a number after a `#` where there are several.
fn nodes(names: &[&str]) -> Nodes {
    let mut nodes = Nodes::default();
    for name in names {
        let platform = name.split('#').next().unwrap();
        let (os, architecture) = platform.split_once('/').unwrap();
        nodes.take_platform(name, os, architecture);
    }
    nodes
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
    assessment(&snapshot, now())
        .unwrap()
        .containers
        .remove(0)
        .verdict
        .to_string()
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
    let waits = format!("{new} waits until it is published for linux/b, on which 3 nodes run");
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
}

#[test]
fn an_older_version_that_runs_everywhere_goes_before_and_the_image_of_now_says_where_that_is() {
    let (name, record) = record("shop.example/app", &["1.4.0 minor"], &["1.4.0", "1.4.1", "1.5.0"]);
    let mut record = ScanRecord::clone(&record.unwrap());
    let for_platforms = |platforms: &[&str]| {
        Some(Box::new(crate::domain::record::Described {
            at: now(),
            digest: digest('c'),
            platforms: platforms
                .iter()
                .map(|platform| ((*platform).to_owned(), digest('d')))
                .collect(),
        }))
    };
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
        assessment(&snapshot, now())
            .unwrap()
            .containers
            .remove(0)
            .verdict
            .to_string()
    };
    for tag in &mut record.findings.as_mut().unwrap().tags {
        tag.described = match tag.tag.as_str() {
            "1.5.0" => for_platforms(&["linux/amd64"]),
            "1.4.0" => for_platforms(&BOTH),
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
    let waits = "shop.example/app:1.5.0 waits until it is published for linux/arm64, on which 1 node runs";
    assert_eq!(told(&record, ""), waits);
}
