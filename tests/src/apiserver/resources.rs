//! The kinds this server knows, as one table.

/// One resource of one group and version.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a row of a table; each is a column of its own"
)]
pub struct Resource {
    /// Empty for the core group.
    pub group: &'static str,
    /// For example `v1`.
    pub version: &'static str,
    /// The name in paths and RBAC rules, for example `deployments`.
    pub plural: &'static str,
    /// For example `deployment`.
    pub singular: &'static str,
    /// For example `Deployment`.
    pub kind: &'static str,
    /// What kubectl also understands, for example `deploy`.
    pub short_names: &'static [&'static str],
    /// Groupings such as `all`.
    pub categories: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Whether `.status` is written through its own sub-resource only.
    pub has_status: bool,
    /// Whether the `scale` sub-resource exists.
    pub has_scale: bool,
    /// Whether `metadata.generation` counts changes of the specification.
    pub has_generation: bool,
    /// A question that is answered and never stored (`SelfSubjectAccessReview`).
    pub create_only: bool,
    /// The resource whose storage this one is another view of.
    pub view_of: Option<&'static Resource>,
}

impl Resource {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `configmaps` or `deployments.apps`, as error messages name it.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// The resource under which objects are really stored: itself, or what it is a view of.
    pub fn stored(&'static self) -> &'static Resource {
        self.view_of.unwrap_or(self)
    }

    /// The verbs of the main resource, as discovery lists them.
    pub fn verbs(&self) -> &'static [&'static str] {
        if self.create_only {
            &["create"]
        } else {
            &[
                "create",
                "delete",
                "deletecollection",
                "get",
                "list",
                "patch",
                "update",
                "watch",
            ]
        }
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.group == other.group && self.version == other.version && self.plural == other.plural
    }
}

impl Eq for Resource {}

/// The resource behind `/apis/{group}/{version}/…/{plural}` (`group` empty for `/api/v1`).
pub fn by_path(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    ALL.iter()
        .copied()
        .find(|resource| resource.group == group && resource.version == version && resource.plural == plural)
}

/// The resource of an object's `apiVersion` and `kind`.
pub fn by_kind(api_version: &str, kind: &str) -> Option<&'static Resource> {
    ALL.iter()
        .copied()
        .find(|resource| resource.kind == kind && resource.api_version() == api_version)
}

/// The resource of a group, whatever its version: what RBAC and owner references speak of.
pub fn by_group(group: &str, plural: &str) -> Option<&'static Resource> {
    ALL.iter()
        .copied()
        .find(|resource| resource.group == group && resource.plural == plural)
}

const BASE: Resource = Resource {
    group: "",
    version: "v1",
    plural: "",
    singular: "",
    kind: "",
    short_names: &[],
    categories: &[],
    namespaced: true,
    has_status: false,
    has_scale: false,
    has_generation: false,
    create_only: false,
    view_of: None,
};
const APPS: Resource = Resource {
    group: "apps",
    categories: &["all"],
    has_status: true,
    has_scale: true,
    has_generation: true,
    ..BASE
};
const BATCH: Resource = Resource {
    group: "batch",
    categories: &["all"],
    has_status: true,
    has_generation: true,
    ..BASE
};
const RBAC: Resource = Resource {
    group: "rbac.authorization.k8s.io",
    ..BASE
};
const REVIEW: Resource = Resource {
    group: "authorization.k8s.io",
    namespaced: false,
    create_only: true,
    ..BASE
};

macro_rules! table {
    ($($name:ident = $base:ident { $plural:literal, $singular:literal, $kind:literal $(, $field:ident: $value:expr)* };)+) => {
        $(
            #[doc = concat!("`", $kind, "`.")]
            pub static $name: Resource =
                Resource { plural: $plural, singular: $singular, kind: $kind, $($field: $value,)* ..$base };
        )+
        /// Every resource, in the order discovery lists them.
        pub static ALL: &[&Resource] = &[$(&$name),+];
    };
}

table! {
    CONFIG_MAPS = BASE { "configmaps", "configmap", "ConfigMap", short_names: &["cm"] };
    EVENTS = BASE { "events", "event", "Event", short_names: &["ev"] };
    NAMESPACES = BASE { "namespaces", "namespace", "Namespace", short_names: &["ns"], namespaced: false, has_status: true };
    NODES = BASE { "nodes", "node", "Node", short_names: &["no"], namespaced: false, has_status: true };
    PODS = BASE { "pods", "pod", "Pod", short_names: &["po"], categories: &["all"], has_status: true };
    SECRETS = BASE { "secrets", "secret", "Secret" };
    SERVICE_ACCOUNTS = BASE { "serviceaccounts", "serviceaccount", "ServiceAccount", short_names: &["sa"] };
    SERVICES = BASE { "services", "service", "Service", short_names: &["svc"], categories: &["all"], has_status: true };
    CONTROLLER_REVISIONS = APPS { "controllerrevisions", "controllerrevision", "ControllerRevision",
        categories: &[], has_status: false, has_scale: false, has_generation: false };
    DAEMON_SETS = APPS { "daemonsets", "daemonset", "DaemonSet", short_names: &["ds"], has_scale: false };
    DEPLOYMENTS = APPS { "deployments", "deployment", "Deployment", short_names: &["deploy"] };
    REPLICA_SETS = APPS { "replicasets", "replicaset", "ReplicaSet", short_names: &["rs"] };
    STATEFUL_SETS = APPS { "statefulsets", "statefulset", "StatefulSet", short_names: &["sts"] };
    CRON_JOBS = BATCH { "cronjobs", "cronjob", "CronJob", short_names: &["cj"] };
    JOBS = BATCH { "jobs", "job", "Job" };
    SELF_SUBJECT_REVIEWS = REVIEW { "selfsubjectreviews", "selfsubjectreview", "SelfSubjectReview", group: "authentication.k8s.io" };
    SELF_SUBJECT_ACCESS_REVIEWS = REVIEW { "selfsubjectaccessreviews", "selfsubjectaccessreview", "SelfSubjectAccessReview" };
    SELF_SUBJECT_RULES_REVIEWS = REVIEW { "selfsubjectrulesreviews", "selfsubjectrulesreview", "SelfSubjectRulesReview" };
    LEASES = BASE { "leases", "lease", "Lease", group: "coordination.k8s.io" };
    EVENTS_V1 = BASE { "events", "event", "Event", group: "events.k8s.io", short_names: &["ev"], view_of: Some(&EVENTS) };
    NETWORK_POLICIES = BASE { "networkpolicies", "networkpolicy", "NetworkPolicy", group: "networking.k8s.io",
        short_names: &["netpol"], has_generation: true };
    POD_DISRUPTION_BUDGETS = BASE { "poddisruptionbudgets", "poddisruptionbudget", "PodDisruptionBudget", group: "policy",
        short_names: &["pdb"], has_status: true, has_generation: true };
    CLUSTER_ROLE_BINDINGS = RBAC { "clusterrolebindings", "clusterrolebinding", "ClusterRoleBinding", namespaced: false };
    CLUSTER_ROLES = RBAC { "clusterroles", "clusterrole", "ClusterRole", namespaced: false };
    ROLE_BINDINGS = RBAC { "rolebindings", "rolebinding", "RoleBinding" };
    ROLES = RBAC { "roles", "role", "Role" };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_found_by_path_and_by_kind() {
        assert_eq!(by_path("apps", "v1", "deployments"), Some(&DEPLOYMENTS));
        assert_eq!(by_kind("v1", "Pod"), Some(&PODS));
        assert_eq!(by_kind("apps/v1", "Pod"), None);
    }

    #[test]
    fn both_kinds_of_event_share_one_storage() {
        assert_eq!(EVENTS_V1.stored(), &EVENTS);
        assert_eq!(by_path("events.k8s.io", "v1", "events"), Some(&EVENTS_V1));
    }
}
