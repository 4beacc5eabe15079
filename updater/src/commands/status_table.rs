//! How everything stands, for people.

use std::fmt;

use jiff::Timestamp;
use shared::domain::overview::{LastUpdate, Line};
use shared::io::terminal::age::age;
use shared::io::terminal::page::{Cell, DIM, PLAIN, Page, Row};

use super::View;
use super::words::{image_cell, newest_cell, state_cell, workload_cells};

const HEADINGS: [&str; 8] = [
    "WORKLOAD",
    "CONTAINER",
    "IMAGE",
    "NEWEST",
    "MODE",
    "STATE",
    "SINCE",
    "LAST UPDATE",
];

/// The page, with colours.
pub(super) fn render(view: &View, width: usize) -> Result<String, fmt::Error> {
    let mut page = Page::new(width);
    let rows: Vec<Row> = view
        .lines
        .iter()
        .map(|line| Row::Cells(cells(line, view.now)))
        .collect();
    if !rows.is_empty() {
        page.table(&HEADINGS, &rows)?;
        page.text.push('\n');
    }
    page.entry("STATUS", PLAIN, &view.summary())?;
    let is_clear = view.lines.iter().all(|line| !line.state.needs_a_look());
    if !is_clear {
        page.beside("NEXT")?;
        page.text.push_str("kubefresh-updater plan says why\n");
    }
    Ok(page.text)
}

fn cells(line: &Line, now: Timestamp) -> Vec<Cell> {
    let [workload, container] = workload_cells(line);
    let mode = line.mode.map(|mode| mode.to_string());
    let since = line.since.map(|since| age(now.duration_since(since)));
    let or_none = |text: Option<String>| text.map_or_else(|| Cell::new("-", DIM), Cell::plain);
    let last = |last: &LastUpdate| format!("{}, {} ago", last.result, age(now.duration_since(last.at)));
    vec![
        workload,
        container,
        image_cell(line.image.as_ref()),
        newest_cell(line),
        or_none(mode),
        state_cell(line),
        or_none(since),
        Cell::plain(line.last.as_ref().map(last).unwrap_or_default()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::tests::{page, view};

    #[test]
    fn everything_that_is_watched_is_shown_with_its_age_and_how_its_last_update_ended() {
        let expected = "\
WORKLOAD                  CONTAINER  IMAGE                                 NEWEST          MODE     STATE       SINCE  LAST UPDATE
deployment shop/checkout  app        shop.example/checkout:1.4.0           1.5.0           approve  waiting     2d
deployment shop/edge      app        shop.example/edge:edge@aaaaaaaaaaaa…  @bbbbbbbbbbbb…  auto     starting    -
deployment shop/mail      app        shop.example/mail:2                   2               auto     failed      -      failed: 0 of 1 pods available, 3h ago
deployment shop/web                  -                                     -               -        stopped     -
deployment shop/up        app        shop.example/up:1                     1               auto     up to date  -

STATUS    5 of 6 containers watched: 1 stopped, 1 failed, 1 starting, 1 waiting, 1 up to date
NEXT      kubefresh-updater plan says why
";
        assert_eq!(page(render(&view(), 180)), expected);
    }
}
