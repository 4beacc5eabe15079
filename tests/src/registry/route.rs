//! Which operation of the distribution API a request asks for.

/// The operation, with its operands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Ping,
    Token,
    Tags { repository: String },
    Manifest { repository: String, reference: String },
    Blob { repository: String, digest: String },
    StartUpload { repository: String },
    Upload { repository: String, id: String },
    Unknown,
}

/// The operation without its operands, for matching and counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// `GET /v2/`
    Ping,
    /// The token endpoint.
    Token,
    /// `tags/list`
    Tags,
    /// A manifest or an index, by tag or digest.
    Manifest,
    /// A blob.
    Blob,
    /// Any step of an upload.
    Upload,
    /// Anything else.
    Other,
}

impl Route {
    pub(super) fn of(path: &str) -> Self {
        if path == "/token" {
            return Self::Token;
        }
        let Some(rest) = path.strip_prefix("/v2") else {
            return Self::Unknown;
        };
        if rest.is_empty() || rest == "/" {
            return Self::Ping;
        }
        let rest = rest.trim_start_matches('/');
        if let Some(repository) = rest.strip_suffix("/tags/list") {
            return Self::Tags {
                repository: repository.to_owned(),
            };
        }
        if let Some((repository, reference)) = rest.rsplit_once("/manifests/") {
            return Self::Manifest {
                repository: repository.to_owned(),
                reference: reference.to_owned(),
            };
        }
        if let Some((repository, id)) = rest.rsplit_once("/blobs/uploads") {
            let (repository, id) = (repository.to_owned(), id.trim_matches('/').to_owned());
            return if id.is_empty() {
                Self::StartUpload { repository }
            } else {
                Self::Upload { repository, id }
            };
        }
        if let Some((repository, digest)) = rest.rsplit_once("/blobs/") {
            return Self::Blob {
                repository: repository.to_owned(),
                digest: digest.to_owned(),
            };
        }
        Self::Unknown
    }

    pub(super) fn kind(&self) -> RequestKind {
        match self {
            Self::Ping => RequestKind::Ping,
            Self::Token => RequestKind::Token,
            Self::Tags { .. } => RequestKind::Tags,
            Self::Manifest { .. } => RequestKind::Manifest,
            Self::Blob { .. } => RequestKind::Blob,
            Self::StartUpload { .. } | Self::Upload { .. } => RequestKind::Upload,
            Self::Unknown => RequestKind::Other,
        }
    }

    pub(super) fn repository(&self) -> Option<&str> {
        match self {
            Self::Tags { repository }
            | Self::Manifest { repository, .. }
            | Self::Blob { repository, .. }
            | Self::StartUpload { repository }
            | Self::Upload { repository, .. } => Some(repository),
            Self::Ping | Self::Token | Self::Unknown => None,
        }
    }
}
