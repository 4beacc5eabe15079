//! Who may do what, and the token endpoint.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::options::{Auth, BearerAuth, EmptyTokens, TokenField, User};
use super::route::Route;
use super::server::{Call, Query, State, answer, error_answer};

/// What came of the check.
pub(super) enum Verdict {
    /// The registry asks nobody for anything.
    Open,
    /// The request carried a credential that suffices.
    Authorised,
    /// Refused, with the answer to send.
    Refused(Response<Bytes>),
}

/// The bearer tokens handed out.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    issued: u64,
    grants: HashMap<String, Grant>,
}

#[derive(Debug)]
struct Grant {
    /// Repository and actions.
    scopes: Vec<(String, Vec<String>)>,
    valid_until: Instant,
}

impl Tokens {
    pub(super) fn forget(&self) {
        self.0.lock().unwrap().grants.clear();
    }

    fn issue(&self, bearer: &BearerAuth, grant: Grant) -> String {
        let mut inner = self.0.lock().unwrap();
        inner.issued += 1;
        let number = inner.issued;
        let token = match &bearer.signer {
            Some(signer) => signer.sign(number, &bearer.service, &grant.scopes, bearer.lifetime),
            None => format!("token-{number}"),
        };
        inner.grants.insert(token.clone(), grant);
        token
    }

    fn allows(&self, token: &str, repository: Option<&str>, action: &str) -> bool {
        let inner = self.0.lock().unwrap();
        let Some(grant) = inner
            .grants
            .get(token)
            .filter(|grant| Instant::now() < grant.valid_until)
        else {
            return false;
        };
        repository.is_none_or(|repository| {
            let matching = |(name, actions): &(String, Vec<String>)| {
                name == repository && actions.iter().any(|granted| granted == action)
            };
            grant.scopes.iter().any(matching)
        })
    }
}

/// Decides whether the request may go on.
pub(super) fn check(state: &State, method: &Method, route: &Route, headers: &HeaderMap) -> Verdict {
    let options = state.options.lock().unwrap();
    match &options.auth {
        Auth::None => Verdict::Open,
        Auth::Basic(users) => {
            let Some(user) = state.logins.judge(headers, || user_of(users, headers)) else {
                return Verdict::Refused(challenge("Basic realm=\"registry\""));
            };
            if route.repository().is_none_or(|name| user.may_touch(name)) {
                Verdict::Authorised
            } else {
                Verdict::Refused(error_answer(
                    403,
                    "DENIED",
                    "requested access to the resource is denied",
                ))
            }
        }
        Auth::Bearer(bearer) => {
            let action = if matches!(*method, Method::GET | Method::HEAD) {
                "pull"
            } else {
                "push"
            };
            let token = headers.get("authorization").and_then(|value| value.to_str().ok());
            let token = token.and_then(|value| value.strip_prefix("Bearer "));
            if token.is_some_and(|token| state.tokens.allows(token, route.repository(), action)) {
                return Verdict::Authorised;
            }
            Verdict::Refused(challenge(&bearer_challenge(state, bearer, route, action)))
        }
    }
}

/// How often a user name or a password was wrong, as a service counts before it locks an account.
#[derive(Debug, Default)]
pub(super) struct FailedLogins(AtomicUsize);

impl FailedLogins {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn judge<'a>(&self, headers: &HeaderMap, find: impl FnOnce() -> Option<&'a User>) -> Option<&'a User> {
        let found = find();
        if found.is_none() && headers.contains_key("authorization") {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        found
    }
}

/// `GET /token?service=…&scope=repository:NAME:pull`, or the same as a form with a refresh token.
pub(super) fn token(state: &State, call: &Call) -> Response<Bytes> {
    let options = state.options.lock().unwrap();
    let Auth::Bearer(bearer) = &options.auth else {
        return error_answer(404, "UNSUPPORTED", "this registry hands out no tokens");
    };
    let headers = &call.headers;
    let form = Query::parse(&String::from_utf8_lossy(&call.body));
    let query = if call.method == Method::POST {
        &form
    } else {
        &call.query
    };
    let user = if let Some(token) = query.get("refresh_token") {
        let user = bearer
            .users
            .iter()
            .find(|user| user.identity_token.as_deref() == Some(token));
        if user.is_none() || query.get("grant_type") != Some("refresh_token") {
            state.logins.0.fetch_add(1, Ordering::SeqCst);
            return answer(
                400,
                &[("content-type", "application/json")],
                r#"{"error":"invalid_grant"}"#,
            );
        }
        user
    } else {
        let user = state.logins.judge(headers, || user_of(&bearer.users, headers));
        if user.is_none() && (headers.contains_key("authorization") || !bearer.anonymous_pull) {
            return error_answer(401, "UNAUTHORIZED", "incorrect username or password");
        }
        user
    };
    let wishes = query.all("scope").flat_map(|scopes| scopes.split(' '));
    let wishes: Vec<_> = wishes.filter_map(parse_scope).collect();
    let is_for_nothing = wishes.is_empty();
    let scopes: Vec<_> = wishes
        .into_iter()
        .filter_map(|(name, actions)| granted(bearer, user, name, actions))
        .collect();
    if scopes.is_empty() && !is_empty_token_given(bearer.empty_tokens, is_for_nothing) {
        return if is_for_nothing {
            error_answer(400, "UNSUPPORTED", "a token is for something")
        } else {
            error_answer(403, "DENIED", "requested access to the resource is denied")
        };
    }
    let token = state.tokens.issue(
        bearer,
        Grant {
            scopes,
            valid_until: Instant::now() + bearer.lifetime,
        },
    );
    let field = match bearer.field {
        TokenField::Token => "token",
        TokenField::AccessToken => "access_token",
    };
    let mut reply = json!({ field: token });
    if bearer.tell_lifetime {
        reply["expires_in"] = json!(bearer.lifetime.as_secs());
    }
    answer(200, &[("content-type", "application/json")], reply.to_string())
}

fn is_empty_token_given(to: EmptyTokens, is_for_nothing: bool) -> bool {
    match to {
        EmptyTokens::Everybody => true,
        EmptyTokens::WhoAsksForNothing => is_for_nothing,
        EmptyTokens::Nobody => false,
    }
}

/// What of a wish is granted; `None` when nothing is.
fn granted(
    bearer: &BearerAuth,
    user: Option<&User>,
    repository: String,
    wanted: Vec<String>,
) -> Option<(String, Vec<String>)> {
    let allowed = match user {
        Some(user) if user.may_touch(&repository) => wanted,
        _ if bearer.is_public(&repository) => wanted.into_iter().filter(|action| action == "pull").collect(),
        _ => return None,
    };
    Some((repository, allowed))
}

fn parse_scope(scope: &str) -> Option<(String, Vec<String>)> {
    let rest = scope.strip_prefix("repository:")?;
    let (name, actions) = rest.rsplit_once(':')?;
    Some((name.to_owned(), actions.split(',').map(str::to_owned).collect()))
}

fn bearer_challenge(state: &State, bearer: &BearerAuth, route: &Route, action: &str) -> String {
    let own = || format!("http://{}/token", state.address);
    let realm = bearer.realm.clone().unwrap_or_else(own);
    let actions = if action == "push" { "pull,push" } else { "pull" };
    let scope = |repository| format!(",scope=\"repository:{repository}:{actions}\"");
    let scope = route.repository().map(scope).unwrap_or_default();
    format!("Bearer realm=\"{realm}\",service=\"{}\"{scope}", bearer.service)
}

fn challenge(text: &str) -> Response<Bytes> {
    let mut response = error_answer(401, "UNAUTHORIZED", "authentication required");
    response.headers_mut().insert(
        "www-authenticate",
        text.parse().expect("a challenge is a header value"),
    );
    response
}

fn user_of<'a>(users: &'a [User], headers: &HeaderMap) -> Option<&'a User> {
    let encoded = headers
        .get("authorization")?
        .to_str()
        .ok()?
        .strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    users
        .iter()
        .find(|user| user.name == name && user.password == password)
}
