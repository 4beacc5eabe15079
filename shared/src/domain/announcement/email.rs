//! E-mail: a subject, and the same text with and without HTML.
//!
//! RFC 5322 asks for lines of at most 78 characters; a long subject is folded by whoever sends it, and no line break of a stranger can
//! begin a header, because none is left.

use std::fmt::Write as _;

use super::fit::{self, units};
use super::outline::Outline;
use super::{Announcement, Section};

const SUBJECT: usize = 200;
const SECTION: usize = 8000;

/// A message without its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// One line.
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// The message.
pub fn render(announcement: &Announcement) -> Email {
    let outline = Outline::of(announcement);
    let mut text = format!("{}\n", outline.title);
    let mut html = format!("<h2>{}</h2>\n", fit::escaped(&outline.title, fit::html));
    for Section { title, lines } in outline.sections() {
        let plain = fit::lines(lines, "- ", SECTION, fit::verbatim, units);
        let _ = write!(text, "\n{title}\n{plain}\n");
        let title = fit::escaped(title, fit::html);
        let items = fit::lines(lines, "", SECTION, fit::html, units).replace('\n', "</li>\n<li>");
        let _ = write!(html, "<h3>{title}</h3>\n<ul>\n<li>{items}</li>\n</ul>\n");
    }
    for (name, url) in &outline.links {
        let _ = write!(text, "\n{name}: {url}");
        let (name, url) = (fit::escaped(name, fit::html), fit::escaped(url, fit::html));
        let _ = writeln!(html, "<p><a href=\"{url}\">{name}</a></p>");
    }
    let _ = write!(text, "\n\n{}\n", outline.at);
    let _ = writeln!(html, "<p>{}</p>", outline.at);
    let html =
        format!("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head><body>\n{html}</body></html>\n");
    Email {
        subject: fit::text(&outline.title, SUBJECT, fit::verbatim, units),
        text,
        html,
    }
}
