//! Media types: what a client can read, and what it sent.

use serde_json::Value;

use super::error::ApiError;
use super::protobuf;

/// How an answer is shaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// The objects themselves.
    Object,
    /// `PartialObjectMetadata`: metadata only.
    Metadata,
    /// `meta.k8s.io/v1` Table, with columns made by the server.
    Table,
}

/// Chooses the first acceptable format; 406 when only unknown ones are accepted.
pub(super) fn accepted(accept: &str) -> Result<Format, ApiError> {
    if accept.is_empty() {
        return Ok(Format::Object);
    }
    accept.split(',').find_map(clause).ok_or_else(|| {
        ApiError::new(
            http::StatusCode::NOT_ACCEPTABLE,
            "NotAcceptable",
            "only the following media types are accepted: application/json, application/yaml",
        )
    })
}

fn clause(clause: &str) -> Option<Format> {
    let mut parts = clause.split(';').map(str::trim);
    let media_type = parts.next()?;
    if !matches!(
        media_type,
        "application/json" | "*/*" | "application/*" | "application/yaml"
    ) {
        return None;
    }
    let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
    let get = |name: &str| {
        parameters
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    };
    match (get("as"), get("v"), get("g")) {
        (None, _, _) => Some(Format::Object),
        (Some("Table"), Some("v1"), Some("meta.k8s.io")) => Some(Format::Table),
        (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("v1"), Some("meta.k8s.io")) => {
            Some(Format::Metadata)
        }
        _ => None,
    }
}

/// The type of a body, without parameters.
pub(super) fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Reads an object from a JSON, YAML or protobuf body.
pub(super) fn object(content_type: &str, body: &[u8]) -> Result<Value, ApiError> {
    let value = match media_type(content_type) {
        "" | "application/json" => json(body),
        "application/yaml" => yaml(body),
        "application/vnd.kubernetes.protobuf" => {
            protobuf::decode(body).map_err(|error| ApiError::unsupported_media_type(error.to_string()))
        }
        _ => Err(ApiError::unsupported_media_type(
            "the body of the request was in an unknown format - accepted media types include: application/json, \
             application/yaml",
        )),
    }?;
    if value.is_object() {
        return Ok(value);
    }
    Err(ApiError::bad_request(
        "the object provided is unrecognized (must be of type object)",
    ))
}

/// Reads any JSON.
pub(super) fn json(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("error decoding the body: {error}")))
}

/// Reads YAML; JSON is YAML too.
pub(super) fn yaml(body: &[u8]) -> Result<Value, ApiError> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let text = std::str::from_utf8(body)
        .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))?;
    serde_saphyr::from_str(text)
        .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_format_we_know_is_chosen() {
        let cases = [
            ("", Format::Object),
            ("*/*", Format::Object),
            (
                "application/vnd.kubernetes.protobuf, application/json",
                Format::Object,
            ),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
                Format::Table,
            ),
            (
                "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                Format::Object,
            ),
            (
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                Format::Metadata,
            ),
        ];
        for (accept, expected) in cases {
            assert_eq!(accepted(accept), Ok(expected), "{accept}");
        }
        assert_eq!(
            accepted("application/vnd.kubernetes.protobuf").unwrap_err().code,
            406
        );
    }

    #[test]
    fn protobuf_bodies_are_refused() {
        assert_eq!(
            object("application/vnd.kubernetes.protobuf", b"k8s")
                .unwrap_err()
                .code,
            415
        );
    }
}
