use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{SignedDuration, Workload, check, check_refused, status_annotations};
use crate::domain::in_flight::{ImageChange, InFlight};
use crate::domain::reference::ImageReference;
use crate::domain::schedule::time_zone;

const ENABLED: (&str, &str) = ("watch-cluster.io/enabled", "true");
const ONLY_THE_FIRST: [&str; 2] = ["init-db.watch=false", "sidecar.watch=false"];

#[test]
fn watch_cluster_updates_the_first_container_to_any_newer_version_unless_its_strategy_is_another() {
    for (strategy, policy) in [
        (None, "policy=major"),
        (Some("version"), "policy=major"),
        (Some("semver"), "policy=major"),
        (Some("version-lock-major"), "policy=minor"),
        (Some("latest"), "policy=digest"),
    ] {
        let strategy = strategy.map(|strategy| ("watch-cluster.io/strategy", strategy));
        let words: Vec<_> = [ENABLED].into_iter().chain(strategy).collect();
        let [init, sidecar] = ONLY_THE_FIRST;
        check(&words, &[init, "mode=auto", policy, "watch=true", sidecar]);
    }
}

#[test]
fn watch_cluster_has_a_schedule_in_either_spelling_of_cron() {
    let zone = "! annotation watch-cluster.io/cron: watch-cluster reads it in the time zone of its pod…";
    let finer =
        "! annotation watch-cluster.io/cron: nothing is asked more often than the scanner's CronJob runs…";
    for (cron, remark) in [
        ("0 */5 * * * ?", Some(finer)),
        ("*/5 * * * *", Some(finer)),
        ("*/15 * * * *", None),
        ("0 0 * * * ?", None),
        ("0 0 2 * * ?", Some(zone)),
        ("0 0 9-17 * * MON-FRI", Some(zone)),
        ("0 0 0 1 * ?", Some(zone)),
        ("0 0 3 * * SUN", Some(zone)),
    ] {
        let schedule = format!("schedule={cron}");
        let expected: Vec<&str> = [schedule.as_str()].into_iter().chain(remark).collect();
        check(&[("watch-cluster.io/cron", cron)], &expected);
    }
}

#[test]
fn watch_cluster_is_switched_off_by_false_and_asked_at_once_by_any_value() {
    check(
        &[
            ("watch-cluster.io/enabled", "false"),
            ("watch-cluster.io/strategy", "latest"),
        ],
        &[
            "init-db.watch=false",
            "mode=auto",
            "policy=digest",
            "watch=false",
            "sidecar.watch=false",
        ],
    );
    check(&[("watch-cluster.io/check-now", "2026")], &["check-now=now"]);
}

#[test]
fn what_watch_cluster_wrote_itself_is_no_setting_and_what_it_never_read_is_told() {
    check(
        &[
            ("watch-cluster.io/last-update", "2024-01-01T12:00:00+09:00"),
            ("watch-cluster.io/last-update-image", "myapp:1.0.1"),
            ("watch-cluster.io/last-update-from-digest", "sha256:abc"),
            ("watch-cluster.io/last-update-to-digest", "sha256:def"),
            ("watch-cluster.io/change", "1.0.0 -> 1.0.1"),
            ("watch-cluster.io/version-pattern", "^1"),
            ("watch-cluster.io/interval", "5m"),
        ],
        &[
            "! annotation watch-cluster.io/interval: watch-cluster has no such annotation",
            "! annotation watch-cluster.io/version-pattern: watch-cluster declares it and never reads it",
        ],
    );
}

#[test]
fn what_watch_cluster_would_not_understand_stops_the_workload() {
    for (key, value) in [
        ("watch-cluster.io/enabled", "yes"),
        ("watch-cluster.io/strategy", "newest"),
        ("watch-cluster.io/cron", "every 5 minutes"),
    ] {
        let words = [ENABLED, (key, value)];
        let words = if key == ENABLED.0 { &words[1..] } else { &words };
        check_refused(words, &format!("annotation {key}: {value:?} is not valid: "));
    }
}

fn digest(fill: &str) -> String {
    format!("sha256:{}", fill.repeat(64))
}

/// What is told of this update, where the record speaks of `1.6.0` alone.
fn status(words: &[(&str, &str)], from: &str, to: &str, [ran, known]: [Option<&str>; 2]) -> Vec<String> {
    let parsed = |digest: Option<&str>| digest.map(|digest| digest.parse().unwrap());
    let change = ImageChange {
        from: from.to_owned(),
        to: to.to_owned(),
        digest: parsed(known),
        ran: parsed(ran),
    };
    let now: Timestamp = "2026-11-21T03:02:00.7Z".parse().unwrap();
    let containers = BTreeMap::from([("app".to_owned(), change)]);
    let in_flight = InFlight::new(containers, now, SignedDuration::from_mins(10));
    let recorded = |image: &ImageReference| {
        (image.to_string() == "shop/app:1.6.0").then(|| digest("c").parse().unwrap())
    };
    let now = now.to_zoned(TimeZone::UTC);
    let status = status_annotations(&Workload::with(words).subject(), &in_flight, recorded, &now);
    let lines = status.into_iter().map(|(key, value)| {
        let key = key.trim_start_matches("watch-cluster.io/last-update").to_owned();
        format!("{key}={}", value.unwrap_or_else(|| "nothing".to_owned()))
    });
    lines.collect()
}

#[test]
fn an_update_of_a_workload_that_follows_watch_cluster_is_told_as_promised() {
    let (one, other) = (digest("a"), digest("b"));
    let pinned = (format!("shop/app:edge@{one}"), format!("shop/app:edge@{other}"));
    assert_eq!(
        status(&[ENABLED], &pinned.0, &pinned.1, [None, None]),
        [
            "=2026-11-21T03:02:00Z".to_owned(),
            format!("-from-digest={one}"),
            format!("-image={}", pinned.1),
            format!("-to-digest={other}"),
        ]
    );
    for (ran, from_digest) in [(None, "nothing"), (Some(one.as_str()), one.as_str())] {
        assert_eq!(
            status(
                &[ENABLED],
                "shop/app:1.4.0",
                "shop/app:1.5.0",
                [ran, Some(&other)]
            ),
            [
                "=2026-11-21T03:02:00Z".to_owned(),
                format!("-from-digest={from_digest}"),
                "-image=shop/app:1.5.0".to_owned(),
                format!("-to-digest={other}"),
            ]
        );
    }
    // Nobody said what the tag pointed at when it began.
    let later = status(&[ENABLED], "shop/app:1.4.0", "shop/app:1.6.0", [None, None]);
    assert_eq!(later[3], format!("-to-digest={}", digest("c")));
    for words in [
        &[("keel.sh/policy", "minor")][..],
        &[ENABLED, ("kubefresh.dev/watch", "true")],
    ] {
        assert!(
            status(words, "shop/app:1", "shop/app:2", [None, None]).is_empty(),
            "{words:?}"
        );
    }
}

#[test]
fn watch_cluster_tells_its_time_as_it_is_at_the_place_with_its_offset() {
    let zone = |name: &str| time_zone(name).unwrap();
    let now: Timestamp = "2026-11-21T03:02:00.7Z".parse().unwrap();
    let change = ImageChange {
        from: "shop/app:1.4.0".to_owned(),
        to: "shop/app:1.5.0".to_owned(),
        digest: None,
        ran: None,
    };
    let containers = BTreeMap::from([("app".to_owned(), change)]);
    let in_flight = InFlight::new(containers, now, SignedDuration::from_mins(10));
    for (zone, expected) in [
        (TimeZone::UTC, "2026-11-21T03:02:00Z"),
        (zone("Asia/Seoul"), "2026-11-21T12:02:00+09:00"),
        (zone("America/St_Johns"), "2026-11-20T23:32:00-03:30"),
        // It has no summer time then.
        (zone("Europe/London"), "2026-11-21T03:02:00Z"),
    ] {
        let status = status_annotations(
            &Workload::with(&[ENABLED]).subject(),
            &in_flight,
            |_| None,
            &now.to_zoned(zone),
        );
        assert_eq!(status["watch-cluster.io/last-update"].as_deref(), Some(expected));
    }
}
