//! The controllers and the kubelet on a real API server and registry, in accelerated time.

mod deployments;
mod images;
mod jobs;
mod kubectl;
mod others;
mod programs;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sandbox::apiserver::resources::{PODS, Resource};
use sandbox::apiserver::store::Store;
use sandbox::apiserver::{ApiServer, ApiServerOptions};
use sandbox::clock::Clock;
use sandbox::controllers::{ControllerOptions, Controllers, KubeconfigHook};
use sandbox::registry::{ImageSpec, Registry};
use serde_json::{Value, json};

/// A cluster in which everything moves.
struct Cluster {
    api: Arc<ApiServer>,
    store: Store,
    registry: Registry,
    controllers: Controllers,
}

impl Cluster {
    /// Time runs `speed` times as fast.
    async fn start(speed: f64) -> Self {
        Self::with_programs(speed, &[]).await
    }

    async fn with_programs(speed: f64, programs: &[(&str, PathBuf)]) -> Self {
        let options = ApiServerOptions {
            clock: Clock::faster(speed),
            ..ApiServerOptions::default()
        };
        let api = Arc::new(ApiServer::start(options).await);
        let server = Arc::clone(&api);
        let hook = move |namespace: &str, account: &str| server.kubeconfig_for(namespace, account);
        let programs: BTreeMap<String, PathBuf> = programs
            .iter()
            .map(|(name, path)| ((*name).to_owned(), path.clone()))
            .collect();
        let options = ControllerOptions {
            programs,
            kubeconfig_for: Some(KubeconfigHook::new(hook)),
            ..ControllerOptions::default()
        };
        let controllers = Controllers::start(api.store(), options);
        api.set_log_source(Arc::new(controllers.logs()));
        Self {
            store: api.store(),
            registry: Registry::open().await,
            api,
            controllers,
        }
    }

    /// Publishes an image with labels for the simulated container, and returns its reference.
    fn image(&self, tag: &str, labels: &[(&str, &str)]) -> String {
        let spec = labels
            .iter()
            .fold(ImageSpec::new("shop/web", tag), |spec, (key, value)| {
                spec.label(&format!("sandbox.kubefresh.dev/{key}"), value)
            });
        self.registry.publish(&spec);
        self.registry.reference("shop/web", tag)
    }

    fn create(&self, resource: &'static Resource, object: Value) -> Arc<Value> {
        self.store.create(resource, object).unwrap()
    }

    fn get(&self, resource: &'static Resource, name: &str) -> Option<Arc<Value>> {
        self.store.get(resource, "default", name)
    }

    /// Waits until the object is there and as wanted.
    async fn wait(
        &self,
        what: &str,
        resource: &'static Resource,
        name: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Arc<Value> {
        self.until(what, || self.get(resource, name).filter(|object| is_so(object)))
            .await
    }

    /// Waits until `look` finds something.
    async fn until<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut revisions = self.store.revisions();
        loop {
            if let Some(found) = look() {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "waited in vain until {what}; pods: {:#?}",
                self.pod_states()
            );
            let pause = left.min(Duration::from_millis(50));
            tokio::time::timeout(pause, revisions.changed()).await.ok();
        }
    }

    fn pods(&self) -> Vec<Arc<Value>> {
        self.store.list(&PODS, Some("default"))
    }

    fn pod_names(&self) -> Vec<String> {
        self.pods()
            .iter()
            .map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// What `kubectl get pods` would be made from.
    fn pod_states(&self) -> Vec<String> {
        let state = |pod: &Arc<Value>| {
            let container = &pod["status"]["containerStatuses"][0];
            format!(
                "{} {} {}",
                pod["metadata"]["name"], pod["status"]["phase"], container["state"]
            )
        };
        self.pods().iter().map(state).collect()
    }

    /// Messages of the Events with this reason.
    fn events(&self, reason: &str) -> Vec<String> {
        let events = self
            .store
            .list(&sandbox::apiserver::resources::EVENTS, Some("default"));
        let of_reason = events.iter().filter(|event| event["reason"] == reason);
        of_reason
            .filter_map(|event| event["message"].as_str().map(str::to_owned))
            .collect()
    }
}

/// A workload's `spec.selector` and `spec.template` with one container.
fn workload(name: &str, container: &Value) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    })
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions
        .and_then(|list| list.iter().find(|one| one["type"] == kind))
        .unwrap_or(&Value::Null)
}

fn waiting_reason(pod: &Value) -> &str {
    pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
        .as_str()
        .unwrap_or_default()
}

fn set_image(image: &str) -> impl FnOnce(&mut Value) -> Result<(), sandbox::apiserver::error::ApiError> {
    let image = json!(image);
    move |object| {
        object["spec"]["template"]["spec"]["containers"][0]["image"] = image;
        Ok(())
    }
}
