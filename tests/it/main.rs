//! The end-to-end tests: one binary, one module for each part.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken fixture should stop the test where it stands"
)]

mod apiserver;
mod browser;
mod check;
mod controllers;
mod defaults;
mod e2e;
mod explain;
mod itself;
mod kinds;
mod kubectl;
mod manifests;
mod output;
mod records;
mod registry;
mod registry_client;
mod registry_tools;
mod restart;
mod scan_on_demand;
mod scanner;
mod shop;
mod tools;
mod updater;
