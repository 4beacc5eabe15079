//! On which platforms the nodes of a cluster run containers, and which of them a pod asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, PodSpec};

/// What the Kubernetes project's own components write on nodes that are ill for a while, or not there yet.
const PASSING_TAINTS: [&str; 2] = ["node.kubernetes.io/", "node.cloudprovider.kubernetes.io/"];

/// The platforms of the nodes, as `os/architecture`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nodes {
    /// Each with whether some node of it is open to any pod.
    platforms: BTreeMap<Arc<str>, bool>,
    by_name: BTreeMap<String, Arc<str>>,
}

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

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wanted {
    all: Vec<Requirement>,
    /// Where there are any, all that one of them requires.
    alternatives: Vec<Vec<Requirement>>,
    /// Something that says nothing of platforms chooses among the nodes besides.
    by_others: bool,
}

/// What one half of a platform has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    part: Part,
    /// The others are wanted, not these.
    is_negated: bool,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Os,
    Architecture,
}

impl PlatformSelector {
    pub fn of(pod: &PodSpec) -> Self {
        let mut wanted = Wanted {
            by_others: pod.node_name.is_some(),
            ..Wanted::default()
        };
        // The kubelet turns away a pod for another system.
        let os = pod.os.as_ref().map(|os| Requirement::one(Part::Os, &os.name));
        wanted.all.extend(os);
        for (label, value) in pod.node_selector.iter().flatten() {
            match Part::named_by(label) {
                Some(part) => wanted.all.push(Requirement::one(part, value)),
                None => wanted.by_others = true,
            }
        }
        let affinity = pod.affinity.as_ref();
        let affinity = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
        let required = affinity.and_then(|affinity| {
            affinity
                .required_during_scheduling_ignored_during_execution
                .as_ref()
        });
        for term in required.iter().flat_map(|required| &required.node_selector_terms) {
            wanted.take_alternative(term);
        }
        Self((wanted != Wanted::default()).then(|| Box::new(wanted)))
    }

    /// Whether a node with this `os/architecture` may be chosen.
    pub fn selects(&self, platform: &str) -> bool {
        let meets = |requirements: &[Requirement]| {
            let mut requirements = requirements.iter();
            requirements.all(|requirement| requirement.is_met(platform))
        };
        self.0.as_deref().is_none_or(|wanted| {
            let mut alternatives = wanted.alternatives.iter();
            let none = wanted.alternatives.is_empty();
            meets(&wanted.all) && (none || alternatives.any(|alternative| meets(alternative)))
        })
    }

    /// Whether it depends on more than their platform which nodes are chosen.
    pub fn is_by_others(&self) -> bool {
        self.0.as_ref().is_some_and(|wanted| wanted.by_others)
    }
}

impl Wanted {
    fn take_alternative(&mut self, term: &NodeSelectorTerm) {
        let expressions = || term.match_expressions.iter().flatten();
        let fields = term.match_fields.iter().flatten().count();
        let mut alternative: Vec<Requirement> = expressions().filter_map(Requirement::of).collect();
        let has_others = fields > 0 || alternative.len() < expressions().count();
        self.by_others |= has_others;
        // A term that asks for nothing chooses nothing.
        if alternative.is_empty() && !has_others {
            alternative.push(Requirement::never(Part::Os));
        }
        self.alternatives.push(alternative);
    }
}

impl Requirement {
    fn one(part: Part, value: &str) -> Self {
        Self {
            part,
            is_negated: false,
            values: vec![value.to_owned()],
        }
    }

    fn never(part: Part) -> Self {
        Self {
            part,
            is_negated: false,
            values: Vec::new(),
        }
    }

    /// `None`: it says nothing of platforms.
    fn of(expression: &NodeSelectorRequirement) -> Option<Self> {
        let part = Part::named_by(&expression.key)?;
        let values = expression.values.clone().unwrap_or_default();
        let is_negated = match expression.operator.as_str() {
            "In" => false,
            "NotIn" => true,
            // Every node has it.
            "Exists" => {
                return Some(Self {
                    is_negated: true,
                    ..Self::never(part)
                });
            }
            // It has to be missing, or a number.
            _ => return Some(Self::never(part)),
        };
        Some(Self {
            part,
            is_negated,
            values,
        })
    }

    fn is_met(&self, platform: &str) -> bool {
        let (os, architecture) = platform.split_once('/').unwrap_or((platform, ""));
        let found = match self.part {
            Part::Os => os,
            Part::Architecture => architecture,
        };
        self.values.iter().any(|value| value == found) != self.is_negated
    }
}

impl Part {
    /// Nodes still have the labels by their old names, too.
    fn named_by(label: &str) -> Option<Self> {
        match label {
            "kubernetes.io/os" | "beta.kubernetes.io/os" => Some(Self::Os),
            "kubernetes.io/arch" | "beta.kubernetes.io/arch" => Some(Self::Architecture),
            _ => None,
        }
    }
}

impl Nodes {
    /// Takes in a node; one that has not said yet what it is, is not there yet.
    pub fn take(&mut self, node: &Node) {
        let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
        if let (Some(name), Some(info)) = (&node.metadata.name, info)
            && !info.operating_system.is_empty()
            && !info.architecture.is_empty()
        {
            // What stands in for a node does not always write it as a kubelet does.
            let os = info.operating_system.to_ascii_lowercase();
            self.take_platform(name, &format!("{os}/{}", info.architecture), is_open(node));
        }
    }

    pub(super) fn take_platform(&mut self, name: &str, platform: &str, is_open: bool) {
        // Clusters have few platforms and many nodes.
        let known = self.platforms.get_key_value(platform);
        let platform = known.map_or_else(|| Arc::from(platform), |(known, _)| Arc::clone(known));
        *self.platforms.entry(Arc::clone(&platform)).or_default() |= is_open;
        self.by_name.insert(name.to_owned(), platform);
    }

    pub fn platform_of(&self, node: &str) -> Option<&str> {
        self.by_name.get(node).map(AsRef::as_ref)
    }

    /// Each platform, with whether some node of it is open to any pod.
    pub fn platforms(&self) -> impl Iterator<Item = (&str, bool)> {
        self.platforms
            .iter()
            .map(|(platform, is_open)| (platform.as_ref(), *is_open))
    }
}

/// Whether a pod may come onto a node without a word about it. One that is ill may be well in a minute; one that is tainted is so
/// because it is kept for some, or because it goes.
fn is_open(node: &Node) -> bool {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let mut lasting = taints.filter(|taint| {
        let mut passing = PASSING_TAINTS.iter();
        !passing.any(|prefix| taint.key.starts_with(prefix))
    });
    !lasting.any(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, os: &str, architecture: &str, taint: (&str, &str)) -> Node {
        let node = json!({
            "metadata": { "name": name },
            "spec": { "taints": [{ "key": taint.0, "effect": taint.1 }] },
            "status": { "nodeInfo": {
                "operatingSystem": os, "architecture": architecture, "bootID": "", "containerRuntimeVersion": "",
                "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "osImage": "",
                "systemUUID": "",
            } },
        });
        serde_json::from_value(node).unwrap()
    }

    #[test]
    fn a_platform_is_open_if_one_of_its_nodes_is_and_what_says_nothing_is_no_node() {
        let mut nodes = Nodes::default();
        nodes.take(&serde_json::from_value(json!({ "metadata": { "name": "new" } })).unwrap());
        for (name, os, architecture, taint) in [
            ("a", "linux", "amd64", ("dedicated", "NoSchedule")),
            ("b", "linux", "amd64", ("dedicated", "PreferNoSchedule")),
            ("c", "linux", "arm64", ("kubernetes.io/arch", "NoSchedule")),
            (
                "d",
                "linux",
                "arm64",
                ("ToBeDeletedByClusterAutoscaler", "NoSchedule"),
            ),
            (
                "e",
                "linux",
                "s390x",
                ("node.kubernetes.io/unreachable", "NoExecute"),
            ),
            ("f", "Windows", "amd64", ("os", "NoExecute")),
            ("virtual", "", "", ("", "")),
        ] {
            nodes.take(&node(name, os, architecture, taint));
        }
        let expected = [
            ("linux/amd64", true),
            ("linux/arm64", false),
            ("linux/s390x", true),
            ("windows/amd64", false),
        ];
        assert_eq!(nodes.platforms().collect::<Vec<_>>(), expected);
        assert_eq!(nodes.platform_of("c"), Some("linux/arm64"));
        assert_eq!(nodes.platform_of("new"), None);
        assert_eq!(nodes.platform_of("virtual"), None);
    }

    /// Which of three platforms such a pod asks for, and whether something else has a say in its nodes.
    fn asked_for(pod: &serde_json::Value) -> (Vec<&'static str>, bool) {
        let mut pod = pod.clone();
        pod["containers"] = json!([]);
        let selector = PlatformSelector::of(&serde_json::from_value(pod).unwrap());
        let selected = ALL.into_iter().filter(|platform| selector.selects(platform));
        (selected.collect(), selector.is_by_others())
    }

    const ALL: [&str; 3] = ["linux/amd64", "linux/arm64", "windows/amd64"];

    #[test]
    fn a_pod_asks_for_platforms_by_its_node_selector_and_its_system() {
        for (pod, expected, by_others) in [
            (json!({}), &ALL[..], false),
            (json!({ "nodeName": "a" }), &ALL, true),
            (json!({ "nodeSelector": { "disk": "ssd" } }), &ALL, true),
            (
                json!({ "nodeSelector": { "kubernetes.io/os": "linux" } }),
                &ALL[..2],
                false,
            ),
            (
                json!({ "nodeSelector": { "beta.kubernetes.io/arch": "arm64", "disk": "ssd" } }),
                &ALL[1..2],
                true,
            ),
            (json!({ "os": { "name": "windows" } }), &ALL[2..], false),
        ] {
            assert_eq!(asked_for(&pod), (expected.to_vec(), by_others), "{pod}");
        }
    }

    #[test]
    fn a_pod_asks_for_platforms_by_what_its_affinity_requires() {
        let architecture = |operator: &str, values: &[&str]| {
            let label = json!({ "key": "kubernetes.io/arch", "operator": operator, "values": values });
            json!({ "matchExpressions": [label] })
        };
        let pool = json!({ "key": "pool", "operator": "Exists" });
        let mut both = architecture("NotIn", &["amd64"]);
        both["matchExpressions"]
            .as_array_mut()
            .unwrap()
            .push(pool.clone());
        let pool = json!({ "matchExpressions": [pool] });
        let name = json!({ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": ["a"] }] });
        for (terms, expected, by_others) in [
            (
                json!([architecture("In", &["arm64", "s390x"])]),
                &ALL[1..2],
                false,
            ),
            (json!([both]), &ALL[1..2], true),
            (json!([architecture("Exists", &[])]), &ALL, false),
            (json!([architecture("DoesNotExist", &[])]), &[], false),
            (json!([architecture("In", &["arm64"]), pool]), &ALL, true),
            (json!([name]), &ALL, true),
            (json!([{}]), &[], false),
        ] {
            let required =
                json!({ "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms } });
            let pod = json!({ "affinity": { "nodeAffinity": required } });
            assert_eq!(asked_for(&pod), (expected.to_vec(), by_others), "{terms}");
        }
    }
}
