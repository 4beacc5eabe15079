//! The Markdown and HTML of strangers as plain lines.
//!
//! What comes out holds for any input: no character that hides or reorders, no `<`, `>` or `@`, no address in the text, no
//! image, at most [`MOST_LINES`] lines of at most [`LONGEST_LINE`] bytes; and a link only into the repository the notes are of.
//! How a line is escaped for a page or a channel is theirs to know: to them this is text.

mod html;
mod inline;

pub use self::inline::inline;

/// How much of a text is read, in bytes; the rest is not looked at.
pub const MOST_INPUT: usize = 256 << 10;
/// How much of a line is read, in bytes.
const MOST_OF_A_LINE: usize = 4 << 10;
/// How many lines come out at most.
pub const MOST_LINES: usize = 1000;
/// How long each of them is at most, in bytes.
pub const LONGEST_LINE: usize = 600;

/// What a line was in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    Heading,
    /// Of a list.
    Item,
    /// A paragraph, or what was written in a line of its own.
    Text,
    /// Between fences.
    Code,
}

/// One plain line, never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub kind: LineKind,
    pub text: String,
    /// The first address in it that leads into the notes' own repository.
    pub link: Option<String>,
}

/// At most so many bytes of a text, cut at a character.
pub(super) fn head(text: &str, bytes: usize) -> &str {
    let end = text.floor_char_boundary(bytes);
    &text[..end]
}

/// Reads Markdown. Links that begin with `own` are kept, and no others.
pub fn lines(markdown: &str, own: &str) -> Vec<Line> {
    let text = html::without_tags(head(markdown, MOST_INPUT));
    let mut reader = Reader::default();
    for line in text.lines() {
        reader.take_in(head(line, MOST_OF_A_LINE));
        if reader.blocks.len() >= MOST_LINES {
            break;
        }
    }
    let blocks = reader.blocks.into_iter();
    let lines = blocks.filter_map(|(kind, text)| {
        let (text, link) = inline(&text, own);
        (!text.is_empty()).then_some(Line { kind, text, link })
    });
    lines.collect()
}

/// Reads lines into blocks: headings, items and paragraphs, which can be several lines long.
#[derive(Debug, Default)]
struct Reader {
    blocks: Vec<(LineKind, String)>,
    /// What the fence that is open is made of.
    fence: Option<char>,
    /// Whether the last block may go on.
    open: bool,
}

impl Reader {
    fn take_in(&mut self, line: &str) {
        let is_indented = line.starts_with("  ") || line.starts_with('\t');
        let mut text = line.trim();
        if let Some(fence) = fence(text) {
            let closes = self.fence == Some(fence);
            self.fence = if closes { None } else { self.fence.or(Some(fence)) };
            self.open = false;
            return;
        }
        if self.fence.is_some() {
            return self.push(LineKind::Code, text);
        }
        while let Some(quoted) = text.strip_prefix('>') {
            text = quoted.trim_start();
        }
        if text.is_empty() || is_definition(text) || is_alert(text) {
            self.open = false;
        } else if is_rule(text) {
            self.underline(text);
        } else if let Some(heading) = heading(text) {
            self.push(LineKind::Heading, heading);
            self.open = false;
        } else if let Some(item) = item(text) {
            self.push(LineKind::Item, item);
            self.open = true;
        } else if self.open && (is_indented || self.last_is(LineKind::Text)) {
            self.continue_with(text);
        } else {
            self.push(LineKind::Text, text.trim_matches('|'));
            self.open = true;
        }
    }

    fn last_is(&self, kind: LineKind) -> bool {
        self.blocks.last().is_some_and(|(last, _)| *last == kind)
    }

    fn push(&mut self, kind: LineKind, text: &str) {
        self.blocks.push((kind, text.to_owned()));
    }

    fn continue_with(&mut self, text: &str) {
        if let Some((_, block)) = self.blocks.last_mut()
            && block.len() + text.len() < MOST_OF_A_LINE
        {
            block.push(' ');
            block.push_str(text);
        }
    }

    /// A row of dashes is a rule, or makes the paragraph above it a heading.
    fn underline(&mut self, text: &str) {
        if self.open
            && text.chars().all(|character| matches!(character, '=' | '-'))
            && let Some((kind @ LineKind::Text, _)) = self.blocks.last_mut()
        {
            *kind = LineKind::Heading;
        }
        self.open = false;
    }
}

fn fence(text: &str) -> Option<char> {
    ['`', '~']
        .into_iter()
        .find(|mark| text.chars().take_while(|character| character == mark).count() >= 3)
}

/// `[name]: https://…`, which a reference elsewhere names.
fn is_definition(text: &str) -> bool {
    let target = text.strip_prefix('[').and_then(|text| text.split_once("]:"));
    target.is_some_and(|(_, target)| {
        let beginnings = ["http", "<", "/", "#", "."];
        beginnings
            .iter()
            .any(|beginning| target.trim_start().starts_with(beginning))
    })
}

/// `[!WARNING]`, the first line of what GitHub shows in a box.
fn is_alert(text: &str) -> bool {
    text.strip_prefix("[!")
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|word| word.chars().all(char::is_alphabetic))
}

/// A row of nothing but marks: a rule, an underline, or what is between a table's head and body.
fn is_rule(text: &str) -> bool {
    let is_mark = |character| matches!(character, '-' | '=' | '*' | '_' | '|' | ':' | ' ');
    text.len() >= 3 && text.chars().all(is_mark)
}

/// The text of a heading; closing marks are none of it.
pub(super) fn heading(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches('#');
    let level = text.len() - rest.len();
    let is_heading = (1..=6).contains(&level) && rest.starts_with([' ', '\t']);
    is_heading.then(|| rest.trim().trim_end_matches('#').trim_end())
}

fn item(text: &str) -> Option<&str> {
    let numbered = || {
        let digits = text.len()
            - text
                .trim_start_matches(|digit: char| digit.is_ascii_digit())
                .len();
        let rest = text.get(digits..).filter(|_| (1..=4).contains(&digits))?;
        rest.strip_prefix(". ").or_else(|| rest.strip_prefix(") "))
    };
    let mut marks = ["- ", "* ", "+ ", "• "].into_iter();
    let marked = marks.find_map(|mark| text.strip_prefix(mark));
    let item = marked.or_else(numbered)?.trim_start();
    let mut boxes = ["[ ] ", "[x] ", "[X] "].into_iter();
    Some(boxes.find_map(|mark| item.strip_prefix(mark)).unwrap_or(item))
}

#[cfg(test)]
mod tests;
