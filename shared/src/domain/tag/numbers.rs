//! The version numbers of a tag (rule 2).

use super::calendar;
use super::family::{HASH_DIGITS, Layout, Shape};

/// The numbers at the start of a text, and how many bytes they take.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) values: Vec<u64>,
    pub(super) shape: Shape,
    pub(super) length: usize,
}

const YEAR_AND_MONTH: &str = "9999-99";
/// Dates and times with separators; `9` stands for a digit.
const TIMESTAMPS: [&str; 6] = [
    "9999-99-99T99-99-99Z",
    "9999-99-99",
    YEAR_AND_MONTH,
    "99999999T999999Z",
    "99999999T9999Z",
    "99999999-999999",
];

/// As many digits are no date, no time and no hash yet (rules 6 and 7).
const PLAIN_DIGITS: usize = 5;

/// What every date begins with; spares most tags the templates.
const CENTURY: &str = "20";

/// Reads the numbers at the start of `text`, which begins with a digit. `None` if they do not fit 64 bits.
pub(super) fn read(text: &str) -> Option<Numbers> {
    if text.starts_with(CENTURY)
        && let Some(timestamp) = TIMESTAMPS
            .iter()
            .find_map(|template| read_timestamp(text, template))
    {
        return Some(timestamp);
    }
    let mut values = Vec::with_capacity(4);
    let mut length = 0;
    loop {
        let written = leading_digits(&text[length..]);
        values.push(written.parse().ok()?);
        length += written.len();
        match text[length..].strip_prefix('.') {
            Some(next) if next.starts_with(|c: char| c.is_ascii_digit()) && !starts_with_hash(next) => {
                length += 1;
            }
            _ => break,
        }
    }
    if let ([_], Some(update)) = (values.as_slice(), java_update(&text[length..])) {
        values.push(update.parse().ok()?);
        let shape = Shape::fixed(Layout::JavaUpdate, values.len());
        return Some(Numbers {
            values,
            shape,
            length: length + 1 + update.len(),
        });
    }
    let parts = text.as_bytes()[..length].split(|byte| *byte == b'.');
    let shape = Shape::dotted(&values, parts.map(<[u8]>::len));
    Some(Numbers {
        values,
        shape,
        length,
    })
}

/// The same where `text` is nothing but several short numbers and the dots between them, which is most often so and soon told.
pub(super) fn read_plain(text: &str) -> Option<Numbers> {
    let (mut values, mut value, mut digits) = (Vec::with_capacity(4), 0, 0);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' if digits < PLAIN_DIGITS => {
                value = 10 * value + u64::from(byte - b'0');
                digits += 1;
            }
            b'.' if digits > 0 => {
                values.push(value);
                (value, digits) = (0, 0);
            }
            _ => return None,
        }
    }
    if digits == 0 || values.is_empty() {
        return None;
    }
    values.push(value);
    let parts = text.split('.').map(str::len);
    let shape = Shape::dotted(&values, parts);
    let length = text.len();
    Some(Numbers {
        values,
        shape,
        length,
    })
}

/// The digits that `text` starts with.
pub(super) fn leading_digits(text: &str) -> &str {
    let end = text
        .bytes()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    &text[..end]
}

/// Whether `text` starts with a word that can only be a commit hash: hexadecimal, with letters and digits, at least as
/// long as git's abbreviation, and no date with something glued to it (rule 6).
pub(super) fn starts_with_hash(text: &str) -> bool {
    let end = text
        .bytes()
        .position(|b| !b.is_ascii_alphanumeric())
        .unwrap_or(text.len());
    let word = &text[..end];
    (HASH_DIGITS..=64).contains(&word.len())
        && word
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        && word.bytes().any(|b| b.is_ascii_digit())
        && word.bytes().any(|b| b.is_ascii_lowercase())
        && !starts_with_date(word)
}

/// Whether `text` starts with a date down to the day, with or without separators. No name ends in such a number.
pub(super) fn starts_with_full_date(text: &str) -> bool {
    let mut timestamps = TIMESTAMPS
        .into_iter()
        .filter(|&template| template != YEAR_AND_MONTH);
    text.starts_with(CENTURY)
        && (starts_with_date(text) || timestamps.any(|template| read_timestamp(text, template).is_some()))
}

fn starts_with_date(word: &str) -> bool {
    let digits = leading_digits(word);
    digits
        .parse()
        .is_ok_and(|value| calendar::is_date(digits.len(), value, false))
}

/// The update number of Java 8's `8u402`, given what follows the `8`.
fn java_update(text: &str) -> Option<&str> {
    let update = leading_digits(text.strip_prefix('u')?);
    let ends = !text[1 + update.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.');
    (!update.is_empty() && ends).then_some(update)
}

fn read_timestamp(text: &str, template: &'static str) -> Option<Numbers> {
    let written = text.get(..template.len())?;
    let fits = |(byte, place): (u8, u8)| {
        if place == b'9' {
            byte.is_ascii_digit()
        } else {
            byte == place
        }
    };
    let ends = !text[template.len()..].starts_with(|c: char| c.is_ascii_alphanumeric());
    if !ends || !written.bytes().zip(template.bytes()).all(fits) {
        return None;
    }
    let parts = written
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty());
    let values: Vec<u64> = parts.map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let is_date = match *values.as_slice() {
        [year, month, day, ..] => calendar::is_year_month_day(year, month, day),
        [year, month] if calendar::is_year(year) => calendar::is_year_month_day(year, month, 1),
        [day, _] => calendar::is_date(8, day, true),
        _ => false,
    };
    let shape = Shape::fixed(Layout::Timestamp(template), values.len());
    is_date.then_some(Numbers {
        values,
        shape,
        length: template.len(),
    })
}
