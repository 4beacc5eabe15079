//! A credential and where it comes from. It can be used and compared, and never printed.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use shared::domain::record::registry_accounts::AccountName;

/// What is shown to a registry or to its token service.
#[derive(Debug, Clone)]
pub enum Login {
    /// A user name, which some services use for a token, and a password.
    Password {
        username: SecretString,
        password: SecretString,
    },
    /// An OAuth 2 refresh token (`identitytoken`), which a token service takes instead of a password.
    IdentityToken(SecretString),
    /// A bearer token for the registry itself (`registrytoken`).
    RegistryToken(SecretString),
}

impl Login {
    /// The same for equal logins, however often and wherever they are written down.
    fn id(&self) -> LoginId {
        let (kind, parts) = match self {
            Self::Password { username, password } => (0_u8, vec![username, password]),
            Self::IdentityToken(token) => (1, vec![token]),
            Self::RegistryToken(token) => (2, vec![token]),
        };
        let mut hash = Sha256::new_with_prefix([kind]);
        for part in parts {
            let part = part.expose_secret();
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        LoginId(hash.finalize().into())
    }
}

/// Tells logins apart in memory. Derived from the secret, so it is neither printed nor stored: who reads it could try
/// passwords against it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoginId([u8; 32]);

impl fmt::Debug for LoginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginId(…)")
    }
}

/// What holds a credential.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A pull secret, at one version of it.
    Secret {
        namespace: String,
        name: String,
        /// Its `resourceVersion`.
        version: String,
    },
    /// The file that is mounted for the scanner itself.
    File,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { namespace, name, .. } => write!(f, "Secret {namespace}/{name}"),
            Self::File => f.write_str("the scanner's docker config file"),
        }
    }
}

/// Where exactly a credential stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    pub origin: Origin,
    /// The entry's host and path.
    pub entry: String,
}

impl Source {
    /// By which the record of accounts knows the login that stands here.
    pub fn account_name(&self) -> AccountName {
        match &self.origin {
            Origin::Secret { namespace, name, .. } => AccountName::of_secret(namespace, name, &self.entry),
            Origin::File => AccountName::of_file(&self.entry),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {} of {}", self.entry, self.origin)
    }
}

/// A login and where it stands. Prints as the latter.
#[derive(Debug, Clone)]
pub struct Credential {
    login: Login,
    id: LoginId,
    source: Source,
}

impl Credential {
    pub fn new(login: Login, source: Source) -> Self {
        let id = login.id();
        Self { login, id, source }
    }

    pub fn login(&self) -> &Login {
        &self.login
    }

    pub fn id(&self) -> LoginId {
        self.id
    }

    pub fn source(&self) -> &Source {
        &self.source
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(username: &str, password: &str) -> Login {
        Login::Password {
            username: username.into(),
            password: password.into(),
        }
    }

    #[test]
    fn logins_are_the_same_if_and_only_if_all_their_parts_are() {
        assert_eq!(password("ann", "secret").id(), password("ann", "secret").id());
        for other in [
            password("anns", "ecret"),
            password("ann", "Secret"),
            password("bob", "secret"),
            Login::IdentityToken("annsecret".into()),
            Login::RegistryToken("annsecret".into()),
        ] {
            assert_ne!(other.id(), password("ann", "secret").id());
        }
        assert_ne!(
            Login::IdentityToken("a".into()).id(),
            Login::RegistryToken("a".into()).id()
        );
    }

    #[test]
    fn a_credential_prints_where_it_stands_and_nothing_of_what_it_holds() {
        let origin = Origin::Secret {
            namespace: "shop".to_owned(),
            name: "regcred".to_owned(),
            version: "7".to_owned(),
        };
        let entry = "registry.example.com/shop".to_owned();
        for login in [
            password("geheim", "geheim"),
            Login::IdentityToken("geheim".into()),
            Login::RegistryToken("geheim".into()),
        ] {
            let hash = format!("{:?}", login.id().0);
            let credential = Credential::new(
                login,
                Source {
                    origin: origin.clone(),
                    entry: entry.clone(),
                },
            );
            assert_eq!(
                credential.to_string(),
                "entry registry.example.com/shop of Secret shop/regcred"
            );
            let debug = format!("{credential:?} {credential:#?}");
            assert!(!debug.contains("geheim") && !debug.contains(&hash), "{debug}");
        }
    }
}
