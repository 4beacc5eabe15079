//! The little chance this program needs: an identity for each start, and pauses that differ between replicas.
//!
//! The standard library seeds its hash maps from the operating system; nothing here guards a secret.

use std::hash::{BuildHasher as _, RandomState};

/// A number that no other start of the process shares.
pub(crate) fn nonce() -> u64 {
    // The thread's first `RandomState` is seeded by the system and each further one counts on from it.
    RandomState::new().hash_one(std::process::id())
}

/// A number from 0 to 255.
pub(crate) fn byte() -> u8 {
    nonce().to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nonces_differ() {
        assert_ne!(nonce(), nonce());
    }
}
