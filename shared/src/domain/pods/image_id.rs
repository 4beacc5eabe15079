//! `status.containerStatuses[].imageID`: a free text that each container runtime fills in its own way.

use crate::domain::reference::{Digest, ImageReference};

/// What Docker's runtime writes before an image that came from a registry.
const PULLED: &str = "docker-pullable://";

/// The digest under which a registry knows the image. `None` for an image that is named by its configuration
/// (`sha256:…` alone, `docker://sha256:…`): no registry answers with that, so nothing can be compared.
pub(super) fn digest_of(image_id: &str) -> Option<Digest> {
    let name = image_id.strip_prefix(PULLED).unwrap_or(image_id);
    let reference: ImageReference = name.parse().ok()?;
    reference.digest().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_registry_is_read_and_no_other() {
        let hex = "a".repeat(64);
        let digest = format!("sha256:{hex}");
        for image_id in [
            format!("docker.io/library/nginx@{digest}"),
            format!("docker-pullable://nginx@{digest}"),
            format!("registry.example:5000/shop/app@{digest}"),
            format!("registry.example/shop/app:edge@{digest}"),
        ] {
            let read = digest_of(&image_id).map(|digest| digest.to_string());
            assert_eq!(read.as_ref(), Some(&digest), "{image_id}");
        }
        for image_id in [
            String::new(),
            digest.clone(),
            hex.clone(),
            format!("docker://{digest}"),
            format!("docker-pullable://{digest}"),
            format!("@{digest}"),
            "nginx:latest".to_owned(),
            format!("nginx@sha256:{}", "a".repeat(63)),
            format!("nginx@sha256:{}", "A".repeat(64)),
            format!("ng inx@{digest}"),
        ] {
            assert_eq!(digest_of(&image_id), None, "{image_id}");
        }
    }
}
