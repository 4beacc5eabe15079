//! Words that we gave out and know again: signed by a key that every replica has, each for one purpose.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// As many bytes as the hash has.
const SHORTEST_KEY: usize = 32;

/// A key for HMAC-SHA256. It is shown nowhere.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// A key that could be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it has {0} bytes, and a key needs {SHORTEST_KEY} at least; `openssl rand -base64 48` makes one")]
pub struct KeyTooShort(pub usize);

impl SigningKey {
    /// A key of these bytes. White space at both ends, which a file may have, does not count.
    pub fn new(bytes: &[u8]) -> Result<Self, KeyTooShort> {
        let bytes = bytes.trim_ascii();
        let too_short = KeyTooShort(bytes.len());
        if bytes.len() < SHORTEST_KEY {
            return Err(too_short);
        }
        Hmac::new_from_slice(bytes).map(Self).map_err(|_| too_short)
    }

    /// Words, and that they are ours: only characters that an address and a cookie may have.
    pub fn sign(&self, purpose: &str, words: &str) -> String {
        let words = URL_SAFE_NO_PAD.encode(words);
        let signature = self.over(purpose, &words).finalize().into_bytes();
        format!("{words}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The words again, if we gave them out for this purpose. Takes the same time however much of a forgery is right.
    pub fn open(&self, purpose: &str, token: &str) -> Option<String> {
        let (words, signature) = token.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.over(purpose, words).verify_slice(&signature).ok()?;
        String::from_utf8(URL_SAFE_NO_PAD.decode(words).ok()?).ok()
    }

    /// Whether two secrets are the same, in a time that says nothing of them.
    pub fn are_same(&self, one: &str, other: &str) -> bool {
        let one = self.over("compare", one).finalize().into_bytes();
        self.over("compare", other).verify_slice(&one).is_ok()
    }

    fn over(&self, purpose: &str, words: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(b"kubefresh ");
        mac.update(purpose.as_bytes());
        // No purpose has it, so that none runs over into the words.
        mac.update(b"\0");
        mac.update(words.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fill: u8) -> SigningKey {
        SigningKey::new(&[fill; 32]).unwrap()
    }

    #[test]
    fn what_was_signed_is_known_again_and_nothing_else_is() {
        let token = key(1).sign("link", "ä\u{0}words");
        assert_eq!(key(1).open("link", &token).as_deref(), Some("ä\u{0}words"));
        assert_eq!(key(2).open("link", &token), None);
        assert_eq!(key(1).open("session", &token), None);
        for index in 0..token.len() {
            for forged in ["A", "B", ".", "="] {
                let mut other = token.clone();
                other.replace_range(index..=index, forged);
                let opened = key(1).open("link", &other);
                assert!(other == token || opened.is_none(), "{other}");
            }
            assert_eq!(key(1).open("link", &token[..index]), None);
        }
    }

    #[test]
    fn a_key_that_could_be_guessed_is_none_and_the_line_end_of_its_file_does_not_count() {
        assert_eq!(SigningKey::new(b"secret\n").unwrap_err(), KeyTooShort(6));
        assert!(SigningKey::new(&[b' '; 64]).is_err());
        let with_line_end = SigningKey::new(&[[1_u8; 32].as_slice(), b"\n"].concat()).unwrap();
        assert_eq!(with_line_end.sign("a", "b"), key(1).sign("a", "b"));
        assert!(!format!("{:?}", key(65)).contains("65") && !format!("{:?}", key(65)).contains('A'));
    }

    #[test]
    fn secrets_are_compared_whole() {
        assert!(key(1).are_same("abc", "abc"));
        assert!(!key(1).are_same("abc", "abcd") && !key(1).are_same("", "abc"));
    }
}
