//! The name of a tag, as a registry publishes it.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ReferenceError;

/// The most characters a tag may have.
const MAX_LENGTH: usize = 128;

/// A tag's name: `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`, kept byte for byte.
///
/// The order of this type is by bytes, which is good for maps and says nothing about versions: see
/// [`TagVersion`](crate::domain::tag::TagVersion).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

impl Tag {
    /// The tag that a pull uses when none is written.
    pub fn latest() -> Self {
        Self("latest".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name that stands in a list which somebody wrote down, for a question about that list and for nothing else: it is
    /// printable, has no spaces and is no longer than a tag, but a registry need not be able to publish it. `None` for
    /// anything else.
    pub fn as_listed(name: &str) -> Option<Self> {
        let is_printable = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
        (is_printable && name.len() <= MAX_LENGTH).then(|| Self(name.to_owned()))
    }

    fn check(written: &str) -> Result<(), ReferenceError> {
        let Some(&first) = written.as_bytes().first() else {
            return Err(ReferenceError::EmptyTag);
        };
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if !is_word(first) || !written.bytes().all(|b| is_word(b) || b == b'.' || b == b'-') {
            return Err(ReferenceError::Tag {
                tag: written.to_owned(),
            });
        }
        if written.len() > MAX_LENGTH {
            return Err(ReferenceError::TagTooLong {
                tag: written.to_owned(),
                length: written.len(),
            });
        }
        Ok(())
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(written: &str) -> Result<Self, ReferenceError> {
        Self::check(written)?;
        Ok(Self(written.to_owned()))
    }
}

impl TryFrom<String> for Tag {
    type Error = ReferenceError;

    fn try_from(written: String) -> Result<Self, ReferenceError> {
        Self::check(&written)?;
        Ok(Self(written))
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Tag {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Tag {
    fn borrow(&self) -> &str {
        &self.0
    }
}
