//! The input and output that both programs share. Decisions live in `domain`, never here.

pub mod arguments;
pub mod cause;
pub mod client;
pub mod clock;
pub mod list;
pub mod manifest;
pub mod record_store;
pub mod shutdown;
pub mod source;
pub mod telemetry;
pub mod terminal;
pub mod tls;
