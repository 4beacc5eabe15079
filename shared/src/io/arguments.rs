//! Values that both programs take from flags and the environment, checked the same way.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::annotations::{AnnotationError, Installation, is_variable, parse_variable_switch};

/// A word that is no namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a namespace: lower-case letters, digits and '-', at most 63 of them")]
pub struct NamespaceError(pub String);

/// The name of a namespace: an RFC 1123 label.
pub fn namespace(name: String) -> Result<String, NamespaceError> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let valid = (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if valid {
        Ok(name)
    } else {
        Err(NamespaceError(name))
    }
}

/// Names of namespaces, out of a list that was typed: each once, as what is watched twice would be updated twice.
pub fn namespaces(list: Vec<String>) -> Result<Vec<String>, NamespaceError> {
    let mut names: Vec<String> = words(list).into_iter().map(namespace).collect::<Result<_, _>>()?;
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

/// Defaults that cannot be obeyed, all of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct DefaultsError(pub Vec<AnnotationError>);

/// What the installation says of all workloads: by these variables of the environment, by flags of the form `KEY=VALUE`,
/// and whether that overrides annotations.
pub fn installation(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    flags: &[String],
    overrides: bool,
) -> Result<Installation, DefaultsError> {
    // What is no text is no name of ours, and no value that anything could be made of.
    let text = |word: OsString| word.to_string_lossy().into_owned();
    let ours: Vec<(String, String)> = variables
        .into_iter()
        .map(|(name, value)| (text(name), text(value)))
        .filter(|(name, _)| is_variable(name))
        .collect();
    let variables = ours.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Installation::read(variables, flags.iter().map(String::as_str), overrides).map_err(DefaultsError)
}

/// The words of a list. An empty environment variable is one empty word to clap, and nothing to us.
pub fn words(list: Vec<String>) -> Vec<String> {
    list.into_iter().filter_map(|word| given(Some(word))).collect()
}

/// A value, unless it is empty: a manifest that sets `value: ""` sets nothing.
pub fn given(value: Option<String>) -> Option<String> {
    value
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
}

/// Reads `true` or `false`, in any case of letters; what is empty is not set, and means `default`. The error is for clap, which names
/// the flag.
pub fn switch(default: bool) -> impl Fn(&str) -> Result<bool, String> + Clone + Send + Sync + 'static {
    move |text| match text.trim() {
        "" => Ok(default),
        written => parse_variable_switch(written),
    }
}

/// A duration longer than nothing, such as `90s`, `4m` or `24h`. The error is for clap, which names the flag.
pub fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration = text
        .parse()
        .map_err(|_| "write a duration such as 90s, 4m or 24h".to_owned())?;
    match Duration::try_from(duration) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("it must be longer than nothing".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_a_label() {
        for (name, valid) in [
            ("shop", true),
            ("a-1", true),
            ("", false),
            ("Shop", false),
            ("-a", false),
            ("a/b", false),
        ] {
            assert_eq!(namespace(name.to_owned()).is_ok(), valid, "{name:?}");
        }
        assert!(namespace("a".repeat(64)).is_err());
    }

    #[test]
    fn an_empty_list_names_nothing_and_a_name_that_is_there_twice_counts_once() {
        assert_eq!(namespaces(vec![String::new(), " ".to_owned()]), Ok(Vec::new()));
        assert_eq!(
            namespaces(vec!["b".to_owned(), "a".to_owned(), " b".to_owned()]),
            Ok(vec!["b".to_owned(), "a".to_owned()])
        );
    }

    #[test]
    fn a_switch_is_read_in_any_case_of_letters_and_set_to_nothing_is_not_set() {
        for (text, expected) in [
            ("true", Ok(true)),
            (" TRUE ", Ok(true)),
            ("False", Ok(false)),
            ("", Err(())),
            (" ", Err(())),
        ] {
            for default in [true, false] {
                assert_eq!(switch(default)(text), Ok(expected.unwrap_or(default)), "{text:?}");
            }
        }
        for text in ["yes", "1", "true false"] {
            assert!(switch(true)(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_duration_has_a_unit_and_is_longer_than_nothing() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        for text in ["", "5", "0s", "-1s", "soon"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }
}
