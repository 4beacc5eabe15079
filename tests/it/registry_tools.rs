//! The embedded registry held against tools and a registry that others wrote.
//!
//! Ignored unless asked for, because they need Debian's `skopeo` and `docker-registry` on the path:
//! `cargo test -p tests --test it registry_tools -- --ignored`.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use sandbox::registry::{ImageSpec, MediaTypes, Registry, push};
use tokio::process::Command;

async fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new("skopeo")
        .args(arguments)
        .output()
        .await
        .expect("skopeo is installed");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "skopeo {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
#[ignore = "needs skopeo"]
async fn skopeo_copies_every_kind_of_image_out_of_and_into_the_embedded_registry() {
    let (from, to) = (Registry::open().await, Registry::open().await);
    for (number, spec) in [
        ImageSpec::new("shop/checkout", "1"),
        ImageSpec::new("shop/checkout", "1").docker(),
    ]
    .iter()
    .enumerate()
    {
        let published = from.publish(spec);
        let tag = format!("copy-{number}");
        let source = format!("docker://{}", from.reference("shop/checkout", "1"));
        let target = format!("docker://{}", to.reference("mirror/checkout", &tag));
        skopeo(&[
            "--insecure-policy",
            "copy",
            "--all",
            "--preserve-digests",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            &source,
            &target,
        ])
        .await;
        assert_eq!(
            to.digest("mirror/checkout", &tag),
            Some(published.digest),
            "the digest survives the copy"
        );
        let listed = skopeo(&[
            "list-tags",
            "--tls-verify=false",
            &target.replace(&format!(":{tag}"), ""),
        ])
        .await;
        assert!(listed.contains(&tag), "{listed}");
    }
}

#[tokio::test]
#[ignore = "needs skopeo"]
async fn skopeo_inspects_the_labels_of_the_platform() {
    let registry = Registry::open().await;
    registry.publish(&ImageSpec::new("shop/checkout", "1").label("example.com/team", "shop"));
    let reference = format!("docker://{}", registry.reference("shop/checkout", "1"));
    let inspected = skopeo(&["inspect", "--tls-verify=false", "--override-os=linux", &reference]).await;
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["Labels"]["example.com/team"], "shop");
}

#[tokio::test]
#[ignore = "needs docker-registry"]
async fn an_image_can_be_pushed_to_debians_docker_registry() {
    let directory = tempfile::tempdir().unwrap();
    // Free a moment ago: good enough for a test that is run by hand.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let root = directory.path().display();
    let config = directory.path().join("config.yml");
    let text = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n"
    );
    std::fs::write(&config, text).unwrap();
    let _server = Command::new("docker-registry")
        .arg("serve")
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("docker-registry is installed");
    let base = format!("http://127.0.0.1:{port}");
    let answering = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), answering)
        .await
        .expect("docker-registry answers");

    for spec in [
        ImageSpec::new("shop/checkout", "1").attestation(),
        ImageSpec::new("shop/checkout", "2").docker(),
    ] {
        let media_type = if spec.tag() == "1" {
            MediaTypes::Oci.index()
        } else {
            MediaTypes::Docker.index()
        };
        let pushed = push(&base, &spec).await.unwrap();
        let url = format!("{base}/v2/shop/checkout/manifests/{}", spec.tag());
        let head = reqwest::Client::new()
            .head(url)
            .header("accept", media_type)
            .send()
            .await
            .unwrap();
        assert_eq!(head.headers()["docker-content-digest"], pushed.digest.as_str());
    }
}
