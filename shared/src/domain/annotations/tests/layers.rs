//! Annotations of workloads over those of their namespace, over what the installation says.

use std::sync::Arc;

use super::*;
use crate::domain::channel::Channel;

const WATCH: &str = "kubefresh.dev/watch";
const MODE: &str = "kubefresh.dev/mode";

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn map(pairs: Pairs<'_>) -> BTreeMap<String, String> {
    let owned = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    owned.collect()
}

fn installation(variables: Pairs<'_>) -> Installation {
    let installation = Installation::read(variables.iter().copied(), [], false).unwrap();
    installation.living_in("kubefresh")
}

/// The settings of a workload with these annotations, in a namespace with those.
fn read_in(
    installation: &Installation,
    namespace: Pairs<'_>,
    workload: Pairs<'_>,
) -> Result<Settings, Vec<AnnotationError>> {
    let layer = installation.layer("shop", &map(namespace));
    settings_of(&map(workload), &["app", "sidecar"], &layer)
}

fn complaint(installation: &Installation, namespace: Pairs<'_>, workload: Pairs<'_>) -> Option<String> {
    let errors = read_in(installation, namespace, workload).err()?;
    Some(
        errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; "),
    )
}

#[test]
fn the_nearer_layer_wins_for_each_setting_alone() {
    let installation = installation(&[
        ("KUBEFRESH_MODE", "auto"),
        ("KUBEFRESH_POLICY", "patch"),
        ("KUBEFRESH_ROLLOUT_TIMEOUT", "3m"),
        ("KUBEFRESH_FOLLOW_VARIANTS", " "),
        ("KUBEFRESH_FREEZE", "0 0 1 * * 1d"),
        ("KUBEFRESH_MIN_AGE", "3d"),
        ("KUBEFRESH_PIN", "digest"),
    ]);
    let namespace = [
        (WATCH, "true"),
        ("kubefresh.dev/policy", "minor"),
        ("kubefresh.dev/exclude", "*-rc"),
    ];
    let workload = [
        ("kubefresh.dev/freeze", "never"),
        ("kubefresh.dev/exclude", "*-dev"),
        ("sidecar.kubefresh.dev/mode", "off"),
        ("sidecar.kubefresh.dev/pin", "tag"),
    ];
    let settings = read_in(&installation, &namespace, &workload).unwrap();
    let app = &settings.containers["app"];
    assert!(app.watch && app.by_default.watch);
    assert_eq!(app.mode, Mode::Auto);
    assert_eq!(app.policy.policy.as_deref(), Some("minor"));
    assert_eq!(app.policy.exclude, ["*-dev"]);
    assert!(!app.policy.follow_variants);
    assert_eq!(settings.containers["sidecar"].mode, Mode::Off);
    assert_eq!(settings.rollout_timeout.as_secs(), 180);
    assert_eq!(app.min_age, Some(SignedDuration::from_hours(72)));
    assert_eq!((app.pin, app.by_default.pin), (Some(Pin::Digest), true));
    let sidecar = &settings.containers["sidecar"];
    assert_eq!((sidecar.pin, sidecar.by_default.pin), (Some(Pin::Tag), false));
    assert!(app.by_default.policy);
    assert_eq!(settings.freeze, None, "the workload takes it back");
    assert!(read_in(&installation, &[], &[]).unwrap().freeze.is_some());
}

#[test]
fn windows_that_are_said_for_many_are_kept_once_for_all_of_them() {
    let installation = installation(&[
        ("KUBEFRESH_WINDOW", "0 22 * * * 4h"),
        ("KUBEFRESH_FREEZE", "0 0 1 * * 1d"),
    ]);
    let window = ("kubefresh.dev/window", "0 23 * * * 1h");
    let freeze = ("kubefresh.dev/freeze", "@monthly 1h");
    let namespaces: [Pairs<'_>; 3] = [&[], &[window], &[window, freeze]];
    for namespace in namespaces {
        let layer = installation.layer("shop", &map(namespace));
        let said = |workload: Pairs<'_>| settings_of(&map(workload), &["app"], &layer).unwrap();
        let (one, other) = (said(&[]), said(&[(MODE, "auto")]));
        for (one, other) in [(one.window, other.window), (one.freeze, other.freeze)] {
            assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()), "{namespace:?}");
        }
        let own = said(&[window, ("kubefresh.dev/freeze", "never")]);
        assert_eq!((own.window.is_some(), own.freeze), (true, None), "{namespace:?}");
    }
}

#[test]
fn who_is_watched_is_said_by_the_nearest_and_a_workload_that_opted_out_stays_so() {
    // What the installation, the namespace, and the workload say; whether it is watched, and whether by default.
    let cases = [
        (None, None, None, (false, false)),
        (Some("true"), None, None, (true, true)),
        (None, Some("true"), None, (true, true)),
        (None, None, Some("true"), (true, false)),
        (Some("true"), Some("false"), None, (false, false)),
        (Some("true"), Some("true"), Some("false"), (false, false)),
        (Some("true"), Some("false"), Some("true"), (true, false)),
        (Some("false"), Some("true"), None, (true, true)),
    ];
    for (installed, namespace, workload, expected) in cases {
        let said =
            |value: Option<&'static str>, key| value.map(|value| vec![(key, value)]).unwrap_or_default();
        let installation = installation(&said(installed, "KUBEFRESH_WATCH"));
        let settings = read_in(&installation, &said(namespace, WATCH), &said(workload, WATCH)).unwrap();
        let app = &settings.containers["app"];
        let found = (app.watch, app.by_default.watch);
        assert_eq!(found, expected, "{installed:?} {namespace:?} {workload:?}");
    }
}

#[test]
fn the_installation_opts_nobody_in_that_it_lives_from_unless_they_are_named() {
    let installation = installation(&[("KUBEFRESH_WATCH", "true"), ("KUBEFRESH_MODE", "auto")]);
    let named = map(&[(WATCH, "true")]);
    for (namespace, annotations, expected) in [
        ("shop", BTreeMap::new(), true),
        ("kube-system", BTreeMap::new(), false),
        ("kubefresh", BTreeMap::new(), false),
        ("kube-system", named.clone(), true),
        ("kubefresh", named, true),
    ] {
        let layer = installation.layer(namespace, &annotations);
        let settings = settings_of(&BTreeMap::new(), &["app"], &layer).unwrap();
        assert_eq!(settings.watched(), expected, "{namespace} {annotations:?}");
        assert_eq!(settings.containers["app"].mode, Mode::Auto, "{namespace}");
    }
}

#[test]
fn values_that_override_win_over_all_but_who_opted_out() {
    let variables = |watch| {
        [
            ("KUBEFRESH_WATCH", watch),
            ("KUBEFRESH_MODE", "notify"),
            ("KUBEFRESH_OVERRIDE", "True"),
        ]
    };
    let installation = installation(&variables("true"));
    let namespace = [(MODE, "automatic"), ("kubefresh.dev/policy", "major")];
    let workload = [
        (MODE, "auto"),
        ("app.kubefresh.dev/mode", "off"),
        ("sidecar.kubefresh.dev/watch", "false"),
    ];
    let settings = read_in(&installation, &namespace, &workload).unwrap();
    let (app, sidecar) = (&settings.containers["app"], &settings.containers["sidecar"]);
    assert_eq!((app.mode, sidecar.mode), (Mode::Notify, Mode::Notify));
    assert_eq!(
        app.policy.policy.as_deref(),
        Some("major"),
        "the installation does not say it"
    );
    assert_eq!((app.watch, sidecar.watch), (true, false));

    let off = self::installation(&variables("false"));
    assert!(
        !read_in(&off, &[(WATCH, "true")], &[(WATCH, "true")])
            .unwrap()
            .watched()
    );
    let by_flag = Installation::read([], ["mode=off"], true).unwrap();
    assert_eq!(
        read_in(&by_flag, &[], &workload).unwrap().containers["app"].mode,
        Mode::Off
    );
}

#[test]
fn what_is_wrong_beneath_names_its_source_and_stops_whom_it_concerns() {
    let plain = Installation::default();
    let mode = [(WATCH, "true"), (MODE, "automatic")];
    let cases: [(Pairs<'_>, Pairs<'_>, Option<&str>); 13] = [
        (
            &mode,
            &[],
            Some("annotation kubefresh.dev/mode on namespace shop: \"automatic\""),
        ),
        (&mode, &[(MODE, "auto")], None),
        (
            &mode,
            &[("app.kubefresh.dev/mode", "auto")],
            Some("on namespace shop: \"automatic\""),
        ),
        (
            &mode,
            &[
                ("app.kubefresh.dev/mode", "auto"),
                ("sidecar.kubefresh.dev/mode", "auto"),
            ],
            None,
        ),
        (&mode, &[(WATCH, "false")], None),
        (&mode[1..], &[], None),
        (
            &[(WATCH, "yes")],
            &[],
            Some("annotation kubefresh.dev/watch on namespace shop: \"yes\""),
        ),
        (&[(WATCH, "yes")], &[(WATCH, "false")], None),
        (
            &[("kubefresh.dev/polcy", "minor")],
            &[(WATCH, "true")],
            Some("annotation kubefresh.dev/polcy on namespace shop is no default"),
        ),
        (&[("kubefresh.dev/approved", "1.5.0")], &[], None),
        (
            &[("app.kubefresh.dev/mode", "auto")],
            &[(WATCH, "true")],
            Some("annotation app.kubefresh.dev/mode on namespace shop is no default"),
        ),
        (
            &[(WATCH, "true"), ("kubefresh.dev/tag-pattern", "(")],
            &[],
            Some("annotation kubefresh.dev/tag-pattern on namespace shop: \"(\""),
        ),
        (
            &[(WATCH, "true"), ("kubefresh.dev/schedule", "soon")],
            &[("kubefresh.dev/schedule", "0 3 * * *")],
            None,
        ),
    ];
    for (namespace, workload, expected) in cases {
        let found = complaint(&plain, namespace, workload);
        let is_expected = match (&found, expected) {
            (Some(found), Some(expected)) => found.contains(expected),
            (found, expected) => found.is_none() && expected.is_none(),
        };
        assert!(is_expected, "{namespace:?} {workload:?}: {found:?}");
    }
}

#[test]
fn a_schedule_and_its_time_zone_may_come_from_two_layers() {
    let installation = installation(&[("KUBEFRESH_SCHEDULE_TIMEZONE", "Europe/Paris")]);
    let schedule = |namespace: Pairs<'_>, workload: Pairs<'_>| {
        let settings = read_in(&installation, namespace, workload).unwrap();
        settings.schedule.map(|schedule| schedule.to_string())
    };
    let nightly = [(SCHEDULE, "0 3 * * *")];
    let expected = Some("0 3 * * * Europe/Paris".to_owned());
    assert_eq!(schedule(&[], &[]), None);
    assert_eq!(schedule(&nightly, &[]), expected);
    assert_eq!(schedule(&[], &nightly), expected);
    let zone = [(SCHEDULE_TIMEZONE, "Asia/Tokyo")];
    assert_eq!(schedule(&nightly, &zone), Some("0 3 * * * Asia/Tokyo".to_owned()));
    assert_eq!(schedule(&nightly, &[(CHECK_NOW, "")]), None);
}

#[test]
fn the_time_zone_of_the_place_is_known_by_its_name_or_its_rule_and_not_by_a_file() {
    for (written, expected) in [
        ("Asia/Seoul", Some(9)),
        (":Asia/Seoul", Some(9)),
        ("CET-1CEST,M3.5.0,M10.5.0/3", Some(1)),
        ("", None),
        (" ", None),
        (":/etc/localtime", None),
    ] {
        let installation = installation(&[("TZ", written)]);
        let winter = "2026-11-21T03:00:00Z".parse().unwrap();
        let zone = installation.time_zone();
        let hours = zone.map(|zone| zone.to_offset(winter).seconds() / 3600);
        assert_eq!(hours, expected, "{written:?}");
    }
}

#[test]
fn an_installation_that_cannot_be_obeyed_says_everything_that_is_wrong() {
    let wrong = [
        (
            &[("KUBEFRESH_MODE", "AUTO_UPDATE")][..],
            "variable KUBEFRESH_MODE: \"AUTO_UPDATE\"",
        ),
        (
            &[("KUBEFRESH_POLCY", "minor")],
            "variable KUBEFRESH_POLCY is no default",
        ),
        (&[("KUBEFRESH_POLCY", "minor")], "KUBEFRESH_TAG_PATTERN"),
        (&[("KUBEFRESH_POLCY", "minor")], "KUBEFRESH_OVERRIDE"),
        (
            &[("KUBEFRESH_APPROVED", "1.5.0")],
            "variable KUBEFRESH_APPROVED is no default",
        ),
        (
            &[("KUBEFRESH_POLICY", "newest")],
            "variable KUBEFRESH_POLICY: \"newest\"",
        ),
        (
            &[("KUBEFRESH_SCHEDULE", "soon")],
            "variable KUBEFRESH_SCHEDULE: \"soon\"",
        ),
        (
            &[("KUBEFRESH_OVERRIDE", "yes")],
            "variable KUBEFRESH_OVERRIDE: \"yes\"",
        ),
        (&[("TZ", "Asia/Seul")], "variable TZ: \"Asia/Seul\""),
    ];
    for (variables, expected) in wrong {
        let errors = Installation::read(variables.iter().copied(), [], false).unwrap_err();
        let text = errors.iter().map(ToString::to_string).collect::<String>();
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    for (flag, expected) in [
        ("mode=loud", "flag --default mode: \"loud\""),
        ("modus=auto", "flag --default modus is no default"),
        ("watch", "flag --default watch: \"\""),
    ] {
        let errors = Installation::read([("KUBEFRESH_MODE", "quiet")], [flag], false).unwrap_err();
        let text = errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n");
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
}

#[test]
fn a_flag_wins_over_a_variable_and_what_is_not_ours_says_nothing() {
    let variables = [
        ("KUBEFRESH_MODE", "auto"),
        ("KUBEFRESH_POLICY", ""),
        ("PATH", "/bin"),
        // What Kubernetes says of Services called `kubefresh` and `kubefresh-updater`.
        ("KUBEFRESH_SERVICE_HOST", "10.0.0.1"),
        ("KUBEFRESH_PORT", "tcp://10.0.0.1:80"),
        ("KUBEFRESH_UPDATER_SERVICE_PORT_HTTP", "80"),
        ("KUBEFRESH_UPDATER_PORT", "tcp://10.0.0.1:80"),
        ("KUBEFRESH_UPDATER_PORT_80_TCP_ADDR", "10.0.0.1"),
    ];
    let installation = Installation::read(variables, ["mode=notify"], false).unwrap();
    let settings = read_in(&installation, &[], &[]).unwrap();
    assert_eq!(settings.containers["app"].mode, Mode::Notify);
    assert_eq!(settings.containers["app"].policy.policy, None);
}

#[test]
fn channels_are_said_by_the_nearest_layer_and_have_to_be_configured_where_somebody_is_told() {
    const CHANNELS: &str = "kubefresh.dev/channels";
    let plain = installation(&[("KUBEFRESH_CHANNELS", "discord")]);
    let both = [Channel::Discord, Channel::Slack];
    let telling = plain.clone().telling_on(both.into());
    let names = |namespace: Pairs<'_>, workload: Pairs<'_>| {
        let channels = read_in(&telling, namespace, workload).unwrap().channels.unwrap();
        channels
            .iter()
            .map(|channel| <&str>::from(*channel))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names(&[], &[(WATCH, "true")]), "discord");
    assert_eq!(names(&[(CHANNELS, "slack")], &[(WATCH, "true")]), "slack");
    assert_eq!(names(&[(CHANNELS, "slack")], &[(CHANNELS, "none")]), "");
    let email = [(CHANNELS, "email")];
    let wrong = complaint(&telling, &email, &[(WATCH, "true")]).unwrap();
    assert!(
        wrong.contains("on namespace shop")
            && wrong.ends_with("email is not configured; configured is discord, slack"),
        "{wrong}"
    );
    assert_eq!(complaint(&telling, &email, &[]), None, "nobody watches it");
    assert_eq!(
        complaint(&plain, &email, &[(WATCH, "true")]),
        None,
        "nobody knows"
    );
}

#[test]
fn what_is_too_long_or_too_much_on_a_namespace_is_told_in_few_words_and_not_kept() {
    let installation = installation(&[]);
    let long = "x".repeat(200_000);
    let told = complaint(&installation, &[(WATCH, "true"), (MODE, &long)], &[]).unwrap();
    assert_eq!(
        told,
        "annotation kubefresh.dev/mode on namespace shop is longer than 32 KiB; shorten it"
    );
    let many: BTreeMap<String, String> = (0..10_000)
        .map(|number| (format!("kubefresh.dev/unknown-{number}"), String::new()))
        .chain([(WATCH.to_owned(), "true".to_owned())])
        .collect();
    let layer = installation.layer("shop", &many);
    assert_eq!(layer.errors().count(), 21);
    let last = layer.errors().last().unwrap().to_string();
    assert!(last.ends_with("more are wrong"), "{last}");
}
