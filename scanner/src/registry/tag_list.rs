//! One page of `tags/list`.

use serde::{Deserialize, Deserializer};
use shared::domain::reference::Tag;

/// The valid tags of a page, and how many names were passed over because they cannot be tags.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TagPage {
    pub(super) tags: Vec<Tag>,
    pub(super) invalid: usize,
}

#[derive(Deserialize)]
struct Body {
    /// `null` where a repository has no tags. A reply without the field is no list of tags at all.
    #[serde(deserialize_with = "list_or_null")]
    tags: Vec<Option<String>>,
}

fn list_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Option<String>>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl TagPage {
    pub(super) fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        let body: Body = serde_json::from_slice(body)?;
        let named = body.tags.into_iter().flatten();
        let mut page = Self {
            tags: Vec::new(),
            invalid: 0,
        };
        for name in named {
            match name.parse() {
                Ok(tag) => page.tags.push(tag),
                Err(_not_a_tag) => page.invalid += 1,
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str) -> Option<(Vec<String>, usize)> {
        let page = TagPage::parse(body.as_bytes()).ok()?;
        Some((page.tags.iter().map(ToString::to_string).collect(), page.invalid))
    }

    #[test]
    fn a_page_is_read_with_the_flaws_that_registries_have() {
        for (body, tags, invalid) in [
            (r#"{"name":"a","tags":["1","2"]}"#, vec!["1", "2"], 0),
            (r#"{"tags":null}"#, vec![], 0),
            (r#"{"tags":[]}"#, vec![], 0),
            (r#"{"tags":[null,"1",null]}"#, vec!["1"], 0),
            (r#"{"tags":["not a tag!","1","sha256:00",""]}"#, vec!["1"], 3),
            (r#"{"tags":["1"],"manifest":{}}"#, vec!["1"], 0),
        ] {
            let expected = Some((tags.iter().map(ToString::to_string).collect(), invalid));
            assert_eq!(check(body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_not_a_list_of_tags_is_an_error() {
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"errors":[]}"#,
            r#"{"tags":"1"}"#,
            r#"{"tags":["1""#,
        ] {
            assert_eq!(check(body), None, "{body}");
        }
    }
}
