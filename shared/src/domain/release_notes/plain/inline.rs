//! One line: marks of Markdown go, what could do anything anywhere is defused, addresses become links or nothing.

use super::LONGEST_LINE;
use crate::domain::text::{cut, is_plain};

/// What stands where an address was that is not shown.
const LINK: &str = "(link)";
/// How long the address of a link may be, in bytes.
const LONGEST_LINK: usize = 400;
/// How many accents a letter may carry.
const MOST_ACCENTS: usize = 3;

/// The text of a line, and the first link of it that begins with `own`. Both may be nothing.
pub fn inline(line: &str, own: &str) -> (String, Option<String>) {
    let characters: Vec<char> = line.chars().collect();
    let mut scanner = Scanner {
        closes: closing_brackets(&characters),
        characters: &characters,
        own,
        plain: String::with_capacity(line.len()),
        accents: 0,
        link: None,
        in_code: false,
        skips: vec![0; characters.len()],
    };
    let mut at = 0;
    while at < characters.len() {
        at = scanner.step(at).max(at + 1);
    }
    let text = cut(scanner.plain.trim(), LONGEST_LINE - "…".len());
    (text, scanner.link)
}

/// For each `[` the place of its `]`.
fn closing_brackets(characters: &[char]) -> Vec<Option<usize>> {
    let mut closes = vec![None; characters.len()];
    let mut open = Vec::new();
    for (at, character) in characters.iter().enumerate() {
        match character {
            '[' => open.push(at),
            ']' => {
                if let Some(begin) = open.pop() {
                    closes[begin] = Some(at);
                }
            }
            _ => {}
        }
    }
    closes
}

struct Scanner<'a> {
    characters: &'a [char],
    closes: Vec<Option<usize>>,
    own: &'a str,
    plain: String,
    /// On the last letter.
    accents: usize,
    link: Option<String>,
    in_code: bool,
    /// For each `]` of a link the place behind its address.
    skips: Vec<usize>,
}

impl Scanner<'_> {
    /// Reads what is at a place, and answers where the next thing is.
    fn step(&mut self, at: usize) -> usize {
        let character = self.characters[at];
        if let Some(end) = self.address(at) {
            return end;
        }
        match character {
            '`' => self.in_code = !self.in_code,
            '&' => return self.entity(at),
            _ if self.in_code => self.emit(character),
            '\\' if self.peek(at + 1).is_some_and(|next| next.is_ascii_punctuation()) => {
                self.emit(self.characters[at + 1]);
                return at + 2;
            }
            '!' if self.peek(at + 1) == Some('[') => return self.image(at),
            '[' => return self.bracket(at),
            ']' if self.skips[at] > at => return self.skips[at],
            '*' => {}
            '~' if self.peek(at + 1) == Some('~') => return at + 2,
            '_' if !self.is_inside_a_word(at) => {}
            ':' => return self.short_code(at),
            _ => self.emit(character),
        }
        at + 1
    }

    fn peek(&self, at: usize) -> Option<char> {
        self.characters.get(at).copied()
    }

    fn is_inside_a_word(&self, at: usize) -> bool {
        let is_word = |at: Option<usize>| {
            let character = at.and_then(|at| self.peek(at));
            character.is_some_and(|character| character.is_alphanumeric() || character == '_')
        };
        is_word(at.checked_sub(1)) && is_word(Some(at + 1))
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

    /// An image, with its address: nothing of it stays.
    fn image(&mut self, at: usize) -> usize {
        let Some(close) = self.closes[at + 1] else {
            return at + 1;
        };
        self.destination(close + 1).map_or(close + 1, |(_, end)| end)
    }

    /// The text of a link is read on, and its address skipped.
    fn bracket(&mut self, at: usize) -> usize {
        let destination = self.closes[at].and_then(|close| Some((close, self.destination(close + 1)?)));
        if let Some((close, (address, end))) = destination {
            self.skips[close] = end;
            self.offer(&address);
        } else {
            self.emit('[');
        }
        at + 1
    }

    /// `(ADDRESS "title")` or `[name]` at a place, and where it ends.
    fn destination(&self, at: usize) -> Option<(String, usize)> {
        let (open, close) = match self.peek(at)? {
            '(' => ('(', ')'),
            '[' => return self.closes[at].map(|close| (String::new(), close + 1)),
            _ => return None,
        };
        let mut depth = 0_usize;
        for (index, character) in self.characters.iter().enumerate().skip(at).take(LONGEST_LINK * 2) {
            if *character == open {
                depth += 1;
            } else if *character == close {
                depth -= 1;
            }
            if depth == 0 {
                let inner: String = self.characters[at + 1..index].iter().collect();
                let address = inner.split_whitespace().next().unwrap_or_default();
                return Some((address.trim_matches(['<', '>']).to_owned(), index + 1));
            }
        }
        None
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
        self.offer(&address);
        let word = self.short(&address);
        for character in word.chars() {
            self.emit(character);
        }
        Some(end)
    }

    /// `#12` for an issue of the repository itself, `v1.4.0...v1.5.0` for what lies between.
    fn short(&self, address: &str) -> String {
        let own = address.strip_prefix(self.own).filter(|_| !self.own.is_empty());
        let Some(path) = own.filter(|_| is_link(address)) else {
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

    fn offer(&mut self, address: &str) {
        let is_own = !self.own.is_empty() && address.starts_with(self.own);
        if self.link.is_none() && is_own && is_link(address) {
            self.link = Some(address.to_owned());
        }
    }

    /// `&amp;` and its like, as they are written most.
    fn entity(&mut self, at: usize) -> usize {
        let rest: String = self.characters[at + 1..].iter().take(10).collect();
        let Some((name, _)) = rest.split_once(';') else {
            self.emit('&');
            return at + 1;
        };
        let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        let decoded = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            "nbsp" => Some(' '),
            _ => name.strip_prefix('#').and_then(|digits| {
                let hexadecimal = digits.strip_prefix(['x', 'X']);
                hexadecimal.map_or_else(|| number(digits, 10), |digits| number(digits, 16))
            }),
        };
        let Some(decoded) = decoded else {
            self.emit('&');
            return at + 1;
        };
        self.emit(decoded);
        at + name.chars().count() + 2
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
        if is_first && has_letter && self.peek(at + 1 + length) == Some(':') {
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
