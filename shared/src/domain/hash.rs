//! Short names for long things.

use sha2::{Digest as _, Sha256};

/// The first `digits` hexadecimal digits, at most 16, of the SHA-256 of a text.
pub(super) fn short_hash(text: &str, digits: usize) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let number = hash
        .iter()
        .take(8)
        .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    format!("{number:016x}").chars().take(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::short_hash;

    #[test]
    fn it_is_what_sha256sum_prints_first() {
        assert_eq!(short_hash("abc", 16), "ba7816bf8f01cfea");
        assert_eq!(short_hash("abc", 8), "ba7816bf");
    }
}
