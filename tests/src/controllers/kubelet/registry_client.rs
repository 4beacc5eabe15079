//! Pulling over real HTTP: manifest by tag or digest, the platform's child of an index, and the config blob.
//!
//! Layers are not fetched: nothing here runs them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;

use super::image_name::ImageName;
use crate::registry::digest_of;

const MANIFEST_TYPES: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// What a pull leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PulledImage {
    /// `REPOSITORY@sha256:…` with the digest the tag pointed at: the index of a multi-platform image.
    pub image_id: String,
    /// Labels of the image's config.
    pub labels: BTreeMap<String, String>,
}

/// User and password for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Base64 of `user:password`, as Docker keeps it.
    pub basic: String,
}

/// Why a pull failed, in the runtime's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PullError(pub String);

/// Talks to registries.
#[derive(Clone, Debug)]
pub struct RegistryClient {
    http: Client,
    /// Other addresses for registry hosts: `docker.io` -> `http://127.0.0.1:5000`.
    addresses: BTreeMap<String, String>,
}

impl RegistryClient {
    /// A client that finds the hosts of `addresses` elsewhere.
    pub fn new(http: Client, addresses: BTreeMap<String, String>) -> Self {
        Self { http, addresses }
    }

    /// Pulls the image for linux/amd64.
    pub async fn pull(&self, name: &ImageName, login: Option<&Login>) -> Result<PulledImage, PullError> {
        let mut session = Session {
            client: self,
            name,
            login,
            token: None,
        };
        let (top, digest) = session.manifest(name.reference()).await?;
        let manifest = match child_for_platform(&top) {
            Some(child) => session.manifest(&child).await?.0,
            None if top["manifests"].is_array() => {
                return Err(failed(name, "no match for platform in manifest: not found"));
            }
            None => top,
        };
        let config = manifest["config"]["digest"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let config = session.blob(&config).await?;
        let labels = config["config"]["Labels"].as_object().into_iter().flatten();
        let labels = labels.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()));
        Ok(PulledImage {
            image_id: format!("{}@{digest}", name.repository_name()),
            labels: labels.collect(),
        })
    }

    /// The digest the name points at now, for a pull policy of Always.
    pub async fn resolve(&self, name: &ImageName, login: Option<&Login>) -> Result<String, PullError> {
        let mut session = Session {
            client: self,
            name,
            login,
            token: None,
        };
        let path = format!("manifests/{}", name.reference());
        let response = session.get(reqwest::Method::HEAD, &path).await?;
        match response
            .headers()
            .get("docker-content-digest")
            .and_then(|value| value.to_str().ok())
        {
            Some(digest) => Ok(digest.to_owned()),
            None => Ok(session.manifest(name.reference()).await?.1),
        }
    }

    fn base_url(&self, host: &str) -> String {
        if let Some(address) = self.addresses.get(host) {
            return address.trim_end_matches('/').to_owned();
        }
        let name = if host.starts_with('[') {
            host
        } else {
            host.split(':').next().unwrap_or_default()
        };
        let is_local = name == "localhost" || name.starts_with("127.") || name.starts_with("[::1]");
        match (is_local, host) {
            (true, _) => format!("http://{host}"),
            (false, "docker.io") => "https://registry-1.docker.io".to_owned(),
            (false, _) => format!("https://{host}"),
        }
    }
}

fn child_for_platform(index: &Value) -> Option<String> {
    let children = index["manifests"].as_array()?;
    let fits =
        |child: &&Value| child["platform"]["os"] == "linux" && child["platform"]["architecture"] == "amd64";
    children.iter().find(fits)?["digest"].as_str().map(str::to_owned)
}

fn full_name(name: &ImageName) -> String {
    let separator = if name.digest.is_some() { '@' } else { ':' };
    format!("{}{separator}{}", name.repository_name(), name.reference())
}

fn failed(name: &ImageName, cause: &str) -> PullError {
    let full = full_name(name);
    let code = if cause.ends_with("not found") {
        "NotFound"
    } else {
        "Unknown"
    };
    PullError(format!(
        "rpc error: code = {code} desc = failed to pull and unpack image {full:?}: \
         failed to resolve reference {full:?}: {cause}"
    ))
}

struct Session<'a> {
    client: &'a RegistryClient,
    name: &'a ImageName,
    login: Option<&'a Login>,
    token: Option<String>,
}

impl Session<'_> {
    async fn manifest(&mut self, reference: &str) -> Result<(Value, String), PullError> {
        let body = self.body(&format!("manifests/{reference}")).await?;
        let digest = digest_of(&body);
        if reference.starts_with("sha256:") && reference != digest {
            return Err(failed(
                self.name,
                "the manifest does not have the digest it was asked for",
            ));
        }
        Ok((self.json(&body)?, digest))
    }

    async fn blob(&mut self, digest: &str) -> Result<Value, PullError> {
        let body = self.body(&format!("blobs/{digest}")).await?;
        self.json(&body)
    }

    fn json(&self, body: &[u8]) -> Result<Value, PullError> {
        serde_json::from_slice(body)
            .map_err(|error| failed(self.name, &format!("unexpected answer: {error}")))
    }

    async fn body(&mut self, path: &str) -> Result<Vec<u8>, PullError> {
        let response = self.get(reqwest::Method::GET, path).await?;
        let body = response.bytes().await;
        Ok(body
            .map_err(|error| failed(self.name, &format!("failed to read the answer: {error}")))?
            .to_vec())
    }

    async fn get(&mut self, method: reqwest::Method, path: &str) -> Result<Response, PullError> {
        let mut response = self.send(&method, path).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.token.is_none() {
            self.answer_challenge(&response).await?;
            response = self.send(&method, path).await?;
        }
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, full) = (response.status(), full_name(self.name));
        Err(match status {
            StatusCode::NOT_FOUND => failed(self.name, &format!("{full}: not found")),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => failed(
                self.name,
                "pull access denied, repository does not exist or may require authorization: authorization failed",
            ),
            _ => failed(
                self.name,
                &format!("unexpected status from {method} request: {status}"),
            ),
        })
    }

    async fn send(&self, method: &reqwest::Method, path: &str) -> Result<Response, PullError> {
        let base = self.client.base_url(&self.name.host);
        let url = format!("{base}/v2/{}/{path}", self.name.repository);
        let mut request = self
            .client
            .http
            .request(method.clone(), &url)
            .header(ACCEPT, MANIFEST_TYPES);
        if let Some(token) = self
            .token
            .as_deref()
            .and_then(|token| HeaderValue::from_str(token).ok())
        {
            request = request.header(AUTHORIZATION, token);
        }
        let response = request.send().await;
        response.map_err(|error| {
            failed(
                self.name,
                &format!("failed to do request: {method} {url:?}: {error}"),
            )
        })
    }

    /// Takes what `WWW-Authenticate` asks for: basic credentials, or a token from the realm.
    async fn answer_challenge(&mut self, response: &Response) -> Result<(), PullError> {
        let header = response
            .headers()
            .get(WWW_AUTHENTICATE)
            .and_then(|value| value.to_str().ok());
        let challenge = header.unwrap_or_default().to_owned();
        let basic = self.login.map(|login| format!("Basic {}", login.basic));
        if challenge.to_lowercase().starts_with("basic") {
            self.token = Some(basic.unwrap_or_default());
            return Ok(());
        }
        let field = |name: &str| {
            let start = challenge.find(&format!("{name}=\""))? + name.len() + 2;
            challenge[start..].split('"').next()
        };
        let Some(realm) = field("realm") else {
            return Ok(());
        };
        let default_scope = format!("repository:{}:pull", self.name.repository);
        let query = [
            ("service", field("service").unwrap_or_default()),
            ("scope", field("scope").unwrap_or(&default_scope)),
        ];
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", value.replace(' ', "%20")))
            .collect();
        let mut request = self.client.http.get(format!("{realm}?{}", query.join("&")));
        if let Some(basic) = basic {
            request = request.header(AUTHORIZATION, basic);
        }
        let denied = |error: String| failed(self.name, &format!("failed to fetch a token: {error}"));
        let answer = request.send().await.map_err(|error| denied(error.to_string()))?;
        let answer: Value = answer.json().await.map_err(|error| denied(error.to_string()))?;
        let token = answer["token"]
            .as_str()
            .or_else(|| answer["access_token"].as_str())
            .unwrap_or_default();
        self.token = Some(format!("Bearer {token}"));
        Ok(())
    }
}

/// The login for an image among Docker configurations (`{"auths": {…}}`): the longest matching address wins.
pub fn login_for(name: &ImageName, configurations: &[Value]) -> Option<Login> {
    let full = name.repository_name();
    let entries = configurations
        .iter()
        .filter_map(|config| config["auths"].as_object())
        .flatten();
    let address = |key: &str| {
        let bare = key.trim_start_matches("https://").trim_start_matches("http://");
        let bare = bare
            .trim_end_matches('/')
            .trim_end_matches("/v1")
            .trim_end_matches("/v2");
        bare.replacen("index.docker.io", "docker.io", 1)
    };
    let matching = entries.filter_map(|(key, entry)| {
        let prefix = address(key);
        let fits = full == prefix || full.starts_with(&format!("{prefix}/"));
        fits.then_some((prefix.len(), entry))
    });
    let (_, entry) = matching.max_by_key(|(length, _)| *length)?;
    let basic = match entry["auth"].as_str() {
        Some(auth) => auth.to_owned(),
        None => STANDARD.encode(format!(
            "{}:{}",
            entry["username"].as_str()?,
            entry["password"].as_str()?
        )),
    };
    Some(Login { basic })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ImageName, login_for};

    #[test]
    fn the_login_with_the_longest_matching_address_wins() {
        let config = json!({"auths": {
            "shop.example": {"auth": "host"}, "https://shop.example/team/": {"auth": "team"},
            "https://index.docker.io/v1/": {"username": "u", "password": "p"},
        }});
        let cases = [
            ("shop.example/team/web:1", Some("team")),
            ("shop.example/teamwork/web:1", Some("host")),
            ("nginx", Some("dTpw")),
            ("other.example/web", None),
        ];
        for (name, expected) in cases {
            let login = login_for(&ImageName::parse(name).unwrap(), std::slice::from_ref(&config));
            assert_eq!(login.map(|login| login.basic).as_deref(), expected, "{name}");
        }
    }
}
