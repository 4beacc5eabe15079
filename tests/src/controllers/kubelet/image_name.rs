//! Image names as a container runtime reads them: `HOST/REPOSITORY:TAG@DIGEST` with Docker's defaults.

/// A name taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    /// For example `docker.io` or `127.0.0.1:5000`.
    pub host: String,
    /// For example `library/nginx`.
    pub repository: String,
    /// The tag to pull, if no digest is given.
    pub tag: Option<String>,
    /// `sha256:…`.
    pub digest: Option<String>,
}

impl ImageName {
    /// Reads a name; `None` for what a runtime calls `InvalidImageName`.
    pub fn parse(name: &str) -> Option<Self> {
        let (rest, digest) = match name.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (name, None),
        };
        let last_slash = rest.rfind('/').map_or(0, |index| index + 1);
        let (path, tag) = match rest[last_slash..].split_once(':') {
            Some((last, tag)) => (format!("{}{last}", &rest[..last_slash]), Some(tag.to_owned())),
            None => (rest.to_owned(), None),
        };
        let (host, repository) = match path.split_once('/') {
            Some((first, others)) if first.contains(['.', ':']) || first == "localhost" => {
                (first.to_owned(), others.to_owned())
            }
            Some(_) => ("docker.io".to_owned(), path),
            None => ("docker.io".to_owned(), format!("library/{path}")),
        };
        let is_plain = |text: &str| {
            let plain = |byte: u8| {
                byte.is_ascii_lowercase()
                    || byte.is_ascii_digit()
                    || matches!(byte, b'.' | b'_' | b'-' | b'/')
            };
            text.split('/').all(|part| !part.is_empty()) && text.bytes().all(plain)
        };
        let is_tag = |tag: &String| !tag.is_empty() && !tag.contains(char::is_whitespace);
        let is_digest = |digest: &String| digest.starts_with("sha256:") && digest.len() == 71;
        let valid = is_plain(&repository) && tag.iter().all(is_tag) && digest.iter().all(is_digest);
        valid.then_some(Self {
            host,
            repository,
            tag,
            digest,
        })
    }

    /// Host and repository.
    pub fn repository_name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    /// The last part of the repository: `web` of `shop.example/team/web`.
    pub fn last_segment(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }

    /// What to ask the registry for: the digest, else the tag, else `latest`.
    pub fn reference(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }

    /// True when every start of a container asks the registry, unless the manifest says otherwise.
    pub fn is_moving(&self) -> bool {
        self.digest.is_none() && self.tag.as_deref().is_none_or(|tag| tag == "latest")
    }
}

#[cfg(test)]
mod tests {
    use super::ImageName;

    #[test]
    fn names_are_completed_as_docker_does() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let pinned = format!("localhost:5000/a/b:1@{digest}");
        let cases = [
            ("nginx", "docker.io/library/nginx", "latest"),
            ("nginx:1.27", "docker.io/library/nginx", "1.27"),
            ("team/web:2", "docker.io/team/web", "2"),
            ("127.0.0.1:5000/web", "127.0.0.1:5000/web", "latest"),
            ("shop.example/a/b/c:v1", "shop.example/a/b/c", "v1"),
            (pinned.as_str(), "localhost:5000/a/b", digest.as_str()),
        ];
        for (name, repository, reference) in cases {
            let image = ImageName::parse(name).unwrap();
            assert_eq!(
                (image.repository_name().as_str(), image.reference()),
                (repository, reference),
                "{name}"
            );
        }
    }

    #[test]
    fn names_no_registry_could_have_are_refused() {
        for name in ["", "Shop/Web:1", "web:", "web@sha256:1", "shop.example/", "a b"] {
            assert_eq!(ImageName::parse(name), None, "{name:?}");
        }
    }
}
