//! What somebody else keeps, as the API server keeps their fields: it is left to them, and a patch that they take back is not given
//! again.

use super::*;

const ARGO_CD: &str = "argocd-controller";
const KEPT: &str = "kubefresh_updates_waiting{reason=\"kept\"} 1";

/// What Argo CD adds to what it applies.
fn tracking() -> Value {
    json!({ "annotations": { "argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/checkout" } })
}

impl Stage {
    /// Applies `checkout` with this image, as a tool of that name does that has it from Git.
    async fn apply_as(&self, manager: &str, image: &str, metadata: &Value) {
        let mut all = metadata.clone();
        all["name"] = json!("checkout");
        all["namespace"] = json!("shop");
        for (key, value) in [("watch", "true"), ("mode", "auto")] {
            all["annotations"][format!("kubefresh.dev/{key}")] = json!(value);
        }
        let mut patch = shop::deployment("checkout", image, &json!({}));
        patch["metadata"] = all;
        patch["spec"]["replicas"] = json!(2);
        let parameters = PatchParams::apply(manager).force();
        self.deployments()
            .patch("checkout", &parameters, &Patch::Apply(patch))
            .await
            .unwrap();
    }

    /// A stage with a `checkout` that this tool applied, has rolled out, and could be newer.
    async fn kept_by(manager: &str, metadata: &Value) -> Self {
        let stage = Self::set().await;
        stage.apply_as(manager, OLD, metadata).await;
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
    let copied =
        json!({ "annotations": { "argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/other" } });
    let stage = Stage::kept_by("kubectl", &copied).await;
    let _updater = stage.leader().await;
    stage.image_becomes("checkout", NEW).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_flux_or_an_operator_keeps_waits_by_what_they_leave_on_their_objects() {
    let flux = json!({ "labels": {
        "kustomize.toolkit.fluxcd.io/name": "apps",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    } });
    let owner = json!({ "ownerReferences": [{
        "apiVersion": "example.com/v1",
        "kind": "Shop",
        "name": "main",
        "uid": "5d1a2a52-5a3f-4f2f-9d0e-1f4f6c1c9a11",
        "controller": true,
    }] });
    for (manager, metadata, expected) in [
        (
            "kustomize-controller",
            flux,
            "Flux (Kustomization flux-system/apps) keeps this image, by the field manager kustomize-controller: change it in Git",
        ),
        (
            "shop-operator",
            owner,
            "the Shop main keeps this image, by its owner reference: change it there",
        ),
    ] {
        let stage = Stage::kept_by(manager, &metadata).await;
        let updater = stage.leader().await;
        updater.shows(KEPT).await;
        let pending = eventually("it is written what waits", LIMIT, || async {
            stage.annotation("checkout", "pending").await
        })
        .await;
        let expected = format!("app: {NEW} waits; {expected}, or say kubefresh.dev/write-back=cluster");
        assert_eq!(pending, expected);
        assert_eq!(stage.image("checkout").await, OLD);
        updater.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_helm_installed_is_updated_and_the_start_says_what_the_next_upgrade_does() {
    let release = json!({
        "labels": { "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "shop" },
        "annotations": { "meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "shop" },
    });
    let stage = Stage::kept_by("helm", &release).await;
    let _updater = stage.leader().await;
    stage.image_becomes("checkout", NEW).await;
    stage.roll_out("checkout").await;
    assert_eq!(stage.result("checkout").await, "completed");
    let expected = format!(
        "app: {OLD} -> {NEW}; the next helm upgrade of the release shop stops at this field, or with --force-conflicts brings its own \
         value back"
    );
    assert_eq!(stage.notes("UpdateStarted").await, [expected]);
    assert_eq!(
        stage.notes("ImageUpdated").await,
        [format!("app: {OLD} -> {NEW}")]
    );
}
