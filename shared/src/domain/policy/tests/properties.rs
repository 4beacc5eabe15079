//! What holds for every list of tags.

use std::cmp::Ordering;

use proptest::prelude::*;
use proptest::sample::subsequence;

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

fn policy() -> impl Strategy<Value = UpdatePolicy> {
    prop::sample::select(vec![
        UpdatePolicy::Patch,
        UpdatePolicy::Minor,
        UpdatePolicy::Major,
    ])
}

proptest! {
    #[test]
    fn the_answer_is_a_published_tag_strictly_newer_and_the_first_candidate(
        current in published_tag(),
        policy in policy(),
        prerelease in any::<bool>(),
        published in prop::collection::vec(published_tag(), 0..30),
    ) {
        let request = SelectionRequest { prerelease, ..request(&current, &policy) };
        let selection = select(&request, &published);
        let accepted = candidates(&request, &published);
        prop_assert_eq!(accepted.first().copied(), selection.selected.as_ref());
        let mut previous: Option<TagVersion> = None;
        for candidate in accepted {
            prop_assert!(published.contains(candidate));
            let (version, now) = (TagVersion::parse(candidate).unwrap(), TagVersion::parse(&current).unwrap());
            prop_assert_eq!(version.compare_across_families(&now), Ordering::Greater);
            prop_assert!(previous.is_none_or(|previous| previous.compare_across_families(&version).is_ge()));
            previous = Some(version);
        }
    }

    #[test]
    fn every_published_tag_is_either_the_answer_or_rejected_once(
        current in published_tag(),
        policy in policy(),
        published in prop::collection::vec(published_tag(), 0..30),
    ) {
        let selection = select(&request(&current, &policy), &published);
        let mut explained: Vec<Tag> = selection.rejected.into_values().flatten().chain(selection.selected).collect();
        let mut expected = published;
        explained.sort();
        expected.sort();
        expected.dedup();
        prop_assert_eq!(explained, expected);
    }

    #[test]
    fn the_order_of_the_list_changes_nothing(
        current in published_tag(),
        policy in policy(),
        (published, shuffled) in prop::collection::vec(published_tag(), 0..30)
            .prop_flat_map(|tags| (Just(tags.clone()), Just(tags).prop_shuffle())),
    ) {
        let request = request(&current, &policy);
        prop_assert_eq!(select(&request, &published), select(&request, &shuffled));
        prop_assert_eq!(candidates(&request, &published), candidates(&request, &shuffled));
    }

    #[test]
    fn a_tag_of_another_family_changes_nothing(
        current in published_tag(),
        policy in policy(),
        published in prop::collection::vec(published_tag(), 0..30),
        unrelated in published_tag(),
    ) {
        let version = TagVersion::parse(&current);
        let family = version.as_ref().map(TagVersion::family);
        let is_related = TagVersion::parse(&unrelated).is_some_and(|other| {
            Some(other.family()) == family || family.is_some_and(|family| family.is_other_spelling_of(other.family()))
        });
        if is_related {
            return Ok(());
        }
        let request = request(&current, &policy);
        let with_unrelated: Vec<Tag> = published.iter().cloned().chain([unrelated]).collect();
        prop_assert_eq!(candidates(&request, &published), candidates(&request, &with_unrelated));
    }

    /// A record keeps the candidates and forgets most other tags; the decision is then made from the record.
    #[test]
    fn forgetting_tags_that_were_no_candidates_changes_nothing(
        current in published_tag(),
        policy in policy(),
        prerelease in any::<bool>(),
        (published, kept) in prop::collection::vec(published_tag(), 1..30).prop_flat_map(|tags| {
            let count = tags.len();
            (Just(tags.clone()), subsequence(tags, 0..=count))
        }),
    ) {
        let request = SelectionRequest { prerelease, ..request(&current, &policy) };
        let before: Vec<Tag> = candidates(&request, &published).into_iter().cloned().collect();
        let record: Vec<Tag> = kept.into_iter().chain(before.iter().cloned()).collect();
        let after: Vec<Tag> = candidates(&request, &record).into_iter().cloned().collect();
        prop_assert_eq!(before, after);
    }

    #[test]
    fn any_tags_at_all_are_judged_without_a_panic(
        current in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,40}",
        policy in policy(),
        published in prop::collection::vec("[A-Za-z0-9_][A-Za-z0-9_.-]{0,40}", 0..10),
    ) {
        let published: Vec<Tag> = published.iter().map(|written| tag(written)).collect();
        let selection = select(&request(&tag(&current), &policy), &published);
        prop_assert!(selection.selected.is_none_or(|selected| published.contains(&selected)));
    }
}
