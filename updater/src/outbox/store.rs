//! The record of messages, as a ConfigMap of the leading updater: read once, then written with the version it was made from.

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use shared::domain::outbox::Outbox;
use shared::domain::record::outbox as record;
use shared::io::client::explain;
use tokio::time::{Instant, timeout};

use crate::answer::{Failure, failure};
use crate::api;
use crate::retry::Retries;

/// How long a call may take.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(5);

pub(super) struct OutboxStore {
    api: Api<ConfigMap>,
    namespace: String,
    lease: String,
    /// Of what was read or written last; `None` where there was nothing.
    version: Option<String>,
    tries: Retries<()>,
    /// We may not keep it: it is kept in memory alone.
    refused: bool,
}

impl fmt::Debug for OutboxStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxStore")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl OutboxStore {
    pub(super) fn new(client: Client, namespace: &str, lease: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            lease: lease.to_owned(),
            version: None,
            tries: Retries::default(),
            refused: false,
        }
    }

    /// When to try again, after a look at `now`, or to go on without it.
    pub(super) fn next_attempt(&self, patience: Duration, now: Instant) -> Option<Instant> {
        let overdue = self.tries.next_overdue(patience, now);
        self.tries.next(now).into_iter().chain(overdue).min()
    }

    /// Whether it could be neither read nor written for as long as `patience`.
    pub(super) fn is_overdue(&self, patience: Duration, now: Instant) -> bool {
        self.tries.is_overdue(&(), patience, now)
    }

    /// Somebody else leads, who may have no trouble.
    pub(super) fn forget(&mut self) {
        self.tries = Retries::default();
    }

    /// It was read, and nothing has to be written. Before a write that alone says little: reading may work where writing does not.
    pub(super) fn is_as_read(&mut self) {
        if !self.refused {
            self.tries.succeeded(&());
        }
    }

    /// What is stored; `None` where nobody knows. What cannot be read is as good as nothing: people hear things twice then.
    pub(super) async fn load(&mut self) -> Option<Outbox> {
        if !self.tries.is_due(&(), Instant::now()) {
            return None;
        }
        let name = record::name(&self.lease);
        let stored = match timeout(CALL_LIMIT, self.api.get_opt(&name)).await {
            Ok(Ok(stored)) => stored,
            Ok(Err(error)) => {
                let failure = failure(&error);
                return self
                    .failed(failure, &explain(&self.doing("reading"), &error))
                    .then(Outbox::default);
            }
            Err(_) => {
                self.failed(Failure::Unknown, &self.no_answer("reading"));
                return None;
            }
        };
        self.version = stored
            .as_ref()
            .and_then(|stored| stored.metadata.resource_version.clone());
        let outbox = stored.map(|stored| record::parse(&stored)).transpose();
        let outbox = outbox.inspect_err(
            |error| tracing::warn!(%error, "messages that waited are lost, and some may be sent again"),
        );
        let outbox = outbox.unwrap_or_default().unwrap_or_default();
        if outbox.unread() > 0 {
            let (record, lost) = (record::name(&self.lease), outbox.unread());
            tracing::warn!(
                record,
                lost,
                "messages that waited were stored by another version, cannot be read and are lost"
            );
        }
        Some(outbox)
    }

    /// Whether it is stored as it is now, or may be taken to be: where we may not write it is kept in memory.
    pub(super) async fn save(&mut self, outbox: &mut Outbox) -> bool {
        if self.refused && !self.tries.is_due(&(), Instant::now()) {
            return true;
        }
        let mut written = timeout(CALL_LIMIT, self.write(outbox)).await;
        // Somebody has deleted it, so it is made anew.
        if matches!(&written, Ok(Err(kube::Error::Api(status))) if status.code == 404)
            && self.version.take().is_some()
        {
            written = timeout(CALL_LIMIT, self.write(outbox)).await;
        }
        match written {
            Ok(Ok(version)) => {
                self.version = version;
                self.tries.succeeded(&());
                self.refused = false;
                outbox.stored();
                true
            }
            Ok(Err(error)) => {
                let failure = failure(&error);
                self.failed(failure, &explain(&self.doing("writing"), &error))
            }
            Err(_) => self.failed(Failure::Unknown, &self.no_answer("writing")),
        }
    }

    async fn write(&self, outbox: &Outbox) -> Result<Option<String>, kube::Error> {
        let whole = record::to_config_map(outbox, &self.lease, &self.namespace);
        api::write_record(&self.api, whole, self.version.clone(), std::iter::empty()).await
    }

    /// Whether to go on without it.
    fn failed(&mut self, failure: Failure, problem: &str) -> bool {
        match failure {
            // Somebody else wrote it, or we did and have not heard so: it has to be read anew.
            Failure::Conflict | Failure::AlreadyExists => {
                tracing::debug!(problem, "the messages to send have changed");
                self.tries.failed(&(), Instant::now());
                false
            }
            Failure::Refused => {
                self.tries.failed(&(), Instant::now());
                if !self.refused {
                    tracing::warn!(
                        problem,
                        "messages to send are kept in memory alone, and are lost with this process"
                    );
                }
                self.refused = true;
                true
            }
            Failure::Unknown => {
                self.tries.failed(&(), Instant::now());
                tracing::warn!(problem, "messages to send cannot be stored; trying again later");
                // What is kept in memory alone is not given up for one answer that did not come.
                self.refused
            }
        }
    }

    fn doing(&self, verb: &str) -> String {
        let name = record::name(&self.lease);
        format!("{verb} the ConfigMap {name} in namespace {}", self.namespace)
    }

    fn no_answer(&self, verb: &str) -> String {
        format!("{}: no answer within {CALL_LIMIT:?}", self.doing(verb))
    }
}
