//! One request to a registry: pace, repetition, cool-down, and bodies of bounded size.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use secrecy::ExposeSecret as _;
use tokio::sync::Semaphore;

use super::access::Name;
use super::clients::Clients;
use super::endpoint;
use super::exchange::{Exchange, Reply};
use super::options::RegistryClientOptions;
use super::problem::{Problem, Quoted, Who};
use super::restraint::{self, Refusal};
use super::state::RegistryState;
use super::usage::RequestKind;

#[derive(Debug)]
pub(super) struct Transport {
    clients: Clients,
    /// Of registries with certificate authorities or a proxy of their own.
    special: BTreeMap<String, Clients>,
    pub(super) options: RegistryClientOptions,
    everywhere: Semaphore,
    registries: Mutex<BTreeMap<String, Arc<RegistryState>>>,
}

impl Transport {
    pub(super) fn new(options: RegistryClientOptions) -> Result<Self, reqwest::Error> {
        shared::io::tls::init();
        let clients = Clients::new(&options, None)?;
        let mut special = BTreeMap::new();
        for (registry, settings) in options
            .registries
            .iter()
            .filter(|(_, settings)| settings.connects_otherwise())
        {
            special.insert(registry.to_owned(), Clients::new(&options, Some(settings))?);
        }
        let everywhere = Semaphore::new(options.concurrency.max(1));
        Ok(Self {
            clients,
            special,
            options,
            everywhere,
            registries: Mutex::default(),
        })
    }

    /// What is remembered about the registry.
    pub(super) fn registry(&self, name: &str) -> Result<Arc<RegistryState>, Problem> {
        let name = name.to_ascii_lowercase();
        let mut registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = registries.get(&name) {
            return Ok(Arc::clone(known));
        }
        let state = Arc::new(RegistryState::new(&name, &self.options)?);
        registries.insert(name, Arc::clone(&state));
        Ok(state)
    }

    /// The clients that a registry is asked with.
    fn clients(&self, registry: &RegistryState) -> &Clients {
        self.special.get(&registry.name).unwrap_or(&self.clients)
    }

    pub(super) fn registries(&self) -> Vec<Arc<RegistryState>> {
        self.registries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Sends the request in this name, again after a 5xx answer or a broken connection. Answers with any status but 429 and
    /// 5xx.
    pub(super) async fn send(
        &self,
        registry: &RegistryState,
        name: Name,
        request: &Exchange<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Reply, Problem> {
        let who = if request.kind == RequestKind::Token {
            Who::TokenService
        } else {
            Who::Registry
        };
        let mut attempt = 0;
        loop {
            let problem = match self
                .send_once(registry, name, request, authorization, attempt > 0)
                .await
            {
                Ok(reply) if reply.status == StatusCode::TOO_MANY_REQUESTS => {
                    return Err(self.rate_limited(registry, name, &reply, who));
                }
                Ok(reply) if reply.status.is_server_error() => unavailable(registry, &reply, who),
                Ok(reply) => {
                    registry.answered(name, request.kind, Timestamp::now());
                    return Ok(reply);
                }
                Err(problem) => problem,
            };
            let is_last = attempt >= self.options.retries;
            if is_last || !is_worth_repeating(&problem) || !registry.may_repeat() {
                return Err(problem);
            }
            tracing::debug!(registry = registry.name, %problem, attempt, "asking again");
            tokio::time::sleep(backoff(self.options.retry_base, attempt, random_fraction())).await;
            attempt += 1;
        }
    }

    /// Waits for its turn, sends the request once and reads the answer.
    async fn send_once(
        &self,
        registry: &RegistryState,
        name: Name,
        request: &Exchange<'_>,
        authorization: Option<&HeaderValue>,
        repeated: bool,
    ) -> Result<Reply, Problem> {
        let check = || {
            registry.accounts(|accounts| accounts.check(name, Timestamp::now()))?;
            registry.check_outage(request.kind)
        };
        check()?;
        // The semaphores are never closed, so these are permits. The scarce, global one is not held while waiting.
        let _here = registry.permits.acquire().await;
        registry.pacer.turn().await;
        let _everywhere = self.everywhere.acquire().await;
        // Another request may have been told to slow down while this one waited, or the last of many without an answer.
        check()?;

        if let RequestKind::Manifest(purpose) = request.kind {
            registry.spend_pull(name, purpose, Timestamp::now())?;
        }
        registry.count(request.kind, repeated);
        let sent = Instant::now();
        let response = self.respond(registry, request, authorization, sent).await;
        if matches!(request.kind, RequestKind::Manifest(_)) {
            registry.accounts(|accounts| accounts.pull_answered(name));
        }
        let heard = |problem| {
            registry.silent(request.kind, &problem, sent);
            problem
        };
        let response = response.map_err(heard)?;
        registry.note_pull_limit(name, response.headers(), Timestamp::now());
        let reply = self.read(response, request, sent).await.map_err(heard)?;
        registry.spoke(request.kind);
        Ok(reply)
    }

    /// Sends the request, and on to where it is redirected. A login is redirected nowhere: a form would go along to any host.
    async fn respond(
        &self,
        registry: &RegistryState,
        request: &Exchange<'_>,
        mut authorization: Option<&HeaderValue>,
        sent: Instant,
    ) -> Result<Response, Problem> {
        let is_login =
            request.kind == RequestKind::Token && (authorization.is_some() || request.form.is_some());
        let (clients, special) = (self.clients(registry), self.options.registries.of(&registry.name));
        let mut url = request.url.clone();
        let mut redirects = 0;
        loop {
            let is_token_service = request.kind == RequestKind::Token && url.host() == request.url.host();
            let http = if is_login {
                clients.logins(&self.options, special).await?
            } else if is_token_service || url.host() == registry.base.host() {
                clients.named()
            } else {
                clients
                    .led_to(&self.options, special, &registry.base, &url)
                    .await?
            };
            let left = self.options.request_timeout.saturating_sub(sent.elapsed());
            let builder = http.request(request.method.clone(), url.clone()).timeout(left);
            let response = with_headers(builder, request, authorization).send().await;
            let response = response.map_err(|error| self.failed(&error, sent))?;
            let Some(next) = target(&response).filter(|_| !is_login) else {
                return Ok(response);
            };
            redirects += 1;
            endpoint::check_redirect(&request.url, &next, redirects).map_err(Problem::Untrusted)?;
            if next.origin() != url.origin() {
                authorization = None;
            }
            url = next;
            // What it says beside the way does not matter, unless it is left unread.
            drop(self.read(response, request, sent).await);
        }
    }

    /// Reads the body to its end: HTTP/2 connections are closed by servers when bodies are dropped too often.
    async fn read(
        &self,
        mut response: Response,
        request: &Exchange<'_>,
        sent: Instant,
    ) -> Result<Reply, Problem> {
        let (status, url) = (response.status(), response.url().clone());
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        let limit = if status.is_success() {
            request.limit
        } else {
            self.options.max_small_bytes
        };
        let failed = |error| self.failed(&error, sent);
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > limit {
                if status.is_success() {
                    return Err(Problem::TooLarge {
                        what: request.what,
                        limit,
                    });
                }
                // The status is worth more than the rest of the explanation.
                break;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            status,
            headers,
            url,
            body,
            took: sent.elapsed(),
        })
    }

    fn failed(&self, error: &reqwest::Error, sent: Instant) -> Problem {
        Problem::of(error, self.options.request_timeout, sent.elapsed())
    }

    fn rate_limited(&self, registry: &RegistryState, name: Name, reply: &Reply, who: Who) -> Problem {
        let message = Quoted::from_body(&reply.body);
        let refusal = Refusal {
            stopped: restraint::stopped(registry.counts_pulls(), &reply.body),
            named: reply.retry_at(),
            reason: message.clone().into(),
        };
        let stopped = refusal.stopped;
        let (shortest, now) = (self.shortest_wait(reply, random_fraction()), Timestamp::now());
        let retry_at = registry.accounts(|accounts| accounts.refuse(name, refusal, shortest, now));
        tracing::warn!(registry = registry.name, %retry_at, ?stopped, "the registry says there are too many requests");
        Problem::RateLimited {
            who,
            message,
            retry_at,
        }
    }

    /// The wait after a 429 that names none and is the first.
    fn shortest_wait(&self, reply: &Reply, fraction: f64) -> Duration {
        if reply.body.is_empty() {
            self.options.wordless_cool_down.mul_f64(1.0 + fraction / 2.0)
        } else {
            self.options.default_cool_down
        }
    }
}

fn with_headers(
    mut builder: RequestBuilder,
    request: &Exchange<'_>,
    authorization: Option<&HeaderValue>,
) -> RequestBuilder {
    builder = builder.header(ACCEPT, HeaderValue::from_static(request.accept));
    if let Some(authorization) = authorization {
        builder = builder.header(AUTHORIZATION, authorization.clone());
    }
    if let Some(form) = &request.form {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        builder = builder
            .header(CONTENT_TYPE, kind)
            .body(form.expose_secret().to_owned());
    }
    builder
}

/// Where a redirect leads, if it is one and says so.
fn target(response: &Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let mut target = response.url().join(location).ok()?;
    // Whoever sends us to another host gives us no login for it.
    target.set_username("").ok()?;
    target.set_password(None).ok()?;
    Some(target)
}

/// A registry that names a time is left alone until then.
fn unavailable(registry: &RegistryState, reply: &Reply, who: Who) -> Problem {
    let problem = reply.refusal(who);
    if let Some(until) = problem.retry_at() {
        let reason = format!("{}{}", reply.status, Quoted::from_body(&reply.body));
        registry.accounts(|accounts| accounts.leave_alone(until, reason));
    }
    problem
}

/// A 5xx that names a time is obeyed, not repeated.
fn is_worth_repeating(problem: &Problem) -> bool {
    match problem {
        Problem::Connection { .. } => true,
        Problem::Refused { status, retry_at, .. } => {
            matches!(status.as_u16(), 500 | 502 | 503 | 504) && retry_at.is_none()
        }
        Problem::RateLimited { .. }
        | Problem::Deferred { .. }
        | Problem::OverBudget { .. }
        | Problem::LoginRejected { .. }
        | Problem::Denied { .. }
        | Problem::GivenUp { .. }
        | Problem::Timeout { .. }
        | Problem::Tls { .. }
        | Problem::Untrusted(_)
        | Problem::Protocol(_)
        | Problem::TooLarge { .. }
        | Problem::TooManyPages(_)
        | Problem::TooManyTags(_) => false,
    }
}

/// The wait before repetition number `attempt` (from 0): a random part of a time that doubles.
fn backoff(base: Duration, attempt: u32, fraction: f64) -> Duration {
    base.saturating_mul(2_u32.saturating_pow(attempt))
        .mul_f64(fraction)
}

/// A number between 0 and 1, to spread clients that failed at the same moment. Not for secrets.
fn random_fraction() -> f64 {
    let bits = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(bits >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_and_never_exceeds_its_bound() {
        let base = Duration::from_millis(500);
        assert_eq!(backoff(base, 0, 1.0), base);
        assert_eq!(backoff(base, 1, 1.0), Duration::from_secs(1));
        assert_eq!(backoff(base, 1, 0.0), Duration::ZERO);
        for _ in 0..100 {
            assert!((0.0..=1.0).contains(&random_fraction()));
        }
    }
}
