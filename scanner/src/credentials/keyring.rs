//! The credentials of one or several docker configs, by what they are for.

use std::collections::BTreeSet;
use std::sync::Arc;

use shared::domain::reference::Repository;

use super::credential::Credential;
use super::docker_config::DockerConfig;
use super::pattern::Pattern;

/// What an entry of a config is for, and what it holds.
pub(super) type Entry = (Pattern, Arc<Credential>);

/// Answers which credentials fit a repository, as the kubelet does for a pod's pull secrets.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    /// Of each config, as they were added. Every keyring that has a config shares its entries: workloads may name the same
    /// secrets in thousands of lists.
    configs: Vec<Arc<[Entry]>>,
}

impl Keyring {
    /// Adds a config; its credentials come after those that are there already for the same pattern.
    pub fn add(&mut self, config: &DockerConfig) {
        self.add_shared(Arc::from(config.entries.as_slice()));
    }

    /// Adds the entries of a config that others have, too.
    pub(super) fn add_shared(&mut self, entries: Arc<[Entry]>) {
        self.configs.push(entries);
    }

    /// The credentials that fit, the most specific first, each login once. Who needs a few of them takes no more.
    pub fn for_repository<'a>(
        &'a self,
        repository: &Repository,
    ) -> impl Iterator<Item = &'a Arc<Credential>> + use<'a> {
        let mut fitting = self.select(|pattern| pattern.matches(repository));
        if fitting.is_empty() {
            fitting = self.select(|pattern| pattern.is_hub_index_for(repository));
        }
        let mut known = BTreeSet::new();
        let credentials = fitting.into_iter().map(|(_, credential)| credential);
        credentials.filter(move |credential| known.insert(credential.id()))
    }

    /// Every credential there is, as they were added.
    pub fn credentials(&self) -> impl Iterator<Item = &Arc<Credential>> {
        let entries = self.configs.iter().flat_map(|entries| entries.iter());
        entries.map(|(_, credential)| credential)
    }

    /// The most specific pattern first; for the same pattern, as they were added.
    fn select(&self, fits: impl Fn(&Pattern) -> bool) -> Vec<&Entry> {
        let entries = self.configs.iter().flat_map(|entries| entries.iter());
        let mut fitting: Vec<&Entry> = entries.filter(|(pattern, _)| fits(pattern)).collect();
        fitting.sort_by(|(one, _), (other, _)| other.cmp(one));
        fitting
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;
    use crate::credentials::{Format, Login, Origin};

    /// A config whose entries' passwords are the given texts.
    fn config(entries: &[(&str, &str)]) -> DockerConfig {
        let auths: serde_json::Map<_, _> = entries
            .iter()
            .map(|(key, password)| {
                (
                    (*key).to_owned(),
                    json!({ "username": "u", "password": password }),
                )
            })
            .collect();
        let text = json!({ "auths": auths }).to_string();
        DockerConfig::parse(text.as_bytes(), Format::Config, &Origin::File).unwrap()
    }

    fn passwords(keyring: &Keyring, repository: &str) -> Vec<String> {
        let found = keyring.for_repository(&repository.parse().unwrap());
        let password = |credential: &Arc<Credential>| match credential.login() {
            Login::Password { password, .. } => password.expose_secret().to_owned(),
            Login::IdentityToken(_) | Login::RegistryToken(_) => panic!("{credential:?}"),
        };
        found.map(password).collect()
    }

    #[test]
    fn all_that_fit_are_tried_and_the_longest_path_first() {
        let mut keyring = Keyring::default();
        keyring.add(&config(&[
            ("registry.example.com", "host"),
            ("registry.example.com/shop", "shop"),
            ("registry.example.com/shop/web", "web"),
            ("registry.example.com/office", "office"),
            ("*.example.com", "glob"),
            ("*.example.com/shop", "glob shop"),
            ("registry.example.com:5000", "port"),
        ]));
        keyring.add(&config(&[("https://registry.example.com/v2/", "api")]));
        for (repository, expected) in [
            (
                "registry.example.com/shop/web",
                vec!["web", "shop", "host", "api", "glob shop", "glob"],
            ),
            (
                "registry.example.com/shop/checkout",
                vec!["shop", "host", "api", "glob shop", "glob"],
            ),
            ("registry.example.com/else", vec!["host", "api", "glob"]),
            ("eu.example.com/shop/web", vec!["glob shop", "glob"]),
            ("registry.example.com:5000/shop/web", vec!["port"]),
            ("registry.example.net/shop/web", vec![]),
        ] {
            assert_eq!(passwords(&keyring, repository), expected, "{repository}");
        }
    }

    #[test]
    fn docker_hub_has_several_names_and_the_index_counts_where_no_other_matches() {
        for (entries, expected) in [
            (vec![("https://index.docker.io/v1/", "index")], vec!["index"]),
            (vec![("index.docker.io", "index")], vec!["index"]),
            (
                vec![("docker.io", "hub"), ("https://index.docker.io/v1/", "index")],
                vec!["hub"],
            ),
            (
                vec![
                    ("docker.io/shop", "shop"),
                    ("https://index.docker.io/v1/", "index"),
                ],
                vec!["index"],
            ),
            (
                vec![("docker.io/library/nginx", "nginx"), ("docker.io", "hub")],
                vec!["nginx", "hub"],
            ),
            (vec![("registry.example.com", "other")], vec![]),
        ] {
            let mut keyring = Keyring::default();
            keyring.add(&config(&entries));
            assert_eq!(passwords(&keyring, "nginx"), expected, "{entries:?}");
        }
        let mut keyring = Keyring::default();
        keyring.add(&config(&[("https://index.docker.io/v1/", "index")]));
        assert!(passwords(&keyring, "ghcr.io/shop/web").is_empty());
    }

    #[test]
    fn secrets_are_tried_in_their_order_and_the_same_login_once() {
        let mut keyring = Keyring::default();
        keyring.add(&config(&[("registry.example.com", "first")]));
        keyring.add(&config(&[
            ("registry.example.com", "second"),
            ("registry.example.com/shop", "first"),
        ]));
        keyring.add(&config(&[("registry.example.com", "second")]));
        assert_eq!(
            passwords(&keyring, "registry.example.com/web"),
            ["first", "second"]
        );
        assert_eq!(
            passwords(&keyring, "registry.example.com/shop"),
            ["first", "second"]
        );
    }

    #[test]
    fn of_very_many_credentials_the_first_are_found_in_the_same_order() {
        let of = |key: &'static str| {
            (0..10_000).map(move |number| (format!("{key}?{number}"), number.to_string()))
        };
        let entries: Vec<(String, String)> = of("ghcr.io").chain(of("ghcr.io/shop")).collect();
        let entries: Vec<(&str, &str)> = entries
            .iter()
            .map(|(key, password)| (key.as_str(), password.as_str()))
            .collect();
        let mut keyring = Keyring::default();
        keyring.add(&config(&entries));
        let all = passwords(&keyring, "ghcr.io/shop/web");
        // The logins of the longer path are those of the host.
        assert_eq!(all.len(), 10_000);
        let first = keyring
            .for_repository(&"ghcr.io/shop/web".parse().unwrap())
            .take(3);
        let entries: Vec<&str> = first
            .map(|credential| credential.source().entry.as_str())
            .collect();
        assert_eq!(entries, ["ghcr.io/shop"; 3]);
    }

    #[test]
    fn keyrings_share_what_they_have_in_common() {
        let entries: Arc<[Entry]> = Arc::from(config(&[("ghcr.io", "one")]).entries);
        let keyrings = [(); 2].map(|()| {
            let mut keyring = Keyring::default();
            keyring.add_shared(Arc::clone(&entries));
            keyring
        });
        assert_eq!(Arc::strong_count(&entries), 3);
        for keyring in keyrings {
            assert_eq!(passwords(&keyring, "ghcr.io/shop/web"), ["one"]);
        }
    }
}
