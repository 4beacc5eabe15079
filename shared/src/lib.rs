//! What the two programs agree on.
//!
//! [`domain`] decides and nothing else: no async, no clock, no environment, no client. [`io`] gathers and carries
//! out, and exists only behind the feature of that name. `io` may use `domain`, never the other way round.

pub mod domain;
#[cfg(feature = "io")]
pub mod io;
