//! A changelog as releases: its sections, by the versions in their headings.

use super::Release;
use super::plain::{MOST_INPUT, head};
use super::range::named;

/// How much of a file is read, in bytes: many releases are in one.
const MOST: usize = 4 * MOST_INPUT;
/// How many sections are taken at most; the newest stand first in nearly all of them.
const MOST_SECTIONS: usize = 2000;
/// Words that a heading may have before its version.
const WORDS: [&str; 8] = [
    "version", "release", "ver", "v", "changes", "in", "for", "released",
];

/// Whether all of a changelog is read that has these sections.
pub fn is_whole(markdown: &str, sections: &[Release]) -> bool {
    markdown.len() <= MOST && sections.len() < MOST_SECTIONS
}

/// The sections of a changelog that are about a version, in the order of the file. `page` is where people read it.
pub fn releases(markdown: &str, page: &str) -> Vec<Release> {
    let mut sections: Vec<Release> = Vec::new();
    let mut level = None;
    let mut fenced = false;
    let lines: Vec<&str> = head(markdown, MOST).lines().collect();
    for (at, line) in lines.iter().enumerate() {
        fenced ^= line.trim_start().starts_with("```");
        let below = lines.get(at + 1).map_or("", |below| below.trim());
        let found = if fenced {
            None
        } else {
            titled(line.trim_end(), below)
        };
        let version = found.and_then(|(title, depth)| Some((title, version(title)?, depth)));
        match (found, version) {
            (_, Some((title, version, depth))) if sections.len() < MOST_SECTIONS => {
                level = Some(depth);
                sections.push(Release {
                    prerelease: named(version).is_some_and(|(_, version)| version.is_prerelease()),
                    tag: version.to_owned(),
                    title: title.to_owned(),
                    url: Some(page.to_owned()),
                    ..Release::default()
                });
            }
            // What comes behind a heading as high as that of the section is none of its text.
            (Some((_, depth)), _) if level.is_some_and(|level| depth <= level) => level = None,
            _ => {
                if let (Some(section), Some(_)) = (sections.last_mut(), level) {
                    section.body.push_str(line);
                    section.body.push('\n');
                }
            }
        }
    }
    sections
}

/// A heading and its depth: with marks before it, or underlined.
fn titled<'a>(line: &'a str, below: &str) -> Option<(&'a str, usize)> {
    if let Some(title) = heading(line) {
        return Some((title, line.bytes().take_while(|byte| *byte == b'#').count()));
    }
    let is_underlined = |mark: char| below.len() >= 3 && below.chars().all(|character| character == mark);
    let is_text = !line.trim().is_empty() && !line.starts_with([' ', '-', '*', '|', '\t']);
    match (is_text && is_underlined('='), is_text && is_underlined('-')) {
        (true, _) => Some((line, 1)),
        (_, true) => Some((line, 2)),
        _ => None,
    }
}

/// The version that a heading is about: its first word, or one behind words such as `Version`, or behind one name.
fn version(title: &str) -> Option<&str> {
    let is_edge = |character: char| {
        matches!(
            character,
            '[' | ']' | '(' | ')' | ':' | ',' | '*' | '`' | '"' | '<' | '>'
        )
    };
    let mut names = 0;
    for word in title.split_whitespace().take(5) {
        // `[1.5.0](https://…)` is one word.
        let word = word.split("](").next().unwrap_or_default();
        let word = word.trim_matches(is_edge);
        let has_point = word
            .split('.')
            .filter(|part| part.ends_with(|last: char| last.is_ascii_digit()))
            .count()
            >= 2;
        let is_marked = word
            .strip_prefix(['v', 'V'])
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
        if (has_point || is_marked) && named(word).is_some() {
            return Some(word);
        }
        let lower = word.to_lowercase();
        if !WORDS.contains(&lower.as_str()) {
            names += 1;
        }
        // `## Upgrading to 2.0` is about 2.0 and not its notes.
        if names > 1
            || !word
                .chars()
                .all(|character| character.is_alphanumeric() || "-_.@/".contains(character))
            || lower.ends_with("ing")
        {
            return None;
        }
    }
    None
}

/// The text of a heading; closing marks are none of it.
fn heading(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches('#');
    let level = text.len() - rest.len();
    let is_heading = (1..=6).contains(&level) && rest.starts_with([' ', '\t']);
    is_heading.then(|| rest.trim().trim_end_matches('#').trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(markdown: &str) -> Vec<(String, String)> {
        let releases = releases(markdown, "https://github.com/o/r/blob/HEAD/CHANGELOG.md").into_iter();
        releases
            .map(|release| (release.tag, release.body.trim().to_owned()))
            .collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected
            .iter()
            .map(|(tag, body)| ((*tag).to_owned(), (*body).to_owned()))
            .collect()
    }

    #[test]
    fn the_common_forms_are_read() {
        let keep = "# Changelog\nAll notable changes.\n\n## [Unreleased]\n- soon\n\n## [1.5.0] - 2026-11-01\n### Added\n- a\n\n## [1.4.0] - 2026-01-01\n- b\n\n[1.5.0]: https://x\n";
        assert_eq!(
            found(keep),
            pairs(&[
                ("1.5.0", "### Added\n- a"),
                ("1.4.0", "- b\n\n[1.5.0]: https://x")
            ])
        );
        for (heading, tag) in [
            ("## 1.5.0", "1.5.0"),
            ("# v1.5.0 (2026-11-01)", "v1.5.0"),
            (
                "## [v1.5.0](https://github.com/o/r/tree/v1.5.0) (2026-11-01)",
                "v1.5.0",
            ),
            ("### Version 1.5.0", "1.5.0"),
            ("## Redis 1.5.0 Released", "1.5.0"),
            ("## web@1.5.0", "web@1.5.0"),
            ("## **1.5.0**", "1.5.0"),
            ("## 1.5.0-rc.1 / 2026-11-01", "1.5.0-rc.1"),
            ("## v15", "v15"),
            ("1.5.0 (November 2026)\n---------------------", "1.5.0"),
            ("Changes in 1.5.0\n================", "1.5.0"),
        ] {
            let markdown = format!("{heading}\n- a\n\n## 1.4.0\n- b\n");
            let sections = found(&markdown);
            assert_eq!(sections[0].0, tag, "{heading}");
            assert!(sections[0].1.ends_with("- a"), "{heading}: {sections:?}");
        }
    }

    #[test]
    fn what_is_no_version_is_no_section() {
        let markdown = "## 1.5.0\n- a\n### Upgrading to 2.0\n- b\n```\n## 0.1.0\n```\n### Fixes\n- c\n## Older\n- d\n## 1.4.0\n- e\n";
        let body = "- a\n### Upgrading to 2.0\n- b\n```\n## 0.1.0\n```\n### Fixes\n- c";
        assert_eq!(found(markdown), pairs(&[("1.5.0", body), ("1.4.0", "- e")]));
        assert_eq!(
            found("## Unreleased\n- a\n## Features and fixes\n## 3 things\n"),
            []
        );
    }

    #[test]
    fn a_huge_file_is_read_up_to_its_bound() {
        let markdown = "## 1.2.3\n- x\n".repeat(500_000);
        let sections = releases(&markdown, "");
        assert!(sections.len() <= MOST_SECTIONS && !is_whole(&markdown, &sections));
        assert!(!is_whole(&"x".repeat(MOST + 1), &[]) && is_whole("## 1.2.3\n- x\n", &[]));
        assert!(sections.iter().map(|section| section.body.len()).sum::<usize>() <= MOST + 1);
        assert_eq!(releases(&"x".repeat(5 << 20), ""), []);
    }
}
