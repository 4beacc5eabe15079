//! The HTTP clients that registries are asked with.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Proxy};
use tokio::sync::OnceCell;

use super::endpoint;
use super::options::RegistryClientOptions;
use super::problem::Problem;
use crate::registries::RegistrySettings;

/// The HTTP clients of one kind of connection.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) http: Client,
    /// Built when a credential is first used.
    logins: OnceCell<Client>,
}

impl Clients {
    pub(super) fn new(
        options: &RegistryClientOptions,
        special: Option<&RegistrySettings>,
    ) -> Result<Self, reqwest::Error> {
        let redirects = Policy::custom(|attempt| {
            let followed = attempt.previous();
            let origin = followed.first().unwrap_or(attempt.url());
            match endpoint::check_redirect(origin, attempt.url(), followed.len()) {
                Ok(()) => attempt.follow(),
                Err(why) => attempt.error(why),
            }
        });
        Ok(Self {
            http: builder(options, special)?.redirect(redirects).build()?,
            logins: OnceCell::new(),
        })
    }

    /// The client that logs in. It follows no redirect, which would take a form along to any host.
    pub(super) async fn logins(
        &self,
        options: &RegistryClientOptions,
        special: Option<&RegistrySettings>,
    ) -> Result<&Client, Problem> {
        let build = async || builder(options, special)?.redirect(Policy::none()).build();
        let client = self.logins.get_or_try_init(build).await;
        client.map_err(|error| Problem::of(&error, options.request_timeout, Duration::ZERO))
    }
}

fn builder(
    options: &RegistryClientOptions,
    special: Option<&RegistrySettings>,
) -> Result<ClientBuilder, reqwest::Error> {
    // A connection over which nothing comes any more is found out while there is time to ask again over another.
    let patience = options.request_timeout / 5;
    let mut builder = Client::builder()
        .user_agent(concat!("kubefresh-scanner/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.connect_timeout)
        .timeout(options.request_timeout)
        .http2_keep_alive_interval(patience)
        .http2_keep_alive_timeout(patience)
        .referer(false);
    if let Some(authorities) = special.and_then(|special| special.authorities.as_ref()) {
        builder = builder.tls_certs_merge(authorities.certificates()?);
    }
    if let Some(proxy) = special.and_then(|special| special.proxy.clone()) {
        builder = builder.proxy(Proxy::all(proxy)?);
    }
    Ok(builder)
}
