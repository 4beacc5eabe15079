//! Images made up for tests: real bytes, true digests, tiny content.

use std::collections::BTreeMap;

use axum::body::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// `sha256:` and the hexadecimal digest of the bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").expect("writing to a string succeeds");
    }
    text
}

/// Whose names to use for manifests and layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaTypes {
    /// `application/vnd.oci.image…`
    Oci,
    /// `application/vnd.docker.distribution…`
    Docker,
}

impl MediaTypes {
    /// Media type of an index or manifest list.
    pub fn index(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.index.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }

    /// Media type of the manifest of one platform.
    pub fn manifest(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.manifest.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.v2+json",
        }
    }

    fn config(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.config.v1+json",
            Self::Docker => "application/vnd.docker.container.image.v1+json",
        }
    }

    fn layer(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.layer.v1.tar",
            Self::Docker => "application/vnd.docker.image.rootfs.diff.tar",
        }
    }
}

/// What an image should be. The same specification always builds the same bytes.
#[derive(Debug, Clone)]
pub struct ImageSpec {
    repository: String,
    tag: String,
    platforms: Vec<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    revision: String,
    created: String,
    media_types: MediaTypes,
    with_index: bool,
    with_attestation: bool,
}

impl ImageSpec {
    /// An OCI index for `linux/amd64` and `linux/arm64` in `repository` (without the registry's host).
    pub fn new(repository: &str, tag: &str) -> Self {
        Self {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            platforms: vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()],
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            revision: "1".to_owned(),
            created: "2026-01-01T00:00:00Z".to_owned(),
            media_types: MediaTypes::Oci,
            with_index: true,
            with_attestation: false,
        }
    }

    /// Platforms as `os/architecture[/variant]`, instead of the default two.
    #[must_use]
    pub fn platforms(mut self, platforms: &[&str]) -> Self {
        self.platforms = platforms.iter().map(|&platform| platform.to_owned()).collect();
        self
    }

    /// A label in the config of every platform.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// An annotation on the index, or on the manifest if there is no index.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Any text; another text gives other content and so other digests, as a rebuild under the same tag does.
    #[must_use]
    pub fn revision(mut self, revision: &str) -> Self {
        revision.clone_into(&mut self.revision);
        self
    }

    /// Creation time in the config, in RFC 3339.
    #[must_use]
    pub fn created(mut self, created: &str) -> Self {
        created.clone_into(&mut self.created);
        self
    }

    /// Uses Docker's media types (manifest list and schema 2).
    #[must_use]
    pub fn docker(mut self) -> Self {
        self.media_types = MediaTypes::Docker;
        self
    }

    /// Publishes the manifest of one platform directly, without an index.
    #[must_use]
    pub fn single(mut self, platform: &str) -> Self {
        self.platforms = vec![platform.to_owned()];
        self.with_index = false;
        self
    }

    /// Adds an `unknown/unknown` child to the index, as `BuildKit` does for provenance.
    #[must_use]
    pub fn attestation(mut self) -> Self {
        self.with_attestation = true;
        self
    }

    pub fn repository(&self) -> &str {
        &self.repository
    }

    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Makes the bytes.
    pub fn build(&self) -> Image {
        let mut builder = Builder {
            spec: self,
            blobs: Vec::new(),
            manifests: Vec::new(),
        };
        let mut children = Vec::new();
        let mut platforms = BTreeMap::new();
        for platform in &self.platforms {
            let child = builder.platform(platform);
            platforms.insert(platform.clone(), child.digest.clone());
            children.push(child);
        }
        let digest = if self.with_index {
            let attestation = self
                .with_attestation
                .then(|| builder.attestation(&children[0].digest));
            builder.index(children, attestation)
        } else {
            children[0].digest.clone()
        };
        let published = Published {
            repository: self.repository.clone(),
            tag: self.tag.clone(),
            digest,
            platforms,
        };
        Image {
            blobs: builder.blobs,
            manifests: builder.manifests,
            published,
        }
    }
}

/// The bytes of an image, in the order in which they have to be pushed: blobs, children, index.
#[derive(Debug, Clone)]
pub struct Image {
    /// Digest and content of every layer and config.
    pub blobs: Vec<(String, Bytes)>,
    pub manifests: Vec<ImageManifest>,
    pub published: Published,
}

/// A manifest or index ready to be pushed.
#[derive(Debug, Clone)]
pub struct ImageManifest {
    pub digest: String,
    pub media_type: String,
    pub bytes: Bytes,
}

/// Where an image is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub repository: String,
    pub tag: String,
    /// What the tag points at: the index, or the manifest if there is no index.
    pub digest: String,
    /// Manifest digest by `os/architecture[/variant]`.
    pub platforms: BTreeMap<String, String>,
}

struct Child {
    platform: Value,
    digest: String,
    size: usize,
}

struct Builder<'a> {
    spec: &'a ImageSpec,
    blobs: Vec<(String, Bytes)>,
    manifests: Vec<ImageManifest>,
}

impl Builder<'_> {
    fn platform(&mut self, platform: &str) -> Child {
        let spec = self.spec;
        let content = format!(
            "{}:{}\n{platform}\n{}\n",
            spec.repository, spec.tag, spec.revision
        );
        let layer = tar_of("image.txt", content.as_bytes());
        let mut config = platform_object(platform);
        config["created"] = json!(spec.created);
        config["config"] = json!({ "Labels": spec.labels, "Cmd": ["/image.txt"] });
        config["rootfs"] = json!({ "type": "layers", "diff_ids": [digest_of(&layer)] });
        config["history"] = json!([{ "created": spec.created, "created_by": "sandbox" }]);
        let config = serde_json::to_vec(&config).expect("a value serialises");
        let mut manifest = self.manifest(&config, &layer);
        if !spec.with_index && !spec.annotations.is_empty() {
            manifest["annotations"] = json!(spec.annotations);
        }
        self.blob(layer);
        self.blob(config);
        let (digest, size) = self.store(spec.media_types.manifest(), &manifest);
        Child {
            platform: platform_object(platform),
            digest,
            size,
        }
    }

    fn manifest(&self, config: &[u8], layer: &[u8]) -> Value {
        let types = self.spec.media_types;
        json!({
            "schemaVersion": 2,
            "mediaType": types.manifest(),
            "config": { "mediaType": types.config(), "digest": digest_of(config), "size": config.len() },
            "layers": [{ "mediaType": types.layer(), "digest": digest_of(layer), "size": layer.len() }],
        })
    }

    /// A child that is no platform, described as in an index.
    fn attestation(&mut self, subject: &str) -> Value {
        let platform = json!({ "os": "unknown", "architecture": "unknown" });
        let config = serde_json::to_vec(&platform).expect("a value serialises");
        let statement = json!({ "_type": "https://in-toto.io/Statement/v0.1", "subject": subject });
        let layer = serde_json::to_vec(&statement).expect("a value serialises");
        let manifest = self.manifest(&config, &layer);
        self.blob(layer);
        self.blob(config);
        let media_type = self.spec.media_types.manifest();
        let (digest, size) = self.store(media_type, &manifest);
        json!({
            "mediaType": media_type, "digest": digest, "size": size, "platform": platform,
            "annotations": {
                "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": subject,
            },
        })
    }

    fn index(&mut self, children: Vec<Child>, attestation: Option<Value>) -> String {
        let types = self.spec.media_types;
        let manifests: Vec<Value> = children
            .into_iter()
            .map(|Child { platform, digest, size }| {
                json!({ "mediaType": types.manifest(), "digest": digest, "size": size, "platform": platform })
            })
            .chain(attestation)
            .collect();
        let mut index = json!({ "schemaVersion": 2, "mediaType": types.index(), "manifests": manifests });
        if !self.spec.annotations.is_empty() {
            index["annotations"] = json!(self.spec.annotations);
        }
        self.store(types.index(), &index).0
    }

    fn blob(&mut self, bytes: Vec<u8>) {
        self.blobs.push((digest_of(&bytes), bytes.into()));
    }

    fn store(&mut self, media_type: &str, manifest: &Value) -> (String, usize) {
        let bytes = Bytes::from(serde_json::to_vec_pretty(manifest).expect("a value serialises"));
        let (digest, size) = (digest_of(&bytes), bytes.len());
        self.manifests.push(ImageManifest {
            digest: digest.clone(),
            media_type: media_type.to_owned(),
            bytes,
        });
        (digest, size)
    }
}

fn platform_object(platform: &str) -> Value {
    let mut parts = platform.splitn(3, '/');
    let mut object = json!({ "os": parts.next(), "architecture": parts.next() });
    if let Some(variant) = parts.next() {
        object["variant"] = json!(variant);
    }
    object
}

/// A tar archive with one file, in the ustar format.
fn tar_of(name: &str, content: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 512;
    let mut header = [0u8; BLOCK];
    let mut put =
        |offset: usize, text: &str| header[offset..offset + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, "00000000000\0");
    // The checksum is taken with its own field full of spaces.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let checksum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{checksum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    archive
}
