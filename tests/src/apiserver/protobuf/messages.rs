//! Which fields the messages have: the numbers Kubernetes gave them, for the kinds kubectl posts as protobuf.
//!
//! A line of `messages.txt` is the message's name and its fields, `number=name:type`; a line that starts with a space
//! goes on with the message before. In front of a name, `*` means repeated, `^` that JSON shows the message's fields
//! in place of the message, and `?` that zero (or false) means the field was not set.

use std::collections::HashMap;
use std::sync::LazyLock;

/// One field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
    pub(super) inline: bool,
    pub(super) zero_is_absent: bool,
}

/// The type of a field.
#[derive(Debug)]
pub(super) enum Kind {
    Text,
    Bytes,
    Integer,
    Bool,
    Message(&'static str),
    /// Text keys; the kind is that of the values.
    Map(Box<Kind>),
    /// Read over: the status of something that does not exist yet.
    Skipped,
}

static MESSAGES: LazyLock<HashMap<&'static str, Vec<Field>>> =
    LazyLock::new(|| parse(include_str!("messages.txt")));

/// The fields of a message, if it is known.
pub(super) fn fields(message: &str) -> Option<&'static [Field]> {
    MESSAGES.get(message).map(Vec::as_slice)
}

fn parse(table: &'static str) -> HashMap<&'static str, Vec<Field>> {
    let mut messages: HashMap<&'static str, Vec<Field>> = HashMap::new();
    let mut current = "";
    for line in table.lines() {
        let mut words = line.split_whitespace();
        if !line.starts_with(' ') {
            current = words.next().unwrap_or_default();
        }
        messages.entry(current).or_default().extend(words.map(field));
    }
    messages
}

fn field(word: &'static str) -> Field {
    let (number, rest) = word.split_once('=').expect("number=name:type");
    let (name, kind) = rest.split_once(':').expect("name:type");
    Field {
        number: number.parse().expect("a field number"),
        name: name.trim_start_matches(['*', '^', '?']),
        kind: self::kind(kind),
        repeated: name.starts_with('*'),
        inline: name.starts_with('^'),
        zero_is_absent: name.starts_with('?'),
    }
}

fn kind(word: &'static str) -> Kind {
    match word {
        "text" => Kind::Text,
        "bytes" => Kind::Bytes,
        "int" => Kind::Integer,
        "bool" => Kind::Bool,
        "skip" => Kind::Skipped,
        word => match word.strip_prefix("map:") {
            Some(value) => Kind::Map(Box::new(kind(value))),
            None => Kind::Message(word),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_that_is_mentioned_is_described() {
        for (message, fields) in &*MESSAGES {
            for field in fields {
                let value = if let Kind::Map(value) = &field.kind {
                    value
                } else {
                    &field.kind
                };
                if let Kind::Message(name) = value {
                    assert!(MESSAGES.contains_key(name), "{name} in {message}.{}", field.name);
                }
            }
        }
    }
}
