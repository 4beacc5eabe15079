//! Rule 14: the same image under a newer name is told, and not rolled out.

use super::running::pods_on;
use super::*;
use crate::domain::record::Described;
use crate::domain::schedule::time_zone;

const APP: &str = "shop.example/app:1.4.0";

/// A record by which the newest candidate was found to be c…, and its manifest for one platform d….
fn described() -> (String, Result<Arc<ScanRecord>, RecordError>) {
    let (name, record) = app();
    let mut record = ScanRecord::clone(&record.unwrap());
    let newest = &mut record.findings.as_mut().unwrap().tags[0];
    assert_eq!(newest.tag.as_str(), "1.5.0");
    newest.described = Some(Box::new(Described {
        at: now(),
        digest: digest('c'),
        platforms: BTreeMap::from([("linux/amd64".to_owned(), digest('d'))]),
    }));
    (name, Ok(Arc::new(record)))
}

fn decided(image: &str, pods: Option<PodsRead>) -> Assessment {
    let snapshot = Snapshot {
        pods: pods.map(|pods| ("1234".to_owned(), pods)).into_iter().collect(),
        nodes: Some(Ok(Arc::default())),
        ..snapshot(workload(&AUTO, &[("app", image)]), vec![described()])
    };
    assessment(&snapshot, now()).unwrap()
}

#[test]
fn a_newer_name_for_what_all_pods_run_is_told_and_not_rolled_out() {
    let same = "up to date: 1.5.0 is another name for the image that runs already";
    let update = "update to shop.example/app:1.5.0";
    for (digests, expected) in [
        (&['c', 'c'][..], same),
        // The one for a platform, and that of the index.
        (&['d', 'c'], same),
        (&['a'], update),
        // One of them would be changed by it.
        (&['c', 'a'], update),
        // Nobody knows what runs.
        (&[], update),
    ] {
        let images: Vec<String> = digests
            .iter()
            .map(|fill| format!("{}@{}", APP, digest(*fill)))
            .collect();
        let pods = pods_on(APP, images.iter().map(|image| (image.as_str(), "node")));
        let verdict = &decided(APP, Some(Ok(Arc::new(pods)))).containers[0].verdict;
        assert_eq!(verdict.to_string(), expected, "{digests:?}");
    }
    let untold = pods_on(APP, [(digest('c').as_ref(), "node")]);
    let verdict = &decided(APP, Some(Ok(Arc::new(untold)))).containers[0].verdict;
    assert_eq!(verdict.to_string(), update);
}

#[test]
fn pods_are_asked_only_for_an_update_whose_digest_is_known_and_those_that_cannot_be_read_stop_nothing() {
    let asked = decided(APP, None);
    assert!(asked.needs_pods() && matches!(asked.action, Action::Nothing));
    assert_eq!(asked.pending, Pending::Unchanged);
    let newest = decided("shop.example/app:1.5.0", None);
    assert!(!newest.needs_pods());
    let refused = decided(APP, Some(Err("forbidden".to_owned())));
    assert!(matches!(refused.action, Action::Start(_)));
    let unknown = snapshot(workload(&AUTO, &[("app", APP)]), vec![app()]);
    let unknown = assessment(&unknown, now()).unwrap();
    assert!(
        matches!(unknown.action, Action::Start(_)),
        "nothing to compare with"
    );
}

#[test]
fn an_image_that_is_written_with_its_digest_needs_no_pods_to_say_what_runs() {
    let pinned = record(
        "shop.example/pinned",
        &["1.4.0 minor pinned"],
        &["1.4.0", "1.5.0"],
    );
    for (fill, is_same) in [('c', true), ('a', false)] {
        let image = format!("shop.example/pinned:1.4.0@{}", digest(fill));
        let snapshot = snapshot(workload(&AUTO, &[("app", &image)]), vec![pinned.clone()]);
        let verdict = assessment(&snapshot, now()).unwrap().containers.remove(0).verdict;
        assert_eq!(matches!(verdict, Verdict::SameImage { .. }), is_same, "{verdict}");
    }
}

#[test]
fn an_update_by_version_takes_along_what_its_pods_ran_where_they_all_tell_the_same() {
    for (digests, expected) in [(&['a'][..], Some('a')), (&['a', 'b'], None), (&[], None)] {
        let images: Vec<String> = digests
            .iter()
            .map(|fill| format!("{}@{}", APP, digest(*fill)))
            .collect();
        let pods = pods_on(APP, images.iter().map(|image| (image.as_str(), "node")));
        let Action::Start(update) = decided(APP, Some(Ok(Arc::new(pods)))).action else {
            panic!("{digests:?}")
        };
        let ran = update.in_flight.containers["app"].ran.clone();
        assert_eq!(ran, expected.map(digest), "{digests:?}");
    }
}

#[test]
fn what_ran_before_and_what_the_record_knows_it_by_now_is_told_where_watch_cluster_promises_it() {
    let new = "shop.example/app:1.5.0";
    let change = ImageChange {
        from: APP.to_owned(),
        to: new.to_owned(),
        digest: None,
        ran: Some(digest('a')),
    };
    let containers = BTreeMap::from([("app".to_owned(), change)]);
    let marker = InFlight::new(containers, now(), SignedDuration::from_mins(10)).to_annotation();
    let annotations = [("watch-cluster.io/enabled", "true"), (IN_FLIGHT, &marker)];
    let mut done = workload(&annotations, &[("app", new)]);
    if let RolloutFacts::Deployment(facts) = &mut done.rollout {
        facts.observed_generation = facts.generation;
    }
    let mut snapshot = snapshot(done, vec![described()]);
    snapshot.time_zone = Some(time_zone("Asia/Seoul").unwrap());
    let Action::Follow { kept, .. } = assessment(&snapshot, now()).unwrap().action else {
        panic!("it is not followed")
    };
    for (name, expected) in [
        ("", "2026-11-21T12:00:00+09:00"),
        ("-image", new),
        ("-from-digest", digest('a').as_str()),
        ("-to-digest", digest('c').as_str()),
    ] {
        let told = &kept[&format!("watch-cluster.io/last-update{name}")];
        assert_eq!(told.as_deref(), Some(expected), "{name}");
    }
}
