//! Who asks a registry: anybody, or the holder of a credential.
//!
//! A repository is asked anonymously first, so that what is public costs nobody's quota. Where that is refused, or hidden
//! as not found, its credentials follow in their order; whoever got an answer asks the rest of the run.
//! At a registry whose challenge is `Basic` the anonymous try comes last: such registries seldom answer it. So it does for
//! a repository of which an earlier run has learned that it is private.
//!
//! A 401 to a login that was never accepted means that the login is wrong: it is not shown to this registry again for a
//! while, because services lock accounts and addresses after a few failures. A 403, or a 401 to a login that was accepted
//! before, means that it may not read this repository, and the next one is tried. Some token services answer 403 to a wrong
//! login as well. A login that hears that first is shown once more, for no repository at all, as `docker login` does: what the
//! service says then is about the login alone. Where it says nothing of use, three times 403 are a rejection.
//!
//! Whose pulls are used up, or who was told to wait, is passed over, and the next one asks. If none of these is answered, the
//! question is left to a later run: what the others would have been told, nobody knows.
//!
//! A credential goes to the registry's own address over the scheme it is reached by, and to its token service by the rule
//! of [`endpoint::check_realm`](super::endpoint::check_realm): the registry's own host or one that is known or
//! configured for it, and https unless the registry itself speaks plain HTTP. No other host gets anything: a redirect to
//! one carries no credential, and a login is never redirected.

use std::sync::Arc;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use shared::domain::record::rejected_logins::QUARANTINE;
use shared::domain::time::whole_seconds;

use super::challenge::Challenge;
use super::exchange::{Exchange, Reply};
use super::login::{self, LoginState};
use super::problem::{Askers, Problem, Who};
use super::state::RegistryState;
use super::token::Token;
use super::transport::Transport;
use crate::credentials::{Credential, Login, LoginId};

/// What came of asking in one name.
enum Attempt {
    /// Any status but 401.
    Answered(Reply),
    /// This asker is not let in.
    Denied(Problem),
    /// The registry asks nobody for a credential, or not for one of this kind.
    NotWanted,
    /// This asker is not let in, and was not asked for what the registry wants: it wants something else by now.
    Outdated(Problem),
}

/// In whose name a registry is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Name {
    Anybody,
    Login(LoginId),
}

/// A credential, or none.
pub(super) type Asker<'a> = Option<&'a Arc<Credential>>;

pub(super) fn name_of(asker: Asker<'_>) -> Name {
    asker.map_or(Name::Anybody, |credential| Name::Login(credential.id()))
}

impl Transport {
    /// Asks in one name after the other until somebody is answered. Answers with any status but 401, 403, 429 and 5xx;
    /// 404 only if nobody was turned away who might have seen more.
    pub(super) async fn exchange(
        &self,
        registry: &RegistryState,
        request: &Exchange<'_>,
    ) -> Result<Reply, Problem> {
        if request.url.origin() != registry.base.origin() {
            // Another host, where a redirect and then a link have led, gets nothing of this registry's.
            let reply = self.send(registry, Name::Anybody, request, None).await?;
            return match reply.status {
                StatusCode::UNAUTHORIZED => Err(reply.refusal(Who::Registry)),
                _ => Ok(reply),
            };
        }
        let credentials = self.options.credentials.of(request.repository);
        let path = request.repository.path();
        let mut heard = Heard::default();
        let mut first_turn = registry.first.turn().await;
        for asker in order(registry, path, credentials) {
            let is_opener = registry.opener(path) == Some(name_of(asker));
            let asked = self.ask(registry, request, asker).await;
            // What the registry wants is known now.
            drop(first_turn.take());
            let attempt = match asked {
                Err(problem) if problem.is_about_limits() && registry.may_others_ask(Timestamp::now()) => {
                    heard.limit = Some(problem);
                    continue;
                }
                attempt => attempt?,
            };
            match attempt {
                Attempt::Answered(reply) if reply.status == StatusCode::NOT_FOUND && !is_opener => {
                    heard.not_found = Some(reply);
                }
                Attempt::Answered(reply) if reply.status == StatusCode::FORBIDDEN && !is_opener => {
                    heard.denied(asker, reply.refusal(Who::Registry));
                }
                Attempt::Answered(reply) => {
                    if reply.status.is_success() {
                        registry.remember_opener(path, name_of(asker));
                        if heard.nobody_but_holders(asker) {
                            registry.remember_private(path, Timestamp::now());
                        }
                    }
                    return Ok(reply);
                }
                Attempt::Denied(problem) | Attempt::Outdated(problem) => heard.denied(asker, problem),
                Attempt::NotWanted => {}
            }
        }
        heard.conclude(credentials.len())
    }

    /// Asks as the registry wants it by all that is known, and once more where it has turned out that it wants something
    /// else by now.
    async fn ask(
        &self,
        registry: &RegistryState,
        request: &Exchange<'_>,
        asker: Asker<'_>,
    ) -> Result<Attempt, Problem> {
        match self.ask_once(registry, request, asker).await? {
            Attempt::Outdated(_) => self.ask_once(registry, request, asker).await,
            attempt @ (Attempt::Answered(_) | Attempt::Denied(_) | Attempt::NotWanted) => Ok(attempt),
        }
    }

    async fn ask_once(
        &self,
        registry: &RegistryState,
        request: &Exchange<'_>,
        asker: Asker<'_>,
    ) -> Result<Attempt, Problem> {
        let Some(credential) = asker else {
            return self
                .ask_with_token(registry, request, registry.challenge(), None)
                .await;
        };
        if let Login::RegistryToken(token) = credential.login() {
            return self
                .ask_straight(registry, request, credential, login::bearer(token)?)
                .await;
        }
        let Some(challenge) = self.learned_challenge(registry, request).await? else {
            return Ok(Attempt::NotWanted);
        };
        match (&challenge, credential.login()) {
            (Challenge::Bearer { .. }, _) => {
                self.ask_with_token(registry, request, Some(challenge), asker)
                    .await
            }
            (Challenge::Basic, Login::Password { username, password }) => {
                let header = login::basic(username, password)?;
                self.ask_straight(registry, request, credential, header).await
            }
            (Challenge::Basic, Login::IdentityToken(_) | Login::RegistryToken(_)) => Ok(Attempt::NotWanted),
        }
    }

    /// Shows the credential to the registry itself.
    async fn ask_straight(
        &self,
        registry: &RegistryState,
        request: &Exchange<'_>,
        credential: &Credential,
        header: HeaderValue,
    ) -> Result<Attempt, Problem> {
        let state = registry.logins.of(credential.id());
        let _turn = match state.turn().await {
            Ok(turn) => turn,
            Err(until) => return Ok(Attempt::Denied(left_alone(credential, until))),
        };
        let name = Name::Login(credential.id());
        let reply = self.send(registry, name, request, Some(&header)).await?;
        let is_own = is_own(registry, &reply);
        if reply.status == StatusCode::UNAUTHORIZED {
            let is_password = matches!(credential.login(), Login::Password { .. });
            let offered = Challenge::parse(&reply.all("www-authenticate"));
            if let Some(challenge @ Challenge::Bearer { .. }) = offered.filter(|_| is_own && is_password) {
                // It is not the password that is wrong: it is not for here.
                self.hear_challenge(registry, &challenge)?;
                return Ok(Attempt::Outdated(reply.refusal(Who::Registry)));
            }
            let problem = if is_own && !state.was_accepted() {
                reject(registry, credential, &state)
            } else {
                reply.refusal(Who::Registry)
            };
            return Ok(Attempt::Denied(problem));
        }
        if is_own && reply.status.is_success() {
            state.accept();
        }
        Ok(Attempt::Answered(reply))
    }

    /// Asks with a token if the registry is known to want one, or says so now.
    async fn ask_with_token(
        &self,
        registry: &RegistryState,
        request: &Exchange<'_>,
        challenge: Option<Challenge>,
        asker: Asker<'_>,
    ) -> Result<Attempt, Problem> {
        let mut token = None;
        if let Some(challenge @ Challenge::Bearer { .. }) = &challenge {
            match self.token(registry, challenge, request, asker, None).await {
                Ok(found) => token = Some(found),
                Err(problem) if problem.is_about_limits() => return Err(problem),
                Err(problem) if self.has_changed(registry, request, challenge).await? => {
                    return Ok(Attempt::Outdated(problem));
                }
                Err(problem) => return denied(problem),
            }
        }
        let reply = self.send_with(registry, request, asker, token.as_ref()).await?;
        if reply.status != StatusCode::UNAUTHORIZED {
            if let Some(challenge) = challenge.filter(|_| reply.status.is_success()) {
                registry.confirm_challenge(&challenge);
            }
            return Ok(Attempt::Answered(reply));
        }
        let Some(offered) = Challenge::parse(&reply.all("www-authenticate")) else {
            return Ok(Attempt::Denied(reply.refusal(Who::Registry)));
        };
        if is_own(registry, &reply) {
            self.hear_challenge(registry, &offered)?;
        }
        if offered == Challenge::Basic {
            let refusal = reply.refusal(Who::Registry);
            let is_outdated = token.is_some() && asker.is_some();
            return Ok(if is_outdated {
                Attempt::Outdated(refusal)
            } else {
                Attempt::Denied(refusal)
            });
        }
        // A token that was never accepted is not stale: it does not suffice, and another would not either, unless it is
        // fetched elsewhere.
        let is_insufficient = token.as_ref().is_some_and(|token| !token.was_accepted());
        if is_insufficient && challenge.as_ref() == Some(&offered) {
            return Ok(Attempt::Denied(reply.refusal(Who::Registry)));
        }
        let token = match self
            .token(registry, &offered, request, asker, token.as_ref())
            .await
        {
            Ok(token) => token,
            Err(problem) => return denied(problem),
        };
        let reply = self.send_with(registry, request, asker, Some(&token)).await?;
        Ok(match reply.status {
            StatusCode::UNAUTHORIZED => Attempt::Denied(reply.refusal(Who::Registry)),
            _ => Attempt::Answered(reply),
        })
    }

    /// Sends the request with this token, and notes whether that was accepted.
    async fn send_with(
        &self,
        registry: &RegistryState,
        request: &Exchange<'_>,
        asker: Asker<'_>,
        token: Option<&Token>,
    ) -> Result<Reply, Problem> {
        let header = token.map(|token| &token.header);
        let reply = self.send(registry, name_of(asker), request, header).await?;
        let is_accepted = reply.status != StatusCode::UNAUTHORIZED && is_own(registry, &reply);
        if let Some(token) = token.filter(|_| is_accepted) {
            token.accept();
        }
        Ok(reply)
    }
}

/// From now on the credential is not shown to this registry.
pub(super) fn reject(registry: &RegistryState, credential: &Credential, state: &LoginState) -> Problem {
    let now = Timestamp::now();
    let until = whole_seconds(now.checked_add(QUARANTINE).unwrap_or(now));
    state.leave_alone(until);
    tracing::warn!(registry = registry.name, %credential, %until, "a login was rejected and is left alone");
    left_alone(credential, until)
}

/// Whether the registry itself has answered: a host that we were redirected to has not seen the credential, and judges
/// nobody.
pub(super) fn is_own(registry: &RegistryState, reply: &Reply) -> bool {
    reply.url.origin() == registry.base.origin()
}

pub(super) fn left_alone(credential: &Credential, until: Timestamp) -> Problem {
    Problem::LoginRejected {
        credential: credential.to_string(),
        until,
    }
}

/// Whoever got an answer before, then anybody and the holders in their order.
fn order<'a>(registry: &RegistryState, path: &str, credentials: &'a [Arc<Credential>]) -> Vec<Asker<'a>> {
    let mut order: Vec<Asker<'a>> = credentials.iter().map(Some).collect();
    let anybody_at = match registry.challenge() {
        Some(Challenge::Basic) => order.len(),
        Some(Challenge::Bearer { .. }) | None if registry.is_private(path) => order.len(),
        Some(Challenge::Bearer { .. }) | None => 0,
    };
    order.insert(anybody_at, None);
    if let Some(opener) = registry.opener(path)
        && let Some(at) = order.iter().position(|asker| name_of(*asker) == opener)
    {
        let opener = order.remove(at);
        order.insert(0, opener);
    }
    order
}

/// Being turned away is an answer; everything else ends the question.
fn denied(problem: Problem) -> Result<Attempt, Problem> {
    let is_denial = match &problem {
        Problem::LoginRejected { .. } => true,
        Problem::Refused { status, .. } => matches!(status.as_u16(), 400 | 401 | 403 | 404 | 405),
        Problem::Denied { .. }
        | Problem::RateLimited { .. }
        | Problem::Deferred { .. }
        | Problem::OverBudget { .. }
        | Problem::GivenUp { .. }
        | Problem::Timeout { .. }
        | Problem::Connection { .. }
        | Problem::Tls { .. }
        | Problem::Untrusted(_)
        | Problem::Protocol(_)
        | Problem::TooLarge { .. }
        | Problem::TooManyPages(_)
        | Problem::TooManyTags(_) => false,
    };
    if is_denial {
        Ok(Attempt::Denied(problem))
    } else {
        Err(problem)
    }
}

/// What was said to those who asked in vain.
#[derive(Default)]
struct Heard {
    /// Somebody has used up what the registry allows him. What he would have been told, nobody knows.
    limit: Option<Problem>,
    not_found: Option<Reply>,
    /// To anybody.
    anonymous: Option<Problem>,
    /// To a holder: a login that was rejected before one that may not read this repository.
    holder: Option<Problem>,
}

impl Heard {
    fn denied(&mut self, asker: Asker<'_>, problem: Problem) {
        let is_rejected = |problem: &Problem| matches!(problem, Problem::LoginRejected { .. });
        match (asker, &self.holder) {
            (None, _) => self.anonymous = Some(problem),
            (Some(_), Some(earlier)) if is_rejected(earlier) || !is_rejected(&problem) => {}
            (Some(_), _) => self.holder = Some(problem),
        }
    }

    /// Whether this asker was shown what anybody was refused, or was told is not there.
    fn nobody_but_holders(&self, asker: Asker<'_>) -> bool {
        asker.is_some() && (self.anonymous.is_some() || self.not_found.is_some())
    }

    /// A holder who was turned away might have seen what others were told is not there. What anybody is refused says
    /// nothing once a holder was answered.
    fn conclude(self, credentials: usize) -> Result<Reply, Problem> {
        if let Some(problem) = self.limit {
            return Err(problem);
        }
        let refusal = match (self.holder, self.not_found, self.anonymous) {
            (Some(problem), _, _) | (None, None, Some(problem)) => problem,
            (None, Some(reply), _) => return Ok(reply),
            (None, None, None) => Problem::Protocol("the registry was not asked".to_owned()),
        };
        Err(Problem::Denied {
            refusal: Box::new(refusal),
            askers: Askers(credentials),
        })
    }
}
