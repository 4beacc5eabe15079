//! What is around a cluster: the way in from outside, a forge with release notes, a language model, and the people's chat.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::forge::{Forge, Repository};
use crate::openai::{Completion, OpenAi};
use crate::receiver::Receiver;

/// With which people sign in.
pub(super) const TOKEN: &str = "the demo's token";
const RELEASES: [(&str, &str); 3] = [
    (
        "2026.11.1",
        "## Added\n- Baskets survive a restart of the shop\n- Vouchers can be combined\n\n## Breaking changes\n- \
         `PAYMENT_TIMEOUT` is read in seconds, no longer in milliseconds",
    ),
    (
        "2026.11.0",
        "## Security\n- Sessions end with the sign-out (CVE-2026-1234)\n\n## Fixed\n- Totals are rounded as on the invoice",
    ),
    ("2026.10.2", "- what runs"),
];
/// A model's words of these, in the form that it is asked for.
const SUMMARY: &str = r#"{
    "overview": "Baskets survive restarts, vouchers can be combined, and sign-out ends the session. Divide PAYMENT_TIMEOUT by 1000 first.",
    "security": [{"text": "Sessions end with the sign-out (CVE-2026-1234)"}],
    "breaking": [{"text": "PAYMENT_TIMEOUT is read in seconds"}],
    "features": [{"text": "Baskets survive a restart"}, {"text": "Vouchers can be combined"}],
    "fixes": [{"text": "Totals are rounded as on the invoice"}]
}"#;

/// All of it. Dropping it closes its ports.
pub(super) struct Outside {
    pub(super) forge: Forge,
    pub(super) model: OpenAi,
    pub(super) discord: Receiver,
    address: SocketAddr,
    door: JoinHandle<()>,
}

impl Outside {
    pub(super) async fn start(client: Client, repository: &str) -> Result<Self> {
        let forge = Forge::start().await;
        forge.has(repository, Repository::with(&RELEASES));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        Ok(Self {
            forge,
            model: OpenAi::start(Completion::Says(SUMMARY.to_owned(), 640)).await,
            discord: Receiver::start().await,
            address: listener.local_addr()?,
            door: tokio::spawn(let_in(listener, client)),
        })
    }

    /// Where people reach the pages.
    pub(super) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The Secrets that somebody creates who installs it, as README.md says.
    pub(super) fn secrets(&self) -> [Value; 2] {
        let secret = |name: &str, data: Value| {
            json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": { "name": name, "namespace": "kubefresh" },
                "stringData": data,
            })
        };
        let page = json!({ "signing-key": "the key of the demo, which everybody knows: 0123456789", "token": TOKEN });
        let notifications = json!({
            "BASE_URL": self.base_url(),
            "DISCORD_URL": self.discord.url("/api/webhooks/1/demo"),
            "GATHER_MESSAGES": "1s",
            "FORGES": self.forge.named("github"),
            "OPENAI_BASE_URL": self.model.base_url(),
        });
        [
            secret("kubefresh-page", page),
            secret("kubefresh-notifications", notifications),
        ]
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.door.abort();
    }
}

/// What a Service and an Ingress are for: each connection goes to a replica that is ready.
async fn let_in(listener: TcpListener, client: Client) {
    while let Ok((mut guest, _)) = listener.accept().await {
        let client = client.clone();
        tokio::spawn(async move {
            let replica = match replica(&client).await {
                Ok(address) => TcpStream::connect(address).await.map_err(anyhow::Error::from),
                Err(error) => Err(error),
            };
            match replica {
                // It ends when either of them has enough of it.
                Ok(mut replica) => drop(copy_bidirectional(&mut guest, &mut replica).await),
                Err(error) => tracing::warn!(%error, "nobody is let in"),
            }
        });
    }
}

async fn replica(client: &Client) -> Result<String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), "kubefresh");
    let updaters = ListParams::default().labels("app.kubernetes.io/component=updater");
    let pods = pods.list(&updaters).await?.items;
    let is_ready = |pod: &Pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        let mut conditions = conditions.into_iter().flatten();
        conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    let ready = pods.into_iter().find(is_ready);
    let address = ready
        .and_then(|pod| pod.status?.pod_ip)
        .context("no replica is ready")?;
    Ok(format!("{address}:3000"))
}
