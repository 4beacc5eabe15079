//! The words of other tools: what they come to, one table a tool.

mod image_watcher;
mod keel;
mod watch_cluster;

use std::sync::Arc;

use super::*;

/// A workload's annotations, and labels as `label KEY`.
type Words<'a> = &'a [(&'a str, &'a str)];

const CONTAINERS: [&str; 3] = ["init-db", "app", "sidecar"];

/// A workload with two containers and one that runs before them.
struct Workload {
    annotations: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    containers: Vec<Container>,
}

impl Workload {
    fn with(words: Words<'_>) -> Self {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let is_label = |(key, _): &&(&str, &str)| key.starts_with("label ");
        let labels = words.iter().filter(is_label);
        Self {
            annotations: words.iter().filter(|word| !is_label(word)).map(owned).collect(),
            labels: labels
                .map(|(key, value)| owned(&(key.trim_start_matches("label "), value)))
                .collect(),
            containers: CONTAINERS.into_iter().map(container).collect(),
        }
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            annotations: &self.annotations,
            labels: &self.labels,
            containers: &self.containers,
        }
    }

    fn settings(&self, layer: &Layer) -> Result<Settings, Vec<AnnotationError>> {
        settings(&self.subject(), layer)
    }

    fn migration(&self, layer: &Layer) -> Migration {
        migration(&self.subject(), layer).unwrap()
    }

    /// The same with what migration says beside it.
    fn migrated(&self, layer: &Layer) -> Self {
        let mut annotations = self.annotations.clone();
        annotations.extend(self.migration(layer).annotations);
        Self {
            annotations,
            labels: self.labels.clone(),
            containers: self.containers.clone(),
        }
    }
}

/// The annotations as `KEY=VALUE`, without our prefix, and what is remarked as `! ORIGIN: the first words`.
fn told(migration: &Migration) -> Vec<String> {
    let annotations = migration.annotations.iter();
    let annotations =
        annotations.map(|(key, value)| format!("{}={value}", key.replace("kubefresh.dev/", "")));
    let remarks = migration.remarks.iter();
    let remarks = remarks.map(|remark| format!("! {}: {}", remark.origin, remark.reason));
    annotations.chain(remarks).collect()
}

/// That these words come to that. A line that ends in `…` says how one begins.
fn check(words: Words<'_>, expected: &[&str]) {
    let layer = Layer::default();
    let workload = Workload::with(words);
    let migration = workload.migration(&layer);
    assert_eq!(migration.errors, [], "{words:?}");
    let mut told = told(&migration);
    told.sort();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let fits = |(told, expected): (&String, &&str)| match expected.strip_suffix('…') {
        Some(start) => told.starts_with(start),
        None => told == expected,
    };
    assert!(
        told.len() == expected.len() && told.iter().zip(&expected).all(fits),
        "{words:?}: {told:#?}"
    );
    check_migration(&workload, &layer);
}

/// That what migration says means the same.
fn check_migration(workload: &Workload, layer: &Layer) {
    let settings = workload.settings(layer).unwrap();
    let migrated = workload.migrated(layer);
    assert_eq!(
        migrated.settings(layer),
        Ok(settings),
        "{:?}",
        workload.annotations
    );
}

/// That these words stop the workload with exactly this error, and that nothing is made of them.
fn check_refused(words: Words<'_>, expected: &str) {
    let workload = Workload::with(words);
    let errors = workload.settings(&Layer::default()).unwrap_err();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert!(
        errors.len() == 1 && errors[0].starts_with(expected),
        "{words:?}: {errors:?}"
    );
    let migration = workload.migration(&Layer::default());
    assert!(
        migration.annotations.is_empty() && migration.errors.len() == 1,
        "{migration:?}"
    );
}

fn layer(variables: Words<'_>) -> Arc<Layer> {
    let installation = Installation::read(variables.iter().copied(), [], false).unwrap();
    installation.layer("shop", &BTreeMap::new())
}

#[test]
fn our_own_words_displace_those_of_others_but_what_is_approved_or_held_does_not() {
    let keel = ("keel.sh/policy", "patch");
    for (ours, policy) in [
        (("kubefresh.dev/hold", "1.5.0"), Some("patch")),
        (("app.kubefresh.dev/hold", "1.5.0"), Some("patch")),
        (("kubefresh.dev/approved", "1.4.1"), Some("patch")),
        (("kubefresh.dev/check-now", "now"), Some("patch")),
        (("kubefresh.dev/write-back", "cluster"), Some("patch")),
        (("kubefresh.dev/release-notes", "github.com/o/r"), Some("patch")),
        (("kubefresh.dev/channels", "none"), Some("patch")),
        (("kubefresh.dev/undo", "1.4.0"), Some("patch")),
        (("kubefresh.dev/approved-by", "[]"), Some("patch")),
        (("kubefresh.dev/decided-by", "[]"), Some("patch")),
        (("kubefresh.dev/last-images", "{}"), Some("patch")),
        (("kubefresh.dev/last-result", "completed"), Some("patch")),
        (("kubefresh.dev/pending", "app waits"), Some("patch")),
        (("kubefresh.dev/watch", "true"), None),
        (("kubefresh.dev/rollback", "false"), None),
        (("sidecar.kubefresh.dev/mode", "off"), None),
    ] {
        let workload = Workload::with(&[keel, ours]);
        let settings = workload.settings(&Layer::default()).unwrap();
        let app = &settings.containers["app"];
        assert_eq!(app.policy.policy.as_deref(), policy, "{ours:?}");
        let migration = workload.migration(&Layer::default());
        assert_eq!(migration.has_ours, policy.is_none(), "{ours:?}");
        assert_eq!(migration.annotations.is_empty(), policy.is_none(), "{ours:?}");
    }
    let held = Workload::with(&[keel, ("kubefresh.dev/hold", "1.5.0")]);
    let settings = held.settings(&Layer::default()).unwrap();
    assert_eq!(settings.containers["app"].held.len(), 1);
}

#[test]
fn of_several_tools_the_first_that_says_anything_is_followed_alone() {
    let (watch_cluster, image_watcher, keel) = (
        ("watch-cluster.io/enabled", "false"),
        ("image-watcher/watch", "true"),
        ("keel.sh/policy", "major"),
    );
    for (words, dialect) in [
        (&[watch_cluster, image_watcher, keel][..], Dialect::WatchCluster),
        (&[image_watcher, keel], Dialect::ImageWatcher),
        (&[keel], Dialect::Keel),
        (
            &[
                ("watch-cluster.io/last-update", "2026-11-21T03:00:00Z"),
                ("image-watcher/speed", "high"),
                keel,
            ],
            Dialect::Keel,
        ),
    ] {
        let workload = Workload::with(words);
        let migration = workload.migration(&Layer::default());
        assert_eq!(migration.dialect, Some(dialect), "{words:?}");
        check_migration(&workload, &Layer::default());
    }
    let all = Workload::with(&[watch_cluster, keel]);
    assert!(!all.settings(&Layer::default()).unwrap().watched());
    let told = told(&all.migration(&Layer::default()));
    let remark = "! annotations of Keel: they are not followed, since those of watch-cluster alone are";
    assert!(told.iter().any(|line| line == remark), "{told:?}");
}

#[test]
fn what_a_tool_takes_for_granted_a_layer_may_know_better_and_what_is_written_it_may_not() {
    let layer = layer(&[("KUBEFRESH_MODE", "notify"), ("KUBEFRESH_POLICY", "patch")]);
    for (words, mode, policy) in [
        (&[("watch-cluster.io/enabled", "true")][..], Mode::Notify, "patch"),
        (&[("image-watcher/watch", "true")], Mode::Notify, "patch"),
        (&[("keel.sh/policy", "major")], Mode::Notify, "major"),
        (
            &[("keel.sh/policy", "major"), ("keel.sh/approvals", "1")],
            Mode::Approve,
            "major",
        ),
        (
            &[
                ("image-watcher/watch", "true"),
                ("image-watcher/mode", "AUTO_UPDATE"),
                ("image-watcher/strategy", "MINOR"),
            ],
            Mode::Auto,
            "minor",
        ),
    ] {
        let workload = Workload::with(words);
        let settings = workload.settings(&layer).unwrap();
        let app = &settings.containers["app"];
        assert_eq!(
            (app.mode, app.policy.policy.as_deref()),
            (mode, Some(policy)),
            "{words:?}"
        );
        check_migration(&workload, &layer);
    }
}

#[test]
fn an_installation_that_overrides_annotations_overrides_those_of_others_too() {
    let installation = Installation::read([("KUBEFRESH_MODE", "notify")], [], true).unwrap();
    let layer = installation.layer("shop", &BTreeMap::new());
    let workload = Workload::with(&[("keel.sh/policy", "major"), ("keel.sh/approvals", "1")]);
    assert_eq!(
        workload.settings(&layer).unwrap().containers["app"].mode,
        Mode::Notify
    );
    check_migration(&workload, &layer);
}

#[test]
fn annotations_of_nobody_who_is_understood_say_nothing() {
    for key in [
        "keel.sh",
        "keel.sh.example.com/policy",
        "diun.enable",
        "watch-cluster/enabled",
    ] {
        let workload = Workload::with(&[(key, "true")]);
        assert_eq!(migration(&workload.subject(), &Layer::default()), None, "{key}");
        assert!(!is_understood(key), "{key}");
    }
}
