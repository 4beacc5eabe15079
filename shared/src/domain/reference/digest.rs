//! The digest of a manifest or an index.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ReferenceError;

/// How many hexadecimal digits [`Digest::short`] keeps.
const SHORT_LENGTH: usize = 12;

/// A content digest, `algorithm:hex`, with a known algorithm and lower-case digits of that algorithm's length.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// The whole digest, `sha256:…`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the colon: `sha256`.
    pub fn algorithm(&self) -> &str {
        self.0.split_once(':').map_or("", |(algorithm, _)| algorithm)
    }

    /// The part after the colon.
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, hex)| hex)
    }

    /// Enough of the digest for a person to recognise it: `sha256:0123456789ab`.
    pub fn short(&self) -> &str {
        &self.0[..self.0.len().min(self.algorithm().len() + 1 + SHORT_LENGTH)]
    }

    fn check(written: &str) -> Result<(), ReferenceError> {
        let malformed = || ReferenceError::Digest {
            digest: written.to_owned(),
        };
        let (algorithm, hex) = written.split_once(':').ok_or_else(malformed)?;
        let is_algorithm = |b: u8| b.is_ascii_alphanumeric() || b"+._-".contains(&b);
        if algorithm.is_empty() || hex.is_empty() || !algorithm.bytes().all(is_algorithm) {
            return Err(malformed());
        }
        let expected = hex_length(algorithm).ok_or_else(|| ReferenceError::DigestAlgorithm {
            digest: written.to_owned(),
            algorithm: algorithm.to_owned(),
        })?;
        if !hex
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            return Err(malformed());
        }
        if hex.len() != expected {
            return Err(ReferenceError::DigestLength {
                digest: written.to_owned(),
                algorithm: algorithm.to_owned(),
                length: hex.len(),
                expected,
            });
        }
        Ok(())
    }
}

/// The algorithms a registry may use, with the number of hexadecimal digits of their results.
fn hex_length(algorithm: &str) -> Option<usize> {
    match algorithm {
        "sha256" => Some(64),
        "sha384" => Some(96),
        "sha512" => Some(128),
        _ => None,
    }
}

impl FromStr for Digest {
    type Err = ReferenceError;

    fn from_str(written: &str) -> Result<Self, ReferenceError> {
        Self::check(written)?;
        Ok(Self(written.to_owned()))
    }
}

impl TryFrom<String> for Digest {
    type Error = ReferenceError;

    fn try_from(written: String) -> Result<Self, ReferenceError> {
        Self::check(&written)?;
        Ok(Self(written))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Digest {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
