//! What somebody asks for by `check-now`, and when it is done.

use super::*;

/// Whether what was asked for at noon is done by what is seen.
fn is_done(snapshot: &Snapshot, seen: &Seen<'_>) -> bool {
    let plan = plan(snapshot, &LIMITS, now());
    let mut wishes = Wishes::default();
    wishes.look(&plan, seen, at(NOON));
    !wishes.checked(&plan, seen).is_empty()
}

#[test]
fn check_now_is_done_once_a_scan_that_began_after_it_has_ended_with_an_answer() {
    let scanner = scanner();
    let check_now = ("kubefresh.dev/check-now", "");
    let known = cluster(&[check_now], IMAGE, true);
    let unknown = cluster(&[check_now], IMAGE, false);
    let [running, finished] = [false, true].map(|is_finished| [job("2026-11-21T12:01:01Z", is_finished)]);
    let early = [job("2026-11-21T11:59:59Z", true)];
    // By another clock, which may be a minute ahead of ours.
    let perhaps_early = [job("2026-11-21T12:01:00Z", true)];
    for (name, snapshot, jobs, last_run, expected) in [
        ("nobody scanned", &known, &[][..], None, false),
        (
            "a scan before it",
            &known,
            &early[..],
            Some("2026-11-21T11:59:59Z"),
            false,
        ),
        (
            "a scan that may have begun before it",
            &known,
            &perhaps_early[..],
            Some("2026-11-21T12:01:00Z"),
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
            Some("2026-11-21T12:01:01Z"),
            true,
        ),
        ("one by hand", &known, &[], Some("2026-11-21T12:01:01Z"), true),
        (
            "one that brought no answer",
            &unknown,
            &finished[..],
            Some("2026-11-21T12:01:01Z"),
            false,
        ),
    ] {
        let seen = Seen {
            scanner: Some(&scanner),
            jobs,
            last_run: last_run.map(at),
        };
        assert_eq!(is_done(snapshot, &seen), expected, "{name}");
    }
}

#[test]
fn a_run_that_began_within_a_minute_of_a_wish_answers_it_only_where_it_was_made_for_it() {
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
        finished(job("2026-11-21T12:01:01Z", true)),
    );
    let none: &[ScanJob] = &[];
    for (name, jobs, last_run, answered, done) in [
        ("a run by hand in that second", none, Some(NOON), false, false),
        ("a Job of the schedule", &scheduled[..], Some(NOON), false, false),
        (
            "a Job of a minute later",
            &later[..],
            Some("2026-11-21T12:01:01Z"),
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
            last_run: Some(at("2026-11-21T12:01:01Z")),
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

#[test]
fn a_job_that_was_made_for_check_now_is_its_scan_though_all_clocks_are_a_minute_apart() {
    let scanner = scanner();
    let snapshot = cluster(&[("kubefresh.dev/check-now", "")], IMAGE, true);
    let apart = [-60, 0, 60].map(SignedDuration::from_secs);
    let pairs = apart
        .into_iter()
        .flat_map(|server| apart.map(|scans| (server, scans)));
    let minute = SignedDuration::from_mins(1);
    for (server, scans) in pairs.filter(|(server, scans)| (*server - *scans).abs() <= minute) {
        let mut wishes = Wishes::default();
        // A scan that ended just before is none that could have seen it.
        let seen = Seen {
            scanner: Some(&scanner),
            last_run: Some(at("2026-11-21T11:59:30Z") + scans),
            ..Seen::default()
        };
        wishes.look(
            &plan(&cluster(&[], IMAGE, true), &LIMITS, now()),
            &seen,
            at("2026-11-21T11:59:59Z"),
        );
        let asked = request(look(&mut wishes, &snapshot, &seen, NOON));
        let made = made(&asked, &(at(NOON) + server).to_string());
        let finished = [ScanJob {
            is_finished: true,
            ..made.clone()
        }];
        let running = [made];
        let plan = plan(&snapshot, &LIMITS, now());
        for (jobs, last_run, is_done) in [
            (&running[..], seen.last_run, false),
            (&finished[..], seen.last_run, false),
            (&finished[..], Some(at("2026-11-21T12:00:05Z") + scans), true),
        ] {
            // Long after any pause.
            let later = Seen {
                jobs,
                last_run,
                ..seen
            };
            let decision = look(&mut wishes, &snapshot, &later, "2026-11-21T12:20:00Z");
            assert_eq!(decision, Decision::Nothing, "{server} {scans}");
            let is_checked = !wishes.checked(&plan, &later).is_empty();
            assert_eq!(is_checked, is_done, "{server} {scans}");
        }
    }
}

#[test]
fn a_scan_that_began_before_check_now_does_not_answer_it_by_a_clock_that_is_a_minute_ahead() {
    let scanner = scanner();
    let snapshot = cluster(&[("kubefresh.dev/check-now", "")], IMAGE, true);
    let none = Seen {
        scanner: Some(&scanner),
        ..Seen::default()
    };
    let mut wishes = Wishes::default();
    wishes.look(
        &plan(&cluster(&[], IMAGE, true), &LIMITS, now()),
        &none,
        at("2026-11-21T11:59:59Z"),
    );
    // It began ten seconds before.
    let jobs = [job("2026-11-21T12:00:50Z", true)];
    let seen = Seen {
        jobs: &jobs,
        last_run: Some(at("2026-11-21T12:00:50Z")),
        ..none
    };
    let decision = look(&mut wishes, &snapshot, &seen, NOON);
    assert_eq!(reasons(&decision), ["check-now"], "{decision:?}");
    assert!(wishes.checked(&plan(&snapshot, &LIMITS, now()), &seen).is_empty());
}
