//! The records for people.

use std::fmt;

use jiff::Timestamp;
use shared::domain::record::ScanError;

use super::{Line, Listing};
use shared::io::terminal::age::age;
use shared::io::terminal::page::{BAD, Cell, DIM, GOOD, NOTE, PLAIN, Page, Row};

const HEADINGS: [&str; 8] = [
    "REPOSITORY",
    "NEWEST",
    "STATE",
    "TAGS",
    "AGE",
    "ERROR",
    "SINCE",
    "UNTIL",
];

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
    let of_error = |text: &dyn Fn(&ScanError) -> Option<String>| {
        let text = line.error.as_ref().and_then(text);
        Cell::new(text.unwrap_or_default(), BAD)
    };
    vec![
        Cell::plain(line.repository.as_str()),
        or_none(line.newest.clone()),
        Cell::new(line.state.as_str(), state),
        or_none(line.tags.map(|tags| tags.to_string())),
        or_none(
            line.scanned_at
                .map(|scanned_at| age(now.duration_since(scanned_at))),
        ),
        of_error(&|error| Some(error.class.clone())),
        of_error(&|error| Some(age(now.duration_since(error.since)))),
        // Until then nobody asks again; a time that is past says nothing.
        of_error(&|error| Some(error.retry_at.filter(|retry_at| *retry_at > now)?.to_string())),
    ]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line(repository: &str, error: Option<ScanError>, scanned_at: Option<&str>) -> Line {
        let scanned_at = scanned_at.map(|time| time.parse().unwrap());
        Line {
            repository: repository.to_owned(),
            record: format!("scan-{repository}"),
            newest: scanned_at.map(|_| "1.5.0".to_owned()),
            state: "any".to_owned(),
            tags: None,
            scanned_at,
            age_seconds: None,
            error,
        }
    }

    fn error(retry_at: &str) -> ScanError {
        ScanError {
            class: "rate-limited".to_owned(),
            message: "too many requests".to_owned(),
            since: "2026-11-21T07:00:00Z".parse().unwrap(),
            retry_at: Some(retry_at.parse().unwrap()),
        }
    }

    fn page(listing: &Listing, stored: usize) -> String {
        let view = View {
            listing,
            namespace: "kubefresh",
            stored,
            now: "2026-11-21T10:00:00Z".parse().unwrap(),
        };
        anstream::adapter::strip_str(&render(&view, 120).unwrap()).to_string()
    }

    #[test]
    fn a_failure_is_shown_with_its_age_and_the_time_until_which_nobody_asks_again() {
        let listing = Listing {
            records: vec![
                line("a", None, Some("2026-11-21T09:59:00Z")),
                line(
                    "b",
                    Some(error("2026-11-21T10:30:00Z")),
                    Some("2026-11-19T10:00:00Z"),
                ),
                line("c", Some(error("2026-11-21T09:30:00Z")), None),
            ],
            unreadable: Vec::new(),
        };
        let expected = "\
REPOSITORY  NEWEST  STATE  TAGS  AGE  ERROR         SINCE  UNTIL
a           1.5.0   any    -     60s
b           1.5.0   any    -     2d   rate-limited  3h     2026-11-21T10:30:00Z
c           -       any    -     -    rate-limited  3h

RECORDS   3 of 5 in the namespace kubefresh, 2 failing
NEXT      kubectl -n kubefresh get cm scan-b -o yaml says more of the first that fails
";
        assert_eq!(page(&listing, 5), expected);
    }

    #[test]
    fn without_failures_there_is_nothing_to_do_and_without_records_there_is() {
        let listing = Listing {
            records: vec![line("a", None, Some("2026-11-21T09:59:00Z"))],
            unreadable: Vec::new(),
        };
        assert!(!page(&listing, 1).contains("NEXT"));
        assert!(page(&Listing::default(), 0).contains("NEXT      kubefresh-scanner scan"));
    }
}
