//! An embedded Kubernetes API server: in memory, over real TLS, real enough for kube-rs and kubectl.

pub mod error;
mod history;
pub mod resources;
pub mod store;
pub mod strategy;
