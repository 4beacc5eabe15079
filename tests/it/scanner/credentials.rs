//! The pull secrets of watched workloads: which are read, and what comes of those that cannot be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sandbox::apiserver::ApiServerOptions;
use sandbox::cluster::Cluster;
use sandbox::manifests;
use sandbox::registry::{Auth, BearerAuth, User};
use serde_json::{Value, json};

use super::{deployment, installed, publish, records, said, scan, summary, watched};

/// A `kubernetes.io/dockerconfigjson` Secret.
pub(super) fn pull_secret(namespace: &str, name: &str, host: &str, user: &str, password: &str) -> Value {
    let auth = STANDARD.encode(format!("{user}:{password}"));
    let config = json!({ "auths": { host: { "auth": auth } } }).to_string();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name, "namespace": namespace },
        "type": "kubernetes.io/dockerconfigjson",
        "data": { ".dockerconfigjson": STANDARD.encode(config) },
    })
}

/// The same in the legacy form.
fn legacy_pull_secret(namespace: &str, name: &str, host: &str, user: &str, password: &str) -> Value {
    let config = json!({ host: { "username": user, "password": password } }).to_string();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name, "namespace": namespace },
        "type": "kubernetes.io/dockercfg",
        "data": { ".dockercfg": STANDARD.encode(config) },
    })
}

fn account(name: &str, secrets: &[&str]) -> Value {
    let secrets: Vec<Value> = secrets.iter().map(|name| json!({ "name": name })).collect();
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": { "name": name, "namespace": "shop" },
        "imagePullSecrets": secrets,
    })
}

/// A watched Deployment whose pods have these pull secrets, or that account.
pub(super) fn pulling(name: &str, image: &str, secrets: &[&str], account: Option<&str>) -> Value {
    let mut deployment = deployment(name, image, &watched());
    let pod = &mut deployment["spec"]["template"]["spec"];
    pod["imagePullSecrets"] = secrets.iter().map(|name| json!({ "name": name })).collect();
    if let Some(account) = account {
        pod["serviceAccountName"] = json!(account);
    }
    deployment
}

/// The Secrets and ServiceAccounts that the scanner asked the cluster for, in order of their names.
fn read(cluster: &Cluster) -> Vec<String> {
    let mut read: Vec<String> = cluster
        .api
        .requests()
        .iter()
        .filter(|request| ["secrets", "serviceaccounts"].contains(&request.resource.as_str()))
        .filter(|request| request.user.ends_with(":kubefresh-scanner"))
        .map(|request| {
            format!(
                "{} {} {}/{}",
                request.verb, request.resource, request.namespace, request.name
            )
        })
        .collect();
    read.sort();
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn each_secret_that_a_watched_workload_names_is_read_once_and_no_other() {
    let cluster = installed().await;
    publish(&cluster, "shop/web", &["1.4.0"]);
    let (image, host) = (
        cluster.registry.reference("shop/web", "1.4.0"),
        cluster.registry.host(),
    );
    let mut ignored = pulling("ignored", &image, &["unwatched"], None);
    ignored["metadata"]["annotations"] = json!({});
    let secret = |name: &str| pull_secret("shop", name, &host, "ann", "secret");
    cluster
        .apply(&[
            secret("one"),
            secret("two"),
            secret("of-account"),
            secret("unused"),
            secret("unwatched"),
            account("builder", &["of-account", "two"]),
            account("tester", &["unused"]),
            pulling("a", &image, &["one", "two"], Some("tester")),
            pulling("b", &image, &["one"], None),
            pulling("c", &image, &[], Some("builder")),
            pulling("d", &image, &["../../kubefresh/secrets/own", "../unused"], None),
            ignored,
        ])
        .await;
    cluster.api.clear_requests();
    summary(&scan(&cluster, &[]).await);
    assert_eq!(
        read(&cluster),
        [
            "get secrets shop/of-account",
            "get secrets shop/one",
            "get secrets shop/two",
            "get serviceaccounts shop/builder",
        ]
    );

    cluster.api.clear_requests();
    summary(&scan(&cluster, &["--read-pull-secrets", "false"]).await);
    assert!(read(&cluster).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_secret_that_cannot_be_used_is_told_on_behalf_of_its_workload_and_the_scan_goes_on() {
    let cluster = installed().await;
    publish(&cluster, "shop/web", &["1.4.0", "1.5.0"]);
    let (image, host) = (
        cluster.registry.reference("shop/web", "1.4.0"),
        cluster.registry.host(),
    );
    let mut opaque = pull_secret("shop", "opaque", &host, "ann", "geheim");
    opaque["type"] = json!("Opaque");
    let mut broken = legacy_pull_secret("shop", "broken", &host, "ann", "geheim");
    broken["data"] = json!({ ".dockercfg": STANDARD.encode("{\"a.example.com\":\"geheim\",\"") });
    let mut partly = pull_secret("shop", "partly", &host, "ann", "geheim");
    let config = json!({ "auths": { "a.example.com": { "auth": "geheim!" } } }).to_string();
    partly["data"] = json!({ ".dockerconfigjson": STANDARD.encode(config) });
    cluster
        .apply(&[
            opaque,
            broken,
            partly,
            pulling("web", &image, &["missing", "opaque", "broken", "partly"], None),
        ])
        .await;
    let output = scan(&cluster, &["--log-level", "trace"]).await;
    assert!(
        summary(&output).starts_with("scanned 1 of 1"),
        "{}",
        summary(&output)
    );
    let said = said(&output);
    for reason in [
        "there is no such Secret",
        "it is of type \"Opaque\"",
        "it is not valid JSON",
        "its \"auth\" is not base64",
    ] {
        let line = said
            .lines()
            .find(|line| line.contains(&reason.replace('"', "\\\"")) || line.contains(reason));
        let line = line.unwrap_or_else(|| panic!("{reason} in {said}"));
        assert!(line.contains("shop/web") && line.contains("WARN"), "{line}");
    }
    assert!(!said.contains("geheim") && !said.contains(&STANDARD.encode("ann:geheim")));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_read_secrets_what_everybody_may_see_is_still_scanned() {
    let cluster = Cluster::still(ApiServerOptions::default()).await;
    let mut install = manifests::install();
    install.retain(|object| object["metadata"]["name"] != "kubefresh-scanner-pull-secrets");
    cluster.apply(&install).await;
    cluster
        .apply(&[json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } })])
        .await;
    publish(&cluster, "shop/web", &["1.4.0", "1.5.0"]);
    let image = cluster.registry.reference("shop/web", "1.4.0");
    cluster
        .apply(&[
            pulling("web", &image, &["regcred"], None),
            pulling("worker", &image, &[], Some("builder")),
        ])
        .await;
    let output = scan(&cluster, &[]).await;
    assert!(
        summary(&output).starts_with("scanned 1 of 1"),
        "{}",
        summary(&output)
    );
    assert_eq!(records(&cluster).await[0].newest().unwrap().to_string(), "1.5.0");
    let said = said(&output);
    for workload in ["shop/web", "shop/worker"] {
        let line = said
            .lines()
            .find(|line| line.contains(workload) && line.contains("WARN"));
        let line = line.unwrap_or_else(|| panic!("{said}"));
        assert!(line.contains("READ_PULL_SECRETS=false"), "{line}");
    }
    let quiet = scan(&cluster, &["--read-pull-secrets", "false"]).await;
    assert!(!self::said(&quiet).contains("WARN"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_docker_config_file_that_cannot_be_used_ends_the_run_with_one_sentence_and_exit_code_2() {
    let cluster = installed().await;
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.json");
    std::fs::write(&broken, "geheim").unwrap();
    for (path, reason) in [
        (broken, "it is not valid JSON"),
        (folder.path().join("missing.json"), "No such file"),
    ] {
        let path = path.to_str().unwrap();
        let output = scan(&cluster, &["--log-level", "off", "--docker-config", path]).await;
        assert_eq!(output.status.code(), Some(2));
        let said = said(&output);
        assert!(
            said.lines().count() == 1 && said.contains(path) && said.contains(reason),
            "{said}"
        );
        assert!(!said.contains("geheim"));
    }
}

/// Everything that a run may leave behind: its output, with every log line there is, and what it wrote to the cluster.
pub(super) async fn left_behind(cluster: &Cluster, output: &std::process::Output) -> String {
    let config_maps = super::config_maps(cluster).await;
    let written = serde_json::to_string(&config_maps).unwrap();
    format!(
        "{}{}{written}",
        String::from_utf8_lossy(&output.stdout),
        said(output)
    )
}

pub(super) fn assert_keeps_secret(text: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} was told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn private_repositories_are_scanned_with_the_pull_secrets_of_pod_and_account_and_no_secret_is_told() {
    let users = vec![
        User::new("ann", "geheim-1").only("shop/web"),
        User::new("bob", "geheim-2").only("shop/worker"),
        User::new("eve", "geheim-3").only("office/"),
        User::new("own", "geheim-4").only("base/"),
    ];
    let private = BearerAuth {
        anonymous_pull: false,
        users: users.clone(),
        ..BearerAuth::default()
    };
    for auth in [Auth::Basic(users), Auth::Bearer(private)] {
        let cluster = installed().await;
        cluster
            .apply(&[json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "office" } })])
            .await;
        for repository in ["shop/web", "shop/worker", "office/mail", "base/tool"] {
            publish(&cluster, repository, &["1.4.0", "1.5.0"]);
        }
        cluster.registry.configure(|options| options.auth = auth);
        let host = cluster.registry.host();
        let image = |repository: &str| cluster.registry.reference(repository, "1.4.0");
        let mut mail = pulling("mail", &image("office/mail"), &["regcred"], None);
        mail["metadata"]["namespace"] = json!("office");
        cluster
            .apply(&[
                pull_secret("shop", "regcred", &host, "ann", "geheim-1"),
                legacy_pull_secret("shop", "legacy", &format!("http://{host}/v1/"), "bob", "geheim-2"),
                pull_secret("office", "regcred", &host, "eve", "geheim-3"),
                account("builder", &["missing", "legacy"]),
                pulling("web", &image("shop/web"), &["regcred"], None),
                pulling("worker", &image("shop/worker"), &[], Some("builder")),
                pulling("tool", &image("base/tool"), &["regcred"], None),
                mail,
            ])
            .await;
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.json");
        let own =
            json!({ "auths": { format!("{host}/base"): { "username": "own", "password": "geheim-4" } } });
        std::fs::write(&config, own.to_string()).unwrap();
        let arguments = [
            "--log-level",
            "trace",
            "--docker-config",
            config.to_str().unwrap(),
        ];
        let output = scan(&cluster, &arguments).await;
        assert!(
            summary(&output).starts_with("scanned 4 of 4"),
            "{}",
            summary(&output)
        );
        let found = records(&cluster).await;
        assert!(
            found
                .iter()
                .all(|record| record.newest().unwrap().to_string() == "1.5.0")
        );
        assert_eq!(cluster.registry.failed_logins(), 0);

        let told = left_behind(&cluster, &output).await;
        assert!(told.contains("TRACE"), "every log line is there");
        let logins = ["ann:geheim-1", "bob:geheim-2", "eve:geheim-3", "own:geheim-4"];
        assert_keeps_secret(&told, &["geheim", "token-1"]);
        assert_keeps_secret(
            &told,
            &logins
                .map(|login| STANDARD.encode(login))
                .each_ref()
                .map(String::as_str),
        );

        let without = scan(&cluster, &["--read-pull-secrets", "false"]).await;
        assert!(
            summary(&without).contains("4 failed (unauthorized)"),
            "{}",
            summary(&without)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_cannot_have_another_ones_repository_read_with_the_other_ones_secret() {
    let cluster = installed().await;
    cluster
        .apply(&[json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "office" } })])
        .await;
    publish(&cluster, "shop/web", &["1.4.0", "1.5.0"]);
    publish(&cluster, "shop/secret", &["1.4.0", "1.5.0"]);
    let users = vec![User::new("ann", "geheim")];
    cluster
        .registry
        .configure(|options| options.auth = Auth::Basic(users));
    let mut curious = pulling(
        "curious",
        &cluster.registry.reference("shop/secret", "1.4.0"),
        &["regcred"],
        None,
    );
    curious["metadata"]["namespace"] = json!("office");
    cluster
        .apply(&[
            pull_secret("shop", "regcred", &cluster.registry.host(), "ann", "geheim"),
            pulling(
                "web",
                &cluster.registry.reference("shop/web", "1.4.0"),
                &["regcred"],
                None,
            ),
            curious,
        ])
        .await;
    let output = scan(&cluster, &[]).await;
    assert!(
        summary(&output).starts_with("scanned 1 of 2")
            && summary(&output).contains("1 failed (unauthorized)"),
        "{}",
        summary(&output)
    );
}
