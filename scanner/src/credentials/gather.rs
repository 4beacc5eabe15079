//! Reads the pull secrets that watched workloads name, each once, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::GetParams;
use kube::core::Request;
use kube::{Api, Client, Resource as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use shared::domain::workload::WorkloadId;
use shared::io::client;

use super::credential::Origin;
use super::docker_config::{DockerConfig, DockerConfigError, Format};
use super::keyring::{Entry, Keyring};
use super::puller::{ObjectName, PullSecrets, Puller};

/// How many objects are asked for at once.
const READS_AT_ONCE: usize = 8;

/// How many pull secrets of a puller count, and how many entries of each: the first ones. People have a handful, and all of
/// them are gone through for each repository.
const SECRETS_PER_PULLER: usize = 20;
const ENTRIES_PER_SECRET: usize = 500;

/// How many entries of a secret that are of no use are told one by one.
const SKIPPED_TOLD: usize = 20;

/// What to do where reading is not allowed.
const ADVICE: &str = "set READ_PULL_SECRETS=false, or apply deploy/manifests/scanner-pull-secrets-rbac.yaml";

/// An object in its namespace.
type Place = (String, ObjectName);

/// Why a pull secret gives no credential. The text quotes nothing of it.
#[derive(Debug, thiserror::Error)]
enum SecretError {
    #[error("{0}")]
    Read(String),
    #[error("the scanner may not read it; {ADVICE}")]
    Forbidden,
    #[error("there is no such Secret")]
    Missing,
    #[error(
        "it is of type {0:?}; pull secrets are kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg"
    )]
    Type(String),
    #[error("it lacks the key {0:?}")]
    NoData(&'static str),
    #[error("the cluster's answer cannot be read")]
    Answer,
    #[error("{0}")]
    Config(#[from] DockerConfigError),
}

/// The keyring of each puller. What cannot be read is told, on behalf of a workload that needs it, and left out.
pub(crate) async fn keyrings(
    client: &Client,
    pullers: &BTreeMap<Puller, WorkloadId>,
) -> BTreeMap<Puller, Keyring> {
    let accounts = pullers
        .iter()
        .filter_map(|(puller, workload)| match &puller.secrets {
            PullSecrets::OfAccount(account) => Some(((puller.namespace.clone(), account.clone()), workload)),
            PullSecrets::Named(_) => None,
        });
    let accounts: BTreeMap<Place, Vec<ObjectName>> = futures::stream::iter(accounts)
        .map(|(place, workload)| async move {
            let secrets = secrets_of_account(client, &place, workload).await;
            (place, secrets)
        })
        .buffer_unordered(READS_AT_ONCE)
        .collect()
        .await;
    let mut places: Vec<(&Puller, Vec<Place>)> = Vec::new();
    let mut wanted: BTreeMap<Place, &WorkloadId> = BTreeMap::new();
    for (puller, workload) in pullers {
        let of_puller = places_of(puller, &accounts, workload);
        for place in &of_puller {
            wanted.entry(place.clone()).or_insert(workload);
        }
        places.push((puller, of_puller));
    }
    let configs: BTreeMap<Place, Arc<[Entry]>> = futures::stream::iter(wanted)
        .map(|(place, workload)| async move { told(read(client, &place).await, place, workload) })
        .buffer_unordered(READS_AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    let keyring = |(puller, of_puller): (&Puller, Vec<Place>)| {
        let mut keyring = Keyring::default();
        for entries in of_puller.iter().filter_map(|place| configs.get(place)) {
            keyring.add_shared(Arc::clone(entries));
        }
        (puller.clone(), keyring)
    };
    places.into_iter().map(keyring).collect()
}

/// Where the pull secrets of a puller are that count. It is told where some do not.
fn places_of(
    puller: &Puller,
    accounts: &BTreeMap<Place, Vec<ObjectName>>,
    workload: &WorkloadId,
) -> Vec<Place> {
    let place = |name: &ObjectName| (puller.namespace.clone(), name.clone());
    let names = match &puller.secrets {
        PullSecrets::Named(names) => Some(names),
        PullSecrets::OfAccount(account) => accounts.get(&place(account)),
    };
    let names = names.map(Vec::as_slice).unwrap_or_default();
    if names.len() > SECRETS_PER_PULLER {
        tracing::warn!(
            %workload,
            found = names.len(),
            used = SECRETS_PER_PULLER,
            "only the first pull secrets are used"
        );
    }
    names.iter().take(SECRETS_PER_PULLER).map(place).collect()
}

/// The names of the pull secrets of a service account; none where there is no such account, as then there are no pods.
async fn secrets_of_account(
    client: &Client,
    (namespace, name): &Place,
    workload: &WorkloadId,
) -> Vec<ObjectName> {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    match api.get_opt(name.as_str()).await {
        Ok(account) => {
            let secrets = account
                .and_then(|account| account.image_pull_secrets)
                .unwrap_or_default();
            secrets
                .iter()
                .filter_map(|secret| ObjectName::parse(&secret.name))
                .collect()
        }
        Err(error) => {
            let reason = if client::is_forbidden(&error) {
                format!("the scanner may not read it; {ADVICE}")
            } else {
                error.to_string()
            };
            tracing::warn!(
                %workload,
                account = format!("{namespace}/{name}"),
                reason,
                "the service account's pull secrets are not known"
            );
            Vec::new()
        }
    }
}

/// Says what is of no use, and passes on the rest.
fn told(
    read: Result<DockerConfig, SecretError>,
    place: Place,
    workload: &WorkloadId,
) -> Option<(Place, Arc<[Entry]>)> {
    let secret = format!("{}/{}", place.0, place.1);
    let config = match read {
        Ok(config) => config,
        Err(reason) => {
            tracing::warn!(%workload, secret, %reason, "a pull secret is not used");
            return None;
        }
    };
    for skipped in config.skipped.iter().take(SKIPPED_TOLD) {
        tracing::warn!(%workload, secret, reason = %skipped, "part of a pull secret is not used");
    }
    if let Some(more @ 1..) = config.skipped.len().checked_sub(SKIPPED_TOLD) {
        tracing::warn!(%workload, secret, more, "more parts of a pull secret are not used");
    }
    let mut entries = once_each(config.entries);
    if entries.len() > ENTRIES_PER_SECRET {
        tracing::warn!(
            %workload,
            secret,
            found = entries.len(),
            used = ENTRIES_PER_SECRET,
            "only the first entries of a pull secret are used"
        );
        entries.truncate(ENTRIES_PER_SECRET);
    }
    Some((place, Arc::from(entries)))
}

/// The entries without those that say the same as an earlier one: keys may differ in what is no part of a pattern.
fn once_each(mut entries: Vec<Entry>) -> Vec<Entry> {
    let mut known = BTreeSet::new();
    entries.retain(|(pattern, credential)| known.insert((pattern.clone(), credential.id())));
    entries
}

/// What is read of a Secret; its other keys are passed over.
#[derive(Deserialize)]
struct Stored {
    metadata: Metadata,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: String,
}

#[derive(Deserialize, Default)]
struct Data {
    #[serde(rename = ".dockerconfigjson")]
    config: Option<SecretString>,
    #[serde(rename = ".dockercfg")]
    legacy: Option<SecretString>,
}

/// Reads a Secret as text: the client writes an answer into the log when it does not have the form that was expected.
async fn read(client: &Client, (namespace, name): &Place) -> Result<DockerConfig, SecretError> {
    let request =
        Request::new(Secret::url_path(&(), Some(namespace))).get(name.as_str(), &GetParams::default());
    let request = request.map_err(|error| SecretError::Read(error.to_string()))?;
    let answer = client
        .request_text(request)
        .await
        .map_err(|error| read_error(&error))?;
    let origin = |version| Origin::Secret {
        namespace: namespace.clone(),
        name: name.to_string(),
        version,
    };
    parse(&SecretString::from(answer), origin)
}

fn read_error(error: &kube::Error) -> SecretError {
    if client::is_forbidden(error) {
        SecretError::Forbidden
    } else if matches!(error, kube::Error::Api(status) if status.code == 404) {
        SecretError::Missing
    } else {
        SecretError::Read(error.to_string())
    }
}

fn parse(answer: &SecretString, origin: impl FnOnce(String) -> Origin) -> Result<DockerConfig, SecretError> {
    // The error would quote the value.
    let stored: Stored = serde_json::from_str(answer.expose_secret()).map_err(|_| SecretError::Answer)?;
    let (key, data, format) = match stored.kind.as_str() {
        "kubernetes.io/dockerconfigjson" => (".dockerconfigjson", stored.data.config, Format::Config),
        "kubernetes.io/dockercfg" => (".dockercfg", stored.data.legacy, Format::Legacy),
        other => return Err(SecretError::Type(other.to_owned())),
    };
    let data = data.ok_or(SecretError::NoData(key))?;
    let text = STANDARD
        .decode(data.expose_secret())
        .map_err(|_| SecretError::Answer)?;
    let text = secrecy::SecretSlice::from(text);
    Ok(DockerConfig::parse(
        text.expose_secret(),
        format,
        &origin(stored.metadata.resource_version),
    )?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::domain::workload::WorkloadKind;

    use super::*;

    #[test]
    fn only_the_two_types_of_pull_secret_are_read_each_with_its_key() {
        let config = STANDARD.encode(r#"{"auths":{"a.example.com":{"username":"u","password":"p"}}}"#);
        let legacy = STANDARD.encode(r#"{"a.example.com":{"username":"u","password":"p"}}"#);
        let (new, old) = ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg");
        let other = "it is of type \"Opaque\"; pull secrets are kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg";
        for (kind, key, data, expected) in [
            (new, ".dockerconfigjson", config.as_str(), "1"),
            (old, ".dockercfg", &legacy, "1"),
            (
                new,
                ".dockercfg",
                &legacy,
                "it lacks the key \".dockerconfigjson\"",
            ),
            (old, ".dockercfg", &config, "0"),
            ("Opaque", ".dockerconfigjson", &config, other),
            (
                new,
                ".dockerconfigjson",
                "geheim!",
                "the cluster's answer cannot be read",
            ),
            (
                new,
                ".dockerconfigjson",
                "Z2VoZWlt",
                "it is not valid JSON (line 1, column 1)",
            ),
        ] {
            let answer =
                json!({ "metadata": { "resourceVersion": "7" }, "type": kind, "data": { key: data } });
            let found = match parse(&answer.to_string().into(), |_| Origin::File) {
                Ok(config) => config.entries.len().to_string(),
                Err(error) => error.to_string(),
            };
            assert_eq!(found, expected, "{answer}");
        }
        for answer in ["geheim", r#"{"metadata":"geheim"}"#] {
            let error = parse(&answer.into(), |_| Origin::File).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("geheim"));
        }
    }

    fn workload() -> WorkloadId {
        WorkloadId {
            kind: WorkloadKind::Deployment,
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
        }
    }

    fn names(count: usize) -> Vec<ObjectName> {
        let names = (0..count).map(|number| format!("regcred-{number}"));
        names.map(|name| ObjectName::parse(&name).unwrap()).collect()
    }

    #[test]
    fn the_first_pull_secrets_of_a_puller_count_in_their_order() {
        for (count, expected) in [(0, 0), (1, 1), (20, 20), (21, 20), (10_000, 20)] {
            let account = names(1).remove(0);
            let accounts = BTreeMap::from([(("shop".to_owned(), account.clone()), names(count))]);
            for secrets in [PullSecrets::Named(names(count)), PullSecrets::OfAccount(account)] {
                let namespace = "shop".to_owned();
                let puller = Puller { namespace, secrets };
                let places = places_of(&puller, &accounts, &workload());
                let expected: Vec<Place> = names(expected)
                    .into_iter()
                    .map(|name| ("shop".to_owned(), name))
                    .collect();
                assert_eq!(places, expected, "{count}");
            }
        }
        let unknown = Puller {
            namespace: "office".to_owned(),
            secrets: PullSecrets::OfAccount(names(1).remove(0)),
        };
        assert!(places_of(&unknown, &BTreeMap::new(), &workload()).is_empty());
    }

    #[test]
    fn the_first_entries_of_a_pull_secret_count_and_of_those_that_say_the_same_one() {
        let config = |passwords: &[String]| {
            let auths: serde_json::Map<_, _> = passwords
                .iter()
                .enumerate()
                .map(|(number, password)| {
                    let entry = json!({ "username": "u", "password": password });
                    (format!("ghcr.io?{number}"), entry)
                })
                .collect();
            let text = json!({ "auths": auths }).to_string();
            DockerConfig::parse(text.as_bytes(), Format::Config, &Origin::File).unwrap()
        };
        let same = |count: usize| vec!["p".to_owned(); count];
        let others = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>();
        for (passwords, expected) in [
            (same(0), 0),
            (same(5_000), 1),
            (others(3), 3),
            (others(500), 500),
            (others(501), 500),
            (others(5_000), 500),
        ] {
            let read = config(&passwords);
            let ids: Vec<_> = read
                .entries
                .iter()
                .map(|(_, credential)| credential.id())
                .collect();
            let place = ("shop".to_owned(), names(1).remove(0));
            let (_, entries) = told(Ok(read), place, &workload()).unwrap();
            let found: Vec<_> = entries.iter().map(|(_, credential)| credential.id()).collect();
            assert_eq!(found, ids[..expected], "{}", passwords.len());
        }
    }
}
