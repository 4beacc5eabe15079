//! What a manifest or an index says about the platforms of an image.

use std::collections::BTreeMap;

use oci_distribution::manifest::{ImageIndexEntry, OciDescriptor, OciManifest};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use shared::domain::reference::Digest;

use super::problem::Problem;

const CONFIG_MEDIA_TYPES: &[&str] = &[
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
];

/// How many platforms of one image are noted; images for everything there is have some thirty.
const MAX_PLATFORMS: usize = 64;
/// The longest name of a platform that is believed.
const MAX_PLATFORM_LENGTH: usize = 64;

/// The platforms of an image, and what is said about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Platforms {
    /// Whether the digest that was asked for is that of an index (or Docker's manifest list).
    pub is_index: bool,
    /// Manifest digest by `os/architecture[/variant]`; for Windows `os(version)/architecture`, as containerd writes it,
    /// because an index holds one manifest for each version. Attestations are left out. Empty for what is no image.
    pub digests: BTreeMap<String, Digest>,
    /// The annotations of what was asked for and, if that is a manifest, the labels of its config.
    pub labels: BTreeMap<String, String>,
}

/// What a manifest says, and what is still to be read.
pub(super) enum Parsed {
    Complete(Platforms),
    /// A manifest of one platform; the config at this digest says which.
    NeedsConfig {
        config: Digest,
        annotations: BTreeMap<String, String>,
    },
}

/// The part of an image's config that is of interest. Everything may be missing.
#[derive(Deserialize)]
struct Config {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    #[serde(rename = "os.version")]
    os_version: Option<String>,
    #[serde(rename = "config")]
    execution: Option<Execution>,
}

#[derive(Deserialize)]
struct Execution {
    #[serde(rename = "Labels")]
    labels: Option<BTreeMap<String, Option<String>>>,
}

/// Checks that the bytes are those that the digest names.
pub(super) fn verify(body: &[u8], digest: &Digest) -> Result<(), Problem> {
    let actual: Vec<u8> = match digest.algorithm() {
        "sha512" => Sha512::digest(body).to_vec(),
        "sha384" => Sha384::digest(body).to_vec(),
        _ => Sha256::digest(body).to_vec(),
    };
    let expected = digest.hex().as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    if expected.eq(actual.into_iter().map(Some)) {
        return Ok(());
    }
    Err(Problem::Protocol(format!(
        "the registry sent other content than {}",
        digest.short()
    )))
}

/// Reads a manifest or an index whose digest has been verified.
pub(super) fn parse(body: &[u8]) -> Result<Parsed, Problem> {
    /// Which of the two it is. An untagged enum would tell as well, and hold all of a hostile one as values first.
    #[derive(Deserialize)]
    struct Shape {
        manifests: Option<IgnoredAny>,
    }
    let unreadable = |error: serde_json::Error| {
        Problem::Protocol(format!(
            "the manifest is neither that of an image nor an index: {error}"
        ))
    };
    let shape: Shape = serde_json::from_slice(body).map_err(unreadable)?;
    let manifest = match shape.manifests {
        Some(IgnoredAny) => OciManifest::ImageIndex(serde_json::from_slice(body).map_err(unreadable)?),
        None => OciManifest::Image(serde_json::from_slice(body).map_err(unreadable)?),
    };
    match manifest {
        OciManifest::ImageIndex(index) => {
            let mut digests = BTreeMap::new();
            for entry in &index.manifests {
                if digests.len() >= MAX_PLATFORMS {
                    break;
                }
                if let Some((platform, digest)) = platform_of(entry)? {
                    // Where an index names a platform twice, a kubelet takes the first.
                    digests.entry(platform).or_insert(digest);
                }
            }
            let labels = index.annotations.unwrap_or_default();
            Ok(Parsed::Complete(Platforms {
                is_index: true,
                digests,
                labels,
            }))
        }
        OciManifest::Image(image) => {
            let annotations = image.annotations.unwrap_or_default();
            let OciDescriptor {
                media_type, digest, ..
            } = &image.config;
            if CONFIG_MEDIA_TYPES.contains(&media_type.as_str()) {
                return Ok(Parsed::NeedsConfig {
                    config: child_digest(digest)?,
                    annotations,
                });
            }
            Ok(Parsed::Complete(Platforms {
                is_index: false,
                digests: BTreeMap::new(),
                labels: annotations,
            }))
        }
    }
}

/// Completes the manifest at `digest` with its config, whose digest has been verified.
pub(super) fn with_config(
    digest: &Digest,
    mut annotations: BTreeMap<String, String>,
    config: &[u8],
) -> Result<Platforms, Problem> {
    let config: Config = serde_json::from_slice(config)
        .map_err(|error| Problem::Protocol(format!("the config of the image is not readable: {error}")))?;
    let mut digests = BTreeMap::new();
    if let (Some(os), Some(architecture)) = (&config.os, &config.architecture) {
        let platform = platform_name(
            os,
            architecture,
            config.variant.as_deref(),
            config.os_version.as_deref(),
        );
        if is_plausible(&platform) {
            digests.insert(platform, digest.clone());
        }
    }
    let labels = config
        .execution
        .and_then(|execution| execution.labels)
        .unwrap_or_default();
    annotations.extend(
        labels
            .into_iter()
            .map(|(key, value)| (key, value.unwrap_or_default())),
    );
    Ok(Platforms {
        is_index: false,
        digests,
        labels: annotations,
    })
}

/// The platform and digest of a child; `None` for an attestation and for what names no platform.
fn platform_of(entry: &ImageIndexEntry) -> Result<Option<(String, Digest)>, Problem> {
    let Some(platform) = &entry.platform else {
        return Ok(None);
    };
    let (os, architecture) = (platform.os.to_string(), platform.architecture.to_string());
    if os == "unknown" || architecture == "unknown" {
        return Ok(None);
    }
    let name = platform_name(
        &os,
        &architecture,
        platform.variant.as_deref(),
        platform.os_version.as_deref(),
    );
    if !is_plausible(&name) {
        return Ok(None);
    }
    Ok(Some((name, child_digest(&entry.digest)?)))
}

fn platform_name(os: &str, architecture: &str, variant: Option<&str>, os_version: Option<&str>) -> String {
    let version = os_version.filter(|version| os == "windows" && !version.is_empty());
    let version = version.map(|version| format!("({version})")).unwrap_or_default();
    let variant = variant.filter(|variant| !variant.is_empty());
    let variant = variant.map(|variant| format!("/{variant}")).unwrap_or_default();
    format!("{os}{version}/{architecture}{variant}")
}

/// Whether a platform's name may stand in a record: short, and of characters that need no quoting.
fn is_plausible(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"./()_+-".contains(&byte);
    name.len() <= MAX_PLATFORM_LENGTH && name.bytes().all(allowed)
}

fn child_digest(written: &str) -> Result<Digest, Problem> {
    written
        .parse()
        .map_err(|error| Problem::Protocol(format!("the manifest names a digest that is none: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DIGEST: &str = "sha256:0123456789012345678901234567890123456789012345678901234567890123";

    fn index(platforms: &[serde_json::Value]) -> Vec<String> {
        let manifests: Vec<_> = platforms
            .iter()
            .map(|platform| json!({ "mediaType": "m", "digest": DIGEST, "size": 1, "platform": platform }))
            .collect();
        let index = json!({ "schemaVersion": 2, "manifests": manifests }).to_string();
        match parse(index.as_bytes()).unwrap() {
            Parsed::Complete(platforms) => platforms.digests.into_keys().collect(),
            Parsed::NeedsConfig { .. } => panic!("an index needs no config"),
        }
    }

    #[test]
    fn platforms_are_named_as_container_runtimes_name_them() {
        for (platform, expected) in [
            (
                json!({ "os": "linux", "architecture": "amd64" }),
                Some("linux/amd64"),
            ),
            (
                json!({ "os": "linux", "architecture": "arm", "variant": "v7" }),
                Some("linux/arm/v7"),
            ),
            (
                json!({ "os": "linux", "architecture": "riscv64" }),
                Some("linux/riscv64"),
            ),
            (
                json!({ "os": "linux", "architecture": "new64" }),
                Some("linux/new64"),
            ),
            (
                json!({ "os": "windows", "architecture": "amd64", "os.version": "10.0.20348.1" }),
                Some("windows(10.0.20348.1)/amd64"),
            ),
            (json!({ "os": "unknown", "architecture": "unknown" }), None),
            (json!(null), None),
        ] {
            let expected: Vec<_> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(index(std::slice::from_ref(&platform)), expected, "{platform}");
        }
    }

    #[test]
    fn platforms_that_nobody_can_mean_are_passed_over() {
        let long = "x".repeat(MAX_PLATFORM_LENGTH);
        for os in ["a\nb", "\u{1b}[31m", "a: {", long.as_str()] {
            let platform = json!({ "os": os, "architecture": "amd64" });
            assert_eq!(index(&[platform]), Vec::<String>::new(), "{os:?}");
        }
        let many: Vec<_> = (0..1000)
            .map(|number| json!({ "os": format!("os{number}"), "architecture": "amd64" }))
            .collect();
        assert_eq!(index(&many).len(), MAX_PLATFORMS);
    }

    #[test]
    fn content_is_held_against_its_digest_whatever_the_algorithm() {
        for (digest, matches) in [
            (
                "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
                true,
            ),
            (
                "sha512:9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043",
                true,
            ),
            (DIGEST, false),
        ] {
            assert_eq!(
                verify(b"hello", &digest.parse().unwrap()).is_ok(),
                matches,
                "{digest}"
            );
        }
    }

    #[test]
    fn what_is_neither_manifest_nor_index_is_refused() {
        for body in ["", "[]", "{}", r#"{"schemaVersion":1,"fsLayers":[]}"#] {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_manifest_of_another_kind_of_artifact_has_no_platforms() {
        let config =
            json!({ "mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": DIGEST, "size": 1 });
        let manifest =
            json!({ "schemaVersion": 2, "config": config, "layers": [], "annotations": { "a": "b" } });
        let Parsed::Complete(platforms) = parse(manifest.to_string().as_bytes()).unwrap() else {
            panic!("the config of a chart is not read")
        };
        assert!(platforms.digests.is_empty());
        assert_eq!(platforms.labels["a"], "b");
    }

    #[test]
    fn the_config_names_the_platform_and_its_labels_win_over_annotations() {
        let annotations = BTreeMap::from([("a".to_owned(), "annotation".to_owned())]);
        let config = json!({
            "os": "linux", "architecture": "arm64", "variant": "v8",
            "config": { "Labels": { "a": "label", "b": null } },
        });
        let digest = DIGEST.parse().unwrap();
        let platforms = with_config(&digest, annotations, config.to_string().as_bytes()).unwrap();
        assert_eq!(
            platforms.digests,
            BTreeMap::from([("linux/arm64/v8".to_owned(), digest)])
        );
        assert_eq!(platforms.labels["a"], "label");
        assert_eq!(platforms.labels["b"], "");
    }
}
