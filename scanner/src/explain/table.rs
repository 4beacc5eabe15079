//! The answer for people.

use shared::domain::policy::Selection;

pub(super) fn render(selection: &Selection<'_>) -> String {
    let selected = selection.selected.map_or("none", |tag| tag.as_str());
    format!("SELECTED  {selected}\n          {}\n", selection.reason)
}
