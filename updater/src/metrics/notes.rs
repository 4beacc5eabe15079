//! What comes of asking for release notes. Servers are named by their kind, of which there are four, and never by their host.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use shared::domain::release_notes::source::Forge;
use strum::VariantNames as _;

use super::NoLabels;
use super::results::NotesResult;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AskedLabels {
    forge: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ForgeLabel {
    forge: &'static str,
}

#[derive(Debug, Default)]
pub(super) struct Notes {
    asked: Family<AskedLabels, Counter>,
    requests_left: Family<ForgeLabel, Gauge>,
    oldest_unanswered_age: Family<NoLabels, Gauge>,
    /// The age grows between two looks, so it is worked out when somebody asks.
    oldest_unanswered: Mutex<Option<Timestamp>>,
}

impl Notes {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "release_notes",
            "Questions about release notes, by kind of server and what came of them; failed ones are asked again",
            self.asked.clone(),
        );
        registry.register(
            "release_notes_requests_left",
            "Requests that the server of this kind that was asked last allows for now, where it says so",
            self.requests_left.clone(),
        );
        registry.register_with_unit(
            "release_notes_oldest_unanswered_age",
            "For how long the release notes are wanted that nobody has answered for, of those that wait longest",
            Unit::Seconds,
            self.oldest_unanswered_age.clone(),
        );
    }

    /// Counters that are there from the start can be seen to grow by their first event.
    pub(super) fn begin(&self) {
        for forge in Forge::VARIANTS {
            for result in NotesResult::VARIANTS {
                self.asked.get_or_create_owned(&AskedLabels { forge, result });
            }
        }
    }

    pub(super) fn asked(&self, forge: Forge, result: NotesResult) {
        let labels = AskedLabels {
            forge: forge.into(),
            result: result.into(),
        };
        self.asked.get_or_create(&labels).inc();
    }

    pub(super) fn set_requests_left(&self, forge: Forge, left: i64) {
        let forge = forge.into();
        self.requests_left.get_or_create(&ForgeLabel { forge }).set(left);
    }

    pub(super) fn set_oldest_unanswered(&self, since: Option<Timestamp>) {
        self.oldest_unanswered_age.get_or_create(&[]).set(0);
        *self.oldest() = since;
    }

    pub(super) fn clear(&self) {
        self.requests_left.clear();
        self.oldest_unanswered_age.clear();
        *self.oldest() = None;
    }

    fn oldest(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.oldest_unanswered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Works out what depends on the moment.
    pub(super) fn grow_to(&self, now: Timestamp) {
        let oldest = *self.oldest();
        if let Some(since) = oldest {
            let age = now.duration_since(since).as_secs();
            self.oldest_unanswered_age.get_or_create(&[]).set(age.max(0));
        }
    }
}
