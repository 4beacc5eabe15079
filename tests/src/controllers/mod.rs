//! The controllers and the kubelet of the sandbox: what makes Deployments, Jobs and the rest come alive.
//!
//! [`run`] holds the loop that feeds the controllers, one file or folder each. The kubelet runs beside it. They meet
//! in the store only, as in a real cluster.

pub mod cluster;
pub mod cronjob;
pub mod daemonset;
pub mod deployment;
pub mod events;
pub mod garbage_collector;
pub mod handle;
pub mod hashing;
pub mod index;
pub mod job;
pub mod key;
pub mod kubelet;
pub mod pods;
pub mod queue;
pub mod replicaset;
pub mod revisions;
pub mod run;
pub mod statefulset;

pub use handle::{ControllerOptions, Controllers};
pub use kubelet::logs::Logs;
pub use kubelet::node::KubeconfigHook;
