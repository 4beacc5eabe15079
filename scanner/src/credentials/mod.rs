//! Which credentials a repository may be asked with, found as the kubelet finds them.
//!
//! [`DockerConfig`] reads what a pull secret or a mounted file holds, a [`Keyring`] answers which of it fits a repository,
//! the most specific first, and [`Credentials`] puts the keyrings of all watched workloads together. These are pure;
//! `gather` reads the Secrets from the cluster.
//!
//! # Whose credentials
//!
//! A repository is asked once, whatever the number of workloads that use it, so its credentials are those of all of them:
//! of each namespace in turn, and of none in which no watched workload uses it; then the scanner's own, from the file that
//! is mounted for it. They are tried only where a registry does not answer everybody.
//!
//! What is found ends in one record, which can be read only in Kubefresh's namespace. Through it a namespace that names the
//! private repository of another in a watched workload of its own, without a credential, is offered its newer tags. It
//! learns their names and can pull none of them. Where that is too much, each tenant gets a Kubefresh of its own,
//! with `WATCH_NAMESPACES`.
//!
//! # What keeps secrets secret
//!
//! A secret stays in a [`secrecy::SecretString`] from the moment it is read; no message quotes what it was read from, and
//! nothing that is derived from it is stored.

mod assigned;
mod credential;
mod docker_config;
pub(crate) mod gather;
mod keyring;
mod pattern;
mod puller;
pub(crate) mod quarantine;

pub use assigned::Credentials;
pub use credential::{Credential, Login, LoginId, Origin, Source};
pub use docker_config::{DockerConfig, DockerConfigError, Format, Skipped, SkippedEntry};
pub use keyring::Keyring;
pub use pattern::Pattern;
pub use puller::{ObjectName, PullSecrets, Puller};
