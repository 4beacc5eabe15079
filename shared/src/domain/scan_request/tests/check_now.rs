//! What somebody asks for by `check-now`, and when it is done.

use super::*;

#[test]
fn check_now_is_done_once_a_scan_that_began_after_it_has_ended_with_an_answer() {
    let scanner = scanner();
    let check_now = ("kubefresh.dev/check-now", "");
    let known = cluster(&[check_now], IMAGE, true);
    let unknown = cluster(&[check_now], IMAGE, false);
    let [running, finished] = [false, true].map(|is_finished| [job("2026-11-21T12:00:01Z", is_finished)]);
    let early = [job("2026-11-21T11:59:59Z", true)];
    let none: &[ScanJob] = &[];
    for (name, snapshot, jobs, last_run, expected) in [
        ("nobody scanned", &known, none, None, false),
        (
            "a scan before it",
            &known,
            &early[..],
            Some("2026-11-21T11:59:59Z"),
            false,
        ),
        (
            "one under way",
            &known,
            &running[..],
            Some("2026-11-21T11:30:00Z"),
            false,
        ),
        (
            "one that wrote nothing down",
            &known,
            &finished[..],
            Some("2026-11-21T11:30:00Z"),
            false,
        ),
        (
            "one that did",
            &known,
            &finished[..],
            Some("2026-11-21T12:00:01Z"),
            true,
        ),
        ("one by hand", &known, none, Some("2026-11-21T12:00:01Z"), true),
        (
            "one that brought no answer",
            &unknown,
            &finished[..],
            Some("2026-11-21T12:00:01Z"),
            false,
        ),
    ] {
        let seen = Seen {
            scanner: Some(&scanner),
            jobs,
            last_run: last_run.map(at),
        };
        let plan = plan(snapshot, &LIMITS, now());
        let mut wishes = Wishes::default();
        wishes.look(&plan, &seen, at(NOON));
        assert_eq!(!wishes.checked(&plan, &seen).is_empty(), expected, "{name}");
    }
}

#[test]
fn a_run_of_the_second_in_which_a_wish_was_seen_answers_it_only_where_it_was_made_for_it() {
    let scanner = scanner();
    let snapshot = cluster(&[("kubefresh.dev/check-now", "")], IMAGE, true);
    let nothing = Seen {
        scanner: Some(&scanner),
        ..Seen::default()
    };
    let mut wishes = Wishes::default();
    let asked = request(look(&mut wishes, &snapshot, &nothing, NOON));
    let finished = |job: ScanJob| {
        [ScanJob {
            is_finished: true,
            ..job
        }]
    };
    let ours = finished(made(&asked, NOON));
    let (scheduled, later) = (
        finished(job(NOON, true)),
        finished(job("2026-11-21T12:00:01Z", true)),
    );
    let none: &[ScanJob] = &[];
    for (name, jobs, last_run, answered, done) in [
        ("a run by hand in that second", none, Some(NOON), false, false),
        ("a Job of the schedule", &scheduled[..], Some(NOON), false, false),
        (
            "a Job of the next second",
            &later[..],
            Some("2026-11-21T12:00:01Z"),
            true,
            true,
        ),
        ("the Job that was made for it", &ours[..], None, true, false),
        ("and its run", &ours[..], Some(NOON), true, true),
    ] {
        let seen = Seen {
            jobs,
            last_run: last_run.map(at),
            ..nothing
        };
        let time = "2026-11-21T12:00:20Z";
        let decision = look(&mut wishes, &snapshot, &seen, time);
        assert_eq!(decision == Decision::Nothing, answered, "{name}: {decision:?}");
        let plan = plan(&snapshot, &LIMITS, now());
        assert_eq!(!wishes.checked(&plan, &seen).is_empty(), done, "{name}");
    }
}

#[test]
fn check_now_is_taken_back_in_the_words_that_count() {
    let (ours, theirs) = ("kubefresh.dev/check-now", "watch-cluster.io/check-now");
    let enabled = ("watch-cluster.io/enabled", "true");
    let watched = ("kubefresh.dev/watch", "true");
    for (annotations, expected) in [
        (&[enabled, (theirs, "now")][..], &[theirs][..]),
        (&[enabled, (ours, "now"), (theirs, "now")], &[ours, theirs]),
        // A setting of ours stands beside theirs, which nobody reads.
        (&[enabled, watched, (ours, "now"), (theirs, "now")], &[ours]),
    ] {
        let mut snapshot = cluster(&[], IMAGE, true);
        let mut checkout = workload(annotations, &[("app", IMAGE)]);
        let known = record(
            "registry.example/shop/checkout",
            &["1.4.0 minor", "1.4.0 major"],
            &["1.4.0"],
        );
        snapshot.records = [known].into();
        checkout.uid = "checkout".to_owned();
        snapshot.workloads = vec![Arc::new(checkout)];
        let plan = plan(&snapshot, &LIMITS, now());
        let mut wishes = Wishes::default();
        let scanner = scanner();
        let seen = Seen {
            scanner: Some(&scanner),
            jobs: &[],
            last_run: Some(at("2026-11-21T12:00:01Z")),
        };
        wishes.look(&plan, &seen, at(NOON));
        let checked = wishes.checked(&plan, &seen);
        let keys: Vec<&str> = checked.into_iter().flat_map(|(_, keys)| keys).collect();
        assert_eq!(keys, expected, "{annotations:?}");
    }
}

#[test]
fn check_now_that_is_set_again_asks_again() {
    let scanner = scanner();
    let (with, without) = (
        cluster(&[("kubefresh.dev/check-now", "please")], IMAGE, true),
        cluster(&[], IMAGE, true),
    );
    let mut wishes = Wishes::default();
    let mut seen = Seen {
        scanner: Some(&scanner),
        ..Seen::default()
    };
    let first = request(look(&mut wishes, &with, &seen, NOON));
    let jobs = [ScanJob {
        is_finished: true,
        ..made(&first, NOON)
    }];
    seen.jobs = &jobs;
    assert_eq!(
        look(&mut wishes, &without, &seen, "2026-11-21T12:01:00Z"),
        Decision::Nothing
    );
    let again = look(&mut wishes, &with, &seen, "2026-11-21T12:05:00Z");
    assert_eq!(reasons(&again), ["check-now"], "{again:?}");
}
