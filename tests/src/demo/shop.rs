//! A small shop of services: their images, and their Deployments as somebody would write them.

use serde_json::{Value, json};

use crate::registry::{ImageSpec, Registry};

/// The namespace they live in.
pub(super) const NAMESPACE: &str = "shop";

/// One service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) running: &'static str,
    pub(super) published: &'static [&'static str],
    pub(super) mode: &'static str,
    pub(super) policy: Option<&'static str>,
    pub(super) replicas: i32,
    /// How long a replica takes to become ready.
    pub(super) ready_after: &'static str,
}

/// Three that are updated by themselves under three policies, and one that asks first.
pub(super) const SERVICES: [Service; 4] = [
    Service {
        name: "checkout",
        running: "1.4.0",
        published: &["1.3.9", "1.4.0"],
        mode: "auto",
        policy: Some("minor"),
        replicas: 3,
        ready_after: "1s",
    },
    Service {
        name: "catalog",
        running: "v2.7.1",
        published: &["v2.7.0", "v2.7.1", "v3.0.0-rc.1"],
        mode: "auto",
        policy: Some("major"),
        replicas: 3,
        // Longer than the lease's 15 s for all replicas together, so that the leader can die in the middle.
        ready_after: "7s",
    },
    Service {
        name: "payments",
        running: "8.1.3-alpine",
        published: &["8.1.3", "8.1.3-alpine", "8.2.0", "9.0.0-alpine"],
        mode: "auto",
        policy: Some("patch"),
        replicas: 2,
        ready_after: "1s",
    },
    Service {
        name: "storefront",
        running: "2026.10.2",
        published: &["2026.9.4", "2026.10.2", "2026.11.1"],
        mode: "approve",
        policy: None,
        replicas: 2,
        ready_after: "1s",
    },
];

impl Service {
    pub(super) fn repository(&self) -> String {
        format!("{NAMESPACE}/{}", self.name)
    }

    /// Publishes one version: real layers, configs and manifests for two platforms, and the index over them.
    pub(super) fn publish(&self, registry: &Registry, tag: &str) -> String {
        let image = ImageSpec::new(&self.repository(), tag)
            .platforms(&["linux/amd64", "linux/arm64"])
            .label("org.opencontainers.image.version", tag)
            .label("sandbox.kubefresh.dev/ready-after", self.ready_after);
        registry.publish(&image).digest
    }

    /// The Deployment, which says where its notes are if they are anywhere.
    pub(super) fn deployment(&self, registry: &Registry, notes: Option<&str>) -> Value {
        let mut annotations = json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/mode": self.mode });
        if let Some(policy) = self.policy {
            annotations["kubefresh.dev/policy"] = json!(policy);
        }
        if let Some(notes) = notes {
            annotations["kubefresh.dev/release-notes"] = json!(notes);
        }
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": self.name, "namespace": NAMESPACE, "annotations": annotations },
            "spec": {
                "replicas": self.replicas,
                "selector": { "matchLabels": { "app": self.name } },
                "template": {
                    "metadata": { "labels": { "app": self.name } },
                    "spec": { "containers": [{
                        "name": self.name,
                        "image": registry.reference(&self.repository(), self.running),
                    }] },
                },
            },
        })
    }
}
