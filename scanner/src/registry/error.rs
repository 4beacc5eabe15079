//! What can go wrong when a registry is asked, in words and in a closed set of classes.

use std::time::Duration;

use jiff::Timestamp;
use shared::domain::reference::{Digest, Repository, Tag};

use super::problem::Problem;

/// The kinds of failure, for records, labels and decisions. Printed in kebab case.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumIter,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum ErrorClass {
    /// The registry or its token service wants a credential, or a better one.
    Unauthorized,
    /// The registry knows who asks and says no.
    Forbidden,
    /// There is no such repository or manifest, or it is hidden.
    NotFound,
    /// The registry answered 429 to this request.
    RateLimited,
    /// Not asked at all, because the registry answered 429 before.
    Deferred,
    /// Not asked at all, because the registry counts the request as a pull, and no more of those are ours.
    OverBudget,
    /// The registry answered 5xx, again and again.
    Unavailable,
    /// No complete answer in time.
    Timeout,
    /// No connection, or one that broke.
    Connection,
    /// The registry's certificate is not accepted, or TLS failed otherwise.
    Tls,
    /// The registry wants us to go where we do not go.
    Untrusted,
    /// The registry refused the request itself (another 4xx).
    Rejected,
    /// The answer is not what the distribution API promises.
    Protocol,
    /// The answer is larger than we are willing to read.
    TooLarge,
}

impl ErrorClass {
    /// What a person can do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Unauthorized => {
                "check that the repository exists, and that a pull secret of a workload that uses it can read it"
            }
            Self::Forbidden => {
                "check whether a pull secret of a workload that uses the repository can read it"
            }
            Self::NotFound => "check the spelling of the repository in the workload's image",
            Self::OverBudget => "it is asked for by a later run; with a login the registry grants more",
            Self::RateLimited | Self::Deferred => {
                "it is asked again by a later run; a slower schedule helps if this recurs"
            }
            Self::Unavailable => {
                "it is asked again by the next run; see the registry's status page if this lasts"
            }
            Self::Timeout => "it is asked again by the next run; check the network if this lasts",
            Self::Connection => "check the registry's name, the network and the proxy",
            Self::Tls => {
                "check the registry's certificate and the certificate authorities of the scanner's image"
            }
            Self::Untrusted => "if this is intended, name that host in the workload's image",
            Self::Rejected => "check whether this registry supports the distribution API for this repository",
            Self::Protocol => {
                "check whether a proxy answers in the registry's place, and report it to its operator"
            }
            Self::TooLarge => "check whether this is the repository that is meant",
        }
    }

    /// Whether the same request may succeed later without anyone changing anything.
    pub fn is_transient(self) -> bool {
        match self {
            Self::RateLimited
            | Self::Deferred
            | Self::OverBudget
            | Self::Unavailable
            | Self::Timeout
            | Self::Connection => true,
            Self::Unauthorized
            | Self::Forbidden
            | Self::NotFound
            | Self::Tls
            | Self::Untrusted
            | Self::Rejected
            | Self::Protocol
            | Self::TooLarge => false,
        }
    }

    /// Whether a registry may answer so about one tag and not about the others of its repository.
    pub fn may_be_about_a_tag(self) -> bool {
        match self {
            Self::NotFound | Self::Rejected | Self::Protocol | Self::TooLarge | Self::Unavailable => true,
            Self::Unauthorized
            | Self::Forbidden
            | Self::RateLimited
            | Self::Deferred
            | Self::OverBudget
            | Self::Timeout
            | Self::Connection
            | Self::Tls
            | Self::Untrusted => false,
        }
    }
}

/// What the registry was asked to do.
#[derive(Debug, Clone, PartialEq, Eq, strum::Display)]
pub enum Operation {
    #[strum(to_string = "ask all that is wanted of")]
    Scan,
    #[strum(to_string = "list the tags of")]
    ListTags,
    #[strum(to_string = "look up the digest of tag {tag} of")]
    LookUpDigest { tag: Tag },
    #[strum(to_string = "read manifest {digest} of")]
    ReadManifest { digest: Digest },
}

/// A question that a registry did not answer.
///
/// Prints as one sentence for people: what failed, on which repository, why, and what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("unable to {operation} {repository}{}: {problem}; {}", at(mirrored.as_ref()), .problem.class().advice())]
pub struct RegistryError {
    operation: Operation,
    repository: Repository,
    /// What it was asked for as, where a mirror stands in for its registry.
    mirrored: Option<Repository>,
    problem: Box<Problem>,
}

impl RegistryError {
    pub(super) fn new(operation: Operation, repository: &Repository, problem: Problem) -> Self {
        Self {
            operation,
            repository: repository.clone(),
            mirrored: None,
            problem: Box::new(problem.bounded()),
        }
    }

    /// All that is asked of a repository took too long together.
    pub(crate) fn out_of_time(repository: &Repository, after: Duration) -> Self {
        Self::new(Operation::Scan, repository, Problem::Timeout { after })
    }

    /// Says that the question went to a mirror.
    pub(super) fn asked_as(self, asked_as: &Repository) -> Self {
        let mirrored = Some(asked_as).filter(|asked_as| **asked_as != self.repository);
        Self {
            mirrored: mirrored.cloned(),
            ..self
        }
    }

    /// The kind of failure.
    pub fn class(&self) -> ErrorClass {
        self.problem.class()
    }

    /// When the registry may be asked again, if it named a time or is left alone until one.
    pub fn retry_at(&self) -> Option<Timestamp> {
        self.problem.retry_at()
    }

    /// The repository that was asked about.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }
}

fn at(mirrored: Option<&Repository>) -> String {
    mirrored
        .map(|mirrored| format!(" at its mirror {mirrored}"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn every_class_prints_in_kebab_case_and_is_read_back() {
        for class in ErrorClass::iter() {
            let text = class.to_string();
            assert!(
                text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
                "{text}"
            );
            assert_eq!(text.parse(), Ok(class));
        }
    }

    #[test]
    fn the_message_says_what_failed_on_which_repository_why_and_what_to_do() {
        let operation = Operation::LookUpDigest {
            tag: "1.4.0".parse().unwrap(),
        };
        let repository = "shop.example/checkout".parse().unwrap();
        let problem = Problem::Protocol("no digest came with the answer".to_owned());
        let error = RegistryError::new(operation, &repository, problem);
        let rest = "no digest came with the answer; \
             check whether a proxy answers in the registry's place, and report it to its operator";
        assert_eq!(
            error.to_string(),
            format!("unable to look up the digest of tag 1.4.0 of shop.example/checkout: {rest}")
        );
        let mirrored = error.asked_as(&"harbor.internal/shop/checkout".parse().unwrap());
        assert_eq!(
            mirrored.to_string(),
            format!(
                "unable to look up the digest of tag 1.4.0 of shop.example/checkout at its mirror \
                 harbor.internal/shop/checkout: {rest}"
            )
        );
    }
}
