//! Rule 11: ranges.

use super::rules::check_options;
use super::*;

/// Each line: range, current tag (`-` for none), published tags, and the answer (`-` for none).
fn check_ranges(cases: &[(&str, &str, &str, &str)]) {
    for (range, current, published, expected) in cases {
        check_options(
            &PolicyOptions::of(format!("range:{range}")),
            current,
            published,
            expected,
        );
    }
}

const RELEASES: &str =
    "0.9.0 1.0.0 1.0.5 1.2.0 1.2.9 1.3.0 1.10.1 2.0.0-rc1 2.0.0 2.1.0-beta.2 2.1.0-beta.10 3.0.0";

#[test]
fn rule_11_a_range_admits_what_its_operators_say() {
    check_ranges(&[
        ("^1.0", "-", RELEASES, "1.10.1"),
        ("^0.9", "-", RELEASES, "0.9.0"),
        ("~1.2.0", "-", RELEASES, "1.2.9"),
        ("~1.2", "-", RELEASES, "1.2.9"),
        ("~1", "-", RELEASES, "1.10.1"),
        ("~> 1.2", "-", RELEASES, "1.2.9"),
        ("1.2", "-", RELEASES, "1.2.9"),
        ("=1.2.0", "-", RELEASES, "1.2.0"),
        ("1.2.0", "-", RELEASES, "1.2.0"),
        ("1.x", "-", RELEASES, "1.10.1"),
        ("1.2.*", "-", RELEASES, "1.2.9"),
        ("1.X.x", "-", RELEASES, "1.10.1"),
        ("*", "-", RELEASES, "3.0.0"),
        ("<2", "-", RELEASES, "1.10.1"),
        ("<=2", "-", RELEASES, "2.0.0"),
        ("<=1.2", "-", RELEASES, "1.2.9"),
        (">1.2 <1.10", "-", RELEASES, "1.3.0"),
        (">=1.2, <2", "-", RELEASES, "1.10.1"),
        (">= 1.2 < 2", "-", RELEASES, "1.10.1"),
        ("1.0 - 1.2", "-", RELEASES, "1.2.9"),
        ("1.0 - 1.2.0", "-", RELEASES, "1.2.0"),
        ("!=3.0.0", "-", RELEASES, "2.0.0"),
        (">=1.2 !=1.10.x <2", "-", RELEASES, "1.3.0"),
        ("~1.2 || ~2.0", "-", RELEASES, "2.0.0"),
        ("v1.x", "-", RELEASES, "1.10.1"),
        ("^0.0.3", "-", "0.0.3 0.0.4 0.1.0", "0.0.3"),
        ("^0.0", "-", "0.0.3 0.0.4 0.1.0", "0.0.4"),
        ("^0.2.3", "-", "0.2.4 0.3.0 1.0.0", "0.2.4"),
        (
            ">=18446744073709551615",
            "-",
            "1.0 18446744073709551615",
            "18446744073709551615",
        ),
        ("<=18446744073709551615", "-", "1.0 2.0", "2.0"),
    ]);
}

#[test]
fn rule_11_a_v_is_ignored_on_both_sides_and_so_is_the_number_of_components() {
    check_ranges(&[
        ("^1", "v1.0.0", "v1.0.0 1.2.0 v1.1.0", "1.2.0"),
        ("^v1", "1.0", "0.9 1.0 1.0.1 1.1.2 2.0.3", "1.1.2"),
        ("^1", "1.2", "1.2.0 v1.2.0", "-"),
        ("2.0.0", "v1.0", "v1.0 v2.0 v2.0.0", "v2.0.0"),
        ("2.0.0", "1.0", "2.0 v2.0.0 2.0.0", "2.0.0"),
        (">=18.04", "18.04", "18.04 20.04 22.04.1", "22.04.1"),
    ]);
}

#[test]
fn rule_11_prefix_and_variant_are_those_of_the_current_tag() {
    check_ranges(&[
        (
            "^1",
            "1.0.0-alpine",
            "1.1.0 1.1.0-slim 1.2-alpine 2.0.0-alpine",
            "1.2-alpine",
        ),
        ("^1", "1.0.0", "1.1.0-alpine", "-"),
        ("^1", "release-1.0", "release-1.5 1.9 release-2.0", "release-1.5"),
        ("^1", "-", "b1.2.3 1.0.0-alpine app-1.4", "-"),
        (">=3", "3.19", "3.20 20260805 3.20240101 2024.10", "3.20"),
        (">=3", "-", "3.20 20260805", "3.20"),
        (">=20240101", "-", "3.20 20231231 20260805", "20260805"),
        ("^1", "latest", "1.0 2.0", "-"),
        (">=9", "9.7.2", "2023 100 9.8.0", "9.8.0"),
        (">=17", "17-alpine", "17.2-alpine 18-alpine", "18-alpine"),
        ("1.2.3", "1.2.3", "1.2.3.99 1.2.4", "-"),
        ("<=1.2.3", "1.2.2", "1.2.3.99 1.2.3.0 1.2.3", "1.2.3.0"),
        (">7.3.3", "7.3.3.1", "7.3.3.50 7.3.3.51", "7.3.3.51"),
        (">=1", "2025-06-01", "20240101 20260101 2025-07-01", "2025-07-01"),
    ]);
}

#[test]
fn rule_11_prereleases_are_admitted_only_where_the_range_or_the_switch_asks_for_them() {
    check_ranges(&[
        ("2.x", "-", RELEASES, "2.0.0"),
        ("2.x-0", "-", RELEASES, "2.1.0-beta.10"),
        ("^2.1.0-0", "-", RELEASES, "2.1.0-beta.10"),
        (">=2.1.0-beta.3", "-", "2.1.0-beta.2 2.1.0-beta10", "2.1.0-beta10"),
        (
            "<2.1.0-beta.3 >2.0.0-0",
            "-",
            "2.1.0-beta.2 2.1.0-beta.10 2.0.0-rc1",
            "2.1.0-beta.2",
        ),
        (">=1.0.0-0 <2.0.0", "-", "1.5.0-rc1 2.0.0-rc1", "1.5.0-rc1"),
        ("1.x || 2.x-0", "-", "1.9.0 2.0.0-rc1 1.10.0-rc1", "2.0.0-rc1"),
        ("^1.x", "1.0.0-rc1", "1.0.0-rc1 1.0.0-rc2", "-"),
        ("=2.0.0-rc1", "-", RELEASES, "2.0.0-rc1"),
        ("*-0", "-", "1.0.0 1.1.0-rc1", "1.1.0-rc1"),
    ]);
    let wanted = PolicyOptions {
        prerelease: true,
        ..PolicyOptions::of("range:2.x")
    };
    check_options(&wanted, "-", RELEASES, "2.1.0-beta.10");
    check_options(&wanted, "-", "1.0.0 2.0.0-rc1 3.0.0-rc1", "2.0.0-rc1");
}

#[test]
fn rule_11_a_range_that_pins_the_current_version_keeps_it() {
    let (policy, current) = (level("range:1.0.1"), tag("1.0.1"));
    let published = tags("1.0.0 1.0.1 1.0.2");
    let request = SelectionRequest::new(&current, &policy);
    let selection = select(&request, &published);
    assert_eq!(
        (selection.selected, selection.update(), selection.reason),
        (Some(&current), None, SelectionReason::Pinned)
    );
    assert_eq!(
        select(&request, &published[..1]).selected,
        None,
        "it is not published"
    );
    check_ranges(&[
        ("1.0", "1.0.1", "1.0.1 1.0.0", "-"),
        (">=1.0.1", "1.0.1", "1.0.1", "-"),
        ("!=1.0.1", "1.0.1", "1.0.1 1.0.0", "-"),
    ]);
}

#[test]
fn rule_11_a_broken_range_is_an_error_that_says_so() {
    for range in [
        "",
        " ",
        "latest",
        "stable",
        "-1",
        "1x",
        "x1",
        "1.0.0p",
        "*-*",
        "1..2",
        "1.2.3.4",
        ">",
        "^",
        "1 ||",
        "|| 1",
        "1,,2",
        "1 - ",
        "- 1",
        ">*",
        "!=*",
        "^1.2-alpine",
        "1.2-",
        "a.b.c",
        "1.x.3",
        "18446744073709551616",
        "=>=1",
        "1,",
    ] {
        let error = error(PolicyOptions::of(format!("range:{range}")));
        assert_eq!(error.option, PolicyOption::Policy, "{range:?}");
        assert!(error.reason.len() > 10, "{error}");
    }
    let long = format!("range:{}", "1 || ".repeat(200) + "1");
    assert!(error(PolicyOptions::of(long)).reason.contains("characters"));
}
