//! The updater: gives workloads newer images and follows each rollout to its end.
//!
//! What is to be done is decided in `shared::domain`; this crate is the edges around it. In reading order:
//!
//! - [`cli`]: what people can tell it; [`commands`]: what it answers on a command line; [`app`]: the tasks, put together and watched over.
//! - [`watch`]: the cluster as [`store`]s of [`views`] that follow it; [`leader`]: who may act.
//! - [`reconcile`]: the loop, and the table of contents of everything below.
//! - [`gather`]: stores to a snapshot; [`pods`]: what pods say, where a plan depends on it; [`notify`]: tells people;
//!   [`outbox`] and [`webhook`]: other programs; [`apply`]: changes
//!   workloads; [`scans`]: asks for scans; [`notes`], `forge` and `summarise`: fetch release notes and have them summarised.
//! - [`health`], [`metrics`], [`http`]: what others can see of it; [`web`]: the pages for people; [`signals`]: these, as the tasks share them.
//!
//! Invariants: only [`apply`] changes a workload, and `decisions` what people decide of one, on a page or by a command; only [`notify`] and `decisions` make Events, only [`scans`] makes Jobs, only
//! [`outbox`] writes the record of messages and only [`notes`] those of release notes, and all ask [`leader`] at
//! the moment of each write. Nothing here talks to a registry or reads a Secret.

pub mod cli;

pub mod commands;

pub mod app;
pub mod client;

pub mod leader;
pub mod store;
pub mod views;
pub mod watch;

pub mod reconcile;

pub mod apply;
pub mod channels;
pub mod gather;
pub mod nodes;
pub mod notes;
pub mod notify;
pub mod outbox;
mod outgoing;
pub mod pods;
pub mod receivers;
pub mod scans;
pub mod webhook;

pub mod health;
pub mod http;
pub mod metrics;
pub mod signals;
pub mod web;

mod answer;
#[cfg(test)]
mod answering;
mod api;
mod decisions;
#[cfg(test)]
mod fixture;
mod forge;
mod post;
mod random;
mod replica_sets;
mod retry;
mod summarise;
mod tasks;
