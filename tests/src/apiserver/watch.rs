//! watch: one JSON document per change, as long as the client listens.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Shared;
use super::error::ApiError;
use super::events;
use super::negotiate::Format;
use super::path::Target;
use super::present::View;
use super::read;
use super::respond::{self, Answer};
use super::selector::Selector;
use super::serve::{Call, Dropped};
use super::store::{Change, ChangeKind, Store};

/// Kubernetes picks something between 30 and 60 minutes.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(10);

struct Watch {
    store: Store,
    view: View,
    namespace: Option<String>,
    selector: Selector,
    bookmarks: bool,
    /// Everything up to here has been sent.
    revision: u64,
    with_columns: bool,
    out: mpsc::Sender<Result<Bytes, Dropped>>,
}

/// The client went away, or the watch has said all it may.
struct Over;

/// Starts the stream. What can go wrong later arrives as an `ERROR` event.
pub(super) fn start(shared: &Arc<Shared>, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let store = shared.store.clone();
    let (out, mut chunks) = mpsc::channel(64);
    let wanted = read::revision(call.query.get("resourceVersion"))?;
    read::not_in_the_future(&store, wanted)?;
    let watch = Watch {
        view: View::new(target.resource, call.format()?, &call.query, store.clock()),
        namespace: target.list_namespace().map(str::to_owned),
        selector: read::selector(call, target)?,
        bookmarks: call.query.flag("allowWatchBookmarks"),
        revision: wanted,
        with_columns: true,
        store,
        out,
    };
    // Subscribed before the first read, so that no change falls in between.
    let revisions = watch.store.revisions();
    let initial = call.query.flag("sendInitialEvents");
    let seconds = call
        .query
        .get("timeoutSeconds")
        .and_then(|seconds| seconds.parse().ok());
    let timeout = seconds
        .filter(|seconds| *seconds > 0)
        .map_or(DEFAULT_TIMEOUT, Duration::from_secs);
    let (shared, cut) = (Arc::clone(shared), call.cut_watch);
    tokio::spawn(async move {
        let out = watch.out.clone();
        let cut_off = async {
            match cut {
                Some(duration) => tokio::time::sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _over = watch.run(initial || wanted == 0, initial, timeout, revisions) => {}
            () = cut_off => {
                // The receiver may have left by itself.
                out.send(Err(Dropped)).await.ok();
            }
            () = shared.shutdown.cancelled() => {}
        }
    });
    let stream = futures::stream::poll_fn(move |context| chunks.poll_recv(context));
    Ok(respond::with_type(
        StatusCode::OK,
        "application/json",
        Body::from_stream(stream),
    ))
}

impl Watch {
    async fn run(
        mut self,
        initial: bool,
        streaming_list: bool,
        timeout: Duration,
        mut revisions: watch::Receiver<u64>,
    ) -> Result<Infallible, Over> {
        if initial {
            self.send_initial(streaming_list).await?;
        }
        let deadline = tokio::time::sleep(timeout);
        tokio::pin!(deadline);
        let mut next_bookmark = Instant::now() + BOOKMARK_INTERVAL;
        loop {
            self.send_changes().await?;
            tokio::select! {
                changed = revisions.changed() => changed.map_err(|_| Over)?,
                () = &mut deadline => {
                    self.send_bookmark(false).await?;
                    return Err(Over);
                }
                () = tokio::time::sleep_until(next_bookmark) => {
                    next_bookmark += BOOKMARK_INTERVAL;
                    self.send_bookmark(false).await?;
                }
                () = self.out.closed() => return Err(Over),
            }
        }
    }

    async fn send_initial(&mut self, streaming_list: bool) -> Result<(), Over> {
        let snapshot = self.store.snapshot(self.view.resource, self.namespace.as_deref());
        for object in &snapshot.items {
            if self.selects(object) {
                self.send("ADDED", Value::clone(object)).await?;
            }
        }
        self.revision = snapshot.revision;
        if streaming_list {
            self.send_bookmark(true).await
        } else {
            Ok(())
        }
    }

    async fn send_changes(&mut self) -> Result<(), Over> {
        let changes = match self.store.changes_since(self.revision) {
            Ok(changes) => changes,
            Err(expired) => {
                self.send_raw(&json!({"type": "ERROR", "object": expired.status()}))
                    .await?;
                return Err(Over);
            }
        };
        for change in changes {
            if let Some(kind) = self.kind_for(&change) {
                self.send(kind, Value::clone(&change.object)).await?;
            }
            self.revision = change.revision;
        }
        Ok(())
    }

    /// How a change looks to a client that sees only what it selected.
    fn kind_for(&self, change: &Change) -> Option<&'static str> {
        if *change.resource != *self.view.resource.stored() {
            return None;
        }
        let in_namespace = self
            .namespace
            .as_deref()
            .is_none_or(|namespace| change.object["metadata"]["namespace"] == namespace);
        if !in_namespace {
            return None;
        }
        let before = change
            .previous
            .as_ref()
            .is_some_and(|previous| self.selects(previous));
        let after = change.kind != ChangeKind::Deleted && self.selects(&change.object);
        match (before, after) {
            (false, true) => Some("ADDED"),
            (true, true) => Some("MODIFIED"),
            (true, false) => Some("DELETED"),
            (false, false) => None,
        }
    }

    fn selects(&self, object: &Value) -> bool {
        self.selector.matches(&events::shown(self.view.resource, object))
    }

    async fn send(&mut self, kind: &str, object: Value) -> Result<(), Over> {
        let object = self.view.object(object, self.with_columns);
        self.with_columns = false;
        self.send_raw(&json!({"type": kind, "object": object})).await
    }

    async fn send_bookmark(&mut self, ends_initial: bool) -> Result<(), Over> {
        if !self.bookmarks {
            return Ok(());
        }
        let mut metadata = json!({"resourceVersion": self.revision.to_string(), "creationTimestamp": null});
        if ends_initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let resource = self.view.resource;
        let mut object =
            json!({"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata});
        if self.view.format == Format::Metadata {
            object["kind"] = json!("PartialObjectMetadata");
            object["apiVersion"] = json!("meta.k8s.io/v1");
        }
        if self.view.format == Format::Table {
            object = json!({
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": {"resourceVersion": self.revision.to_string()},
                "columnDefinitions": null,
                "rows": [{"cells": [], "object": object}],
            });
        }
        self.send_raw(&json!({"type": "BOOKMARK", "object": object}))
            .await
    }

    async fn send_raw(&self, event: &Value) -> Result<(), Over> {
        self.out
            .send(Ok(Bytes::from(format!("{event}\n"))))
            .await
            .map_err(|_| Over)
    }
}
