//! Taking a tag apart: where its version starts, and what follows the numbers.

use super::family::{Family, HASH_DIGITS, Layout};
use super::numbers::{self, Numbers, leading_digits, starts_with_hash};
use super::{Stage, TagVersion, build, distribution, prerelease};

/// A piece of what follows the numbers, with the character before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'t> {
    /// `-`, `_` or `.`; `None` where the word is glued to the numbers.
    pub(super) separator: Option<char>,
    pub(super) text: &'t str,
}

impl Word<'_> {
    /// The word as a number, if it is nothing else.
    pub(super) fn number(&self) -> Option<u64> {
        if leading_digits(self.text) == self.text {
            self.text.parse().ok()
        } else {
            None
        }
    }
}

/// Words after which a long number is a commit, even one without letters.
const COMMIT_WORDS: [&str; 4] = ["sha", "git", "commit", "rev"];
/// Words that may be joined to the version by `_` or `.`: `release_1.2`. After any other word such a number belongs to
/// the word, as in `scala_2.12`, unless it is a date: `latest.20250101`.
const VERSION_WORDS: [&str; 5] = ["version", "ver", "release", "rel", "build"];
/// Runtimes that a lone number after a `-` belongs to (rule 6): `temurin-17`, `otp-26`.
const RUNTIMES: [&str; 8] = [
    "jdk", "jre", "java", "openjdk", "temurin", "corretto", "semeru", "otp",
];
/// What signatures and attestations are published under, beside the image they belong to.
const ARTIFACTS: [&str; 3] = ["sha256-", "sha384-", "sha512-"];

/// The first half of reading a tag: where its version stands. Enough to tell most families apart.
#[derive(Debug)]
pub(super) struct Outline<'t> {
    pub(super) prefix: &'t str,
    pub(super) numbers: Numbers,
    /// What follows the numbers: prerelease markers, build counters and the variant, not yet told apart.
    rest: &'t str,
}

impl<'t> Outline<'t> {
    /// Finds the version in a tag; `None` if it carries none (rule 6).
    pub(super) fn of(tag: &'t str) -> Option<Self> {
        let (start, numbers) = match find_plain_version(tag) {
            Some(plain) => plain,
            None if ARTIFACTS.iter().any(|artifact| tag.starts_with(artifact)) => return None,
            None => find_version(tag)?,
        };
        let rest = &tag[start + numbers.length..];
        Some(Self {
            prefix: &tag[..start],
            numbers,
            rest,
        })
    }

    /// The second half: markers and counters are taken out of what follows the numbers, and the rest is the suffix.
    pub(super) fn read(self) -> TagVersion {
        let mut stages = Vec::new();
        let mut builds = Vec::new();
        let mut suffix = String::new();
        if !self.rest.is_empty() {
            let variant = take_stages(&split(self.rest), &mut stages);
            suffix.reserve(self.rest.len());
            for (word, counter) in variant
                .iter()
                .zip(build::find(&variant, self.numbers.shape.is_dotted()))
            {
                suffix.extend(word.separator);
                if let Some(counter) = counter {
                    suffix.push_str(&word.text[..counter.letters]);
                    suffix.push_str(if counter.is_date { "<date>" } else { "*" });
                    builds.push(counter.value);
                } else {
                    suffix.push_str(word.text);
                }
            }
        }
        let family = Family {
            prefix: self.prefix.to_owned(),
            shape: self.numbers.shape,
            suffix,
        };
        TagVersion {
            family,
            numbers: self.numbers.values,
            stages,
            builds,
        }
    }
}

/// Moves the prerelease markers among `words` to `stages`, and returns the other words.
fn take_stages<'t>(words: &[Word<'t>], stages: &mut Vec<Stage>) -> Vec<Word<'t>> {
    let mut variant = Vec::with_capacity(words.len());
    let mut rest = words;
    while let Some((word, following)) = rest.split_first() {
        if let Some((stage, taken)) = prerelease::read(rest) {
            stages.push(stage);
            rest = &rest[taken..];
        } else {
            variant.push(*word);
            rest = following;
        }
    }
    variant
}

/// The same as [`find_version`], for the tags that most are: `1.4.0`, `v1.4.0`. None of the other rules applies to them.
pub(super) fn find_plain_version(tag: &str) -> Option<(usize, Numbers)> {
    let start = usize::from(tag.starts_with(['v', 'V']));
    Some((start, numbers::read_plain(&tag[start..])?))
}

/// Where the version starts, and its numbers.
///
/// It is the first number that stands for itself. Where that is a lone one, and a `v` marks a dotted one further on,
/// the publisher has said which is the version: `18-jammy-full.s6-v0.88.0`.
pub(super) fn find_version(tag: &str) -> Option<(usize, Numbers)> {
    let mut starts = (0..tag.len()).filter(|&index| is_version_start(tag, index));
    let mut follows_variant = false;
    let is_marked = |start: usize| tag[..start].ends_with(['v', 'V']);
    let first = starts.find_map(|start| match read_version(tag, start) {
        // Once a variant was named, a lone number is as likely a part of it: `jdk-21-and-23`.
        Reading::Version(numbers)
            if follows_variant && numbers.shape.is_lone_count() && !is_marked(start) =>
        {
            None
        }
        Reading::Version(numbers) => Some(Some((start, numbers))),
        Reading::Variant => {
            follows_variant = true;
            None
        }
        Reading::Hash => Some(None),
        Reading::Nothing => None,
    });
    let (start, numbers) = first??;
    if numbers.shape.components == 1 && !is_marked(start) {
        let marked =
            starts
                .filter(|&index| is_marked(index))
                .find_map(|index| match read_version(tag, index) {
                    Reading::Version(numbers) if numbers.shape.components > 1 => Some((index, numbers)),
                    Reading::Version(_) | Reading::Variant | Reading::Hash | Reading::Nothing => None,
                });
        if marked.is_some() {
            return marked;
        }
    }
    Some((start, numbers))
}

/// What stands at a place where a version may start.
enum Reading {
    Version(Numbers),
    /// The number of what the variant is built on.
    Variant,
    /// A commit hash: the whole tag names a commit.
    Hash,
    Nothing,
}

fn read_version(tag: &str, start: usize) -> Reading {
    let text = &tag[start..];
    if starts_with_hash(text) {
        return Reading::Hash;
    }
    let Some(numbers) = numbers::read(text) else {
        return Reading::Nothing;
    };
    let after = &text[numbers.length..];
    // `64bit`, `2fa`, `3x`: a lone number glued to letters is a name.
    let is_name = numbers.shape.components == 1
        && numbers.shape.layout == Layout::Dotted
        && after.starts_with(|c: char| c.is_ascii_alphabetic())
        && !prerelease::starts_glued(after);
    let could_be_hash = numbers.shape.components == 1 && numbers.length >= HASH_DIGITS;
    let names_commit = |word: &str| starts_with_hash(word) || could_be_hash && COMMIT_WORDS.contains(&word);
    if is_name {
        Reading::Nothing
    } else if tag[..start].split(['-', '_', '.']).any(names_commit) {
        Reading::Hash
    } else if belongs_to_variant(&tag[..start], &numbers, &text[..numbers.length]) {
        Reading::Variant
    } else {
        Reading::Version(numbers)
    }
}

/// Whether the number after `before` says which release of a runtime or distribution the variant is built on (rule 6).
fn belongs_to_variant(before: &str, numbers: &Numbers, written: &str) -> bool {
    let Some(words) = before.strip_suffix('-') else {
        return false;
    };
    let word = words.rsplit(['-', '_', '.']).next().unwrap_or(words);
    let is_lone = numbers.shape.is_lone_count();
    is_lone && RUNTIMES.contains(&word) || distribution::is_release(word, written, is_lone)
}

/// Whether a number at `index` stands for itself, rather than belonging to the word before it as in `php8.2` (rule 6).
fn is_version_start(tag: &str, index: usize) -> bool {
    if !tag.as_bytes()[index].is_ascii_digit() {
        return false;
    }
    let before = tag[..index]
        .strip_suffix(['v', 'V'])
        .filter(|before| !before.ends_with(|c: char| c.is_ascii_alphanumeric()));
    let before = before.unwrap_or(&tag[..index]);
    match before.bytes().last() {
        None | Some(b'-') => true,
        Some(b'_' | b'.') if before.len() < index => true,
        Some(b'_' | b'.') => {
            let words = &before[..before.len() - 1];
            let word = words.rsplit(['-', '_', '.']).next().unwrap_or(words);
            VERSION_WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
                || numbers::starts_with_full_date(&tag[index..])
        }
        Some(_) => false,
    }
}

/// Splits what follows the numbers into words.
pub(super) fn split(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut separator = None;
    let mut rest = text;
    while !rest.is_empty() || separator.is_some() {
        let end = rest.find(['-', '_', '.']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if separator.is_some() || !word.is_empty() {
            words.push(Word {
                separator,
                text: word,
            });
        }
        let mut characters = after.chars();
        separator = characters.next();
        rest = characters.as_str();
    }
    words
}
