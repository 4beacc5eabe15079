//! How keys are compared where they are not read as versions (rule 12), and which way is up.

use std::cmp::Ordering;
use std::str::FromStr;

/// What `tag-order` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TagOrder {
    pub(super) by: OrderBy,
    pub(super) direction: Direction,
}

/// What keys are read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum OrderBy {
    Semver,
    Numeric,
    Alphabetical,
}

/// Which end is the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString)]
#[strum(ascii_case_insensitive)]
pub(super) enum Direction {
    /// The greatest.
    #[strum(serialize = "asc")]
    Ascending,
    /// The least.
    #[strum(serialize = "desc")]
    Descending,
}

impl Direction {
    /// The order of keys from the oldest to the newest.
    pub(super) fn apply(self, ascending: Ordering) -> Ordering {
        match self {
            Self::Ascending => ascending,
            Self::Descending => ascending.reverse(),
        }
    }
}

impl FromStr for TagOrder {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let (by, direction) = written.split_once(':').unwrap_or((written, "asc"));
        match (by.parse(), direction.parse()) {
            (Ok(by), Ok(direction)) => Ok(Self { by, direction }),
            _ => Err(
                "write semver, numeric or alphabetical, and :asc (the greatest is the newest, \
                      the default) or :desc after it, such as numeric:asc"
                    .to_owned(),
            ),
        }
    }
}

/// A decimal number of any length and precision: no two different ones are ever taken for equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number {
    is_negative: bool,
    /// Without leading zeros.
    whole: String,
    /// Without trailing zeros.
    fraction: String,
}

impl FromStr for Number {
    type Err = ();

    fn from_str(written: &str) -> Result<Self, ()> {
        let (is_negative, digits) = match written.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, written.strip_prefix('+').unwrap_or(written)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !are_digits(whole) || !are_digits(fraction) {
            return Err(());
        }
        let whole = whole.trim_start_matches('0').to_owned();
        let fraction = fraction.trim_end_matches('0').to_owned();
        Ok(Self {
            is_negative: is_negative && !(whole.is_empty() && fraction.is_empty()),
            whole,
            fraction,
        })
    }
}

impl Number {
    /// Compares as the number without its sign does: more digits are more, and digits of equal length compare as text.
    fn size(&self) -> (usize, &str, &str) {
        (self.whole.len(), &self.whole, &self.fraction)
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.size().cmp(&other.size()),
            (true, true) => other.size().cmp(&self.size()),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Compares texts as people do: digits as numbers, the rest by bytes. Total, and `Equal` only for texts that differ in
/// nothing but leading zeros.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        let ((run_a, rest_a), (run_b, rest_b)) = (first_run(a), first_run(b));
        let is_number = |run: &str| run.starts_with(|c: char| c.is_ascii_digit());
        let order = if is_number(run_a) && is_number(run_b) {
            let (digits_a, digits_b) = (run_a.trim_start_matches('0'), run_b.trim_start_matches('0'));
            digits_a
                .len()
                .cmp(&digits_b.len())
                .then_with(|| digits_a.cmp(digits_b))
        } else {
            run_a.cmp(run_b)
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// Whether two texts differ in nothing but the numbers in them.
pub(super) fn differ_in_numbers(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a, b);
    while !a.is_empty() && !b.is_empty() {
        let ((run_a, rest_a), (run_b, rest_b)) = (first_run(a), first_run(b));
        let are_numbers = [run_a, run_b].map(|run| run.starts_with(|c: char| c.is_ascii_digit()));
        if are_numbers != [true, true] && run_a != run_b {
            return false;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.is_empty() && b.is_empty()
}

/// The digits, or the other characters, that a text starts with.
fn first_run(text: &str) -> (&str, &str) {
    let starts_with_digit = text.as_bytes()[0].is_ascii_digit();
    let end = text
        .bytes()
        .position(|b| b.is_ascii_digit() != starts_with_digit)
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(written: &str) -> Number {
        written
            .parse()
            .unwrap_or_else(|()| panic!("{written} is a number"))
    }

    #[test]
    fn numbers_are_compared_by_value_however_long_they_are() {
        let ascending = [
            "-10",
            "-9.5",
            "-9",
            "0",
            "0.6",
            "0.607",
            "0.62",
            "1",
            "9",
            "10",
            "1606364286",
            "99999999999999999999",
            "100000000000000000000",
        ];
        for pair in ascending.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
        }
        for (one, other) in [
            ("007", "7"),
            ("1.50", "1.5"),
            ("-0", "0"),
            ("+3", "3"),
            ("2.0", "2"),
        ] {
            assert_eq!(number(one), number(other));
        }
    }

    #[test]
    fn what_is_no_plain_decimal_is_no_number() {
        for written in [
            "", "-", ".", "1.", ".5", "1e5", "0x10", "inf", "NaN", "1.2.3", "v1", "1 ", "١",
        ] {
            assert_eq!(written.parse::<Number>(), Err(()), "{written:?}");
        }
    }

    #[test]
    fn natural_order_counts_digits_and_spells_the_rest() {
        let ascending = [
            "",
            "-debian-10-r9",
            "-debian-10-r39",
            "-debian-11-r1",
            "-xx",
            "-yy",
        ];
        for pair in ascending.windows(2) {
            assert_eq!(natural(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(natural(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(natural("r007", "r7"), Ordering::Equal);
    }

    #[test]
    fn texts_differ_in_numbers_where_all_else_is_equal() {
        for (one, other, expected) in [
            ("latest.20241321", "latest.20251321", true),
            ("build-9x", "build-10x", true),
            ("latest", "latest1", false),
            ("latest", "main", false),
            ("a1b2", "a1b", false),
            ("1a", "a1", false),
            ("", "", true),
        ] {
            assert_eq!(differ_in_numbers(one, other), expected, "{one} {other}");
            assert_eq!(differ_in_numbers(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn an_order_is_a_word_with_a_direction() {
        for (written, by, direction) in [
            ("semver", OrderBy::Semver, Direction::Ascending),
            ("numeric:asc", OrderBy::Numeric, Direction::Ascending),
            ("alphabetical:desc", OrderBy::Alphabetical, Direction::Descending),
        ] {
            assert_eq!(written.parse(), Ok(TagOrder { by, direction }));
        }
        for written in [
            "",
            "invalid",
            "numeric:",
            "numeric:up",
            ":asc",
            "Numeric",
            "alphabetical:invalid",
        ] {
            assert!(written.parse::<TagOrder>().is_err(), "{written:?}");
        }
    }
}
