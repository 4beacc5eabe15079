//! Why a reference, or a part of one, is refused.

use thiserror::Error;

/// Why something is not an image reference, repository, tag or digest.
///
/// Every message quotes the part at fault and shows what a valid one looks like.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReferenceError {
    #[error("the image reference is empty; expected something like `nginx:1.25` or `ghcr.io/owner/app:v1`")]
    Empty,
    #[error(
        "image reference {reference:?} contains whitespace or control characters; expected something like `nginx:1.25`"
    )]
    Whitespace { reference: String },
    #[error(
        "image reference {reference:?} starts with a URL scheme; leave it out, as in `registry.example.com/app:v1`"
    )]
    Scheme { reference: String },
    #[error(
        "image reference {reference:?} is 64 hexadecimal digits, which is an image identifier; to name a repository, write its \
         registry too, as in `docker.io/library/<name>`"
    )]
    BareIdentifier { reference: String },
    #[error(
        "registry host {host:?} is not valid; expected letters, digits, dots and inner dashes, an IPv4 address or an IPv6 \
         address in brackets, then an optional port of digits, as in `registry.example.com:5000` or `[2001:db8::1]:5000`"
    )]
    Host { host: String },
    #[error(
        "repository {path:?} contains upper-case letters; only its registry host may, as in `Registry.example.com/team/app`"
    )]
    UppercasePath { path: String },
    #[error(
        "repository component {component:?} in {path:?} is not valid; expected lower-case letters and digits, with one `.`, one or \
         two `_` or any number of `-` between them, as in `team/my-app`"
    )]
    PathComponent { path: String, component: String },
    #[error("repository path is {length} characters long; at most 255 are allowed: {path:?}")]
    PathTooLong { path: String, length: usize },
    #[error("{name:?} carries a tag or a digest; a repository is the name alone, as in `ghcr.io/owner/app`")]
    NotARepository { name: String },
    #[error("the tag after `:` is empty; expected something like `nginx:1.25`")]
    EmptyTag,
    #[error("tag {tag:?} is {length} characters long; at most 128 are allowed")]
    TagTooLong { tag: String, length: usize },
    #[error(
        "tag {tag:?} is not valid; expected a letter, a digit or `_`, then letters, digits, `_`, `.` and `-`, as in `v1.2.3-alpine`"
    )]
    Tag { tag: String },
    #[error(
        "digest {digest:?} is not valid; expected an algorithm, a colon and lower-case hexadecimal digits, as in `sha256:0123…`"
    )]
    Digest { digest: String },
    #[error("digest algorithm {algorithm:?} in {digest:?} is not known; expected sha256, sha384 or sha512")]
    DigestAlgorithm { digest: String, algorithm: String },
    #[error("digest {digest:?} has {length} hexadecimal digits; {algorithm} has {expected}")]
    DigestLength {
        digest: String,
        algorithm: String,
        length: usize,
        expected: usize,
    },
}
