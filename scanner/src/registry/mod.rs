//! Asking registries which tags there are and what they point at.
//!
//! [`RegistryClient`] speaks the OCI distribution API and asks for as little as can be asked: one GET for a list of
//! tags, one HEAD for a digest, and never a `/v2/` ping. It keeps to each registry's pace ([`Limits`]), stops asking a
//! registry that said 429, and treats every reply as text from a stranger: sizes, redirects, links, tokens and digests
//! are checked before they are believed. Half an answer is an error.
//!
//! It asks anonymously first, and then with the credentials it was given for the repository. It decides nothing about updates and stores nothing.

mod access;
mod accounts;
mod challenge;
mod client;
mod clients;
mod digest_map;
mod endpoint;
mod error;
mod exchange;
mod first_turn;
mod learn;
mod limits;
mod link;
mod listing;
mod login;
mod names;
mod options;
mod outage;
mod pacer;
mod platforms;
mod problem;
mod restraint;
mod retry_after;
mod state;
mod tag_list;
mod token;
mod token_service;
mod transport;
mod usage;
mod worker;

pub use client::RegistryClient;
pub use digest_map::DigestMap;
pub use error::{ErrorClass, Operation, RegistryError};
pub use limits::{Limits, Pace};
pub use listing::Expected;
pub use options::RegistryClientOptions;
pub use platforms::Platforms;
pub use usage::{ReportedPulls, Usage};
