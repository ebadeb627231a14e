//! The objects of one kind, as a watch shows them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::watcher::Event;

/// The objects of one kind by name. The kinds that are kept here have no two objects of one name.
#[derive(Debug)]
pub(super) struct Cache<K> {
    objects: HashMap<String, Arc<K>>,
    /// The names that a list which is being read had so far.
    listed: Option<HashSet<String>>,
    is_complete: bool,
}

impl<K: ResourceExt> Cache<K> {
    pub(super) fn new() -> Self {
        Cache {
            objects: HashMap::new(),
            listed: None,
            is_complete: false,
        }
    }

    /// Whether a whole list was read.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<K>> {
        self.objects.get(name)
    }

    /// Takes an event in; returns the names of the objects that it is about. Those that a list does not have any
    /// more are gone.
    pub(super) fn see(&mut self, event: Event<K>) -> Vec<String> {
        match event {
            Event::Init => {
                self.listed = Some(HashSet::new());
                Vec::new()
            }
            Event::InitApply(object) => {
                let name = object.name_any();
                if let Some(listed) = &mut self.listed {
                    listed.insert(name.clone());
                }
                self.objects.insert(name.clone(), Arc::new(object));
                vec![name]
            }
            Event::InitDone => {
                self.is_complete = true;
                let listed = self.listed.take().unwrap_or_default();
                let gone = self.objects.keys().filter(|name| !listed.contains(*name));
                let gone: Vec<String> = gone.cloned().collect();
                for name in &gone {
                    self.objects.remove(name);
                }
                gone
            }
            Event::Apply(object) => {
                let name = object.name_any();
                self.objects.insert(name.clone(), Arc::new(object));
                vec![name]
            }
            Event::Delete(object) => {
                let name = object.name_any();
                self.objects.remove(&name);
                vec![name]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Node;

    fn node(name: &str) -> Node {
        let mut node = Node::default();
        node.metadata.name = Some(name.to_owned());
        node
    }

    #[test]
    fn what_a_new_list_does_not_have_is_gone() {
        let mut cache = Cache::new();
        cache.see(Event::Init);
        for name in ["a", "b"] {
            assert_eq!(cache.see(Event::InitApply(node(name))), [name]);
        }
        assert!(!cache.is_complete());
        assert!(cache.see(Event::InitDone).is_empty() && cache.is_complete());
        cache.see(Event::Apply(node("c")));
        cache.see(Event::Init);
        cache.see(Event::InitApply(node("a")));
        assert!(
            cache.get("b").is_some(),
            "a list that is being read ends nothing"
        );
        let mut gone = cache.see(Event::InitDone);
        gone.sort();
        assert_eq!(gone, ["b", "c"]);
        assert!(cache.get("b").is_none() && cache.get("a").is_some());
        assert_eq!(cache.see(Event::Delete(node("a"))), ["a"]);
        assert!(cache.get("a").is_none());
    }
}
