//! How registries are reached, as every command that asks them is told it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use shared::domain::reference::Repository;
use shared::io::arguments::given;

use crate::cli::{self, SettingsError};
use crate::credentials::Credentials;
use crate::registries::{Registries, RegistriesError};
use crate::registry::{RegistryClient, RegistryClientOptions};
use crate::run;

/// How registries are reached, as it was typed.
#[derive(Debug, Args)]
#[command(next_help_heading = "How registries are reached")]
pub struct ReachArguments {
    /// Registries that speak plain HTTP, separated by commas; may be repeated. Those on localhost do without being named.
    #[arg(
        long,
        env = "PLAIN_HTTP_REGISTRIES",
        value_delimiter = ',',
        value_name = "HOST[:PORT],…"
    )]
    pub plain_http: Vec<String>,
    /// What is special about some registries: certificate authorities, proxies, mirrors, paces; a file such as the
    /// ConfigMap `kubefresh-registries` brings. To a scan, one that is not there says nothing.
    #[arg(long = "registries", env = "REGISTRIES_FILE", value_name = "FILE")]
    pub registries_file: Option<String>,
    /// A docker config file with credentials for registries that do not answer everybody, such as `~/.docker/config.json`.
    /// A scan tries them after those of the workloads.
    #[arg(long, env = "DOCKER_CONFIG_FILE", value_name = "FILE")]
    pub docker_config: Option<String>,
}

/// Why registries cannot be reached in the way that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Registries(#[from] RegistriesError),
    #[error("{0}")]
    DockerConfig(String),
    #[error("the HTTP client could not be set up: {0}")]
    Http(#[source] reqwest::Error),
}

impl ReachArguments {
    /// # Errors
    /// When one of the names cannot be that of a registry.
    pub(crate) fn plain_http_hosts(&self) -> Result<Vec<String>, ReachError> {
        Ok(cli::registries(self.plain_http.clone())?)
    }

    /// A client for these repositories. Nobody pulls them here, so that they get the given credentials and no others.
    pub(crate) async fn client<'r>(
        &self,
        repositories: impl IntoIterator<Item = &'r Repository>,
    ) -> Result<RegistryClient, ReachError> {
        let path = |typed: &Option<String>| given(typed.clone()).map(PathBuf::from);
        let registries = path(&self.registries_file).map(|path| Registries::read(&path));
        let registries = registries.transpose()?.unwrap_or_default();
        let own = run::own_keyring(path(&self.docker_config).as_deref())
            .await
            .map_err(|error| ReachError::DockerConfig(error.to_string()))?;
        let asked_as = repositories
            .into_iter()
            // The client says of the others what is wrong with them.
            .filter_map(|repository| registries.asked_as(repository).ok())
            .map(|asked_as| (asked_as.into_owned(), BTreeSet::new()));
        let credentials = Credentials::assign(&asked_as.collect(), &BTreeMap::new(), &own);
        RegistryClient::new(RegistryClientOptions {
            plain_http_hosts: self.plain_http_hosts()?,
            registries,
            credentials,
            ..RegistryClientOptions::default()
        })
        .map_err(ReachError::Http)
    }
}
