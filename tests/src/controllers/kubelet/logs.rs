//! What containers wrote: the last lines of the running and of the previous instance.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Lines kept per container instance; older ones are forgotten.
const KEPT_LINES: usize = 10_000;

type ContainerKey = (String, String, String);

#[derive(Debug, Default)]
struct Instances {
    current: VecDeque<String>,
    previous: Option<VecDeque<String>>,
}

/// The logs of all containers. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    containers: Arc<Mutex<HashMap<ContainerKey, Instances>>>,
}

impl Logs {
    /// Lines so far, oldest first. `previous` asks for the instance before the last restart.
    ///
    /// Fails in the kubelet's words when the container has not started, or has no previous instance.
    pub fn read(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
    ) -> Result<Vec<String>, String> {
        let containers = self.lock();
        let Some(instances) = containers.get(&key(namespace, pod, container)) else {
            return Err(format!(
                "container {container:?} in pod {pod:?} is waiting to start: ContainerCreating"
            ));
        };
        let lines = if previous {
            instances.previous.as_ref()
        } else {
            Some(&instances.current)
        };
        match lines {
            Some(lines) => Ok(lines.iter().cloned().collect()),
            None => Err(format!(
                "previous terminated container {container:?} in pod {pod:?} not found"
            )),
        }
    }

    /// A new instance of the container starts.
    pub fn start(&self, namespace: &str, pod: &str, container: &str) {
        let mut containers = self.lock();
        let key = key(namespace, pod, container);
        let previous = containers.remove(&key).map(|instances| instances.current);
        containers.insert(
            key,
            Instances {
                current: VecDeque::new(),
                previous,
            },
        );
    }

    /// The container wrote a line.
    pub fn append(&self, namespace: &str, pod: &str, container: &str, line: &str) {
        let mut containers = self.lock();
        let lines = &mut containers
            .entry(key(namespace, pod, container))
            .or_default()
            .current;
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    /// The pod is gone, and its logs with it.
    pub fn forget(&self, namespace: &str, pod: &str) {
        self.lock()
            .retain(|(in_namespace, of, _), _| in_namespace != namespace || of != pod);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ContainerKey, Instances>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(namespace: &str, pod: &str, container: &str) -> ContainerKey {
    (namespace.to_owned(), pod.to_owned(), container.to_owned())
}

#[cfg(test)]
mod tests {
    use super::Logs;

    #[test]
    fn a_restart_keeps_the_last_instance_apart() {
        let logs = Logs::default();
        assert!(
            logs.read("ns", "pod", "web", false)
                .unwrap_err()
                .contains("waiting to start")
        );
        logs.start("ns", "pod", "web");
        logs.append("ns", "pod", "web", "one");
        assert!(logs.read("ns", "pod", "web", true).is_err());
        logs.start("ns", "pod", "web");
        logs.append("ns", "pod", "web", "two");
        assert_eq!(logs.read("ns", "pod", "web", true).unwrap(), ["one"]);
        assert_eq!(logs.read("ns", "pod", "web", false).unwrap(), ["two"]);
        logs.forget("ns", "pod");
        assert!(logs.read("ns", "pod", "web", false).is_err());
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let logs = Logs::default();
        for number in 0..super::KEPT_LINES + 5 {
            logs.append("ns", "pod", "web", &number.to_string());
        }
        let lines = logs.read("ns", "pod", "web", false).unwrap();
        assert_eq!((lines.len(), lines[0].as_str()), (super::KEPT_LINES, "5"));
    }
}
