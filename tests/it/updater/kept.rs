//! What somebody else keeps, as the API server keeps their fields: it is left to them, and a patch that they take back is not given
//! again.

use super::*;

const ARGO_CD: &str = "argocd-controller";
const KEPT: &str = "kubefresh_updates_waiting{reason=\"kept\"} 1";

/// What Argo CD adds to what it applies.
fn tracking() -> Value {
    json!({ "argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/checkout" })
}

impl Stage {
    /// Applies `checkout` with this image, as a tool of that name does that has it from Git.
    async fn apply_as(&self, manager: &str, image: &str, annotations: &Value) {
        let mut all = json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "auto" });
        all.as_object_mut()
            .unwrap()
            .extend(annotations.as_object().unwrap().clone());
        let patch = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": "checkout", "namespace": "shop", "annotations": all },
            "spec": {
                "replicas": 2,
                "selector": { "matchLabels": { "app": "checkout" } },
                "template": {
                    "metadata": { "labels": { "app": "checkout" } },
                    "spec": { "containers": [{ "name": "app", "image": image }] },
                },
            },
        });
        let parameters = PatchParams::apply(manager).force();
        self.deployments()
            .patch("checkout", &parameters, &Patch::Apply(patch))
            .await
            .unwrap();
    }

    /// A stage with a `checkout` that this tool applied, has rolled out, and could be newer.
    async fn kept_by(manager: &str, annotations: &Value) -> Self {
        let stage = Self::set().await;
        stage.apply_as(manager, OLD, annotations).await;
        stage.roll_out("checkout").await;
        stage.offer_1_5_0().await;
        stage
    }

    async fn notes(&self, reason: &str) -> Vec<String> {
        let mut events = self.events("checkout").await;
        events.retain(|event| event.reason.as_deref() == Some(reason));
        events.into_iter().filter_map(|event| event.note).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_argo_cd_keeps_is_told_once_and_written_when_we_are_told_to() {
    let stage = Stage::kept_by(ARGO_CD, &tracking()).await;
    let first = stage.leader().await;
    first.shows(KEPT).await;
    let advice = "Argo CD (application shop) keeps this image, by the field manager argocd-controller: change it in Git, or say \
                  kubefresh.dev/write-back=cluster";
    let pending = eventually("it is written what waits", LIMIT, || async {
        stage.annotation("checkout", "pending").await
    })
    .await;
    assert_eq!(pending, format!("app: {NEW} waits; {advice}"));
    first.stop().await;
    let second = stage.leader().await;
    second.shows(KEPT).await;
    stage.annotate("checkout", "example.com/note", "x").await;
    second.shows(KEPT).await;
    let available = stage.notes("UpdateAvailable").await;
    assert_eq!(
        available,
        [format!("container app: {OLD} can be updated to {NEW}; {advice}")]
    );
    assert_eq!(stage.patches("checkout").len(), 1, "to say what waits");
    assert_eq!(stage.image("checkout").await, OLD);

    stage
        .annotate("checkout", "kubefresh.dev/write-back", "cluster")
        .await;
    stage.image_becomes("checkout", NEW).await;
    stage.roll_out("checkout").await;
    assert_eq!(stage.result("checkout").await, "completed");
    assert_eq!(stage.annotation("checkout", "pending").await, None);
    assert_eq!(
        stage.notes("UpdateStarted").await,
        [format!(
            "app: {OLD} -> {NEW}; Argo CD (application shop) takes it back at its next sync, where it heals itself within seconds"
        )]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_applied_on_the_server_is_nobodys_and_so_is_a_copy_of_a_tracked_object() {
    let copied = json!({ "argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/other" });
    let stage = Stage::kept_by("kubectl", &copied).await;
    let _updater = stage.leader().await;
    stage.image_becomes("checkout", NEW).await;
}
