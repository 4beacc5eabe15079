//! The words and colours that both tables use.

use anstyle::Style;
use shared::domain::in_flight::ImageChange;
use shared::domain::overview::{Line, State};
use shared::domain::policy::Hold;
use shared::io::terminal::page::{BAD, Cell, DIM, GOOD, NOTE, PLAIN};

/// How many digits of a digest are enough to tell it from another.
const DIGITS: usize = 12;

/// A state as a part of a sentence.
pub(crate) fn state(state: State) -> String {
    state.to_string().replace('-', " ")
}

fn style(state: State) -> Style {
    match state {
        State::Stopped | State::Failed => BAD,
        State::Unknown | State::Waiting | State::Offered => NOTE,
        State::Starting | State::RollingOut | State::UpToDate => GOOD,
        State::Off => DIM,
    }
}

pub(super) fn state_cell(line: &Line) -> Cell {
    Cell::new(state(line.state), style(line.state))
}

/// The workload and which of its containers, where there are several.
pub(super) fn workload_cells(line: &Line) -> [Cell; 2] {
    let container = line.container.clone().unwrap_or_default();
    [Cell::plain(line.workload.to_string()), Cell::new(container, DIM)]
}

/// An image with no more of its digest than people look at.
pub(super) fn image_cell(image: Option<&String>) -> Cell {
    match image {
        Some(image) => Cell::plain(shortened(image)),
        None => Cell::new("-", DIM),
    }
}

/// What is new about the target: its tag, or its digest where only that is.
pub(super) fn target_cell(line: &Line) -> Cell {
    cell_or_none(news(line))
}

/// The same, or the newest that is known where there is no target.
pub(super) fn newest_cell(line: &Line) -> Cell {
    cell_or_none(newest(line))
}

fn cell_or_none(text: Option<String>) -> Cell {
    text.map_or_else(|| Cell::new("-", DIM), |text| Cell::new(text, PLAIN))
}

/// [`newest_cell`] as text.
pub(crate) fn newest(line: &Line) -> Option<String> {
    news(line).or_else(|| line.newest.as_ref().map(named))
}

/// As much of a name as is looked at.
fn named(new: &Hold) -> String {
    match new {
        Hold::Image(_, digest) | Hold::Digest(digest) => shortened(&format!("@{digest}")),
        Hold::Tag(tag) | Hold::UpTo(tag) => tag.to_string(),
    }
}

fn news(line: &Line) -> Option<String> {
    let target = line.target.as_ref()?;
    Some(what_is_new(line).map_or_else(|| target.clone(), |new| named(&new)))
}

fn what_is_new(line: &Line) -> Option<Hold> {
    let change = ImageChange {
        from: line.image.clone().unwrap_or_default(),
        to: line.target.clone()?,
        digest: None,
        ran: None,
    };
    change.what_is_new()
}

/// [`newest`] for programs: in full, as a hold would name it.
pub(super) fn newest_in_full(line: &Line) -> Option<String> {
    let newest = what_is_new(line).or_else(|| line.newest.clone());
    newest.map(|newest| newest.to_string())
}

/// An image with no more of its digest than tells it from another.
pub(crate) fn shortened(image: &str) -> String {
    match image.split_once("@sha256:") {
        Some((name, digest)) if digest.len() > DIGITS => {
            let digits: String = digest.chars().take(DIGITS).collect();
            format!("{name}@{digits}…")
        }
        _ => image.to_owned(),
    }
}

/// `3 containers watched: 1 starting, 2 up to date`, of so many that are watched.
pub(crate) fn summary(lines: &[Line], watched: usize) -> String {
    let count = |wanted: State| lines.iter().filter(|line| line.state == wanted).count();
    let counts: Vec<String> = State::ALL
        .iter()
        .map(|wanted| (count(*wanted), state(*wanted)))
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    let shown = lines.len();
    let of = if shown == watched {
        String::new()
    } else {
        format!(" of {watched}")
    };
    let plural = if watched == 1 { "" } else { "s" };
    let colon = if counts.is_empty() { "" } else { ": " };
    format!(
        "{shown}{of} container{plural} watched{colon}{}",
        counts.join(", ")
    )
}
