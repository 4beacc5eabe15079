//! The ways of telling anybody else than by Events, and who is told on which.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use strum::VariantArray as _;

/// A way of sending.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Channel {
    /// Other programs are told.
    Webhook,
    Discord,
    Slack,
    Telegram,
    Teams,
    Ntfy,
    Email,
}

impl Channel {
    /// Whether people are told on it: they are told at once what happened to several workloads, and one message after the other.
    pub fn is_for_people(self) -> bool {
        self != Self::Webhook
    }
}

/// What tells nobody.
const NOBODY: &str = "none";

/// Reads names of channels of people, separated by commas, or `none`.
pub fn parse(value: &str) -> Result<BTreeSet<Channel>, String> {
    if value.trim() == NOBODY {
        return Ok(BTreeSet::new());
    }
    let read = |name: &str| {
        let channel = name.trim().parse::<Channel>().ok();
        channel.filter(|channel| channel.is_for_people()).ok_or_else(|| {
            let known = Channel::VARIANTS
                .iter()
                .copied()
                .filter(|channel| channel.is_for_people());
            format!(
                "{:?} is no channel; there are {}, or {NOBODY} for nobody",
                name.trim(),
                names(known)
            )
        })
    };
    value.split(',').map(read).collect()
}

/// What is wrong with wanting these where those are configured; nothing where that is not known.
pub fn check(wanted: &BTreeSet<Channel>, configured: &BTreeSet<Channel>) -> Result<(), String> {
    let missing: Vec<Channel> = wanted.difference(configured).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (missing, configured) = (names(missing), names(configured.iter().copied()));
    Err(format!("{missing} is not configured; configured is {configured}"))
}

fn names(channels: impl IntoIterator<Item = Channel>) -> String {
    let names: Vec<&str> = channels.into_iter().map(<&str>::from).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_channels_are_read_and_a_wrong_one_is_answered_with_the_right_ones() {
        let both = BTreeSet::from([Channel::Discord, Channel::Email]);
        assert_eq!(parse("discord, email"), Ok(both.clone()));
        assert_eq!(parse("none"), Ok(BTreeSet::new()));
        for wrong in ["", "discord,", "irc", "webhook", "none,slack"] {
            let error = parse(wrong).unwrap_err();
            assert!(
                error.contains("there are discord, slack, telegram"),
                "{wrong}: {error}"
            );
        }
        assert_eq!(check(&both, &both), Ok(()));
        let error = check(&both, &BTreeSet::from([Channel::Slack])).unwrap_err();
        assert_eq!(error, "discord, email is not configured; configured is slack");
    }
}
