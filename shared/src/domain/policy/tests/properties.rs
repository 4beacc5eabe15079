//! What holds for every list of tags.

use std::cmp::Ordering;

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::super::key::compare_versions;
use super::super::ruler::Ruler;
use super::*;

/// Tags of a few families that meet often, and some that are no versions.
fn published_tag() -> impl Strategy<Value = Tag> {
    let prefix = prop::sample::select(vec!["", "", "", "v", "app-"]);
    let numbers = prop::collection::vec(0_u64..4, 1..4);
    let rest = prop::sample::select(vec![
        "",
        "",
        "",
        "-rc1",
        "rc2",
        "-rc",
        "-alpha",
        "-alpine",
        "-alpine3.19",
        "-alpine3.20",
        "-rc1-alpine",
        "-ls3",
        "-ls12",
    ]);
    let version = (prefix, numbers, rest).prop_map(|(prefix, numbers, rest)| {
        let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
        format!("{prefix}{}{rest}", numbers.join("."))
    });
    let other = "[a-z]{3,6}|20[0-9]{6}|20[0-9]{2}\\.[0-9]{1,2}";
    prop_oneof![9 => version, 1 => other].prop_map(|written| tag(&written))
}

/// Policies of every kind that compares tags.
fn any_policy() -> impl Strategy<Value = UpdatePolicy> {
    let named = prop::sample::select(vec![
        ("patch", None, None, None),
        ("minor", None, None, None),
        ("major", None, None, None),
        ("major", None, None, None),
        ("range:*", None, None, None),
        ("range:^1", None, None, None),
        ("range:>=1.1-0 <3", None, None, None),
        ("range:1.x || >2", None, None, None),
        ("glob:*", None, None, None),
        ("glob:*[0-9]*", None, None, None),
        ("glob:*-*", None, None, None),
        (r"regex:^v?\d", None, None, None),
        (r"regex:(\d+)", None, Some("$1"), Some("numeric:asc")),
        (r"regex:(\d+)", None, Some("$1"), Some("numeric:desc")),
        ("regex:.", None, None, Some("alphabetical:asc")),
        ("regex:.", None, None, Some("alphabetical:desc")),
        ("minor", Some(r"^v?(\d.*)$"), Some("$1"), None),
        (
            "major",
            Some(r"(?P<major>\d+)\.(?P<minor>\d+)(?P<prerelease>rc\d)?(?:-(?P<compatibility>.*))?$"),
            None,
            None,
        ),
    ]);
    let switches = prop::array::uniform4(prop::bool::weighted(0.2));
    (named, switches).prop_map(
        |((named, pattern, extract, order), [prerelease, follow, any, exclude])| {
            let written = |value: Option<&str>| value.map(str::to_owned);
            policy(PolicyOptions {
                policy: Some(named.to_owned()),
                tag_pattern: written(pattern),
                tag_extract: written(extract),
                tag_order: written(order),
                prerelease,
                follow_variants: follow,
                any_suffix: any,
                exclude: if exclude {
                    vec!["*1".to_owned()]
                } else {
                    Vec::new()
                },
                ..PolicyOptions::default()
            })
        },
    )
}

fn request<'a>(current: Option<&'a Tag>, policy: &'a UpdatePolicy) -> SelectionRequest<'a> {
    SelectionRequest {
        current,
        ..SelectionRequest::without_current(policy)
    }
}

fn any_current() -> impl Strategy<Value = Option<Tag>> {
    prop::option::weighted(0.9, published_tag())
}

proptest! {
    #[test]
    fn the_answer_is_a_published_tag_and_the_first_candidate(
        current in any_current(),
        policy in any_policy(),
        published in prop::collection::vec(published_tag(), 0..30),
    ) {
        let request = request(current.as_ref(), &policy);
        let selection = select(&request, &published);
        let accepted = candidates(&request, &published).newest_first;
        prop_assert_eq!(accepted.first().copied(), selection.update());
        for candidate in accepted {
            prop_assert!(published.contains(candidate));
            prop_assert_ne!(Some(candidate), current.as_ref());
        }
    }

    /// Rule 9 under every policy: where one tag is an update for another, the other is none for the one.
    #[test]
    fn no_two_tags_are_newer_than_each_other(
        one in published_tag(),
        other in published_tag(),
        policy in any_policy(),
    ) {
        let leads = |from: &Tag, to: &Tag| {
            select(&request(Some(from), &policy), [to]).update().is_some()
        };
        prop_assert!(!(leads(&one, &other) && leads(&other, &one)), "{} and {} under {}", one, other, policy);
        prop_assert!(!leads(&one, &one));
    }

    /// From the answer nothing that was published leads any further.
    #[test]
    fn the_answer_is_the_end_of_its_way(
        current in published_tag(),
        policy in any_policy(),
        published in prop::collection::vec(published_tag(), 0..30),
    ) {
        let Some(answer) = select(&request(Some(&current), &policy), &published).update() else {
            return Ok(());
        };
        let before = candidates(&request(Some(&current), &policy), &published).newest_first;
        let next = select(&request(Some(answer), &policy), before).update();
        prop_assert_eq!(next, None, "{} to {} under {}", current, answer, policy);
    }

    /// Rules 9, 10 and 3 on the whole tags, wherever nothing but versions was compared.
    #[test]
    fn an_answer_is_a_greater_version_of_the_same_variant_and_no_unwanted_prerelease(
        current in published_tag(),
        policy in any_policy(),
        published in prop::collection::vec(published_tag(), 0..30),
    ) {
        let options = policy.options();
        let cuts_out = options.tag_order.is_some() || options.tag_pattern.is_some() || options.any_suffix;
        let Some(answer) = select(&request(Some(&current), &policy), &published).update().filter(|_| !cuts_out) else {
            return Ok(());
        };
        let (now, next) = (TagVersion::parse(&current), TagVersion::parse(answer));
        let Some(now) = now else {
            prop_assert_eq!(next, None, "{} to {} under {}", current, answer, policy);
            return Ok(());
        };
        let next = next.unwrap();
        prop_assert!(compare_versions(&next, &now).is_gt(), "{} to {} under {}", current, answer, policy);
        let is_unwanted = next.is_prerelease() && !options.prerelease && !now.is_prerelease();
        let names_prerelease = options.policy.as_ref().is_some_and(|policy| policy.contains("-0"));
        prop_assert!(!is_unwanted || names_prerelease, "{} to {} under {}", current, answer, policy);
        let difference = next.family().difference_but_components(now.family());
        prop_assert!(difference.is_none() || options.follow_variants, "{} to {} under {}", current, answer, policy);
    }

    /// Within a family the versions of a level policy are ordered totally, and candidates come in that order.
    #[test]
    fn candidates_come_from_the_newest_down(
        current in published_tag(),
        level in prop::sample::select(vec!["patch", "minor", "major"]),
        published in prop::collection::vec(published_tag(), 0..30),
    ) {
        let policy = super::level(level);
        let now = TagVersion::parse(&current);
        let mut previous: Option<TagVersion> = None;
        for candidate in candidates(&request(Some(&current), &policy), &published).newest_first {
            let version = TagVersion::parse(candidate).unwrap();
            prop_assert_eq!(version.compare_across_families(now.as_ref().unwrap()), Ordering::Greater);
            prop_assert!(previous.is_none_or(|previous| previous.compare_across_families(&version).is_ge()));
            previous = Some(version);
        }
    }

    #[test]
    fn every_published_tag_is_either_the_answer_or_rejected_once(
        current in any_current(),
        policy in any_policy(),
        published in prop::collection::vec(published_tag(), 0..30),
    ) {
        let selection = select(&request(current.as_ref(), &policy), &published);
        let mut explained: Vec<&Tag> = selection.rejected.by_rule().into_values().flatten().chain(selection.selected).collect();
        let mut expected: Vec<&Tag> = published.iter().collect();
        explained.sort();
        expected.sort();
        expected.dedup();
        prop_assert_eq!(explained, expected);
    }

    #[test]
    fn the_order_of_the_list_changes_nothing(
        current in any_current(),
        policy in any_policy(),
        (published, shuffled) in prop::collection::vec(published_tag(), 0..30)
            .prop_flat_map(|tags| (Just(tags.clone()), Just(tags).prop_shuffle())),
    ) {
        let request = request(current.as_ref(), &policy);
        prop_assert_eq!(select(&request, &published), select(&request, &shuffled));
        prop_assert_eq!(candidates(&request, &published), candidates(&request, &shuffled));
    }

    #[test]
    fn a_tag_that_is_no_candidate_by_itself_changes_nothing(
        current in any_current(),
        policy in any_policy(),
        published in prop::collection::vec(published_tag(), 0..30),
        unrelated in published_tag(),
    ) {
        let request = request(current.as_ref(), &policy);
        let is_family = Ruler::new(&request).is_ok_and(|ruler| ruler.is_of_current_family(&unrelated));
        if is_family || select(&request, [&unrelated]).update().is_some() {
            return Ok(());
        }
        let before = candidates(&request, &published).newest_first;
        let with_unrelated: Vec<Tag> = published.iter().cloned().chain([unrelated]).collect();
        prop_assert_eq!(before, candidates(&request, &with_unrelated).newest_first);
    }

    #[test]
    fn a_tag_of_another_family_changes_nothing(
        current in published_tag(),
        level in prop::sample::select(vec!["patch", "minor", "major"]),
        published in prop::collection::vec(published_tag(), 0..30),
        unrelated in published_tag(),
    ) {
        let policy = super::level(level);
        let version = TagVersion::parse(&current);
        let family = version.as_ref().map(TagVersion::family);
        let is_related = TagVersion::parse(&unrelated).is_some_and(|other| {
            Some(other.family()) == family || family.is_some_and(|family| family.is_other_spelling_of(other.family()))
        });
        if is_related {
            return Ok(());
        }
        let request = request(Some(&current), &policy);
        let with_unrelated: Vec<Tag> = published.iter().cloned().chain([unrelated]).collect();
        prop_assert_eq!(
            candidates(&request, &published).newest_first,
            candidates(&request, &with_unrelated).newest_first
        );
    }

    /// A record keeps the candidates and forgets most other tags; the decision is then made from the record.
    #[test]
    fn forgetting_tags_that_were_no_candidates_changes_nothing(
        current in any_current(),
        policy in any_policy(),
        (published, kept) in prop::collection::vec(published_tag(), 1..30).prop_flat_map(|tags| {
            let count = tags.len();
            (Just(tags.clone()), subsequence(tags, 0..=count))
        }),
    ) {
        let request = request(current.as_ref(), &policy);
        let before = candidates(&request, &published);
        // The tag in use is kept, too, if it is published.
        let in_use = published.iter().filter(|tag| Some(*tag) == current.as_ref());
        let record: Vec<Tag> = kept
            .iter()
            .chain(in_use)
            .chain(before.newest_first.iter().copied())
            .chain(before.witnesses.iter().copied())
            .cloned()
            .collect();
        prop_assert_eq!(&before, &candidates(&request, &record));
        let (whole, stored) = (select(&request, &published), select(&request, &record));
        prop_assert_eq!((whole.update(), whole.successor), (stored.update(), stored.successor));
    }

    /// A workload moves on before the next scan; what was kept for its old tag must do for its new one.
    #[test]
    fn what_is_kept_for_a_tag_is_all_that_its_candidates_need(
        current in published_tag(),
        policy in any_policy(),
        published in prop::collection::vec(published_tag(), 1..30),
    ) {
        let kept = candidates(&request(Some(&current), &policy), &published).newest_first;
        for moved in &kept {
            // From a prerelease the others of its version can be reached, which no other tag leads to.
            if TagVersion::parse(moved).is_some_and(|version| version.is_prerelease()) {
                continue;
            }
            let next = request(Some(moved), &policy);
            prop_assert_eq!(
                candidates(&next, &published).newest_first,
                candidates(&next, kept.iter().copied()).newest_first,
                "{} to {} under {}", current, moved, policy
            );
        }
    }

    #[test]
    fn the_newest_candidates_are_the_first_of_all(
        current in any_current(),
        policy in any_policy(),
        published in prop::collection::vec(published_tag(), 0..30),
        most in 1_usize..6,
    ) {
        let request = request(current.as_ref(), &policy);
        let mut all = candidates(&request, &published);
        all.newest_first.truncate(most);
        prop_assert_eq!(newest_candidates(&request, &published, most), all);
    }

    #[test]
    fn any_tags_at_all_are_judged_without_a_panic(
        current in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,40}",
        policy in any_policy(),
        published in prop::collection::vec("[A-Za-z0-9_][A-Za-z0-9_.-]{0,40}", 0..10),
    ) {
        let published: Vec<Tag> = published.iter().map(|written| tag(written)).collect();
        let current = tag(&current);
        let selection = select(&request(Some(&current), &policy), &published);
        prop_assert!(selection.selected.is_none_or(|selected| published.contains(selected)));
    }
}
