//! What can be set for one registry, and what of it contradicts itself.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Url};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use shared::domain::budget::PullLimit;

use super::mirror::Mirror;
use crate::registry::{Limits, Pace};

/// What is special about one registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistrySettings {
    /// This place is asked instead, always: with the settings and the credentials that are meant for it, never with those of
    /// the registry it stands in for.
    pub mirror: Option<Mirror>,
    /// It speaks HTTP without TLS.
    #[serde(default)]
    pub plain_http: bool,
    /// Certificate authorities to trust, in PEM, beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// What `ca_file` holds.
    #[serde(skip)]
    pub(crate) authorities: Option<Authorities>,
    /// Ask through this proxy, whatever the environment says.
    #[serde(default, deserialize_with = "address")]
    pub proxy: Option<Url>,
    /// The host that hands out its tokens, where that is neither its own nor a known one.
    pub token_host: Option<String>,
    pub requests_per_second: Option<NonZeroU32>,
    /// How many requests may follow each other without a pause.
    pub burst: Option<NonZeroU32>,
    /// Requests in flight.
    pub concurrency: Option<NonZeroU32>,
    /// How many tags to ask for on a page.
    pub page_size: Option<NonZeroU32>,
    /// How many manifests may be fetched in a rolling window, for all clients of this address or account.
    pub pull_limit: Option<PullLimit>,
}

impl RegistrySettings {
    /// Whether it takes another HTTP client than the others.
    pub(crate) fn connects_otherwise(&self) -> bool {
        self.authorities.is_some() || self.proxy.is_some()
    }

    /// What it says of pace, pages and pulls, and for the rest what the table says.
    pub(crate) fn limits(&self, table: Limits) -> Limits {
        let interval = self.requests_per_second.map_or(table.pace.interval, |requests| {
            Duration::from_secs(1) / requests.get()
        });
        Limits {
            pace: Pace {
                interval,
                burst: self.burst.unwrap_or(table.pace.burst),
            },
            page_size: self.page_size.map(NonZeroU32::get).or(table.page_size),
            pulls: self.pull_limit.or(table.pulls),
        }
    }

    /// What contradicts itself or cannot be meant.
    pub(super) fn check(&self) -> Result<(), String> {
        let alone = Self {
            mirror: self.mirror.clone(),
            ..Self::default()
        };
        if self.mirror.is_some() && *self != alone {
            return Err(
                "mirror: the registry itself is then never asked; how the mirror is asked stands under the mirror's own name"
                    .to_owned(),
            );
        }
        if let Some(url) = &self.proxy {
            let name = "proxy";
            if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
                return Err(format!("{name}: it is no http or https address"));
            }
            if !url.username().is_empty() || url.password().is_some() {
                return Err(format!(
                    "{name}: credentials do not belong into a ConfigMap; give them in a pull secret or a docker config"
                ));
            }
            if url.query().is_some() || url.fragment().is_some() {
                return Err(format!("{name}: an address ends with its path"));
            }
        }
        if self.plain_http && self.ca_file.is_some() {
            return Err(
                "plainHttp and caFile contradict each other: there is no certificate to check".to_owned(),
            );
        }
        if self
            .token_host
            .as_deref()
            .is_some_and(|host| host.is_empty() || host.contains(['/', ' ']))
        {
            return Err("tokenHost: write a host without a scheme or path".to_owned());
        }
        if self
            .pull_limit
            .is_some_and(|limit| limit.pulls == 0 || limit.window_seconds == 0)
        {
            return Err("pullLimit: both numbers must be greater than nothing".to_owned());
        }
        Ok(())
    }
}

/// Certificate authorities in PEM, known to be readable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authorities(Vec<u8>);

impl Authorities {
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let unusable = |reason: String| format!("caFile {}: {reason}", path.display());
        let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
        let authorities = Self(pem);
        match authorities.certificates() {
            Ok(certificates) if !certificates.is_empty() => Ok(authorities),
            Ok(_) => Err(unusable("it holds no certificate in PEM".to_owned())),
            Err(error) => Err(unusable(error.to_string())),
        }
    }

    pub(crate) fn certificates(&self) -> Result<Vec<Certificate>, reqwest::Error> {
        Certificate::from_pem_bundle(&self.0)
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let written = String::deserialize(deserializer)?;
    // What was written may hold a password, so the message does not repeat it.
    let url = Url::parse(&written).map_err(|error| D::Error::custom(format!("it is no address: {error}")))?;
    Ok(Some(url))
}
