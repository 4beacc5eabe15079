//! The tags of a repository, taken out of the pages of `tags/list` one by one.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use shared::domain::reference::Tag;

use super::digest_map::DigestMap;
use super::problem::Problem;

/// The tags of the pages read so far, and how many names were passed over because they cannot be tags.
///
/// A page is never held as a whole in another form than its bytes: millions of empty names fit into a few megabytes of
/// JSON, and would take twenty times as much as values.
#[derive(Debug)]
pub(super) struct TagList {
    tags: Vec<Tag>,
    /// Where somebody wants them.
    digests: Option<DigestMap>,
    invalid: usize,
    limit: usize,
}

impl TagList {
    /// No tags yet, and never more than `limit`, repetitions included.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            tags: Vec::new(),
            digests: None,
            invalid: 0,
            limit,
        }
    }

    /// Also takes the digests that come with the tags.
    pub(super) fn with_digests(mut self) -> Self {
        self.digests = Some(DigestMap::default());
        self
    }

    /// Lets it have so many tags from now on.
    pub(super) fn allow(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes a page in. One that is too much is not taken in at all.
    pub(super) fn read_page(&mut self, body: &[u8]) -> Result<(), Problem> {
        let before = (self.tags.len(), self.invalid);
        let mut json = serde_json::Deserializer::from_slice(body);
        let read = json.deserialize_map(Page(self)).and_then(|()| json.end());
        read.map_err(|error| {
            // The only error about data, rather than form, that a full list meets is that another name follows.
            let is_full = error.is_data() && self.tags.len() >= self.limit;
            self.tags.truncate(before.0);
            self.invalid = before.1;
            if is_full {
                Problem::TooManyTags(self.limit)
            } else {
                Problem::Protocol(format!("the answer is not a list of tags: {error}"))
            }
        })?;
        if let Some(digests) = &mut self.digests {
            digests.read_page(body);
        }
        Ok(())
    }

    /// Names that were passed over.
    pub(super) fn invalid(&self) -> usize {
        self.invalid
    }

    /// Each tag once, in the order of the registry, and the digests that are known.
    pub(super) fn into_parts(mut self) -> (Vec<Tag>, DigestMap) {
        let digests = self.digests.take().unwrap_or_default();
        (self.into_tags(), digests)
    }

    fn into_tags(self) -> Vec<Tag> {
        let mut seen = HashSet::with_capacity(self.tags.len());
        let first: Vec<bool> = self.tags.iter().map(|tag| seen.insert(tag)).collect();
        drop(seen);
        let kept = self.tags.into_iter().zip(first);
        kept.filter_map(|(tag, first)| first.then_some(tag)).collect()
    }

    fn take(&mut self, name: &str) -> Result<(), TooMany> {
        match name.parse() {
            Ok(_) if self.tags.len() >= self.limit => return Err(TooMany),
            Ok(tag) => self.tags.push(tag),
            Err(_not_a_tag) => self.invalid += 1,
        }
        Ok(())
    }
}

struct TooMany;

/// The object of a page. A reply without the field `tags` is no list of tags at all.
struct Page<'l>(&'l mut TagList);

impl<'de> Visitor<'de> for Page<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a list of tags")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == "tags" && found {
                return Err(A::Error::duplicate_field("tags"));
            } else if key == "tags" {
                map.next_value_seed(Names(&mut *self.0))?;
                found = true;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if found {
            Ok(())
        } else {
            Err(A::Error::missing_field("tags"))
        }
    }
}

/// The list of names; `null` where a repository has no tags.
struct Names<'l>(&'l mut TagList);

impl<'de> DeserializeSeed<'de> for Names<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names, or null")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<(), A::Error> {
        // `null` stands among the names of some registries.
        while let Some(name) = names.next_element::<Option<Name<'de>>>()? {
            if let Some(Name(name)) = name {
                self.0
                    .take(&name)
                    .map_err(|TooMany| A::Error::custom("too many names"))?;
            }
        }
        Ok(())
    }
}

/// A name, borrowed from the page where it can be.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str) -> Option<(Vec<String>, usize)> {
        let mut list = TagList::new(10);
        list.read_page(body.as_bytes()).ok()?;
        let invalid = list.invalid();
        Some((
            list.into_tags().iter().map(ToString::to_string).collect(),
            invalid,
        ))
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
            (r#"{"tags":["2","1","2"]}"#, vec!["2", "1"], 0),
            (r#"{"tags":["\u0031.\u0032"]}"#, vec!["1.2"], 0),
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
            r#"{"tags":[1]}"#,
            r#"{"tags":["1"]} and more"#,
            r#"{"tags":["1"],"tags":[]}"#,
        ] {
            assert_eq!(check(body), None, "{body}");
        }
    }

    #[test]
    fn a_list_with_more_names_than_are_wanted_is_not_read_to_its_end() {
        let mut list = TagList::new(3);
        list.read_page(br#"{"tags":["1","1"]}"#).unwrap();
        let problem = list.read_page(br#"{"tags":["1","2","3"]}"#).unwrap_err();
        assert!(matches!(problem, Problem::TooManyTags(3)), "{problem}");
        list.allow(5);
        list.read_page(br#"{"tags":["1","2","3"]}"#).unwrap();
        assert_eq!(list.into_tags().len(), 3);
    }
}
