//! What Kubefresh's two programs agree on.
//!
//! - [`domain`] decides. It is pure: no async, no clock, no environment, no client. Read it in the order of its modules.
//! - `io` (feature `io`) is the input and output that both programs need: TLS, telemetry, the Kubernetes client, records.
//!
//! Invariant: `io` may use `domain`, and `domain` never uses `io`. `cargo check -p shared --no-default-features` holds it.

pub mod domain;
#[cfg(feature = "io")]
pub mod io;
