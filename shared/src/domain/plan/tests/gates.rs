//! What keeps an update from starting, until when, and what is then said. It is a Saturday, three in the morning.

use super::*;
use crate::domain::annotations::PENDING;

const OLD: &str = "shop.example/app:1.4.0";

/// The verdict on `app` at 1.4.0 in mode `auto`, as it is told, and when to look again.
fn told(annotations: &[(&str, &str)], at: Timestamp) -> (String, Option<Timestamp>) {
    let all = [AUTO.as_slice(), annotations].concat();
    let mut plan = plan(
        &snapshot(workload(&all, &[("app", OLD)]), vec![app()]),
        &LIMITS,
        at,
    );
    let verdict = plan.assessments.remove(0).containers.remove(0).verdict;
    (verdict.to_string(), plan.next_look)
}

/// What is found of two containers whose records were written so many seconds ago; that of the second may not be there.
fn of_two(first: i64, second: Option<i64>) -> [String; 2] {
    let both = [("app", OLD), ("side", "shop.example/side:1.4.0")];
    let written = |repository: &str, ago: i64| {
        let (name, record) = record(repository, &["1.4.0 minor"], &["1.4.0", "1.5.0"]);
        let mut record = ScanRecord::clone(&record.unwrap());
        record.findings.as_mut().unwrap().scanned_at = now() - SignedDuration::from_secs(ago);
        (name, Ok(Arc::new(record)))
    };
    let second = second.map(|ago| written("shop.example/side", ago));
    let records = [written("shop.example/app", first)].into_iter().chain(second);
    let snapshot = snapshot(workload(&AUTO, &both), records.collect());
    let containers = assessment(&snapshot, now()).unwrap().containers;
    [0, 1].map(|index| containers[index].verdict.to_string())
}

#[test]
fn what_a_scan_finds_for_several_containers_goes_in_one_update() {
    let (app, side) = ("shop.example/app:1.5.0", "shop.example/side:1.5.0");
    let waits = "waits for what the scan finds for its other containers, until 2026-11-21T03:00:";
    let together = [app, side].map(|image| format!("update to {image}"));
    assert_eq!(of_two(0, Some(0)), together);
    assert_eq!(of_two(5, Some(59)), together);
    // The scan before wrote the second, and this one may be about to.
    assert_eq!(
        of_two(10, Some(900)),
        [app, side].map(|image| format!("{image} {waits}50Z"))
    );
    assert_eq!(
        of_two(900, Some(10)),
        [app, side].map(|image| format!("{image} {waits}50Z"))
    );
    assert_eq!(of_two(10, None)[0], format!("{app} {waits}50Z"));
    // It found nothing new, or never came to it.
    assert_eq!(of_two(61, Some(900)), together);
    assert_eq!(of_two(61, None)[0], together[0]);
    assert_eq!(of_two(900, Some(2000)), together);
}

#[test]
fn an_update_waits_for_its_window_and_for_the_end_of_a_freeze() {
    let image = "shop.example/app:1.5.0";
    for (window, freeze, expected, next_look) in [
        ("0 3 * * * 1h", "never", "update to {}", None),
        (
            "0 22 * * * 4h",
            "never",
            "{} waits for its window, until 2026-11-21T22:00:00Z",
            Some("2026-11-21T22:00:00Z"),
        ),
        (
            "always",
            "0 0 * * 6,0 1d Europe/Paris",
            "{} waits for the end of a freeze, until 2026-11-22T23:00:00Z",
            Some("2026-11-22T23:00:00Z"),
        ),
        (
            "0 2 * * * 2h",
            "2026-11-21T00:00/2026-11-21T12:00",
            "{} waits for the end of a freeze, until 2026-11-22T02:00:00Z",
            Some("2026-11-22T02:00:00Z"),
        ),
        (
            "2026-11-01T00:00/2026-11-02T00:00",
            "never",
            "{} waits for its window, with no end in sight",
            None,
        ),
    ] {
        let annotations = [("kubefresh.dev/window", window), ("kubefresh.dev/freeze", freeze)];
        let found = told(&annotations, now());
        let next_look = next_look.map(|time| time.parse().unwrap());
        assert_eq!(
            found,
            (expected.replace("{}", image), next_look),
            "{window}, freeze {freeze}"
        );
    }
}

#[test]
fn an_update_starts_the_moment_its_window_opens_and_not_after_it_closed() {
    let window = [("kubefresh.dev/window", "0 4 * * * 1h")];
    let after = |minutes: i64| told(&window, now() + SignedDuration::from_mins(minutes)).0;
    for (minutes, starts) in [(59, false), (60, true), (119, true), (120, false)] {
        let verdict = after(minutes);
        assert_eq!(
            verdict.starts_with("update to"),
            starts,
            "after {minutes} minutes: {verdict}"
        );
    }
}

#[test]
fn a_tag_has_to_be_known_for_long_enough_and_an_older_one_goes_before() {
    // 1.5.0 was seen first at three, 1.4.1 a day before, 1.6.0 an hour later.
    let hour = SignedDuration::from_hours(1);
    let (name, good) = record(
        "shop.example/app",
        &["1.4.0 minor"],
        &["1.4.0", "1.4.1", "1.5.0", "1.6.0"],
    );
    let mut record = ScanRecord::clone(&good.unwrap());
    for tag in &mut record.findings.as_mut().unwrap().tags {
        match tag.tag.as_ref() {
            "1.4.1" => tag.first_seen = now() - hour * 24,
            "1.6.0" => tag.first_seen = now() + hour,
            _ => {}
        }
    }
    let verdict = |min_age: &str, mode: &str, hours: i32| {
        let annotations = [
            ("kubefresh.dev/watch", "true"),
            ("kubefresh.dev/mode", mode),
            ("kubefresh.dev/min-age", min_age),
        ];
        let records = vec![(name.clone(), Ok(Arc::new(record.clone())))];
        let snapshot = snapshot(workload(&annotations, &[("app", OLD)]), records);
        let mut plan = plan(&snapshot, &LIMITS, now() + hour * hours);
        let verdict = plan.assessments.remove(0).containers.remove(0).verdict;
        (verdict.to_string(), plan.next_look.map(|time| time.to_string()))
    };
    let image = "shop.example/app:";
    for (min_age, mode, hours, expected, next_look) in [
        ("0", "auto", 2, "update to {}1.6.0", None),
        ("2h", "auto", 2, "update to {}1.5.0", Some("2026-11-21T06:00:00Z")),
        ("1d", "auto", 2, "update to {}1.4.1", Some("2026-11-22T03:00:00Z")),
        (
            "1d",
            "notify",
            2,
            "{}1.4.1 is available; mode notify leaves it to people",
            Some("2026-11-22T03:00:00Z"),
        ),
        (
            "3d",
            "auto",
            2,
            "{}1.4.1 waits until it is old enough, until 2026-11-23T03:00:00Z",
            Some("2026-11-23T03:00:00Z"),
        ),
        (
            "3d",
            "approve",
            2,
            "{}1.4.1 waits until it is old enough, until 2026-11-23T03:00:00Z",
            Some("2026-11-23T03:00:00Z"),
        ),
        ("3h", "auto", 4, "update to {}1.6.0", None),
    ] {
        let found = verdict(min_age, mode, hours);
        let expected = (expected.replace("{}", image), next_look.map(str::to_owned));
        assert_eq!(found, expected, "{min_age}, {mode}, after {hours} hours");
    }
}

#[test]
fn what_is_too_young_waits_until_it_is_old_enough_and_may_start() {
    // 1.5.0 was seen first on that Saturday at three.
    let too_young = ("kubefresh.dev/min-age", "3h");
    let image = "shop.example/app:1.5.0";
    let alone = "{} waits until it is old enough, until 2026-11-21T06:00:00Z";
    let with_window = "{} waits until it is old enough and its window is open, ";
    let (window, freeze) = ("kubefresh.dev/window", "kubefresh.dev/freeze");
    let approve = ("kubefresh.dev/mode", "approve");
    for (annotations, expected) in [
        (&[][..], alone.to_owned()),
        (&[(window, "0 5 * * * 4h")], alone.to_owned()),
        (
            &[(window, "0 22 * * * 4h")],
            format!("{with_window}until 2026-11-21T22:00:00Z"),
        ),
        // It is open now, and closed by then.
        (
            &[(window, "0 2 * * * 2h")],
            format!("{with_window}until 2026-11-22T02:00:00Z"),
        ),
        (
            &[(window, "0 5 * * * 4h"), (freeze, "0 0 * * 6 7h")],
            format!("{with_window}until 2026-11-21T07:00:00Z"),
        ),
        (
            &[(window, "2026-11-01T00:00/2026-11-02T00:00")],
            format!("{with_window}with no end in sight"),
        ),
        // Somebody is asked the moment that it is old enough.
        (&[(window, "0 22 * * * 4h"), approve], alone.to_owned()),
        (
            &[
                (window, "0 22 * * * 4h"),
                ("kubefresh.dev/require-approval", "breaking"),
            ],
            alone.to_owned(),
        ),
        // Nobody will be asked about this one.
        (
            &[
                (window, "0 22 * * * 4h"),
                ("kubefresh.dev/require-approval", "major"),
            ],
            format!("{with_window}until 2026-11-21T22:00:00Z"),
        ),
        (
            &[
                (window, "0 22 * * * 4h"),
                approve,
                ("kubefresh.dev/approved", "1.5.0"),
            ],
            format!("{with_window}until 2026-11-21T22:00:00Z"),
        ),
    ] {
        let (told, next_look) = told(&[annotations, &[too_young]].concat(), now());
        assert_eq!(told, expected.replace("{}", image), "{annotations:?}");
        let until = told.rsplit_once("until ").and_then(|(_, time)| time.parse().ok());
        assert_eq!(next_look, until, "{annotations:?}");
    }
}

#[test]
fn what_a_moving_tag_points_at_has_to_be_known_for_long_enough() {
    let image = format!("shop.example/edge:edge@{}", digest('a'));
    let annotations = [AUTO.as_slice(), &[("kubefresh.dev/min-age", "3h")]].concat();
    // Scanned first at three.
    let edge = || record("shop.example/edge", &["edge digest pinned"], &["edge"]);
    let after = |hours: i64| {
        let snapshot = snapshot(workload(&annotations, &[("app", &image)]), vec![edge()]);
        let mut plan = plan(&snapshot, &LIMITS, now() + SignedDuration::from_hours(hours));
        let verdict = plan.assessments.remove(0).containers.remove(0).verdict;
        (verdict.to_string(), plan.next_look.map(|time| time.to_string()))
    };
    let new = format!("shop.example/edge:edge@{}", digest('b'));
    let six = "2026-11-21T06:00:00Z";
    let waits = format!("{new} waits until it is old enough, until {six}");
    assert_eq!(after(2), (waits, Some(six.to_owned())));
    assert_eq!(after(3), (format!("update to {new}"), None));
}

#[test]
fn a_window_is_for_the_start_alone_and_asks_nothing_of_what_is_under_way() {
    let change = ImageChange {
        from: "shop.example/app:1.3.0".to_owned(),
        to: OLD.to_owned(),
        digest: None,
        ran: None,
    };
    let in_flight = InFlight::new(
        BTreeMap::from([("app".to_owned(), change)]),
        now(),
        SignedDuration::from_mins(10),
    );
    let marker = in_flight.to_annotation();
    let annotations = [
        (IN_FLIGHT, marker.as_str()),
        ("kubefresh.dev/freeze", "@daily 1d"),
    ];
    let all = [AUTO.as_slice(), &annotations].concat();
    let snapshot = snapshot(workload(&all, &[("app", OLD)]), vec![app()]);
    assert!(matches!(
        assessment(&snapshot, now()).unwrap().action,
        Action::Follow { .. }
    ));
}

/// What the annotation says, or why it is left as it is.
fn pending(annotations: &[(&str, &str)], images: &[(&str, &str)]) -> Pending {
    let all = [AUTO.as_slice(), annotations].concat();
    let snapshot = snapshot(workload(&all, images), vec![app()]);
    assessment(&snapshot, now()).map_or(Pending::Unchanged, |found| found.pending)
}

#[test]
fn what_waits_is_written_down_once_and_taken_away_when_nothing_waits() {
    let window = ("kubefresh.dev/window", "0 22 * * * 4h");
    let waits = "app: shop.example/app:1.5.0 waits for its window, until 2026-11-21T22:00:00Z";
    let written = |text: &'static str| (PENDING, text);
    let write = |text: &str| Pending::Write(text.to_owned());
    let approve = ("kubefresh.dev/mode", "approve");
    let asks = "app: shop.example/app:1.5.0 waits for approval: kubectl annotate --overwrite -n shop deployment/checkout \
                kubefresh.dev/approved=1.5.0";
    for (annotations, expected) in [
        (vec![window], write(waits)),
        (vec![window, written(waits)], Pending::Unchanged),
        (
            vec![window, written("app: shop.example/app:1.4.9 waits")],
            write(waits),
        ),
        (vec![approve], write(asks)),
        (vec![approve, written(asks)], Pending::Unchanged),
        // The patch that starts the update takes it away.
        (vec![written(waits)], Pending::Unchanged),
        (
            vec![window, ("kubefresh.dev/mode", "off"), written(waits)],
            Pending::Remove,
        ),
        (
            vec![window, ("kubefresh.dev/watch", "false"), written(waits)],
            Pending::Remove,
        ),
        (
            vec![("kubefresh.dev/window", "soon"), written(waits)],
            Pending::Remove,
        ),
        (vec![("kubefresh.dev/watch", "false")], Pending::Unchanged),
        (vec![("kubefresh.dev/mode", "notify")], Pending::Unchanged),
        (vec![(IN_FLIGHT, "{}"), written(waits)], Pending::Unchanged),
    ] {
        assert_eq!(
            pending(&annotations, &[("app", OLD)]),
            expected,
            "{annotations:?}"
        );
    }
}

#[test]
fn each_container_that_waits_is_named_and_many_are_counted() {
    let names: Vec<String> = (10..22).map(|number| format!("c{number}")).collect();
    let images: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), OLD)).collect();
    let annotations = [
        ("c10.kubefresh.dev/mode", "approve"),
        ("kubefresh.dev/window", "0 22 * * * 4h"),
    ];
    let Pending::Write(text) = pending(&annotations, &images) else {
        panic!("nothing is written");
    };
    let lines: Vec<&str> = text.split("; ").collect();
    assert!(
        lines[0].ends_with("deployment/checkout c10.kubefresh.dev/approved=1.5.0"),
        "{text}"
    );
    assert!(
        lines[1].starts_with("c11: shop.example/app:1.5.0 waits for its window"),
        "{text}"
    );
    assert_eq!((lines.len(), lines[10]), (11, "and 2 more"));
}
