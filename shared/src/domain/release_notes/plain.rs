//! The Markdown and HTML of strangers as plain lines.
//!
//! What comes out holds for any input: no character that hides or reorders, no `<`, `>` or `@`, no address in the text, no
//! image, at most [`MOST_LINES`] lines of at most [`LONGEST_LINE`] bytes; and a link only into the repository the notes are of.
//! How a line is escaped for a page or a channel is theirs to know: to them this is text.

mod html;
mod nesting;
mod words;

use pulldown_cmark::{BrokenLink, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

/// How much of a text is read, in bytes; the rest is not looked at, and it is said that there is one.
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
    /// What a line had beyond its bound: nothing to show, and still to be looked at.
    Rest,
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

/// A text as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    pub lines: Vec<Line>,
    /// Whether all of it was looked at.
    pub is_whole: bool,
}

/// Reads Markdown. Links that begin with `own` are kept, and no others.
pub fn read(markdown: &str, own: &str) -> Read {
    let text = html::without_tags(head(markdown, MOST_INPUT));
    let bounded: Vec<&str> = text.lines().map(|line| head(line, MOST_OF_A_LINE)).collect();
    let has_whole_lines = text.lines().all(|line| line.len() <= MOST_OF_A_LINE);
    let mut read = read_bounded(&nesting::bounded(&bounded.join("\n")), own);
    read.is_whole &= markdown.len() <= MOST_INPUT && has_whole_lines;
    read
}

/// The lines alone.
pub fn lines(markdown: &str, own: &str) -> Vec<Line> {
    read(markdown, own).lines
}

/// Reads what should be one line and may have marks of Markdown: its text, and its first link that begins with `own`. Both may be
/// nothing.
pub fn inline(line: &str, own: &str) -> (String, Option<String>) {
    let lines = lines(head(line, MOST_OF_A_LINE), own);
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    let text = crate::domain::text::cut(&texts.join(" "), LONGEST_LINE - "…".len());
    (text, lines.into_iter().find_map(|line| line.link))
}

fn read_bounded(text: &str, own: &str) -> Read {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM;
    let mut nowhere = |link: BrokenLink<'_>| nowhere(link.link_type);
    let events = Parser::new_with_broken_link_callback(text, options, Some(&mut nowhere));
    let mut reader = Reader::new(own);
    for event in events {
        reader.take_in(event);
        if reader.lines.len() >= MOST_LINES {
            break;
        }
    }
    reader.end_block();
    let is_whole = !reader.is_cut && reader.lines.len() < MOST_LINES;
    reader.lines.truncate(MOST_LINES);
    Read {
        lines: reader.lines,
        is_whole,
    }
}

/// `[text][name]` without a definition of the name was meant as a link; `[text]` alone may be what it looks like.
fn nowhere(link: LinkType) -> Option<(CowStr<'static>, CowStr<'static>)> {
    let is_meant = matches!(link, LinkType::Reference | LinkType::Collapsed);
    is_meant.then_some((CowStr::Borrowed(""), CowStr::Borrowed("")))
}

/// Reads blocks: headings, items and paragraphs, which can be several lines long, lines of code, rows of tables.
#[derive(Debug)]
struct Reader<'a> {
    own: &'a str,
    lines: Vec<Line>,
    /// The block that is open: what it is, its text, and its first own link.
    block: Option<(LineKind, String, Option<String>)>,
    /// How many images we are in.
    hidden: usize,
    /// Whether something of a block was left out.
    is_cut: bool,
}

impl<'a> Reader<'a> {
    fn new(own: &'a str) -> Self {
        Self {
            own,
            lines: Vec::new(),
            block: None,
            hidden: 0,
            is_cut: false,
        }
    }

    fn take_in(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.begin(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Html(text) => self.write(&text),
            Event::Code(text) | Event::InlineHtml(text) => self.write_on(&text),
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                self.write_on(&text);
            }
            Event::SoftBreak | Event::HardBreak => self.write_on(" "),
            Event::Rule => self.end_block(),
            Event::TaskListMarker(_) => {}
        }
    }

    fn begin(&mut self, tag: &Tag<'_>) {
        if matches!(tag, Tag::Image { .. }) {
            self.hidden += 1;
        } else if let Tag::Link { dest_url, .. } = tag {
            self.offer(dest_url);
        } else if matches!(tag, Tag::Heading { .. }) {
            self.begin_block(LineKind::Heading);
        } else if matches!(tag, Tag::Item) {
            self.begin_block(LineKind::Item);
        } else if matches!(tag, Tag::CodeBlock(_)) {
            self.begin_block(LineKind::Code);
        } else if matches!(tag, Tag::Paragraph) && self.is_in(LineKind::Item) {
            self.write_on(" ");
        } else if matches!(
            tag,
            Tag::Paragraph | Tag::HtmlBlock | Tag::TableHead | Tag::TableRow
        ) {
            self.begin_block(LineKind::Text);
        } else if matches!(tag, Tag::TableCell) {
            self.write_on(" | ");
        }
    }

    fn end(&mut self, tag: TagEnd) {
        if matches!(tag, TagEnd::Image) {
            self.hidden = self.hidden.saturating_sub(1);
        }
        let is_block = matches!(
            tag,
            TagEnd::Heading(_)
                | TagEnd::Item
                | TagEnd::CodeBlock
                | TagEnd::HtmlBlock
                | TagEnd::TableHead
                | TagEnd::TableRow
        );
        let is_paragraph = matches!(tag, TagEnd::Paragraph) && !self.is_in(LineKind::Item);
        if is_block || is_paragraph {
            self.end_block();
        }
    }

    fn is_in(&self, kind: LineKind) -> bool {
        self.block.as_ref().is_some_and(|(found, ..)| *found == kind)
    }

    fn begin_block(&mut self, kind: LineKind) {
        self.end_block();
        self.block = Some((kind, String::new(), None));
    }

    fn end_block(&mut self) {
        let Some((kind, text, link)) = self.block.take() else {
            return;
        };
        let (plain, found) = words::plain(text.trim().trim_matches('|'), self.own);
        let mut pieces = words::pieces(&plain, LONGEST_LINE - "…".len()).into_iter();
        let Some(first) = pieces.next() else { return };
        let mut rest = pieces.peekable();
        let text = match rest.peek() {
            Some(_) => format!("{first}…"),
            None => first.to_owned(),
        };
        let link = link.or(found);
        self.lines.push(Line { kind, text, link });
        self.lines.extend(rest.map(|piece| Line {
            kind: LineKind::Rest,
            text: piece.to_owned(),
            link: None,
        }));
    }

    /// Text that may have several lines, each of which is one where it is code.
    fn write(&mut self, text: &str) {
        let mut lines = text.split('\n');
        self.write_on(lines.next().unwrap_or_default());
        for line in lines {
            if self.is_in(LineKind::Code) {
                self.begin_block(LineKind::Code);
            } else {
                self.write_on(" ");
            }
            self.write_on(line);
        }
    }

    fn write_on(&mut self, text: &str) {
        if self.hidden > 0 {
            return;
        }
        let (_, block, _) = self
            .block
            .get_or_insert_with(|| (LineKind::Text, String::new(), None));
        if block.len() + text.len() < MOST_OF_A_LINE + LONGEST_LINE {
            block.push_str(text);
        } else {
            self.is_cut = true;
        }
    }

    fn offer(&mut self, address: &str) {
        if let Some((.., link)) = &mut self.block
            && self.hidden == 0
            && link.is_none()
            && words::is_own(address, self.own)
        {
            *link = Some(address.to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
