//! A policy as one line of text, as records store it: `minor`, `major prerelease`,
//! `"range:>=8.4 <10" tag-pattern="^v" exclude="*-debug"`.

use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

use super::options::{PolicyOption, PolicyOptions};
use super::rules::UpdatePolicy;

/// The words that are switches.
const PRERELEASE: &str = "prerelease";
const FOLLOW_VARIANTS: &str = "follow-variants";
const ANY_SUFFIX: &str = "any-suffix";

impl fmt::Display for UpdatePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.options();
        let policy = options.policy.as_deref().unwrap_or_default();
        if policy.is_empty() || policy.contains(|c: char| c.is_whitespace() || c == '"' || c == '\\') {
            quoted(f, policy)?;
        } else {
            f.write_str(policy)?;
        }
        let others = options
            .values()
            .filter(|(option, _)| *option != PolicyOption::Policy);
        for (option, value) in others {
            write!(f, " {option}=")?;
            quoted(f, value)?;
        }
        let switches = [
            (options.prerelease, PRERELEASE),
            (options.follow_variants, FOLLOW_VARIANTS),
            (options.any_suffix, ANY_SUFFIX),
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
