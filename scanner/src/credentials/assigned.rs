//! Which credentials each repository is asked with.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use shared::domain::reference::Repository;

use super::credential::Credential;
use super::keyring::Keyring;
use super::puller::Puller;

/// How many credentials of workloads a repository is asked with at most. The kubelet tries all of one pod; here those of
/// many namespaces come together, and each that does not fit costs requests.
const CREDENTIALS_PER_REPOSITORY: usize = 10;

/// The credentials of every repository, in the order in which they are tried.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    of: BTreeMap<Repository, Vec<Arc<Credential>>>,
}

impl Credentials {
    /// Gives each repository what fits it of its own pullers' keyrings, then of `own`, the scanner's.
    ///
    /// A repository gets nothing of a namespace in which no watched workload uses it, so no workload can have a registry
    /// asked about somebody else's repository with somebody else's credential.
    pub fn assign(
        pullers: &BTreeMap<Repository, BTreeSet<Puller>>,
        keyrings: &BTreeMap<Puller, Keyring>,
        own: &Keyring,
    ) -> Self {
        let mut of = BTreeMap::new();
        for (repository, pullers) in pullers {
            let mut by_namespace: BTreeMap<&str, Vec<&Keyring>> = BTreeMap::new();
            for puller in pullers {
                let namespace = by_namespace.entry(&puller.namespace).or_default();
                namespace.extend(keyrings.get(puller));
            }
            let by_namespace = by_namespace.into_values();
            let namespaces: VecDeque<_> = by_namespace.map(|found| fitting(found, repository)).collect();
            let (mut credentials, is_all) = in_turn(namespaces);
            if !is_all {
                tracing::warn!(
                    %repository,
                    used = CREDENTIALS_PER_REPOSITORY,
                    "only the first credentials are tried, of each namespace in turn"
                );
            }
            let is_new = |own: &&Arc<Credential>| !has(&credentials, own);
            let own: Vec<_> = own.for_repository(repository).filter(is_new).cloned().collect();
            credentials.extend(own);
            if !credentials.is_empty() {
                of.insert(repository.clone(), credentials);
            }
        }
        Self { of }
    }

    /// Every credential with each repository that it is for.
    pub fn iter(&self) -> impl Iterator<Item = (&Repository, &Arc<Credential>)> {
        let pairs = |(repository, credentials)| std::iter::repeat(repository).zip::<&Vec<_>>(credentials);
        self.of.iter().flat_map(pairs)
    }

    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Those of a repository, in the order in which they are tried; empty where it can only be asked anonymously.
    pub fn of(&self, repository: &Repository) -> &[Arc<Credential>] {
        self.of.get(repository).map(Vec::as_slice).unwrap_or_default()
    }
}

impl FromIterator<(Repository, Vec<Arc<Credential>>)> for Credentials {
    fn from_iter<I: IntoIterator<Item = (Repository, Vec<Arc<Credential>>)>>(credentials: I) -> Self {
        Self {
            of: credentials.into_iter().collect(),
        }
    }
}

/// What fits of the keyrings of a namespace, one after the other; a keyring is not asked before the others are used up.
fn fitting<'a>(
    keyrings: Vec<&'a Keyring>,
    repository: &Repository,
) -> impl Iterator<Item = &'a Arc<Credential>> {
    let keyrings = keyrings.into_iter();
    keyrings.flat_map(move |keyring| keyring.for_repository(repository))
}

/// The first of each namespace, then the second of each: nobody can crowd out another. And whether these are all; once there
/// are enough, nobody looks further than for one more.
fn in_turn<'a>(
    mut namespaces: VecDeque<impl Iterator<Item = &'a Arc<Credential>>>,
) -> (Vec<Arc<Credential>>, bool) {
    let mut credentials: Vec<Arc<Credential>> = Vec::new();
    while let Some(mut namespace) = namespaces.pop_front() {
        let Some(credential) = namespace.next() else {
            continue;
        };
        namespaces.push_back(namespace);
        if has(&credentials, credential) {
            continue;
        }
        if credentials.len() == CREDENTIALS_PER_REPOSITORY {
            return (credentials, false);
        }
        credentials.push(Arc::clone(credential));
    }
    (credentials, true)
}

fn has(credentials: &[Arc<Credential>], credential: &Credential) -> bool {
    credentials.iter().any(|other| other.id() == credential.id())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::credentials::{DockerConfig, Format, Login, ObjectName, Origin, PullSecrets, Source};

    fn keyring(namespace: &str, entries: &[(&str, &str)]) -> Keyring {
        let auths: serde_json::Map<_, _> = entries
            .iter()
            .map(|(key, password)| {
                (
                    (*key).to_owned(),
                    json!({ "username": "u", "password": password }),
                )
            })
            .collect();
        let origin = Origin::Secret {
            namespace: namespace.to_owned(),
            name: "regcred".to_owned(),
            version: "1".to_owned(),
        };
        let text = json!({ "auths": auths }).to_string();
        let mut keyring = Keyring::default();
        keyring.add(&DockerConfig::parse(text.as_bytes(), Format::Config, &origin).unwrap());
        keyring
    }

    fn puller(namespace: &str) -> Puller {
        Puller {
            namespace: namespace.to_owned(),
            secrets: PullSecrets::Named(vec![ObjectName::parse("regcred").unwrap()]),
        }
    }

    fn sources(credentials: &Credentials, repository: &str) -> Vec<String> {
        let found = credentials.of(&repository.parse().unwrap());
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_repository_is_asked_with_the_credentials_of_the_namespaces_that_use_it_and_no_others() {
        let keyrings = BTreeMap::from([
            (puller("office"), keyring("office", &[("ghcr.io", "office")])),
            (
                puller("shop"),
                keyring("shop", &[("ghcr.io", "shop"), ("ghcr.io/shop", "path")]),
            ),
        ]);
        let pullers: BTreeMap<Repository, BTreeSet<Puller>> = [
            ("ghcr.io/shop/web", vec!["shop"]),
            ("ghcr.io/office/web", vec!["office"]),
            ("ghcr.io/both/web", vec!["office", "shop"]),
            ("quay.io/shop/web", vec!["shop"]),
        ]
        .into_iter()
        .map(|(repository, namespaces)| {
            let pullers = namespaces.into_iter().map(puller).collect();
            (repository.parse().unwrap(), pullers)
        })
        .collect();
        let mut own = keyring("kubefresh", &[("quay.io", "own")]);
        own.add(&DockerConfig::default());
        let credentials = Credentials::assign(&pullers, &keyrings, &own);
        for (repository, expected) in [
            (
                "ghcr.io/shop/web",
                vec![
                    "entry ghcr.io/shop of Secret shop/regcred",
                    "entry ghcr.io of Secret shop/regcred",
                ],
            ),
            (
                "ghcr.io/office/web",
                vec!["entry ghcr.io of Secret office/regcred"],
            ),
            (
                "ghcr.io/both/web",
                vec![
                    "entry ghcr.io of Secret office/regcred",
                    "entry ghcr.io of Secret shop/regcred",
                ],
            ),
            (
                "quay.io/shop/web",
                vec!["entry quay.io of Secret kubefresh/regcred"],
            ),
            ("ghcr.io/nobody/web", vec![]),
        ] {
            assert_eq!(sources(&credentials, repository), expected, "{repository}");
        }
    }

    #[test]
    fn a_namespace_with_very_many_credentials_does_not_crowd_out_another() {
        let many: Vec<(String, String)> = (0..100)
            .map(|number| {
                (
                    "ghcr.io/shop/web"[..12 - number % 2].to_owned(),
                    number.to_string(),
                )
            })
            .collect();
        let mut greedy = Keyring::default();
        for (key, password) in &many {
            let config = json!({ key: { "username": "u", "password": password } }).to_string();
            greedy.add(&DockerConfig::parse(config.as_bytes(), Format::Legacy, &Origin::File).unwrap());
        }
        let keyrings = BTreeMap::from([
            (puller("greedy"), greedy),
            (puller("shop"), keyring("shop", &[("ghcr.io", "shop")])),
        ]);
        let pullers = BTreeMap::from([(
            "ghcr.io/shop/web".parse().unwrap(),
            keyrings.keys().cloned().collect(),
        )]);
        let own = keyring("kubefresh", &[("ghcr.io", "own")]);
        let found = sources(
            &Credentials::assign(&pullers, &keyrings, &own),
            "ghcr.io/shop/web",
        );
        assert_eq!(found.len(), CREDENTIALS_PER_REPOSITORY + 1);
        assert_eq!(found[1], "entry ghcr.io of Secret shop/regcred");
        assert_eq!(found.last().unwrap(), "entry ghcr.io of Secret kubefresh/regcred");
    }

    #[test]
    fn each_namespace_has_its_turn_also_where_another_brought_the_same_login_and_enough_is_enough() {
        let all: Vec<Arc<Credential>> = (0..20)
            .map(|number| {
                let entry = number.to_string();
                let login = Login::IdentityToken(entry.as_str().into());
                let origin = Origin::File;
                Arc::new(Credential::new(login, Source { origin, entry }))
            })
            .collect();
        let ten = "0 1 2 3 4 5 6 7 8 9";
        for (namespaces, expected, is_all) in [
            (vec![], "", true),
            (vec![vec![], vec![0]], "0", true),
            (vec![vec![0, 1, 2], vec![3]], "0 3 1 2", true),
            (vec![vec![0, 0, 1], vec![0, 2, 3, 4]], "0 2 1 3 4", true),
            (vec![(0..10).collect()], ten, true),
            (vec![(0..10).chain([3, 4]).collect()], ten, true),
            (vec![(0..11).collect()], ten, false),
            (vec![(0..20).collect(), vec![19]], "0 19 1 2 3 4 5 6 7 8", false),
        ] {
            let namespaces: Vec<Vec<usize>> = namespaces;
            let logins = namespaces
                .iter()
                .map(|logins| logins.iter().map(|login| &all[*login]));
            let (found, are_all) = in_turn(logins.collect());
            let found: Vec<&str> = found.iter().map(|one| one.source().entry.as_str()).collect();
            assert_eq!(
                (found.join(" ").as_str(), are_all),
                (expected, is_all),
                "{namespaces:?}"
            );
        }
    }

    #[test]
    fn the_scanners_own_credentials_come_after_those_of_workloads_and_each_login_once() {
        let keyrings = BTreeMap::from([(puller("shop"), keyring("shop", &[("ghcr.io", "both")]))]);
        let pullers = BTreeMap::from([(
            "ghcr.io/shop/web".parse().unwrap(),
            keyrings.keys().cloned().collect(),
        )]);
        let own: Vec<(String, String)> = (0..30)
            .map(|number| (format!("ghcr.io?{number}"), number.to_string()))
            .collect();
        let own: Vec<(&str, &str)> = own
            .iter()
            .map(|(key, password)| (key.as_str(), password.as_str()))
            .chain([("ghcr.io/shop", "both")])
            .collect();
        let own = keyring("kubefresh", &own);
        let found = sources(
            &Credentials::assign(&pullers, &keyrings, &own),
            "ghcr.io/shop/web",
        );
        assert_eq!(found.len(), 31);
        assert_eq!(found[0], "entry ghcr.io of Secret shop/regcred");
        assert_eq!(found[1], "entry ghcr.io of Secret kubefresh/regcred");
    }
}
