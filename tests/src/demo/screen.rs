//! What the demo looks like: colours and a moving bar in a terminal, plain lines everywhere else.

use std::fmt::Display;
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const TITLE: Style = AnsiColor::Cyan.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// Writes the story down and counts its chapters.
#[derive(Debug)]
pub(super) struct Screen {
    started: Instant,
    chapter: usize,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            chapter: 0,
        }
    }

    /// A new chapter.
    pub(super) fn chapter(&mut self, title: &str) {
        self.chapter += 1;
        let seconds = self.started.elapsed().as_secs_f64();
        anstream::println!(
            "\n{TITLE}{}. {title}{TITLE:#} {DIM}({seconds:.1} s){DIM:#}",
            self.chapter
        );
    }

    pub(super) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

/// Something that was seen to be true.
pub(super) fn good(what: impl Display) {
    anstream::println!("   {GOOD}✓{GOOD:#} {what}");
}

/// Something that should have been true.
pub(super) fn bad(what: impl Display) {
    anstream::println!("   {BAD}✗{BAD:#} {what}");
}

/// Something to know.
pub(super) fn note(what: impl Display) {
    anstream::println!("   {DIM}{what}{DIM:#}");
}

/// A text as it was found.
pub(super) fn quote(text: &str) {
    for line in text.lines() {
        anstream::println!("   │ {line}");
    }
}

/// Rows under a header, each column as wide as its widest cell.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let cells = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    };
    anstream::println!("   {DIM}{}{DIM:#}", line(header.to_vec()));
    for row in rows {
        anstream::println!("   {}", line(row.iter().map(String::as_str).collect()));
    }
}

/// A bar for a rollout of so many replicas.
pub(super) fn rollout(name: &str, replicas: u64) -> Rollout {
    let bar = ProgressBar::with_draw_target(Some(replicas), ProgressDrawTarget::stdout());
    let style = ProgressStyle::with_template("   {prefix} [{bar:30.green}] {pos}/{len} {msg}");
    bar.set_style(style.expect("the template is well formed").progress_chars("█▌ "));
    bar.set_prefix(name.to_owned());
    Rollout {
        bar,
        name: name.to_owned(),
        told: String::new(),
    }
}

/// The bar of one rollout.
#[derive(Debug)]
pub(super) struct Rollout {
    bar: ProgressBar,
    name: String,
    told: String,
}

impl Rollout {
    /// Moves it. Where there is no terminal, each change is a line.
    pub(super) fn show(&mut self, ready: u64, message: &str) {
        self.bar.set_position(ready);
        self.bar.set_message(message.to_owned());
        let line = format!(
            "{} {ready}/{} {message}",
            self.name,
            self.bar.length().unwrap_or(0)
        );
        if self.bar.is_hidden() && line != self.told {
            anstream::println!("   {line}");
            self.told = line;
        }
    }

    pub(super) fn end(self) {
        self.bar.finish();
        if !self.bar.is_hidden() {
            anstream::println!();
        }
    }
}
