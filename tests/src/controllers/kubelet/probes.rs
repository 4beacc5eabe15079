//! Startup, liveness and readiness probes of real processes: real HTTP or TCP to the pod's address.
//!
//! Probes are asked in sandbox time, but a process lives in real time: it is only judged dead when it has failed for
//! as long as its manifest allows on a real clock too.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc;

use crate::clock::Clock;

/// How a probe asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// GET this URL; 200 to 399 is yes.
    Http {
        /// With the pod's address in it.
        url: String,
        /// Extra headers.
        headers: Vec<(String, String)>,
    },
    /// Connect to this address.
    Tcp(String),
    /// A command; nothing here can run inside a container, so the answer is yes.
    Nothing,
}

/// One probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    question: Question,
    initial_delay: Duration,
    period: Duration,
    timeout: Duration,
    success_threshold: u32,
    failure_threshold: u32,
}

impl Probe {
    /// Reads `startupProbe` and the like; `None` when the container has none.
    pub fn of(container: &Value, field: &str, address: &str) -> Option<Self> {
        let spec = container.get(field).filter(|spec| spec.is_object())?;
        let number = |field: &str, default: u64| spec[field].as_u64().unwrap_or(default);
        let seconds = |field: &str, default: u64| Duration::from_secs(number(field, default));
        let threshold =
            |field: &str, default: u64| u32::try_from(number(field, default)).unwrap_or(u32::MAX).max(1);
        let http = &spec["httpGet"];
        let question = if http.is_object() {
            let host = http["host"].as_str().unwrap_or(address);
            let scheme = http["scheme"].as_str().unwrap_or("HTTP").to_lowercase();
            let path = http["path"].as_str().unwrap_or("/");
            let separator = if path.starts_with('/') { "" } else { "/" };
            let headers = http["httpHeaders"].as_array().into_iter().flatten();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            Question::Http {
                url: format!(
                    "{scheme}://{host}:{}{separator}{path}",
                    port(container, &http["port"])?
                ),
                headers: headers
                    .map(|header| (text(&header["name"]), text(&header["value"])))
                    .collect(),
            }
        } else if let Some(port) = port(container, &spec["tcpSocket"]["port"]) {
            Question::Tcp(format!("{address}:{port}"))
        } else {
            Question::Nothing
        };
        Some(Self {
            question,
            initial_delay: seconds("initialDelaySeconds", 0),
            period: seconds("periodSeconds", 10).max(Duration::from_secs(1)),
            timeout: seconds("timeoutSeconds", 1).max(Duration::from_secs(1)),
            success_threshold: threshold("successThreshold", 1),
            failure_threshold: threshold("failureThreshold", 3),
        })
    }

    /// Asks once. An error says what was wrong, in the kubelet's words.
    async fn ask(&self, http: &reqwest::Client) -> Result<(), String> {
        match &self.question {
            Question::Nothing => Ok(()),
            Question::Tcp(address) => {
                let connect = tokio::net::TcpStream::connect(address);
                match tokio::time::timeout(self.timeout, connect).await {
                    Ok(Ok(_open)) => Ok(()),
                    Ok(Err(error)) => Err(format!("dial tcp {address}: {error}")),
                    Err(_late) => Err(format!("dial tcp {address}: i/o timeout")),
                }
            }
            Question::Http { url, headers } => {
                let request = headers
                    .iter()
                    .fold(http.get(url), |request, (name, value)| {
                        request.header(name, value)
                    })
                    .timeout(self.timeout);
                match request.send().await {
                    Ok(response) if (200..400).contains(&response.status().as_u16()) => Ok(()),
                    Ok(response) => Err(format!(
                        "HTTP probe failed with statuscode: {}",
                        response.status().as_u16()
                    )),
                    Err(error) => Err(format!("Get {url:?}: {error}")),
                }
            }
        }
    }
}

fn port(container: &Value, port: &Value) -> Option<u64> {
    if let Some(number) = port.as_u64() {
        return Some(number);
    }
    let ports = container["ports"].as_array()?;
    ports.iter().find(|candidate| candidate["name"] == *port)?["containerPort"].as_u64()
}

/// Counts answers until a threshold is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    successes: u32,
    failures: u32,
}

impl Tally {
    /// The verdict after one more answer; `None` while it is open.
    pub fn record(&mut self, is_success: bool, probe: &Probe) -> Option<bool> {
        if is_success {
            (self.successes, self.failures) = (self.successes.saturating_add(1), 0);
            (self.successes >= probe.success_threshold).then_some(true)
        } else {
            (self.successes, self.failures) = (0, self.failures.saturating_add(1));
            (self.failures >= probe.failure_threshold).then_some(false)
        }
    }
}

/// What probes have found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The container has started.
    Started,
    /// It is ready, or no longer.
    Ready(bool),
    /// A probe failed: the message of an Unhealthy Event.
    Unhealthy(String),
    /// It has to be killed; the message of the Killing Event names the probe.
    Kill(&'static str),
}

/// The three probes of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probes {
    startup: Option<Probe>,
    liveness: Option<Probe>,
    readiness: Option<Probe>,
}

impl Probes {
    /// Reads them from a container's specification.
    pub fn of(container: &Value, address: &str) -> Self {
        Self {
            startup: Probe::of(container, "startupProbe", address),
            liveness: Probe::of(container, "livenessProbe", address),
            readiness: Probe::of(container, "readinessProbe", address),
        }
    }

    /// Probes until dropped, or until the container has to be killed.
    pub async fn run(self, clock: Clock, http: reqwest::Client, findings: mpsc::Sender<Finding>) {
        if let Some(startup) = &self.startup
            && !watch("Startup", startup, clock, &http, &findings).await
        {
            return;
        }
        send(&findings, Finding::Started).await;
        let liveness = async {
            if let Some(probe) = &self.liveness {
                watch("Liveness", probe, clock, &http, &findings).await;
            }
        };
        let readiness = async {
            match &self.readiness {
                Some(probe) => {
                    watch("Readiness", probe, clock, &http, &findings).await;
                }
                None => send(&findings, Finding::Ready(true)).await,
            }
        };
        tokio::join!(liveness, readiness);
    }
}

async fn send(findings: &mpsc::Sender<Finding>, finding: Finding) {
    if findings.send(finding).await.is_err() {
        tracing::trace!("nobody waits for probes of this container any more");
    }
}

/// Asks again and again. A startup probe ends with its verdict, a liveness probe with a failure.
async fn watch(
    kind: &'static str,
    probe: &Probe,
    clock: Clock,
    http: &reqwest::Client,
    findings: &mpsc::Sender<Finding>,
) -> bool {
    clock.sleep(probe.initial_delay).await;
    let mut tally = Tally::default();
    let mut failing_since: Option<Instant> = None;
    loop {
        let answer = probe.ask(http).await;
        let is_success = answer.is_ok();
        if is_success {
            failing_since = None;
        }
        let since = *failing_since.get_or_insert_with(Instant::now);
        if let Err(problem) = answer {
            send(
                findings,
                Finding::Unhealthy(format!("{kind} probe failed: {problem}")),
            )
            .await;
        }
        let patience = probe.period * probe.failure_threshold.saturating_sub(1);
        let may_judge = is_success || since.elapsed() >= patience;
        match (tally.record(is_success, probe), kind) {
            (Some(true), "Startup") => return true,
            (Some(false), "Startup") if may_judge => {
                send(findings, Finding::Kill("startup")).await;
                return false;
            }
            (Some(false), "Liveness") if may_judge => {
                send(findings, Finding::Kill("liveness")).await;
                return false;
            }
            (Some(verdict), "Readiness") => send(findings, Finding::Ready(verdict)).await,
            _ => {}
        }
        if findings.is_closed() {
            return false;
        }
        // A fast clock must not turn a probe into a load test.
        tokio::time::sleep(clock.real_duration(probe.period).max(Duration::from_millis(50))).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Probe, Question, Tally};

    #[test]
    fn a_probe_is_read_with_its_named_port_and_defaults() {
        let container = json!({"ports":[{"name":"http","containerPort":3000}],
            "readinessProbe":{"httpGet":{"path":"/readyz","port":"http"},"failureThreshold":2}});
        let probe = Probe::of(&container, "readinessProbe", "127.1.0.1").unwrap();
        assert_eq!(
            probe.question,
            Question::Http {
                url: "http://127.1.0.1:3000/readyz".into(),
                headers: vec![]
            }
        );
        assert_eq!(
            (
                probe.period.as_secs(),
                probe.timeout.as_secs(),
                probe.success_threshold
            ),
            (10, 1, 1)
        );
        assert_eq!(Probe::of(&container, "livenessProbe", "127.1.0.1"), None);
        let tcp = json!({"startupProbe":{"tcpSocket":{"port":53}}});
        let probe = Probe::of(&tcp, "startupProbe", "127.1.0.1").unwrap();
        assert_eq!(probe.question, Question::Tcp("127.1.0.1:53".into()));
    }

    #[test]
    fn only_failures_in_a_row_reach_the_threshold() {
        let container =
            json!({"livenessProbe":{"tcpSocket":{"port":1},"failureThreshold":2,"successThreshold":2}});
        let probe = Probe::of(&container, "livenessProbe", "127.1.0.1").unwrap();
        let mut tally = Tally::default();
        let answers = [false, true, false, false, true, true];
        let verdicts = answers.map(|answer| tally.record(answer, &probe));
        assert_eq!(verdicts, [None, None, None, Some(false), None, Some(true)]);
    }
}
