//! Text that is cut to fit: what does not is counted, and nothing is cut inside what an escape has made.

use std::fmt::Write as _;

/// How long a text is to a service: Discord and Telegram count UTF-16 units, others bytes.
pub(super) type Measure = fn(&str) -> usize;
/// Writes a character so that it is shown and means nothing.
pub(super) type Escape = fn(char, &mut String);

const CUT: &str = "…";
/// For `… and 10000 more`.
const REST: usize = 24;
/// Less room than this is not worth half a line.
const WORTH: usize = 40;

pub(super) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

pub(super) fn bytes(text: &str) -> usize {
    text.len()
}

/// As it is: the form has no markup.
pub(super) fn verbatim(character: char, out: &mut String) {
    out.push(character);
}

/// What HTML shows as this text, in an element or an attribute.
pub(super) fn html(character: char, out: &mut String) {
    match character {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        other => out.push(other),
    }
}

pub(super) fn escaped(text: &str, escape: Escape) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        escape(character, &mut out);
    }
    out
}

/// One text, escaped and at most so long.
pub(super) fn text(text: &str, limit: usize, escape: Escape, measure: Measure) -> String {
    let whole = escaped(text, escape);
    if measure(&whole) <= limit {
        return whole;
    }
    let mut room = limit.saturating_sub(measure(CUT));
    let mut cut = String::new();
    let mut piece = String::new();
    for character in text.chars() {
        piece.clear();
        escape(character, &mut piece);
        let Some(left) = room.checked_sub(measure(&piece)) else {
            break;
        };
        room = left;
        cut.push_str(&piece);
    }
    cut.push_str(CUT);
    cut
}

/// Lines, each after `bullet`, escaped and together at most so long; those that are left out are counted.
pub(super) fn lines(
    lines: &[String],
    bullet: &str,
    limit: usize,
    escape: Escape,
    measure: Measure,
) -> String {
    let mut out = String::new();
    let mut room = limit.saturating_sub(REST);
    for (line, index) in lines.iter().zip(0..) {
        let before = measure(bullet) + usize::from(index > 0);
        let left = room.saturating_sub(before);
        if left < WORTH {
            let _ = write!(out, "\n… and {} more", lines.len() - index);
            break;
        }
        let fitted = text(line, left, escape, measure);
        if index > 0 {
            out.push('\n');
        }
        out.push_str(bullet);
        out.push_str(&fitted);
        room = left - measure(&fitted);
    }
    out
}
