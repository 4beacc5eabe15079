//! The digests that some registries send along with a list of tags: Artifact Registry, gcr.io and registry.k8s.io, which stands
//! before it. A tag whose digest stands there need not be asked for.
//!
//! `{"tags": ["1.5.0"], "manifest": {"sha256:…": {"tag": ["1.5.0", "latest"], …}}}`, as google/go-containerregistry reads it in
//! `pkg/v1/google/list.go`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use shared::domain::reference::{Digest, Tag};

/// The most tags whose digest is held; whoever has more is asked for them one by one.
const MOST: usize = 20_000;

/// The digests of some tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DigestMap {
    /// `None` where a tag stands at several digests: nobody knows which one it has.
    of: HashMap<Tag, Option<Digest>>,
}

impl DigestMap {
    /// Takes the digests out of a page of tags. Where there are none there is nothing to take, and what cannot be read ends it:
    /// the list is whole without them.
    pub(super) fn read_page(&mut self, body: &[u8]) {
        let mut json = serde_json::Deserializer::from_slice(body);
        if let Err(error) = json.deserialize_map(Page(self)) {
            tracing::debug!(%error, "the digests that came with a list of tags are not used");
        }
    }

    pub fn get(&self, tag: &Tag) -> Option<&Digest> {
        self.of.get(tag)?.as_ref()
    }

    fn take(&mut self, tag: Tag, digest: &Digest) {
        if self.of.len() < MOST || self.of.contains_key(&tag) {
            let known = self.of.entry(tag).or_insert_with(|| Some(digest.clone()));
            if known.as_ref() != Some(digest) {
                *known = None;
            }
        }
    }
}

struct Page<'m>(&'m mut DigestMap);

impl<'de> Visitor<'de> for Page<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a list of tags")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == "manifest" {
                map.next_value_seed(Manifests(&mut *self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// The manifests by their digests, taken in one by one: a page is never held as a whole in another form than its bytes.
struct Manifests<'m>(&'m mut DigestMap);

/// One of them; everything else that is said of it does not matter here.
#[derive(Deserialize)]
struct Manifest<'a> {
    #[serde(default, borrow)]
    tag: Vec<Cow<'a, str>>,
}

impl<'de> DeserializeSeed<'de> for Manifests<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Manifests<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a manifest for each digest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((digest, manifest)) = map.next_entry::<Cow<'de, str>, Manifest<'de>>()? {
            if let Ok(digest) = digest.parse() {
                let tags = manifest.tag.iter().filter_map(|tag| tag.parse().ok());
                tags.for_each(|tag| self.0.take(tag, &digest));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(fill: char) -> String {
        format!("sha256:{}", fill.to_string().repeat(64))
    }

    /// The digest of `tag`, in its first letter, after these pages.
    fn found(pages: &[&str], tag: &str) -> Option<String> {
        let mut map = DigestMap::default();
        for page in pages {
            map.read_page(
                page.replace("$a", &digest('a'))
                    .replace("$b", &digest('b'))
                    .as_bytes(),
            );
        }
        map.get(&tag.parse().unwrap())
            .map(|digest| digest.hex()[..1].to_owned())
    }

    #[test]
    fn a_tag_has_the_digest_under_which_it_stands() {
        let page = r#"{"child":[],"manifest":{"$a":{"imageSizeBytes":"1","tag":["1.5.0","latest"],"timeUploadedMs":"9"},"$b":{"tag":[]}},"tags":["1.5.0","latest"]}"#;
        assert_eq!(found(&[page], "latest").as_deref(), Some("a"));
        assert_eq!(found(&[page], "1.4.0"), None);
    }

    #[test]
    fn a_tag_at_two_digests_has_none_also_over_pages() {
        let twice = r#"{"manifest":{"$a":{"tag":["1"]},"$b":{"tag":["1"]}}}"#;
        let (one, other) = (
            r#"{"manifest":{"$a":{"tag":["1"]}}}"#,
            r#"{"manifest":{"$b":{"tag":["1"]}}}"#,
        );
        for pages in [&[twice][..], &[one, other], &[one, other, one]] {
            assert_eq!(found(pages, "1"), None, "{pages:?}");
        }
        assert_eq!(found(&[one, one], "1").as_deref(), Some("a"));
    }

    #[test]
    fn what_is_no_map_of_digests_gives_none_and_does_no_harm() {
        for page in [
            "",
            "[]",
            r#"{"manifest":null}"#,
            r#"{"manifest":["$a"]}"#,
            r#"{"manifest":{"$a":null}}"#,
            r#"{"manifest":{"$a":{"tag":"1"}}}"#,
            r#"{"manifest":{"no digest":{"tag":["1"]}}}"#,
            r#"{"manifest":{"$a":{"tag":["not a tag!"]}}}"#,
        ] {
            assert_eq!(found(&[page], "1"), None, "{page}");
        }
    }

    #[test]
    fn of_very_many_only_so_many_are_held() {
        let tags: Vec<String> = (0..3 * MOST).map(|tag| format!("\"{tag}\"")).collect();
        let page = format!(
            r#"{{"manifest":{{"{}":{{"tag":[{}]}}}}}}"#,
            digest('a'),
            tags.join(",")
        );
        let mut map = DigestMap::default();
        map.read_page(page.as_bytes());
        assert_eq!(map.of.len(), MOST);
    }
}
