//! Misbehaviour on demand: rules a test installs on the running server, each counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;

use super::error::ApiError;

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The connection breaks before the request is handled.
    DropBefore,
    /// The request is handled, then the connection breaks: the write happened, its answer is lost.
    DropAfter,
    /// This error is answered instead.
    Answer(ApiError),
    /// The request waits before it is handled (real time). When the client goes away meanwhile, it never is.
    Delay(Duration),
    /// The request is handled and its answer is held back (real time).
    DelayAnswer(Duration),
    /// A watch breaks off in the middle after this time (real time).
    CutWatch(Duration),
    /// A get or list answers from the state this many revisions ago.
    StaleRead(u64),
    /// A get or list answers from the state at this revision.
    ReadAt(u64),
}

impl Fault {
    /// 409 with the words of a lost race.
    pub fn conflict() -> Self {
        let message = "Operation cannot be fulfilled: the object has been modified; please apply your changes \
             to the latest version and try again";
        Self::Answer(ApiError::new(StatusCode::CONFLICT, "Conflict", message))
    }

    /// 403, as without the right to.
    pub fn forbidden() -> Self {
        let message = "this is forbidden: the rules do not allow it";
        Self::Answer(ApiError::new(StatusCode::FORBIDDEN, "Forbidden", message))
    }

    /// 410, as for a resourceVersion that is too old.
    pub fn gone() -> Self {
        Self::Answer(ApiError::expired("too old resource version"))
    }

    /// 429 with `Retry-After` in seconds.
    pub fn too_many_requests(retry_after: u64) -> Self {
        let message = "the server has received too many requests and has asked us to try again later";
        let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        Self::Answer(ApiError {
            retry_after: Some(retry_after),
            ..error
        })
    }

    /// 500.
    pub fn internal() -> Self {
        let message = "Internal error occurred: etcdserver: request timed out";
        Self::Answer(ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            message,
        ))
    }

    /// 503.
    pub fn unavailable() -> Self {
        let message = "the server is currently unable to handle the request";
        Self::Answer(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            message,
        ))
    }
}

/// Which requests a fault strikes. Every matcher that is not set matches everything.
#[derive(Debug, Clone)]
pub struct FaultRule {
    fault: Fault,
    user: Option<String>,
    verb: Option<String>,
    resource: Option<String>,
    except: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    only_writes: bool,
    skip: u64,
    times: u64,
}

/// What the rules look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) user: &'a str,
    pub(super) verb: &'a str,
    pub(super) resource: &'a str,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

impl FaultRule {
    /// Strikes every request until narrowed down.
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            user: None,
            verb: None,
            resource: None,
            except: None,
            namespace: None,
            name: None,
            only_writes: false,
            skip: 0,
            times: u64::MAX,
        }
    }

    /// Only requests of users whose name contains this.
    #[must_use]
    pub fn user(mut self, part: impl Into<String>) -> Self {
        self.user = Some(part.into());
        self
    }

    /// Only this verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    #[must_use]
    pub fn verb(mut self, verb: impl Into<String>) -> Self {
        self.verb = Some(verb.into());
        self
    }

    /// Only what changes something, but for leases, which are renewed as time goes by.
    #[must_use]
    pub fn writes(mut self) -> Self {
        self.only_writes = true;
        self
    }

    /// Only this resource: `deployments`, `deployments/scale`.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// Any resource but this one.
    #[must_use]
    pub fn not_resource(mut self, resource: impl Into<String>) -> Self {
        self.except = Some(resource.into());
        self
    }

    /// Only this namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Only this object.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Only the n-th matching request, counted from 1.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        self.after(n.saturating_sub(1)).times(1)
    }

    /// Lets the first `count` matching requests pass.
    #[must_use]
    pub fn after(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Strikes at most this often.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = count;
        self
    }

    fn matches(&self, facts: Facts<'_>) -> bool {
        let equal =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let writes = !matches!(facts.verb, "get" | "list" | "watch") && facts.resource != "leases";
        (writes || !self.only_writes)
            && self.user.as_deref().is_none_or(|part| facts.user.contains(part))
            && equal(&self.verb, facts.verb)
            && equal(&self.resource, facts.resource)
            && self.except.as_deref() != Some(facts.resource)
            && equal(&self.namespace, facts.namespace)
            && equal(&self.name, facts.name)
    }
}

/// A rule on the server, with its counts.
#[derive(Debug)]
pub struct InstalledFault {
    rule: FaultRule,
    matched: AtomicU64,
    struck: AtomicU64,
    last: Mutex<Option<String>>,
}

impl InstalledFault {
    /// How many requests matched.
    pub fn matched(&self) -> u64 {
        self.matched.load(Ordering::SeqCst)
    }

    /// How many requests were struck.
    pub fn struck(&self) -> u64 {
        self.struck.load(Ordering::SeqCst)
    }

    /// Verb and resource of the request that was struck last, such as `patch deployments`.
    pub fn last_struck(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who finds it counted finds what it was.
    fn strikes(&self, facts: Facts<'_>) {
        let struck = format!("{} {}", facts.verb, facts.resource);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(struck);
        self.struck.fetch_add(1, Ordering::SeqCst);
    }
}

/// The rules of one server; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Vec<Arc<InstalledFault>>>>);

impl Faults {
    /// Adds a rule; it stays until [`Faults::clear`].
    pub fn install(&self, rule: FaultRule) -> Arc<InstalledFault> {
        let installed = Arc::new(InstalledFault {
            rule,
            matched: AtomicU64::new(0),
            struck: AtomicU64::new(0),
            last: Mutex::default(),
        });
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&installed));
        installed
    }

    /// Removes every rule.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The faults that strike this request, in the order of their installation.
    pub(super) fn strike(&self, facts: Facts<'_>) -> Vec<Fault> {
        let rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rules
            .iter()
            .filter(|installed| installed.rule.matches(facts))
            .filter(|installed| {
                let before = installed.matched.fetch_add(1, Ordering::SeqCst);
                let rule = &installed.rule;
                let strikes = before >= rule.skip && before - rule.skip < rule.times;
                if strikes {
                    installed.strikes(facts);
                }
                strikes
            })
            .map(|installed| installed.rule.fault.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: Facts<'static> = Facts {
        user: "system:serviceaccount:kubefresh:updater",
        verb: "patch",
        resource: "deployments",
        namespace: "shop",
        name: "web",
    };

    #[test]
    fn only_the_chosen_call_is_struck_and_all_are_counted() {
        let faults = Faults::default();
        let rule = FaultRule::new(Fault::DropAfter)
            .user("updater")
            .verb("patch")
            .resource("deployments");
        let installed = faults.install(rule.nth(2));
        let struck: Vec<usize> = (0..3).map(|_| faults.strike(PATCH).len()).collect();
        assert_eq!(struck, [0, 1, 0]);
        assert!(faults.strike(Facts { verb: "get", ..PATCH }).is_empty());
        assert_eq!((installed.matched(), installed.struck()), (3, 1));
        assert_eq!(installed.last_struck().as_deref(), Some("patch deployments"));
    }

    #[test]
    fn a_rule_for_all_but_one_resource_lets_that_one_pass_and_does_not_count_it() {
        let faults = Faults::default();
        let installed = faults.install(FaultRule::new(Fault::DropAfter).not_resource("leases").nth(2));
        let struck = ["deployments", "leases", "events"]
            .map(|resource| faults.strike(Facts { resource, ..PATCH }).len());
        assert_eq!(struck, [0, 0, 1]);
        assert_eq!(installed.matched(), 2);
        assert_eq!(installed.last_struck().as_deref(), Some("patch events"));
    }

    #[test]
    fn a_rule_for_writes_lets_pass_what_reads_and_renews() {
        let faults = Faults::default();
        faults.install(FaultRule::new(Fault::DropAfter).writes());
        let struck = [
            PATCH,
            Facts {
                verb: "create",
                ..PATCH
            },
            Facts {
                verb: "watch",
                ..PATCH
            },
            Facts {
                resource: "leases",
                ..PATCH
            },
        ]
        .map(|facts| faults.strike(facts).len());
        assert_eq!(struck, [1, 1, 0, 0]);
    }

    #[test]
    fn cleared_rules_strike_no_more() {
        let faults = Faults::default();
        faults.install(FaultRule::new(Fault::unavailable()));
        faults.clear();
        assert!(faults.strike(PATCH).is_empty());
    }
}
