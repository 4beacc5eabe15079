//! Each rule of choosing, by name; rules 11 and 12 are in `patterns`, 14 and 15 in `conditions`.

use strum::IntoEnumIterator;

use super::*;
use crate::domain::reference::Digest;

/// Each line: policy, current tag, published tags, and the answer (`-` for none).
fn check(cases: &[(&str, &str, &str, &str)]) {
    for (policy, current, published, expected) in cases {
        check_with(false, policy, current, published, expected);
    }
}

fn check_with_prereleases(cases: &[(&str, &str, &str, &str)]) {
    for (policy, current, published, expected) in cases {
        check_with(true, policy, current, published, expected);
    }
}

fn check_with(prerelease: bool, policy: &str, current: &str, published: &str, expected: &str) {
    let options = PolicyOptions {
        prerelease,
        ..PolicyOptions::of(policy)
    };
    check_options(&options, current, published, expected);
}

pub(super) fn check_options(options: &PolicyOptions, current: &str, published: &str, expected: &str) {
    let policy = UpdatePolicy::new(options.clone()).unwrap_or_else(|error| panic!("{error}"));
    let (current, published) = ((current != "-").then(|| tag(current)), tags(published));
    let request = SelectionRequest {
        current: current.as_ref(),
        ..SelectionRequest::without_current(&policy)
    };
    let found = select(&request, &published);
    let shown = found.selected.map_or("-", Tag::as_str);
    assert_eq!(
        shown, expected,
        "{policy} from {current:?} among {published:?}: {}",
        found.reason
    );
    assert_eq!(
        candidates(&request, &published).newest_first.first().copied(),
        found.update()
    );
}

fn explain(policy: &str, current: &str, published: &str) -> Vec<(&'static str, String)> {
    let (policy, current, published) = (level(policy), tag(current), tags(published));
    let selection = select(&SelectionRequest::new(&current, &policy), &published);
    let join = |tags: &[&Tag]| tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>().join(" ");
    selection
        .rejected
        .by_rule()
        .into_iter()
        .map(|(rejection, tags)| (rejection.name(), join(&tags)))
        .collect()
}

#[test]
fn rule_1_the_other_spelling_of_v_is_an_answer_only_where_the_own_one_is_published_nowhere() {
    check(&[
        (
            "patch",
            "v0.0.824",
            "v0.0.823 v0.0.824 v0.0.825 0.0.826",
            "v0.0.825",
        ),
        ("minor", "v1.2.3", "v1.2.3 v1.3.0 1.4.0", "v1.3.0"),
        ("minor", "v1.2.3", "1.2.3 1.3.0 1.4.0 2.0.0", "1.4.0"),
        (
            "minor",
            "1.2.3-alpine",
            "v1.3.0-alpine v1.3.0 1.4.0",
            "v1.3.0-alpine",
        ),
        ("minor", "v1.2.3", "v1.2.3 1.3.0", "-"),
        ("minor", "v1.2.3", "v0.9.0 1.3.0", "-"),
        ("minor", "v1.2.3", "v1.3.0-rc1 1.3.0", "-"),
        ("minor", "v1.2.3", "v1.3 1.3.0", "1.3.0"),
        ("minor", "v1.2.3", "1.2.3 1.2.2", "-"),
        ("minor", "v1.2.3", "1.3.0-rc1", "-"),
        ("major", "v3", "20260805 4.1", "-"),
    ]);
    let (policy, current, published) = (level("minor"), tag("v1.2.3"), tags("1.3.0"));
    let selection = select(&SelectionRequest::new(&current, &policy), &published);
    assert_eq!(selection.reason, SelectionReason::NewerVersionOtherSpelling);
    let published = tags("v1.2.3 1.3.0 1.4.0 2.0.0");
    let selection = select(&SelectionRequest::new(&current, &policy), &published);
    let ended = selection
        .successor
        .map(|other| (other.family.to_string(), other.newest.to_string()));
    assert_eq!(ended, Some(("*.*.*".to_owned(), "1.4.0".to_owned())));
}

#[test]
fn rule_2_a_ladder_keeps_its_number_of_components() {
    check(&[
        ("major", "3", "2 3 4 4.1 4.1.2", "4"),
        ("minor", "8.1", "8.1.0 8.1.5 8.1 8.2.0 8.2.5 8.2 8 9.0 9", "8.2"),
        ("patch", "1.4", "1.4 1.4.6", "-"),
        ("major", "18.04", "18.04 18.4 20.04", "20.04"),
        ("major", "18.04", "18.04 18.4", "-"),
        ("patch", "7.3.3.50", "7.3.3.51 7.3.4.1 7.4.0.0", "7.3.4.1"),
        (
            "major",
            "20231201120000",
            "20231201120000 20240101120000",
            "20240101120000",
        ),
    ]);
}

#[test]
fn rule_3_the_variant_stays() {
    check(&[
        (
            "minor",
            "16.3-alpine",
            "16.3 16.4 16.3-alpine 16.15-alpine 16.15 16.15-alpine3.22 17.0-alpine",
            "16.15-alpine",
        ),
        (
            "minor",
            "12.15.0",
            "12.15.0-alpine 12.16.0-stretch 12.16.0 12.16.0-alpine",
            "12.16.0",
        ),
        (
            "major",
            "6.4.2-php8.2-fpm",
            "7.1.0-php8.3-fpm 7.0.0-php8.2-fpm 7.1.0-php8.2-apache",
            "7.0.0-php8.2-fpm",
        ),
        (
            "patch",
            "fpm-2.1.0-prod",
            "fpm-2.1.1-prod fpm-2.1.2 apache-2.1.2-prod 2.1.2-prod",
            "fpm-2.1.1-prod",
        ),
        (
            "major",
            "3.9.1-eclipse-temurin-17",
            "4.0.0-eclipse-temurin-21 3.9.9-eclipse-temurin-17",
            "3.9.9-eclipse-temurin-17",
        ),
    ]);
}

#[test]
fn rule_4_a_word_that_contains_a_marker_is_a_variant() {
    check(&[
        (
            "patch",
            "31.0.13-previous",
            "31.0.13-previous 31.0.14-previous 31.0.14",
            "31.0.14-previous",
        ),
        ("minor", "1.0-develop", "1.1-develop 1.2", "1.1-develop"),
        ("minor", "3.12-dev", "3.13-dev 3.14", "3.13-dev"),
    ]);
}

#[test]
fn rule_5_a_later_build_of_the_same_version_is_followed() {
    check(&[
        (
            "patch",
            "v4.0.3-ls215",
            "v4.0.3-ls214 v4.0.3-ls215 v4.0.3-ls216 v4.0.3",
            "v4.0.3-ls216",
        ),
        (
            "patch",
            "17.0.9_8-jdk",
            "17.0.9_9-jdk 17.0.9_9-jre 17.0.9",
            "17.0.9_9-jdk",
        ),
        (
            "minor",
            "17.0.9_9-jre-alpine",
            "17.0.9_9-jre-alpine 17.0.20_8-jre-alpine 21.0.1_1-jre-alpine",
            "17.0.20_8-jre-alpine",
        ),
        (
            "minor",
            "8u402-b06-jdk",
            "8u402-b06-jdk 8u502-b07-jdk 8-jdk",
            "8u502-b07-jdk",
        ),
        (
            "patch",
            "17.0-20240801",
            "17.0 17.0-20240912 18.0-20240912",
            "17.0-20240912",
        ),
        ("major", "17.0", "17.0-20260817 18.0-20260817 18.0", "18.0"),
        (
            "patch",
            "0.21.0-debian-10-r9",
            "0.21.0-debian-10-r39 0.21.0-debian-11-r40",
            "0.21.0-debian-10-r39",
        ),
    ]);
}

#[test]
fn rule_6_a_tag_without_a_version_is_followed_by_its_digest_alone() {
    for current in [
        "latest",
        "bookworm",
        "php8.2-fpm",
        "alpine3.20",
        "4bce52f",
        "sha-860c190",
    ] {
        let default = UpdatePolicy::for_tag(&PolicyOptions::default(), &tag(current)).unwrap();
        assert_eq!(default, level("digest"), "{current}");
        let (policy, named, published) = (level("major"), tag(current), tags("latest 1.0 2.0 php8.3-fpm"));
        let selection = select(&SelectionRequest::new(&named, &policy), &published);
        assert_eq!(
            (selection.selected, selection.reason),
            (None, SelectionReason::CurrentIsNoVersion),
            "{current}"
        );
    }
    for current in [
        "1.2.3",
        "v1",
        "16-alpine",
        "2024.10.1",
        "20241001",
        "open-21-jre",
        "1.0-rc1",
    ] {
        let default = UpdatePolicy::for_tag(&PolicyOptions::default(), &tag(current)).unwrap();
        assert_eq!(default, level("minor"), "{current}");
    }
}

#[test]
fn rule_7_a_date_does_not_enter_a_ladder_of_small_numbers() {
    check(&[
        ("major", "3", "20260805 4 202608 1606364286 9999999", "4"),
        ("major", "2", "2 2023", "2023"),
        ("major", "1.2.3", "1.2.4 2024.10.1", "1.2.4"),
        ("major", "20241001", "20241001 20241101 99999999", "20241101"),
        (
            "minor",
            "2024.10.1",
            "2024.10.2 2024.12.0 2025.1.0 2024.9.3",
            "2024.12.0",
        ),
        ("major", "8.9", "8.9.20231119 9.3 9.3.20231119", "9.3"),
        (
            "major",
            "2.0.20240916.0",
            "2.0.20260817.0 2023.12.20260817.0",
            "2023.12.20260817.0",
        ),
        (
            "minor",
            "RELEASE.2024-10-02T17-50-41Z",
            "RELEASE.2024-10-13T13-34-11Z RELEASE.2024-10-13T13-34-11Z-cpuv1",
            "RELEASE.2024-10-13T13-34-11Z",
        ),
    ]);
}

#[test]
fn rule_8_the_level_filters_before_the_newest_is_taken() {
    check(&[
        ("minor", "1.2.0", "1.3.0 1.5.0 2.0.0 1.2.1", "1.5.0"),
        ("patch", "1.2.0", "1.2.1 1.2.2 1.3.0 2.0.0", "1.2.2"),
        ("major", "1.2.0", "1.3.0 2.0.0 10.0.0 9.9.9", "10.0.0"),
        ("minor", "1.2.0", "2.0.0", "-"),
        ("minor", "3", "3 4", "-"),
        ("patch", "3", "3 4", "-"),
        ("patch", "3.1", "3.1 3.2", "-"),
        ("minor", "0.9", "0.10 1.0", "0.10"),
    ]);
}

#[test]
fn rule_9_the_answer_is_strictly_newer() {
    check(&[
        ("major", "1.4.5", "1.4.5 1.4.3", "-"),
        ("major", "1.4.5", "01.4.5 1.04.5 1.4.05", "-"),
        ("major", "1.0-rc1", "1.0rc1 1.0-rc.1", "-"),
        ("major", "99.99.99", "1.0.0 3.0.0", "-"),
        ("major", "1.0", "", "-"),
    ]);
}

#[test]
fn rule_10_a_stable_tag_meets_no_prerelease() {
    check(&[
        (
            "major",
            "0.9.0",
            "0.9.0 1.0.0-rc1 1.0.0-alpha 1.0.0b1 1.0.0-nightly",
            "-",
        ),
        ("major", "4.1", "6.0-alpha2 5.0", "5.0"),
        ("major", "12.3-ubi", "13.0-ubi-rc 12.3-ubi", "-"),
    ]);
    check_with_prereleases(&[
        ("major", "0.9.0", "0.9.0 1.0.0-rc1 1.0.0-alpha", "1.0.0-rc1"),
        ("major", "1.2.3-foobar", "2.3.4b1-foobar 2.3.4", "2.3.4b1-foobar"),
        ("minor", "0.9.0", "1.0.0-rc1", "-"),
        ("major", "1.0.0", "1.0.0-rc1", "-"),
    ]);
}

#[test]
fn rule_10_a_prerelease_meets_its_successors_its_release_and_anything_stable() {
    check(&[
        (
            "major",
            "19beta1-alpine",
            "18-alpine 19beta1-alpine 19beta3-alpine 19beta3",
            "19beta3-alpine",
        ),
        ("patch", "1.0.0-rc9", "1.0.0-rc9 1.0.0-rc10", "1.0.0-rc10"),
        ("patch", "1.2.3-alpha", "1.2.3-alpha 1.2.3", "1.2.3"),
        ("major", "1.2.3a1", "1.2.3a1 2.0.1 1.3.4 1.2.3", "2.0.1"),
        ("major", "1.0.0-rc1", "2.0.0-rc1 1.0.1-rc1", "-"),
        (
            "major",
            "27-ea-11-jdk",
            "27-ea-12-jdk 27-rc-jdk 28-ea-1-jdk",
            "27-rc-jdk",
        ),
        ("major", "3.14-rc-slim", "3.14-slim 3.15-rc-slim", "3.14-slim"),
        ("major", "3.14-rc-slim", "3.15-rc-slim", "-"),
    ]);
}

#[test]
fn rule_10_a_line_of_prereleases_without_counters_goes_on_between_patches() {
    check(&[
        ("patch", "1.2.2-alpha", "1.2.2-alpha 1.2.3-alpha", "1.2.3-alpha"),
        ("major", "1.2.2-alpha", "1.2.3-alpha 2.0.0-alpha", "1.2.3-alpha"),
        ("patch", "1.2.2-alpha", "1.2.3-beta", "-"),
        ("patch", "1.2.2-alpha", "1.2.2 1.2.3-alpha", "1.2.2"),
        ("patch", "1.2.2-alpha.1", "1.2.3-alpha.1", "-"),
    ]);
}

#[test]
fn rule_12_among_equal_versions_the_spelling_of_the_current_tag_wins_then_the_shorter() {
    check(&[
        ("major", "1.0.0-rc1", "1.0.0rc2 1.0.0-rc.2 1.0.0-rc2", "1.0.0-rc2"),
        ("major", "1.0.0-rc1", "1.0.0-rc.2 1.0.0rc2", "1.0.0rc2"),
        ("major", "1.3", "1.04 1.4", "1.4"),
    ]);
}

#[test]
fn rule_13_the_digest_policy_acts_when_both_digests_are_known_and_differ() {
    let digest = |c: &str| -> Digest { format!("sha256:{}", c.repeat(64)).parse().unwrap() };
    let (a, b) = (digest("a"), digest("b"));
    let (current, policy) = (tag("stable"), level("digest"));
    let published = tags("stable latest 1.0.0");
    let cases = [
        (Some(&a), Some(&b), Some("stable"), SelectionReason::DigestChanged),
        (Some(&a), Some(&a), None, SelectionReason::DigestUnchanged),
        (None, Some(&b), None, SelectionReason::DigestUnknown),
        (Some(&a), None, None, SelectionReason::DigestUnknown),
        (None, None, None, SelectionReason::DigestUnknown),
    ];
    for (current_digest, remote_digest, expected, reason) in cases {
        let request = SelectionRequest {
            current_digest,
            remote_digest,
            ..SelectionRequest::new(&current, &policy)
        };
        let found = select(&request, &published);
        assert_eq!(
            (found.selected.map(Tag::as_str), found.reason),
            (expected, reason)
        );
        assert_eq!(
            found.rejected.by_rule()[&Rejection::OtherTag],
            [&published[2], &published[1]]
        );
        assert_eq!(
            select(&request, &[] as &[Tag]).selected,
            found.selected,
            "the tag list is not needed"
        );
    }
}

#[test]
fn every_rejected_tag_is_named_under_the_first_rule_against_it() {
    let published = "1.2.3 1.2.4 1.3.0 v1.4.0 1.4.0-alpine 1.4 1.2.2 2.0.0 1.4.0-rc1 latest 1.4.20240101 app-1.4.0 2.0.0-rc1";
    assert_eq!(
        explain("minor", "1.2.3", published),
        [
            ("current", "1.2.3".to_owned()),
            ("no-version", "latest".to_owned()),
            ("other-prefix", "app-1.4.0 v1.4.0".to_owned()),
            ("other-components", "1.4".to_owned()),
            ("other-suffix", "1.4.0-alpine".to_owned()),
            ("other-calendar", "1.4.20240101".to_owned()),
            ("not-newer", "1.2.2".to_owned()),
            ("outside-level", "2.0.0 2.0.0-rc1".to_owned()),
            ("prerelease", "1.4.0-rc1".to_owned()),
            ("superseded", "1.2.4".to_owned()),
        ]
    );
    assert_eq!(
        explain("minor", "latest", "1.0 latest"),
        [
            ("current", "latest".to_owned()),
            ("current-is-no-version", "1.0".to_owned())
        ]
    );
}

#[test]
fn candidates_are_all_that_is_allowed_from_the_newest_down() {
    let (current, policy) = (tag("1.2.0"), level("minor"));
    let published = tags("1.10.0 1.3.0 1.2.0 2.0.0 1.9.0 1.3.0");
    let found: Vec<&str> = candidates(&SelectionRequest::new(&current, &policy), &published)
        .newest_first
        .into_iter()
        .map(Tag::as_str)
        .collect();
    assert_eq!(found, ["1.10.0", "1.9.0", "1.3.0"]);
}

#[test]
fn reasons_have_distinct_stable_names_and_say_something() {
    let reasons: Vec<_> = SelectionReason::iter()
        .map(|reason| (reason.name(), reason.to_string()))
        .collect();
    let rejections: Vec<_> = Rejection::iter()
        .map(|rejection| (rejection.name(), rejection.to_string()))
        .collect();
    for list in [reasons, rejections] {
        for (index, (name, sentence)) in list.iter().enumerate() {
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{name}"
            );
            assert!(sentence.contains(' '), "{name}: {sentence}");
            assert!(
                list[index + 1..]
                    .iter()
                    .all(|(other, text)| other != name && text != sentence),
                "{name}"
            );
        }
    }
}
