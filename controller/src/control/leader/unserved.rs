//! The leader's answer to kinds that are not served yet: a condition that says so.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::DynamicObject;
use kube::runtime::watcher::Event;
use weir_api::condition::{self, Condition, READY, Truth, reason};

use super::super::watching::Unserved;
use super::super::write::Write;
use super::cache::Cache;
use super::{Key, Leader};

impl Leader {
    pub(super) fn see_unserved(&mut self, kind: Unserved, event: Event<DynamicObject>) {
        let cache = self.unserved.entry(kind).or_insert_with(Cache::new);
        for name in cache.see(event) {
            self.queue.push(Key::Unserved(kind, name));
        }
    }

    pub(super) fn look_at_unserved(&mut self, kind: Unserved, name: String) {
        let object = self.unserved.get(&kind).and_then(|cache| cache.get(&name));
        let Some(object) = object else { return };
        let conditions = object.data.pointer("/status/conditions").cloned();
        let conditions: Option<Vec<Condition>> =
            conditions.and_then(|conditions| serde_json::from_value(conditions).ok());
        let mut conditions = conditions.unwrap_or_default();
        let told = condition::get(&conditions, READY);
        if told.is_some_and(|told| told.reason == reason::NOT_IMPLEMENTED) {
            return;
        }
        let message = format!("this version of Weir does nothing about a {kind:?} yet");
        let mut answer = Condition::new(READY, Truth::False, reason::NOT_IMPLEMENTED, message);
        answer.observed_generation = object.metadata.generation;
        condition::set(&mut conditions, answer, &Time(Timestamp::now()));
        let version = object.metadata.resource_version.clone();
        let key = Key::Unserved(kind, name);
        let write = Write::status(key, version.as_deref(), &conditions, None);
        self.write(write, false, None);
    }
}
