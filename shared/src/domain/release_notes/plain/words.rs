//! Words without marks: what could do anything anywhere is defused, addresses become links or nothing.

use crate::domain::text::is_plain;

/// What stands where an address was that is not shown.
const LINK: &str = "(link)";
/// How long the address of a link may be, in bytes.
const LONGEST_LINK: usize = 400;
/// How many accents a letter may carry.
const MOST_ACCENTS: usize = 3;

/// The text of a line, and the first address in it that begins with `own`. Both may be nothing.
pub(super) fn plain(line: &str, own: &str) -> (String, Option<String>) {
    let characters: Vec<char> = line.chars().collect();
    let mut scanner = Scanner {
        characters: &characters,
        own,
        plain: String::with_capacity(line.len()),
        accents: 0,
        link: None,
    };
    let mut at = 0;
    while at < characters.len() {
        at = scanner.step(at).max(at + 1);
    }
    (scanner.plain.trim().to_owned(), scanner.link)
}

/// A plain text in pieces of at most so many bytes, between words where there are any; none of nothing.
pub(super) fn pieces(text: &str, most: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let mut end = rest.floor_char_boundary(most);
        if end < rest.len() {
            end = rest[..end].rfind(' ').filter(|space| *space > 0).unwrap_or(end);
        }
        pieces.push(rest[..end].trim_end());
        rest = rest[end..].trim_start();
    }
    pieces
}

/// Whether an address leads to where those do that begin with `own`.
pub(super) fn is_own(address: &str, own: &str) -> bool {
    !own.is_empty() && address.starts_with(own) && is_link(address)
}

struct Scanner<'a> {
    characters: &'a [char],
    own: &'a str,
    plain: String,
    /// On the last letter.
    accents: usize,
    link: Option<String>,
}

impl Scanner<'_> {
    /// Reads what is at a place, and answers where the next thing is.
    fn step(&mut self, at: usize) -> usize {
        if let Some(end) = self.address(at) {
            return end;
        }
        match self.characters[at] {
            ':' => return self.short_code(at),
            character => self.emit(character),
        }
        at + 1
    }

    fn emit(&mut self, character: char) {
        let character = match character {
            _ if character.is_whitespace() => ' ',
            '<' => '‹',
            '>' => '›',
            '@' => '＠',
            _ if !is_plain(character) => return,
            _ => character,
        };
        if is_accent(character) {
            self.accents += 1;
            if self.accents > MOST_ACCENTS {
                return;
            }
        } else {
            self.accents = 0;
        }
        if character == ' ' && (self.plain.is_empty() || self.plain.ends_with(' ')) {
            return;
        }
        // The two together would be a link to whoever reads Markdown.
        if character == '(' && self.plain.ends_with(']') {
            self.plain.push(' ');
        }
        // Nor may what was taken out in between make an address of what is left.
        let makes_address = match character {
            '/' => self.plain.ends_with(":/"),
            '.' => self.plain.to_ascii_lowercase().ends_with("www"),
            _ => false,
        };
        if makes_address {
            return;
        }
        self.plain.push(character);
    }

    /// `https://…` or `www.…` in the text: a link or nothing, and in its place a word.
    fn address(&mut self, at: usize) -> Option<usize> {
        let begins = |text: &str| {
            let rest = self.characters.get(at..).unwrap_or_default();
            text.chars()
                .zip(rest)
                .filter(|(a, b)| a.eq_ignore_ascii_case(b))
                .count()
                == text.len()
        };
        let is_url = begins("://");
        let is_bare = begins("www.") && !self.plain.ends_with(char::is_alphanumeric);
        if !is_url && !is_bare {
            return None;
        }
        let is_end = |character: &char| {
            character.is_whitespace()
                || matches!(character, '<' | '>' | '"' | '\'' | '`' | ')' | ']' | '|' | '*')
        };
        let rest = &self.characters[at..];
        let mut end = at + rest.iter().position(is_end).unwrap_or(rest.len());
        while end > at + 4 && matches!(self.characters[end - 1], '.' | ',' | ';' | ':' | '!' | '?') {
            end -= 1;
        }
        let mut scheme = String::new();
        if is_url {
            let is_scheme = |character: char| character.is_ascii_alphanumeric() || "+-.".contains(character);
            let start = self.plain.trim_end_matches(is_scheme).len();
            scheme = self.plain.split_off(start);
        }
        let address: String = scheme
            .chars()
            .chain(self.characters[at..end].iter().copied())
            .collect();
        if self.link.is_none() && is_own(&address, self.own) {
            self.link = Some(address.clone());
        }
        let word = self.short(&address);
        for character in word.chars() {
            self.emit(character);
        }
        Some(end)
    }

    /// `#12` for an issue of the repository itself, `v1.4.0...v1.5.0` for what lies between.
    fn short(&self, address: &str) -> String {
        let own = address.strip_prefix(self.own);
        let Some(path) = own.filter(|_| is_own(address, self.own)) else {
            return LINK.to_owned();
        };
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let is_number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
        match last {
            "" => LINK.to_owned(),
            _ if is_number => format!("#{last}"),
            _ if last.len() > 60 || last.contains([':', '%', '&', '?']) => LINK.to_owned(),
            _ => last.to_owned(),
        }
    }

    /// `:bug:` at the beginning of a word is a picture.
    fn short_code(&mut self, at: usize) -> usize {
        let is_name = |character: &&char| {
            character.is_ascii_lowercase() || character.is_ascii_digit() || "_+-".contains(**character)
        };
        let length = self.characters[at + 1..]
            .iter()
            .take(32)
            .take_while(is_name)
            .count();
        let has_letter = self.characters[at + 1..at + 1 + length]
            .iter()
            .any(char::is_ascii_lowercase);
        let is_first = self.plain.is_empty() || self.plain.ends_with(' ');
        if is_first && has_letter && self.characters.get(at + 1 + length) == Some(&':') {
            return at + length + 2;
        }
        self.emit(':');
        at + 1
    }
}

/// Whether an address is one that can be shown as a link as it stands.
fn is_link(address: &str) -> bool {
    let is_plain_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#+=&%,;@!$".contains(&byte);
    let scheme = address.starts_with("https://") || address.starts_with("http://");
    let climbs = address
        .split(['/', '?', '#'])
        .any(|part| part == ".." || part.to_ascii_lowercase().contains("%2e"));
    scheme && !climbs && address.len() <= LONGEST_LINK && address.bytes().all(is_plain_byte)
}

fn is_accent(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}
