//! What a request asks for, read from its method, path and query: the terms RBAC and the handlers speak in.

use http::Method;

use super::resources::{self, Resource};

/// The resource part of a request.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) resource: &'static Resource,
    /// Empty for cluster-scoped resources and for requests across all namespaces.
    pub(super) namespace: String,
    /// Empty for collections.
    pub(super) name: String,
    /// Empty for the main resource.
    pub(super) subresource: String,
}

/// The parameters after the `?`, decoded.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Target {
    /// Reads `/api/v1/…` and `/apis/G/V/…`; `None` for anything else.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let parts: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(percent_decode)
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            // `namespaces/x` and its sub-resources are about the namespace itself.
            ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => ("", rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            _ => ("", rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, "", ""),
            [plural, name] => (*plural, *name, ""),
            [plural, name, subresource] => (*plural, *name, *subresource),
            _ => return None,
        };
        let resource = resources::by_path(group, version, plural)?;
        if !resource.namespaced && !namespace.is_empty() {
            return None;
        }
        Some(Self {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
        })
    }

    /// The namespace to list, or `None` for all of them.
    pub(super) fn list_namespace(&self) -> Option<&str> {
        (!self.namespace.is_empty()).then_some(self.namespace.as_str())
    }

    /// `deployments` or `deployments/scale`.
    pub(super) fn with_subresource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.plural.to_owned()
        } else {
            format!("{}/{}", self.resource.plural, self.subresource)
        }
    }
}

impl Query {
    pub(super) fn parse(uri: &http::Uri) -> Self {
        axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_or_else(|_| Self::default(), |pairs| Self(pairs.0))
    }

    /// The first value of a parameter; an empty one counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is `true` or `1`.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }
}

/// The verb of RBAC and of the access log.
pub(super) fn verb(method: &Method, target: Option<&Target>, query: &Query) -> &'static str {
    let Some(target) = target else {
        return match method.as_str() {
            "GET" => "get",
            "HEAD" => "head",
            "POST" => "post",
            "PUT" => "put",
            "PATCH" => "patch",
            "DELETE" => "delete",
            _ => "options",
        };
    };
    match (method.as_str(), target.name.is_empty()) {
        ("GET" | "HEAD", false) => "get",
        ("GET" | "HEAD", true) if query.flag("watch") => "watch",
        ("GET" | "HEAD", true) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", false) => "delete",
        ("DELETE", true) => "deletecollection",
        _ => "unknown",
    }
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%')
            .then(|| tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = escaped {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_like_the_api_server_reads_them() {
        let cases = [
            ("/api/v1/pods", ("pods", "", "", "")),
            (
                "/api/v1/namespaces/shop/pods/web/log",
                ("pods", "shop", "web", "log"),
            ),
            ("/api/v1/namespaces", ("namespaces", "", "", "")),
            ("/api/v1/namespaces/shop", ("namespaces", "", "shop", "")),
            (
                "/api/v1/namespaces/shop/status",
                ("namespaces", "", "shop", "status"),
            ),
            (
                "/apis/apps/v1/namespaces/shop/deployments/web",
                ("deployments", "shop", "web", ""),
            ),
            (
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Adiscovery",
                ("clusterroles", "", "system:discovery", ""),
            ),
        ];
        for (path, expected) in cases {
            let target = Target::parse(path).unwrap();
            let found = (
                target.resource.plural,
                target.namespace.as_str(),
                target.name.as_str(),
                target.subresource.as_str(),
            );
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn other_paths_are_no_resource() {
        for path in [
            "/version",
            "/api/v1",
            "/apis/apps/v1",
            "/apis/apps/v1/unicorns",
            "/api/v1/a/b/c/d/e",
        ] {
            assert!(Target::parse(path).is_none(), "{path}");
        }
    }
}
