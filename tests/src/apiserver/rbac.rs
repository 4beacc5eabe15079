//! Role-based access control, decided from the roles and bindings in the store. Reads only.

use serde_json::Value;

use super::auth::User;
use super::resources::{CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES};
use super::store::Store;

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action<'a> {
    /// Something with a resource.
    Resource {
        /// For example `patch`.
        verb: &'a str,
        /// Empty for the core group.
        group: &'a str,
        /// `deployments` or `deployments/scale`.
        resource: &'a str,
        /// Empty for cluster scope.
        namespace: &'a str,
        /// Empty for collections.
        name: &'a str,
    },
    /// A path outside the resources, such as `/version`.
    Path {
        /// The HTTP method in lower case.
        verb: &'a str,
        /// The path.
        path: &'a str,
    },
}

/// Whether an action is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    /// The answer.
    pub(super) allowed: bool,
    /// Bindings that point at missing roles, or why it is allowed.
    pub(super) reason: String,
}

/// Decides like the RBAC authorizer of Kubernetes; `system:masters` may do everything.
pub(super) fn authorize(store: &Store, user: &User, action: Action<'_>) -> Decision {
    if user.groups.iter().any(|group| group == "system:masters") {
        return Decision {
            allowed: true,
            reason: String::new(),
        };
    }
    let namespace = match action {
        Action::Resource { namespace, .. } => namespace,
        Action::Path { .. } => "",
    };
    let mut missing = Vec::new();
    for (binding, rules) in rules_for(store, user, namespace) {
        match rules {
            Ok(rules) if rules.iter().any(|rule| permits(rule, action)) => {
                let reason = format!("RBAC: allowed by {binding}");
                return Decision {
                    allowed: true,
                    reason,
                };
            }
            Ok(_) => {}
            Err(role) => missing.push(role),
        }
    }
    let reason = match missing.as_slice() {
        [] => String::new(),
        [only] => format!("RBAC: {only}"),
        many => format!("RBAC: [{}]", many.join(", ")),
    };
    Decision {
        allowed: false,
        reason,
    }
}

/// The rules that hold for `user` in `namespace` (empty: cluster scope), one entry per binding.
pub(super) fn rules_for(
    store: &Store,
    user: &User,
    namespace: &str,
) -> Vec<(String, Result<Vec<Value>, String>)> {
    let mut bindings = store.list(&CLUSTER_ROLE_BINDINGS, None);
    if !namespace.is_empty() {
        bindings.extend(store.list(&ROLE_BINDINGS, Some(namespace)));
    }
    bindings
        .iter()
        .filter(|binding| {
            let default = binding["metadata"]["namespace"].as_str().unwrap_or_default();
            binding["subjects"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|subject| names(subject, user, default))
        })
        .map(|binding| {
            let name = binding["metadata"]["name"].as_str().unwrap_or_default();
            let label = format!("{} {name:?}", binding["kind"].as_str().unwrap_or_default());
            (label, role_rules(store, binding))
        })
        .collect()
}

fn role_rules(store: &Store, binding: &Value) -> Result<Vec<Value>, String> {
    let name = binding["roleRef"]["name"].as_str().unwrap_or_default();
    let (role, kind) = if binding["roleRef"]["kind"] == "Role" {
        let namespace = binding["metadata"]["namespace"].as_str().unwrap_or_default();
        (store.get(&ROLES, namespace, name), "role")
    } else {
        (store.get(&CLUSTER_ROLES, "", name), "clusterrole")
    };
    role.map(|role| role["rules"].as_array().cloned().unwrap_or_default())
        .ok_or_else(|| format!("{kind}.rbac.authorization.k8s.io {name:?} not found"))
}

fn names(subject: &Value, user: &User, default_namespace: &str) -> bool {
    let name = subject["name"].as_str().unwrap_or_default();
    match subject["kind"].as_str() {
        Some("User") => user.name == name,
        Some("Group") => user.groups.iter().any(|group| group == name),
        Some("ServiceAccount") => {
            let namespace = subject["namespace"].as_str().unwrap_or(default_namespace);
            user.as_service_account() == Some((namespace, name))
        }
        _ => false,
    }
}

fn permits(rule: &Value, action: Action<'_>) -> bool {
    let lists = |field: &str, wanted: &dyn Fn(&str) -> bool| {
        rule[field]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .any(wanted)
    };
    match action {
        Action::Resource {
            verb,
            group,
            resource,
            name,
            ..
        } => {
            let any_subresource = resource.split_once('/').map(|(_, sub)| format!("*/{sub}"));
            let restricted = rule["resourceNames"]
                .as_array()
                .is_some_and(|names| !names.is_empty());
            lists("verbs", &|word| word == "*" || word == verb)
                && lists("apiGroups", &|word| word == "*" || word == group)
                && lists("resources", &|word| {
                    word == "*" || word == resource || any_subresource.as_deref() == Some(word)
                })
                && (!restricted || (!name.is_empty() && lists("resourceNames", &|word| word == name)))
        }
        Action::Path { verb, path } => {
            lists("verbs", &|word| word == "*" || word == verb)
                && lists("nonResourceURLs", &|word| match word.strip_suffix('*') {
                    Some(prefix) => path.starts_with(prefix),
                    None => word == path,
                })
        }
    }
}

/// The sentence after "is forbidden: ", as Kubernetes words it.
pub(super) fn refusal(user: &User, action: Action<'_>, reason: &str) -> String {
    let mut sentence = match action {
        Action::Resource {
            verb,
            group,
            resource,
            namespace,
            ..
        } => {
            let place = if namespace.is_empty() {
                "at the cluster scope".to_owned()
            } else {
                format!("in the namespace {namespace:?}")
            };
            format!(
                "User {:?} cannot {verb} resource {resource:?} in API group {group:?} {place}",
                user.name
            )
        }
        Action::Path { verb, path } => format!("User {:?} cannot {verb} path {path:?}", user.name),
    };
    if !reason.is_empty() {
        sentence = format!("{sentence}: {reason}");
    }
    sentence
}

#[cfg(test)]
mod tests;
