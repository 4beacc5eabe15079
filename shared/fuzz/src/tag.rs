//! Tags: reading one never fails, and the order of versions is an order.

use std::cmp::Ordering;

use shared::domain::reference::{ImageReference, Tag};
use shared::domain::tag::{Mismatch, Spelling, TagVersion};

/// How many lines are compared with each other; three is what transitivity takes.
const MAX_LINES: usize = 4;

/// The input is a few tags, one a line.
pub fn holds(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let lines = text.lines().take(MAX_LINES);
    let mut read = Vec::new();
    for line in lines {
        // Ranges and patterns have texts read that are no tags.
        let version = TagVersion::read(line);
        let Ok(tag) = line.parse::<Tag>() else {
            continue;
        };
        assert_eq!(tag.as_str(), line);
        assert_eq!(TagVersion::parse(&tag), version);
        let reference: Result<ImageReference, _> = format!("image:{line}").parse();
        assert_eq!(reference.expect("a tag makes a reference").tag(), Some(&tag));
        read.extend(version.map(|version| (tag, version)));
    }
    for (tag, version) in &read {
        assert!(!version.numbers().is_empty(), "{tag}");
        assert!(!version.family().to_string().is_empty(), "{tag}");
        assert_eq!(version.is_prerelease(), !version.stages().is_empty(), "{tag}");
    }
    for (tag, version) in &read {
        for (other_tag, other) in &read {
            are_ordered(version, other);
            is_read_on_the_ladder_of(tag, version, other, other_tag);
        }
    }
    is_transitive(&read);
}

/// Both ways agree, and only versions of one family have an order.
fn are_ordered(one: &TagVersion, other: &TagVersion) {
    let order = one.compare(other);
    assert_eq!(order, other.compare(one).map(Ordering::reverse));
    assert_eq!(order.is_some(), one.family() == other.family());
    assert_eq!(order == Some(Ordering::Equal), one == other);
    assert_eq!(one.family().difference(other.family()).is_none(), order.is_some());
    let distributions = one.family().compare_distributions(other.family());
    let reversed = other.family().compare_distributions(one.family());
    assert_eq!(distributions, reversed.map(Ordering::reverse));
    if let (Some(one), Some(other)) = (one.family().distribution(), other.family().distribution()) {
        assert_eq!(one.compare(&other), other.compare(&one).map(Ordering::reverse));
    }
}

/// To read a tag on a ladder is to read it and to compare the families.
fn is_read_on_the_ladder_of(tag: &Tag, version: &TagVersion, other: &TagVersion, other_tag: &Tag) {
    let ladder = other.family();
    let expected = match version.family().difference(ladder) {
        None => Ok((version.clone(), Spelling::Same)),
        Some(_) if version.family().is_other_spelling_of(ladder) => Ok((version.clone(), Spelling::OtherV)),
        Some(difference) => Err(Mismatch::Family(difference)),
    };
    assert_eq!(
        TagVersion::parse_on(tag, ladder),
        expected,
        "{tag} on the ladder of {other_tag}"
    );
}

fn is_transitive(read: &[(Tag, TagVersion)]) {
    let is_at_most = |one: &TagVersion, other: &TagVersion| one.compare(other).is_some_and(Ordering::is_le);
    for (a_tag, a) in read {
        for (b_tag, b) in read.iter().filter(|(_, b)| is_at_most(a, b)) {
            for (c_tag, c) in read.iter().filter(|(_, c)| is_at_most(b, c)) {
                assert!(is_at_most(a, c), "{a_tag} <= {b_tag} <= {c_tag}");
            }
        }
    }
}
