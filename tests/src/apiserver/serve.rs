//! The way of a request: who is it, does a fault strike, may they, and which handler.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use http::{HeaderMap, Method, Request, StatusCode, header};
use hyper::body::Incoming;

use super::access_log::RequestRecord;
use super::auth::User;
use super::error::ApiError;
use super::faults::{Facts, Fault};
use super::negotiate::{self, Format};
use super::path::{Query, Target, verb};
use super::rbac::{self, Action};
use super::respond::{self, Answer};
use super::{Shared, auth, discovery, openapi, read, remove, review, seeds, subresource, watch, write};

/// The largest body Kubernetes reads, in bytes.
const MAX_BODY: usize = 3 * 1024 * 1024;

/// The connection is broken off on purpose, without an answer.
#[derive(Debug, thiserror::Error)]
#[error("a fault rule broke the connection")]
pub(super) struct Dropped;

/// A request that has been read and understood.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Query,
    pub(super) verb: &'static str,
    pub(super) user: User,
    pub(super) user_agent: String,
    pub(super) accept: String,
    pub(super) content_type: String,
    pub(super) body: Bytes,
    /// Answer reads from this many revisions ago.
    pub(super) stale_by: u64,
    /// Break a watch off after this long.
    pub(super) cut_watch: Option<std::time::Duration>,
}

impl Call {
    /// The shape the client asked for.
    pub(super) fn format(&self) -> Result<Format, ApiError> {
        negotiate::accepted(&self.accept)
    }

    /// Whether this write is only a rehearsal.
    pub(super) fn dry_run(&self) -> bool {
        self.query.get("dryRun") == Some("All")
    }

    /// Who is recorded in managedFields.
    pub(super) fn field_manager(&self) -> String {
        self.query.get("fieldManager").map_or_else(
            || {
                self.user_agent
                    .split('/')
                    .next()
                    .unwrap_or_default()
                    .chars()
                    .take(128)
                    .collect()
            },
            str::to_owned,
        )
    }
}

/// Handles one request. An error breaks the connection.
pub(super) async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Dropped> {
    let (parts, body) = request.into_parts();
    let query = Query::parse(&parts.uri);
    let target = Target::parse(parts.uri.path());
    let verb = verb(&parts.method, target.as_ref(), &query);
    let user = auth::identify(&shared.tokens, &shared.store, &parts.headers);
    let record = RequestRecord::begin(&parts, user.as_ref().ok(), verb, target.as_ref());
    let struck = shared.faults.strike(Facts {
        user: &record.user,
        verb,
        resource: &target.as_ref().map(Target::with_subresource).unwrap_or_default(),
        namespace: &record.namespace,
        name: &record.name,
    });
    match (user, read_body(body).await) {
        (Ok(user), Ok(body)) => {
            let call = Call {
                path: parts.uri.path().to_owned(),
                accept: text(&parts.headers, &header::ACCEPT),
                method: parts.method,
                query,
                verb,
                user,
                user_agent: record.user_agent.clone(),
                content_type: record.content_type.clone(),
                body,
                stale_by: 0,
                cut_watch: None,
            };
            answer_with_faults(&shared, record, call, target, struck).await
        }
        (Err(error), _) | (_, Err(error)) => {
            let breaks = struck
                .iter()
                .any(|fault| matches!(fault, Fault::DropBefore | Fault::DropAfter));
            let answer = if breaks {
                Err(Dropped)
            } else {
                Ok(respond::error(&error))
            };
            shared.access_log.push(record.end(&answer));
            answer
        }
    }
}

/// A header as text; empty when it is missing.
pub(super) fn text(headers: &HeaderMap, name: &header::HeaderName) -> String {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}

async fn read_body(body: Incoming) -> Result<Bytes, ApiError> {
    axum::body::to_bytes(Body::new(body), MAX_BODY)
        .await
        .map_err(|_| {
            let message = format!("Request entity too large: limit is {MAX_BODY}");
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
        })
}

async fn answer_with_faults(
    shared: &Arc<Shared>,
    record: RequestRecord,
    mut call: Call,
    target: Option<Target>,
    struck: Vec<Fault>,
) -> Result<Answer, Dropped> {
    let mut instead = None;
    let mut drop_after = false;
    let mut delay_after = None;
    for fault in struck {
        match fault {
            Fault::DropBefore => {
                instead = Some(Err(Dropped));
                break;
            }
            Fault::Answer(error) => {
                instead = Some(Ok(respond::error(&error)));
                break;
            }
            Fault::DropAfter => drop_after = true,
            Fault::Delay(duration) => tokio::time::sleep(duration).await,
            Fault::DelayAnswer(duration) => delay_after = Some(duration),
            Fault::CutWatch(duration) => call.cut_watch = Some(duration),
            Fault::StaleRead(revisions) => call.stale_by = revisions,
            Fault::ReadAt(revision) => call.stale_by = shared.store.revision().saturating_sub(revision),
        }
    }
    let answer = shared.access_log.handle(|| {
        let answer = instead.unwrap_or_else(|| {
            let answer = route(shared, &call, target).unwrap_or_else(|error| respond::error(&error));
            if drop_after { Err(Dropped) } else { Ok(answer) }
        });
        (record.end(&answer), answer)
    });
    if let Some(duration) = delay_after {
        tokio::time::sleep(duration).await;
    }
    answer
}

fn route(shared: &Arc<Shared>, call: &Call, target: Option<Target>) -> Result<Answer, ApiError> {
    let Some(target) = target else {
        authorize_path(shared, call)?;
        return path_outside_resources(call);
    };
    authorize(shared, call, &target)?;
    if target.resource.create_only {
        return review::answer(&shared.store, call, &target);
    }
    if !target.subresource.is_empty() {
        return subresource::answer(shared, call, &target);
    }
    match call.verb {
        "get" => read::get(&shared.store, call, &target),
        "list" => read::list(&shared.store, call, &target),
        "watch" => watch::start(shared, call, &target),
        "create" => write::create(&shared.store, call, &target),
        "update" if !target.name.is_empty() => write::replace(&shared.store, call, &target),
        "patch" if !target.name.is_empty() => write::patch(&shared.store, call, &target),
        "delete" => remove::one(&shared.store, call, &target),
        "deletecollection" => remove::collection(&shared.store, call, &target),
        _ => Err(ApiError::method_not_allowed()),
    }
}

fn authorize(shared: &Shared, call: &Call, target: &Target) -> Result<(), ApiError> {
    let resource = target.with_subresource();
    // `metadata.name=x` narrows a list or watch to one name, which resourceNames may allow.
    let selected = call
        .query
        .get("fieldSelector")
        .and_then(|fields| super::Selector::parse(target.resource, "", fields).ok())
        .and_then(|selector| selector.name().map(str::to_owned))
        .unwrap_or_default();
    let name = if target.name.is_empty() {
        selected
    } else {
        target.name.clone()
    };
    // A namespace is its own namespace to RBAC.
    let namespace = if target.resource.kind == "Namespace" {
        &target.name
    } else {
        &target.namespace
    };
    let action = Action::Resource {
        verb: call.verb,
        group: target.resource.group,
        resource: &resource,
        namespace,
        name: &name,
    };
    let decision = rbac::authorize(&shared.store, &call.user, action);
    if decision.allowed {
        return Ok(());
    }
    let mut subject = target.resource.qualified();
    if !name.is_empty() {
        subject = format!("{subject} {name:?}");
    }
    let refusal = rbac::refusal(&call.user, action, &decision.reason);
    Err(ApiError::forbidden(
        target.resource,
        &name,
        format!("{subject} is forbidden: {refusal}"),
    ))
}

fn authorize_path(shared: &Shared, call: &Call) -> Result<(), ApiError> {
    let action = Action::Path {
        verb: call.verb,
        path: &call.path,
    };
    let decision = rbac::authorize(&shared.store, &call.user, action);
    if decision.allowed {
        return Ok(());
    }
    let refusal = rbac::refusal(&call.user, action, &decision.reason);
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "Forbidden",
        format!("forbidden: {refusal}"),
    ))
}

fn path_outside_resources(call: &Call) -> Result<Answer, ApiError> {
    if call.method != Method::GET {
        return Err(ApiError::no_such_path());
    }
    match call.path.trim_end_matches('/') {
        "/version" => Ok(respond::ok(&seeds::version())),
        "/healthz" | "/livez" | "/readyz" => Ok(respond::with_type(StatusCode::OK, "text/plain", "ok")),
        path => discovery::answer(path, &call.accept)
            .or_else(|| openapi::answer(path))
            .ok_or_else(ApiError::no_such_path),
    }
}
