use proptest::prelude::*;

use super::*;

const OWN: &str = "https://github.com/example/shop/";

fn of(body: &str) -> Summary {
    digest(
        &[Release {
            tag: "v1.5.0".to_owned(),
            body: body.to_owned(),
            ..Release::default()
        }],
        OWN,
    )
    .summary
}

fn texts(items: &[Item]) -> Vec<&str> {
    items.iter().map(|item| item.text.as_str()).collect()
}

#[test]
fn sections_of_a_changelog_are_recognised() {
    let summary = of(
        "### Security\n- sessions end\n### Added\n- dark mode\n### Fixed\n- crash\n### Removed\n- the old API\n### Changed\n- colours\n### New Contributors\n- @x made their first contribution in https://github.com/example/shop/pull/9\n**Full Changelog**: https://github.com/example/shop/compare/v1...v2",
    );
    assert_eq!(texts(&summary.security), ["sessions end"]);
    assert_eq!(texts(&summary.breaking), ["the old API"]);
    assert_eq!(texts(&summary.features), ["dark mode"]);
    assert_eq!(texts(&summary.fixes), ["crash"]);
    assert_eq!(texts(&summary.other), ["colours"]);
    assert_eq!(summary.signals.breaking.as_deref(), Some("Removed"));
    assert_eq!(summary.made_by, MadeBy::Digest);
}

#[test]
fn what_forges_generate_of_conventional_commits_is_read() {
    let summary = of(
        "## What's Changed\n* feat(web): baskets by @ann in https://github.com/example/shop/pull/12\n* fix: totals by @bob in https://github.com/example/shop/pull/13\n* feat!: new config by @ann in https://github.com/example/shop/pull/14\n* chore(deps): bump x\n* something else\n",
    );
    assert_eq!(texts(&summary.features), ["baskets (#12)"]);
    assert_eq!(
        summary.features[0].link.as_deref(),
        Some("https://github.com/example/shop/pull/12")
    );
    assert_eq!(texts(&summary.fixes), ["totals (#13)"]);
    assert_eq!(texts(&summary.breaking), ["new config (#14)"]);
    assert_eq!(texts(&summary.other), ["bump x", "something else"]);
    assert_eq!(summary.signals.breaking.as_deref(), Some("new config (#14)"));
}

#[test]
fn lines_that_matter_are_lifted_out_wherever_they_stand() {
    let summary = of(
        "Some words.\n### Fixes\n- plain fix\n- fix CVE-2026-1234 in the parser\n- GHSA-abcd-efgh-ijkl\n\nBREAKING CHANGE: the port is 8080 now.\n\nAction required: run the migration first.\n",
    );
    assert_eq!(
        texts(&summary.security),
        ["fix CVE-2026-1234 in the parser", "GHSA-abcd-efgh-ijkl"]
    );
    assert_eq!(
        texts(&summary.breaking),
        [
            "the port is 8080 now.",
            "Action required: run the migration first."
        ]
    );
    assert_eq!(texts(&summary.fixes), ["plain fix"]);
    assert!(
        summary.signals.security.is_some()
            && summary.signals.migration.is_some()
            && summary.signals.breaking.is_some()
    );
}

#[test]
fn that_nothing_breaks_is_no_break_and_other_words_are_no_ids() {
    for body in [
        "- There are no breaking changes.",
        "- a non-breaking space",
        "- recve-rs is faster",
        "- immigration forms",
    ] {
        let summary = of(body);
        assert_eq!(
            (summary.signals.clone(), summary.breaking.len()),
            (Signals::default(), 0),
            "{body}"
        );
    }
}

#[test]
fn prose_is_told_by_its_first_lines_and_nothing_by_nothing() {
    let summary = of("This release makes the shop faster.\n\nSee below.\n\nThird.\n\nFourth.\n");
    assert_eq!(
        texts(&summary.other),
        ["This release makes the shop faster.", "See below.", "Third."]
    );
    assert!(of("").is_empty() && of("```\nrm -rf /\n```").is_empty());
}

#[test]
fn the_same_line_of_several_releases_is_told_once_and_the_newest_first() {
    let release = |tag: &str, body: &str| Release {
        tag: tag.to_owned(),
        body: body.to_owned(),
        ..Release::default()
    };
    let summary = digest(
        &[
            release("v2", "- fix: a\n- fix: b"),
            release("v1", "- fix: A\n- fix: c"),
        ],
        OWN,
    )
    .summary;
    assert_eq!(texts(&summary.fixes), ["a", "b", "c"]);
    assert_eq!(summary.fixes[2].release.as_deref(), Some("v1"));
}

#[test]
fn a_megabyte_of_lines_is_cut_and_counted() {
    let line = |number| format!("- fix: number {number} {}\n", "long ".repeat(100));
    let body: Vec<String> = (0..4000).map(line).collect();
    let body = body.concat();
    assert!(body.len() > 1 << 20);
    let summary = of(&body);
    assert_eq!(summary.fixes.len(), MOST_OTHERS);
    assert!(summary.left_out > 100);
    assert!(summary.fixes.iter().all(|item| item.text.len() <= LONGEST_ITEM));
}

#[test]
fn what_is_too_long_to_be_told_is_looked_at_all_the_same_and_what_is_too_long_for_that_is_no_whole() {
    let read = |body: String| {
        let release = Release {
            body,
            ..Release::default()
        };
        digest(&[release], OWN)
    };
    let paragraph = format!("{}and a BREAKING end.\n\n- fix: a\n", "long words ".repeat(200));
    let found = read(paragraph);
    assert!(
        found.is_whole && found.summary.signals.breaking.is_some(),
        "{found:?}"
    );
    assert_eq!(texts(&found.summary.fixes), ["a"]);
    for body in [
        format!("{}\nBREAKING: a", "- fix: a\n".repeat(1000)),
        format!("- fix: {} BREAKING: a", "long ".repeat(1000)),
        format!("- fix: a\n{}BREAKING: a", " \n".repeat(200_000)),
    ] {
        let cut = read(body);
        assert!(!cut.is_whole && cut.summary.signals.breaking.is_none());
    }
    assert!(read("- fix: a\n".repeat(999)).is_whole);
}

proptest! {
    #[test]
    fn any_notes_make_a_bounded_summary(bodies in prop::collection::vec("(- |# |BREAKING|CVE-2026-1|migrat|@here|<b>|\\[a\\]\\(https://e\\.x\\)|.|\n){0,60}", 0..5)) {
        let releases: Vec<Release> = bodies.into_iter().map(|body| Release { tag: "v1<".to_owned(), body, ..Release::default() }).collect();
        let summary = digest(&releases, OWN).summary;
        let size = serde_json::to_string(&summary).unwrap().len();
        prop_assert!(size < 64 << 10, "{size}");
        for (_, items) in summary.sections() {
            for item in items {
                prop_assert!(!item.text.is_empty() && item.text.len() <= LONGEST_ITEM);
                prop_assert!(!item.text.contains(['<', '>', '@', '\n']) && !item.text.contains("://"), "{}", item.text);
            }
        }
    }
}
