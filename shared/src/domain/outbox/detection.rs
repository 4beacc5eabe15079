//! Which workloads are new, and whose images somebody else has changed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Channel, Outbox, Waiting};
use crate::domain::hash::short_hash;
use crate::domain::message::{EventType, Message};
use crate::domain::plan::{Assessment, Verdict};

/// How many detections may wait at a time: a large cluster is told of bit by bit.
const MOST_WAITING: usize = 100;
/// How many workloads are remembered, at some 30 bytes each; of more nothing is told.
const MOST_REMEMBERED: usize = 12_000;

impl Outbox {
    /// Enters a message for each workload that is watched and was not, and for each whose images somebody changed other than
    /// we. What a rollout of ours has changed is taken note of in silence: its marker says what was there before.
    /// Returns what had to go for it. Where `may_tell` is false, what there is to tell is left to a later look.
    pub fn detect(
        &mut self,
        channel: Channel,
        assessments: &[&Assessment],
        may_tell: bool,
        now: Timestamp,
    ) -> Vec<Waiting> {
        let mut dropped = Vec::new();
        let mut room = if may_tell { self.room() } else { 0 };
        let mut present = BTreeSet::new();
        for assessment in assessments {
            let key = short_hash(&assessment.workload.uid, 16);
            let images = watched_images(assessment);
            let hash = fingerprint(&images);
            let before = self.detected.get(&key).cloned();
            present.insert(key.clone());
            if images.is_empty() || before.as_ref() == Some(&hash) {
                continue;
            }
            if before.is_none() || before != before_our_rollout(assessment, &images) {
                if room == 0 || (before.is_none() && self.detected.len() >= MOST_REMEMBERED) {
                    continue;
                }
                room -= 1;
                let message = Message::detected(assessment, &images, before.as_deref(), now);
                dropped.extend(self.enter(channel, message, now));
            }
            self.detected.insert(key, hash);
            self.changed = true;
        }
        let known = self.detected.len();
        self.detected.retain(|key, _| present.contains(key));
        self.changed |= self.detected.len() < known;
        dropped
    }

    fn room(&self) -> usize {
        let detections = self
            .waiting
            .iter()
            .filter(|waiting| waiting.message.event == EventType::DeploymentDetected);
        MOST_WAITING.saturating_sub(detections.count())
    }
}

/// By container. Nobody asked for one that is passed over, and a rollout under way does not show it.
fn watched_images(assessment: &Assessment) -> BTreeMap<&str, &str> {
    let watched = assessment
        .containers
        .iter()
        .filter(|entry| !matches!(entry.verdict, Verdict::PassedOver(_)));
    watched
        .map(|entry| (entry.container.as_str(), entry.image.as_str()))
        .collect()
}

/// The hash from before the rollout of ours that is under way.
fn before_our_rollout(assessment: &Assessment, images: &BTreeMap<&str, &str>) -> Option<String> {
    let in_flight = assessment.action.under_way()?;
    let before = images.iter().map(|(container, image)| {
        let change = in_flight.containers.get(*container);
        let ours = change.filter(|change| change.to == *image);
        (*container, ours.map_or(*image, |change| change.from.as_str()))
    });
    Some(fingerprint(&before.collect()))
}

fn fingerprint(images: &BTreeMap<&str, &str>) -> String {
    let lines = images
        .iter()
        .map(|(container, image)| format!("{container} {image}\n"));
    short_hash(&lines.collect::<String>(), 8)
}
