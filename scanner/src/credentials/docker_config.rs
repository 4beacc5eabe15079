//! What a pull secret or a docker config file holds.

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::credential::{Credential, Login, Origin, Source};
use super::pattern::Pattern;

/// With padding or without, as it is met.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The most letters of a key that a message repeats.
const SHOWN_LETTERS: usize = 100;

/// How a config is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `{"auths": {HOST: {…}}}`: `kubernetes.io/dockerconfigjson`, and `~/.docker/config.json`.
    Config,
    /// `{HOST: {…}}`: `kubernetes.io/dockercfg`, and `~/.dockercfg`.
    Legacy,
    /// Either of them, by whether there is an `auths`.
    Either,
}

/// The credentials of one config.
#[derive(Debug, Clone, Default)]
pub struct DockerConfig {
    pub entries: Vec<(Pattern, Arc<Credential>)>,
    pub skipped: Vec<Skipped>,
}

/// A config that cannot be read at all. The text does not quote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DockerConfigError {
    #[error("it is not valid JSON (line {line}, column {column})")]
    Syntax { line: usize, column: usize },
    #[error("it is no JSON object")]
    NoObject,
    #[error("it has no object \"auths\"")]
    NoAuths,
}

/// An entry that is of no use, and why. The text does not quote what it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {entry:?} is skipped: {reason}")]
pub struct Skipped {
    /// Its host and path, as far as they can be read.
    pub entry: String,
    pub reason: SkippedEntry,
}

/// Why an entry is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SkippedEntry {
    #[error("its key names no host")]
    NoHost,
    #[error("it is no object of texts")]
    NoObject,
    #[error("its \"auth\" is not base64")]
    NoBase64,
    #[error("its \"auth\" is not USER:PASSWORD in UTF-8")]
    NoUserAndPassword,
    #[error("its user name contains a colon, which cannot be sent")]
    ColonInUser,
    #[error("it holds no login; programs that hold logins (credsStore, credHelpers) are not run")]
    Empty,
}

#[derive(Deserialize, Default)]
struct Entry {
    auth: Option<SecretString>,
    username: Option<SecretString>,
    password: Option<SecretString>,
    #[serde(rename = "identitytoken")]
    identity_token: Option<SecretString>,
    #[serde(rename = "registrytoken")]
    registry_token: Option<SecretString>,
}

impl DockerConfig {
    /// Reads a config; entries that are of no use are named in `skipped`.
    pub fn parse(text: &[u8], format: Format, origin: &Origin) -> Result<Self, DockerConfigError> {
        let value: Value = serde_json::from_slice(text).map_err(|error| DockerConfigError::Syntax {
            line: error.line(),
            column: error.column(),
        })?;
        let mut config = Self::default();
        for (key, entry) in entries(value, format)? {
            let Some(pattern) = Pattern::parse(&key) else {
                config.skip("", SkippedEntry::NoHost);
                continue;
            };
            match login(entry) {
                Ok(login) => {
                    let source = Source {
                        origin: origin.clone(),
                        entry: pattern.as_str().to_owned(),
                    };
                    config
                        .entries
                        .push((pattern, Arc::new(Credential::new(login, source))));
                }
                Err(reason) => config.skip(pattern.as_str(), reason),
            }
        }
        Ok(config)
    }

    fn skip(&mut self, entry: &str, reason: SkippedEntry) {
        let entry = entry.chars().take(SHOWN_LETTERS).collect();
        self.skipped.push(Skipped { entry, reason });
    }
}

fn entries(value: Value, format: Format) -> Result<Map<String, Value>, DockerConfigError> {
    let Value::Object(mut object) = value else {
        return Err(DockerConfigError::NoObject);
    };
    let auths = object.remove("auths");
    match (format, auths) {
        (Format::Config | Format::Either, Some(Value::Object(auths))) => Ok(auths),
        (Format::Config, _) | (Format::Either, Some(_)) => Err(DockerConfigError::NoAuths),
        (Format::Legacy, _) | (Format::Either, None) => Ok(object),
    }
}

/// Tokens before a password, which then often is a placeholder; `auth` before the user and password beside it.
fn login(entry: Value) -> Result<Login, SkippedEntry> {
    // The error would quote the value.
    let entry: Entry = serde_json::from_value(entry).map_err(|_| SkippedEntry::NoObject)?;
    let given = |secret: Option<SecretString>| secret.filter(|secret| !secret.expose_secret().is_empty());
    if let Some(token) = given(entry.registry_token) {
        return Ok(Login::RegistryToken(token));
    }
    if let Some(token) = given(entry.identity_token) {
        return Ok(Login::IdentityToken(token));
    }
    let (username, password) = match given(entry.auth) {
        Some(auth) => decode(&auth)?,
        None => (
            entry.username.unwrap_or_default(),
            entry.password.unwrap_or_default(),
        ),
    };
    if username.expose_secret().contains(':') {
        return Err(SkippedEntry::ColonInUser);
    }
    if username.expose_secret().is_empty() && password.expose_secret().is_empty() {
        return Err(SkippedEntry::Empty);
    }
    Ok(Login::Password { username, password })
}

/// `USER:PASSWORD` in base64; white space in it is of people who wrapped it.
fn decode(auth: &SecretString) -> Result<(SecretString, SecretString), SkippedEntry> {
    let encoded: Vec<u8> = auth
        .expose_secret()
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let decoded = BASE64.decode(encoded).map_err(|_| SkippedEntry::NoBase64)?;
    let text = String::from_utf8(decoded).map_err(|_| SkippedEntry::NoUserAndPassword)?;
    let (username, password) = text.split_once(':').ok_or(SkippedEntry::NoUserAndPassword)?;
    Ok((username.into(), password.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &str, format: Format) -> Result<DockerConfig, DockerConfigError> {
        DockerConfig::parse(text.as_bytes(), format, &Origin::File)
    }

    /// The only entry's login, in words that only a test may say.
    fn login_of(entry: &Value) -> Result<String, SkippedEntry> {
        let text = json!({ "auths": { "registry.example.com": entry } }).to_string();
        let config = parse(&text, Format::Config).unwrap();
        match (config.entries.first(), config.skipped.first()) {
            (Some((_, credential)), None) => Ok(match credential.login() {
                Login::Password { username, password } => {
                    format!("{} {}", username.expose_secret(), password.expose_secret())
                }
                Login::IdentityToken(token) => format!("identity {}", token.expose_secret()),
                Login::RegistryToken(token) => format!("registry {}", token.expose_secret()),
            }),
            (None, Some(skipped)) => Err(skipped.reason),
            _ => panic!("{config:?}"),
        }
    }

    #[test]
    fn every_form_of_an_entry_is_read() {
        // base64 of ann:secret, ann:se:cret, ann:, ann:secrets
        let (plain, colon, empty, unpadded) = (
            "YW5uOnNlY3JldA==",
            "YW5uOnNlOmNyZXQ=",
            "YW5uOg==",
            "YW5uOnNlY3JldHM",
        );
        for (entry, expected) in [
            (json!({ "auth": plain }), "ann secret"),
            (json!({ "auth": "YW5uOnNlY3JldA" }), "ann secret"),
            (json!({ "auth": "YW5u\nOnNlY3JldA==\n" }), "ann secret"),
            (json!({ "auth": unpadded }), "ann secrets"),
            (json!({ "auth": colon }), "ann se:cret"),
            (json!({ "auth": empty }), "ann "),
            (json!({ "username": "ann", "password": "secret" }), "ann secret"),
            (
                json!({ "username": "ann", "password": "old", "auth": plain }),
                "ann secret",
            ),
            (
                json!({ "username": "ann", "password": "secret", "auth": "" }),
                "ann secret",
            ),
            (
                json!({ "auth": null, "username": "ann", "password": "secret", "email": "a@b" }),
                "ann secret",
            ),
            (json!({ "auth": empty, "identitytoken": "t" }), "identity t"),
            (json!({ "auth": plain, "identitytoken": "" }), "ann secret"),
            (
                json!({ "identitytoken": "t", "registrytoken": "r" }),
                "registry r",
            ),
        ] {
            assert_eq!(login_of(&entry).as_deref(), Ok(expected), "{entry}");
        }
    }

    #[test]
    fn an_entry_that_is_of_no_use_is_skipped_with_its_reason() {
        for (entry, expected) in [
            (json!({}), SkippedEntry::Empty),
            (json!({ "username": "", "password": "" }), SkippedEntry::Empty),
            (json!({ "auth": "Og==" }), SkippedEntry::Empty),
            (json!({ "auth": "geheim!" }), SkippedEntry::NoBase64),
            (json!({ "auth": "Z2VoZWlt" }), SkippedEntry::NoUserAndPassword),
            (json!({ "auth": "/zr/" }), SkippedEntry::NoUserAndPassword),
            (
                json!({ "username": "a:b", "password": "geheim" }),
                SkippedEntry::ColonInUser,
            ),
            (json!({ "auth": 7 }), SkippedEntry::NoObject),
            (json!("geheim"), SkippedEntry::NoObject),
            (json!(null), SkippedEntry::NoObject),
        ] {
            assert_eq!(login_of(&entry), Err(expected), "{entry}");
        }
    }

    #[test]
    fn a_bad_entry_does_not_take_the_others_with_it() {
        let text = json!({ "auths": {
            "": { "auth": "YW5uOnNlY3JldA==" },
            "a.example.com": { "auth": "!" },
            "b.example.com": { "auth": "YW5uOnNlY3JldA==" },
        } });
        let config = parse(&text.to_string(), Format::Config).unwrap();
        assert_eq!(config.entries.len(), 1);
        let skipped: Vec<_> = config.skipped.iter().map(ToString::to_string).collect();
        assert_eq!(
            skipped,
            [
                "entry \"\" is skipped: its key names no host",
                "entry \"a.example.com\" is skipped: its \"auth\" is not base64"
            ]
        );
    }

    #[test]
    fn each_format_is_told_from_the_other() {
        let config = r#"{"auths":{"a.example.com":{"username":"ann","password":"secret"}},"credsStore":"x"}"#;
        let legacy = r#"{"a.example.com":{"username":"ann","password":"secret"}}"#;
        for (text, format, expected) in [
            (config, Format::Config, Ok(1)),
            (config, Format::Either, Ok(1)),
            (legacy, Format::Legacy, Ok(1)),
            (legacy, Format::Either, Ok(1)),
            ("{}", Format::Legacy, Ok(0)),
            (legacy, Format::Config, Err(DockerConfigError::NoAuths)),
            (r#"{"auths":[]}"#, Format::Either, Err(DockerConfigError::NoAuths)),
            ("[]", Format::Either, Err(DockerConfigError::NoObject)),
            (
                "{\n x",
                Format::Config,
                Err(DockerConfigError::Syntax { line: 2, column: 2 }),
            ),
        ] {
            assert_eq!(
                parse(text, format).map(|config| config.entries.len()),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn no_message_repeats_a_secret() {
        for text in [
            r#"{"auths":{"a.example.com":"geheim"}}"#,
            r#"{"auths":{"a.example.com":{"auth":"geheim!"}}}"#,
            r#"{"auths":{"a.example.com":{"username":"geheim:geheim"}}}"#,
            r#"{"auths":{"https://ann:geheim@a.example.com":{}}}"#,
            r#"{"auths":{"://geheim":{"auth":"!"}}}"#,
            r#"{"auths":"geheim"}"#,
            r#"{"auths":{"a.example.com":geheim}}"#,
            "geheim",
        ] {
            let said = match parse(text, Format::Config) {
                Ok(config) => {
                    assert_eq!(config.skipped.len(), 1, "{text}");
                    format!("{config:?} {}", config.skipped[0])
                }
                Err(error) => format!("{error:?} {error}"),
            };
            assert!(!said.contains("geheim"), "{said}");
        }
    }
}
