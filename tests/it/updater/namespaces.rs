//! What namespaces and the installation say of their workloads, to the real scanner and to the updater, under the rights of
//! `deploy/`.

use std::collections::BTreeSet;
use std::process::{Output, Stdio};

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::PostParams;
use sandbox::apiserver::faults::{Fault, FaultRule};
use sandbox::programs::programs;
use sandbox::registry::ImageSpec;

use super::*;

const REPOSITORY: &str = "shop/checkout";

impl Stage {
    /// A stage where 1.4.0 and 1.5.0 are published, and Deployments without annotations run 1.4.0 in these namespaces.
    async fn with_silent_workloads(namespaces: &[&str]) -> Self {
        let stage = Self::set().await;
        for tag in ["1.4.0", "1.5.0"] {
            stage.cluster.registry.publish(&ImageSpec::new(REPOSITORY, tag));
        }
        for namespace in namespaces {
            let object =
                json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
            stage.cluster.apply(&[object]).await;
            stage
                .deploy_in(namespace, &stage.image_of("1.4.0"), &json!({}))
                .await;
        }
        stage
    }

    fn image_of(&self, tag: &str) -> String {
        self.cluster.registry.reference(REPOSITORY, tag)
    }

    async fn deploy_in(&self, namespace: &str, image: &str, annotations: &Value) {
        let mut deployment = shop::deployment("checkout", image, annotations);
        deployment["metadata"]["namespace"] = json!(namespace);
        self.cluster.apply(&[deployment]).await;
    }

    /// Sets annotations or labels of a namespace, by hand.
    async fn say(&self, namespace: &str, what: &str, said: &Value) {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let patch = Patch::Merge(json!({ "metadata": { what: said } }));
        api.patch(namespace, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    async fn program(&self, name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let kubeconfig = self.cluster.kubeconfig_file(Some((NAMESPACE, name)));
        tokio::process::Command::new(&programs()[name])
            .args(arguments)
            .envs(variables.iter().copied())
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAMESPACE", NAMESPACE)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap()
    }

    /// Scans; returns the summary and everything else that was said.
    async fn scan_told(&self, variables: &[(&str, &str)]) -> (String, String) {
        let output = self.program("kubefresh-scanner", &["scan"], variables).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        (String::from_utf8(output.stdout).unwrap(), said)
    }

    /// Starts an updater that is told more, and waits until it leads.
    async fn leader_told(&self, more: &[&str]) -> Updater {
        let client = self.client_of(UPDATER).await;
        let updater = Updater::start_with(client, UPDATER, LEASE, more).await;
        updater.leads().await;
        updater
    }

    async fn image_in(&self, namespace: &str) -> String {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        let spec = api.get("checkout").await.unwrap().spec.unwrap();
        spec.template.spec.unwrap().containers[0].image.clone().unwrap()
    }

    async fn is_updated_in(&self, namespace: &str) {
        let expected = self.image_of("1.5.0");
        eventually(&format!("1.5.0 in {namespace}"), LIMIT, || async {
            (self.image_in(namespace).await == expected).then_some(())
        })
        .await;
    }

    /// Waits until an Event with this reason is there, and returns its note.
    async fn is_told(&self, reason: &str) -> String {
        eventually(reason, LIMIT, || async {
            let events = self.events("checkout").await;
            let event = events
                .into_iter()
                .find(|event| event.reason.as_deref() == Some(reason))?;
            event.note
        })
        .await
    }

    /// Takes the right to read namespaces from both programs.
    async fn hide_namespaces(&self) {
        let roles: Api<ClusterRole> = Api::all(self.client.clone());
        for name in [UPDATER, "kubefresh-scanner"] {
            let mut role = roles.get(name).await.unwrap();
            let granted = role.rules.as_mut().unwrap();
            granted.retain(|rule| rule.resources.as_deref() != Some(&["namespaces".to_owned()]));
            roles.replace(name, &PostParams::default(), &role).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_opts_its_workloads_in_and_what_it_says_later_is_obeyed_at_once() {
    let stage = Stage::with_silent_workloads(&["shop", "office"]).await;
    let updater = stage.leader_told(&[]).await;
    let (nothing, _) = stage.scan_told(&[]).await;
    assert!(nothing.contains("for 0 workloads"), "{nothing}");
    stage
        .say(
            "shop",
            "annotations",
            &json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "notify" }),
        )
        .await;
    let (one, _) = stage.scan_told(&[]).await;
    assert!(one.contains("for 1 workload:"), "{one}");
    stage.is_told("UpdateAvailable").await;
    assert_eq!(stage.image_in("shop").await, stage.image_of("1.4.0"));
    stage
        .say("shop", "annotations", &json!({ "kubefresh.dev/mode": "auto" }))
        .await;
    stage.is_updated_in("shop").await;
    assert_eq!(stage.image_in("office").await, stage.image_of("1.4.0"));
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_namespaces_with_the_labels_that_are_asked_for_are_looked_at() {
    let stage = Stage::with_silent_workloads(&["shop", "office"]).await;
    let auto = json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "auto" });
    for namespace in ["shop", "office"] {
        stage.say(namespace, "annotations", &auto).await;
    }
    stage.say("shop", "labels", &json!({ "team": "a" })).await;
    let (one, _) = stage
        .scan_told(&[("WATCH_NAMESPACE_SELECTOR", "team in (a)")])
        .await;
    assert!(one.contains("for 1 workload:"), "{one}");
    let both = [
        ("WATCH_NAMESPACE_SELECTOR", "team"),
        ("WATCH_NAMESPACES", "office"),
    ];
    let (none, _) = stage.scan_told(&both).await;
    assert!(none.contains("for 0 workloads"), "{none}");
    let updater = stage
        .leader_told(&["--watch-namespace-selector", "team in (a)"])
        .await;
    stage.is_updated_in("shop").await;
    updater
        .shows("kubefresh_workloads{kind=\"Deployment\",state=\"rolling-out\"} 1")
        .await;
    assert_eq!(stage.image_in("office").await, stage.image_of("1.4.0"));
    stage.say("office", "labels", &json!({ "team": "a" })).await;
    stage.is_updated_in("office").await;
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_updater_that_is_told_some_namespaces_looks_into_no_other() {
    let stage = Stage::with_silent_workloads(&["shop", "office"]).await;
    let auto = json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "auto" });
    for namespace in ["shop", "office"] {
        stage.say(namespace, "annotations", &auto).await;
    }
    let (both, _) = stage.scan_told(&[]).await;
    assert!(both.contains("for 2 workloads:"), "{both}");
    let updater = stage.leader_told(&["--watch-namespaces", "shop"]).await;
    stage.is_updated_in("shop").await;
    updater
        .shows("kubefresh_workloads{kind=\"Deployment\",state=\"rolling-out\"} 1")
        .await;
    assert_eq!(stage.image_in("office").await, stage.image_of("1.4.0"));
    updater.stop().await;
    let mut requests = stage.cluster.api.requests();
    requests
        .retain(|request| request.resource == "deployments" && request.user.ends_with(":kubefresh-updater"));
    let asked: BTreeSet<&str> = requests
        .iter()
        .map(|request| request.namespace.as_str())
        .collect();
    assert_eq!(asked, BTreeSet::from(["shop"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_on_a_namespace_stops_its_workloads_and_is_named_until_it_is_mended() {
    let stage = Stage::with_silent_workloads(&["shop"]).await;
    let wrong = json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "AUTO_UPDATE" });
    stage.say("shop", "annotations", &wrong).await;
    let expected = "annotation kubefresh.dev/mode on namespace shop: \"AUTO_UPDATE\" is not valid";
    let (nothing, said) = stage.scan_told(&[]).await;
    assert!(nothing.contains("for 0 workloads"), "{nothing}");
    assert!(said.replace('\\', "").contains(expected), "{said}");
    let updater = stage.leader_told(&[]).await;
    let note = stage.is_told("InvalidSettings").await;
    assert!(note.contains(expected), "{note}");
    stage
        .say("shop", "annotations", &json!({ "kubefresh.dev/mode": "auto" }))
        .await;
    stage.scan_told(&[]).await;
    stage.is_updated_in("shop").await;
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_installation_opts_all_in_but_its_own_and_nobody_is_told_of_what_cannot_be_followed() {
    let stage = Stage::with_silent_workloads(&["shop", "office", NAMESPACE, "kube-system"]).await;
    let by_digest = format!(
        "{}@sha256:{}",
        stage.cluster.registry.reference(REPOSITORY, "1.4.0"),
        "a".repeat(64)
    );
    let by_digest = by_digest.replace(":1.4.0@", "@");
    stage.deploy_in("office", &by_digest, &json!({})).await;
    let variables = [("KUBEFRESH_WATCH", "true"), ("KUBEFRESH_MODE", "auto")];
    let (one, said) = stage.scan_told(&variables).await;
    assert!(one.contains("for 1 workload:"), "{one}");
    assert!(!said.contains("WARN"), "{said}");
    let updater = stage
        .leader_told(&["--default", "watch=true", "--default", "mode=auto"])
        .await;
    stage.is_updated_in("shop").await;
    updater
        .shows("kubefresh_containers{verdict=\"passed-over\"} 1")
        .await;
    for namespace in [NAMESPACE, "kube-system"] {
        assert_eq!(
            stage.image_in(namespace).await,
            stage.image_of("1.4.0"),
            "{namespace}"
        );
    }
    let events: Api<Event> = Api::namespaced(stage.client.clone(), "office");
    assert!(
        events
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_read_namespaces_the_rest_goes_on_and_says_so_once() {
    let stage = Stage::with_silent_workloads(&["shop", "office"]).await;
    let auto = json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "auto" });
    stage.say("office", "annotations", &auto).await;
    stage.deploy_in("shop", &stage.image_of("1.4.0"), &auto).await;
    stage.hide_namespaces().await;
    let (one, said) = stage.scan_told(&[]).await;
    assert!(one.contains("for 1 workload:"), "{one}");
    assert_eq!(
        said.matches("going on without what namespaces say").count(),
        1,
        "{said}"
    );
    let updater = stage.leader_told(&[]).await;
    stage.is_updated_in("shop").await;
    assert_eq!(stage.image_in("office").await, stage.image_of("1.4.0"));
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selector_that_cannot_be_obeyed_keeps_both_programs_from_starting() {
    let stage = Stage::set().await;
    let mut refusals = vec![("team in (a", "unable to parse requirement")];
    for hidden in [false, true] {
        if hidden {
            stage.hide_namespaces().await;
            refusals = vec![("team=a", "cannot list resource \"namespaces\"")];
        }
        for (selector, expected) in &refusals {
            for (program, command) in [("kubefresh-scanner", "scan"), (UPDATER, "run")] {
                let arguments = [command, "--watch-namespace-selector", selector];
                let local = [("LISTEN_ADDRESS", "127.0.0.1"), ("PORT", "0")];
                let output = stage.program(program, &arguments, &local).await;
                let said = String::from_utf8(output.stderr).unwrap();
                let last = said.lines().last().unwrap();
                assert_eq!(output.status.code(), Some(2), "{said}");
                let begins = format!("{program}: --watch-namespace-selector {selector}: ");
                assert!(last.starts_with(&begins) && last.contains(expected), "{said}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_decided_before_the_namespaces_are_in_view() {
    let stage = Stage::with_checkout(&[]).await;
    stage.offer_1_5_0().await;
    stage
        .say("shop", "annotations", &json!({ "kubefresh.dev/policy": "patch" }))
        .await;
    let faults = stage.cluster.api.faults();
    let rule = FaultRule::new(Fault::internal())
        .user(UPDATER)
        .verb("list")
        .resource("namespaces");
    faults.install(rule);
    let updater = stage.updater(UPDATER, LEASE).await;
    eventually("only the namespaces are missing", LIMIT, || async {
        let (_, text) = updater.page("/readyz").await;
        (text.matches("waiting for").count() == 1 && text.contains("waiting for namespaces")).then_some(())
    })
    .await;
    faults.clear();
    updater.leads().await;
    updater
        .shows("kubefresh_containers{verdict=\"not-scanned-for\"} 1")
        .await;
    assert!(stage.patches("checkout").is_empty());
    updater.stop().await;
}
