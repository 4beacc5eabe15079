use super::*;
use crate::apiserver::resources::{CONFIG_MAPS, DEPLOYMENTS};

fn store() -> Store {
    let store = Store::new(Clock::real());
    store
        .create(&NAMESPACES, json!({"metadata": {"name": "shop"}}))
        .unwrap();
    store
}

fn config_map(name: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop"}, "data": {"key": "one"}})
}

fn deployment() -> Value {
    let labels = json!({"app": "web"});
    json!({
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
            },
        },
    })
}

#[test]
fn a_created_object_gets_the_system_fields() {
    let object = store().create(&CONFIG_MAPS, config_map("a")).unwrap();
    assert_eq!(object["apiVersion"], "v1");
    assert_eq!(object["kind"], "ConfigMap");
    for field in ["uid", "creationTimestamp", "resourceVersion"] {
        assert!(object["metadata"][field].is_string(), "{field}");
    }
}

#[test]
fn a_second_object_of_the_same_name_is_refused() {
    let store = store();
    store.create(&CONFIG_MAPS, config_map("a")).unwrap();
    assert_eq!(
        store.create(&CONFIG_MAPS, config_map("a")).unwrap_err().reason,
        "AlreadyExists"
    );
}

#[test]
fn an_object_in_a_missing_namespace_is_refused() {
    let error = Store::new(Clock::real())
        .create(&CONFIG_MAPS, config_map("a"))
        .unwrap_err();
    assert_eq!(error.message, "namespaces \"shop\" not found");
}

#[test]
fn a_write_that_changes_nothing_spends_no_revision() {
    let store = store();
    store.create(&CONFIG_MAPS, config_map("a")).unwrap();
    let before = store.revision();
    store.update(&CONFIG_MAPS, "shop", "a", |_| Ok(())).unwrap();
    assert_eq!(store.revision(), before);
}

#[test]
fn only_a_change_of_the_specification_raises_the_generation() {
    let store = store();
    store.create(&DEPLOYMENTS, deployment()).unwrap();
    let labelled = store.update(&DEPLOYMENTS, "shop", "web", |object| {
        object["metadata"]["labels"] = json!({"a": "b"});
        Ok(())
    });
    assert_eq!(labelled.unwrap()["metadata"]["generation"], 1);
    let scaled = store.update(&DEPLOYMENTS, "shop", "web", |object| {
        object["spec"]["replicas"] = json!(3);
        Ok(())
    });
    assert_eq!(scaled.unwrap()["metadata"]["generation"], 2);
}

#[test]
fn status_and_specification_are_written_apart() {
    let store = store();
    store.create(&DEPLOYMENTS, deployment()).unwrap();
    let both = |object: &mut Value| {
        object["spec"]["replicas"] = json!(3);
        object["status"] = json!({"replicas": 7});
        Ok(())
    };
    let status = store.update_status(&DEPLOYMENTS, "shop", "web", both).unwrap();
    assert_eq!(status["status"]["replicas"], 7);
    assert_ne!(status["spec"]["replicas"], 3);
    let main = store.update(&DEPLOYMENTS, "shop", "web", |object| {
        both(object)?;
        object["status"] = json!({"replicas": 9});
        Ok(())
    });
    let main = main.unwrap();
    assert_eq!(main["spec"]["replicas"], 3);
    assert_eq!(main["status"]["replicas"], 7);
}

#[test]
fn a_finalizer_keeps_the_object_until_it_is_removed() {
    let store = store();
    let mut object = config_map("a");
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    store.create(&CONFIG_MAPS, object).unwrap();
    store.delete(&CONFIG_MAPS, "shop", "a").unwrap();
    let held = store.get(&CONFIG_MAPS, "shop", "a").expect("still there");
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    store
        .update(&CONFIG_MAPS, "shop", "a", |object| {
            object["metadata"]["finalizers"] = json!([]);
            Ok(())
        })
        .unwrap();
    assert!(store.get(&CONFIG_MAPS, "shop", "a").is_none());
}

#[test]
fn a_snapshot_of_the_past_undoes_later_changes() {
    let store = store();
    store.create(&CONFIG_MAPS, config_map("a")).unwrap();
    store.create(&CONFIG_MAPS, config_map("b")).unwrap();
    let then = store.revision();
    store.delete(&CONFIG_MAPS, "shop", "a").unwrap();
    store.create(&CONFIG_MAPS, config_map("c")).unwrap();
    let names = |snapshot: Snapshot| -> Vec<String> {
        snapshot
            .items
            .iter()
            .map(|object| object["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names(store.snapshot_at(&CONFIG_MAPS, None, then).unwrap()),
        ["a", "b"]
    );
    assert_eq!(names(store.snapshot(&CONFIG_MAPS, None)), ["b", "c"]);
    store.compact();
    assert_eq!(
        store.snapshot_at(&CONFIG_MAPS, None, then).unwrap_err().reason,
        "Expired"
    );
}

#[test]
fn subscribers_see_the_object_before_and_after() {
    let store = store();
    let mut changes = store.subscribe();
    store.create(&CONFIG_MAPS, config_map("a")).unwrap();
    store.delete(&CONFIG_MAPS, "shop", "a").unwrap();
    let added = changes.try_recv().unwrap();
    assert_eq!(added.kind, ChangeKind::Added);
    assert!(added.previous.is_none());
    let deleted = changes.try_recv().unwrap();
    assert_eq!(deleted.kind, ChangeKind::Deleted);
    assert_eq!(deleted.previous.as_ref(), Some(&added.object));
    assert_eq!(
        deleted.object["metadata"]["resourceVersion"],
        deleted.revision.to_string()
    );
}

#[test]
fn deleting_a_namespace_empties_it() {
    let store = store();
    store.create(&CONFIG_MAPS, config_map("a")).unwrap();
    store.delete(&NAMESPACES, "", "shop").unwrap();
    assert!(store.list(&CONFIG_MAPS, None).is_empty());
    assert!(store.list(&SERVICE_ACCOUNTS, None).is_empty());
}
