//! The sandbox: an embedded Kubernetes API server and image registry, real enough that the unchanged
//! `kubefresh-scanner`, `kubefresh-updater` and `kubectl` work against it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken fixture should stop the test where it stands"
)]

pub mod apiserver;
pub mod browser;
mod certificates;
pub mod clock;
pub mod cluster;
pub mod controllers;
pub mod demo;
pub mod docker_registry;
pub mod forge;
pub mod manifests;
pub mod network;
pub mod openai;
pub mod patch;
pub mod programs;
pub mod prometheus;
pub mod receiver;
pub mod registry;
mod server;
pub mod smtp;
