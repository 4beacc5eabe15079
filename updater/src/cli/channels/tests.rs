use clap::Parser as _;

use super::*;
use crate::cli::{Cli, SettingsError};

const SECRET: &str = "s3cr3t";

fn parse(arguments: &[&str]) -> Result<ChannelSettings, ChannelError> {
    let words = ["kubefresh-updater"].iter().chain(arguments);
    match Cli::try_parse_from(words).unwrap().run.settings() {
        Ok(settings) => Ok(settings.channels),
        Err(SettingsError::Channels(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn what_is_set_to_nothing_is_no_channel_and_several_may_be_set() {
    assert!(
        parse(&["--discord-url=", "--mail-to="])
            .unwrap()
            .destinations
            .is_empty()
    );
    let settings = parse(&[
        "--discord-url=https://discord.com/api/webhooks/1/s3cr3t",
        "--slack-url=https://hooks.slack.com/services/s3cr3t",
        "--telegram-token=1:s3cr3t",
        "--telegram-chat=-100",
        "--teams-url=https://x.logic.azure.com/workflows/s3cr3t",
        "--ntfy-url=https://push.example.com/base/topic",
        "--ntfy-token=s3cr3t",
        "--smtp-url=smtps://user:s3cr3t@smtp.example.com",
        "--mail-from=Kubefresh <kubefresh@example.com>",
        "--mail-to=a@example.com, B <b@example.com>",
        "--gather-messages=0",
    ]);
    let settings = settings.unwrap();
    assert_eq!(settings.destinations.len(), 6);
    assert_eq!(settings.gathering, Duration::ZERO);
    let shown = format!("{settings:?}");
    assert!(
        !shown.contains(SECRET) && shown.contains("push.example.com"),
        "{shown}"
    );
    let Destination::Ntfy { server, topic, .. } = &settings.destinations[&Channel::Ntfy] else {
        panic!("{shown}");
    };
    assert_eq!(
        (server.as_str(), topic.as_str()),
        ("https://push.example.com/base/", "topic")
    );
    let Destination::Telegram { url, .. } = &settings.destinations[&Channel::Telegram] else {
        panic!("{shown}");
    };
    assert_eq!(url.as_str(), "https://api.telegram.org/bot1:s3cr3t/sendMessage");
}

#[test]
fn what_cannot_be_meant_is_refused_without_its_value() {
    let together = |given, missing| ChannelError::Together { given, missing };
    for (arguments, expected) in [
        (
            &["--discord-url=s3cr3t"][..],
            ChannelError::Address("DISCORD_URL", "https://discord.com/api/webhooks/…"),
        ),
        (
            &["--telegram-token=1:s3cr3t"],
            together("TELEGRAM_TOKEN", "TELEGRAM_CHAT"),
        ),
        (
            &["--telegram-chat=1"],
            together("TELEGRAM_CHAT", "TELEGRAM_TOKEN"),
        ),
        (
            &["--telegram-token=s3cr3t/..", "--telegram-chat=1"],
            ChannelError::TelegramToken,
        ),
        (&["--ntfy-url=https://ntfy.sh/"], ChannelError::Topic),
        (&["--ntfy-token=s3cr3t"], together("NTFY_TOKEN", "NTFY_URL")),
        (
            &["--smtp-url=smtps://s3cr3t@a", "--mail-to=a@b.c"],
            together("SMTP_URL", "MAIL_FROM"),
        ),
        (
            &[
                "--smtp-url=smtp://u:s3cr3t@a",
                "--mail-to=a@b.c",
                "--mail-from=a@b.c",
            ],
            ChannelError::InTheClear,
        ),
        (
            &[
                "--smtp-url=https://s3cr3t",
                "--mail-to=a@b.c",
                "--mail-from=a@b.c",
            ],
            ChannelError::Address("SMTP_URL", "smtps://user:password@smtp.example.com"),
        ),
        (
            &[
                "--smtp-url=smtp://localhost",
                "--mail-to=a@b.c,s3cr3t",
                "--mail-from=a@b.c",
            ],
            ChannelError::Mailbox("MAIL_TO", 2),
        ),
    ] {
        let error = parse(arguments).unwrap_err();
        assert_eq!(error, expected, "{arguments:?}");
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
}

#[test]
fn a_time_that_cannot_be_meant_is_refused_with_the_reason() {
    for argument in ["--remind-every=0", "--remind-every=often", "--quiet-hours=night"] {
        assert!(
            matches!(parse(&[argument]), Err(ChannelError::Time(_, why)) if !why.is_empty()),
            "{argument}"
        );
    }
    let settings = parse(&["--remind-every=3d", "--quiet-hours=0 22 * * * 9h Europe/Paris"]).unwrap();
    assert_eq!(settings.remind_every, Some(SignedDuration::from_hours(72)));
    assert!(!settings.quiet.unwrap().keep_failures);
}
