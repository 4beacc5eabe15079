//! Rules 14 and 15, and what stands against a tag that the policy would have.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::rules::check_options;
use super::*;
use crate::domain::reference::Digest;

fn digest(letter: char) -> Digest {
    format!("sha256:{}", letter.to_string().repeat(64))
        .parse()
        .unwrap()
}

/// What is known of one tag.
struct Known {
    tag: Tag,
    first_seen: Option<Timestamp>,
    digest: Option<Digest>,
    digest_first_seen: Option<Timestamp>,
    platforms: Option<BTreeMap<String, Digest>>,
}

fn known(written: &str) -> Known {
    Known {
        tag: tag(written),
        first_seen: None,
        digest: None,
        digest_first_seen: None,
        platforms: None,
    }
}

impl<'a> From<&'a Known> for Offer<'a> {
    fn from(known: &'a Known) -> Self {
        Self {
            tag: &known.tag,
            first_seen: known.first_seen,
            digest: known.digest.as_ref(),
            digest_first_seen: known.digest_first_seen,
            last_digest: None,
            platforms: known.platforms.as_ref(),
        }
    }
}

fn now() -> Timestamp {
    "2026-06-10T12:00:00Z".parse().unwrap()
}

fn aged(written: &str, hours: i64) -> Known {
    Known {
        first_seen: Some(now() - SignedDuration::from_hours(hours)),
        ..known(written)
    }
}

fn check<'a>(
    request: &SelectionRequest<'a>,
    published: &'a [Known],
    expected: Option<&str>,
    reason: SelectionReason,
) -> Selection<'a> {
    let selection = select(request, published);
    assert_eq!(
        (selection.selected.map(Tag::as_str), selection.reason),
        (expected, reason)
    );
    let reversed = select(request, published.iter().rev());
    assert_eq!(selection, reversed, "the order of the list changes nothing");
    selection
}

#[test]
fn the_newest_tag_that_is_mature_wins() {
    let (current, policy) = (tag("1.0.0"), level("major"));
    let request = SelectionRequest {
        conditions: Conditions {
            maturity: Some(Maturity {
                min_age: SignedDuration::from_hours(24),
                now: now(),
            }),
            ..Conditions::default()
        },
        ..SelectionRequest::new(&current, &policy)
    };
    let published = [
        aged("1.3.0", 1),
        aged("1.2.0", 24),
        aged("1.1.0", 100),
        aged("1.4.0", 10),
        known("1.5.0"),
    ];
    let selection = check(&request, &published, Some("1.2.0"), SelectionReason::NewerVersion);
    assert_eq!(
        selection.rejected.by_rule()[&Rejection::TooYoung],
        [&published[0].tag, &published[3].tag, &published[4].tag]
    );
    assert_eq!(selection.matures_at, Some(now() + SignedDuration::from_hours(14)));
    let selection = check(&request, &published[..1], None, SelectionReason::TooYoung);
    assert_eq!(selection.matures_at, Some(now() + SignedDuration::from_hours(23)));
    let selection = check(&request, &published[4..], None, SelectionReason::TooYoung);
    assert_eq!(
        selection.matures_at, None,
        "nobody remembers when it was seen first"
    );
    let selection = check(
        &request,
        &published[2..3],
        Some("1.1.0"),
        SelectionReason::NewerVersion,
    );
    assert_eq!(selection.matures_at, None);
}

#[test]
fn a_digest_has_to_be_old_enough_itself_however_old_its_tag_is() {
    let (current, policy) = (tag("edge"), level("digest"));
    let (old, new) = (digest('a'), digest('b'));
    let request = SelectionRequest {
        current_digest: Some(&old),
        remote_digest: Some(&new),
        conditions: Conditions {
            maturity: Some(Maturity {
                min_age: SignedDuration::from_hours(24),
                now: now(),
            }),
            ..Conditions::default()
        },
        ..SelectionRequest::new(&current, &policy)
    };
    let since = |hours: i64| Known {
        digest: Some(new.clone()),
        digest_first_seen: Some(now() - SignedDuration::from_hours(hours)),
        ..aged("edge", 1000)
    };
    check(
        &request,
        &[since(24)],
        Some("edge"),
        SelectionReason::DigestChanged,
    );
    let young = [since(23)];
    let selection = check(&request, &young, None, SelectionReason::TooYoung);
    assert_eq!(selection.matures_at, Some(now() + SignedDuration::from_hours(1)));
    let unknown = [aged("edge", 1000)];
    let selection = check(&request, &unknown, None, SelectionReason::TooYoung);
    assert_eq!(
        selection.matures_at, None,
        "the age of the tag is not that of its digest"
    );
}

#[test]
fn what_is_held_is_never_offered() {
    let (current, policy) = (tag("1.0.0"), level("major"));
    let held = [Hold::Tag(tag("1.3.0")), Hold::Digest(digest('b'))];
    let request = SelectionRequest {
        conditions: Conditions {
            held: &held,
            ..Conditions::default()
        },
        ..SelectionRequest::new(&current, &policy)
    };
    let bad = Known {
        digest: Some(digest('b')),
        ..known("1.2.0")
    };
    let published = [known("1.3.0"), bad, known("1.1.0")];
    check(&request, &published, Some("1.1.0"), SelectionReason::NewerVersion);
    let selection = check(&request, &published[..2], None, SelectionReason::Held);
    assert_eq!(selection.rejected.by_rule()[&Rejection::Held].len(), 2);
    let digests = level("digest");
    let (old, new) = (digest('a'), digest('b'));
    let request = SelectionRequest {
        policy: &digests,
        current_digest: Some(&old),
        remote_digest: Some(&new),
        ..request
    };
    check(&request, &[], None, SelectionReason::Held);
}

#[test]
fn a_tag_that_some_node_could_not_run_is_no_candidate() {
    let (current, policy) = (tag("1.0.0"), level("major"));
    let nodes = ["linux/amd64".to_owned(), "linux/arm64".to_owned()];
    let request = SelectionRequest {
        conditions: Conditions {
            node_platforms: &nodes,
            ..Conditions::default()
        },
        ..SelectionRequest::new(&current, &policy)
    };
    let on = |written: &str, platforms: &[&str]| Known {
        platforms: Some(
            platforms
                .iter()
                .map(|platform| ((*platform).to_owned(), digest('c')))
                .collect(),
        ),
        ..known(written)
    };
    let published = [
        on("1.4.0", &["linux/amd64"]),
        on("1.3.0", &["linux/amd64", "windows/arm64"]),
        on("1.2.0", &["linux/amd64", "linux/arm64/v8", "linux/s390x"]),
        known("1.1.0"),
    ];
    for (platform, node, expected) in [
        ("linux/arm/v7", "linux/arm", true),
        ("windows(10.0.20348.1)/amd64", "windows/amd64", true),
        ("windows(10.0.20348.1)/amd64", "linux/amd64", false),
    ] {
        assert_eq!(suits(platform, node), expected, "{platform} {node}");
    }
    check(&request, &published, Some("1.2.0"), SelectionReason::NewerVersion);
    check(&request, &published[..2], None, SelectionReason::PlatformMissing);
    check(
        &request,
        &published[3..],
        Some("1.1.0"),
        SelectionReason::NewerVersion,
    );
}

#[test]
fn rule_14_another_name_for_what_runs_is_no_update_and_neither_is_anything_older() {
    let (current, policy) = (tag("17-alpine"), level("range:>=17"));
    let running = digest('a');
    let request = SelectionRequest {
        current_digest: Some(&running),
        ..SelectionRequest::new(&current, &policy)
    };
    let at = |written: &str, letter| Known {
        digest: Some(digest(letter)),
        ..known(written)
    };
    let published = [
        at("17.2-alpine", 'a'),
        at("17.1-alpine", 'b'),
        known("17.0.1-alpine"),
    ];
    let selection = check(&request, &published, None, SelectionReason::SameDigest);
    assert_eq!(selection.rejected.by_rule()[&Rejection::SameDigest].len(), 3);
    let published = [
        at("17.2-alpine", 'a'),
        at("17.3-alpine", 'c'),
        known("17.1-alpine"),
    ];
    check(
        &request,
        &published,
        Some("17.3-alpine"),
        SelectionReason::NewerVersion,
    );
}

fn with_variants(follow_variants: bool) -> PolicyOptions {
    PolicyOptions {
        follow_variants,
        ..PolicyOptions::of("minor")
    }
}

#[test]
fn rule_15_the_newest_of_the_family_is_the_answer_and_the_successor_is_named() {
    let policy = policy(with_variants(false));
    let cases = [
        (
            "16.3-alpine3.19",
            "16.3-alpine3.19 16.4-alpine3.19 16.9-alpine3.22 16.10-alpine3.23 16.10-alpine3.24 17.1-alpine3.24 16.11-bookworm",
            Some("16.4-alpine3.19"),
            Some(("*.*-alpine3.24", "16.10-alpine3.24")),
        ),
        (
            "3.11.2-slim-bookworm",
            "3.11.2-slim-bookworm 3.12.0-slim-trixie 3.13.0rc1-slim-trixie 3.12.0-slim-bullseye 3.12.0-trixie",
            None,
            Some(("*.*.*-slim-trixie", "3.12.0-slim-trixie")),
        ),
        (
            "16.3-alpine3.19",
            "16.10-alpine3.19 16.9-alpine3.22 16.10-alpine3.22",
            Some("16.10-alpine3.19"),
            None,
        ),
        (
            "16.3-alpine",
            "16.4-alpine3.22 16.4-alpine",
            Some("16.4-alpine"),
            None,
        ),
        ("16.3-alpine3.22", "16.9-alpine3.19", None, None),
        ("8.2.1-php8.2", "8.3.0-php8.3", None, None),
    ];
    for (current, published, expected, successor) in cases {
        let (current, published) = (tag(current), tags(published));
        let selection = select(&SelectionRequest::new(&current, &policy), &published);
        assert_eq!(selection.selected.map(Tag::as_str), expected, "{current}");
        let named = selection
            .successor
            .map(|successor| (successor.family.to_string(), successor.newest.to_string()));
        let wanted = successor.map(|(family, newest)| (family.to_owned(), newest.to_owned()));
        assert_eq!(named, wanted, "{current}");
    }
}

#[test]
fn rule_15_variants_are_followed_within_their_distribution_when_asked_for() {
    for (current, published, expected) in [
        (
            "16.3-alpine3.19",
            "16.4-alpine3.19 16.9-alpine3.22 16.10-alpine3.9 16.10-bookworm",
            "16.9-alpine3.22",
        ),
        (
            "16.3-alpine3.19",
            "16.10-alpine3.22 16.10-alpine3.19 16.10-alpine3.23",
            "16.10-alpine3.19",
        ),
        (
            "16.3-alpine3.19",
            "16.10-alpine3.22 16.10-alpine3.23",
            "16.10-alpine3.23",
        ),
        ("16.3-alpine3.19", "16.3-alpine3.22", "-"),
        (
            "3.11.2-slim-bookworm",
            "3.12.0-slim-trixie 3.13.0-trixie",
            "3.12.0-slim-trixie",
        ),
        ("3.11.2-slim-bookworm", "3.12.0-slim-noble", "-"),
        ("16.3-alpine", "16.4-alpine3.22", "-"),
    ] {
        check_options(&with_variants(true), current, published, expected);
    }
    let range = PolicyOptions {
        follow_variants: true,
        ..PolicyOptions::of("range:^16")
    };
    check_options(
        &range,
        "16.3-alpine3.19",
        "16.9-alpine3.22 17.0-alpine3.22",
        "16.9-alpine3.22",
    );
}

#[test]
fn a_hold_names_a_tag_a_digest_both_or_all_up_to_a_tag() {
    let written = digest('d');
    let image = format!("1.3.0@{written}");
    for (word, hold) in [
        ("1.3.0", Hold::Tag(tag("1.3.0"))),
        (written.as_ref(), Hold::Digest(written.clone())),
        (image.as_str(), Hold::Image(tag("1.3.0"), written.clone())),
        ("<=1.3.0", Hold::UpTo(tag("1.3.0"))),
    ] {
        assert_eq!(word.parse(), Ok(hold.clone()));
        assert_eq!(hold.to_string(), word);
    }
    for word in [
        "1.3 0",
        "sha256:123",
        "1.3.0@",
        "@sha256:123",
        "<=",
        "<1.3.0",
        "<= 1.3.0",
    ] {
        assert!(word.parse::<Hold>().is_err(), "{word}");
    }
}

/// What `policy` chooses from 1.0.0 where all this is published and `word` held.
fn chosen_beside(word: &str, policy: &str, published: &[Known]) -> Option<String> {
    let (current, policy, held) = (tag("1.0.0"), level(policy), [word.parse().unwrap()]);
    let request = SelectionRequest {
        conditions: Conditions {
            held: &held,
            ..Conditions::default()
        },
        ..SelectionRequest::new(&current, &policy)
    };
    let selection = select(&request, published);
    selection.update().map(ToString::to_string)
}

#[test]
fn a_tag_with_its_digest_is_held_until_it_is_known_to_point_elsewhere() {
    let hold = format!("1.3.0@{}", digest('b'));
    let platform = BTreeMap::from([("linux/amd64".to_owned(), digest('b'))]);
    for (pointed_at, platforms, expected) in [
        (None, None, None),
        (Some('b'), None, None),
        (Some('c'), None, Some("1.3.0")),
        // The index is another, and one of its images the same.
        (Some('c'), Some(platform), None),
    ] {
        let published = [Known {
            digest: pointed_at.map(digest),
            platforms,
            ..known("1.3.0")
        }];
        let chosen = chosen_beside(&hold, "major", &published);
        assert_eq!(chosen.as_deref(), expected, "{pointed_at:?}");
    }
    let renamed = [Known {
        digest: Some(digest('b')),
        ..known("1.3.1")
    }];
    assert_eq!(chosen_beside(&hold, "major", &renamed), None);
}

#[test]
fn what_is_held_up_to_a_tag_is_all_that_the_policy_does_not_call_newer() {
    let published = || ["1.0.9", "1.2.0", "1.5.0", "1.5.1", "2.0.0", "1.9.0-alpine"].map(known);
    for (hold, policy, expected) in [
        ("<=1.5.0", "minor", Some("1.5.1")),
        ("<=1.5.1", "minor", None),
        ("<=1.5.1", "major", Some("2.0.0")),
        ("<=2.0.0", "minor", None),
        // Further than the policy would go, and older all the same.
        ("<=1.5.0", "patch", None),
        ("<=1.0.8", "patch", Some("1.0.9")),
        ("<=1.5.0", "range:<2", Some("1.5.1")),
        ("<=1.5.0", "glob:1.*", Some("1.5.1")),
        // Nothing says what would be older than that.
        ("<=stable", "minor", Some("1.5.1")),
    ] {
        let chosen = chosen_beside(hold, policy, &published());
        assert_eq!(chosen.as_deref(), expected, "{hold} {policy}");
    }
}
