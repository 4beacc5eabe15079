//! What would happen now, for people.

use std::fmt;

use shared::domain::overview::{Line, State};
use shared::io::terminal::page::{Cell, PLAIN, Page, Row};

use super::View;
use super::words::{image_cell, state_cell, target_cell, workload_cells};

const HEADINGS: [&str; 6] = ["WORKLOAD", "CONTAINER", "IMAGE", "TO", "STATE", "WHY"];

/// The page, with colours. What is up to date or switched off is counted and not shown.
pub(super) fn render(view: &View, width: usize) -> Result<String, fmt::Error> {
    let mut page = Page::new(width);
    let rows: Vec<Row> = view
        .lines
        .iter()
        .filter(|line| says_something(line.state))
        .map(|line| Row::Cells(cells(line)))
        .collect();
    if !rows.is_empty() {
        page.table(&HEADINGS, &rows)?;
        page.text.push('\n');
    }
    page.entry("PLAN", PLAIN, &view.summary())?;
    if let Some(step) = next_step(view) {
        page.beside("NEXT")?;
        // In one line, so that it can be copied.
        page.text.push_str(&step);
        page.text.push('\n');
    }
    Ok(page.text)
}

fn says_something(state: State) -> bool {
    match state {
        State::UpToDate | State::Off => false,
        State::Stopped
        | State::Failed
        | State::RollingOut
        | State::Starting
        | State::Waiting
        | State::Offered
        | State::Unknown => true,
    }
}

fn cells(line: &Line) -> Vec<Cell> {
    let [workload, container] = workload_cells(line);
    vec![
        workload,
        container,
        image_cell(line.image.as_ref()),
        target_cell(line),
        state_cell(line),
        Cell::plain(line.why.as_str()),
    ]
}

fn next_step(view: &View) -> Option<String> {
    if view.watched == 0 {
        return Some(
            "kubectl annotate deployment/NAME kubefresh.dev/watch=true opts a workload in".to_owned(),
        );
    }
    let is_starting = view.lines.iter().any(|line| line.state == State::Starting);
    is_starting.then(|| {
        "the updater that leads starts what is starting at its next look; this has changed nothing".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::tests::{page, view};

    #[test]
    fn what_has_nothing_to_say_is_counted_only_and_a_digest_is_cut_to_what_tells_it_from_another() {
        let expected = "\
WORKLOAD                  CONTAINER  IMAGE                                 TO              STATE     WHY
deployment shop/checkout  app        shop.example/checkout:1.4.0           1.5.0           waiting   shop.example/checkout:1.5.0 waits for approval
deployment shop/edge      app        shop.example/edge:edge@aaaaaaaaaaaa…  @bbbbbbbbbbbb…  starting  update to the new digest
deployment shop/mail      app        shop.example/mail:2                   -               failed    failed: 0 of 1 pods available
deployment shop/web                  -                                     -               stopped   annotation kubefresh.dev/mode: \"never\" is not valid

PLAN      5 of 6 containers watched: 1 stopped, 1 failed, 1 starting, 1 waiting, 1 up to date
NEXT      the updater that leads starts what is starting at its next look; this has changed nothing
";
        assert_eq!(page(render(&view(), 180)), expected);
    }
}
