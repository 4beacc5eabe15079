//! On which platforms the nodes of a cluster run containers.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, PodSpec};

const OS: &str = "kubernetes.io/os";
const ARCHITECTURE: &str = "kubernetes.io/arch";

/// The platform of each node, by its name, as `os/architecture`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nodes(BTreeMap<String, String>);

/// Why the nodes are not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodesUnread {
    /// Kubefresh may not list them, which is for whoever installed it to decide.
    NotAllowed,
    /// There was no answer, and one may come.
    Unreadable(String),
}

/// The platforms that a pod asks for by the labels that every node has. Boxed, as few ask and workloads are many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlatformSelector(Option<Box<Wanted>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    os: Option<String>,
    architecture: Option<String>,
}

impl PlatformSelector {
    pub fn of(pod: &PodSpec) -> Self {
        let label = |name: &str| pod.node_selector.as_ref()?.get(name).cloned();
        let wanted = Wanted {
            os: label(OS),
            architecture: label(ARCHITECTURE),
        };
        let says_nothing = wanted.os.is_none() && wanted.architecture.is_none();
        Self((!says_nothing).then(|| Box::new(wanted)))
    }

    fn selects(&self, platform: &str) -> bool {
        let (os, architecture) = platform.split_once('/').unwrap_or((platform, ""));
        let is_one =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let suits = |wanted: &Wanted| is_one(&wanted.os, os) && is_one(&wanted.architecture, architecture);
        self.0.as_deref().is_none_or(suits)
    }
}

impl Nodes {
    /// Takes in a node; one that has not said yet what it is, is not there yet.
    pub fn take(&mut self, node: &Node) {
        let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
        if let (Some(name), Some(info)) = (&node.metadata.name, info) {
            self.take_platform(name, &info.operating_system, &info.architecture);
        }
    }

    pub(super) fn take_platform(&mut self, name: &str, os: &str, architecture: &str) {
        self.0.insert(name.to_owned(), format!("{os}/{architecture}"));
    }

    pub fn platform_of(&self, node: &str) -> Option<&str> {
        self.0.get(node).map(String::as_str)
    }

    /// How many nodes of each platform are selected.
    pub fn selected(&self, selector: &PlatformSelector) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        let platforms = self.0.values().map(String::as_str);
        for platform in platforms.filter(|platform| selector.selects(platform)) {
            *counts.entry(platform).or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nodes_are_counted_by_platform_as_far_as_a_pod_asks_for_it() {
        let mut nodes = Nodes::default();
        for (name, os, architecture) in [
            ("a", "linux", "amd64"),
            ("b", "linux", "arm64"),
            ("c", "linux", "arm64"),
            ("d", "windows", "amd64"),
        ] {
            let node = json!({
                "metadata": { "name": name },
                "status": { "nodeInfo": {
                    "operatingSystem": os, "architecture": architecture, "bootID": "", "containerRuntimeVersion": "",
                    "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "osImage": "",
                    "systemUUID": "",
                } },
            });
            nodes.take(&serde_json::from_value(node).unwrap());
        }
        nodes.take(&serde_json::from_value(json!({ "metadata": { "name": "new" } })).unwrap());
        let selected = |selector: serde_json::Value| {
            let pod = json!({ "containers": [], "nodeSelector": selector });
            let counts = nodes.selected(&PlatformSelector::of(&serde_json::from_value(pod).unwrap()));
            counts
                .into_iter()
                .map(|(platform, count)| format!("{platform} {count}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            selected(json!({ "disk": "ssd" })),
            ["linux/amd64 1", "linux/arm64 2", "windows/amd64 1"]
        );
        assert_eq!(
            selected(json!({ OS: "linux" })),
            ["linux/amd64 1", "linux/arm64 2"]
        );
        assert_eq!(
            selected(json!({ OS: "linux", ARCHITECTURE: "arm64" })),
            ["linux/arm64 2"]
        );
        assert_eq!(nodes.platform_of("c"), Some("linux/arm64"));
        assert_eq!(nodes.platform_of("new"), None);
    }
}
