use jiff::SignedDuration;

use super::*;
use crate::domain::ownership::Ownership;
use crate::domain::release_notes::risk::RiskFlag;
use crate::domain::release_notes::source::NotesSetting;

mod dialects;
mod layers;

const SCHEDULE: &str = "kubefresh.dev/schedule";
const SCHEDULE_TIMEZONE: &str = "kubefresh.dev/schedule-timezone";
const CHECK_NOW: &str = "kubefresh.dev/check-now";
const ROLLOUT_TIMEOUT: &str = "kubefresh.dev/rollout-timeout";

fn read(pairs: &[(&str, &str)]) -> Result<Settings, Vec<AnnotationError>> {
    let annotations = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    settings_of(&annotations, &["app", "sidecar"], &Layer::default())
}

/// The settings of a workload with these containers.
fn settings_of(
    annotations: &BTreeMap<String, String>,
    names: &[&str],
    layer: &Layer,
) -> Result<Settings, Vec<AnnotationError>> {
    let containers: Vec<Container> = names.iter().copied().map(container).collect();
    let subject = Subject {
        annotations,
        labels: &BTreeMap::new(),
        containers: &containers,
    };
    settings(&subject, layer)
}

fn container(name: &str) -> Container {
    Container {
        name: name.to_owned(),
        image: format!("shop/{name}:1.4.0"),
        init: name.starts_with("init"),
        ownership: Ownership::default(),
    }
}

#[test]
fn a_workload_without_our_annotations_is_not_watched() {
    let settings = read(&[("other.example.com/policy", "major")]).unwrap();
    assert!(!settings.watched());
    assert_eq!(settings.rollout_timeout, DEFAULT_ROLLOUT_TIMEOUT);
}

#[test]
fn a_container_key_overrides_the_workload_key_for_that_container_only() {
    let settings = read(&[
        ("kubefresh.dev/watch", "true"),
        ("kubefresh.dev/mode", "auto"),
        ("sidecar.kubefresh.dev/mode", "notify"),
        ("sidecar.kubefresh.dev/policy", "patch"),
    ])
    .unwrap();
    assert_eq!(settings.containers["app"].mode, Mode::Auto);
    assert_eq!(settings.containers["app"].policy.policy, None);
    assert_eq!(settings.containers["sidecar"].mode, Mode::Notify);
    assert_eq!(
        settings.containers["sidecar"].policy.policy.as_deref(),
        Some("patch")
    );
}

#[test]
fn every_bad_annotation_is_reported_at_once_with_key_and_value() {
    let errors = read(&[
        ("kubefresh.dev/mode", "automatic"),
        ("kubefresh.dev/watch", "yes"),
        ("kubefresh.dev/polcy", "minor"),
        ("kubefresh.dev/rollout-timeout", "soon"),
        ("other.kubefresh.dev/watch", "true"),
        ("app.kubefresh.dev/rollout-timeout", "5m"),
    ])
    .unwrap_err();
    assert_eq!(errors.len(), 6, "{errors:#?}");
    let text = errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n");
    for expected in [
        "\"automatic\"",
        "\"yes\"",
        "kubefresh.dev/polcy",
        "\"soon\"",
        "other.kubefresh.dev/watch",
    ] {
        assert!(text.contains(expected), "{expected} is not named in:\n{text}");
    }
}

#[test]
fn updates_are_written_where_it_is_said_and_git_is_none_of_those_places_yet() {
    let settings = read(&[("app.kubefresh.dev/write-back", "cluster")]).unwrap();
    assert_eq!(settings.containers["app"].write_back, Some(WriteBack::Cluster));
    assert_eq!(settings.containers["sidecar"].write_back, None);
    for (value, expected) in [("git", "does not write to Git yet"), ("live", "it must be")] {
        let errors = read(&[("kubefresh.dev/write-back", value)]).unwrap_err();
        assert!(errors[0].to_string().contains(expected), "{errors:?}");
    }
}

#[test]
fn where_the_notes_are_is_said_for_a_workload_or_a_container_and_what_is_no_place_is_an_error() {
    let said = [
        ("kubefresh.dev/release-notes", "github.com/example/shop"),
        ("sidecar.kubefresh.dev/release-notes", "auto"),
    ];
    let settings = read(&said).unwrap();
    let notes = |container: &str| settings.containers[container].release_notes.clone();
    assert_eq!(Ok(notes("app")), "https://github.com/example/shop".parse());
    assert_eq!(notes("sidecar"), NotesSetting::Auto);
    for value in ["shop", "https://example.com/notes/{version}", "file:///etc/{tag}"] {
        let errors = read(&[("kubefresh.dev/release-notes", value)]).unwrap_err();
        assert!(errors[0].to_string().contains("must be"), "{errors:?}");
    }
}

#[test]
fn risks_that_need_approval_are_named_and_others_are_no_risks() {
    for (value, expected) in [
        ("breaking", vec![RiskFlag::Breaking]),
        (
            "major,breaking, migration",
            vec![RiskFlag::Major, RiskFlag::Breaking, RiskFlag::Migration],
        ),
        ("none", vec![]),
    ] {
        let settings = read(&[("kubefresh.dev/require-approval", value)]).unwrap();
        assert_eq!(
            settings.containers["app"].require_approval,
            expected.into_iter().collect()
        );
    }
    for value in ["", "minor", "breaking,none"] {
        let errors = read(&[("kubefresh.dev/require-approval", value)]).unwrap_err();
        assert!(
            errors[0]
                .to_string()
                .contains("one or more of major, breaking, migration"),
            "{errors:?}"
        );
    }
}

#[test]
fn options_of_one_policy_come_together_from_workload_and_container() {
    let settings = read(&[
        ("kubefresh.dev/tag-pattern", r"^v(\d+)$"),
        ("kubefresh.dev/tag-extract", "$1"),
        ("kubefresh.dev/exclude", "*-debug  *-test"),
        ("sidecar.kubefresh.dev/tag-order", "numeric:asc"),
        ("kubefresh.dev/follow-variants", "true"),
    ])
    .unwrap();
    let (app, sidecar) = (
        &settings.containers["app"].policy,
        &settings.containers["sidecar"].policy,
    );
    assert_eq!(app.exclude, ["*-debug", "*-test"]);
    assert!(app.follow_variants);
    assert_eq!(app.tag_order, None);
    assert_eq!(sidecar.tag_extract.as_deref(), Some("$1"));
    assert_eq!(sidecar.tag_order.as_deref(), Some("numeric:asc"));
}

#[test]
fn a_policy_that_cannot_be_obeyed_is_reported_once_under_the_key_that_gave_it() {
    let cases = [
        (
            &[("kubefresh.dev/policy", "range:latest")][..],
            "kubefresh.dev/policy",
        ),
        (&[("kubefresh.dev/policy", "newest")], "kubefresh.dev/policy"),
        (
            &[("app.kubefresh.dev/policy", "glob:")],
            "app.kubefresh.dev/policy",
        ),
        (&[("kubefresh.dev/tag-pattern", "(")], "kubefresh.dev/tag-pattern"),
        (
            &[("kubefresh.dev/tag-extract", "$1")],
            "kubefresh.dev/tag-extract",
        ),
        (
            &[
                ("kubefresh.dev/policy", "patch"),
                ("sidecar.kubefresh.dev/tag-order", "numeric"),
            ],
            "sidecar.kubefresh.dev/tag-order",
        ),
        (&[("kubefresh.dev/exclude", " ")], "kubefresh.dev/exclude"),
    ];
    for (pairs, expected) in cases {
        let watched = [&[("kubefresh.dev/watch", "true")], pairs].concat();
        let errors = read(&watched).unwrap_err();
        assert!(
            read(pairs).is_ok() || expected.ends_with("exclude"),
            "nobody asks for it: {pairs:?}"
        );
        let keys: Vec<_> = errors
            .iter()
            .map(|error| match error {
                AnnotationError::InvalidValue { origin, .. } => origin.strip_prefix("annotation ").unwrap(),
                AnnotationError::UnknownKey { .. }
                | AnnotationError::UnknownContainer { .. }
                | AnnotationError::NoDefault { .. }
                | AnnotationError::TooMany
                | AnnotationError::TooLong { .. }
                | AnnotationError::More(_) => panic!("{error}"),
            })
            .collect();
        assert_eq!(keys, [expected], "{errors:?}");
    }
}

#[test]
fn the_updaters_own_state_is_no_setting_and_no_error() {
    assert!(
        read(&[
            (IN_FLIGHT, "{}"),
            (LAST_UPDATE, "x"),
            (LAST_CHANGE, "x"),
            (LAST_RESULT, "x")
        ])
        .is_ok()
    );
}

#[test]
fn a_schedule_is_read_with_its_time_zone_and_check_now_overrides_it() {
    let given = [
        (SCHEDULE, "0 3 * * *"),
        (SCHEDULE_TIMEZONE, "Europe/Paris"),
        (CHECK_NOW, ""),
    ];
    let schedule = read(&given[..2]).unwrap().schedule.unwrap();
    assert_eq!(schedule.to_string(), "0 3 * * * Europe/Paris");
    assert_eq!(read(&given).unwrap().schedule, None);
    assert_eq!(read(&given[2..]).unwrap().schedule, None);
    for (pairs, key) in [
        (&[(SCHEDULE, "0 0 31 2 *")][..], SCHEDULE),
        (&[(SCHEDULE, "soon")], SCHEDULE),
        (
            &[(SCHEDULE, "0 3 * * *"), (SCHEDULE_TIMEZONE, "Paris")],
            SCHEDULE_TIMEZONE,
        ),
        (&[(SCHEDULE_TIMEZONE, "Europe/Paris")], SCHEDULE_TIMEZONE),
    ] {
        let errors = read(pairs).unwrap_err();
        assert!(errors[0].to_string().contains(key), "{errors:?}");
    }
}

#[test]
fn a_rollout_timeout_is_positive_and_at_most_a_day() {
    for (value, expected) in [
        ("90s", Some(90)),
        ("1h30m", Some(5400)),
        ("0s", None),
        ("-5m", None),
        ("25h", None),
    ] {
        let read = read(&[(ROLLOUT_TIMEOUT, value)])
            .ok()
            .map(|settings| settings.rollout_timeout.as_secs());
        assert_eq!(read, expected, "{value}");
    }
}

#[test]
fn a_container_holds_what_the_workload_holds_and_what_is_said_of_itself() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let image = format!("1.5.0@{digest}");
    let holds = |settings: &Settings, container: &str| {
        let held = settings.containers[container].held.iter();
        held.map(ToString::to_string).collect::<Vec<_>>()
    };
    let own = format!("{image}  {digest}");
    let settings = read(&[(HOLD, "1.4.0 <=1.3.0"), ("app.kubefresh.dev/hold", own.as_str())]).unwrap();
    assert_eq!(holds(&settings, "sidecar"), ["1.4.0", "<=1.3.0"]);
    assert_eq!(
        holds(&settings, "app"),
        ["1.4.0", "<=1.3.0", image.as_str(), digest.as_str()]
    );
    assert_eq!(holds(&read(&[(HOLD, " ")]).unwrap(), "app"), [""; 0]);
    for value in ["1.4.0,1.5.0", "shop/app:1.4.0", "<1.4.0", "1.4.0@latest"] {
        let errors = read(&[(HOLD, value)]).unwrap_err();
        let said = errors[0].to_string();
        assert!(said.contains(HOLD) && said.contains(value), "{said}");
    }
    for (words, is_read) in [(MOST_HOLDS, true), (MOST_HOLDS + 1, false)] {
        let value = vec!["1.4.0"; words].join(" ");
        assert_eq!(read(&[(HOLD, &value)]).is_ok(), is_read, "{words}");
    }
}

#[test]
fn what_keeps_updates_from_starting_is_read_and_a_default_can_be_taken_back() {
    let settings = read(&[
        ("kubefresh.dev/window", "0 22 * * 1-5 4h Europe/Paris"),
        ("kubefresh.dev/freeze", "2026-12-24T00:00/2027-01-02T00:00"),
        ("kubefresh.dev/min-age", "3d"),
        ("sidecar.kubefresh.dev/min-age", "0"),
        ("kubefresh.dev/approval-deadline", "1d"),
        ("sidecar.kubefresh.dev/approval-deadline", "never"),
        ("kubefresh.dev/pin", "digest"),
        ("sidecar.kubefresh.dev/pin", "tag"),
    ])
    .unwrap();
    assert!(settings.window.is_some() && settings.freeze.is_some());
    let days = SignedDuration::from_hours(72);
    assert_eq!(settings.containers["app"].min_age, Some(days));
    assert_eq!(settings.containers["sidecar"].min_age, None);
    let within = |container: &str| settings.containers[container].approval_deadline;
    assert_eq!(within("app"), Some(SignedDuration::from_hours(24)));
    assert_eq!(within("sidecar"), None);
    assert_eq!(settings.containers["app"].pin, Some(Pin::Digest));
    assert_eq!(settings.containers["sidecar"].pin, Some(Pin::Tag));
    let settings = read(&[
        ("kubefresh.dev/window", "always"),
        ("kubefresh.dev/freeze", "never"),
    ])
    .unwrap();
    assert_eq!((settings.window, settings.freeze), (None, None));
}

#[test]
fn gates_that_cannot_be_understood_are_named_with_what_would_be_right() {
    for (key, value, reason) in [
        ("kubefresh.dev/window", "0 22 * * 1-5", "how long it lasts"),
        ("kubefresh.dev/window", "never", "how long it lasts"),
        (
            "kubefresh.dev/freeze",
            "2026-12-24T00:00/2026-12-01T00:00",
            "ends before",
        ),
        ("kubefresh.dev/min-age", "400d", "at most 366d"),
        ("kubefresh.dev/min-age", "3", "7d"),
        ("kubefresh.dev/approval-deadline", "400d", "at most 366d"),
        ("kubefresh.dev/approval-deadline", "24", "7d"),
        ("kubefresh.dev/pin", "true", "tag, digest"),
        ("app.kubefresh.dev/window", "@daily 1h", "not known"),
    ] {
        let errors = read(&[(key, value)]).unwrap_err();
        let text = errors[0].to_string();
        assert!(
            errors.len() == 1 && text.contains(key) && text.contains(reason),
            "{text}"
        );
    }
}

#[test]
fn of_many_errors_the_first_are_told_and_how_many_more_there_are() {
    let many: BTreeMap<String, String> = (0..30)
        .map(|number| (format!("gone-{number}.kubefresh.dev/mode"), "auto".to_owned()))
        .collect();
    let errors = settings_of(&many, &["app"], &Layer::default()).unwrap_err();
    assert_eq!(errors.len(), 21);
    assert_eq!(errors.last(), Some(&AnnotationError::More(10)));
}

#[test]
fn a_workload_that_says_more_than_is_kept_is_stopped() {
    let many = (0..10_000).map(|number| (format!("a{number}.kubefresh.dev/hold"), "1".to_owned()));
    let annotations = kept(Some(&many.collect()), is_understood);
    let errors = settings_of(&annotations, &["app"], &Layer::default()).unwrap_err();
    assert_eq!(errors.first(), Some(&AnnotationError::TooMany));
}
