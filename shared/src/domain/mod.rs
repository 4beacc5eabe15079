//! Pure decisions: values in, values with their reasons out.
//!
//! Nothing here waits, reads a clock, an environment variable or a file, or knows a client.

pub mod policy;
pub mod reference;
pub mod tag;
