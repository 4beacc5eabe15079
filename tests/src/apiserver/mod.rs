//! An embedded Kubernetes API server: in memory, over real TLS, real enough for kube-rs and kubectl.
//!
//! It is only the API server. Controllers and the kubelet of the sandbox work on its [`store::Store`].
//!
//! Reading order: [`resources`] is the table of kinds; [`store`] keeps objects, and [`strategy`] (with `defaults`,
//! `decode` and `validation`) prepares whatever enters it. A request passes `connection` (TLS) and `serve` (who, faults,
//! may they), then `read`, `watch`, `write`, `remove`, `subresource` or `review`; `present` and `table` shape the answer.

mod access_log;
mod auth;
mod connection;
mod decode;
mod defaults;
mod discovery;
pub mod error;
mod events;
pub mod faults;
mod history;
mod kubeconfig;
mod names;
mod negotiate;
mod openapi;
mod patching;
mod path;
mod pod_log;
mod present;
mod protobuf;
mod rbac;
mod read;
mod remove;
pub mod resources;
mod respond;
mod review;
mod seeds;
mod selector;
mod serve;
pub mod store;
pub mod strategy;
mod subresource;
mod table;
mod validation;
mod watch;
mod write;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use access_log::AccessLog;
use auth::Tokens;
use faults::Faults;
use store::Store;

use crate::clock::Clock;

pub use access_log::RequestRecord;
pub use pod_log::{LogQuery, LogSource};
pub use seeds::{KUBERNETES_VERSION, NODE_NAME};
pub use selector::Selector;

/// How a server is started.
#[derive(Debug, Clone)]
pub struct ApiServerOptions {
    /// The time of the cluster.
    pub clock: Clock,
    /// Rules of misbehaviour; more can be installed later.
    pub faults: Faults,
    /// Where to listen; port 0 chooses a free one.
    pub address: SocketAddr,
}

impl Default for ApiServerOptions {
    fn default() -> Self {
        Self {
            clock: Clock::real(),
            faults: Faults::default(),
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
        }
    }
}

/// What every request handler can reach.
#[derive(Debug)]
pub(crate) struct Shared {
    store: Store,
    tokens: Tokens,
    faults: Faults,
    access_log: AccessLog,
    log_source: OnceLock<Arc<dyn LogSource>>,
    shutdown: CancellationToken,
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct ApiServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    certificates: crate::certificates::Certificates,
    admin_token: String,
}

impl ApiServer {
    /// Starts a server with a fresh cluster in it.
    ///
    /// # Panics
    /// When the address cannot be bound.
    pub async fn start(options: ApiServerOptions) -> Self {
        let listener = TcpListener::bind(options.address)
            .await
            .expect("a free address to bind");
        let address = listener.local_addr().expect("a bound listener has an address");
        let certificates = crate::certificates::Certificates::generate();
        let store = Store::new(options.clock);
        seeds::plant(&store);
        let tokens = Tokens::default();
        let admin_token = tokens.issue_admin();
        let shared = Arc::new(Shared {
            store,
            tokens,
            faults: options.faults,
            access_log: AccessLog::default(),
            log_source: OnceLock::new(),
            shutdown: CancellationToken::new(),
        });
        tokio::spawn(connection::accept(
            listener,
            certificates.acceptor(),
            Arc::clone(&shared),
        ));
        Self {
            shared,
            address,
            certificates,
            admin_token,
        }
    }

    /// The objects of the cluster, for controllers and tests.
    pub fn store(&self) -> Store {
        self.shared.store.clone()
    }

    /// The time of the cluster.
    pub fn clock(&self) -> Clock {
        self.shared.store.clock()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate of the server's own authority, PEM.
    pub fn ca_pem(&self) -> String {
        self.certificates.ca_pem().to_owned()
    }

    /// A token of `system:masters`.
    pub fn admin_token(&self) -> String {
        self.admin_token.clone()
    }

    /// A token of a service account, valid for one hour or until the account is deleted. The account need not exist yet.
    pub fn token(&self, namespace: &str, service_account: &str) -> String {
        self.shared.tokens.issue(namespace, service_account, None).token
    }

    /// Makes a token invalid at once: its bearer gets 401.
    pub fn revoke(&self, token: &str) {
        self.shared.tokens.revoke(token);
    }

    /// A kubeconfig (YAML) of the administrator.
    pub fn admin_kubeconfig(&self) -> String {
        kubeconfig::yaml(&self.url(), &self.ca_pem(), "default", "admin", &self.admin_token)
    }

    /// A kubeconfig (YAML) of a service account, whose namespace is the default one.
    pub fn kubeconfig_for(&self, namespace: &str, service_account: &str) -> String {
        let token = self.token(namespace, service_account);
        kubeconfig::yaml(&self.url(), &self.ca_pem(), namespace, service_account, &token)
    }

    /// The rules of misbehaviour.
    pub fn faults(&self) -> Faults {
        self.shared.faults.clone()
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.access_log.all()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.access_log.clear();
    }

    /// Where the logs of pods come from; the first caller wins.
    pub fn set_log_source(&self, source: Arc<dyn LogSource>) {
        if self.shared.log_source.set(source).is_err() {
            tracing::warn!("the source of pod logs was set before and stays");
        }
    }

    /// Breaks every connection and closes the port.
    pub fn stop(&self) {
        self.shared.shutdown.cancel();
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.stop();
    }
}
