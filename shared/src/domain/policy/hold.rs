//! What is never to be offered, whatever the policy says.

use std::fmt;
use std::str::FromStr;

use super::offer::Offer;
use super::ruler::Ruler;
use super::selection::{Rejection, SelectionRequest};
use crate::domain::reference::{Digest, ReferenceError, Tag};

/// Something that is never to be offered. Anything newer is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hold {
    /// `1.5.0`: this tag, whatever it points at.
    Tag(Tag),
    /// `sha256:…`: this image, under whatever name.
    Digest(Digest),
    /// `1.5.0@sha256:…`: this image, under whatever name; and the tag as long as nobody knows what it points at.
    Image(Tag, Digest),
    /// `<=1.5.0`: this tag and all that the policy calls older.
    UpTo(Tag),
}

/// What begins a hold on a tag with all that is older; no tag begins with it.
const UP_TO: &str = "<=";

impl FromStr for Hold {
    type Err = ReferenceError;

    fn from_str(written: &str) -> Result<Self, ReferenceError> {
        if let Some(tag) = written.strip_prefix(UP_TO) {
            tag.parse().map(Self::UpTo)
        } else if let Some((tag, digest)) = written.split_once('@') {
            Ok(Self::Image(tag.parse()?, digest.parse()?))
        } else if written.contains(':') {
            // A tag holds no colon and a digest always does.
            written.parse().map(Self::Digest)
        } else {
            written.parse().map(Self::Tag)
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "{tag}"),
            Self::Digest(digest) => write!(f, "{digest}"),
            Self::Image(tag, digest) => write!(f, "{tag}@{digest}"),
            Self::UpTo(tag) => write!(f, "{UP_TO}{tag}"),
        }
    }
}

impl Hold {
    /// As it is held against tags under the policy of a request.
    pub(super) fn under<'a>(&'a self, request: &SelectionRequest<'a>) -> HoldUnderPolicy<'a> {
        let ruler = match self {
            Self::Tag(_) | Self::Digest(_) | Self::Image(..) => None,
            Self::UpTo(tag) => {
                let from_there = SelectionRequest {
                    current: Some(tag),
                    ..*request
                };
                Ruler::new(&from_there).ok()
            }
        };
        HoldUnderPolicy { hold: self, ruler }
    }
}

/// A hold, and what says under a policy whether a tag is older.
pub(super) struct HoldUnderPolicy<'a> {
    hold: &'a Hold,
    /// `None` where nothing has to be compared, or nothing can be.
    ruler: Option<Ruler<'a>>,
}

impl HoldUnderPolicy<'_> {
    pub(super) fn applies_to(&self, offer: &Offer<'_>) -> bool {
        match self.hold {
            Hold::Tag(tag) => tag == offer.tag,
            Hold::Digest(digest) => is_image(offer, digest),
            Hold::Image(tag, digest) => {
                is_image(offer, digest) || (tag == offer.tag && offer.digest.is_none())
            }
            Hold::UpTo(tag) => {
                let is_older =
                    |ruler: &Ruler<'_>| ruler.measure(offer.tag).err() == Some(Rejection::NotNewer);
                tag == offer.tag || self.ruler.as_ref().is_some_and(is_older)
            }
        }
    }
}

/// Whoever copies a digest from a running pod may have that of its platform.
fn is_image(offer: &Offer<'_>, digest: &Digest) -> bool {
    let mut platforms = offer
        .platforms
        .into_iter()
        .flat_map(|platforms| platforms.values());
    offer.digest == Some(digest) || platforms.any(|platform| platform == digest)
}
