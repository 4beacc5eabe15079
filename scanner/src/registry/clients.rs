//! The HTTP clients that registries are asked with.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Proxy, Url};
use tokio::sync::OnceCell;

use super::names::{LedTo, Named, Names};
use super::options::RegistryClientOptions;
use super::problem::Problem;
use crate::registries::RegistrySettings;

/// The HTTP clients of one kind of connection.
#[derive(Debug)]
pub(super) struct Clients {
    named: Client,
    names: Arc<Named>,
    /// Built when a credential is first used.
    logins: OnceCell<Client>,
    /// For where a registry in public has led; built when one does. Connections are not shared with the others, over which
    /// hosts that the user has named are reached wherever they are.
    from_public: OnceCell<Elsewhere>,
    from_private: OnceCell<Elsewhere>,
}

/// What hosts are asked with that a registry has led to.
#[derive(Debug)]
struct Elsewhere {
    client: Client,
    names: Arc<LedTo>,
}

impl Clients {
    pub(super) fn new(
        options: &RegistryClientOptions,
        special: Option<&RegistrySettings>,
    ) -> Result<Self, reqwest::Error> {
        let names = Named::new(&options.addresses);
        let resolver = Names(Arc::clone(&names));
        Ok(Self {
            named: builder(options, special)?.dns_resolver(resolver).build()?,
            names,
            logins: OnceCell::new(),
            from_public: OnceCell::new(),
            from_private: OnceCell::new(),
        })
    }

    /// The client for a host that the user has named, or that is known to belong to one.
    pub(super) fn named(&self) -> &Client {
        &self.named
    }

    /// The client for the host of `url`, to which the registry at `base` has led.
    pub(super) async fn led_to(
        &self,
        options: &RegistryClientOptions,
        special: Option<&RegistrySettings>,
        base: &Url,
        url: &Url,
    ) -> Result<&Client, Problem> {
        let is_private = self.names.is_private(base);
        let cell = if is_private {
            &self.from_private
        } else {
            &self.from_public
        };
        let build = async || {
            let names = LedTo::new(&options.addresses, is_private);
            let resolver = Names(Arc::clone(&names));
            let client = builder(options, special)?.dns_resolver(resolver).build()?;
            Ok(Elsewhere { client, names })
        };
        let elsewhere = cell.get_or_try_init(build).await;
        let elsewhere = elsewhere.map_err(|error| not_built(&error, options))?;
        elsewhere.names.expect(url);
        Ok(&elsewhere.client)
    }

    /// The client that logs in.
    pub(super) async fn logins(
        &self,
        options: &RegistryClientOptions,
        special: Option<&RegistrySettings>,
    ) -> Result<&Client, Problem> {
        let build = async || {
            let resolver = Names(Arc::clone(&self.names));
            builder(options, special)?.dns_resolver(resolver).build()
        };
        let client = self.logins.get_or_try_init(build).await;
        client.map_err(|error| not_built(&error, options))
    }
}

fn not_built(error: &reqwest::Error, options: &RegistryClientOptions) -> Problem {
    Problem::of(error, options.request_timeout, Duration::ZERO)
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
        // Where a redirect leads is looked at before it is followed.
        .redirect(Policy::none())
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
