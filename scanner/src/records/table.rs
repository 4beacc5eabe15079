//! The records for people.

use std::fmt;

use jiff::Timestamp;

use super::age::age;
use super::{Line, Listing};
use crate::page::{BAD, Cell, DIM, GOOD, NOTE, PLAIN, Page, Row};

const HEADINGS: [&str; 6] = ["REPOSITORY", "NEWEST", "STATE", "TAGS", "AGE", "ERROR"];

/// Everything that the page speaks of.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) listing: &'a Listing,
    pub(super) namespace: &'a str,
    /// How many records there are, wanted or not.
    pub(super) stored: usize,
    pub(super) now: Timestamp,
}

/// The page, with colours.
pub(super) fn render(view: &View<'_>, width: usize) -> Result<String, fmt::Error> {
    let mut page = Page::new(width);
    let Listing { records, unreadable } = view.listing;
    if !records.is_empty() {
        let rows = records.iter().map(|line| Row::Cells(cells(line, view.now)));
        page.table(&HEADINGS, &rows.collect::<Vec<_>>())?;
        page.text.push('\n');
    }
    let failing = records.iter().filter(|line| line.error.is_some()).count();
    let of = format!("of {} in the namespace {}", view.stored, view.namespace);
    page.entry(
        "RECORDS",
        PLAIN,
        &format!("{} {of}, {failing} failing", records.len()),
    )?;
    for record in unreadable {
        page.entry("NOT READ", BAD, &record.reason)?;
    }
    if let Some(step) = next_step(view) {
        page.beside("NEXT")?;
        // In one line, so that it can be copied.
        page.text.push_str(&step);
        page.text.push('\n');
    }
    Ok(page.text)
}

fn cells(line: &Line, now: Timestamp) -> Vec<Cell> {
    let state = match (&line.error, line.scanned_at) {
        (None, Some(_)) => GOOD,
        (Some(_), Some(_)) => NOTE,
        (_, None) => BAD,
    };
    let or_none = |text: Option<String>| text.map_or_else(|| Cell::new("-", DIM), Cell::plain);
    vec![
        Cell::plain(line.repository.as_str()),
        or_none(line.newest.clone()),
        Cell::new(line.state.as_str(), state),
        or_none(line.tags.map(|tags| tags.to_string())),
        or_none(
            line.scanned_at
                .map(|scanned_at| age(now.duration_since(scanned_at))),
        ),
        Cell::new(error(line, now), BAD),
    ]
}

/// The class, since when, and until when nobody asks again.
fn error(line: &Line, now: Timestamp) -> String {
    let Some(error) = &line.error else {
        return String::new();
    };
    let since = age(now.duration_since(error.since));
    let until = error.retry_at.filter(|retry_at| *retry_at > now).map(|retry_at| {
        let wait = age(retry_at.duration_since(now));
        format!(", left alone until {retry_at} ({wait})")
    });
    format!("{} for {since}{}", error.class, until.unwrap_or_default())
}

fn next_step(view: &View<'_>) -> Option<String> {
    let Listing { records, .. } = view.listing;
    if view.stored == 0 {
        return Some(
            "kubefresh-scanner scan writes them; if there are some elsewhere, name it with --namespace"
                .to_owned(),
        );
    }
    let failing = records.iter().find(|line| line.error.is_some())?;
    Some(format!(
        "kubectl -n {} get cm {} -o yaml says more of the first that fails",
        view.namespace, failing.record
    ))
}
