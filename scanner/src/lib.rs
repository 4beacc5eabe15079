//! The scanner: one bounded pass over the registries that the cluster's watched workloads use.
//!
//! In reading order: [`cli`] says what it can be told, [`inventory`] reads which repositories are in use, [`registry`]
//! asks a registry, `pass` goes from one to the other and writes the records, and [`run`] is the whole of it, from the
//! cluster's client to the `summary` line.
//!
//! It reads workloads and can change nothing but its own records. [`check`], [`explain`] and [`records`] are commands
//! for people; the first two need no cluster.

pub mod check;
pub mod cli;
pub mod credentials;
pub mod explain;
pub mod inventory;
mod known;
mod memory;
mod order;
mod pass;
mod queue;
pub mod reach;
pub mod records;
pub mod registries;
pub mod registry;
mod registry_memories;
pub mod run;
mod scan_one;
mod schedules;
mod stored;
mod summary;
