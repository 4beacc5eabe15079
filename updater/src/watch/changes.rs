//! What happens to the objects of a watch, without an end: kube's watcher, and what is done where it breaks.
//!
//! A watch that cannot be begun is asked for again by kube from the same revision on, whatever the answer was. A server that no longer
//! has that revision, or does not have it yet after its store was restored, would be asked the same for ever: then all is listed
//! anew, as client-go does it.

use std::future::ready;
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use kube::core::Status;
use kube::runtime::utils::Backoff as _;
use kube::runtime::watcher as watch;
use kube::runtime::watcher::{self, Config, DefaultBackoff, Error, Event};
use shared::io::client::explain;
use shared::io::source::{self, Apart, Source, Unreadable};
use tokio::time::{Instant, sleep};

use super::Object;

/// A watch that has been breaking for so long without bringing anything is begun anew, whatever the reasons: a list says whether the
/// cluster can be seen.
const PATIENCE: Duration = Duration::from_mins(1);

/// All that happens. After an error comes a pause, which grows with each one until a change is seen or nothing fails for two minutes:
/// a list that works is no reason to begin with short pauses, as it is the dear part where only the watch is refused.
pub(super) fn changes<K: Object>(
    source: Source<K>,
    config: Config,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send {
    let changes = Changes {
        running: begun(&source, false, config.clone()),
        source,
        reads_apart: false,
        config,
        backoff: DefaultBackoff::default(),
        pause: None,
        trouble: Trouble::default(),
    };
    stream::unfold(changes, |mut changes| async move {
        let event = changes.next().await?;
        Some((event, changes))
    })
}

struct Changes<K: Object> {
    source: Source<K>,
    /// Whether each object is read by itself, as something could not be read.
    reads_apart: bool,
    config: Config,
    running: BoxStream<'static, watcher::Result<Event<K>>>,
    backoff: DefaultBackoff,
    /// What is still to be waited for.
    pause: Option<Duration>,
    trouble: Trouble,
}

impl<K: Object> Changes<K> {
    async fn next(&mut self) -> Option<watcher::Result<Event<K>>> {
        if let Some(pause) = self.pause.take() {
            sleep(pause).await;
        }
        let event = self.running.next().await?;
        match &event {
            Ok(event) => {
                self.trouble.works(event);
                if matches!(event, Event::Apply(_) | Event::Delete(_)) {
                    self.backoff.reset();
                }
            }
            Err(error) => {
                self.pause = self.backoff.next();
                let is_first_unreadable = is_unreadable(error) && !self.reads_apart;
                self.reads_apart |= is_first_unreadable;
                if self.trouble.begins_anew(error, Instant::now()) || is_first_unreadable {
                    self.running = begun(&self.source, self.reads_apart, self.config.clone());
                }
            }
        }
        Some(event)
    }
}

/// A list, and what happens from then on.
fn begun<K: Object>(
    source: &Source<K>,
    reads_apart: bool,
    config: Config,
) -> BoxStream<'static, watcher::Result<Event<K>>> {
    if reads_apart {
        let events = watch(source.apart.clone(), config);
        events.filter_map(|event| ready(readable(event))).boxed()
    } else {
        watch(source.api.clone(), config).boxed()
    }
}

/// What happens to what can be read. All else is not there.
fn readable<K: Object>(event: watcher::Result<Event<Apart<K>>>) -> Option<watcher::Result<Event<K>>> {
    let event = match event {
        Ok(event) => event,
        Err(error) => return Some(Err(error)),
    };
    Some(Ok(match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(Apart(Ok(object))) => Event::InitApply(object),
        Event::Apply(Apart(Ok(object))) => Event::Apply(object),
        Event::Delete(Apart(Ok(object))) => Event::Delete(object),
        Event::InitApply(Apart(Err(bad))) => {
            bad.left_alone::<K>();
            return None;
        }
        Event::Apply(Apart(Err(bad))) => {
            bad.left_alone::<K>();
            Event::Delete(known_of(bad))
        }
        Event::Delete(Apart(Err(bad))) => Event::Delete(known_of(bad)),
    }))
}

fn known_of<K: Object>(bad: Unreadable) -> K {
    let mut object = K::default();
    *object.meta_mut() = bad.metadata;
    object
}

fn is_unreadable(error: &Error) -> bool {
    match error {
        Error::InitialListFailed(error) | Error::WatchStartFailed(error) | Error::WatchFailed(error) => {
            source::is_unreadable(error)
        }
        Error::WatchError(_) | Error::NoResourceVersion => false,
    }
}

/// Since when a watch has brought errors and nothing else.
#[derive(Debug, Default)]
struct Trouble {
    since: Option<Instant>,
}

impl Trouble {
    fn works<K>(&mut self, event: &Event<K>) {
        match event {
            // Said before anything was asked for, or while a list may still break off.
            Event::Init | Event::InitApply(_) => {}
            Event::InitDone | Event::Apply(_) | Event::Delete(_) => self.since = None,
        }
    }

    /// Whether the watch has to be begun anew, with a list, after this error.
    fn begins_anew(&mut self, error: &Error, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        is_lost(error) || now.duration_since(since) >= PATIENCE
    }
}

/// Whether asking again from the same revision on is of no use. Of what is refused, only what a server says that is in trouble
/// passes by itself.
fn is_lost(error: &Error) -> bool {
    refusal(error).is_some_and(|status| !matches!(status.code, 429 | 500 | 502 | 503))
}

/// 410: the server keeps changes for some minutes only, so this is how a quiet watch ends now and then.
pub(super) fn is_expired(error: &Error) -> bool {
    refusal(error).is_some_and(|status| status.code == 410)
}

/// What the server says instead of what happens. To kube a watch has begun and failed that was answered with an error.
fn refusal(error: &Error) -> Option<&Status> {
    match error {
        Error::WatchError(status)
        | Error::WatchStartFailed(kube::Error::Api(status))
        | Error::WatchFailed(kube::Error::Api(status)) => Some(status),
        // No answer at all, or one that broke off. Where a list fails, kube begins a new one.
        Error::WatchStartFailed(_)
        | Error::WatchFailed(_)
        | Error::InitialListFailed(_)
        | Error::NoResourceVersion => None,
    }
}

/// What broke, on what, and what to do.
pub(super) fn problem(name: &str, error: &Error) -> String {
    match error {
        Error::InitialListFailed(source) => explain(&format!("reading {name}"), source),
        Error::WatchStartFailed(source) | Error::WatchFailed(source) => {
            explain(&format!("watching {name}"), source)
        }
        Error::WatchError(status) => {
            format!("watching {name}: {} ({})", status.message, status.code)
        }
        Error::NoResourceVersion => format!("watching {name}: the server sent no resourceVersion"),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn status(code: u16) -> Box<Status> {
        Box::new(Status::failure("no", "No").with_code(code))
    }

    #[test]
    fn what_a_server_in_trouble_says_is_asked_again_and_all_else_is_listed_anew() {
        for (code, is_anew) in [
            (429, false),
            (500, false),
            (502, false),
            (503, false),
            // Too large a revision.
            (504, true),
            (410, true),
            (400, true),
            (403, true),
        ] {
            for error in [
                Error::WatchStartFailed(kube::Error::Api(status(code))),
                Error::WatchFailed(kube::Error::Api(status(code))),
                Error::WatchError(status(code)),
            ] {
                let anew = Trouble::default().begins_anew(&error, Instant::now());
                assert_eq!(anew, is_anew, "{error}");
            }
        }
    }

    #[test]
    fn what_breaks_for_a_minute_without_bringing_anything_is_listed_anew() {
        let begun = Instant::now();
        let broken = Error::WatchStartFailed(kube::Error::Api(status(500)));
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut trouble = Trouble::default();
        assert!(!trouble.begins_anew(&broken, begun));
        trouble.works(&Event::<ConfigMap>::Init);
        assert!(!trouble.begins_anew(&broken, after(59)));
        assert!(trouble.begins_anew(&broken, after(60)));
        assert!(trouble.begins_anew(&broken, after(61)));
        trouble.works(&Event::<ConfigMap>::InitDone);
        assert!(!trouble.begins_anew(&broken, after(62)));
        assert!(!trouble.begins_anew(&broken, after(121)));
        trouble.works(&Event::Apply(ConfigMap::default()));
        assert!(!trouble.begins_anew(&broken, after(122)));
    }
}
