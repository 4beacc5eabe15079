//! Every request, written down, so that a test can assert who did what and how often.

use std::sync::{Arc, Mutex, PoisonError};

use http::header;
use http::request::Parts;
use jiff::Timestamp;

use super::auth::User;
use super::path::Target;
use super::serve::text;

/// One finished request. A watch is written down when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// Empty when nobody was recognised.
    pub user: String,
    /// The RBAC verb, or the HTTP method in lower case outside the resources.
    pub verb: String,
    /// The plural name; empty outside the resources.
    pub resource: String,
    /// For example `status`; usually empty.
    pub subresource: String,
    /// Empty for cluster scope and for all namespaces.
    pub namespace: String,
    /// Empty for collections.
    pub name: String,
    /// The HTTP status; 0 when the connection was broken off on purpose.
    pub code: u16,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// Path and query.
    pub uri: String,
    /// The `Content-Type` of the body: tells the kinds of patches apart.
    pub content_type: String,
    /// Real time of arrival.
    pub at: Timestamp,
}

impl RequestRecord {
    /// The record of a request that has just arrived.
    pub(super) fn begin(parts: &Parts, user: Option<&User>, verb: &str, target: Option<&Target>) -> Self {
        let of_target = |field: fn(&Target) -> &str| target.map(field).unwrap_or_default().to_owned();
        Self {
            user: user.map(|user| user.name.clone()).unwrap_or_default(),
            verb: verb.to_owned(),
            resource: of_target(|target| target.resource.plural),
            subresource: of_target(|target| &target.subresource),
            namespace: of_target(|target| &target.namespace),
            name: of_target(|target| &target.name),
            code: 0,
            user_agent: text(&parts.headers, &header::USER_AGENT),
            uri: parts
                .uri
                .path_and_query()
                .map(ToString::to_string)
                .unwrap_or_default(),
            content_type: text(&parts.headers, &header::CONTENT_TYPE),
            at: Timestamp::now(),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct AccessLog(Arc<Mutex<Vec<RequestRecord>>>);

impl AccessLog {
    pub(super) fn push(&self, record: RequestRecord) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    pub(super) fn all(&self) -> Vec<RequestRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
