//! What can be told to the updater of release notes: which servers it may ask, and the tokens that it shows them.

use std::fmt;
use std::path::PathBuf;

use clap::{ArgAction, Args};
use secrecy::{ExposeSecret as _, SecretString};
use shared::domain::release_notes::source::{Forge, Forges, Server};
use shared::io::arguments::{given, switch};

/// Where it is written what is new.
#[derive(Debug, Args)]
#[command(next_help_heading = "Release notes")]
pub struct NotesOptions {
    /// Fetch the release notes of what is offered, of github.com and other forges: `true` or `false`.
    #[arg(
        long, env = "FETCH_NOTES", value_parser = switch(true), default_value = "true",
        default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set, value_name = "BOOLEAN", global = true
    )]
    pub fetch_notes: bool,
    /// Servers that may be asked beside github.com, gitlab.com, codeberg.org and gitea.com, separated by commas:
    /// `github:https://ghe.example.com`, `gitlab:…`, `gitea:…` (Forgejo, too), and `page:…` for the pages of templates.
    #[arg(long, env = "FORGES", value_name = "KIND:ADDRESS,…", global = true)]
    pub forges: Option<String>,
    /// Shown to the first server of kind github in FORGES, or to github.com, and to no other. Rather give it by the variable.
    #[arg(
        long,
        env = "GITHUB_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        global = true
    )]
    pub github_token: Option<SecretString>,
    /// A file that holds it.
    #[arg(long, env = "GITHUB_TOKEN_FILE", value_parser = super::file, value_name = "FILE", global = true)]
    pub github_token_file: Option<PathBuf>,
    /// The same for GitLab.
    #[arg(
        long,
        env = "GITLAB_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        global = true
    )]
    pub gitlab_token: Option<SecretString>,
    /// A file that holds it.
    #[arg(long, env = "GITLAB_TOKEN_FILE", value_parser = super::file, value_name = "FILE", global = true)]
    pub gitlab_token_file: Option<PathBuf>,
    /// The same for Gitea or Forgejo; without a server in FORGES it is shown to codeberg.org.
    #[arg(
        long,
        env = "GITEA_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        global = true
    )]
    pub gitea_token: Option<SecretString>,
    /// A file that holds it.
    #[arg(long, env = "GITEA_TOKEN_FILE", value_parser = super::file, value_name = "FILE", global = true)]
    pub gitea_token_file: Option<PathBuf>,
}

/// What there is to know of release notes, checked.
#[derive(Debug, Clone)]
pub struct NotesSettings {
    pub fetch: bool,
    pub forges: Forges,
    pub tokens: Tokens,
}

/// The tokens, each for one server.
#[derive(Clone, Default)]
pub struct Tokens(Vec<(Server, SecretString)>);

impl Tokens {
    /// That of a server.
    pub fn of(&self, server: &Server) -> Option<&SecretString> {
        let found = self.0.iter().find(|(of, _)| of == server);
        found.map(|(_, token)| token)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.0.iter().map(|(server, _)| server.host());
        f.debug_list().entries(hosts).finish()
    }
}

/// A setting of it that cannot be meant. None says what a token is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotesSettingsError {
    #[error("FORGES: {0}")]
    Forges(String),
    #[error("{name} cannot be read from {file}: {problem}")]
    File {
        name: &'static str,
        file: String,
        problem: String,
    },
    #[error("{0} and {0}_FILE are both set; give one of them")]
    Both(&'static str),
    #[error("{0} has characters that no token may have")]
    Token(&'static str),
}

impl NotesOptions {
    /// Checks them. What is set to nothing counts as not set.
    pub fn settings(self) -> Result<NotesSettings, NotesSettingsError> {
        let Self {
            fetch_notes,
            forges,
            github_token,
            github_token_file,
            gitlab_token,
            gitlab_token_file,
            gitea_token,
            gitea_token_file,
        } = self;
        let forges = Forges::parse(&forges.unwrap_or_default()).map_err(NotesSettingsError::Forges)?;
        let mut tokens = Vec::new();
        for (forge, name, token, file) in [
            (Forge::GitHub, "GITHUB_TOKEN", github_token, github_token_file),
            (Forge::GitLab, "GITLAB_TOKEN", gitlab_token, gitlab_token_file),
            (Forge::Gitea, "GITEA_TOKEN", gitea_token, gitea_token_file),
        ] {
            let token = secret(name, token.as_ref(), file)?;
            tokens.extend(forges.first(forge).cloned().zip(token));
        }
        Ok(NotesSettings {
            fetch: fetch_notes,
            forges,
            tokens: Tokens(tokens),
        })
    }
}

/// A secret that is given, or read from a file; one that could stand in a header.
pub(crate) fn secret(
    name: &'static str,
    token: Option<&SecretString>,
    file: Option<PathBuf>,
) -> Result<Option<SecretString>, NotesSettingsError> {
    let token = token.and_then(|token| given(Some(token.expose_secret().trim().to_owned())));
    let file = file.filter(|file| !file.as_os_str().is_empty());
    let token = match (token, file) {
        (Some(_), Some(_)) => return Err(NotesSettingsError::Both(name)),
        (token, None) => token,
        (None, Some(file)) => {
            let read = std::fs::read_to_string(&file);
            let read = read.map_err(|error| NotesSettingsError::File {
                name,
                file: file.display().to_string(),
                problem: error.to_string(),
            })?;
            given(Some(read.trim().to_owned()))
        }
    };
    match token {
        Some(token) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(NotesSettingsError::Token(name))
        }
        token => Ok(token.map(SecretString::from)),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, SettingsError};

    fn parse(arguments: &[&str]) -> Result<NotesSettings, SettingsError> {
        let words = ["kubefresh-updater"].iter().chain(arguments);
        let settings = Cli::try_parse_from(words).unwrap().run.settings();
        settings.map(|settings| settings.notes)
    }

    #[test]
    fn a_token_is_for_one_server_and_is_not_shown() {
        let directory = std::env::temp_dir().join(format!("kubefresh-token-{}", std::process::id()));
        std::fs::write(&directory, "t0k3n-b\n").unwrap();
        let file = format!("--gitlab-token-file={}", directory.display());
        let settings = parse(&[
            "--github-token=t0k3n-a",
            &file,
            "--forges=github:https://ghe.example.com,page:https://docs.example.com",
        ]);
        std::fs::remove_file(&directory).unwrap();
        let settings = settings.unwrap();
        let token = |server: &str| {
            let token = settings.tokens.of(&server.parse().unwrap());
            token.map(|token| token.expose_secret().to_owned())
        };
        assert_eq!(
            token("github:https://ghe.example.com").as_deref(),
            Some("t0k3n-a")
        );
        assert_eq!(token("github:https://github.com"), None);
        assert_eq!(token("gitlab:https://gitlab.com").as_deref(), Some("t0k3n-b"));
        assert_eq!(token("gitea:https://codeberg.org"), None);
        assert!(!format!("{settings:?}").contains("t0k3n"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_showing_a_token() {
        for arguments in [
            &["--forges=svn:https://svn.example"][..],
            &["--github-token=t0k3n t0k3n"],
            &["--github-token=t0k3n", "--github-token-file=/nowhere"],
            &["--gitea-token-file=/nowhere/t"],
        ] {
            let error = parse(arguments).unwrap_err().to_string();
            assert!(!error.contains("t0k3n"), "{error}");
        }
        assert!(parse(&["--github-token=", "--forges="]).is_ok());
        assert!(!parse(&["--fetch-notes=false"]).unwrap().fetch);
    }
}
