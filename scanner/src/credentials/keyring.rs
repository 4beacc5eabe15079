//! The credentials of one or several docker configs, by what they are for.

use std::sync::Arc;

use shared::domain::reference::Repository;

use super::credential::Credential;
use super::docker_config::DockerConfig;
use super::pattern::Pattern;

/// Answers which credentials fit a repository, as the kubelet does for a pod's pull secrets.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    /// The most specific pattern first; for the same pattern, as they were added.
    entries: Vec<(Pattern, Arc<Credential>)>,
}

impl Keyring {
    /// Adds a config; its credentials come after those that are there already for the same pattern.
    pub fn add(&mut self, config: &DockerConfig) {
        self.entries.extend(config.entries.iter().cloned());
        self.entries.sort_by(|(one, _), (other, _)| other.cmp(one));
    }

    /// All credentials that fit, the most specific first, each login once.
    pub fn for_repository(&self, repository: &Repository) -> Vec<&Arc<Credential>> {
        let mut fitting = self.select(|pattern| pattern.matches(repository));
        if fitting.is_empty() {
            fitting = self.select(|pattern| pattern.is_hub_index_for(repository));
        }
        fitting
    }

    /// Every credential there is.
    pub fn credentials(&self) -> impl Iterator<Item = &Arc<Credential>> {
        self.entries.iter().map(|(_, credential)| credential)
    }

    fn select(&self, fits: impl Fn(&Pattern) -> bool) -> Vec<&Arc<Credential>> {
        let mut selected: Vec<&Arc<Credential>> = Vec::new();
        for (pattern, credential) in &self.entries {
            if fits(pattern) && selected.iter().all(|other| other.id() != credential.id()) {
                selected.push(credential);
            }
        }
        selected
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
        found.into_iter().map(password).collect()
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
}
