//! Every request, written down, so that a test can assert who did what and how often.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use http::header;
use http::request::Parts;
use jiff::Timestamp;

use super::auth::User;
use super::path::Target;
use super::respond::Answer;
use super::serve::{Dropped, text};

/// One request that was handled, written down before anybody sees what it changed. A watch is written down when it begins.
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

    /// The same with what it was answered.
    pub(super) fn end(mut self, answer: &Result<Answer, Dropped>) -> Self {
        self.code = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
        self
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct AccessLog(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    records: Mutex<Vec<RequestRecord>>,
    /// Held for reading by each request that is being handled, so that whoever has seen its change finds its record.
    handling: RwLock<()>,
}

impl AccessLog {
    /// Writes down a request that changed nothing.
    pub(super) fn push(&self, record: RequestRecord) {
        self.records().push(record);
    }

    /// Handles a request and writes it down. Nobody reads the log in between.
    pub(super) fn handle<T>(&self, handle: impl FnOnce() -> (RequestRecord, T)) -> T {
        let _handling = self.0.handling.read().unwrap_or_else(PoisonError::into_inner);
        let (record, answer) = handle();
        self.push(record);
        answer
    }

    pub(super) fn all(&self) -> Vec<RequestRecord> {
        self.wait_for_those_under_way();
        self.records().clone()
    }

    pub(super) fn clear(&self) {
        self.wait_for_those_under_way();
        self.records().clear();
    }

    fn wait_for_those_under_way(&self) {
        drop(self.0.handling.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn records(&self) -> MutexGuard<'_, Vec<RequestRecord>> {
        self.0.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use http::Request;

    use super::*;

    #[test]
    fn who_has_seen_a_change_finds_its_request_in_the_log() {
        let log = AccessLog::default();
        let (changed, change) = mpsc::channel();
        let (parts, ()) = Request::new(()).into_parts();
        let record = RequestRecord::begin(&parts, None, "patch", None);
        thread::scope(|scope| {
            scope.spawn(|| {
                log.handle(move || {
                    changed.send(()).expect("somebody looks");
                    // Time enough for a reader that does not wait to find nothing.
                    thread::sleep(std::time::Duration::from_millis(50));
                    (record, ())
                });
            });
            change.recv().expect("the change is made");
            assert_eq!(log.all().len(), 1);
        });
    }
}
