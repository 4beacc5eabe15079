//! The scanner: one bounded pass over the registries that the cluster's watched workloads use.
//!
//! In reading order: [`cli`] says what it can be told, [`inventory`] reads which repositories are in use, [`registry`]
//! asks a registry, [`run`] goes from one to the other and writes the records, [`summary`] says what came of it.
//!
//! It reads workloads and can change nothing but its own records.

pub mod cli;
pub mod inventory;
pub mod registry;
pub mod run;
pub mod scan_one;
pub mod summary;
