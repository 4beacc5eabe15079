//! An embedded Kubernetes API server: in memory, over real TLS, real enough for kube-rs and kubectl.

mod decode;
mod defaults;
pub mod error;
mod history;
mod names;
pub mod resources;
pub mod store;
pub mod strategy;
mod validation;
