//! Reading the protobuf bodies that kubectl's typed commands post (`create job --from`, `auth can-i`, …).
//!
//! Only what kubectl sends is known: a field that `messages` does not list refuses the whole body, so nothing is ever
//! lost silently. Answers are always JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use messages::{Field, Kind};

mod messages;
mod wire;

/// What every protobuf body of Kubernetes starts with.
const MAGIC: &[u8] = b"k8s\0";

/// Why a body could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum ProtobufError {
    /// Not the envelope of Kubernetes.
    #[error("the body does not start with the magic number of Kubernetes")]
    Magic,
    /// The bytes end early or are no protobuf.
    #[error("the body is no valid protobuf")]
    Malformed,
    /// A kind that the table lacks.
    #[error("no protobuf description of {0} here")]
    UnknownMessage(String),
    /// A field that the table lacks.
    #[error("no description of field {number} of {message} here")]
    UnknownField {
        /// The message.
        message: String,
        /// The field's number.
        number: u64,
    },
}

/// Reads the envelope and the object in it.
pub(super) fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    let envelope = body.strip_prefix(MAGIC).ok_or(ProtobufError::Magic)?;
    let envelope = message("Unknown", envelope)?;
    let raw = envelope["raw"]
        .as_str()
        .and_then(|raw| STANDARD.decode(raw).ok())
        .unwrap_or_default();
    let kind = envelope["typeMeta"]["kind"].as_str().unwrap_or_default();
    let mut object = message(kind, &raw)?;
    object["kind"] = json!(kind);
    object["apiVersion"] = envelope["typeMeta"]["apiVersion"].clone();
    Ok(object)
}

fn message(name: &str, bytes: &[u8]) -> Result<Value, ProtobufError> {
    let fields = messages::fields(name).ok_or_else(|| ProtobufError::UnknownMessage(name.to_owned()))?;
    let mut object = Map::new();
    for found in wire::fields(bytes) {
        let (number, value) = found?;
        let field = fields
            .iter()
            .find(|field| field.number == number)
            .ok_or_else(|| ProtobufError::UnknownField {
                message: name.to_owned(),
                number,
            })?;
        add(&mut object, field, &value)?;
    }
    Ok(Value::Object(object))
}

fn add(object: &mut Map<String, Value>, field: &Field, value: &wire::Value<'_>) -> Result<(), ProtobufError> {
    if let Kind::Map(kind) = &field.kind {
        let (key, value) = entry(kind, value.bytes()?)?;
        if let Value::Object(entries) = object.entry(field.name).or_insert_with(|| json!({})) {
            entries.insert(key, value);
        }
        return Ok(());
    }
    let value = scalar(&field.kind, value)?;
    if field.repeated {
        if let Value::Array(items) = object.entry(field.name).or_insert_with(|| json!([])) {
            items.push(value);
        }
    } else if field.inline {
        object.extend(value.as_object().cloned().unwrap_or_default());
    } else if !(value.is_null() || value == "" || field.zero_is_absent && (value == 0 || value == false)) {
        object.insert(field.name.to_owned(), value);
    }
    Ok(())
}

fn entry(kind: &Kind, bytes: &[u8]) -> Result<(String, Value), ProtobufError> {
    let (mut key, mut value) = (String::new(), Value::Null);
    for found in wire::fields(bytes) {
        match found? {
            (1, found) => key = found.text()?,
            (_, found) => value = scalar(kind, &found)?,
        }
    }
    Ok((key, if value.is_null() { json!("") } else { value }))
}

fn scalar(kind: &Kind, value: &wire::Value<'_>) -> Result<Value, ProtobufError> {
    Ok(match kind {
        Kind::Text => json!(value.text()?),
        Kind::Bytes => json!(STANDARD.encode(value.bytes()?)),
        Kind::Integer => json!(value.integer()?),
        Kind::Bool => json!(value.integer()? != 0),
        Kind::Skipped => Value::Null,
        Kind::Message("Time") => time(value.bytes()?)?,
        Kind::Message("Quantity") => message("Quantity", value.bytes()?)?["string"].clone(),
        Kind::Message("IntOrString") => {
            let either = message("IntOrString", value.bytes()?)?;
            if either["type"] == 1 {
                either["strVal"].clone()
            } else {
                json!(either["intVal"].as_i64().unwrap_or(0))
            }
        }
        Kind::Message(name) => message(name, value.bytes()?)?,
        Kind::Map(_) => return Err(ProtobufError::Malformed),
    })
}

/// Seconds since the epoch; an empty message is no time at all.
fn time(bytes: &[u8]) -> Result<Value, ProtobufError> {
    let time = message("Time", bytes)?;
    let Some(seconds) = time["seconds"].as_i64() else {
        return Ok(Value::Null);
    };
    let time = jiff::Timestamp::from_second(seconds).map_err(|_| ProtobufError::Malformed)?;
    Ok(json!(crate::clock::rfc3339_seconds(time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `number` as a length-delimited field.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn envelope(kind: &str, raw: &[u8]) -> Vec<u8> {
        let type_meta = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [MAGIC, &field(1, &type_meta), &field(2, raw)].concat()
    }

    #[test]
    fn a_config_map_is_read() {
        let metadata = [field(1, b"a"), field(3, b""), field(8, b"")].concat();
        let entry = [field(1, b"key"), field(2, b"one")].concat();
        let raw = [field(1, &metadata), field(2, &entry)].concat();
        let expected = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"key": "one"}});
        assert_eq!(decode(&envelope("ConfigMap", &raw)), Ok(expected));
    }

    #[test]
    fn a_field_we_do_not_know_refuses_the_body() {
        let error = decode(&envelope("ConfigMap", &field(15, b"x"))).unwrap_err();
        assert_eq!(
            error,
            ProtobufError::UnknownField {
                message: "ConfigMap".to_owned(),
                number: 15
            }
        );
        assert_eq!(decode(b"{}"), Err(ProtobufError::Magic));
        assert_eq!(
            decode(&[MAGIC, &[0x0a, 0x7f]].concat()),
            Err(ProtobufError::Malformed)
        );
    }
}
