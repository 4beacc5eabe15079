//! An embedded container registry: the OCI distribution API in memory, over real HTTP on a loopback port.
//!
//! It is strict where real registries are strict (digests, `Accept` negotiation, error bodies) and can be told to
//! misbehave as real ones do: see [`RegistryOptions`] for lasting quirks and [`Rule`] for faults on chosen requests.
//! Every request is written down, so a test can assert exact request counts.
//!
//! It is not a store: everything is gone when the [`Registry`] is dropped. It speaks plain HTTP, and HTTP/2 behind a
//! [`TlsFront`].

mod auth;
mod fault;
mod image;
mod jwt;
mod log;
mod manifests;
mod options;
mod push;
mod route;
mod server;
mod store;
mod tags;
mod tls;
mod uploads;

use std::net::SocketAddr;
use std::sync::Arc;

pub use fault::{Fault, Rule};
pub use image::{Image, ImageSpec, MediaTypes, Published, digest_of};
pub use jwt::TokenSigner;
pub use log::RequestFacts;
pub use options::{
    Auth, BearerAuth, EmptyTokens, OversizedPage, PageStyle, Paging, RateLimit, RegistryOptions, TagOrder,
    TokenField, User,
};
pub use push::push;
pub use route::RequestKind;
pub use tls::TlsFront;

use server::State;

/// A running registry. Dropping it closes the port.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    state: Arc<State>,
    server: tokio::task::JoinHandle<()>,
}

impl Registry {
    /// Starts an open registry (no authentication, sorted tags, everything on one page).
    pub async fn open() -> Self {
        Self::start(RegistryOptions::default()).await
    }

    /// Starts a registry on `options.bind`.
    ///
    /// # Panics
    /// When the address cannot be bound.
    pub async fn start(options: RegistryOptions) -> Self {
        let listener = tokio::net::TcpListener::bind(options.bind)
            .await
            .expect("a free address to bind");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::new(State::new(address, options));
        let router = server::router(Arc::clone(&state));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the embedded registry stopped");
            }
        });
        Self {
            address,
            state,
            server,
        }
    }

    /// `127.0.0.1:PORT`: the registry part of an image reference.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `127.0.0.1:PORT/REPOSITORY:TAG`.
    pub fn reference(&self, repository: &str, tag: &str) -> String {
        format!("{}/{repository}:{tag}", self.address)
    }

    /// The same registry with TLS in front of it.
    pub async fn with_tls(&self) -> TlsFront {
        TlsFront::of(server::router(Arc::clone(&self.state))).await
    }

    /// Changes the options of the running registry; `bind` has no effect any more.
    pub fn configure(&self, change: impl FnOnce(&mut RegistryOptions)) {
        change(&mut self.state.options.lock().unwrap());
    }

    /// Stores the image and points its tag at it, without an HTTP request.
    pub fn publish(&self, spec: &ImageSpec) -> Published {
        let image = spec.build();
        let mut store = self.state.store.lock().unwrap();
        let repository = store.repository_mut(spec.repository());
        for (_, bytes) in &image.blobs {
            repository.put_blob(bytes.clone());
        }
        for manifest in &image.manifests {
            repository.put_manifest(&manifest.media_type, manifest.bytes.clone());
        }
        repository.set_tag(spec.tag(), &image.published.digest);
        image.published
    }

    /// Points `to` at what `from` points at now and returns that digest.
    ///
    /// # Panics
    /// When the repository or the tag `from` does not exist.
    pub fn retag(&self, repository: &str, from: &str, to: &str) -> String {
        self.tag_many(repository, from, [to])
    }

    /// Points many tags at what `from` points at now and returns that digest.
    ///
    /// # Panics
    /// When the repository or the tag `from` does not exist.
    pub fn tag_many<T: AsRef<str>>(
        &self,
        repository: &str,
        from: &str,
        tags: impl IntoIterator<Item = T>,
    ) -> String {
        let mut store = self.state.store.lock().unwrap();
        let repository = store.repository_mut(repository);
        let digest = repository.resolve(from).expect("the tag to copy from exists");
        for tag in tags {
            repository.set_tag(tag.as_ref(), &digest);
        }
        digest
    }

    /// Removes a tag; answers whether it was there. The manifest stays, reachable by digest.
    pub fn delete_tag(&self, repository: &str, tag: &str) -> bool {
        self.state
            .store
            .lock()
            .unwrap()
            .repository_mut(repository)
            .delete_tag(tag)
    }

    /// Removes a repository with everything in it; answers whether it was there.
    pub fn delete_repository(&self, repository: &str) -> bool {
        self.state.store.lock().unwrap().delete_repository(repository)
    }

    /// What the tag points at now.
    pub fn digest(&self, repository: &str, tag: &str) -> Option<String> {
        self.state
            .store
            .lock()
            .unwrap()
            .repository(repository)?
            .resolve(tag)
    }

    /// The tags of a repository in the order in which they were first published.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        self.state
            .store
            .lock()
            .unwrap()
            .repository(repository)
            .map(store::Repository::tags)
            .unwrap_or_default()
    }

    /// Makes matching requests fail. Of several rules that match, the one added first wins.
    pub fn fault(&self, rule: Rule) {
        self.state.faults.add(rule);
    }

    /// Heals the registry and forgets how often each rule matched.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }

    /// Makes every bearer token handed out so far invalid.
    pub fn expire_tokens(&self) {
        self.state.tokens.forget();
    }

    /// How often somebody came with a wrong user name, password or refresh token, since the start.
    pub fn failed_logins(&self) -> usize {
        self.state.logins.count()
    }

    /// Every request since the start or since [`Registry::clear_requests`], in order of arrival.
    pub fn requests(&self) -> Vec<RequestFacts> {
        self.state.log.all()
    }

    /// How many requests of this kind the log holds.
    pub fn count(&self, kind: RequestKind) -> usize {
        self.requests()
            .iter()
            .filter(|request| request.kind == kind)
            .count()
    }

    /// Empties the access log.
    pub fn clear_requests(&self) {
        self.state.log.clear();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.server.abort();
    }
}
