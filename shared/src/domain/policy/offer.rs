//! A published tag, with what the caller happens to know of it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::hold::Hold;
use crate::domain::reference::{Digest, Tag};

/// A published tag. What is not known of it is `None`.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    pub tag: &'a Tag,
    /// When our own scanner saw it first.
    pub first_seen: Option<Timestamp>,
    /// What it points at.
    pub digest: Option<&'a Digest>,
    /// When our own scanner saw first that it points there.
    pub digest_first_seen: Option<Timestamp>,
    /// What it points at, or did when somebody looked last.
    pub last_digest: Option<&'a Digest>,
    /// What it can run on, as `os/architecture[/variant]`, each with its manifest.
    pub platforms: Option<&'a BTreeMap<String, Digest>>,
}

impl<'a> From<&'a Tag> for Offer<'a> {
    fn from(tag: &'a Tag) -> Self {
        Self {
            tag,
            first_seen: None,
            digest: None,
            digest_first_seen: None,
            last_digest: None,
            platforms: None,
        }
    }
}

impl Offer<'_> {
    /// Whether a node with this `os/architecture` could run it, as far as is known. Nodes do not say which variant of an
    /// architecture they are, and the container runtime takes the best that fits.
    pub fn runs_on(&self, node: &str) -> bool {
        self.platforms
            .is_none_or(|platforms| platforms.keys().any(|platform| suits(platform, node)))
    }
}

/// Whether an image for a platform, which may name a variant or the version of the system, may run on a node, which names neither.
pub fn suits(platform: &str, node: &str) -> bool {
    fn base(platform: &str) -> (Option<&str>, Option<&str>) {
        let mut parts = platform.splitn(3, '/');
        let system = parts.next().and_then(|os| os.split('(').next());
        (system, parts.next())
    }
    base(platform) == base(node)
}

/// What stands against a tag although the policy would have it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conditions<'a> {
    /// How long ago our scanner must have seen a tag first, or under `digest` what it points at; `None` asks nothing.
    pub maturity: Option<Maturity>,
    /// What is never to be offered.
    pub held: &'a [Hold],
    /// The platforms of the nodes, each as `os/architecture`: a tag must run on all of them. A tag of which they are not
    /// known is not asked.
    pub node_platforms: &'a [String],
}

/// How old a tag must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maturity {
    pub min_age: SignedDuration,
    pub now: Timestamp,
}
