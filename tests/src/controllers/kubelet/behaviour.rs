//! How a simulated container behaves: its image says so in labels of its config.

use std::collections::BTreeMap;
use std::time::Duration;

const PREFIX: &str = "sandbox.kubefresh.dev/";

/// The script of a container that is not a real process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Ready so long after its start; `None` for never.
    pub ready_after: Option<Duration>,
    /// It ends by itself.
    pub exit: Option<Exit>,
}

/// The end of a simulated container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit code.
    pub code: i32,
    /// Time from the start.
    pub after: Duration,
    /// The last line of its log.
    pub message: String,
}

/// What a container is there for, which decides what one without labels does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A service: it runs on.
    Service,
    /// An init container, or one of a Job: it ends well.
    Task,
}

impl Behaviour {
    /// Reads the labels. Durations are sandbox time: `500ms`, `2s`, `1m`, `2m30s`.
    pub fn from_labels(labels: &BTreeMap<String, String>, role: Role) -> Self {
        let get = |key: &str| labels.get(&format!("{PREFIX}{key}")).map(String::as_str);
        let duration = |key: &str| get(key).and_then(parse_duration);
        let code = get("exit-code").and_then(|code| code.parse().ok());
        let code = code.or_else(|| (role == Role::Task).then_some(0));
        let exit = code.map(|code| Exit {
            code,
            after: duration("exit-after").unwrap_or(Duration::from_secs(1)),
            message: get("exit-message").unwrap_or_default().to_owned(),
        });
        let ready_after = (get("never-ready") != Some("true"))
            .then(|| duration("ready-after").unwrap_or(Duration::from_secs(1)));
        Self { ready_after, exit }
    }
}

/// A duration as Go writes it: numbers with `ms`, `s`, `m`, `h`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let letters = rest[digits..]
            .find(|letter: char| letter.is_ascii_digit())
            .unwrap_or(rest.len() - digits);
        let unit = match &rest[digits..digits + letters] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += Duration::try_from_secs_f64(number * unit).ok()?;
        rest = &rest[digits + letters..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::{Behaviour, Role, parse_duration};

    fn behaviour(labels: &[(&str, &str)], role: Role) -> Behaviour {
        let label =
            |(key, value): &(&str, &str)| (format!("sandbox.kubefresh.dev/{key}"), (*value).to_owned());
        Behaviour::from_labels(&labels.iter().map(label).collect::<BTreeMap<_, _>>(), role)
    }

    #[test]
    fn an_image_without_labels_is_ready_after_a_second_and_runs_on() {
        let plain = behaviour(&[], Role::Service);
        assert_eq!(
            plain,
            Behaviour {
                ready_after: Some(Duration::from_secs(1)),
                exit: None
            }
        );
    }

    #[test]
    fn an_init_container_or_job_without_labels_ends_well() {
        assert_eq!(behaviour(&[], Role::Task).exit.unwrap().code, 0);
    }

    #[test]
    fn labels_script_readiness_and_the_end() {
        let slow = behaviour(&[("ready-after", "2m")], Role::Service);
        assert_eq!(slow.ready_after, Some(Duration::from_mins(2)));
        assert_eq!(
            behaviour(&[("never-ready", "true")], Role::Service).ready_after,
            None
        );
        let labels = [("exit-code", "3"), ("exit-after", "5s"), ("exit-message", "boom")];
        let exit = behaviour(&labels, Role::Service).exit.unwrap();
        assert_eq!(
            (exit.code, exit.after, exit.message.as_str()),
            (3, Duration::from_secs(5), "boom")
        );
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let cases = [
            ("500ms", Some(500)),
            ("2s", Some(2000)),
            ("1m30s", Some(90_000)),
            ("1.5s", Some(1500)),
        ];
        for (text, milliseconds) in cases.into_iter().chain([("", None), ("2", None), ("2y", None)]) {
            assert_eq!(
                parse_duration(text),
                milliseconds.map(Duration::from_millis),
                "{text:?}"
            );
        }
    }
}
