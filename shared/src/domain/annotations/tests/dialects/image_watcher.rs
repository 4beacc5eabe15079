use super::{Installation, Layer, Mode, Words, Workload, check, check_refused};
use std::collections::BTreeMap;

const WATCH: (&str, &str) = ("image-watcher/watch", "true");

#[test]
fn image_watcher_notifies_of_minor_updates_unless_its_mode_and_strategy_say_otherwise() {
    check(&[WATCH], &["mode=approve", "policy=minor", "watch=true"]);
    for (mode, expected) in [
        ("AUTO_UPDATE", "mode=auto"),
        ("NOTIFICATION", "mode=approve"),
        ("DISABLED", "mode=off"),
        ("auto_update", "mode=auto"),
        ("DEFAULT", "mode=approve"),
    ] {
        check(
            &[WATCH, ("image-watcher/mode", mode)],
            &[expected, "policy=minor", "watch=true"],
        );
    }
    for (strategy, expected) in [
        ("MAJOR", "policy=major"),
        ("ALL", "policy=major"),
        ("MINOR", "policy=minor"),
        ("patch", "policy=patch"),
    ] {
        check(
            &[WATCH, ("image-watcher/strategy", strategy)],
            &["mode=approve", expected, "watch=true"],
        );
    }
}

#[test]
fn image_watcher_watches_only_what_says_so() {
    check(
        &[("image-watcher/watch", "false")],
        &["mode=approve", "policy=minor", "watch=false"],
    );
    check(&[("image-watcher/mode", "AUTO_UPDATE")], &["mode=auto"]);
}

#[test]
fn what_image_watcher_wrote_itself_is_no_setting_and_what_is_missing_here_is_told() {
    check(
        &[
            ("image-watcher/last-updated", "2024-01-01"),
            ("image-watcher/last-updated-version", "1.0.1"),
            ("image-watcher/last-notified", "2024-01-01"),
            ("image-watcher/last-notified-version", "1.0.1"),
            ("image-watcher/previous-version", "1.0.0"),
            ("image-watcher/current-version", "1.0.1"),
            ("image-watcher/token-update", "abc"),
            ("image-watcher/level", "MINOR"),
        ],
        &["! annotation image-watcher/level: Image-Watcher has no such annotation"],
    );
}

#[test]
fn where_image_watcher_takes_release_notes_from_is_where_they_are_taken_from() {
    for (written, expected) in [
        (
            "https://api.github.com/repos/traefik/traefik/releases/tags/${tag}",
            "release-notes=github.com/traefik/traefik",
        ),
        (
            "https://github.com/traefik/traefik/releases/tag/${tag}",
            "release-notes=github.com/traefik/traefik",
        ),
        (
            "https://example.com/notes/${tag}.html",
            "release-notes=https://example.com/notes/{tag}.html",
        ),
        (
            "https://codeberg.org/forgejo/forgejo",
            "release-notes=https://codeberg.org/forgejo/forgejo",
        ),
    ] {
        check(
            &[WATCH, ("image-watcher/release-url", written)],
            &["mode=approve", "policy=minor", expected, "watch=true"],
        );
    }
    check(
        &[
            WATCH,
            ("image-watcher/release-url", "https://example.com/${version}"),
        ],
        &[
            "! annotation image-watcher/release-url: an address with {tag} must be…",
            "mode=approve",
            "policy=minor",
            "watch=true",
        ],
    );
}

#[test]
fn where_release_notes_are_is_no_reason_to_follow_image_watcher_and_gives_way_to_our_own_word() {
    let url = (
        "image-watcher/release-url",
        "https://api.github.com/repos/traefik/traefik/releases/tags/${tag}",
    );
    check(
        &[url],
        &["! annotation image-watcher/release-url: nothing else is said to Image-Watcher"],
    );
    let ours = ("kubefresh.dev/release-notes", "github.com/example/shop");
    check(
        &[WATCH, url, ours],
        &["mode=approve", "policy=minor", "watch=true"],
    );
    let settings = Workload::with(&[WATCH, url, ours]).settings(&Layer::default());
    let notes = settings.unwrap().containers["app"].release_notes.clone();
    assert_eq!(Ok(notes), ours.1.parse());
}

#[test]
fn what_image_watcher_would_not_understand_stops_the_workload() {
    for (key, value) in [
        ("image-watcher/watch", "yes"),
        ("image-watcher/mode", "AUTO"),
        ("image-watcher/strategy", "newest"),
    ] {
        let words = [WATCH, (key, value)];
        let words = if key == WATCH.0 { &words[1..] } else { &words };
        check_refused(words, &format!("annotation {key}: {value:?} is not valid: "));
    }
}

/// The mode and the policy of a workload with these words, where the programs have these variables.
fn read(variables: Words<'_>, words: Words<'_>) -> (Mode, Option<String>) {
    let installation = Installation::read(variables.iter().copied(), [], false).unwrap();
    let layer = installation.layer("shop", &BTreeMap::new());
    let settings = Workload::with(words).settings(&layer).unwrap();
    let app = &settings.containers["app"];
    (app.mode, app.policy.policy.clone())
}

#[test]
fn the_variables_of_image_watcher_are_defaults_that_may_override() {
    let variables = [
        ("IMAGE_WATCHER_MODE", "AUTO_UPDATE"),
        ("IMAGE_WATCHER_STRATEGY", "patch"),
        ("IMAGE_WATCHER_PORT", "tcp://10.0.0.7:80"),
        ("IMAGE_WATCHER_OVERRIDE", ""),
    ];
    let said = [
        WATCH,
        ("image-watcher/mode", "NOTIFICATION"),
        ("image-watcher/strategy", "MAJOR"),
    ];
    let patch = (Mode::Auto, Some("patch".to_owned()));
    assert_eq!(read(&variables, &[WATCH]), patch);
    assert_eq!(read(&variables, &said), (Mode::Approve, Some("major".to_owned())));
    let overriding = [&variables[..3], &[("IMAGE_WATCHER_OVERRIDE", "true")]].concat();
    assert_eq!(read(&overriding, &said), patch);
    // Then its own defaults hold where nothing is said, and no workload updates itself by its own word.
    let alone = [("IMAGE_WATCHER_OVERRIDE", "true")];
    let wants_more = [
        WATCH,
        ("image-watcher/mode", "AUTO_UPDATE"),
        ("image-watcher/strategy", "MAJOR"),
    ];
    let default = (Mode::Approve, Some("minor".to_owned()));
    assert_eq!(read(&alone, &wants_more), default);
    assert_eq!(
        read(&[("IMAGE_WATCHER_OVERRIDE", "false")], &wants_more).0,
        Mode::Auto
    );
    // In either order.
    let ours = ("KUBEFRESH_MODE", "notify");
    for variables in [[ours, variables[0]], [variables[0], ours]] {
        assert_eq!(read(&variables, &[WATCH]).0, Mode::Notify);
    }
    let all = [
        ("IMAGE_WATCHER_WATCH", "true"),
        ("IMAGE_WATCHER_SCHEDULE", "0 */3 * * *"),
    ];
    let installation = Installation::read(all, [], false).unwrap();
    let layer = installation.layer("shop", &BTreeMap::new());
    let settings = Workload::with(&[]).settings(&layer).unwrap();
    assert!(settings.watched() && settings.schedule.is_some());
}

#[test]
fn a_variable_of_image_watcher_that_cannot_be_meant_is_refused() {
    for (name, value) in [
        ("IMAGE_WATCHER_MODE", "AUTO"),
        ("IMAGE_WATCHER_STRATEGY", "newest"),
        ("IMAGE_WATCHER_WATCH", "yes"),
        ("IMAGE_WATCHER_SCHEDULE", "often"),
        ("IMAGE_WATCHER_OVERRIDE", "on"),
    ] {
        let errors = Installation::read([(name, value)], [], false).unwrap_err();
        let text = errors[0].to_string();
        assert!(
            text.starts_with(&format!("variable {name}: {value:?} is not valid: ")),
            "{text}"
        );
    }
}
