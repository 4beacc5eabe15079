use super::{Words, check, check_refused};
use crate::domain::policy::shortened;

/// That these words come to `expected`, beside what Keel's policies have in common: it applies, and lets init containers be.
fn check_keel(words: Words<'_>, expected: &[&str]) {
    let common = ["init-db.watch=false", "mode=auto", "watch=true"];
    let all: Vec<&str> = common.iter().chain(expected).copied().collect();
    check(words, &all);
}

#[test]
fn a_keel_policy_becomes_ours() {
    let (as_text, any_tag) = (
        "! annotation keel.sh/policy: it is compared as text…",
        "! annotation keel.sh/policy: without keel.sh/matchTag Keel takes whatever tag was pushed last…",
    );
    for (policy, expected) in [
        ("major", &["policy=major"][..]),
        ("minor", &["policy=minor"]),
        ("patch", &["policy=patch"]),
        ("all", &["policy=major", "prerelease=true", "suffix=any"]),
        ("force", &["policy=digest", any_tag]),
        (
            "glob:1.*-alpine",
            &["policy=glob:1.*-alpine", "tag-order=alphabetical", as_text],
        ),
        (
            "regexp:^build-[0-9]+$",
            &["policy=regex:^build-[0-9]+$", "tag-order=alphabetical", as_text],
        ),
        (
            "regexp:^main-(?P<compare>[0-9]+)$",
            &[
                "policy=regex:^main-(?P<compare>[0-9]+)$",
                "tag-extract=${compare}",
                "tag-order=alphabetical",
                as_text,
            ],
        ),
        (
            "regexp:^(?<compare>[0-9]+)-main$",
            &[
                "policy=regex:^(?<compare>[0-9]+)-main$",
                "tag-extract=${compare}",
                "tag-order=alphabetical",
                as_text,
            ],
        ),
        (
            "regexp:^(?P<build>[0-9]+)[<compare>]$",
            &[
                "policy=regex:^(?P<build>[0-9]+)[<compare>]$",
                "tag-order=alphabetical",
                as_text,
            ],
        ),
    ] {
        check_keel(&[("keel.sh/policy", policy)], expected);
    }
}

#[test]
fn keel_is_switched_off_by_never_and_by_an_empty_policy_and_does_nothing_without_one() {
    for policy in ["never", ""] {
        check(
            &[("keel.sh/policy", policy), ("keel.sh/trigger", "poll")],
            &["watch=false"],
        );
    }
    check(&[("keel.sh/trigger", "poll"), ("keel.sh/approvals", "1")], &[]);
}

#[test]
fn keel_reads_labels_and_old_names_and_each_key_where_keel_looks_for_it_first() {
    let policy = ("keel.sh/policy", "minor");
    check_keel(&[("label keel.sh/policy", "patch")], &["policy=patch"]);
    check_keel(&[("keel.observer/policy", "patch")], &["policy=patch"]);
    check_keel(&[policy, ("keel.observer/policy", "patch")], &["policy=minor"]);
    check_keel(&[policy, ("label keel.sh/policy", "patch")], &["policy=minor"]);
    // What belongs to the policy is read beside it.
    let apart = [policy, ("label keel.sh/matchPreRelease", "false")];
    check_keel(&apart, &["policy=minor"]);
    let beside = [
        ("label keel.sh/policy", "minor"),
        ("label keel.sh/matchPreRelease", "false"),
    ];
    check_keel(&beside, &["policy=minor", "prerelease=true", "suffix=any"]);
    for (annotation, label, mode) in [("0", "1", "mode=approve"), ("1", "0", "mode=auto")] {
        check(
            &[
                policy,
                ("keel.sh/approvals", annotation),
                ("label keel.sh/approvals", label),
            ],
            &["init-db.watch=false", mode, "policy=minor", "watch=true"],
        );
    }
}

#[test]
fn the_switches_of_a_keel_policy() {
    let force = ("keel.sh/policy", "force");
    check_keel(&[force, ("keel.sh/matchTag", "true")], &["policy=digest"]);
    check_keel(&[force, ("keel.sh/match-tag", "true")], &["policy=digest"]);
    let minor = ("keel.sh/policy", "minor");
    check_keel(&[minor, ("keel.sh/matchPreRelease", "true")], &["policy=minor"]);
    check_keel(
        &[minor, ("keel.sh/matchPreRelease", "false")],
        &["policy=minor", "prerelease=true", "suffix=any"],
    );
}

#[test]
fn keel_polls_and_kubefresh_asks_as_often() {
    let policy = ("keel.sh/policy", "minor");
    let rounded = "! annotation keel.sh/pollSchedule: it becomes …";
    let five = "! annotation keel.sh/pollSchedule: Keel wants six fields…";
    let finer =
        "! annotation keel.sh/pollSchedule: nothing is asked more often than the scanner's CronJob runs…";
    for (written, schedule, remarks) in [
        ("@every 1m", "* * * * *", &[finer][..]),
        ("@every 5m", "*/5 * * * *", &[finer]),
        ("@every 300s", "*/5 * * * *", &[finer]),
        ("@every 7m", "*/6 * * * *", &[rounded, finer]),
        ("@every 10s", "* * * * *", &[rounded, finer]),
        ("@every 15m", "*/15 * * * *", &[]),
        ("@every 1h", "0 * * * *", &[]),
        ("@every 1h30m", "0 * * * *", &[rounded]),
        ("@every 6h0m0s", "0 */6 * * *", &[]),
        ("@every 24h", "0 0 * * *", &[]),
        ("@every 240h", "0 0 * * 0", &[rounded]),
        ("@hourly", "@hourly", &[]),
        ("@midnight", "@daily", &[]),
        ("0 30 3 * * 0", "30 3 * * 0", &[]),
        ("0 0 3 ? * MON-FRI", "0 3 * * MON-FRI", &[]),
        ("*/5 * * * *", "*/5 * * * *", &[five, finer]),
    ] {
        let schedule = format!("schedule={schedule}");
        let expected = ["policy=minor", schedule.as_str()].into_iter();
        let expected: Vec<&str> = expected.chain(remarks.iter().copied()).collect();
        check_keel(&[policy, ("keel.sh/pollSchedule", written)], &expected);
    }
    check_keel(&[policy, ("keel.sh/trigger", "poll")], &["policy=minor"]);
    check_keel(
        &[policy, ("keel.sh/trigger", "default")],
        &[
            "policy=minor",
            "! annotation keel.sh/trigger: nobody tells Kubefresh of a push…",
        ],
    );
}

#[test]
fn keel_looks_after_the_containers_that_it_is_told_of() {
    let policy = ("keel.sh/policy", "minor");
    for (words, app, init, sidecar) in [
        (&[("keel.sh/initContainers", "true")][..], true, true, true),
        (&[("label keel.sh/initcontainers", "true")], true, true, true),
        (&[("keel.sh/initContainers", "false")], true, false, true),
        (&[("keel.sh/monitorContainers", "^app$")], true, false, false),
        (&[("keel.sh/monitorcontainers", "app|car")], true, false, true),
        (
            &[
                ("keel.sh/monitorContainers", "init"),
                ("keel.sh/initContainers", "true"),
            ],
            false,
            true,
            false,
        ),
    ] {
        let words: Vec<_> = [policy].into_iter().chain(words.iter().copied()).collect();
        let spared = |line, watched: bool| (!watched).then_some(line);
        let expected = [
            spared("app.watch=false", app),
            spared("init-db.watch=false", init),
            Some("mode=auto"),
            Some("policy=minor"),
            spared("sidecar.watch=false", sidecar),
            Some("watch=true"),
        ];
        let expected: Vec<&str> = expected.into_iter().flatten().collect();
        check(&words, &expected);
    }
}

#[test]
fn what_kubefresh_has_nothing_for_is_told_and_stops_nobody() {
    let policy = ("keel.sh/policy", "minor");
    for (key, value, reason) in [
        (
            "keel.sh/approvalDeadline",
            "24",
            "it limits how long the word of one person waits for the others, and here none does…",
        ),
        (
            "keel.sh/imagePullSecret",
            "regcred",
            "Kubefresh asks with the pull secrets of the pod…",
        ),
        (
            "keel.sh/imageVolumes",
            "true",
            "Kubefresh updates the images of containers…",
        ),
        (
            "keel.sh/notify",
            "general,chat",
            "it names chat channels that Keel knows; kubefresh.dev/channels says…",
        ),
        (
            "keel.sh/releaseNotes",
            "https://example.com",
            "it must be a repository such as github.com/OWNER/NAME…",
        ),
        ("keel.sh/polcy", "minor", "Keel has no such annotation"),
    ] {
        let remark = format!("! annotation {key}: {reason}");
        check_keel(&[policy, (key, value)], &["policy=minor", &remark]);
    }
    let written = [
        policy,
        ("keel.sh/digest", "sha256:abc"),
        ("keel.sh/update-time", "now"),
    ];
    check_keel(&written, &["policy=minor"]);
}

#[test]
fn where_several_have_to_agree_a_word_waits_for_the_others_as_long_as_keel_would_and_none_where_one_is_enough()
 {
    let policy = ("keel.sh/policy", "minor");
    for (deadline, expected) in [
        (None, "approval-deadline=24h"),
        (Some(("keel.sh/approvalDeadline", "48")), "approval-deadline=48h"),
        (
            Some(("label keel.sh/approvaldeadline", "6")),
            "approval-deadline=6h",
        ),
    ] {
        let words: Vec<_> = [policy, ("keel.sh/approvals", "2")]
            .into_iter()
            .chain(deadline)
            .collect();
        let [approvers, mode] = ["approvers=2", "mode=approve"];
        let others = ["init-db.watch=false", mode, "policy=minor", "watch=true"];
        check(&words, &[&[expected, approvers], &others[..]].concat());
    }
    let one = [
        policy,
        ("keel.sh/approvals", "1"),
        ("keel.sh/approvalDeadline", "48"),
    ];
    let remark = "! annotation keel.sh/approvalDeadline: it limits how long the word of one person waits for the others…";
    check(
        &one,
        &[
            "init-db.watch=false",
            "mode=approve",
            "policy=minor",
            "watch=true",
            remark,
        ],
    );
    for deadline in ["24h", "0", "soon"] {
        let words = [
            policy,
            ("keel.sh/approvals", "2"),
            ("keel.sh/approvalDeadline", deadline),
        ];
        check_refused(
            &words,
            &format!("annotation keel.sh/approvalDeadline: {deadline:?} is not valid: "),
        );
    }
}

#[test]
fn where_keel_says_that_release_notes_are_is_where_they_are_taken_from() {
    let policy = ("keel.sh/policy", "minor");
    for (written, expected) in [
        (
            "https://github.com/keel-hq/keel/releases",
            "release-notes=github.com/keel-hq/keel",
        ),
        (
            "https://codeberg.org/forgejo/forgejo",
            "release-notes=https://codeberg.org/forgejo/forgejo",
        ),
    ] {
        check_keel(
            &[policy, ("keel.sh/releaseNotes", written)],
            &["policy=minor", expected],
        );
        check(&[("keel.sh/releaseNotes", written)], &[]);
    }
}

#[test]
fn what_keel_would_not_understand_stops_the_workload() {
    let policy = ("keel.sh/policy", "force");
    for (key, value) in [
        ("keel.sh/policy", "newest"),
        ("keel.sh/policy", "glob:1:2"),
        ("keel.sh/policy", "glob:"),
        ("keel.sh/policy", "regexp:("),
        ("keel.sh/matchTag", "yes"),
        ("keel.sh/matchPreRelease", "1"),
        ("keel.sh/trigger", "push"),
        ("keel.sh/pollSchedule", "@every soon"),
        ("keel.sh/pollSchedule", "often"),
        ("keel.sh/approvals", "one"),
        ("keel.sh/monitorContainers", "("),
        ("keel.sh/initContainers", "yes"),
    ] {
        let words = [policy, (key, value)];
        let words = if key == policy.0 { &words[1..] } else { &words };
        check_refused(words, &format!("annotation {key}: {value:?} is not valid: "));
    }
    check_refused(
        &[policy, ("label keel.sh/approvals", "one")],
        "label keel.sh/approvals: \"one\" is not valid: ",
    );
}

#[test]
fn a_pattern_of_keel_has_the_bounds_of_ours() {
    // A set of letters may name the same one often, so that only the text is long.
    let [of_500, of_501] = [485, 486].map(|letters| format!("regexp:(?P<compare>[{}])", "a".repeat(letters)));
    let of_32_kib = format!("regexp:(?P<compare>[0-9]+){}", "(a?){9}".repeat(4600));
    let nested = format!("regexp:(?P<compare>{}a{})", "(".repeat(100), ")".repeat(100));
    check_keel(
        &[("keel.sh/policy", &of_500)],
        &[
            &of_500.replace("regexp:", "policy=regex:"),
            "tag-extract=${compare}",
            "tag-order=alphabetical",
            "! annotation keel.sh/policy: it is compared as text…",
        ],
    );
    for (pattern, reason) in [
        (of_501.as_str(), "it has 501 bytes, and may have 500"),
        (&of_32_kib, "it has 32219 bytes, and may have 500"),
        ("regexp:(?P<compare>a{1000}{1000}{10})", ""),
        ("regexp:(?P<compare>(?:[ab]{0,50}a){90})", ""),
        (&nested, ""),
    ] {
        let written = shortened(pattern);
        check_refused(
            &[("keel.sh/policy", pattern)],
            &format!("annotation keel.sh/policy: {written:?} is not valid: {reason}"),
        );
    }
}
