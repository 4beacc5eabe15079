//! A version as it would be written on another ladder.

use std::cmp::Ordering;

use super::TagVersion;
use crate::domain::reference::Tag;

/// What stands for a component of which the version says nothing: whatever is published of it is no more than that.
const ANY: u64 = 999_999;

/// The tag of `present`'s ladder up to which all is as old as `left`, where `left` is of another ladder and its numbers are
/// higher: `1.26.1` seen from `1.25` is `1.26`, and `1.5.0` seen from `1.4.0-alpine` is `1.5.0-alpine`.
///
/// `None` where the numbers cannot be compared, as of dates with versions (rule 7), or are not higher.
pub fn on_ladder_of(present: &Tag, left: &Tag) -> Option<Tag> {
    let (here, there) = (TagVersion::parse(present)?, TagVersion::parse(left)?);
    if here.family == there.family || here.family.counts_in_dates() || there.family.counts_in_dates() {
        return None;
    }
    let pairs = here.numbers.iter().zip(&there.numbers);
    let order = pairs
        .map(|(here, there)| there.cmp(here))
        .find(|order| order.is_ne());
    if order != Some(Ordering::Greater) {
        return None;
    }
    let components = there.numbers.iter().copied().chain(std::iter::repeat(ANY));
    let numbers: Vec<String> = components
        .take(here.numbers.len())
        .map(|number| number.to_string())
        .collect();
    let text = present.as_str().strip_prefix(here.family.prefix())?;
    let variant = text.trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
    let written = format!("{}{}{variant}", here.family.prefix(), numbers.join("."));
    let found: Tag = written.parse().ok()?;
    // Numbers can be joined in other ways, and what cannot be said on that ladder is not said.
    let read = TagVersion::parse(&found)?;
    (read.family == here.family && read.compare(&here) == Some(Ordering::Greater)).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_version_is_written_as_on_the_ladder_of_another_tag() {
        for (present, left, expected) in [
            ("1.25", "1.26.1", Some("1.26")),
            ("1.25.3", "1.26", Some("1.26.999999")),
            ("1.4.0-alpine", "1.5.0", Some("1.5.0-alpine")),
            ("1.4.0", "1.5.0-alpine", Some("1.5.0")),
            ("v1.4.0", "1.5.0", Some("v1.5.0")),
            ("16-bookworm", "17.2-trixie", Some("17-bookworm")),
            // The same ladder, which a policy compares itself.
            ("1.4.0", "1.5.0", None),
            // Not lower, or nobody can tell.
            ("1.26", "1.26.1", None),
            ("1.27", "1.26.1", None),
            ("1.4.0-alpine", "1.4.0", None),
            ("20240101", "1.26.1", None),
            ("3", "20260805", None),
            ("edge", "1.26.1", None),
            ("1.25", "latest", None),
        ] {
            let found = on_ladder_of(&present.parse().unwrap(), &left.parse().unwrap());
            let found = found.as_ref().map(Tag::as_str);
            assert_eq!(found, expected, "{left} as seen from {present}");
        }
    }
}
