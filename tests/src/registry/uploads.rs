//! Blobs and the ways to upload them: monolithic in one POST, POST and PUT, or in chunks with PATCH.

use axum::body::Bytes;
use axum::http::{Method, Response};

use super::image::digest_of;
use super::server::{Call, State, answer, error_answer};
use super::store::Store;

pub(super) fn blob(state: &State, repository: &str, digest: &str, call: &Call) -> Response<Bytes> {
    if !matches!(call.method, Method::GET | Method::HEAD) {
        return error_answer(405, "UNSUPPORTED", "the operation is unsupported");
    }
    let store = state.store.lock().unwrap();
    let Some(bytes) = store.repository(repository).and_then(|found| found.blob(digest)) else {
        return error_answer(404, "BLOB_UNKNOWN", "blob unknown to registry");
    };
    let length = bytes.len().to_string();
    let headers = [
        ("content-type", "application/octet-stream"),
        ("docker-content-digest", digest),
        ("content-length", length.as_str()),
    ];
    answer(
        200,
        &headers,
        if call.method == Method::HEAD {
            Bytes::new()
        } else {
            bytes
        },
    )
}

/// `POST /v2/NAME/blobs/uploads/`, with a whole blob, a mount, or nothing yet.
pub(super) fn start(state: &State, repository: &str, call: &Call) -> Response<Bytes> {
    if call.method != Method::POST {
        return error_answer(405, "UNSUPPORTED", "the operation is unsupported");
    }
    let mut store = state.store.lock().unwrap();
    if let (Some(digest), Some(from)) = (call.query.get("mount"), call.query.get("from")) {
        let source = store.repository(from).and_then(|source| source.blob(digest));
        if let Some(bytes) = source {
            return commit(&mut store, repository, bytes, digest);
        }
    }
    if let Some(digest) = call.query.get("digest") {
        return commit(&mut store, repository, call.body.clone(), digest);
    }
    let id = store.start_upload();
    progress(repository, &id, 0)
}

/// `PATCH`, `PUT` and `GET` on an upload that was started.
pub(super) fn go_on(state: &State, repository: &str, id: &str, call: &Call) -> Response<Bytes> {
    let mut store = state.store.lock().unwrap();
    let Some(length) = store.append(id, &call.body) else {
        return error_answer(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    };
    match (&call.method, call.query.get("digest")) {
        (&Method::PATCH, _) => progress(repository, id, length),
        (&Method::GET, _) => {
            let range = format!("0-{}", length.saturating_sub(1));
            answer(204, &[("range", &range), ("docker-upload-uuid", id)], "")
        }
        (&Method::PUT, Some(digest)) => {
            let bytes = store.finish_upload(id).unwrap_or_default();
            commit(&mut store, repository, bytes, digest)
        }
        (&Method::PUT, None) => error_answer(400, "DIGEST_INVALID", "the digest is missing"),
        _ => error_answer(405, "UNSUPPORTED", "the operation is unsupported"),
    }
}

fn progress(repository: &str, id: &str, length: usize) -> Response<Bytes> {
    let location = format!("/v2/{repository}/blobs/uploads/{id}");
    let range = format!("0-{}", length.saturating_sub(1));
    answer(
        202,
        &[
            ("location", &location),
            ("range", &range),
            ("docker-upload-uuid", id),
        ],
        "",
    )
}

fn commit(store: &mut Store, repository: &str, bytes: Bytes, digest: &str) -> Response<Bytes> {
    if digest_of(&bytes) != digest {
        return error_answer(
            400,
            "DIGEST_INVALID",
            "provided digest did not match uploaded content",
        );
    }
    store.repository_mut(repository).put_blob(bytes);
    let location = format!("/v2/{repository}/blobs/{digest}");
    answer(
        201,
        &[("location", &location), ("docker-content-digest", digest)],
        "",
    )
}
