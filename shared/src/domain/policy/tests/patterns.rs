//! Rule 12: globs, patterns, orders, and the lists of what to include and exclude.

use super::rules::check_options;
use super::*;

/// A regular expression with a template and an order.
fn regex(pattern: &str, extract: Option<&str>, order: Option<&str>) -> PolicyOptions {
    PolicyOptions {
        tag_extract: extract.map(str::to_owned),
        tag_order: order.map(str::to_owned),
        ..PolicyOptions::of(format!("regex:{pattern}"))
    }
}

#[test]
fn rule_12_a_pattern_selects_an_extract_is_compared_and_the_answer_is_the_tag() {
    let stamp = regex(
        "^main-[a-f0-9]{7}-(?P<ts>[0-9]+)$",
        Some("$ts"),
        Some("numeric:asc"),
    );
    let builds =
        "main-fffffff-1627123456 main-0000000-1700000000 dev-abc1234-1800000000 main-abc1234-99 latest";
    check_options(
        &stamp,
        "main-abc1234-1627123455",
        builds,
        "main-0000000-1700000000",
    );
    check_options(&stamp, "main-0000000-1700000000", builds, "-");
    check_options(&stamp, "-", builds, "main-0000000-1700000000");
    let word = regex("foo-(?P<word>[a-z]+)", Some("$word"), Some("alphabetical:asc"));
    check_options(&word, "foo-aaa", "foo-aaa bar-zzz xfoo-ooo foo-nnn", "xfoo-ooo");
    let anchored = PolicyOptions {
        tag_pattern: Some("^v(.+)$".to_owned()),
        tag_extract: Some("$1".to_owned()),
        ..PolicyOptions::of("minor")
    };
    check_options(&anchored, "v1.2.3", "v1.3.0 1.4.0 v2.0.0 v1.3.1-alpine", "v1.3.0");
    let range = PolicyOptions {
        tag_pattern: Some(".*-rc.*".to_owned()),
        ..PolicyOptions::of("range:^1.x-0")
    };
    check_options(&range, "-", "1.0.0 1.1.0-rc.1 1.1.0-rc.2 1.1.0", "1.1.0-rc.2");
}

#[test]
fn rule_12_an_order_says_what_is_newer() {
    let stamps = "1606234201 1606364286 1606334092";
    for (order, current, expected) in [
        ("numeric:asc", "1606334092", "1606364286"),
        ("numeric:desc", "1606334092", "1606234201"),
        ("numeric:desc", "1606234201", "-"),
        ("alphabetical", "1606234201", "1606364286"),
        ("alphabetical:DESC", "1606364286", "1606234201"),
        ("semver:asc", "1606234201", "1606364286"),
    ] {
        check_options(&regex("^.*$", None, Some(order)), current, stamps, expected);
    }
    let numeric = regex("^.*$", None, Some("numeric"));
    check_options(&numeric, "9", "9 10 0.5 1a b 1.2.3", "10");
    check_options(&numeric, "0.6", "0.607 0.62 0.5", "0.62");
    check_options(&numeric, "latest", "9 10", "-");
    let alphabetical = regex("^.*$", None, Some("alphabetical"));
    check_options(&alphabetical, "9", "9 10 a", "a");
}

#[test]
fn rule_12_equal_keys_are_decided_by_family_then_length_then_alphabet() {
    let stamp = regex(r"(\d+)$", Some("$1"), Some("numeric"));
    for (current, published, expected) in [
        ("main-1", "dev-2 main-2", "main-2"),
        ("1.0.0-r1", "x.y-r2 1.0.1-r2 main-2", "1.0.1-r2"),
        ("main-1", "release-2 dev-2", "dev-2"),
        ("main-1", "b-2 a-2", "a-2"),
    ] {
        check_options(&stamp, current, published, expected);
        let reversed: Vec<&str> = published.split(' ').rev().collect();
        check_options(&stamp, current, &reversed.join(" "), expected);
    }
}

#[test]
fn rule_12_groups_with_the_names_of_a_versions_parts_are_a_version() {
    let options = |prerelease| {
        PolicyOptions {
        tag_pattern: Some(
            r"^(?P<major>\d+)\.(?P<minor>\d+)\.(?P<patch>\d+)(?P<prerelease>[^.-]+)?(?:-(?P<compatibility>.*))?$".to_owned(),
        ),
        prerelease,
        ..PolicyOptions::of("major")
    }
    };
    check_options(
        &options(true),
        "1.2.3-foo",
        "2.3.4b1-foo 2.3.4 9.9.9-bar",
        "2.3.4b1-foo",
    );
    check_options(&options(false), "1.2.3-foo", "2.3.4b1-foo 1.2.4-foo", "1.2.4-foo");
    check_options(&options(false), "1.2.3a1", "1.2.3a2 1.2.3 2.0.1 3.0.0x1", "2.0.1");
    check_options(&options(true), "1.2.3odd9", "1.2.3odd10 1.2.3odd8", "1.2.3odd10");
    check_options(&options(false), "latest", "1.0.0", "-");
}

#[test]
fn rule_12_what_does_not_match_the_pattern_has_nothing_to_compare() {
    let stamp = level_of(&regex(r"^main-(\d+)$", Some("$1"), Some("numeric")));
    let (current, published) = (tag("1.0.0"), tags("main-1 main-2"));
    let selection = select(&SelectionRequest::new(&current, &stamp), &published);
    assert_eq!(
        (selection.selected, selection.reason),
        (None, SelectionReason::CurrentOutsidePattern)
    );
    // A pattern that only filters compares the whole tag, and the current one has that.
    let filter = PolicyOptions {
        tag_pattern: Some("^1[.]".to_owned()),
        ..PolicyOptions::of("major")
    };
    check_options(&filter, "0.9.0", "1.2.0 2.0.0", "1.2.0");
}

fn level_of(options: &PolicyOptions) -> UpdatePolicy {
    policy(options.clone())
}

#[test]
fn a_glob_or_regex_without_an_order_follows_the_family_or_else_the_numbers() {
    for (named, current, published, expected) in [
        (
            "glob:1.2*",
            "1.20.0",
            "1.25.0 1.3.0 1.29.1 1.29.9-alpine",
            "1.29.1",
        ),
        ("glob:latest", "latest", "latest main", "-"),
        ("glob:lat*", "latest", "latest latex latest1", "-"),
        ("glob:*", "latest", "v2 1.10.0 zesty", "-"),
        (
            "glob:latest.*",
            "latest.20241321",
            "latest.20251321 latest.20231321 latest.x",
            "latest.20251321",
        ),
        ("glob:build-*", "build-9", "build-10 build-8 dev-11", "build-10"),
        ("glob:build-*", "1.0.0", "build-10 2.0.0", "-"),
        ("glob:9.*", "10.0", "9.1 9.9", "-"),
        ("glob:9.*-alpine", "10.1.0-alpine", "9.5.0-alpine", "-"),
        (
            "glob:1.10.*-alpine",
            "1.9.5-alpine",
            "1.10.1-alpine 1.10.2",
            "1.10.1-alpine",
        ),
        (
            "glob:1.26.*",
            "1.25.3-alpine",
            "1.26.1 1.26.0-alpine",
            "1.26.0-alpine",
        ),
        (
            "glob:*-bookworm",
            "12.20-bullseye",
            "19beta3-bookworm 13.1-bookworm",
            "-",
        ),
        ("glob:*", "-", "0.9 1.10 1.9 latest 20260101 1.11-rc1", "1.10"),
        ("glob:build-*", "-", "build-9 build-10 1.0", "build-10"),
        ("regex:^[a-z]+$", "apple", "banana cherry 1.0", "-"),
        (
            r"regex:^build-.*-(?P<compare>.+)$",
            "build-x-7",
            "build-a-9 build-a-8",
            "build-a-9",
        ),
    ] {
        check_options(&PolicyOptions::of(named), current, published, expected);
    }
}

#[test]
fn lists_say_what_comes_into_question() {
    let options = |include: &[&str], exclude: &[&str]| PolicyOptions {
        include: include.iter().map(ToString::to_string).collect(),
        exclude: exclude.iter().map(ToString::to_string).collect(),
        ..PolicyOptions::of("major")
    };
    let published = "1.1.0 1.2.0 1.3.0 2.0.0";
    check_options(&options(&[], &["2.*"]), "1.0.0", published, "1.3.0");
    check_options(&options(&[], &["2.*", "1.3.?"]), "1.0.0", published, "1.2.0");
    check_options(&options(&["1.[12].*"], &[]), "1.0.0", published, "1.2.0");
    check_options(&options(&["1.*"], &["*.3.*"]), "1.0.0", published, "1.2.0");
    check_options(&options(&["x"], &[]), "1.0.0", published, "-");
    let many = vec!["a*"; 21];
    assert_eq!(error(options(&many, &[])).option, PolicyOption::Include);
    assert_eq!(error(options(&[], &["["])).option, PolicyOption::Exclude);
}

#[test]
fn options_that_contradict_each_other_are_errors() {
    let with =
        |policy: &str, pattern: Option<&str>, extract: Option<&str>, order: Option<&str>| PolicyOptions {
            tag_pattern: pattern.map(str::to_owned),
            tag_extract: extract.map(str::to_owned),
            tag_order: order.map(str::to_owned),
            ..PolicyOptions::of(policy)
        };
    let cases = [
        (with("", None, None, None), PolicyOption::Policy),
        (with("Minor", None, None, None), PolicyOption::Policy),
        (with("minor:1", None, None, None), PolicyOption::Policy),
        (with("range", None, None, None), PolicyOption::Policy),
        (with("glob:", None, None, None), PolicyOption::Policy),
        (with("regex:(", None, None, None), PolicyOption::Policy),
        (with("regex:a", Some("b"), None, None), PolicyOption::TagPattern),
        (with("digest", Some("a"), None, None), PolicyOption::TagPattern),
        (
            with("digest", None, None, Some("numeric")),
            PolicyOption::TagOrder,
        ),
        (with("minor", None, Some("$1"), None), PolicyOption::TagExtract),
        (
            with("minor", Some("a"), Some("$1"), None),
            PolicyOption::TagExtract,
        ),
        (with("minor", None, None, Some("numeric")), PolicyOption::TagOrder),
        (
            with("range:^1", None, None, Some("alphabetical")),
            PolicyOption::TagOrder,
        ),
        (
            with("major", None, None, Some("semver:desc")),
            PolicyOption::TagOrder,
        ),
        (with("major", None, None, Some("")), PolicyOption::TagOrder),
        (with("major", Some(""), None, None), PolicyOption::TagPattern),
        (with("major", Some("^1\n"), None, None), PolicyOption::TagPattern),
        (with("major", Some(" ^1"), None, None), PolicyOption::TagPattern),
        (with("regex:^é", None, None, None), PolicyOption::Policy),
        (with("minor ", None, None, None), PolicyOption::Policy),
        (
            with("glob:*", Some(r"(?P<major>\d+)"), None, Some("numeric")),
            PolicyOption::TagOrder,
        ),
    ];
    for (options, option) in cases {
        let shown = format!("{options:?}");
        assert_eq!(error(options).option, option, "{shown}");
    }
    for harmless in [
        with("regex:a", Some("a"), None, None),
        with("major", None, None, Some("numeric")),
        with("major", Some("(.)"), Some("$1"), Some("semver")),
    ] {
        assert_eq!(harmless.check(), Ok(()), "{harmless:?}");
    }
}

#[test]
fn where_no_policy_is_named_what_is_compared_decides() {
    let options = |pattern: &str, order: Option<&str>| PolicyOptions {
        tag_pattern: Some(pattern.to_owned()),
        tag_order: order.map(str::to_owned),
        ..PolicyOptions::default()
    };
    for (options, current, expected) in [
        (PolicyOptions::default(), "1.4.0", "minor"),
        (PolicyOptions::default(), "3", "minor"),
        (PolicyOptions::default(), "latest", "digest"),
        (options(r"^\d", None), "1.4.0", "minor"),
        (options(r"^\d", None), "3", "glob:*"),
        (options(r"^\d", Some("semver")), "1.4.0", "minor"),
        (options(r"^\d", Some("alphabetical")), "1.4.0", "glob:*"),
        (options(r"-(?P<ts>\d+)$", None), "main-abc1234-99", "glob:*"),
        (options(r"-(?P<ts>\d+)$", None), "latest", "glob:*"),
    ] {
        let policy = UpdatePolicy::for_tag(&options, &tag(current)).unwrap();
        assert_eq!(
            policy.options().policy.as_deref(),
            Some(expected),
            "{options:?} {current}"
        );
    }
    let broken = UpdatePolicy::for_tag(&options("(", None), &tag("1.0")).unwrap_err();
    assert_eq!(broken.option, PolicyOption::TagPattern);
}

#[test]
fn where_no_policy_is_named_an_order_asks_for_anything_newer() {
    let options = PolicyOptions {
        tag_order: Some("numeric".to_owned()),
        ..PolicyOptions::default()
    };
    let policy = UpdatePolicy::for_tag(&options, &tag("7")).unwrap();
    let (current, published) = (tag("7"), tags("8 9"));
    let selection = select(&SelectionRequest::new(&current, &policy), &published);
    assert_eq!(selection.selected, Some(&published[1]));
    assert!(
        !UpdatePolicy::for_tag(&options, &tag("latest"))
            .unwrap()
            .follows_digest()
    );
}

#[test]
fn any_suffix_orders_suffixes_as_semantic_versioning_does() {
    let options = PolicyOptions {
        prerelease: true,
        any_suffix: true,
        ..PolicyOptions::of("major")
    };
    for (current, published, expected) in [
        ("1.4.5-xx", "1.4.5-xx 1.4.5-yy", "1.4.5-yy"),
        ("7.9.1-1-ubi8", "7.9.1-1-ubi8 7.9.1", "7.9.1"),
        ("7.9.1", "7.9.1-1-ubi8", "-"),
        ("1.0.0-r9", "1.0.0-r39 1.0.0-r10", "1.0.0-r39"),
        ("1.0.0", "v1.1.0-rc1 1.1", "v1.1.0-rc1"),
        ("latest", "1.1.0", "-"),
    ] {
        check_options(&options, current, published, expected);
    }
    let stable = PolicyOptions {
        prerelease: false,
        ..options
    };
    check_options(&stable, "1.0.0", "1.1.0-rc1 1.0.1-slim", "1.0.1-slim");
}
