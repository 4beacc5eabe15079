//! The one node of the cluster: what all its pods share.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::image_name::ImageName;
use super::images::Images;
use super::logs::Logs;
use super::process::kill_group;
use super::registry_client::RegistryClient;
use crate::apiserver::resources::{CONFIG_MAPS, NODES, SECRETS};
use crate::apiserver::store::Store;
use crate::clock::Clock;
use crate::controllers::events::{self, Severity, Source};
use crate::controllers::kubelet::environment::Lookup;

/// Gives the text of a kubeconfig for a namespace and service account.
#[derive(Clone)]
pub struct KubeconfigHook(Arc<Hook>);

type Hook = dyn Fn(&str, &str) -> String + Send + Sync;

impl KubeconfigHook {
    /// Wraps a closure of namespace and service account.
    pub fn new(hook: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }

    /// The kubeconfig's text.
    pub fn text(&self, namespace: &str, service_account: &str) -> String {
        (self.0)(namespace, service_account)
    }
}

impl fmt::Debug for KubeconfigHook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KubeconfigHook")
    }
}

/// What the kubelet is started with.
#[derive(Clone, Debug, Default)]
pub struct KubeletOptions {
    /// Images that are real programs: last segment of the repository -> path of the binary.
    pub programs: BTreeMap<String, PathBuf>,
    /// Kubeconfigs for real programs; without it they get none.
    pub kubeconfig_for: Option<KubeconfigHook>,
    /// Variables every real program gets, for example `SSL_CERT_FILE`.
    pub environment: BTreeMap<String, String>,
    /// Registries that are elsewhere: host in image names -> base URL.
    pub registry_addresses: BTreeMap<String, String>,
    /// The client for pulls and probes, for example with a private certificate authority.
    pub http: Option<reqwest::Client>,
    /// Where the logs of containers go.
    pub logs: Logs,
}

/// The node.
#[derive(Debug)]
pub struct Node {
    /// The cluster's objects.
    pub store: Store,
    /// Sandbox time.
    pub clock: Clock,
    /// What the kubelet was started with.
    pub options: KubeletOptions,
    /// Pulled images.
    pub images: Images,
    /// The client for probes.
    pub http: reqwest::Client,
    /// The node's name.
    pub name: String,
    /// The node's address.
    pub address: String,
    processes: Mutex<Processes>,
}

/// Process ids by namespace and pod, then by container.
type Processes = HashMap<(String, String), BTreeMap<String, i32>>;

/// The component name of the kubelet's Events.
const COMPONENT: &str = "kubelet";

impl Node {
    /// The node that the store knows, or a nameless one.
    pub fn new(store: Store, options: KubeletOptions) -> Self {
        if rustls::crypto::ring::default_provider()
            .install_default()
            .is_err()
        {
            tracing::trace!("a TLS provider is installed already");
        }
        let http = options.http.clone().unwrap_or_default();
        let node = store.list(&NODES, None).first().cloned();
        let field = |pointer: &str| node.as_ref()?.pointer(pointer)?.as_str().map(str::to_owned);
        Self {
            clock: store.clock(),
            images: Images::new(RegistryClient::new(
                http.clone(),
                options.registry_addresses.clone(),
            )),
            http,
            name: field("/metadata/name").unwrap_or_else(|| "sandbox-node".to_owned()),
            address: field("/status/addresses/0/address").unwrap_or_else(|| "192.0.2.10".to_owned()),
            processes: Mutex::default(),
            options,
            store,
        }
    }

    /// The program behind an image, if it is a real one.
    pub fn program_of(&self, image: &str) -> Option<PathBuf> {
        self.options
            .programs
            .get(ImageName::parse(image)?.last_segment())
            .cloned()
    }

    /// Reports something about a pod.
    pub fn event(&self, pod: &Value, severity: Severity, reason: &str, message: &str) {
        let source = Source {
            component: COMPONENT,
            host: &self.name,
        };
        events::record(&self.store, &source, pod, severity, reason, message);
    }

    /// A process of a pod's container runs.
    pub fn process_started(&self, namespace: &str, pod: &str, container: &str, id: i32) {
        let key = (namespace.to_owned(), pod.to_owned());
        self.lock()
            .entry(key)
            .or_default()
            .insert(container.to_owned(), id);
    }

    /// It has ended.
    pub fn process_ended(&self, namespace: &str, pod: &str, container: &str) {
        let key = (namespace.to_owned(), pod.to_owned());
        let mut processes = self.lock();
        if let Some(of_pod) = processes.get_mut(&key) {
            of_pod.remove(container);
            if of_pod.is_empty() {
                processes.remove(&key);
            }
        }
    }

    /// Process ids of a pod, by container name.
    pub fn process_ids(&self, namespace: &str, pod: &str) -> BTreeMap<String, i32> {
        self.lock()
            .get(&(namespace.to_owned(), pod.to_owned()))
            .cloned()
            .unwrap_or_default()
    }

    /// SIGKILL for everything that runs.
    pub fn kill_all(&self) {
        for id in self.lock().values().flat_map(BTreeMap::values) {
            kill_group(*id);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Processes> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What pods of one namespace refer to.
#[derive(Debug)]
pub struct NamespaceLookup<'a> {
    /// The cluster's objects.
    pub store: &'a Store,
    /// The namespace.
    pub namespace: &'a str,
}

impl Lookup for NamespaceLookup<'_> {
    fn config_map(&self, name: &str) -> Option<Value> {
        self.store
            .get(&CONFIG_MAPS, self.namespace, name)
            .map(|object| Value::clone(&object))
    }

    fn secret(&self, name: &str) -> Option<Value> {
        self.store
            .get(&SECRETS, self.namespace, name)
            .map(|object| Value::clone(&object))
    }
}

/// A loopback address no other pod has: any of 127/8 can be bound on Linux, so two replicas can listen on one port.
///
/// The second byte depends on this process, so that tests running side by side rarely meet.
pub fn next_pod_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let byte = |value: u32| u8::try_from(value).unwrap_or(1);
    let block = byte(1 + std::process::id() % 250);
    Ipv4Addr::new(127, block, byte(number / 250 % 250), byte(1 + number % 250))
}
