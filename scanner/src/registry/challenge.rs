//! The `WWW-Authenticate` header: what a registry wants before it answers.

use jiff::Timestamp;
use shared::domain::record::registry_accounts::LearnedChallenge;

/// A challenge that the client knows how to meet, or knows that it cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Fetch a token from `realm`.
    Bearer { realm: String, service: Option<String> },
    /// Send a user name and a password.
    Basic,
}

impl Challenge {
    /// What a token is to be good for, in the registry's words.
    pub(super) fn service(&self) -> Option<&str> {
        match self {
            Self::Bearer { service, .. } => service.as_deref(),
            Self::Basic => None,
        }
    }

    /// The stored form.
    pub(super) fn learned_at(&self, learned_at: Timestamp) -> LearnedChallenge {
        let (realm, service) = match self {
            Self::Bearer { realm, service } => (Some(realm.clone()), service.clone()),
            Self::Basic => (None, None),
        };
        LearnedChallenge {
            realm,
            service,
            learned_at,
        }
    }

    /// What an earlier run has learned.
    pub(super) fn recall(learned: &LearnedChallenge) -> Self {
        match &learned.realm {
            Some(realm) => Self::Bearer {
                realm: realm.clone(),
                service: learned.service.clone(),
            },
            None => Self::Basic,
        }
    }

    /// The strongest challenge in the headers that is understood: bearer before basic.
    pub(super) fn parse(headers: &[&str]) -> Option<Self> {
        let offered: Vec<_> = headers.iter().flat_map(|header| split(header)).collect();
        let bearer = offered
            .iter()
            .find(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        if let Some((_, parameters)) = bearer {
            let get = |wanted: &str| {
                let found = parameters
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
                found.map(|(_, value)| value.clone())
            };
            return Some(Self::Bearer {
                realm: get("realm")?,
                service: get("service"),
            });
        }
        offered
            .iter()
            .any(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
            .then_some(Self::Basic)
    }
}

type Offered = (String, Vec<(String, String)>);

/// Splits one header into its challenges, each a scheme with parameters.
fn split(header: &str) -> Vec<Offered> {
    let mut challenges: Vec<Offered> = Vec::new();
    let mut rest = header.trim_start();
    while !rest.is_empty() {
        let end = rest.find([' ', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let after = after.trim_start();
        if let Some(value) = after.strip_prefix('=') {
            let (value, after) = parameter_value(value.trim_start());
            if let Some((_, parameters)) = challenges.last_mut() {
                parameters.push((word.to_owned(), value));
            }
            rest = after;
        } else {
            if !word.is_empty() {
                challenges.push((word.to_owned(), Vec::new()));
            }
            rest = after;
        }
        rest = rest.trim_start_matches([' ', ',']);
    }
    challenges
}

/// A token or a quoted string, and what follows it.
fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find([' ', ',']).unwrap_or(text.len()));
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[index + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        }
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let hub = Some(bearer("https://auth.docker.io/token", Some("registry.docker.io")));
        for (headers, expected) in [
            (
                vec![
                    "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:a/b:pull\"",
                ],
                hub.clone(),
            ),
            (
                vec!["bearer service=registry.docker.io , realm=\"https://auth.docker.io/token\""],
                hub.clone(),
            ),
            (
                vec![
                    "Basic realm=\"x, y\", Bearer realm=\"https://auth.docker.io/token\", service=\"registry.docker.io\"",
                ],
                hub.clone(),
            ),
            (
                vec!["Basic realm=\"x\"", "Bearer realm=\"https://r.example/token\""],
                Some(bearer("https://r.example/token", None)),
            ),
            (
                vec!["Bearer realm=\"a\\\"b\",error=\"invalid_token\""],
                Some(bearer("a\"b", None)),
            ),
            (vec!["Basic realm=\"registry\""], Some(Challenge::Basic)),
            (vec!["Bearer"], None),
            (vec!["Negotiate abc=="], None),
            (vec!["Bearer realm=\"unclosed"], Some(bearer("unclosed", None))),
            (vec![""], None),
            (vec![], None),
        ] {
            assert_eq!(Challenge::parse(&headers), expected, "{headers:?}");
        }
    }
}
