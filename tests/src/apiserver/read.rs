//! get and list.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};

use super::error::ApiError;
use super::events;
use super::path::Target;
use super::present::{ListMeta, View};
use super::resources::Resource;
use super::respond::{self, Answer};
use super::selector::Selector;
use super::serve::Call;
use super::store::{Snapshot, Store};

const CONTINUE_EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. \
     You can start a new list without the continue parameter.";

pub(super) fn get(store: &Store, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let missing = || ApiError::not_found(target.resource, &target.name);
    let object = if call.stale_by == 0 {
        store
            .get(target.resource, &target.namespace, &target.name)
            .ok_or_else(missing)?
    } else {
        let snapshot = stale(store, call, target.resource, Some(&target.namespace))?;
        let found = snapshot
            .items
            .into_iter()
            .find(|object| object["metadata"]["name"] == *target.name);
        found.ok_or_else(missing)?
    };
    let view = View::new(target.resource, call.format()?, &call.query, store.clock());
    Ok(respond::ok(&view.object(Value::clone(&object), true)))
}

pub(super) fn list(store: &Store, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let selector = selector(call, target)?;
    let page = Page::of(call)?;
    let snapshot = snapshot(store, call, target, &page)?;
    let selected = snapshot.items.iter().filter(|object| {
        page.after.as_ref().is_none_or(|last| key(object) > *last)
            && selector.matches(&events::shown(target.resource, object))
    });
    let mut items: Vec<_> = selected.cloned().collect();
    let mut meta = ListMeta {
        revision: snapshot.revision,
        ..ListMeta::default()
    };
    if let Some(limit) = page.limit.filter(|limit| *limit > 0 && *limit < items.len()) {
        meta.remaining = Some(items.len() - limit);
        items.truncate(limit);
        let last = items.last().map(|object| key(object)).unwrap_or_default();
        meta.continue_token = Some(token(snapshot.revision, &last));
    }
    let view = View::new(target.resource, call.format()?, &call.query, store.clock());
    Ok(respond::ok(&view.list(
        items.iter().map(|object| Value::clone(object)).collect(),
        &meta,
    )))
}

/// The selectors of a list, watch or deletecollection.
pub(super) fn selector(call: &Call, target: &Target) -> Result<Selector, ApiError> {
    Selector::parse(
        target.resource,
        call.query.get("labelSelector").unwrap_or_default(),
        call.query.get("fieldSelector").unwrap_or_default(),
    )
}

type Key = (String, String);

fn key(object: &Value) -> Key {
    let field = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
    (field("namespace"), field("name"))
}

struct Page {
    limit: Option<usize>,
    /// The revision of the first page.
    revision: Option<u64>,
    /// The last item of the page before.
    after: Option<Key>,
}

impl Page {
    fn of(call: &Call) -> Result<Self, ApiError> {
        let limit = call.query.get("limit").and_then(|limit| limit.parse().ok());
        let Some(token) = call.query.get("continue") else {
            return Ok(Self {
                limit,
                revision: None,
                after: None,
            });
        };
        let (revision, after) = read_token(token)
            .ok_or_else(|| ApiError::bad_request("continue key is not valid: it was not issued here"))?;
        Ok(Self {
            limit,
            revision: Some(revision),
            after: Some(after),
        })
    }
}

fn token(revision: u64, (namespace, name): &Key) -> String {
    URL_SAFE_NO_PAD.encode(json!([revision, namespace, name]).to_string())
}

fn read_token(token: &str) -> Option<(u64, Key)> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (revision, namespace, name): (u64, String, String) = serde_json::from_slice(&bytes).ok()?;
    Some((revision, (namespace, name)))
}

fn snapshot(store: &Store, call: &Call, target: &Target, page: &Page) -> Result<Snapshot, ApiError> {
    let (resource, namespace) = (target.resource, target.list_namespace());
    if let Some(revision) = page.revision {
        return store
            .snapshot_at(resource, namespace, revision)
            .map_err(|_| ApiError::expired(CONTINUE_EXPIRED));
    }
    let wanted = revision(call.query.get("resourceVersion"))?;
    not_in_the_future(store, wanted)?;
    if call.query.get("resourceVersionMatch") == Some("Exact") {
        return store.snapshot_at(resource, namespace, wanted);
    }
    if call.stale_by > 0 {
        return stale(store, call, resource, namespace);
    }
    Ok(store.snapshot(resource, namespace))
}

fn stale(
    store: &Store,
    call: &Call,
    resource: &'static Resource,
    namespace: Option<&str>,
) -> Result<Snapshot, ApiError> {
    store.snapshot_at(
        resource,
        namespace,
        store.revision().saturating_sub(call.stale_by),
    )
}

/// Reads a resourceVersion; absent is 0.
pub(super) fn revision(text: Option<&str>) -> Result<u64, ApiError> {
    text.map_or(Ok(0), |text| {
        text.parse()
            .map_err(|_| ApiError::bad_request(format!("Invalid value: {text:?}: invalid resource version")))
    })
}

/// 504, as Kubernetes answers when it waited in vain for a revision.
pub(super) fn not_in_the_future(store: &Store, wanted: u64) -> Result<(), ApiError> {
    let current = store.revision();
    if wanted <= current {
        return Ok(());
    }
    let message = format!("Too large resource version: {wanted}, current: {current}");
    let details = json!({
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    });
    Err(ApiError {
        details,
        ..ApiError::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message)
    })
}
