//! `/v2/NAME/manifests/REFERENCE`

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Response};
use serde_json::Value;

use super::image::{MediaTypes, digest_of};
use super::server::{Call, State, answer, error_answer};
use super::store::{Manifest, Repository};

pub(super) fn serve(state: &State, repository: &str, reference: &str, call: &Call) -> Response<Bytes> {
    match call.method {
        Method::GET | Method::HEAD => read(state, repository, reference, call),
        Method::PUT => put(state, repository, reference, call),
        Method::DELETE => delete(state, repository, reference),
        _ => error_answer(405, "UNSUPPORTED", "the operation is unsupported"),
    }
}

fn read(state: &State, repository: &str, reference: &str, call: &Call) -> Response<Bytes> {
    let (limit_headers, exhausted) = count(state, &call.method);
    let mut response = if exhausted {
        let message = "You have reached your pull rate limit. https://www.docker.com/increase-rate-limits";
        error_answer(429, "TOOMANYREQUESTS", message)
    } else {
        let store = state.store.lock().unwrap();
        match store.repository(repository) {
            None => error_answer(404, "NAME_UNKNOWN", "repository name not known to registry"),
            Some(found) => negotiate(found, reference, call, state.options.lock().unwrap().etag),
        }
    };
    for (name, value) in limit_headers {
        response
            .headers_mut()
            .insert(name, value.parse().expect("a count is a header value"));
    }
    response
}

/// Counts a pull where pulls are counted; answers the headers to send and whether the pull is one too many.
fn count(state: &State, method: &Method) -> (Vec<(&'static str, String)>, bool) {
    let mut options = state.options.lock().unwrap();
    let Some(limit) = &mut options.rate_limit else {
        return (Vec::new(), false);
    };
    let exhausted = method == Method::GET && limit.remaining == 0;
    if method == Method::GET {
        limit.remaining = limit.remaining.saturating_sub(1);
    }
    (limit.headers().into(), exhausted)
}

fn negotiate(repository: &Repository, reference: &str, call: &Call, etag: bool) -> Response<Bytes> {
    let Some(stored) = repository.manifest(reference) else {
        return error_answer(404, "MANIFEST_UNKNOWN", &format!("manifest unknown: {reference}"));
    };
    let accepted = accepted(&call.headers);
    let accepts = |manifest: &Manifest| accepted.contains(&manifest.media_type);
    let chosen = if accepts(stored) {
        stored
    } else if let Some(child) = default_child(repository, stored).filter(|child| accepts(child)) {
        child
    } else {
        // Distribution answers 404 rather than another manifest than the one that was asked for.
        let message = format!(
            "{} found, but accept header does not support it",
            stored.media_type
        );
        return error_answer(404, "MANIFEST_UNKNOWN", &message);
    };
    let quoted = format!("\"{}\"", chosen.digest);
    let unchanged = call
        .headers
        .get("if-none-match")
        .and_then(|value| value.to_str().ok());
    if etag && unchanged.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == quoted)) {
        return answer(304, &[("etag", &quoted)], "");
    }
    let length = chosen.bytes.len().to_string();
    let mut headers = vec![
        ("content-type", chosen.media_type.as_str()),
        ("docker-content-digest", chosen.digest.as_str()),
        ("content-length", length.as_str()),
    ];
    if etag {
        headers.push(("etag", quoted.as_str()));
    }
    let body = if call.method == Method::HEAD {
        Bytes::new()
    } else {
        chosen.bytes.clone()
    };
    answer(200, &headers, body)
}

/// What a client that knows no manifest lists gets of one: the manifest for `linux/amd64`.
fn default_child<'a>(repository: &'a Repository, stored: &Manifest) -> Option<&'a Manifest> {
    if stored.media_type != MediaTypes::Docker.index() {
        return None;
    }
    let list: Value = serde_json::from_slice(&stored.bytes).ok()?;
    let child = list["manifests"]
        .as_array()?
        .iter()
        .find(|child| child["platform"]["os"] == "linux" && child["platform"]["architecture"] == "amd64")?;
    repository.manifest(child["digest"].as_str()?)
}

/// Media types named in `Accept`. Like distribution, this takes no notice of `*/*`.
fn accepted(headers: &HeaderMap) -> Vec<String> {
    let values = headers
        .get_all("accept")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let types = values.flat_map(|value| value.split(','));
    types
        .map(|part| part.split(';').next().unwrap_or_default().trim().to_owned())
        .collect()
}

fn put(state: &State, repository: &str, reference: &str, call: &Call) -> Response<Bytes> {
    let Ok(document) = serde_json::from_slice::<Value>(&call.body) else {
        return error_answer(400, "MANIFEST_INVALID", "the manifest is not JSON");
    };
    let declared = call
        .headers
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    let Some(media_type) = declared.or_else(|| document["mediaType"].as_str()) else {
        return error_answer(400, "MANIFEST_INVALID", "the manifest has no media type");
    };
    let digest = digest_of(&call.body);
    let by_digest = reference.contains(':');
    if by_digest && reference != digest {
        return error_answer(
            400,
            "DIGEST_INVALID",
            "provided digest did not match uploaded content",
        );
    }
    let mut store = state.store.lock().unwrap();
    let found = store.repository_mut(repository);
    if let Some(missing) = missing_part(found, &document) {
        return error_answer(
            400,
            "MANIFEST_BLOB_UNKNOWN",
            &format!("blob unknown to registry: {missing}"),
        );
    }
    found.put_manifest(media_type, call.body.clone());
    if !by_digest {
        found.set_tag(reference, &digest);
    }
    let location = format!("/v2/{repository}/manifests/{digest}");
    answer(
        201,
        &[("location", &location), ("docker-content-digest", &digest)],
        "",
    )
}

/// The first blob or child manifest that a manifest names and the repository lacks.
fn missing_part(repository: &Repository, document: &Value) -> Option<String> {
    let digests = |list: &Value| -> Vec<String> {
        let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
        entries
            .iter()
            .filter_map(|entry| entry["digest"].as_str().map(str::to_owned))
            .collect()
    };
    let children = digests(&document["manifests"]);
    if let Some(missing) = children
        .into_iter()
        .find(|digest| repository.manifest(digest).is_none())
    {
        return Some(missing);
    }
    let config = document["config"]["digest"].as_str().map(str::to_owned);
    let blobs = config.into_iter().chain(digests(&document["layers"]));
    blobs.into_iter().find(|digest| repository.blob(digest).is_none())
}

fn delete(state: &State, repository: &str, reference: &str) -> Response<Bytes> {
    let mut store = state.store.lock().unwrap();
    let found = store.repository_mut(repository);
    let deleted = if reference.contains(':') {
        found.delete_manifest(reference)
    } else {
        found.delete_tag(reference)
    };
    if deleted {
        answer(202, &[], "")
    } else {
        error_answer(404, "MANIFEST_UNKNOWN", "manifest unknown")
    }
}
