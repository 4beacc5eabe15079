//! The whole sandbox at once: API server, controllers, kubelet and registry, and what tests and demo do with them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::{DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, Client, Config};
use serde_json::Value;

use crate::apiserver::resources;
use crate::apiserver::{ApiServer, ApiServerOptions};
use crate::controllers::{ControllerOptions, Controllers, KubeconfigHook};
use crate::network::Network;
use crate::programs::programs;
use crate::registry::Registry;

/// A cluster with a registry beside it. Dropping it ends everything in it.
#[derive(Debug)]
pub struct Cluster {
    // First, so that it is dropped first: what runs in the cluster goes before the cluster.
    controllers: Option<Controllers>,
    pub api: Arc<ApiServer>,
    pub registry: Registry,
    files: tempfile::TempDir,
}

impl Cluster {
    /// Starts an API server and an open registry, with nothing that moves in between.
    ///
    /// # Panics
    /// When a port cannot be bound.
    pub async fn still(options: ApiServerOptions) -> Self {
        shared::io::tls::init();
        let api = Arc::new(ApiServer::start(options).await);
        let files = tempfile::tempdir().expect("a folder for temporary files");
        Self {
            controllers: None,
            api,
            registry: Registry::open().await,
            files,
        }
    }

    /// Starts all of it: controllers move the workloads, and a kubelet runs their pods. The images `kubefresh-scanner` and
    /// `kubefresh-updater` are the real binaries.
    ///
    /// # Panics
    /// When a port cannot be bound or the binaries do not compile.
    pub async fn moving(options: ApiServerOptions) -> Self {
        let programs = tokio::task::spawn_blocking(programs)
            .await
            .expect("the binaries are built");
        let mut cluster = Self::still(options).await;
        // Not the server itself: it would live as long as its own kubelet.
        let api = Arc::downgrade(&cluster.api);
        let kubeconfig_for: KubeconfigHook = KubeconfigHook::new(move |namespace: &str, account: &str| {
            api.upgrade()
                .map(|api| api.kubeconfig_for(namespace, account))
                .unwrap_or_default()
        });
        let controllers = Controllers::start(
            cluster.api.store(),
            ControllerOptions {
                programs: programs.clone(),
                kubeconfig_for: Some(kubeconfig_for),
                ..ControllerOptions::default()
            },
        );
        cluster.api.set_log_source(Arc::new(controllers.logs()));
        cluster.controllers = Some(controllers);
        cluster
    }

    /// SIGKILL for the program in a pod; the kubelet notices and starts it again. `false` when none runs there.
    pub fn kill(&self, namespace: &str, pod: &str) -> bool {
        let controllers = self.controllers.as_ref();
        controllers.is_some_and(|controllers| controllers.kill_pod_process(namespace, pod))
    }

    /// A client with every right.
    pub async fn client(&self) -> Client {
        client(&self.api.admin_kubeconfig()).await
    }

    /// A file with the kubeconfig of a service account, or the administrator's.
    pub fn kubeconfig_file(&self, account: Option<(&str, &str)>) -> PathBuf {
        let (name, text) = match account {
            Some((namespace, name)) => (
                format!("{namespace}-{name}"),
                self.api.kubeconfig_for(namespace, name),
            ),
            None => ("admin".to_owned(), self.api.admin_kubeconfig()),
        };
        self.file(&format!("{name}.kubeconfig"), &text)
    }

    /// The kubeconfig of a service account that reaches the API server by this network.
    pub fn kubeconfig_file_by(&self, network: &Network, (namespace, name): (&str, &str)) -> PathBuf {
        let text = self.api.kubeconfig_for(namespace, name);
        let there = format!("https://{}", network.address());
        self.file(
            &format!("{namespace}-{name}-by-network.kubeconfig"),
            &text.replace(&self.api.url(), &there),
        )
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.files.path().join(name);
        std::fs::write(&path, text).expect("the kubeconfig can be written");
        path
    }

    /// Applies objects as `kubectl apply --server-side` does, in order.
    ///
    /// # Panics
    /// When one is refused.
    pub async fn apply(&self, objects: &[Value]) {
        let client = self.client().await;
        for object in objects {
            apply(&client, object).await;
        }
    }
}

/// A client for a kubeconfig.
///
/// # Panics
/// When it is none.
pub async fn client(kubeconfig: &str) -> Client {
    Client::try_from(config(kubeconfig).await).expect("the client can be built")
}

/// What a client for this kubeconfig is made from.
///
/// # Panics
/// On a kubeconfig that no client can be made of.
pub async fn config(kubeconfig: &str) -> Config {
    shared::io::tls::init();
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).expect("the kubeconfig is valid");
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("the kubeconfig names a cluster")
}

/// Applies one object.
async fn apply(client: &Client, object: &Value) {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (api_version, kind, name) = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", &api_version));
    let resource = resources::by_kind(&api_version, &kind).expect("the sandbox knows the kind");
    let plural =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, &kind), resource.plural);
    let api: Api<DynamicObject> = match text("/metadata/namespace").as_str() {
        "" if resource.namespaced => Api::default_namespaced_with(client.clone(), &plural),
        "" => Api::all_with(client.clone(), &plural),
        namespace => Api::namespaced_with(client.clone(), namespace, &plural),
    };
    let parameters = PatchParams::apply("sandbox").force();
    let applied = api.patch(&name, &parameters, &Patch::Apply(object)).await;
    assert!(applied.is_ok(), "{kind} {name} was refused: {applied:?}");
}

/// Waits until `look` answers, and says what it waited for when it does not in time.
///
/// # Panics
/// After `limit`.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> F,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
