//! A policy as one line of text, as records store it: `minor`, `major prerelease`,
//! `"range:>=8.4 <10" tag-pattern="^v" exclude="*-debug"`.

use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

use super::options::PolicyOptions;
use super::rules::UpdatePolicy;

/// The words that are switches.
const PRERELEASE: &str = "prerelease";
const FOLLOW_VARIANTS: &str = "follow-variants";
const ANY_SUFFIX: &str = "any-suffix";

impl fmt::Display for UpdatePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PolicyOptions {
            policy,
            tag_pattern,
            tag_extract,
            tag_order,
            prerelease,
            include,
            exclude,
            follow_variants,
            any_suffix,
        } = self.options();
        let policy = policy.as_deref().unwrap_or_default();
        if policy.is_empty() || policy.contains(|c: char| c.is_whitespace() || c == '"' || c == '\\') {
            quoted(f, policy)?;
        } else {
            f.write_str(policy)?;
        }
        let values = [
            ("tag-pattern", tag_pattern),
            ("tag-extract", tag_extract),
            ("tag-order", tag_order),
        ];
        let single = values
            .iter()
            .filter_map(|(key, value)| Some((*key, value.as_ref()?)));
        let lists = [("include", include), ("exclude", exclude)];
        let listed = lists
            .iter()
            .flat_map(|(key, list)| list.iter().map(|value| (*key, value)));
        for (key, value) in single.chain(listed) {
            write!(f, " {key}=")?;
            quoted(f, value)?;
        }
        let switches = [
            (*prerelease, PRERELEASE),
            (*follow_variants, FOLLOW_VARIANTS),
            (*any_suffix, ANY_SUFFIX),
        ];
        for (_, word) in switches.iter().filter(|(on, _)| *on) {
            write!(f, " {word}")?;
        }
        Ok(())
    }
}

/// As a JSON string, which fits in a line whatever it holds.
fn quoted(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    f.write_str(&serde_json::to_string(value).map_err(|_| fmt::Error)?)
}

/// Reads words back into options; `None` for a word that is none of ours.
pub(crate) fn read_option(options: &mut PolicyOptions, word: &str) -> Option<()> {
    let (key, value) = match word.split_once('=') {
        Some((key, value)) => (key, Some(unquoted(value)?)),
        None => (word, None),
    };
    match (key, value) {
        ("tag-pattern", Some(value)) => options.tag_pattern = Some(value),
        ("tag-extract", Some(value)) => options.tag_extract = Some(value),
        ("tag-order", Some(value)) => options.tag_order = Some(value),
        ("include", Some(value)) => options.include.push(value),
        ("exclude", Some(value)) => options.exclude.push(value),
        (PRERELEASE, None) => options.prerelease = true,
        (FOLLOW_VARIANTS, None) => options.follow_variants = true,
        (ANY_SUFFIX, None) => options.any_suffix = true,
        _ => return None,
    }
    Some(())
}

/// A word without the quotes it may have.
pub(crate) fn unquoted(word: &str) -> Option<String> {
    if word.starts_with('"') {
        serde_json::from_str(word).ok()
    } else {
        Some(word.to_owned())
    }
}

/// The words of a line: separated by single spaces, which do not count inside quotes.
pub(crate) fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut characters = line.char_indices().peekable();
    std::iter::from_fn(move || next_word(line, &mut characters))
}

fn next_word<'l>(line: &'l str, characters: &mut Peekable<CharIndices<'_>>) -> Option<&'l str> {
    let start = characters.peek()?.0;
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (index, character) in characters {
        match character {
            ' ' if !is_quoted => return Some(&line[start..index]),
            '"' if !is_escaped => is_quoted = !is_quoted,
            _ => {}
        }
        is_escaped = is_quoted && character == '\\' && !is_escaped;
    }
    Some(&line[start..])
}
