use super::{check, check_refused};

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
            ("image-watcher/release-url", "https://example.com/{tag}"),
            ("image-watcher/level", "MINOR"),
        ],
        &[
            "! annotation image-watcher/level: Image-Watcher has no such annotation",
            "! annotation image-watcher/release-url: Kubefresh does not take where release notes are…",
        ],
    );
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
