//! Names of images: parse, normalise, print.
//!
//! [`ImageReference`] is what stands in a workload's `image:` field. It prints back exactly as it was written, and
//! knows the [`Repository`] it means after Docker's short forms are spelled out (`nginx` is
//! `docker.io/library/nginx`). The grammar is that of the distribution project, which containerd, CRI-O and Docker
//! share, so that what is accepted here is what a kubelet can pull.
//!
//! This is not the place where a tag is understood as a version: see [`crate::domain::tag`].

mod digest;
mod error;
mod repository;
mod tag_name;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use digest::Digest;
pub use error::ReferenceError;
pub use repository::Repository;
pub use tag_name::Tag;

/// An image as a workload names it: `name[:tag][@digest]`.
///
/// Parsing and printing round-trip byte for byte. Two spellings of the same image (`nginx` and
/// `docker.io/library/nginx:latest`) are different values of this type; compare [`repository`](Self::repository) and
/// [`effective_tag`](Self::effective_tag) to ask whether they mean the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageReference {
    /// The name as written, without tag and digest.
    name: String,
    repository: Repository,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl ImageReference {
    /// The name as written, without tag and digest.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The repository meant, with Docker's short forms spelled out.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag as written, if one was.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest as written, if one was.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The tag that a pull would use: the written one, or `latest` when neither a tag nor a digest is given.
    ///
    /// `None` means the image is named by its digest alone.
    pub fn effective_tag(&self) -> Option<Tag> {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => Some(tag.clone()),
            (None, Some(_)) => None,
            (None, None) => Some(Tag::latest()),
        }
    }

    /// Its text, in one piece: every decision has it, at every look.
    pub fn text(&self) -> String {
        let tag = self.tag.as_ref().map_or(["", ""], |tag| [":", tag.as_str()]);
        let digest = self
            .digest
            .as_ref()
            .map_or(["", ""], |digest| ["@", digest.as_str()]);
        [self.name.as_str(), tag[0], tag[1], digest[0], digest[1]].concat()
    }

    /// The text of [`with_tag`](Self::with_tag), made without the image: every update that waits needs it at every look.
    pub fn text_with_tag(&self, tag: &Tag) -> String {
        [self.name.as_str(), ":", tag.as_str()].concat()
    }

    /// The same image, spelled the same way, at another tag. A digest belongs to the old tag and is dropped.
    #[must_use]
    pub fn with_tag(&self, tag: &Tag) -> Self {
        Self {
            name: self.name.clone(),
            repository: self.repository.clone(),
            tag: Some(tag.clone()),
            digest: None,
        }
    }

    /// The same image, spelled the same way, at another tag and pinned to a digest.
    #[must_use]
    pub fn with_tag_and_digest(&self, tag: &Tag, digest: &Digest) -> Self {
        Self {
            digest: Some(digest.clone()),
            ..self.with_tag(tag)
        }
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    fn from_str(written: &str) -> Result<Self, ReferenceError> {
        refuse_what_is_no_reference_at_all(written)?;
        let (name_and_tag, digest) = match written.split_once('@') {
            Some((before, digest)) => (before, Some(digest.parse()?)),
            None => (written, None),
        };
        // A colon before the last slash is a port, or a mistake that the name's own grammar reports.
        let last_component = name_and_tag.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match name_and_tag[last_component..].rfind(':') {
            Some(colon) => {
                let colon = last_component + colon;
                (&name_and_tag[..colon], Some(name_and_tag[colon + 1..].parse()?))
            }
            None => (name_and_tag, None),
        };
        let repository = repository::normalise(name)?;
        Ok(Self {
            name: name.to_owned(),
            repository,
            tag,
            digest,
        })
    }
}

impl TryFrom<String> for ImageReference {
    type Error = ReferenceError;

    fn try_from(written: String) -> Result<Self, ReferenceError> {
        written.parse()
    }
}

impl From<ImageReference> for String {
    fn from(reference: ImageReference) -> Self {
        reference.to_string()
    }
}

/// Mistakes that deserve a better message than the one the grammar would give further in.
fn refuse_what_is_no_reference_at_all(written: &str) -> Result<(), ReferenceError> {
    if written.is_empty() {
        return Err(ReferenceError::Empty);
    }
    if written.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(ReferenceError::Whitespace {
            reference: written.to_owned(),
        });
    }
    if written.contains("://") {
        return Err(ReferenceError::Scheme {
            reference: written.to_owned(),
        });
    }
    // Docker reads these as an image identifier, never as a repository on Docker Hub.
    if written.len() == 64
        && written
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    {
        return Err(ReferenceError::BareIdentifier {
            reference: written.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
