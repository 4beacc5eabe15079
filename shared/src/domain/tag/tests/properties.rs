//! The order inside a family is total, and reading never fails.

use proptest::prelude::*;

use super::*;

/// Tags of few families, so that two of them are often comparable.
fn tag() -> impl Strategy<Value = Tag> {
    let number = prop_oneof![0_u64..4, 9_u64..12, Just(20_241_001), Just(2024)];
    let numbers = prop::collection::vec(number, 1..4)
        .prop_map(|numbers| numbers.iter().map(u64::to_string).collect::<Vec<_>>().join("."));
    let stage = prop::sample::select(vec![
        "",
        "",
        "",
        "-rc1",
        "rc2",
        "-rc.10",
        "-beta",
        "-alpha.1",
        "b1",
        "-M2",
        "-rc1-dev5",
    ]);
    let suffix = prop::sample::select(vec![
        "",
        "",
        "-alpine",
        "-ls1",
        "-ls12",
        "_8-jdk",
        "_10-jdk",
        "-20241001",
        "-r1-ls2",
    ]);
    let prefix = prop::sample::select(vec!["", "", "v", "fpm-"]);
    (prefix, numbers, stage, suffix).prop_map(|(prefix, numbers, stage, suffix)| {
        format!("{prefix}{numbers}{stage}{suffix}").parse().unwrap()
    })
}

proptest! {
    #[test]
    fn any_tag_is_read_without_a_panic(written in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}") {
        let tag: Tag = written.parse().unwrap();
        if let Some(version) = TagVersion::parse(&tag) {
            prop_assert_eq!(version.compare(&version), Some(Ordering::Equal));
            prop_assert!(!version.numbers().is_empty());
        }
    }

    #[test]
    fn tags_of_digits_and_separators_are_read_without_a_panic(written in "[0-9v][0-9._vubTZ-]{0,127}") {
        let tag: Tag = written.parse().unwrap();
        if let Some(version) = TagVersion::parse(&tag) {
            prop_assert_eq!(version.compare(&version), Some(Ordering::Equal));
        }
    }

    #[test]
    fn what_is_read_as_a_plain_version_is_read_so_by_all_rules(
        written in prop_oneof!["[vV]?(20)?[0-9]{1,6}([.][0-9]{1,6}){1,4}", "[vV]?[0-9.]{1,20}"],
    ) {
        if let Some(plain) = scan::find_plain_version(&written) {
            prop_assert_eq!(Some(plain), scan::find_version(&written));
        }
    }

    #[test]
    fn reading_on_a_ladder_agrees_with_reading_and_then_comparing_families(one in tag(), other in tag()) {
        let ladder = version(other.as_str());
        let family = ladder.family();
        let read = TagVersion::parse(&one).unwrap();
        let expected = match read.family().difference(family) {
            None => Ok((read, Spelling::Same)),
            Some(_) if read.family().is_other_spelling_of(family) => Ok((read, Spelling::OtherV)),
            Some(difference) => Err(Mismatch::Family(difference)),
        };
        prop_assert_eq!(TagVersion::parse_on(&one, family), expected);
    }

    #[test]
    fn the_order_is_antisymmetric(one in tag(), other in tag()) {
        let (one, other) = (version(one.as_str()), version(other.as_str()));
        prop_assert_eq!(one.compare(&other), other.compare(&one).map(Ordering::reverse));
        prop_assert_eq!(one.compare(&other).is_some(), one.family() == other.family());
        prop_assert_eq!(one.compare(&other) == Some(Ordering::Equal), one == other);
    }

    #[test]
    fn the_order_is_transitive(tags in prop::collection::vec(tag(), 3..12)) {
        let versions: Vec<_> = tags.iter().map(|tag| version(tag.as_str())).collect();
        for a in &versions {
            for b in versions.iter().filter(|b| a.compare(b).is_some_and(Ordering::is_le)) {
                for c in versions.iter().filter(|c| b.compare(c).is_some_and(Ordering::is_le)) {
                    prop_assert!(a.compare(c).is_some_and(Ordering::is_le));
                }
            }
        }
    }
}
