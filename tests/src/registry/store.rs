//! What the registry holds: repositories with their blobs, manifests and tags.

use std::collections::{BTreeMap, HashMap};

use axum::body::Bytes;

use super::image::digest_of;

#[derive(Debug, Default)]
pub(super) struct Store {
    repositories: BTreeMap<String, Repository>,
    uploads: HashMap<String, Vec<u8>>,
    next_upload: u64,
}

#[derive(Debug, Default)]
pub(super) struct Repository {
    blobs: HashMap<String, Bytes>,
    manifests: HashMap<String, Manifest>,
    /// In order of first publication.
    tags: Vec<(String, String)>,
    position: HashMap<String, usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) digest: String,
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
}

impl Store {
    pub(super) fn repository(&self, name: &str) -> Option<&Repository> {
        self.repositories.get(name)
    }

    pub(super) fn repository_mut(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    pub(super) fn delete_repository(&mut self, name: &str) -> bool {
        self.repositories.remove(name).is_some()
    }

    pub(super) fn start_upload(&mut self) -> String {
        self.next_upload += 1;
        let id = format!("upload-{}", self.next_upload);
        self.uploads.insert(id.clone(), Vec::new());
        id
    }

    /// Adds to an upload and returns its length so far; `None` when there is no such upload.
    pub(super) fn append(&mut self, id: &str, bytes: &[u8]) -> Option<usize> {
        let upload = self.uploads.get_mut(id)?;
        upload.extend_from_slice(bytes);
        Some(upload.len())
    }

    pub(super) fn finish_upload(&mut self, id: &str) -> Option<Bytes> {
        self.uploads.remove(id).map(Bytes::from)
    }
}

impl Repository {
    pub(super) fn put_blob(&mut self, bytes: Bytes) -> String {
        let digest = digest_of(&bytes);
        self.blobs.insert(digest.clone(), bytes);
        digest
    }

    pub(super) fn blob(&self, digest: &str) -> Option<Bytes> {
        self.blobs.get(digest).cloned()
    }

    pub(super) fn put_manifest(&mut self, media_type: &str, bytes: Bytes) -> String {
        let digest = digest_of(&bytes);
        let manifest = Manifest {
            digest: digest.clone(),
            media_type: media_type.to_owned(),
            bytes,
        };
        self.manifests.insert(digest.clone(), manifest);
        digest
    }

    /// The manifest that a tag or a digest names.
    pub(super) fn manifest(&self, reference: &str) -> Option<&Manifest> {
        self.manifests.get(&self.resolve(reference)?)
    }

    /// The digest that a tag or a digest names, if there is such a manifest.
    pub(super) fn resolve(&self, reference: &str) -> Option<String> {
        let digest = match self.position.get(reference) {
            Some(&index) => &self.tags[index].1,
            None => reference,
        };
        self.manifests.contains_key(digest).then(|| digest.to_owned())
    }

    pub(super) fn set_tag(&mut self, tag: &str, digest: &str) {
        if let Some(&index) = self.position.get(tag) {
            digest.clone_into(&mut self.tags[index].1);
        } else {
            self.position.insert(tag.to_owned(), self.tags.len());
            self.tags.push((tag.to_owned(), digest.to_owned()));
        }
    }

    pub(super) fn delete_tag(&mut self, tag: &str) -> bool {
        let known = self.position.contains_key(tag);
        self.retain_tags(|name, _| name != tag);
        known
    }

    /// Removes a manifest and every tag that points at it; answers whether it was there.
    pub(super) fn delete_manifest(&mut self, digest: &str) -> bool {
        let known = self.manifests.remove(digest).is_some();
        self.retain_tags(|_, target| target != digest);
        known
    }

    pub(super) fn tags(&self) -> Vec<String> {
        self.tags.iter().map(|(tag, _)| tag.clone()).collect()
    }

    fn retain_tags(&mut self, keep: impl Fn(&str, &str) -> bool) {
        self.tags.retain(|(tag, digest)| keep(tag, digest));
        self.position = self
            .tags
            .iter()
            .enumerate()
            .map(|(index, (tag, _))| (tag.clone(), index))
            .collect();
    }
}
