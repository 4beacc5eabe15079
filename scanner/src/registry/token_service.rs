//! Tokens: fetched from the registry's token service, anonymously or by a login.

use std::time::Instant;

use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};

use super::access::{Asker, Name, left_alone, name_of, reject};
use super::challenge::Challenge;
use super::endpoint;
use super::exchange::{Exchange, Reply};
use super::login::{self, Forbidden};
use super::problem::{Problem, Who};
use super::state::RegistryState;
use super::token::Token;
use super::transport::Transport;
use super::usage::RequestKind;
use crate::credentials::{Credential, Login};

/// Says to token services which program asks.
const CLIENT_ID: &str = "kubefresh-scanner";

/// The parameter that says what a token is for.
const SCOPE: &str = "scope";

impl Transport {
    /// The token for pulling from a repository: the one at hand unless it is stale or was just rejected.
    pub(super) async fn token(
        &self,
        registry: &RegistryState,
        challenge: &Challenge,
        question: &Exchange<'_>,
        asker: Asker<'_>,
        rejected: Option<&Token>,
    ) -> Result<Token, Problem> {
        let scope = format!("repository:{}:pull", question.repository.path());
        let slot = registry.tokens.slot(name_of(asker), &scope);
        let mut held = slot.lock().await;
        let usable = |token: &&Token| {
            let was_rejected = rejected.is_some_and(|rejected| rejected.header == token.header);
            token.is_fresh(Instant::now()) && !was_rejected
        };
        if let Some(token) = held.as_ref().filter(usable) {
            return Ok(token.clone());
        }
        let request = Exchange {
            kind: RequestKind::Token,
            method: Method::GET,
            url: self.realm(registry, challenge)?,
            accept: "application/json",
            repository: question.repository,
            form: None,
            what: "the token service's reply",
            limit: self.options.max_small_bytes,
        };
        let query = [("service", challenge.service()), (SCOPE, Some(&scope))];
        let reply = if let Some(credential) = asker {
            self.log_in(registry, challenge, request, &query, credential)
                .await?
        } else {
            let reply = self
                .send(registry, Name::Anybody, &with_query(request, &query), None)
                .await?;
            reply.success(Who::TokenService)?
        };
        let token = Token::parse(&reply.body, Instant::now())?;
        *held = Some(token.clone());
        Ok(token)
    }

    /// Shows a login to the token service.
    async fn log_in(
        &self,
        registry: &RegistryState,
        challenge: &Challenge,
        request: Exchange<'_>,
        query: &[(&str, Option<&str>)],
        credential: &Credential,
    ) -> Result<Reply, Problem> {
        let state = registry.logins.of(credential.id());
        let _turn = state
            .turn()
            .await
            .map_err(|until| left_alone(credential, until))?;
        let (reply, is_form) = self.show(registry, request.clone(), query, credential).await?;
        // OAuth 2 answers 400 to a refresh token that is no good.
        let is_rejection =
            reply.status == StatusCode::UNAUTHORIZED || (is_form && reply.status == StatusCode::BAD_REQUEST);
        let is_forbidden = reply.status == StatusCode::FORBIDDEN;
        if (is_rejection || is_forbidden) && !state.was_accepted() {
            // A service that the registry has left says nothing of a login.
            if self.has_changed(registry, &request, challenge).await? {
                return Err(reply.refusal(Who::TokenService));
            }
            let is_wrong = is_rejection
                || match state.forbid() {
                    Forbidden::First => {
                        let is_right = self.is_right(registry, request, query, credential).await?;
                        if is_right == Some(true) {
                            state.accept();
                        }
                        is_right == Some(false)
                    }
                    Forbidden::Again => false,
                    Forbidden::Rejected => true,
                };
            if is_wrong {
                return Err(reject(registry, credential, &state));
            }
        }
        let reply = reply.success(Who::TokenService)?;
        state.accept();
        Ok(reply)
    }

    /// Whether a login is right, whatever it may read: a token that is for nothing is granted to every user, and to nobody
    /// else. `None` where the service does not say, as one does that gives no such tokens.
    async fn is_right(
        &self,
        registry: &RegistryState,
        request: Exchange<'_>,
        query: &[(&str, Option<&str>)],
        credential: &Credential,
    ) -> Result<Option<bool>, Problem> {
        let query: Vec<_> = query.iter().copied().filter(|(name, _)| *name != SCOPE).collect();
        match self.show(registry, request, &query, credential).await {
            Ok((reply, _)) if reply.status.is_success() => Ok(Some(true)),
            Ok((reply, _)) => {
                let is_refusal = matches!(reply.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
                Ok(is_refusal.then_some(false))
            }
            Err(problem) if problem.is_about_limits() => Err(problem),
            Err(problem) => {
                tracing::debug!(registry = registry.name, %credential, %problem, "nobody knows whether a login is right");
                Ok(None)
            }
        }
    }

    /// The answer to a login that is shown, and whether that was in a form.
    async fn show(
        &self,
        registry: &RegistryState,
        request: Exchange<'_>,
        query: &[(&str, Option<&str>)],
        credential: &Credential,
    ) -> Result<(Reply, bool), Problem> {
        let (request, header) = match credential.login() {
            Login::Password { username, password } => (
                with_query(request, query),
                Some(login::basic(username, password)?),
            ),
            Login::IdentityToken(token) | Login::RegistryToken(token) => {
                (with_form(request, query, token), None)
            }
        };
        let name = Name::Login(credential.id());
        let reply = self.send(registry, name, &request, header.as_ref()).await?;
        Ok((reply, request.form.is_some()))
    }

    /// # Errors
    /// When the registry sends us where no token is fetched from.
    pub(super) fn check_challenge(
        &self,
        registry: &RegistryState,
        challenge: &Challenge,
    ) -> Result<(), Problem> {
        match challenge {
            Challenge::Bearer { .. } => self.realm(registry, challenge).map(|_| ()),
            Challenge::Basic => Ok(()),
        }
    }

    fn realm(&self, registry: &RegistryState, challenge: &Challenge) -> Result<Url, Problem> {
        let Challenge::Bearer { realm, .. } = challenge else {
            return Err(Problem::Protocol("the registry offers no tokens".to_owned()));
        };
        let url: Url = realm
            .parse()
            .map_err(|error| Problem::Protocol(format!("the token service's address is no URL: {error}")))?;
        let special = self.options.registries.of(&registry.name);
        let configured = special
            .and_then(|special| special.token_host.as_deref())
            .or_else(|| self.options.token_hosts.get(&registry.name).map(String::as_str));
        endpoint::check_realm(&registry.name, &registry.base, &url, configured)
            .map_err(Problem::Untrusted)?;
        Ok(url)
    }
}

fn with_query<'a>(mut request: Exchange<'a>, query: &[(&str, Option<&str>)]) -> Exchange<'a> {
    append(&mut request.url, query);
    request
}

/// The OAuth 2 way, which keeps the token out of the URL.
fn with_form<'a>(
    mut request: Exchange<'a>,
    query: &[(&str, Option<&str>)],
    token: &SecretString,
) -> Exchange<'a> {
    let mut form = request.url.clone();
    form.set_query(None);
    append(&mut form, query);
    append(
        &mut form,
        &[
            ("grant_type", Some("refresh_token")),
            ("client_id", Some(CLIENT_ID)),
            ("refresh_token", Some(token.expose_secret())),
        ],
    );
    request.method = Method::POST;
    request.form = form.query().map(SecretString::from);
    request
}

fn append(url: &mut Url, query: &[(&str, Option<&str>)]) {
    let mut pairs = url.query_pairs_mut();
    for (name, value) in query {
        if let Some(value) = value {
            pairs.append_pair(name, value);
        }
    }
}
