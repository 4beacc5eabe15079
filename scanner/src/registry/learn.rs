//! What a registry wants of those who ask: heard from it, or remembered from an earlier run until that turns out to be wrong.

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use shared::domain::record::registry_accounts::LearnedChallenge;

use super::access::{Name, is_own};
use super::challenge::Challenge;
use super::exchange::Exchange;
use super::problem::Problem;
use super::state::RegistryState;
use super::transport::Transport;
use super::usage::RequestKind;

impl Transport {
    /// What the registry wants of those who hold a credential. A registry that has answered everybody so far is asked for it,
    /// once: it may have hidden something.
    pub(super) async fn learned_challenge(
        &self,
        registry: &RegistryState,
        request: &Exchange<'_>,
    ) -> Result<Option<Challenge>, Problem> {
        let mut asked = registry.asked_for_challenge.lock().await;
        if let Some(challenge) = registry.challenge() {
            return Ok(Some(challenge));
        }
        if !*asked {
            self.ask_for_challenge(registry, request).await?;
            *asked = true;
        }
        Ok(registry.challenge())
    }

    /// Whether the registry wants something else than this, which is known from an earlier run. It is asked for that once,
    /// and only where what is known has led nowhere.
    pub(super) async fn has_changed(
        &self,
        registry: &RegistryState,
        request: &Exchange<'_>,
        known: &Challenge,
    ) -> Result<bool, Problem> {
        let _asked = registry.asked_for_challenge.lock().await;
        if registry.is_challenge_doubtful() {
            self.ask_for_challenge(registry, request).await?;
        }
        Ok(registry.challenge().as_ref() != Some(known))
    }

    /// Asks for nothing but the challenge.
    async fn ask_for_challenge(
        &self,
        registry: &RegistryState,
        request: &Exchange<'_>,
    ) -> Result<(), Problem> {
        let url = registry.base.join("v2/");
        let ping = Exchange {
            kind: RequestKind::Ping,
            method: Method::GET,
            url: url.map_err(|error| Problem::Protocol(format!("the registry makes no URL: {error}")))?,
            what: "the registry's challenge",
            limit: self.options.max_small_bytes,
            form: None,
            ..request.clone()
        };
        let reply = self.send(registry, Name::Anybody, &ping, None).await?;
        let is_own = is_own(registry, &reply);
        let offered = Challenge::parse(&reply.all("www-authenticate"));
        if let Some(challenge) = offered.filter(|_| is_own && reply.status == StatusCode::UNAUTHORIZED) {
            return self.hear_challenge(registry, &challenge);
        }
        registry.forget_challenge();
        Ok(())
    }

    /// # Errors
    /// When the registry sends us where no token is fetched from.
    pub(super) fn hear_challenge(
        &self,
        registry: &RegistryState,
        challenge: &Challenge,
    ) -> Result<(), Problem> {
        self.check_challenge(registry, challenge)?;
        registry.remember_challenge(challenge, Timestamp::now());
        Ok(())
    }

    /// Believes what an earlier run has learned, if the registry may say so at all: what is stored is no more to be trusted
    /// than what is heard.
    pub(super) fn recall_challenge(&self, registry: &RegistryState, learned: &LearnedChallenge) {
        let challenge = Challenge::recall(learned);
        match self.check_challenge(registry, &challenge) {
            Ok(()) => registry.recall_challenge(challenge, learned.learned_at),
            Err(problem) => {
                tracing::warn!(registry = registry.name, problem = %problem.bounded(), "what is recorded of its challenge is not used");
            }
        }
    }
}
