//! A list of published tags, as a file or a batch has it.

use serde_json::Value;
use shared::domain::reference::Tag;

/// Published names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TagList {
    pub(super) tags: Vec<Tag>,
    /// Those that are no names at all. A list that somebody wrote down may hold others that no registry could publish, such as
    /// negative numbers; they are judged like any tag.
    pub(super) invalid: Vec<String>,
}

impl FromIterator<String> for TagList {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        let mut list = Self::default();
        for name in names {
            match Tag::as_listed(&name) {
                Some(tag) => list.tags.push(tag),
                None => list.invalid.push(name),
            }
        }
        list
    }
}

impl TagList {
    /// Reads one tag a line, or JSON: an array, or an object with one under `tags`.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.starts_with(['[', '{']) {
            let value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
            return Self::from_json(value);
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(lines.map(str::to_owned).collect())
    }

    /// Takes an array of names, or an object that has one under `tags`.
    pub(super) fn from_json(value: Value) -> Result<Self, String> {
        match value {
            Value::Array(names) => names.into_iter().map(name).collect(),
            // `tags` is what a registry answers, `Tags` what skopeo makes of it.
            Value::Object(mut object) => match object.remove("tags").or_else(|| object.remove("Tags")) {
                Some(Value::Array(names)) => names.into_iter().map(name).collect(),
                _ => Err("there is no array under `tags`".to_owned()),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Err("it is no array of tags".to_owned())
            }
        }
    }
}

fn name(value: Value) -> Result<String, String> {
    match value {
        Value::String(name) => Ok(name),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(format!("{value} is no string"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_from_lines_and_from_json() {
        for text in [
            "1.2\n1.3\n",
            "\u{feff}1.2\r\n\r\n  1.3",
            r#"["1.2", "1.3"]"#,
            r#" {"name": "library/nginx", "tags": ["1.2", "1.3"]}"#,
            r#"{"Repository": "docker.io/library/nginx", "Tags": ["1.2", "1.3"]}"#,
        ] {
            let list = TagList::read(text).unwrap();
            let tags: Vec<&str> = list.tags.iter().map(Tag::as_str).collect();
            assert_eq!((tags, list.invalid.len()), (vec!["1.2", "1.3"], 0), "{text}");
        }
        assert_eq!(TagList::read(""), Ok(TagList::default()));
        for text in ["[1.2]", "[\"1.2\"", "{}", r#"{"tags": "1.2"}"#] {
            assert!(TagList::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_tag_is_kept_apart() {
        let long = "x".repeat(129);
        let list = TagList::read(&format!("1.2\n# a comment\n-1\n{long}\ncafé")).unwrap();
        assert_eq!(list.invalid, ["# a comment", &long, "café"]);
        assert_eq!(list.tags.len(), 2);
    }
}
