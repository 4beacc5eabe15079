//! Pages for people: headings with text beside them, tables, and the colours of both.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io;

use anstyle::{AnsiColor, Style};

pub const PLAIN: Style = Style::new();
pub const HEADING: Style = Style::new().bold();
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
pub const NOTE: Style = AnsiColor::Yellow.on_default();
pub const BAD: Style = AnsiColor::Red.on_default();
pub const DIM: Style = Style::new().dimmed();

/// The width where there is no terminal.
pub const DEFAULT_WIDTH: usize = 100;
/// No narrower than this: a tag and a word have to fit.
pub const MIN_WIDTH: usize = 50;
/// Where the text begins beside a heading.
pub const INDENT: usize = 10;
/// Between two columns.
const GAP: usize = 2;
/// With less room for the last column of a table, its text stands below the row.
const MIN_ROOM: usize = 30;
/// Where it begins there.
const BELOW: usize = 4;

/// A page in the making, with colours.
#[derive(Debug)]
pub struct Page {
    pub text: String,
    pub width: usize,
}

/// A text of a table, of one style.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    style: Style,
}

/// A line of a table.
#[derive(Debug)]
pub enum Row {
    /// Speaks of the rows below it.
    Group(String),
    /// One cell for each column; the last one may take several lines.
    Cells(Vec<Cell>),
}

impl Cell {
    pub fn new(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: printable(&text.into()),
            style,
        }
    }

    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(text, PLAIN)
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl Page {
    pub fn new(width: usize) -> Self {
        Self {
            text: String::new(),
            width: width.max(MIN_WIDTH),
        }
    }

    /// A heading with text beside it, on as many lines as it takes.
    pub fn entry(&mut self, heading: &str, style: Style, text: &str) -> fmt::Result {
        for (index, line) in wrapped(&printable(text), self.width - INDENT).iter().enumerate() {
            self.beside(if index == 0 { heading } else { "" })?;
            writeln!(self.text, "{style}{line}{style:#}")?;
        }
        Ok(())
    }

    /// What stands before the text of a line.
    pub fn beside(&mut self, heading: &str) -> fmt::Result {
        let padding = INDENT.saturating_sub(heading.len());
        if !heading.is_empty() {
            write!(self.text, "{HEADING}{heading}{HEADING:#}")?;
        }
        write!(self.text, "{:padding$}", "")
    }

    pub fn section(&mut self, heading: &str, text: &str) -> fmt::Result {
        writeln!(self.text, "\n{HEADING}{heading}{HEADING:#}  {DIM}{text}{DIM:#}")
    }

    /// A table; a column that says nothing in any row is left out.
    pub fn table(&mut self, headings: &[&str], rows: &[Row]) -> fmt::Result {
        let widths = widths(headings, rows);
        let indent = indent(&widths);
        let is_beside = |row: &Row| match row {
            Row::Group(_) => false,
            Row::Cells(cells) => cells
                .last()
                .is_some_and(|last| !last.text.is_empty() && self.has_room(indent, last)),
        };
        let says_something: Vec<bool> = match widths.split_last() {
            Some((_, fixed)) => {
                let fixed = fixed.iter().map(|width| *width > 0);
                fixed.chain([rows.iter().any(is_beside)]).collect()
            }
            None => Vec::new(),
        };
        let headings = headings.iter().zip(says_something);
        let headings =
            headings.map(|(heading, is_shown)| Cell::new(if is_shown { heading } else { "" }, HEADING));
        self.row(&widths, &headings.collect::<Vec<_>>())?;
        for row in rows {
            match row {
                Row::Group(text) => writeln!(self.text, "{HEADING}{text}{HEADING:#}")?,
                Row::Cells(cells) => self.row(&widths, cells)?,
            }
        }
        Ok(())
    }

    /// Whether the last cell of a row stands beside the others; a single word does, for it cannot be wrapped.
    fn has_room(&self, indent: usize, last: &Cell) -> bool {
        self.width >= indent + MIN_ROOM || last.width() + indent <= self.width || !last.text.contains(' ')
    }

    fn row(&mut self, widths: &[usize], cells: &[Cell]) -> fmt::Result {
        let Some((last, fixed)) = cells.split_last() else {
            return Ok(());
        };
        let mut indent = indent(widths);
        let mut padding = 0;
        for (cell, &width) in fixed.iter().zip(widths).filter(|(_, width)| **width > 0) {
            let Cell { text, style } = cell;
            if !text.is_empty() {
                write!(self.text, "{:padding$}{style}{text}{style:#}", "")?;
                padding = 0;
            }
            padding += width + GAP - cell.width();
        }
        let mut lines = if last.text.is_empty() {
            Vec::new()
        } else if !self.has_room(indent, last) {
            writeln!(self.text)?;
            (indent, padding) = (BELOW, BELOW);
            wrapped(&last.text, self.width - BELOW)
        } else {
            wrapped(&last.text, self.width.saturating_sub(indent))
        }
        .into_iter();
        let style = last.style;
        if let Some(line) = lines.next() {
            write!(self.text, "{:padding$}{style}{line}{style:#}", "")?;
        }
        for line in lines {
            write!(self.text, "\n{:indent$}{style}{line}{style:#}", "")?;
        }
        writeln!(self.text)
    }
}

/// Where the last column begins.
fn indent(widths: &[usize]) -> usize {
    let fixed = widths.split_last().map_or(widths, |(_, fixed)| fixed);
    let shown = fixed.iter().filter(|width| **width > 0);
    shown.map(|width| width + GAP).sum()
}

/// How wide each column has to be; 0 where no row says anything.
fn widths(headings: &[&str], rows: &[Row]) -> Vec<usize> {
    let mut widths = vec![0; headings.len()];
    for row in rows {
        let Row::Cells(cells) = row else { continue };
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = cell.width().max(*width);
        }
    }
    for (width, heading) in widths.iter_mut().zip(headings) {
        if *width > 0 {
            *width = heading.len().max(*width);
        }
    }
    widths
}

/// The lines of a text; a word that is too long for one has it for itself.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines
            .last_mut()
            .filter(|line| line.is_empty() || line.chars().count() + 1 + word.chars().count() <= width);
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A sentence that may repeat text of unknown origin, without what a terminal would obey.
pub fn printable(text: &str) -> String {
    let escaped = |character: char| {
        let is_written = matches!(character, '"' | '\'' | '\\');
        let escaped = (!is_written).then(|| character.escape_debug());
        let plain = is_written.then_some(character);
        escaped.into_iter().flatten().chain(plain)
    };
    text.chars().flat_map(escaped).collect()
}

/// Text of unknown origin, without what a terminal would obey and no longer than a tag may be.
pub fn harmless(name: &str) -> Cow<'_, str> {
    const LENGTH: usize = 128;
    Cow::Owned(name.chars().take(LENGTH).flat_map(char::escape_debug).collect())
}

/// A word as a shell reads it back.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._:/=@%+,-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// How wide a line of standard output may be.
pub fn width() -> usize {
    let terminal = terminal_size::terminal_size_of(io::stdout());
    terminal.map_or(DEFAULT_WIDTH, |(width, _)| usize::from(width.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(width: usize, rows: &[Row]) -> String {
        let mut page = Page::new(width);
        page.table(&["ONE", "TWO", "THREE", "NOTE"], rows).unwrap();
        anstream::adapter::strip_str(&page.text).to_string()
    }

    fn row(cells: [&str; 4]) -> Row {
        Row::Cells(cells.map(|text| Cell::new(text, GOOD)).into())
    }

    #[test]
    fn columns_are_aligned_and_one_that_says_nothing_is_left_out() {
        let rows = [
            row(["a", "", "x", ""]),
            Row::Group("b.yaml".to_owned()),
            row(["long one", "", "", "a note"]),
        ];
        let expected = "\
ONE       THREE  NOTE
a         x
b.yaml
long one         a note
";
        assert_eq!(table(100, &rows), expected);
    }

    #[test]
    fn a_long_note_is_wrapped_beside_its_row_or_stands_below_it() {
        let note = "a note that is much longer than the line that it would have to stand in";
        assert!(table(50, &[row(["a", "b", "c", ""])]).starts_with("ONE  TWO  THREE\n"));
        let rows = [row(["a", "b", "c", note])];
        let beside = "\
ONE  TWO  THREE  NOTE
a    b    c      a note that is much longer than
                 the line that it would have to
                 stand in
";
        assert_eq!(table(50, &rows), beside);
        let wide = "w".repeat(30);
        let below = table(50, &[row([&wide, "b", "c", note])]);
        assert!(
            below.contains("\n    a note that is much longer than the line that\n    it"),
            "{below}"
        );
    }

    #[test]
    fn text_of_strangers_moves_no_cursor_and_quotes_stay_as_they_are() {
        let mut page = Page::new(100);
        page.entry("NOTE", PLAIN, "it's \"a\\b\" …\u{1b}[2J\r\u{202e}x")
            .unwrap();
        let text = anstream::adapter::strip_str(&page.text).to_string();
        assert_eq!(text, "NOTE      it's \"a\\b\" …\\u{1b}[2J\\r\\u{202e}x\n");
        let rows = [row(["\u{1b}]0;x\u{7}", "", "", ""])];
        assert!(
            table(100, &rows).ends_with("\n\\u{1b}]0;x\\u{7}\n"),
            "{}",
            table(100, &rows)
        );
    }

    #[test]
    fn a_suggested_command_is_safe_to_type() {
        for (word, typed) in [
            ("minor", "minor"),
            ("range:>=1 <2", "'range:>=1 <2'"),
            ("^it's$", r"'^it'\''s$'"),
            ("$(x)", "'$(x)'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), typed);
        }
    }
}
