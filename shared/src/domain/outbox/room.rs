//! How much may wait, and what goes where it is more.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Outbox, Waiting};
use crate::domain::message::{EventType, Message};

/// How many bytes waiting messages may take. A ConfigMap may have 1 MiB.
const WAITING_BYTES: usize = 256 << 10;
/// How many of them may be taken where one about what stands is entered. That can wait, as it will still stand at a later look.
const STANDING_BYTES: usize = WAITING_BYTES / 2;
/// How many messages about what stands may wait at a time: a large cluster is told of bit by bit.
const MOST_STANDING: usize = 200;
/// How many messages are remembered when one about what stands is entered, those that are still spoken of among them. What stands may do
/// so for months and in thousands of workloads; of more than that nobody is told anything but by Events.
const MOST_KNOWN: usize = 4000;

impl Outbox {
    /// Whether a message may be entered now. One about what happened always may.
    pub(super) fn has_room_for(&self, message: &Message) -> bool {
        if worth(message) != Worth::Stands {
            return true;
        }
        let known: usize = self.settled.values().map(BTreeMap::len).sum();
        let standing = self
            .waiting
            .iter()
            .filter(|one| worth(&one.message) == Worth::Stands);
        standing.count() < MOST_STANDING && known < MOST_KNOWN && self.waiting_bytes() < STANDING_BYTES
    }

    /// Takes out what is too much: first what is told again by itself, then what is worth least. Nobody enters it again, but for
    /// what still stands.
    pub(super) fn make_room(&mut self, now: Timestamp) -> Vec<Waiting> {
        let mut dropped = Vec::new();
        let mut bytes = self.waiting_bytes();
        while bytes > WAITING_BYTES {
            let Some(index) = self.least_missed() else {
                break;
            };
            let gone = self.waiting.remove(index);
            bytes -= bytes_of(&gone.message);
            if worth(&gone.message) != Worth::Stands {
                self.settle(std::slice::from_ref(&gone), now);
            }
            dropped.push(gone);
        }
        dropped
    }

    /// Of what is worth the least, the oldest of the namespace that takes the most room: so nobody's messages make others' go.
    fn least_missed(&self) -> Option<usize> {
        let least = self.waiting.iter().map(|one| worth(&one.message)).min()?;
        let candidates = || {
            let waiting = self.waiting.iter().enumerate();
            waiting.filter(|(_, one)| worth(&one.message) == least)
        };
        let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, one) in candidates() {
            *taken.entry(&one.message.workload.namespace).or_default() += bytes_of(&one.message);
        }
        let (largest, _) = taken.into_iter().max_by_key(|(_, bytes)| *bytes)?;
        let mut of_it = candidates().filter(|(_, one)| one.message.workload.namespace == largest);
        of_it.next().map(|(index, _)| index)
    }

    fn waiting_bytes(&self) -> usize {
        self.waiting.iter().map(|one| bytes_of(&one.message)).sum()
    }
}

/// What it would mean if nobody were told, from the least on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// It is entered again at a later look.
    Stands,
    /// Somebody else did something.
    Detected,
    /// We did something.
    Happened,
}

fn worth(message: &Message) -> Worth {
    match message.event {
        EventType::Notice => Worth::Stands,
        EventType::DeploymentDetected => Worth::Detected,
        EventType::ImageRolloutStarted | EventType::ImageRolloutCompleted | EventType::ImageRolloutFailed => {
            Worth::Happened
        }
    }
}

/// About how much it takes in the record, and rather more than less.
fn bytes_of(message: &Message) -> usize {
    const ALL_ELSE: usize = 400;
    let Message {
        workload,
        images,
        error,
        remark,
        to_people,
        ..
    } = message;
    let images = images.iter().map(|(container, image)| {
        let previous = image.previous.as_deref().unwrap_or_default();
        40 + container.len() + image.image.len() + previous.len()
    });
    let detail = to_people.as_ref().and_then(|told| told.detail.as_ref());
    let texts = [error.as_ref(), remark.as_ref(), detail].into_iter().flatten();
    let texts: usize = texts.map(|text| bytes_written(text)).sum();
    ALL_ELSE + workload.namespace.len() + workload.name.len() + texts + images.sum::<usize>()
}

/// As YAML writes it: a character that cannot be shown takes several bytes.
fn bytes_written(text: &str) -> usize {
    let is_plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if is_plain {
        return text.len();
    }
    let written = |character: char| character.len_utf8().max(character.escape_debug().len());
    text.chars().map(written).sum()
}
