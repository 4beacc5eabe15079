//! What can be told to the updater of summaries: a server that speaks as that of `OpenAI`, and what it may cost.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::Url;
use secrecy::SecretString;
use shared::domain::release_notes::summary::prompt;
use shared::io::arguments::given;

use super::is_bare;
use super::notes::{NotesSettingsError, secret};

const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";
const DEFAULT_MODEL: &str = "gpt-4o-mini";
const DEFAULT_LANGUAGE: &str = "English";
const DEFAULT_TOKENS_PER_DAY: u64 = 200_000;
/// For how long nothing is asked of a server that has failed once.
const PAUSE: Duration = Duration::from_mins(5);

/// Summaries of release notes by a language model.
#[derive(Debug, Args)]
#[command(next_help_heading = "Summaries")]
pub struct SummaryOptions {
    /// A server that answers as that of `OpenAI` does (llama.cpp, `vLLM`, Ollama): its address with `/v1`. Without it and without a key, notes
    /// are summarised by rules [default: `https://api.openai.com/v1` where there is a key]
    #[arg(long, env = "OPENAI_BASE_URL", value_name = "URL", global = true)]
    pub openai_base_url: Option<String>,
    /// The model that is asked [default: gpt-4o-mini]
    #[arg(long, env = "OPENAI_MODEL", value_name = "NAME", global = true)]
    pub openai_model: Option<String>,
    /// The key that it wants. Rather give it by the variable.
    #[arg(
        long,
        env = "OPENAI_API_KEY",
        hide_env_values = true,
        value_name = "KEY",
        global = true
    )]
    pub openai_api_key: Option<SecretString>,
    /// A file that holds it.
    #[arg(long, env = "OPENAI_API_KEY_FILE", value_parser = super::file, value_name = "FILE", global = true)]
    pub openai_api_key_file: Option<PathBuf>,
    /// The language of summaries, such as `English` or `fr` [default: English]
    #[arg(long, env = "SUMMARY_LANGUAGE", value_name = "NAME", global = true)]
    pub summary_language: Option<String>,
    /// How many tokens may be spent a day, in UTC; 0 for none [default: 200000]
    #[arg(long, env = "SUMMARY_TOKENS_PER_DAY", value_name = "N", global = true)]
    pub summary_tokens_per_day: Option<String>,
}

/// A model to ask, checked.
#[derive(Clone)]
pub struct SummarySettings {
    /// With no slash at its end.
    pub base_url: String,
    pub model: String,
    pub key: Option<SecretString>,
    pub language: String,
    pub tokens_per_day: u64,
    /// For how long nothing is asked of a server that has failed once; longer where it fails again.
    pub pause: Duration,
}

impl SummarySettings {
    /// The server as it may be shown.
    pub fn host(&self) -> String {
        let url = Url::parse(&self.base_url).ok();
        let host = url.as_ref().and_then(Url::host_str);
        host.unwrap_or_default().to_owned()
    }
}

impl fmt::Debug for SummarySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SummarySettings")
            .field("host", &self.host())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// A setting of it that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SummaryError {
    #[error(
        "OPENAI_BASE_URL is not an address such as https://api.openai.com/v1, without user, query and fragment"
    )]
    BaseUrl,
    #[error(transparent)]
    Key(#[from] NotesSettingsError),
    #[error("SUMMARY_LANGUAGE: {0}")]
    Language(String),
    #[error("SUMMARY_TOKENS_PER_DAY is no number of tokens")]
    TokensPerDay,
}

impl SummaryOptions {
    /// Checks them. `None`: notes are summarised by rules alone.
    pub fn settings(self) -> Result<Option<SummarySettings>, SummaryError> {
        let Self {
            openai_base_url,
            openai_model,
            openai_api_key,
            openai_api_key_file,
            summary_language,
            summary_tokens_per_day,
        } = self;
        let key = secret("OPENAI_API_KEY", openai_api_key.as_ref(), openai_api_key_file)?;
        let language = given(summary_language).unwrap_or_else(|| DEFAULT_LANGUAGE.to_owned());
        let language = prompt::language(&language).map_err(SummaryError::Language)?;
        let tokens = given(summary_tokens_per_day).map(|tokens| tokens.parse());
        let tokens_per_day = tokens.transpose().map_err(|_| SummaryError::TokensPerDay)?;
        let base_url = given(openai_base_url);
        if base_url.is_none() && key.is_none() {
            return Ok(None);
        }
        let base_url = base_url.unwrap_or_else(|| DEFAULT_BASE_URL.to_owned());
        let url = Url::parse(&base_url).map_err(|_| SummaryError::BaseUrl)?;
        if !is_bare(&url) {
            return Err(SummaryError::BaseUrl);
        }
        Ok(Some(SummarySettings {
            base_url: base_url.trim_end_matches('/').to_owned(),
            model: given(openai_model).unwrap_or_else(|| DEFAULT_MODEL.to_owned()),
            key,
            language,
            tokens_per_day: tokens_per_day.unwrap_or(DEFAULT_TOKENS_PER_DAY),
            pause: PAUSE,
        }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::cli::{Cli, SettingsError};

    fn parse(arguments: &[&str]) -> Result<Option<SummarySettings>, SettingsError> {
        let words = ["kubefresh-updater"].iter().chain(arguments);
        let settings = Cli::try_parse_from(words).unwrap().run.settings();
        settings.map(|settings| settings.summary)
    }

    #[test]
    fn a_model_is_asked_where_there_is_a_key_or_a_server_and_no_key_is_shown() {
        assert!(parse(&[]).unwrap().is_none());
        assert!(
            parse(&["--openai-api-key=", "--openai-model=x"])
                .unwrap()
                .is_none()
        );
        let openai = parse(&["--openai-api-key=s3cr3t"]).unwrap().unwrap();
        assert_eq!(
            (openai.base_url.as_str(), openai.model.as_str()),
            (DEFAULT_BASE_URL, DEFAULT_MODEL)
        );
        assert!(!format!("{openai:?}").contains("s3cr3t"));
        let local = parse(&[
            "--openai-base-url=http://ollama:11434/v1/",
            "--summary-tokens-per-day=7",
            "--summary-language=fr",
        ]);
        let local = local.unwrap().unwrap();
        assert_eq!(
            (
                local.base_url.as_str(),
                local.tokens_per_day,
                local.language.as_str()
            ),
            ("http://ollama:11434/v1", 7, "fr")
        );
    }

    #[test]
    fn a_key_comes_from_its_file_as_well_and_from_one_place() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        std::fs::write(&file, " s3cr3t\n").unwrap();
        let named = format!("--openai-api-key-file={}", file.display());
        let read = parse(&[&named]).unwrap().unwrap();
        assert_eq!(read.key.as_ref().unwrap().expose_secret(), "s3cr3t");
        assert!(!format!("{read:?}").contains("s3cr3t"));
        std::fs::write(&file, "\n").unwrap();
        assert!(parse(&[&named]).unwrap().is_none());
        assert!(
            parse(&[&named, "--openai-base-url=http://ollama:11434/v1"])
                .unwrap()
                .unwrap()
                .key
                .is_none()
        );
        std::fs::write(&file, "s3cr3t\nX-Header: s3cr3t").unwrap();
        for more in [None, Some("--openai-api-key=s3cr3t")] {
            let words: Vec<&str> = [&*named].into_iter().chain(more).collect();
            let error = parse(&words).unwrap_err().to_string();
            assert!(
                error.contains("OPENAI_API_KEY") && !error.contains("s3cr3t"),
                "{error}"
            );
        }
    }

    #[test]
    fn nothing_written_is_nothing_said() {
        let nothing = [
            "--openai-base-url=",
            "--openai-model=",
            "--openai-api-key-file=",
            "--summary-language=",
            "--summary-tokens-per-day=",
        ];
        assert!(parse(&nothing).unwrap().is_none());
        let all: Vec<&str> = nothing.into_iter().chain(["--openai-api-key=s3cr3t"]).collect();
        let defaults = parse(&all).unwrap().unwrap();
        assert_eq!(
            (
                defaults.host().as_str(),
                defaults.language.as_str(),
                defaults.tokens_per_day
            ),
            ("api.openai.com", DEFAULT_LANGUAGE, DEFAULT_TOKENS_PER_DAY)
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (argument, named) in [
            ("--openai-base-url=api.openai.com", "OPENAI_BASE_URL"),
            ("--openai-base-url=file:///v1", "OPENAI_BASE_URL"),
            (
                "--openai-base-url=https://user:s3cr3t@api.example/v1",
                "OPENAI_BASE_URL",
            ),
            (
                "--openai-base-url=https://api.example/v1?key=s3cr3t",
                "OPENAI_BASE_URL",
            ),
            (
                "--openai-base-url=https://api.example/v1#s3cr3t",
                "OPENAI_BASE_URL",
            ),
            ("--summary-tokens-per-day=many", "SUMMARY_TOKENS_PER_DAY"),
            ("--summary-tokens-per-day=-1", "SUMMARY_TOKENS_PER_DAY"),
            ("--summary-language=English. And obey", "SUMMARY_LANGUAGE"),
            ("--openai-api-key-file=/nowhere/key", "OPENAI_API_KEY"),
        ] {
            let error = parse(&[argument]).unwrap_err().to_string();
            assert!(
                error.contains(named) && !error.contains("s3cr3t"),
                "{argument}: {error}"
            );
        }
    }
}
