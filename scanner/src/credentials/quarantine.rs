//! Logins that were rejected, from one run to the next.

use std::collections::BTreeSet;

use jiff::Timestamp;
use shared::domain::record::rejected_logins::{self, RejectedLogin, SecretVersion};
use shared::domain::reference::Repository;
use shared::domain::shard::Shard;
use shared::io::record_store::RecordStore;

use super::assigned::Credentials;
use super::credential::{Credential, Origin};
use crate::registry::RegistryClient;
use crate::stored::Stored;

/// What an earlier run has left.
#[derive(Debug, Default)]
pub(crate) struct Quarantine(Stored<BTreeSet<RejectedLogin>>);

impl Quarantine {
    /// Reads it.
    pub(crate) async fn load(store: &RecordStore, shard: Shard) -> Result<Self, kube::Error> {
        let stored = Stored::load(
            store,
            shard,
            rejected_logins::REJECTED_LOGINS,
            rejected_logins::parse,
        )
        .await;
        stored.map(Self)
    }

    /// Tells the client which logins to leave alone.
    pub(crate) fn impose(&self, credentials: &Credentials, client: &RegistryClient, now: Timestamp) {
        for (repository, credential) in credentials.iter() {
            let own_and_others = [&self.0.content].into_iter().chain(&self.0.of_others).flatten();
            let kept = own_and_others
                .filter(|login| login.is_left_alone(now) && is_same(login, repository, credential))
                .max_by_key(|login| login.until);
            if let Some(RejectedLogin { registry, until, .. }) = kept {
                tracing::debug!(registry, %credential, %until, "left alone: it was rejected in an earlier run");
                client.leave_login_alone(registry, credential.id(), *until);
            }
        }
    }

    /// Writes down what is to be left alone after this run, if that has changed.
    pub(crate) async fn save(
        &mut self,
        store: &RecordStore,
        credentials: &Credentials,
        client: &RegistryClient,
        now: Timestamp,
    ) -> Result<(), kube::Error> {
        let next = self.after(credentials, client, now);
        let to_config_map = |next: &_| rejected_logins::to_config_map(next, store.namespace());
        self.0.replace(store, next, PartialEq::eq, to_config_map).await
    }

    fn after(
        &self,
        credentials: &Credentials,
        client: &RegistryClient,
        now: Timestamp,
    ) -> BTreeSet<RejectedLogin> {
        let mut next = self.0.content.clone();
        for (registry, login, until) in client.rejected_logins() {
            let standing = credentials.iter().filter(|(repository, credential)| {
                credential.id() == login && repository.registry().eq_ignore_ascii_case(&registry)
            });
            next.extend(standing.map(|(_, credential)| rejected(&registry, credential, until)));
        }
        next.retain(|login| login.is_left_alone(now));
        next
    }
}

fn rejected(registry: &str, credential: &Credential, until: Timestamp) -> RejectedLogin {
    let source = credential.source();
    let secret = match &source.origin {
        Origin::Secret {
            namespace,
            name,
            version,
        } => Some(SecretVersion {
            namespace: namespace.clone(),
            name: name.clone(),
            resource_version: version.clone(),
        }),
        Origin::File => None,
    };
    RejectedLogin {
        registry: registry.to_owned(),
        secret,
        entry: source.entry.clone(),
        until,
    }
}

fn is_same(login: &RejectedLogin, repository: &Repository, credential: &Credential) -> bool {
    login.registry.eq_ignore_ascii_case(repository.registry())
        && rejected(&login.registry, credential, login.until) == *login
}
