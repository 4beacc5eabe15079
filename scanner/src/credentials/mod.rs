//! Which credentials a repository may be asked with, found as the kubelet finds them.
//!
//! [`DockerConfig`] reads what a pull secret or a mounted file holds, and a [`Keyring`] answers which of it fits a
//! repository, the most specific first. Both are pure.
//!
//! A secret stays in a [`secrecy::SecretString`] from the moment it is read, and no message quotes what it was read from.

mod credential;
mod docker_config;
mod keyring;
mod pattern;

pub use credential::{Credential, Login, LoginId, Origin, Source};
pub use docker_config::{DockerConfig, DockerConfigError, Format, Skipped, SkippedEntry};
pub use keyring::Keyring;
pub use pattern::Pattern;
