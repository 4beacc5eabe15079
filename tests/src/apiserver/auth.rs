//! Who is calling: bearer tokens, the users behind them, and whom they may pretend to be (`kubectl --as`).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::error::ApiError;
use super::rbac::{self, Action};
use super::resources::SERVICE_ACCOUNTS;
use super::serve::text;
use super::store::Store;
use super::strategy::random_u64;

const TOKEN_LIFETIME: Duration = Duration::from_hours(1);
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    /// For example `system:serviceaccount:shop:default`.
    pub(super) name: String,
    /// Groups, as RBAC subjects name them.
    pub(super) groups: Vec<String>,
}

/// A token as `TokenRequest` hands it out.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    pub(super) token: String,
    pub(super) expires: Timestamp,
}

/// The tokens that are valid here. They expire in real time.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<HashMap<String, (User, Option<Timestamp>)>>);

impl User {
    /// A member of `system:masters`, to whom everything is allowed.
    pub(super) fn admin() -> Self {
        Self {
            name: "kubernetes-admin".to_owned(),
            groups: vec!["system:masters".to_owned(), "system:authenticated".to_owned()],
        }
    }

    /// The user of a service account.
    pub(super) fn service_account(namespace: &str, name: &str) -> Self {
        Self {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
        }
    }

    /// Namespace and name, if this is a service account.
    pub(super) fn as_service_account(&self) -> Option<(&str, &str)> {
        self.name.strip_prefix("system:serviceaccount:")?.split_once(':')
    }
}

/// The caller by its `Authorization` header, or whom it impersonates. Fails with 401 or 403.
pub(super) fn identify(tokens: &Tokens, store: &Store, headers: &HeaderMap) -> Result<User, ApiError> {
    let caller = tokens
        .authenticate(&text(headers, &header::AUTHORIZATION), store)
        .ok_or_else(ApiError::unauthorized)?;
    let name = text(headers, &HeaderName::from_static("impersonate-user"));
    if name.is_empty() {
        return Ok(caller);
    }
    let (namespace, resource, plain) = match name.strip_prefix("system:serviceaccount:") {
        Some(account) => {
            let (namespace, name) = account.split_once(':').unwrap_or_default();
            (namespace, "serviceaccounts", name)
        }
        None => ("", "users", name.as_str()),
    };
    let action = Action::Resource {
        verb: "impersonate",
        group: "",
        resource,
        namespace,
        name: plain,
    };
    let decision = rbac::authorize(store, &caller, action);
    if !decision.allowed {
        let refusal = rbac::refusal(&caller, action, &decision.reason);
        let message = format!("{resource} {plain:?} is forbidden: {refusal}");
        return Err(ApiError::new(StatusCode::FORBIDDEN, "Forbidden", message));
    }
    if resource == "serviceaccounts" {
        return Ok(User::service_account(namespace, plain));
    }
    let mut groups: Vec<String> = headers
        .get_all("impersonate-group")
        .iter()
        .filter_map(|group| group.to_str().ok().map(str::to_owned))
        .collect();
    groups.push("system:authenticated".to_owned());
    Ok(User { name, groups })
}

impl Tokens {
    /// A token of the administrator, without expiry.
    pub(super) fn issue_admin(&self) -> String {
        let token = format!("{:016x}{:016x}", random_u64(), random_u64());
        self.remember(token.clone(), User::admin(), None);
        token
    }

    /// A token of a service account, shaped like the JWTs of Kubernetes (but opaque: nothing verifies its signature).
    pub(super) fn issue(&self, namespace: &str, name: &str, lifetime: Option<Duration>) -> Issued {
        let user = User::service_account(namespace, name);
        let now = Timestamp::now();
        let expires = now + lifetime.unwrap_or(TOKEN_LIFETIME);
        let claims = json!({
            "iss": ISSUER,
            "sub": user.name,
            "aud": [ISSUER],
            "iat": now.as_second(),
            "exp": expires.as_second(),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name}},
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signature =
            URL_SAFE_NO_PAD.encode([random_u64().to_be_bytes(), random_u64().to_be_bytes()].concat());
        let token = format!(
            "{}.{}.{signature}",
            part(&json!({"alg": "RS256", "typ": "JWT"})),
            part(&claims)
        );
        self.remember(token.clone(), user, Some(expires));
        Issued { token, expires }
    }

    /// Makes a token unknown, as if it had been revoked.
    pub(super) fn revoke(&self, token: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(token);
    }

    /// The user behind an `Authorization` header. A token dies with its service account.
    pub(super) fn authenticate(&self, header: &str, store: &Store) -> Option<User> {
        let token = header.strip_prefix("Bearer ")?.trim();
        let (user, expires) = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(token)
            .cloned()?;
        if expires.is_some_and(|expires| expires < Timestamp::now()) {
            return None;
        }
        if let Some((namespace, name)) = user.as_service_account() {
            store.get(&SERVICE_ACCOUNTS, namespace, name)?;
        }
        Some(user)
    }

    fn remember(&self, token: String, user: User, expires: Option<Timestamp>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(token, (user, expires));
    }
}
