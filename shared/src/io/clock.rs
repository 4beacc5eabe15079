//! The one place in this crate that reads the time.

use jiff::Timestamp;

/// The present moment, to be passed on as an argument.
#[expect(
    clippy::disallowed_methods,
    reason = "the edges read the clock here, so that decisions need not"
)]
pub fn now() -> Timestamp {
    Timestamp::now()
}
