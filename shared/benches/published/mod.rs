//! Lists of published tags, made up after real repositories and against them. Shared by the benches and the memory test.
#![expect(clippy::expect_used, reason = "what is made up here is valid")]

use shared::domain::policy::{PolicyOptions, UpdatePolicy};
use shared::domain::reference::Tag;

/// The longest that a tag may be.
pub(crate) const LONGEST: usize = 128;

/// A list, by its name and by the function that makes one of any length.
pub(crate) type List = (&'static str, fn(usize) -> Vec<Tag>);

pub(crate) const LISTS: [List; 4] = [
    ("mixed", mixed),
    ("all-allowed", all_allowed),
    ("longest", longest),
    ("all-equal", all_equal),
];

/// The tag that runs; every policy of [`policies`] can compare it.
pub(crate) fn current() -> Tag {
    tag("1.2.3")
}

/// A policy of each kind, by its name.
pub(crate) fn policies() -> Vec<(&'static str, UpdatePolicy)> {
    let plain = |policy: &str| PolicyOptions::of(policy);
    let numeric = |pattern: &str| PolicyOptions {
        tag_pattern: Some(pattern.to_owned()),
        tag_extract: Some("$1".to_owned()),
        tag_order: Some("numeric:asc".to_owned()),
        ..PolicyOptions::of("major")
    };
    let options = [
        ("minor", plain("minor")),
        ("major", plain("major")),
        ("range", plain("range:>=1.2 <40 || ^50")),
        ("glob", plain("glob:*.*")),
        ("regex", plain(r"regex:^v?\d+\.\d+\.\d+")),
        ("regex-numeric", numeric(r"(\d+)$")),
        ("regex-numeric-one-key", numeric(r"(\d)")),
        (
            "regex-version-groups",
            plain(r"regex:^(?<major>\d+)\.(?<minor>\d+)\.(?<patch>\d+)(?:-(?<compatibility>.*))?$"),
        ),
        (
            "alphabetical",
            PolicyOptions {
                tag_order: Some("alphabetical:asc".to_owned()),
                ..PolicyOptions::of("regex:.")
            },
        ),
        (
            "any-suffix",
            PolicyOptions {
                any_suffix: true,
                prerelease: true,
                ..PolicyOptions::of("major")
            },
        ),
    ];
    let compiled =
        options.map(|(name, options)| (name, UpdatePolicy::new(options).expect("the policy is valid")));
    compiled.into()
}

/// As a large repository has them: a few families, their variants and prereleases, dates, commits and signatures.
pub(crate) fn mixed(count: usize) -> Vec<Tag> {
    shuffled(count, |index| {
        // Spread alike in a short list and in a long one.
        let hash = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (major, minor, patch) = (hash >> 60, hash >> 50 & 63, hash >> 35 & 1023);
        match index % 10 {
            0 | 1 => format!("{major}.{minor}.{patch}"),
            2 => format!("v{major}.{minor}.{patch}"),
            3 => format!("{major}.{minor}.{patch}-alpine3.{}", 10 + index % 12),
            4 => format!("{major}.{minor}.{patch}-slim-bookworm"),
            5 => format!("{major}.{minor}.{patch}-rc.{}", index % 7),
            6 => format!("2024{:02}{:02}-{index}", minor % 12 + 1, patch % 28 + 1),
            7 => format!("main-{:07x}-{}", hash >> 36, 1_600_000_000 + index),
            8 => format!("sha256-{hash:016x}{hash:016x}{hash:016x}{hash:016x}.sig"),
            _ => format!("{major}.{minor}-ls{index}"),
        }
    })
}

/// Every tag is newer than the current one and on its ladder, so that all have to be compared.
pub(crate) fn all_allowed(count: usize) -> Vec<Tag> {
    shuffled(count, |index| format!("1.{}.{}", index / 1000 + 3, index % 1000))
}

/// As long as tags can be, in the shapes that take the most reading.
pub(crate) fn longest(count: usize) -> Vec<Tag> {
    shuffled(count, |index| {
        let start = match index % 4 {
            0 => format!("1.3.{index}-"),
            1 => format!("1.{index}.9999999999999999999."),
            2 => format!("{index}x-"),
            _ => format!("{index}.4.5-rc"),
        };
        let filler = ["r1_8-", "0.", "1x-", ".1-b1-"][index % 4];
        start
            .chars()
            .chain(filler.chars().cycle())
            .take(LONGEST)
            .collect()
    })
}

/// Every tag is the same version, so that only their spelling tells them apart.
pub(crate) fn all_equal(count: usize) -> Vec<Tag> {
    shuffled(count, |index| {
        // Leading zeros say nothing; where they stand makes the tags differ.
        let zeros = |shift: usize| "0".repeat(index >> shift & 31);
        format!(
            "{}1.{}3.{}0{}",
            zeros(0),
            zeros(5),
            zeros(10),
            "-r1".repeat(index >> 15 & 3)
        )
    })
}

/// Tags in no order at all, and always in the same one. They are made in that order, as they are when a list is read.
fn shuffled(count: usize, write: impl Fn(usize) -> String) -> Vec<Tag> {
    let mut indices: Vec<usize> = (0..count).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut indices);
    indices.into_iter().map(|index| tag(&write(index))).collect()
}

fn tag(written: &str) -> Tag {
    written.parse().expect("the tag is valid")
}
