//! What is new in what a tag that moves points at now.

use super::running::pods_on;
use super::*;
use crate::domain::annotations::LAST_IMAGES;
use crate::domain::record::Former;
use crate::domain::record::labels::ImageLabels;

const EDGE: &str = "shop.example/edge:edge";
const NOTES: &str = "kubefresh.dev/release-notes";
const SOURCE: (&str, &str) = (NOTES, "github.com/example/shop");

/// The tag points at b…, whose image says this version, and pointed at a… before, with the manifest e… for one platform, whose image
/// said 1.4.0. The workload has this image, and its pods run these.
fn moved(annotations: &[(&str, &str)], image: &str, offered: Option<&str>, pods: &[&str]) -> Snapshot {
    let (name, record) = record(
        "shop.example/edge",
        &["edge digest", "edge digest pinned"],
        &["edge"],
    );
    let mut record = record.unwrap().as_ref().clone();
    let tag = &mut record.findings.as_mut().unwrap().tags[0];
    tag.labels = Some(Box::new(ImageLabels {
        version: offered.map(str::to_owned),
        ..ImageLabels::default()
    }));
    tag.former = Box::new([Former {
        digest: digest('a'),
        version: Some("1.4.0".to_owned()),
        platforms: BTreeMap::from([("linux/amd64".to_owned(), digest('e'))]),
    }]);
    let workload = workload(&[AUTO.as_slice(), annotations].concat(), &[("app", image)]);
    let mut snapshot = snapshot(workload, vec![(name, Ok(Arc::new(record)))]);
    snapshot.nodes = Some(Ok(Arc::default()));
    if !pods.is_empty() {
        let pods = pods_on(image, pods.iter().map(|image_id| (*image_id, "node")));
        snapshot.pods.insert("1234".to_owned(), Ok(Arc::new(pods)));
    }
    snapshot
}

fn named(fill: char) -> String {
    format!("shop.example/edge@{}", digest(fill))
}

fn pinned(fill: char) -> String {
    format!("{EDGE}@{}", digest(fill))
}

/// From where to where notes are wanted.
fn wanted(snapshot: &Snapshot) -> Vec<(String, String)> {
    let wanted = snapshot.notes_wanted(&plan(snapshot, &LIMITS, now())).into_iter();
    wanted
        .map(|wanted| (wanted.from.to_string(), wanted.to.to_string()))
        .collect()
}

#[test]
fn the_notes_of_a_tag_that_moved_are_those_between_the_versions_that_its_images_say() {
    let same = "the tag stays the same, and ";
    let unknown = format!("{same}it is not known which digest runs");
    let running = format!("{same}no scan has found the version of what runs");
    let (a, b, e, f) = (named('a'), named('b'), named('e'), named('f'));
    let (new, none) = (Some("1.5.0"), &[][..]);
    for (image, pods, offered, expected) in [
        (pinned('a'), none, new, Ok(())),
        (pinned('e'), none, new, Ok(())),
        (EDGE.to_owned(), &[&*a][..], new, Ok(())),
        (EDGE.to_owned(), &[&*e], new, Ok(())),
        (EDGE.to_owned(), &[&*a, &*e], new, Ok(())),
        // Some run what is offered already.
        (EDGE.to_owned(), &[&*a, &*b], new, Ok(())),
        (pinned('f'), none, new, Err(running.clone())),
        (EDGE.to_owned(), &[&*f], new, Err(running)),
        (EDGE.to_owned(), &[&*a, &*f], new, Err(unknown)),
        (
            pinned('a'),
            none,
            None,
            Err(format!("{same}no scan has found the version of what is offered")),
        ),
        (
            pinned('a'),
            none,
            Some("main"),
            Err(format!("{same}its image says that its version is \"main\"")),
        ),
        (
            pinned('a'),
            none,
            Some("1.4.0"),
            Err(format!(
                "{same}so does the version that its image says it is, 1.4.0"
            )),
        ),
    ] {
        let snapshot = moved(&[SOURCE], &image, offered, pods);
        let news = snapshot
            .news(&snapshot.workloads[0], "app", &image, &pinned('b'))
            .unwrap();
        let (way, why) = match &expected {
            Ok(()) => (vec![("1.4.0".to_owned(), "1.5.0".to_owned())], String::new()),
            Err(why) => (Vec::new(), why.clone()),
        };
        assert_eq!(wanted(&snapshot), way, "{image} {pods:?} {offered:?}");
        assert_eq!(news.versions.is_some(), expected.is_ok(), "{news:?}");
        assert!(news.why.clone().unwrap_or_default().starts_with(&why), "{news:?}");
    }
}

#[test]
fn a_page_of_the_tag_is_wanted_whatever_its_images_say_and_that_of_the_version_where_they_do() {
    let page = (NOTES, "https://docs.shop.example/{tag}");
    let versions = moved(&[page], &pinned('a'), Some("1.5.0"), &[]);
    assert_eq!(wanted(&versions), [("1.4.0".to_owned(), "1.5.0".to_owned())]);
    let nothing = moved(&[page], &pinned('a'), None, &[]);
    assert_eq!(wanted(&nothing), [("edge".to_owned(), "edge".to_owned())]);
}

#[test]
fn how_far_a_tag_has_moved_is_told_by_its_images_and_is_unknown_where_they_do_not() {
    let unknown = "nobody knows whether it is major: neither the tags edge and edge nor the images' labels tell how far it is";
    for (offered, expected) in [
        (Some("1.5.0"), None),
        (Some("2.0.0"), Some("major: it goes from 1.4.0 to 2.0.0")),
        (Some("1.5.0-rc.1"), Some("prerelease: 1.5.0-rc.1 is a prerelease")),
        // What moves and says that it does not says nothing.
        (Some("1.4.0"), Some(unknown)),
        (None, Some(unknown)),
    ] {
        let require = ("kubefresh.dev/require-approval", "major, prerelease");
        let snapshot = moved(&[SOURCE, require], &pinned('a'), offered, &[]);
        let verdict = assessment(&snapshot, now()).unwrap().containers.remove(0).verdict;
        let expected = expected.map_or_else(
            || format!("update to {}", pinned('b')),
            |why| format!("{} waits for approval ({why})", pinned('b')),
        );
        assert_eq!(verdict.to_string(), expected, "{offered:?}");
    }
}

#[test]
fn what_is_new_is_known_as_well_while_the_update_is_under_way_and_once_it_has_ended() {
    let before = moved(&[SOURCE], EDGE, Some("1.5.0"), &[&named('a')]);
    let Some(Action::Start(update)) = assessment(&before, now()).map(|assessment| assessment.action) else {
        panic!("no update")
    };
    let last = LastImages {
        containers: update.in_flight.containers.clone(),
        revision: None,
    };
    let (marker, last) = (update.in_flight.to_annotation(), last.to_annotation());
    for (annotation, wants) in [((IN_FLIGHT, &*marker), true), ((LAST_IMAGES, &*last), false)] {
        let snapshot = moved(&[SOURCE, annotation], &pinned('b'), Some("1.5.0"), &[&named('b')]);
        let news = snapshot
            .news(&snapshot.workloads[0], "app", EDGE, &pinned('b'))
            .unwrap();
        let versions = ("1.4.0".parse().unwrap(), "1.5.0".parse().unwrap());
        assert_eq!(news.versions, Some(versions), "{annotation:?}");
        assert_eq!(!wanted(&snapshot).is_empty(), wants, "{annotation:?}");
    }
}
