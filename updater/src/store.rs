//! What a watch has seen, as views: of each object the small part that matters here, so that a large cluster fits into
//! little memory and nothing is worked out again at each look.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kube::ResourceExt;
use kube::runtime::watcher::Event;

/// By namespace and name: one kind of object is followed in one store.
type Views<V> = BTreeMap<(String, String), V>;

/// The views of one watch. Clones show the same.
#[derive(Debug)]
pub struct Store<V>(Arc<RwLock<Views<V>>>);

impl<V> Clone for Store<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V> Store<V> {
    fn write(&self) -> RwLockWriteGuard<'_, Views<V>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Views<V>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is made of those views of which anything is.
    pub(crate) fn collect<T>(&self, of: impl Fn(&V) -> Option<T>) -> Vec<T> {
        self.read().values().filter_map(of).collect()
    }
}

impl<V: Clone> Store<V> {
    /// All views at this moment.
    pub fn all(&self) -> Vec<V> {
        self.read().values().cloned().collect()
    }
}

/// From an object to its view; `None` for one that nobody is to see.
pub(crate) type View<K, V> = Box<dyn Fn(&K) -> Option<V> + Send>;

/// The one writer of a store.
pub(crate) struct Writer<K, V> {
    store: Store<V>,
    /// What a list that is under way has brought so far; what was seen before stands until it is whole.
    listed: Views<V>,
    view: View<K, V>,
}

impl<K: ResourceExt, V> Writer<K, V> {
    /// A writer, and the store it writes to.
    pub(crate) fn new(view: View<K, V>) -> (Self, Store<V>) {
        let store = Store(Arc::default());
        let writer = Self {
            store: store.clone(),
            listed: Views::new(),
            view,
        };
        (writer, store)
    }

    /// Takes in what a watch brought. Whether the store may show something else now.
    pub(crate) fn take(&mut self, event: &Event<K>) -> bool {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => put(&mut self.listed, object, (self.view)(object)),
            Event::InitDone => *self.store.write() = std::mem::take(&mut self.listed),
            Event::Apply(object) => put(&mut self.store.write(), object, (self.view)(object)),
            Event::Delete(object) => put(&mut self.store.write(), object, None),
        }
        match event {
            Event::Init | Event::InitApply(_) => false,
            Event::InitDone | Event::Apply(_) | Event::Delete(_) => true,
        }
    }
}

fn put<V>(views: &mut Views<V>, object: &impl ResourceExt, view: Option<V>) {
    let key = (object.namespace().unwrap_or_default(), object.name_any());
    match view {
        Some(view) => views.insert(key, view),
        None => views.remove(&key),
    };
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::ObjectMeta;

    use super::*;

    /// An object whose view is its label `v`.
    fn object(name: &str, label: Option<&str>) -> ConfigMap {
        let labels = label.map(|label| BTreeMap::from([("v".to_owned(), label.to_owned())]));
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some("shop".to_owned()),
                labels,
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }

    fn view(object: &ConfigMap) -> Option<String> {
        object.labels().get("v").cloned()
    }

    #[test]
    fn a_list_replaces_what_was_seen_once_it_is_whole_and_not_before() {
        let (mut writer, store) = Writer::new(Box::new(view));
        let mut show = |event| (writer.take(&event), store.all().concat());
        assert_eq!(show(Event::Init), (false, String::new()));
        assert_eq!(
            show(Event::InitApply(object("a", Some("1")))),
            (false, String::new())
        );
        assert_eq!(show(Event::InitDone), (true, "1".to_owned()));
        // A list that breaks off, and another one.
        assert_eq!(show(Event::Init), (false, "1".to_owned()));
        assert_eq!(
            show(Event::InitApply(object("b", Some("2")))),
            (false, "1".to_owned())
        );
        assert_eq!(show(Event::Init), (false, "1".to_owned()));
        assert_eq!(
            show(Event::InitApply(object("c", Some("3")))),
            (false, "1".to_owned())
        );
        assert_eq!(show(Event::InitDone), (true, "3".to_owned()));
    }

    #[test]
    fn what_changes_is_seen_at_once_and_what_nobody_is_to_see_is_gone() {
        let (mut writer, store) = Writer::new(Box::new(view));
        let mut show = |event| {
            assert!(writer.take(&event));
            store.all().concat()
        };
        assert_eq!(show(Event::Apply(object("a", Some("1")))), "1");
        assert_eq!(show(Event::Apply(object("b", Some("2")))), "12");
        assert_eq!(show(Event::Apply(object("a", Some("3")))), "32");
        assert_eq!(show(Event::Apply(object("a", None))), "2");
        assert_eq!(show(Event::Delete(object("b", Some("2")))), "");
    }
}
