//! `GET /v2/NAME/tags/list`

use axum::body::Bytes;
use axum::http::{Method, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::image::digest_of;
use super::options::{OversizedPage, PageStyle, Paging, TagOrder};
use super::server::{Call, State, answer, error_answer};
use super::store::Repository;

pub(super) fn list(state: &State, repository: &str, call: &Call) -> Response<Bytes> {
    if call.method != Method::GET {
        return error_answer(405, "UNSUPPORTED", "the operation is unsupported");
    }
    let (paging, order) = {
        let options = state.options.lock().unwrap();
        (options.paging.clone(), options.tag_order)
    };
    let Some(mut tags) = state
        .store
        .lock()
        .unwrap()
        .repository(repository)
        .map(Repository::tags)
    else {
        return error_answer(404, "NAME_UNKNOWN", "repository name not known to registry");
    };
    match order {
        TagOrder::Insertion => {}
        TagOrder::Sorted => tags.sort_unstable(),
        TagOrder::Shuffled => tags.sort_unstable_by_key(|tag| digest_of(tag.as_bytes())),
    }
    if paging.style == PageStyle::None {
        return page(state, repository, &tags, None);
    }
    let size = match page_size(&paging, call) {
        Ok(size) => size.unwrap_or(tags.len()),
        Err(response) => return response,
    };
    let start = start_of(&tags, order, call);
    let end = start.saturating_add(size).min(tags.len());
    let more = end < tags.len() && size > 0;
    let path = format!("/v2/{repository}/tags/list");
    let base = format!("http://{}", state.address);
    let link = match (&paging.style, tags[..end].last()) {
        (PageStyle::Looping, _) => Some(format!("<{path}?n={size}>; rel=\"next\"")),
        (_, None) => None,
        _ if !more => None,
        (PageStyle::None, _) => None,
        (PageStyle::Relative, Some(last)) => Some(format!("<{path}?last={last}&n={size}>; rel=\"next\"")),
        (PageStyle::Absolute, Some(last)) => {
            Some(format!("<{base}{path}?last={last}&n={size}>; rel=\"next\""))
        }
        (PageStyle::Bare, Some(last)) => Some(format!("{base}{path}?last={last}&n={size}; rel=next")),
        (PageStyle::Cursor, Some(_)) => {
            let cursor = URL_SAFE_NO_PAD.encode(format!("{end}:{size}"));
            Some(format!("<{path}?next_page={cursor}>; rel=\"next\""))
        }
        (PageStyle::CrossHost(host), Some(last)) => {
            Some(format!("<{host}{path}?last={last}&n={size}>; rel=\"next\""))
        }
    };
    page(state, repository, &tags[start..end], link)
}

fn page(state: &State, repository: &str, tags: &[String], link: Option<String>) -> Response<Bytes> {
    let mut body = json!({ "name": repository, "tags": tags });
    if state.options.lock().unwrap().digest_map {
        body["manifest"] = digest_map(state, repository, tags);
    }
    let body = body.to_string();
    let mut response = answer(200, &[("content-type", "application/json")], body);
    if let Some(link) = link {
        response
            .headers_mut()
            .insert("link", link.parse().expect("a link is a header value"));
    }
    response
}

/// As Artifact Registry sends it: the tags of each digest.
fn digest_map(state: &State, repository: &str, tags: &[String]) -> Value {
    let store = state.store.lock().unwrap();
    let mut map = serde_json::Map::new();
    for tag in tags {
        let Some(digest) = store
            .repository(repository)
            .and_then(|repository| repository.resolve(tag))
        else {
            continue;
        };
        let manifest = map
            .entry(digest)
            .or_insert_with(|| json!({ "tag": [], "timeUploadedMs": "0" }));
        manifest["tag"]
            .as_array_mut()
            .expect("it is a list")
            .push(json!(tag));
    }
    Value::Object(map)
}

/// The size that the client asked for, within what the registry grants.
#[expect(clippy::result_large_err, reason = "the error is the answer to send")]
fn page_size(paging: &Paging, call: &Call) -> Result<Option<usize>, Response<Bytes>> {
    if let Some((_, size)) = cursor(call) {
        return Ok(Some(size));
    }
    let Some(wanted) = call.query.get("n") else {
        return Ok(paging.default_size);
    };
    let Ok(wanted) = wanted.parse::<usize>() else {
        return Err(error_answer(
            400,
            "PAGINATION_NUMBER_INVALID",
            "invalid number of results requested",
        ));
    };
    match (paging.max_size, paging.oversized) {
        (Some(max), OversizedPage::Refuse(status)) if wanted > max => Err(error_answer(
            status,
            "PAGINATION_NUMBER_INVALID",
            "invalid number of results requested",
        )),
        (Some(max), _) => Ok(Some(wanted.min(max))),
        (None, _) => Ok(Some(wanted)),
    }
}

fn start_of(tags: &[String], order: TagOrder, call: &Call) -> usize {
    if let Some((start, _)) = cursor(call) {
        return start.min(tags.len());
    }
    let Some(last) = call.query.get("last") else {
        return 0;
    };
    if order == TagOrder::Sorted {
        // A marker need not exist: the page starts behind where it would stand.
        return tags.partition_point(|tag| tag.as_str() <= last);
    }
    tags.iter()
        .position(|tag| tag == last)
        .map_or(0, |index| index + 1)
}

fn cursor(call: &Call) -> Option<(usize, usize)> {
    let decoded = URL_SAFE_NO_PAD.decode(call.query.get("next_page")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (start, size) = text.split_once(':')?;
    Some((start.parse().ok()?, size.parse().ok()?))
}
