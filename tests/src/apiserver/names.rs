//! The grammar of names, labels and keys, with the sentences Kubernetes uses to refuse them.

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
     and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
     and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used \
     for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
     with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  \
     or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// A complaint, or nothing.
pub(super) type Complaint = Option<String>;

fn too_long(text: &str, limit: usize, unit: &str) -> Complaint {
    (text.len() > limit).then(|| format!("must be no more than {limit} {unit}"))
}

fn framed(text: &str, inner: impl Fn(u8) -> bool, edge: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => edge(*first) && edge(*last) && bytes.iter().all(|byte| inner(*byte)),
        _ => false,
    }
}

fn lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_label(text: &str) -> bool {
    framed(text, |byte| lower(byte) || byte == b'-', lower)
}

fn is_name_part(text: &str) -> bool {
    framed(
        text,
        |byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte),
        |byte| byte.is_ascii_alphanumeric(),
    )
}

/// Names of most objects.
pub(super) fn subdomain(name: &str) -> Complaint {
    too_long(name, 253, "characters")
        .or_else(|| (!name.split('.').all(is_label)).then(|| SUBDOMAIN.to_owned()))
}

/// Names of namespaces, services and containers.
pub(super) fn label(name: &str) -> Complaint {
    too_long(name, 63, "characters").or_else(|| (!is_label(name)).then(|| LABEL.to_owned()))
}

/// Names of roles and bindings: anything that is one path segment.
pub(super) fn path_segment(name: &str) -> Complaint {
    if name == "." || name == ".." {
        return Some(format!("may not be '{name}'"));
    }
    ['/', '%']
        .into_iter()
        .find(|letter| name.contains(*letter))
        .map(|letter| format!("may not contain '{letter}'"))
}

/// Values of labels.
pub(super) fn label_value(value: &str) -> Complaint {
    too_long(value, 63, "characters")
        .or_else(|| (!value.is_empty() && !is_name_part(value)).then(|| LABEL_VALUE.to_owned()))
}

/// Keys of labels and annotations: `[prefix/]name`.
pub(super) fn qualified(key: &str) -> Complaint {
    let (prefix, name) = key
        .split_once('/')
        .map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if let Some(prefix) = prefix {
        if prefix.is_empty() {
            return Some("prefix part must be non-empty".to_owned());
        }
        if let Some(complaint) = subdomain(prefix) {
            return Some(format!("prefix part {complaint}"));
        }
    }
    if name.is_empty() {
        return Some("name part must be non-empty".to_owned());
    }
    too_long(name, 63, "characters")
        .map(|complaint| format!("name part {complaint}"))
        .or_else(|| (!is_name_part(name)).then(|| QUALIFIED.to_owned()))
}

/// Keys of the data of a `ConfigMap` or Secret.
pub(super) fn config_key(key: &str) -> Complaint {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    too_long(key, 253, "characters")
        .or_else(|| (key.is_empty() || !key.bytes().all(allowed)).then(|| CONFIG_KEY.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_accepted_and_refused_like_kubernetes_does() {
        type Rule = fn(&str) -> Complaint;
        let long = "a".repeat(64);
        let cases: &[(Rule, &str, bool)] = &[
            (subdomain, "a.b-c", true),
            (subdomain, "a..b", false),
            (subdomain, "A", false),
            (label, "a-1", true),
            (label, "a.b", false),
            (label, &long, false),
            (label_value, "", true),
            (label_value, "v1.2_x", true),
            (label_value, "-a", false),
            (label_value, &long, false),
            (qualified, "kubefresh.dev/watch", true),
            (qualified, "web.kubefresh.dev/Policy", true),
            (qualified, "/watch", false),
            (qualified, "a/b/c", false),
            (config_key, "scan.json", true),
            (config_key, "a/b", false),
            (path_segment, "system:discovery", true),
            (path_segment, "a/b", false),
        ];
        for (rule, text, accepted) in cases {
            assert_eq!(rule(text).is_none(), *accepted, "{text:?}");
        }
    }
}
