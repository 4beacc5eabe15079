//! The words and colours that both tables use.

use anstyle::Style;
use shared::domain::overview::{Line, State};
use shared::domain::reference::ImageReference;
use shared::io::terminal::page::{BAD, Cell, DIM, GOOD, NOTE, PLAIN};

/// How many digits of a digest are enough to tell it from another.
const DIGITS: usize = 12;

/// A state as a part of a sentence.
pub(super) fn state(state: State) -> String {
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
    let Some(target) = &line.target else {
        return Cell::new("-", DIM);
    };
    let read = |image: &String| image.parse::<ImageReference>().ok();
    let new = read(target).map(|target| {
        let current = line.image.as_ref().and_then(read);
        let has_same_tag = current.is_some_and(|current| current.effective_tag() == target.effective_tag());
        match (target.effective_tag(), target.digest()) {
            (Some(tag), None) => tag.to_string(),
            (Some(tag), Some(_)) if !has_same_tag => tag.to_string(),
            (_, Some(digest)) => shortened(&format!("@{digest}")),
            (None, None) => target.to_string(),
        }
    });
    Cell::new(new.unwrap_or_else(|| target.clone()), PLAIN)
}

fn shortened(image: &str) -> String {
    match image.split_once("@sha256:") {
        Some((name, digest)) if digest.len() > DIGITS => {
            let digits: String = digest.chars().take(DIGITS).collect();
            format!("{name}@{digits}…")
        }
        _ => image.to_owned(),
    }
}
