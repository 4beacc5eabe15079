//! Patterns: regular expressions that select tags and cut out what is compared (rule 12), and globs.
//!
//! Whoever may annotate a workload writes them, and they are run on every published tag. So the engine is one that takes
//! time linear in the tag, and the size of what a pattern compiles to is bounded.

use std::borrow::Cow;

use globset::GlobBuilder;
use regex::bytes::{Captures, Regex, RegexBuilder};

use super::options::{MAX_VALUE_LENGTH, PolicyError, PolicyOption};
use crate::domain::tag::TagVersion;

/// The most memory one compiled pattern may take, in bytes. The time it takes to read a tag grows with it; honest patterns
/// need a few thousand.
const MAX_COMPILED_SIZE: usize = 32 << 10;

/// The most memory that one pattern may keep in order to be faster, in bytes; there are two such caches in each.
const MAX_CACHE_SIZE: usize = 256 << 10;

/// How deep groups may be nested.
const MAX_NESTING: u32 = 50;

/// How many groups a template may name; what it builds is kept for every tag that matches.
const MAX_REFERENCES: usize = 8;

/// The groups that are compared where a pattern has one and no template is given: as KubeVela's users and Keel's name it.
const DEFAULT_GROUPS: [&str; 2] = ["ts", "compare"];

/// A regular expression over whole tags, with what is compared of those that match.
#[derive(Debug)]
pub(super) struct TagPattern {
    regex: Regex,
    compared: Compared,
}

/// What is compared of a tag.
#[derive(Debug)]
enum Compared {
    WholeTag,
    Template(Template),
    /// Groups with the names of a version's parts.
    Version(VersionGroups),
}

/// What a pattern cuts out of a tag.
#[derive(Debug, PartialEq)]
pub(super) enum Extract<'t> {
    Text(Cow<'t, str>),
    Version(TagVersion),
}

/// Why a pattern cuts nothing out of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoExtract {
    /// It does not match.
    NoMatch,
    /// The groups that name the parts of a version hold none.
    NoVersion,
}

impl TagPattern {
    /// Compiles `pattern`, which was given as `option`, and the template that builds the compared text from its groups.
    pub(super) fn new(
        option: PolicyOption,
        pattern: &str,
        template: Option<&str>,
    ) -> Result<Self, PolicyError> {
        let regex = compile(pattern).map_err(|reason| PolicyError::new(option, pattern, reason))?;
        let compared = match template {
            Some(template) => Compared::Template(
                Template::parse(template, &regex)
                    .map_err(|reason| PolicyError::new(PolicyOption::TagExtract, template, reason))?,
            ),
            None => match VersionGroups::of(&regex) {
                Some(groups) => Compared::Version(groups),
                None => match DEFAULT_GROUPS.iter().find_map(|name| group_index(&regex, name)) {
                    Some(group) => Compared::Template(Template(vec![Part::Group(group)])),
                    None => Compared::WholeTag,
                },
            },
        };
        Ok(Self { regex, compared })
    }

    /// Whether the parts of a version are named in the pattern, so that its tags can only be compared as versions.
    pub(super) fn names_version_parts(&self) -> bool {
        matches!(self.compared, Compared::Version(_))
    }

    /// Whether a tag that does not match has nothing to be compared by.
    pub(super) fn cuts_out(&self) -> bool {
        !matches!(self.compared, Compared::WholeTag)
    }

    /// What is compared of a tag.
    pub(super) fn extract<'t>(&self, tag: &'t str) -> Result<Extract<'t>, NoExtract> {
        let captures = || self.regex.captures(tag.as_bytes()).ok_or(NoExtract::NoMatch);
        match &self.compared {
            Compared::WholeTag if self.regex.is_match(tag.as_bytes()) => {
                Ok(Extract::Text(Cow::Borrowed(tag)))
            }
            Compared::WholeTag => Err(NoExtract::NoMatch),
            Compared::Template(template) => Ok(Extract::Text(template.expand(&captures()?))),
            Compared::Version(groups) => {
                let version = groups.read(&captures()?);
                version.map(Extract::Version).ok_or(NoExtract::NoVersion)
            }
        }
    }
}

/// Globs over whole tags, one of which must match. They are one pattern, so that many take hardly longer than one.
#[derive(Debug)]
pub(super) struct TagGlobs(Regex);

impl TagGlobs {
    /// Compiles globs that were given as `option`; `None` if there are none.
    pub(super) fn new(
        option: PolicyOption,
        written: &[impl AsRef<str>],
    ) -> Result<Option<Self>, PolicyError> {
        let mut alternatives = Vec::new();
        let mut all = Vec::new();
        for glob in written {
            let glob = glob.as_ref();
            let regex = translate(glob).map_err(|reason| PolicyError::new(option, glob, reason))?;
            alternatives.push(format!("(?:{regex})"));
            all.push(glob);
        }
        if alternatives.is_empty() {
            return Ok(None);
        }
        let regex = compile_any(&alternatives.join("|"));
        let globs = regex.map_err(|reason| PolicyError::new(option, all.join(","), reason))?;
        Ok(Some(Self(globs)))
    }

    pub(super) fn matches(&self, tag: &str) -> bool {
        self.0.is_match(tag.as_bytes())
    }
}

/// A glob as a regular expression.
fn translate(written: &str) -> Result<String, String> {
    check_length(written)?;
    check_glob(written)?;
    let glob = GlobBuilder::new(written)
        .literal_separator(false)
        .backslash_escape(true)
        .build()
        .map_err(|error| format!("{}; known are *, ?, [a-z] and {{one,other}}", error.kind()))?;
    Ok(glob.regex().to_owned())
}

/// A glob that holds a character which no tag has matches nothing, and its author believes otherwise.
fn check_glob(written: &str) -> Result<(), String> {
    let mut depth = 0_usize;
    for character in written.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                return Err("a comma stands between the alternatives in {one,other} only; globs are separated by spaces".to_owned());
            }
            ',' | '*' | '?' | '[' | ']' | '!' | '^' | '\\' | '_' | '.' | '-' => {}
            _ if character.is_ascii_alphanumeric() => {}
            _ => return Err(format!("{character:?} cannot be part of a tag")),
        }
    }
    Ok(())
}

fn check_length(written: &str) -> Result<(), String> {
    if written.is_empty() {
        return Err("it is empty".to_owned());
    }
    if written.len() > MAX_VALUE_LENGTH {
        return Err(format!(
            "it has {} bytes, and may have {MAX_VALUE_LENGTH}",
            written.len()
        ));
    }
    Ok(())
}

fn compile(written: &str) -> Result<Regex, String> {
    check_length(written)?;
    compile_any(written)
}

fn compile_any(written: &str) -> Result<Regex, String> {
    RegexBuilder::new(written)
        // Tags are ASCII, and so are the classes of RE2.
        .unicode(false)
        .size_limit(MAX_COMPILED_SIZE)
        .dfa_size_limit(MAX_CACHE_SIZE)
        .nest_limit(MAX_NESTING)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                "it repeats so much that it would take too much memory; use smaller repetitions".to_owned()
            }
            // The parser draws an arrow under the pattern; the last line says what it means.
            error @ (regex::Error::Syntax(_) | _) => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.trim_start_matches("error: ").to_owned()
            }
        })
}

fn group_index(regex: &Regex, name: &str) -> Option<usize> {
    regex.capture_names().position(|found| found == Some(name))
}

/// Text with references to groups: `$1`, `$name`, `${name}`; `$$` is a dollar sign.
#[derive(Debug, PartialEq)]
struct Template(Vec<Part>);

#[derive(Debug, PartialEq)]
enum Part {
    Literal(String),
    Group(usize),
}

impl Template {
    fn parse(written: &str, regex: &Regex) -> Result<Self, String> {
        check_length(written)?;
        let mut parts = Vec::new();
        let mut rest = written;
        while let Some((literal, after)) = rest.split_once('$') {
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            if let Some(after) = after.strip_prefix('$') {
                parts.push(Part::Literal("$".to_owned()));
                rest = after;
                continue;
            }
            let (name, after) = reference(after)?;
            parts.push(Part::Group(find_group(regex, name)?));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        match parts.iter().filter(|part| matches!(part, Part::Group(_))).count() {
            0 => Err(
                "it names no group of the pattern, so that all tags would be equal; write $1 or ${name}"
                    .to_owned(),
            ),
            1..=MAX_REFERENCES => Ok(Self(parts)),
            _ => Err(format!("it may name {MAX_REFERENCES} groups at most")),
        }
    }

    fn expand<'t>(&self, captures: &Captures<'t>) -> Cow<'t, str> {
        let group = |index: usize| text(captures, index).unwrap_or_default();
        if let [Part::Group(only)] = self.0.as_slice() {
            return Cow::Borrowed(group(*only));
        }
        let mut expanded = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => expanded.push_str(literal),
                Part::Group(index) => expanded.push_str(group(*index)),
            }
        }
        Cow::Owned(expanded)
    }
}

/// The name after a dollar sign, and what follows it. Without braces it is as long as it can be.
fn reference(text: &str) -> Result<(&str, &str), String> {
    let (name, rest) = if let Some(braced) = text.strip_prefix('{') {
        braced.split_once('}').ok_or("a } is missing")?
    } else {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        text.split_at(text.find(|c| !is_name(c)).unwrap_or(text.len()))
    };
    if name.is_empty() {
        return Err("after $ comes the number or name of a group; a dollar sign itself is $$".to_owned());
    }
    Ok((name, rest))
}

fn find_group(regex: &Regex, name: &str) -> Result<usize, String> {
    let found = match name.parse::<usize>() {
        Ok(index) => (index < regex.captures_len()).then_some(index),
        Err(_) => group_index(regex, name),
    };
    found.ok_or_else(|| {
        format!(
            "the pattern has no group {name:?}; it has {} groups{}",
            regex.captures_len() - 1,
            if name.parse::<usize>().is_err() && name.starts_with(|c: char| c.is_ascii_digit()) {
                "; write ${1} where a letter, a digit or _ follows"
            } else {
                ""
            }
        )
    })
}

/// The groups of a pattern that name the parts of a version, as Renovate's users write them.
#[derive(Debug)]
struct VersionGroups {
    /// `major`, `minor`, `patch`, `build`, `revision`, as far as the pattern has them.
    numbers: Vec<usize>,
    prerelease: Option<usize>,
    compatibility: Option<usize>,
}

const NUMBER_GROUPS: [&str; 5] = ["major", "minor", "patch", "build", "revision"];

impl VersionGroups {
    fn of(regex: &Regex) -> Option<Self> {
        group_index(regex, NUMBER_GROUPS[0])?;
        Some(Self {
            numbers: NUMBER_GROUPS
                .iter()
                .filter_map(|name| group_index(regex, name))
                .collect(),
            prerelease: group_index(regex, "prerelease"),
            compatibility: group_index(regex, "compatibility"),
        })
    }

    /// A group that took no part in the match counts as zero; `None` where one holds no number.
    fn read(&self, captures: &Captures<'_>) -> Option<TagVersion> {
        let numbers = self
            .numbers
            .iter()
            .map(|&group| match text(captures, group) {
                None | Some("") => Some(0),
                Some(digits) => digits.parse().ok(),
            })
            .collect::<Option<_>>()?;
        let optional =
            |group: Option<usize>| group.and_then(|group| text(captures, group)).unwrap_or_default();
        Some(TagVersion::from_parts(
            numbers,
            optional(self.prerelease),
            optional(self.compatibility),
        ))
    }
}

/// A group's text. Always valid: the tag is ASCII, wherever it is cut.
fn text<'t>(captures: &Captures<'t>, group: usize) -> Option<&'t str> {
    std::str::from_utf8(captures.get(group)?.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extracted(pattern: &str, template: Option<&str>, tag: &str) -> Option<String> {
        let pattern = TagPattern::new(PolicyOption::TagPattern, pattern, template).unwrap();
        match pattern.extract(tag).ok()? {
            Extract::Text(text) => Some(text.into_owned()),
            Extract::Version(version) => panic!("{version:?} is no text"),
        }
    }

    #[test]
    fn a_template_builds_the_key_from_the_groups() {
        let stamp = "^main-[a-f0-9]{7}-(?P<ts>[0-9]+)$";
        let cases = [
            (stamp, Some("$ts"), "main-abc1234-1627123456", Some("1627123456")),
            (
                stamp,
                Some("${ts}"),
                "main-abc1234-1627123456",
                Some("1627123456"),
            ),
            (stamp, None, "main-abc1234-1627123456", Some("1627123456")),
            (stamp, Some("$ts"), "dev-abc1234-1627123456", None),
            (r"v(\d+)-(\d+)", Some("$2.$1$$"), "xv7-12y", Some("12.7$")),
            (r"(a)?b", Some("[$1]"), "b", Some("[]")),
            (r"^\d+$", None, "12", Some("12")),
            (r"^(\d)(\d)$", Some("${1}0$2"), "12", Some("102")),
        ];
        for (pattern, template, tag, expected) in cases {
            assert_eq!(
                extracted(pattern, template, tag).as_deref(),
                expected,
                "{pattern} {template:?} {tag}"
            );
        }
    }

    #[test]
    fn a_template_that_cannot_be_meant_is_refused() {
        for template in [
            "", "$", "$2", "$name", "${1", "${}", "constant", "$$1", "$1x", "$ 1",
        ] {
            let error = TagPattern::new(PolicyOption::TagPattern, "^(a)$", Some(template)).unwrap_err();
            assert_eq!(error.option, PolicyOption::TagExtract, "{template:?}: {error}");
        }
    }

    #[test]
    fn a_pattern_that_is_broken_or_too_large_is_refused() {
        let long = "a".repeat(MAX_VALUE_LENGTH + 1);
        let deep = format!("{}{}", "(".repeat(100), ")".repeat(100));
        for pattern in [
            "",
            "(",
            "[a",
            "*",
            "(?P<a>x)(?P<a>y)",
            "a{1000}{1000}{10}",
            "(?:[ab]{0,50}a){90}",
            "(a?){1000}",
            r"(a)\1",
            "(?=a)",
            &long,
            &deep,
        ] {
            let error = TagPattern::new(PolicyOption::Policy, pattern, None).unwrap_err();
            assert_eq!(error.option, PolicyOption::Policy);
            assert!(!error.reason.contains('\n'), "{pattern}: {error}");
        }
    }

    #[test]
    fn a_glob_is_held_against_the_whole_tag() {
        let cases = [
            ("latest", "latest", true),
            ("latest", "latest-1", false),
            ("lat*", "latest", true),
            ("1.2?", "1.25", true),
            ("1.2?", "1.2", false),
            ("1.[0-4].*", "1.3.9", true),
            ("{alpha,beta}-*", "beta-3", true),
            ("*-alpine", "1.2-alpine3.19", false),
            ("a\\*", "a*", true),
        ];
        for (glob, tag, expected) in cases {
            let glob = TagGlobs::new(PolicyOption::Exclude, &[glob]).unwrap().unwrap();
            assert_eq!(glob.matches(tag), expected, "{glob:?} {tag}");
        }
        for broken in [
            "",
            "[",
            "{a",
            "a\\",
            "{a,{b,c}",
            "1.1.0,1.2.0",
            "nginx:1.*",
            "a b",
            "a/b",
            "1.*\n",
        ] {
            assert!(
                TagGlobs::new(PolicyOption::Exclude, &[broken]).is_err(),
                "{broken:?}"
            );
        }
    }

    #[test]
    fn groups_named_like_the_parts_of_a_version_are_read_as_one() {
        let pattern = r"^(?<major>\d+)\.(?<minor>\d+)(?:\.(?<patch>\d+))?(?<prerelease>[^.-]+)?(?:-(?<compatibility>.*))?$";
        let pattern = TagPattern::new(PolicyOption::TagPattern, pattern, None).unwrap();
        let read = |tag: &str| match pattern.extract(tag) {
            Ok(Extract::Version(version)) => Some(version),
            Ok(Extract::Text(_)) | Err(_) => None,
        };
        let (older, newer) = (read("1.2.3a1-foo").unwrap(), read("1.2.3-foo").unwrap());
        assert_eq!(older.compare(&newer), Some(std::cmp::Ordering::Less));
        assert!(older.is_prerelease() && !newer.is_prerelease());
        assert_eq!(read("1.2").unwrap().numbers(), [1, 2, 0]);
        assert_eq!(newer.compare(&read("1.2.3-bar").unwrap()), None);
        assert_eq!(read("99999999999999999999.1"), None);
    }
}
