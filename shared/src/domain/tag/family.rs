//! What two tags must share to be versions of the same thing.

use std::fmt;

use super::calendar::{self, Precision};

/// The ladder a version stands on: text prefix, number of components, kind of numbers, variant suffix.
///
/// Prints as a pattern in which `*` stands for a number and `<date>` for a date: `v*.*.*-alpine`, `<date>-slim`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Family {
    pub(super) prefix: String,
    pub(super) shape: Shape,
    /// What follows the numbers, without prerelease markers, and with `*` or `<date>` where a build counter stood.
    pub(super) suffix: String,
}

/// The first thing in which two families differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// The text before the numbers (rules 1 and 3).
    Prefix,
    /// The number of components, or how they are joined (rule 2).
    Components,
    /// The text after the numbers (rule 3).
    Suffix,
    /// One counts in dates, the other does not (rule 7).
    Dates,
}

/// Two prefixes that may stand for one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// Byte for byte the same.
    Same,
    /// One has a `v` before the number, the other has not.
    OtherV,
}

impl Family {
    /// The first thing in which this family differs from another, `None` if they are the same.
    pub fn difference(&self, other: &Self) -> Option<Difference> {
        if self.prefix == other.prefix {
            self.difference_after_prefix(other)
        } else {
            Some(Difference::Prefix)
        }
    }

    /// Whether the two differ in nothing but a `v` before the numbers (rule 1).
    pub fn is_other_spelling_of(&self, other: &Self) -> bool {
        self.spelling(&other.prefix) == Some(Spelling::OtherV)
            && self.difference_after_prefix(other).is_none()
    }

    /// The text before the numbers.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether nothing but prerelease markers follows the numbers.
    pub fn has_no_suffix(&self) -> bool {
        self.suffix.is_empty()
    }

    /// Whether a number in it is a date, or too long to have been counted up to (rule 7).
    pub fn counts_in_dates(&self) -> bool {
        self.shape.counts_in_dates()
    }

    /// The first thing in which this family differs from another, where neither a `v` nor the number of components
    /// counts.
    pub fn difference_but_components(&self, other: &Self) -> Option<Difference> {
        if self.spelling(&other.prefix).is_none() {
            Some(Difference::Prefix)
        } else if self.suffix != other.suffix {
            Some(Difference::Suffix)
        } else if self.shape.calendar() != other.shape.calendar() {
            Some(Difference::Dates)
        } else {
            None
        }
    }

    /// The first thing in which this family differs from another, where neither a `v` nor the suffix counts.
    pub fn difference_before_suffix(&self, other: &Self) -> Option<Difference> {
        if self.spelling(&other.prefix).is_none() {
            Some(Difference::Prefix)
        } else if !self.shape.joins_alike(other.shape) {
            Some(Difference::Components)
        } else if self.shape != other.shape {
            Some(Difference::Dates)
        } else {
            None
        }
    }

    /// What this family has beside the numbers: nothing but a `v` is plain.
    pub fn difference_from_plain(&self) -> Option<Difference> {
        if !matches!(self.prefix.as_str(), "" | "v" | "V") {
            Some(Difference::Prefix)
        } else if !self.suffix.is_empty() {
            Some(Difference::Suffix)
        } else {
            None
        }
    }

    /// The family of versions whose parts are told apart already.
    pub(super) fn of_parts(components: usize, variant: &str) -> Self {
        Self {
            prefix: String::new(),
            shape: Shape::fixed(Layout::Dotted, components),
            suffix: variant.to_owned(),
        }
    }

    /// Whether tags with this prefix can belong to the family, and in which spelling (rule 1).
    pub(super) fn spelling(&self, prefix: &str) -> Option<Spelling> {
        if self.prefix == prefix {
            return Some(Spelling::Same);
        }
        match (
            self.prefix.strip_suffix(['v', 'V']),
            prefix.strip_suffix(['v', 'V']),
        ) {
            (Some(without), None) if without == prefix => Some(Spelling::OtherV),
            (None, Some(without)) if without == self.prefix => Some(Spelling::OtherV),
            _ => None,
        }
    }

    pub(super) fn difference_after_prefix(&self, other: &Self) -> Option<Difference> {
        if !self.shape.joins_alike(other.shape) {
            Some(Difference::Components)
        } else if self.suffix != other.suffix {
            Some(Difference::Suffix)
        } else if self.shape != other.shape {
            Some(Difference::Dates)
        } else {
            None
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prefix)?;
        self.shape.fmt(f)?;
        f.write_str(&self.suffix)
    }
}

/// How the numbers of a version are written: how many, joined how, and which of them are dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Shape {
    pub(super) components: usize,
    pub(super) layout: Layout,
    scale: Scale,
    /// One bit for each component that is a date. A tag has room for 64 components.
    dates: u64,
}

/// How the components are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Layout {
    /// `1.2.3`
    Dotted,
    /// `8u402`, Java's own way to write 8.0.402.
    JavaUpdate,
    /// A date or time with separators, by its template in [`super::numbers`].
    Timestamp(&'static str),
}

/// What kind of number leads, where that decides which ladder it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Scale {
    Ordinary,
    /// A year and more: `2024.10`, `2024.10.1`. A year alone is an ordinary number, for `2` may become `2023`.
    Year,
    /// A date; one of a day does not count on with one of an hour.
    Date(Precision),
    /// A single number too long to be counted up to from one and no date: most often a commit hash without letters.
    Opaque,
}

/// The fewest digits of an abbreviated commit hash.
pub(super) const HASH_DIGITS: usize = 7;

impl Shape {
    /// The shape of numbers joined by dots, given each with its number of digits as written.
    pub(super) fn dotted(numbers: &[u64], digits: impl Iterator<Item = usize>) -> Self {
        let alone = numbers.len() == 1;
        let mut dates = 0_u64;
        let mut first_digits = 0;
        let mut precision = None;
        for (index, (&number, digits)) in numbers.iter().zip(digits).enumerate().take(64) {
            if index == 0 {
                first_digits = digits;
            }
            if let Some(found) = calendar::precision(digits, number, alone) {
                dates |= 1 << index;
                precision = precision.or(Some(found));
            }
        }
        let scale = match numbers {
            _ if let Some(precision) = precision => Scale::Date(precision),
            [_] if first_digits >= HASH_DIGITS => Scale::Opaque,
            &[first, _, ..] if first_digits == 4 && calendar::is_year(first) => Scale::Year,
            _ => Scale::Ordinary,
        };
        Self {
            components: numbers.len(),
            layout: Layout::Dotted,
            scale,
            dates,
        }
    }

    /// What kind of numbers these are, however many.
    fn calendar(self) -> (Scale, Option<Layout>) {
        let timestamp = Some(self.layout).filter(|layout| matches!(layout, Layout::Timestamp(_)));
        (self.scale, timestamp)
    }

    fn counts_in_dates(self) -> bool {
        self.dates != 0 || self.scale == Scale::Opaque || matches!(self.layout, Layout::Timestamp(_))
    }

    /// Whether this is a single number that is no date.
    pub(super) fn is_lone_count(self) -> bool {
        self.components == 1 && self.layout == Layout::Dotted && self.dates == 0
    }

    /// Whether two versions have equally many components, joined in the same way (rule 2).
    pub(super) fn joins_alike(self, other: Self) -> bool {
        (self.components, self.layout) == (other.components, other.layout)
    }

    /// Whether it has several components, joined by dots.
    pub(super) fn is_dotted(self) -> bool {
        self.layout == Layout::Dotted && self.components > 1
    }

    /// The shape of numbers in a layout that leaves no doubt what they are.
    pub(super) fn fixed(layout: Layout, components: usize) -> Self {
        Self {
            components,
            layout,
            scale: Scale::Ordinary,
            dates: 0,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joint = match self.layout {
            Layout::Dotted => ".",
            Layout::JavaUpdate => "u",
            Layout::Timestamp(template) => return write!(f, "<{template}>"),
        };
        for index in 0..self.components {
            if index > 0 {
                f.write_str(joint)?;
            }
            let is_date = self.dates >> index.min(63) & 1 == 1;
            f.write_str(match self.scale {
                _ if is_date => "<date>",
                Scale::Year if index == 0 => "<year>",
                Scale::Ordinary | Scale::Year | Scale::Opaque | Scale::Date(_) => "*",
            })?;
        }
        Ok(())
    }
}
